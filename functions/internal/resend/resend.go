// Package resend sends deliveries once more: one for the API, at once for those
// who wait for the receiver's answer, and page by page in bulk.
package resend

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/jobhook/jobhook/functions/internal/deadline"
	"github.com/jobhook/jobhook/shared/format"
	"github.com/jobhook/jobhook/shared/webhook"
)

// Store keeps deliveries and what they are made of.
type Store interface {
	// Delivery returns webhook.ErrNotFound when there is none.
	Delivery(ctx context.Context, r webhook.Ref) (webhook.Delivery, error)
	// Event returns webhook.ErrNotFound when there is none.
	Event(ctx context.Context, account, id string) (webhook.Event, error)
	// Endpoint returns webhook.ErrNotFound when there is none.
	Endpoint(ctx context.Context, account, id string) (webhook.Endpoint, error)
	// Record returns webhook.ErrStale when somebody else was quicker.
	Record(ctx context.Context, read, next webhook.Delivery, attempt *webhook.Attempt) error
	// Attempts returns those of a delivery, the oldest first.
	Attempts(ctx context.Context, r webhook.Ref) ([]webhook.Attempt, error)
}

// Queue takes the doorbells of what is sent again: the retry queue.
type Queue interface {
	Ring(ctx context.Context, bells []webhook.Doorbell) error
}

// Deliverer makes the attempts that messages ring for.
type Deliverer interface {
	Handle(ctx context.Context, e events.SQSEvent) (events.SQSEventResponse, error)
}

// Sender sends deliveries once more.
type Sender struct {
	Store     Store
	Queue     Queue
	Deliver   Deliverer        // for ResendNow; its own Queue is Hidden
	PublicURL string           // begins the links of webhooks
	Now       func() time.Time // nil is time.Now
	Log       *slog.Logger     // nil is slog.Default
}

// NoTargetError says that a delivery cannot be sent again, and what to do about it.
type NoTargetError struct{ Why, Cure string }

// Error puts both in one line.
func (e *NoTargetError) Error() string { return e.Why + "; " + e.Cure }

// FormatOf is the format in which a delivery is sent. The error is a
// *NoTargetError: it has no target, or one whose format is unknown.
func FormatOf(d webhook.Delivery) (format.Format, error) {
	if d.Target == (webhook.Target{}) {
		return format.Format{}, &NoTargetError{d.Reason, "give the account a webhook_url or an endpoint; it hears of what happens from then on"}
	}
	f, known := format.Lookup(d.Target.Format)
	if !known {
		return f, &NoTargetError{d.Reason, "give the endpoint a format that tells of this job; it counts from the next event on"}
	}
	return f, nil
}

// Untold is the error for an event that its format cannot tell of, and why.
func Untold(why error) *NoTargetError {
	return &NoTargetError{why.Error(), "use an endpoint whose format tells of such events"}
}

// Deleted is the error for an endpoint that is no more.
func Deleted() *NoTargetError {
	return &NoTargetError{"the endpoint was deleted", "make a new endpoint; it hears of what happens from then on"}
}

// Resend opens a new generation of the delivery and rings for it after a while,
// at most 15 minutes. It returns the row as it is then. Errors: ErrNotFound,
// ErrInFlight, ErrStale, *NoTargetError. When the ring fails, the row stands in
// the due index and sweep rings for it.
func (s *Sender) Resend(ctx context.Context, r webhook.Ref, after time.Duration) (webhook.Delivery, error) {
	next, err := s.open(ctx, r, after)
	if err != nil {
		return webhook.Delivery{}, err
	}
	bell := next.Doorbell()
	bell.After = after
	if err := s.Queue.Ring(ctx, []webhook.Doorbell{bell}); err != nil {
		s.log().WarnContext(ctx, "ring.failed", "delivery", next.ID, "error", err)
	}
	return next, nil
}

// nowTimeout is how long ResendNow takes at most: an HTTP API of AWS answers
// within 30 s. Of that, the attempt itself may have 18.75 s, see deliver.
const nowTimeout = 25 * time.Second

