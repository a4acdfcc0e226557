// Package dispatch turns changes of job records into events and deliveries: a
// Lambda on the stream of the jobs table, or the same handler on the change
// feed of the standalone host.
package dispatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"golang.org/x/sync/errgroup"

	"github.com/jobhook/jobhook/functions/internal/deadline"
	"github.com/jobhook/jobhook/functions/internal/metrics"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// DefaultRetention is how long deliveries are kept.
const DefaultRetention = 30 * 24 * time.Hour

// answerReserve is kept of the function's time for its answer. A timeout would
// count as an error of the function: the batch would be cut in halves and come
// again, instead of from its first failure on.
const answerReserve = 2 * time.Second

// Store keeps events and their deliveries.
type Store interface {
	// Endpoints returns all endpoints of an account, none for an unknown one.
	Endpoints(ctx context.Context, account string) ([]webhook.Endpoint, error)
	// Put stores events with their deliveries. What is already there stays as
	// it is. It returns the doorbells to ring: of deliveries that are new and
	// queued, and of those still queued from an earlier call.
	Put(ctx context.Context, planned []webhook.Planned) ([]webhook.Doorbell, error)
}

// Queue takes the doorbells of first attempts.
type Queue interface {
	// Ring sends the doorbells. After an error some may have been sent.
	Ring(ctx context.Context, bells []webhook.Doorbell) error
}

// Handler dispatches batches of stream records.
type Handler struct {
	Store      Store
	Queue      Queue
	Attributes Attributes       // how the jobs table calls what is needed; zero: as Jobhook does
	Retention  time.Duration    // how long deliveries are kept; 0 is DefaultRetention
	Metrics    *metrics.Emitter // one line per batch; nil: none
	Now        func() time.Time // nil is time.Now
	Log        *slog.Logger     // nil is slog.Default
}

// Handle stores and rings for every record of the batch, in order. A record
// that cannot be understood becomes a declined delivery and holds nobody up.
// When the store or the queue fails, or time runs out, the first record that
// was not finished is named and the stream comes back with it and all that
// follow; ids are deterministic, so what was stored before is not stored twice.
// The error is always nil: an error of the function would slow the whole shard.
func (h *Handler) Handle(ctx context.Context, e events.DynamoDBEvent) (events.DynamoDBEventResponse, error) {
	if len(e.Records) == 0 {
		return events.DynamoDBEventResponse{}, nil
	}
	ctx, cancel := deadline.Keep(ctx, answerReserve)
	defer cancel()
	planned, done, err := h.plan(ctx, e.Records)
	if err2 := h.commit(ctx, planned); err2 != nil {
		planned, done, err = nil, 0, err2
	}
	h.measure(ctx, e.Records, planned, done)
	if err != nil {
		h.log().ErrorContext(ctx, "batch.failed", "error", err, "records", len(e.Records), "done", done)
		return failFrom(e.Records[done]), nil
	}
	h.log().DebugContext(ctx, "batch.dispatched", "records", len(e.Records), "events", len(planned))
	return events.DynamoDBEventResponse{}, nil
}

// plan decides on the records in order, until one needs what cannot be read now.
func (h *Handler) plan(ctx context.Context, records []events.DynamoDBEventRecord) (all []webhook.Planned, done int, err error) {
	changes := h.decode(records)
	known := h.endpoints(ctx, accountsOf(changes))
	now := h.now()
	p := planner{now: now, expires: now.Add(h.retention()), attributes: h.Attributes}
	for i, c := range changes {
		switch {
		case c.removed:
		case c.err != nil:
			planned := p.unreadable(records[i], c.err)
			h.logDeclined(ctx, planned[0], c.err)
			all = append(all, planned...)
		default:
			account := known[c.New.Account]
			if account.err != nil {
				return all, i, fmt.Errorf("account %s: endpoints: %w", c.New.Account, account.err)
			}
			all = append(all, p.plan(c.Change, account.endpoints)...)
		}
	}
	return all, len(records), nil
}

