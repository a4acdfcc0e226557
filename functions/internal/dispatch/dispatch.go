// Package dispatch turns changes of job records into events and deliveries: a
// Lambda on the stream of the jobs table, or the same handler on the change
// feed of the standalone host.
package dispatch

import (
	"context"
	"encoding/json"
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
	// Quotas are what an account may use, zero for an unknown one. They are
	// served from memory, at most a minute old.
	Quotas(ctx context.Context, account string) (webhook.Quotas, error)
}

// Queue takes the doorbells of first attempts.
type Queue interface {
	// Ring sends the doorbells. After an error some may have been sent.
	Ring(ctx context.Context, bells []webhook.Doorbell) error
}

// Exports takes what is asked of the export function.
type Exports interface {
	// Send sends one message: a webhook.Export, as JSON.
	Send(ctx context.Context, group, body string, delay time.Duration) error
}

// Handler dispatches batches of stream records.
type Handler struct {
	Store      Store
	Queue      Queue
	Exports    Exports          // nil: no records are exported
	Pace       *Pace            // of accounts with a quota of events; nil: it is not held
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
	spent := h.Pace.begin(h.now())
	planned, exports, done, err := h.plan(ctx, e.Records, spent)
	if err2 := h.commit(ctx, planned, exports); err2 != nil {
		planned, done, err = nil, 0, err2
	} else {
		spent.count()
	}
	h.measure(ctx, e.Records, planned, done)
	if err != nil {
		h.log().ErrorContext(ctx, "batch.failed", "error", err, "records", len(e.Records), "done", done)
		return failFrom(e.Records[done]), nil
	}
	h.log().DebugContext(ctx, "batch.dispatched", "records", len(e.Records), "events", len(planned))
	return events.DynamoDBEventResponse{}, nil
}

// Apply dispatches a change that no stream tells of.
func (h *Handler) Apply(ctx context.Context, c job.Change) error {
	account := h.accounts(ctx, []string{c.New.Account})[c.New.Account]
	if account.err != nil {
		return account.err
	}
	spent := h.Pace.begin(h.now())
	if err := h.commit(ctx, h.planOf(c, *account, spent), nil); err != nil {
		return err
	}
	spent.count()
	return nil
}

// plan decides on the records in order, until one needs what cannot be read now.
func (h *Handler) plan(ctx context.Context, records []events.DynamoDBEventRecord, spent *spending) (all []webhook.Planned, exports []webhook.Export, done int, err error) {
	changes := h.decode(records)
	known := h.accounts(ctx, accountsOf(changes))
	for i, c := range changes {
		switch {
		case c.removed:
		case c.err != nil:
			planned := h.planner(webhook.Quotas{}).unreadable(records[i], c.err)
			h.logDeclined(ctx, planned[0], c.err)
			all = append(all, planned...)
		default:
			account := known[c.New.Account]
			if account.err != nil {
				return all, exports, i, account.err
			}
			all = append(all, h.planOf(c.Change, *account, spent)...)
			if e, ok := exportOf(c.Change); ok && h.Exports != nil {
				exports = append(exports, e)
			}
		}
	}
	return all, exports, len(records), nil
}

func (h *Handler) planOf(c job.Change, a accountState, spent *spending) []webhook.Planned {
	planned := h.planner(a.quotas).plan(c, a.endpoints)
	for i := range planned {
		if isSent(planned[i]) && !spent.allows(c.New.Account, a.quotas.EventsPerMinute) {
			overQuota(planned[i].Deliveries, a.quotas.EventsPerMinute)
		}
	}
	return planned
}

// planner is that of an account: deliveries are kept as long as it may keep them.
func (h *Handler) planner(q webhook.Quotas) planner {
	retention := h.retention()
	if q.RetentionDays > 0 {
		retention = time.Duration(q.RetentionDays) * 24 * time.Hour
	}
	now := h.now()
	return planner{now: now, expires: now.Add(retention), attributes: h.Attributes}
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
			list[i].Change = list[i].CarryRecords()
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

// accountState is what is known of an account, or why it cannot be read.
type accountState struct {
	endpoints []webhook.Endpoint
	quotas    webhook.Quotas
	err       error
}

// maxReads is how many accounts are read at once: a batch may have a hundred.
const maxReads = 16

func (h *Handler) accounts(ctx context.Context, ids []string) map[string]*accountState {
	read := make([]accountState, len(ids))
	var g errgroup.Group
	g.SetLimit(maxReads)
	for i, id := range ids {
		g.Go(func() error {
			read[i] = h.account(ctx, id)
			return nil // one account's trouble ends the batch at its first record only
		})
	}
	_ = g.Wait()
	known := make(map[string]*accountState, len(ids))
	for i, id := range ids {
		known[id] = &read[i]
	}
	return known
}

func (h *Handler) account(ctx context.Context, id string) (a accountState) {
	if a.endpoints, a.err = h.Store.Endpoints(ctx, id); a.err != nil {
		a.err = fmt.Errorf("account %s: endpoints: %w", id, a.err)
		return a
	}
	if a.quotas, a.err = h.Store.Quotas(ctx, id); a.err != nil {
		a.err = fmt.Errorf("account %s: quotas: %w", id, a.err)
	}
	return a
}

// commit stores what was planned, then rings for it, then asks for exports. If
// the batch comes again, exports are asked for again, which does no harm.
func (h *Handler) commit(ctx context.Context, planned []webhook.Planned, exports []webhook.Export) error {
	if len(planned) > 0 {
		bells, err := h.Store.Put(ctx, planned)
		if err != nil {
			return fmt.Errorf("put %d events: %w", len(planned), err)
		}
		if len(bells) > 0 {
			if err := h.Queue.Ring(ctx, bells); err != nil {
				return fmt.Errorf("ring for %d deliveries: %w", len(bells), err)
			}
		}
	}
	for _, e := range exports {
		body, err := json.Marshal(e)
		if err != nil {
			return err
		}
		if err := h.Exports.Send(ctx, e.Account, string(body), 0); err != nil {
			return fmt.Errorf("ask for the export of job %s, run %d: %w", e.JobID, e.Run, err)
		}
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