// ResendNow does the same, but makes the attempt itself and returns the row
// after it, with the attempt; none when the delivery is held, or when its
// attempt might not end within 25 s or ctx's deadline: then it is queued. Once
// begun it goes on though ctx is cancelled: a delivery that was opened and then
// left would refuse all other resends for a minute.
func (s *Sender) ResendNow(ctx context.Context, r webhook.Ref) (webhook.Delivery, *webhook.Attempt, error) {
	if err := ctx.Err(); err != nil {
		return webhook.Delivery{}, nil, err
	}
	ctx, release := deadline.Stubborn(ctx)
	defer release()
	ctx, cancel := context.WithTimeout(ctx, nowTimeout)
	defer cancel()
	next, err := s.open(ctx, r, 0)
	if err != nil {
		return webhook.Delivery{}, nil, err
	}
	message := events.SQSMessage{MessageId: next.ID, ReceiptHandle: next.Doorbell().Message(), Body: next.Doorbell().Message()}
	if _, err := s.Deliver.Handle(ctx, events.SQSEvent{Records: []events.SQSMessage{message}}); err != nil {
		return next, nil, fmt.Errorf("delivery %s: attempt: %w", r.ID, err)
	}
	after, err := s.Store.Delivery(ctx, r)
	if err != nil {
		return next, nil, err
	}
	attempts, err := s.Store.Attempts(ctx, r)
	for _, a := range attempts {
		if a.Generation == next.Generation {
			return after, &a, err
		}
	}
	return after, nil, err
}

// open writes the row of the new generation, whose bell rings after a while.
func (s *Sender) open(ctx context.Context, r webhook.Ref, after time.Duration) (webhook.Delivery, error) {
	read, err := s.Store.Delivery(ctx, r)
	if err != nil {
		return webhook.Delivery{}, err
	}
	policy, err := s.policyOf(ctx, read)
	if err != nil {
		return webhook.Delivery{}, err
	}
	next, err := read.Resend(policy, s.now())
	if err != nil {
		return webhook.Delivery{}, err
	}
	next.DueAt = next.DueAt.Add(after) // sweep rings for lost bells only
	return next, s.Store.Record(ctx, read, next, nil)
}

// policyOf is how the delivery would be sent again, or why it cannot be.
func (s *Sender) policyOf(ctx context.Context, d webhook.Delivery) (webhook.Policy, error) {
	f, err := FormatOf(d)
	if err != nil {
		return webhook.Policy{}, err
	}
	e, err := s.Store.Event(ctx, d.Account, d.EventID)
	if err != nil {
		return webhook.Policy{}, err
	}
	if _, err := f.Encode(e, s.PublicURL); err != nil {
		return webhook.Policy{}, Untold(err)
	}
	if d.Target.Endpoint == "" {
		return f.Policy, nil
	}
	ep, err := s.Store.Endpoint(ctx, d.Account, d.Target.Endpoint)
	if errors.Is(err, webhook.ErrNotFound) {
		return webhook.Policy{}, Deleted()
	}
	return f.Policy.With(ep.Policy), err
}

func (s *Sender) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}

func (s *Sender) log() *slog.Logger {
	if s.Log == nil {
		return slog.Default()
	}
	return s.Log
}

// Hidden stands for the queue that a batch came from where there is none: what
// would be hidden in it rings in the retry queue instead.
type Hidden struct{ Queue Queue }

// maxDelay is the longest delay of a message.
const maxDelay = 15 * time.Minute

// Hide rings again after d for the doorbell that the receipt is.
func (h Hidden) Hide(ctx context.Context, receipt string, d time.Duration) error {
	var bell webhook.Doorbell
	if err := json.Unmarshal([]byte(receipt), &bell); err != nil {
		return fmt.Errorf("receipt is no doorbell: %w", err)
	}
	bell.After = min(d, maxDelay)
	return h.Queue.Ring(ctx, []webhook.Doorbell{bell})
}
