// Package sweep does what is due: it rings for parked deliveries, releases
// holds whose reason is gone, dispatches what dispatch could not take in time,
// goes on with bulk resends, tells of endpoints that fail, and removes what has
// expired. A Lambda runs it every minute, the standalone host every second.
package sweep

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/jobhook/jobhook/functions/internal/crew"
	"github.com/jobhook/jobhook/functions/internal/deadline"
	"github.com/jobhook/jobhook/functions/internal/metrics"
	"github.com/jobhook/jobhook/shared/webhook"
)

// What one run takes on at most. What is left waits for the next run.
const (
	maxDue    = 10_000
	maxExpire = 5_000
	page      = 500
)

const (
	// answerReserve is kept of the function's time for its last lines.
	answerReserve = 2 * time.Second
	// pageTime is how much time a further page must have, as bells that are cut
	// off between Defer and Ring ring minutes later.
	pageTime = 2 * time.Second
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
	// Holders returns the endpoints with held deliveries that no due time brings back.
	Holders(ctx context.Context) ([]webhook.Holder, error)
	// Hosts returns the hosts whose circuit was opened and not closed, at most limit.
	Hosts(ctx context.Context, limit int) ([]webhook.HostHealth, error)
	// Held returns such deliveries of an endpoint, the oldest first.
	Held(ctx context.Context, account, endpoint string, limit int) ([]webhook.Delivery, error)
	// Release queues those that are still held as they were read, and returns
	// their doorbells. Until they are attended to they are due at dueAt.
	Release(ctx context.Context, held []webhook.Delivery, now, dueAt time.Time) ([]webhook.Doorbell, error)
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
	Store    Store
	Queue    Queue            // the retry queue
	Failures Failures         // stream batches to dispatch after all; nil: there are none
	Dispatch Dispatch         // needed with Failures
	Resends  Resends          // bulk resends to go on with; nil: there are none
	Resender Resender         // needed with Resends
	Notices  Notices          // what is to be told of endpoints; nil: there is nothing
	Notifier Notifier         // needed with Notices
	Ledger   *Ledger          // checks the books every hour; nil: nobody does
	Erasures Erasures         // of accounts and subjects, to go on with; nil: there are none
	Horizon  time.Duration    // what falls due within it is rung for now, with a delay; the time between two runs
	Metrics  *metrics.Emitter // one line per run; nil: none
	Now      func() time.Time // nil is time.Now
	Log      *slog.Logger     // nil is slog.Default

	lock       sync.Mutex
	releasedAt time.Time      // when the last run released
	untold     map[string]int // how often each notice that is left could not be told
}

// run is what one run did.
type run struct {
	rung, released, expired int
	replayed, replaysFailed int
	missing, stuck          int           // deliveries that the ledger found so
	overdue                 int           // parked deliveries that were overdue at the start
	oldest                  time.Duration // how overdue the first of them was
}

// Handle does one run. Its parts go at once, each with fields of its own in
// run, so that none waits for another that fails or takes long. What there was
// no time for waits for the next run, and is no error.
func (h *Handler) Handle(ctx context.Context, _ events.EventBridgeEvent) error {
	ctx, cancel := deadline.Keep(ctx, answerReserve)
	defer cancel()
	var r run
	parts := []func(context.Context, *run) error{h.ringDue, h.release, h.replay, h.shelve, h.expire, h.resend, h.notify, h.balance, h.erase}
	errs := make([]error, len(parts))
	var all sync.WaitGroup
	for i, part := range parts {
		all.Go(func() { errs[i] = crew.Guarded(func() error { return part(ctx, &r) }) })
	}
	all.Wait()
	h.measure(ctx, r)
	return errors.Join(errs...)
}

func (h *Handler) measure(ctx context.Context, r run) {
	line := h.Metrics.Line()
	line.Count(metrics.Rung, r.rung)
	line.Count(metrics.Released, r.released)
	line.Count(metrics.Expired, r.expired)
	line.Count(metrics.Replayed, r.replayed)
	line.Count(metrics.ReplaysFailed, r.replaysFailed)
	line.Count(metrics.LedgerDifference, r.missing)
	line.Count(metrics.LedgerStuck, r.stuck)
	line.Level(metrics.DueBacklog, r.overdue)
	line.Seconds(metrics.DueBacklogAge, r.oldest)
	line.Write(ctx)
}

// ringDue rings for what falls due within the horizon, at its exact time. It
// moves DueAt forward before it rings: should the ring be lost, another follows.
func (h *Handler) ringDue(ctx context.Context, r *run) error {
	start, seen := h.now(), map[webhook.Ref]bool{}
	for i := range maxDue / page {
		if i > 0 && !deadline.Allows(ctx, pageTime) {
			return nil
		}
		now := h.now()
		due, err := h.Store.Due(ctx, now.Add(h.Horizon), page)
		if err != nil {
			return fmt.Errorf("due deliveries: %w", err)
		}
		if due = unseen(due, seen); len(due) == 0 {
			return nil
		}
		r.look(due, start)
		if err := h.Store.Defer(ctx, due, now.Add(h.Horizon+ringAgainAfter)); err != nil {
			return fmt.Errorf("defer %d deliveries: %w", len(due), err)
		}
		if err := h.Queue.Ring(ctx, bells(due, now)); err != nil {
			return fmt.Errorf("ring for %d due deliveries: %w", len(due), err)
		}
		r.rung += len(due)
	}
	return nil
}

// unseen leaves out what this run has rung for: an index may still show it at
// its old place for a moment.
func unseen(due []webhook.Delivery, seen map[webhook.Ref]bool) []webhook.Delivery {
	fresh := due[:0]
	for _, d := range due {
		if ref := d.Ref(); !seen[ref] {
			seen[ref] = true
			fresh = append(fresh, d)
		}
	}
	return fresh
}

// look counts what was overdue when the run began.
func (r *run) look(due []webhook.Delivery, start time.Time) {
	for _, d := range due {
		if age := start.Sub(d.DueAt); age >= 0 {
			r.overdue++
			r.oldest = max(r.oldest, age)
		}
	}
}

func bells(due []webhook.Delivery, now time.Time) []webhook.Doorbell {
	list := make([]webhook.Doorbell, len(due))
	for i, d := range due {
		list[i] = d.Doorbell()
		list[i].After = max(d.DueAt.Sub(now), 0)
	}
	return list
}

func (h *Handler) shelve(ctx context.Context, _ *run) error {
	n, err := h.Store.Shelve(ctx, h.now().Add(-ShelveAfter), page)
	if err != nil {
		return fmt.Errorf("shelve stopped jobs: %w", err)
	}
	if n > 0 {
		h.log().InfoContext(ctx, "jobs.shelved", "count", n)
	}
	return nil
}

func (h *Handler) expire(ctx context.Context, r *run) error {
	n, err := h.Store.Expire(ctx, h.now(), maxExpire)
	if err != nil {
		return fmt.Errorf("remove expired rows: %w", err)
	}
	r.expired = n
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
