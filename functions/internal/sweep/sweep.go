// Package sweep does what is due: it rings for parked deliveries, releases
// holds whose reason is gone, and removes what has expired. A Lambda runs it
// every minute, the standalone host every second.
package sweep

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/jobhook/jobhook/shared/webhook"
)

// What one run takes on at most. What is left waits for the next run.
const (
	maxDue     = 10_000
	maxRelease = 10_000
	maxExpire  = 5_000
	page       = 500
)

// ringAgainAfter is when a delivery is rung for again if its bell was lost.
const ringAgainAfter = 5 * time.Minute

// ShelveAfter is how long a stopped scraping job stays stopped before it moves
// to cold storage (Web Scraper Cloud: two weeks).
const ShelveAfter = 14 * 24 * time.Hour

// Store keeps the deliveries.
type Store interface {
	// Due returns deliveries whose DueAt is before the given time, the most
	// overdue first.
	Due(ctx context.Context, before time.Time, limit int) ([]webhook.Delivery, error)
	// Defer moves DueAt of the deliveries, unless it has changed since they
	// were read.
	Defer(ctx context.Context, read []webhook.Delivery, dueAt time.Time) error
	// Release queues held deliveries whose endpoint is enabled again, the
	// oldest first, and returns their doorbells. Until they are rung for they
	// are due at dueAt.
	Release(ctx context.Context, now, dueAt time.Time, limit int) ([]webhook.Doorbell, error)
	// Shelve turns scraping jobs that have been stopped since before the given
	// time into shelved ones.
	Shelve(ctx context.Context, before time.Time, limit int) (int, error)
	// Expire removes what has expired.
	Expire(ctx context.Context, now time.Time, limit int) (int, error)
}

// Queue takes the doorbells of parked deliveries.
type Queue interface {
	// Ring sends the doorbells, each after its own delay.
	Ring(ctx context.Context, bells []webhook.Doorbell) error
}

// Handler sweeps.
type Handler struct {
	Store   Store
	Queue   Queue            // the retry queue
	Horizon time.Duration    // what falls due within it is rung for now, with a delay; the time between two runs
	Now     func() time.Time // nil is time.Now
	Log     *slog.Logger     // nil is slog.Default
}

// Handle does one run. Each part is tried even if another fails.
func (h *Handler) Handle(ctx context.Context, _ events.EventBridgeEvent) error {
	return errors.Join(h.ringDue(ctx), h.release(ctx), h.shelve(ctx), h.expire(ctx))
}

// ringDue rings for what falls due within the horizon, at its exact time. It
// moves DueAt forward before it rings: should the ring be lost, another follows.
func (h *Handler) ringDue(ctx context.Context) error {
	for range maxDue / page {
		now := h.now()
		due, err := h.Store.Due(ctx, now.Add(h.Horizon), page)
		if err != nil {
			return fmt.Errorf("due deliveries: %w", err)
		}
		if len(due) == 0 {
			return nil
		}
		if err := h.Store.Defer(ctx, due, now.Add(h.Horizon+ringAgainAfter)); err != nil {
			return fmt.Errorf("defer %d deliveries: %w", len(due), err)
		}
		if err := h.Queue.Ring(ctx, bells(due, now)); err != nil {
			return fmt.Errorf("ring for %d due deliveries: %w", len(due), err)
		}
	}
	return nil
}

func bells(due []webhook.Delivery, now time.Time) []webhook.Doorbell {
	list := make([]webhook.Doorbell, len(due))
	for i, d := range due {
		list[i] = d.Doorbell()
		list[i].After = max(d.DueAt.Sub(now), 0)
	}
	return list
}

func (h *Handler) release(ctx context.Context) error {
	for range maxRelease / page {
		now := h.now()
		bells, err := h.Store.Release(ctx, now, now.Add(ringAgainAfter), page)
		if err != nil {
			return fmt.Errorf("release held deliveries: %w", err)
		}
		if len(bells) == 0 {
			return nil
		}
		if err := h.Queue.Ring(ctx, bells); err != nil {
			return fmt.Errorf("ring for %d released deliveries: %w", len(bells), err)
		}
	}
	return nil
}

func (h *Handler) shelve(ctx context.Context) error {
	n, err := h.Store.Shelve(ctx, h.now().Add(-ShelveAfter), page)
	if err != nil {
		return fmt.Errorf("shelve stopped jobs: %w", err)
	}
	if n > 0 {
		h.log().InfoContext(ctx, "jobs.shelved", "count", n)
	}
	return nil
}

func (h *Handler) expire(ctx context.Context) error {
	n, err := h.Store.Expire(ctx, h.now(), maxExpire)
	if err != nil {
		return fmt.Errorf("remove expired rows: %w", err)
	}
	if n > 0 {
		h.log().InfoContext(ctx, "rows.expired", "count", n)
	}
	return nil
}

func (h *Handler) now() time.Time {
	if h.Now == nil {
		return time.Now()
	}
	return h.Now()
}

func (h *Handler) log() *slog.Logger {
	if h.Log == nil {
		return slog.Default()
	}
	return h.Log
}
