package erase

import (
	"context"
	"fmt"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

// Message is the body of a message that asks for a run. It names nobody.
const Message = `{"erase":true}`

// Queue takes messages for who runs erasures.
type Queue interface {
	// Send sends one message.
	Send(ctx context.Context, group, body string, delay time.Duration) error
}

// Running tells of erasures.
type Running interface {
	// RunningErasures returns those that are not done.
	RunningErasures(ctx context.Context, limit int) ([]webhook.Erasure, error)
}

// Bell asks another function for a run, where one's own has not the code for it.
// A message too many does no harm: of two runs at once, one goes on.
type Bell struct {
	Store Running
	Queue Queue
	Now   func() time.Time // nil is time.Now
}

// Run sends a message when there is something to do.
func (b *Bell) Run(ctx context.Context) error {
	running, err := b.Store.RunningErasures(ctx, webhook.MaxPage)
	if err != nil {
		return fmt.Errorf("running erasures: %w", err)
	}
	now := time.Now
	if b.Now != nil {
		now = b.Now
	}
	for _, r := range running {
		if !r.Waits(now()) {
			return b.Queue.Send(ctx, r.Account, Message, 0)
		}
	}
	return nil
}