// change is what a record says. Err is why it cannot be understood.
type change struct {
	job.Change
	removed bool
	err     error
}

func (h *Handler) decode(records []events.DynamoDBEventRecord) []change {
	list := make([]change, len(records))
	for i, r := range records {
		if list[i].removed = r.EventName == string(events.DynamoDBOperationTypeRemove); !list[i].removed {
			list[i].Change, list[i].err = decodeChange(r, h.Attributes)
		}
	}
	return list
}

func accountsOf(changes []change) (accounts []string) {
	named := map[string]bool{}
	for _, c := range changes {
		if !c.removed && c.err == nil && !named[c.New.Account] {
			named[c.New.Account] = true
			accounts = append(accounts, c.New.Account)
		}
	}
	return accounts
}

// accountEndpoints are the endpoints of an account, or why they cannot be read.
type accountEndpoints struct {
	endpoints []webhook.Endpoint
	err       error
}

// maxReads is how many accounts are read at once: a batch may have a hundred.
const maxReads = 16

func (h *Handler) endpoints(ctx context.Context, accounts []string) map[string]accountEndpoints {
	read := make([]accountEndpoints, len(accounts))
	var g errgroup.Group
	g.SetLimit(maxReads)
	for i, account := range accounts {
		g.Go(func() error {
			read[i].endpoints, read[i].err = h.Store.Endpoints(ctx, account)
			return nil // one account's trouble ends the batch at its first record only
		})
	}
	_ = g.Wait()
	known := make(map[string]accountEndpoints, len(accounts))
	for i, account := range accounts {
		known[account] = read[i]
	}
	return known
}

func (h *Handler) commit(ctx context.Context, planned []webhook.Planned) error {
	if len(planned) == 0 {
		return nil
	}
	bells, err := h.Store.Put(ctx, planned)
	if err != nil {
		return fmt.Errorf("put %d events: %w", len(planned), err)
	}
	if len(bells) == 0 {
		return nil
	}
	if err := h.Queue.Ring(ctx, bells); err != nil {
		return fmt.Errorf("ring for %d deliveries: %w", len(bells), err)
	}
	return nil
}

// measure writes the batch's metrics: of its records the first were done.
func (h *Handler) measure(ctx context.Context, records []events.DynamoDBEventRecord, planned []webhook.Planned, done int) {
	line := h.Metrics.Line()
	if line == nil {
		return
	}
	line.Count(metrics.Records, len(records))
	line.Count(metrics.RecordsFailed, len(records)-done)
	line.Count(metrics.Events, len(planned))
	for _, p := range planned {
		if p.Event.Type == webhook.JobUnreadable {
			line.Count(metrics.Declined, 1)
		}
	}
	now := h.now()
	for _, r := range records[:done] {
		line.Millis(metrics.DispatchLag, now.Sub(r.Change.ApproximateCreationDateTime.Time))
	}
	line.Write(ctx)
}

// logDeclined tells which attribute cannot be understood, but not what stands
// in it. The whole reason is with the delivery, for the account and the operator.
func (h *Handler) logDeclined(ctx context.Context, p webhook.Planned, cause error) {
	var field *job.FieldError
	name := ""
	if errors.As(cause, &field) {
		name = field.Field
	}
	h.log().WarnContext(ctx, "change.declined", "sequence", p.Event.Sequence, "account", p.Event.Account,
		"delivery", p.Deliveries[0].ID, "attribute", name)
}

func failFrom(r events.DynamoDBEventRecord) events.DynamoDBEventResponse {
	return events.DynamoDBEventResponse{BatchItemFailures: []events.DynamoDBBatchItemFailure{
		{ItemIdentifier: r.Change.SequenceNumber},
	}}
}

func (h *Handler) retention() time.Duration {
	if h.Retention == 0 {
		return DefaultRetention
	}
	return h.Retention
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
