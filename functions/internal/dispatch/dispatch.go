// Package dispatch turns changes of job records into events and deliveries: a
// Lambda on the stream of the jobs table, or the same handler on the change
// feed of the standalone host.
package dispatch

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/jobhook/jobhook/shared/webhook"
)

// DefaultRetention is how long deliveries are kept.
const DefaultRetention = 30 * 24 * time.Hour

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
	Store     Store
	Queue     Queue
	Retention time.Duration    // how long deliveries are kept; 0 is DefaultRetention
	Now       func() time.Time // nil is time.Now
	Log       *slog.Logger     // nil is slog.Default
}

// Handle stores and rings for every record of the batch, in order. A record
// that cannot be understood becomes a declined delivery and holds nobody up.
// When the store or the queue fails, the first record that was not finished is
// named and the stream comes back with it and all that follow; ids are
// deterministic, so what was stored before is not stored twice. The error is
// always nil: an error of the function would slow the whole shard.
func (h *Handler) Handle(ctx context.Context, e events.DynamoDBEvent) (events.DynamoDBEventResponse, error) {
	planned, failedAt, planErr := h.plan(ctx, e.Records)
	if err := h.commit(ctx, planned); err != nil {
		h.log().ErrorContext(ctx, "batch.failed", "error", err, "records", len(e.Records))
		return failFrom(e.Records[0]), nil
	}
	if planErr != nil {
		h.log().ErrorContext(ctx, "batch.failed", "error", planErr, "records", len(e.Records), "done", failedAt)
		return failFrom(e.Records[failedAt]), nil
	}
	h.log().DebugContext(ctx, "batch.dispatched", "records", len(e.Records), "events", len(planned))
	return events.DynamoDBEventResponse{}, nil
}

// plan decides on the records in order, until one needs what cannot be read now.
func (h *Handler) plan(ctx context.Context, records []events.DynamoDBEventRecord) (all []webhook.Planned, done int, err error) {
	endpoints := map[string][]webhook.Endpoint{}
	for i, r := range records {
		if r.EventName == string(events.DynamoDBOperationTypeRemove) {
			continue
		}
		planned, err := h.planRecord(ctx, r, endpoints)
		if err != nil {
			return all, i, err
		}
		all = append(all, planned...)
	}
	return all, len(records), nil
}

func (h *Handler) planRecord(ctx context.Context, r events.DynamoDBEventRecord, known map[string][]webhook.Endpoint) ([]webhook.Planned, error) {
	now := h.now()
	p := planner{now: now, expires: now.Add(h.retention())}
	change, err := decodeChange(r)
	if err != nil {
		h.log().WarnContext(ctx, "change.declined", "sequence", r.Change.SequenceNumber, "error", err)
		return p.unreadable(r, err), nil
	}
	account := change.New.Account
	if _, ok := known[account]; !ok {
		if known[account], err = h.Store.Endpoints(ctx, account); err != nil {
			return nil, fmt.Errorf("account %s: endpoints: %w", account, err)
		}
	}
	return p.plan(change, known[account]), nil
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
