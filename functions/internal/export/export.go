// Package export makes the files of a run's results out of its uploaded
// records: pages of JSON, JSON Lines and CSV, and all pages of each together. It
// is a Lambda on the export queue, or the same handler on the queue of the
// standalone host. Records are streamed: memory does not grow with their number.
package export

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/jobhook/jobhook/functions/internal/crew"
	"github.com/jobhook/jobhook/functions/internal/deadline"
	"github.com/jobhook/jobhook/functions/internal/erase"
	"github.com/jobhook/jobhook/functions/internal/metrics"
	"github.com/jobhook/jobhook/shared/files"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// DefaultRetention is how long the links of a result set work.
const DefaultRetention = 14 * 24 * time.Hour

// MaxTries is how often an export is tried before it has failed.
const MaxTries = 3

// What is kept of a function's time, from its end.
const (
	// answerReserve is for the metrics and the way back to Lambda.
	answerReserve = 2 * time.Second
	// tellReserve is for writing down that time ran out.
	tellReserve = 13 * time.Second
)

// Files are where records lie, and where their files go.
type Files interface {
	// List returns the first files, in the order of keys, that begin with prefix.
	List(ctx context.Context, prefix string, limit int) ([]files.Info, error)
	// Open returns a file, to be closed, and its size in bytes.
	Open(ctx context.Context, key string) (io.ReadCloser, int64, error)
	// Put writes a file whole or not at all; it replaces one of the same key.
	Put(ctx context.Context, key string, body io.Reader, m files.Meta) error
}

// Store keeps events and result sets.
type Store interface {
	// Event returns an event with its snapshot, webhook.ErrNotFound when there is none.
	Event(ctx context.Context, account, id string) (webhook.Event, error)
	// BeginResultSet keeps the set unless its run has one, and returns what is kept.
	BeginResultSet(ctx context.Context, s webhook.ResultSet) (webhook.ResultSet, error)
	// FinishResultSet replaces what the export found out. It returns
	// webhook.ErrStale instead of making a ready set a failed one.
	FinishResultSet(ctx context.Context, s webhook.ResultSet) error
}

// Jobs keeps job records.
type Jobs interface {
	// WriteJob writes what f makes of a job, nil when there is none. An error of
	// f is returned as it is, and nothing is written.
	WriteJob(ctx context.Context, id string, kind job.Kind, f func(old *job.Job) (job.Job, error)) (written job.Job, created bool, err error)
}

// Dispatcher makes events of changes that no stream tells of.
type Dispatcher interface {
	// Apply stores and rings for what the change means. Doing so again changes nothing.
	Apply(ctx context.Context, c job.Change) error
}

// Erasures goes on with erasures of accounts and subjects.
type Erasures interface {
	// Run goes on with those that are running, as far as one run may take.
	Run(ctx context.Context) error
}

// Queue is the queue that messages come from.
type Queue interface {
	// Hide makes a received message invisible for d from now on.
	Hide(ctx context.Context, receipt string, d time.Duration) error
}

// retryAfter is when an export that failed n times is tried again: after half a
// minute, two, eight. Without Queue it is when the message is visible again:
// hours, as that must outlast the longest export.
func retryAfter(n int) time.Duration { return 30 * time.Second << (2 * min(max(n-1, 0), 2)) }

// Handler exports the results of runs.
type Handler struct {
	Files     Files
	Queue     Queue // brings failed messages back soon; nil: they stay hidden
	Store     Store
	Jobs      Jobs // nil when the platform keeps its own table: all is told by Dispatch
	Dispatch  Dispatcher
	Erasures  Erasures         // run when a message asks for it, see erase.Message; nil: nobody asks
	Retention time.Duration    // how long links work; 0 is DefaultRetention
	Metrics   *metrics.Emitter // one line per batch; nil: none
	Now       func() time.Time // nil is time.Now
	Log       *slog.Logger     // nil is slog.Default
}

// Handle exports for each message, a webhook.Export, one after the other, and
// reports those that are to come again. A queue gives it one at a time: each
// may need all of the function's time. The error is always nil.
func (h *Handler) Handle(ctx context.Context, e events.SQSEvent) (events.SQSEventResponse, error) {
	ctx, cancel := deadline.Keep(ctx, answerReserve)
	defer cancel()
	line := h.Metrics.Line()
	line.Count(metrics.Messages, len(e.Records))
	var answer events.SQSEventResponse
	for _, m := range e.Records {
		if err := crew.Guarded(func() error { return h.handle(ctx, m, line) }); err != nil {
			h.log().ErrorContext(ctx, "export.postponed", "message", m.MessageId, "receives", receives(m), "error", err)
			h.bringBack(ctx, m)
			line.Count(metrics.MessagesFailed, 1)
			answer.BatchItemFailures = append(answer.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: m.MessageId})
		}
	}
	line.Write(ctx)
	return answer, nil
}

// bringBack lets a failed message come again soon. Should that fail, it comes later.
func (h *Handler) bringBack(ctx context.Context, m events.SQSMessage) {
	if h.Queue == nil {
		return
	}
	ctx, cancel := deadline.Stubborn(ctx)
	defer cancel()
	if err := h.Queue.Hide(ctx, m.ReceiptHandle, retryAfter(receives(m))); err != nil {
		h.log().WarnContext(ctx, "hide.failed", "message", m.MessageId, "error", err)
	}
}

// run is one run whose results are exported.
type run struct {
	webhook.Export
	event webhook.Event // of its end
	job   job.Job       // as it was then
	set   webhook.ResultSet
}

func (h *Handler) handle(ctx context.Context, m events.SQSMessage, line *metrics.Line) error {
	if m.Body == erase.Message {
		h.erase(ctx)
		return nil
	}
	r, err := h.read(ctx, m.Body)
	if errors.Is(err, webhook.ErrNotFound) && receives(m) > 1 {
		h.log().WarnContext(ctx, "export.dropped", "message", m.MessageId, "error", err) // it was erased
		return nil
	}
	if err != nil {
		return err
	}
	if r.set.State == webhook.ResultSetExporting {
		began := h.now()
		if err := h.finish(ctx, &r, receives(m)); err != nil {
			return fmt.Errorf("job %s: run %d: %w", r.JobID, r.Run, err)
		}
		h.measure(ctx, r, h.now().Sub(began), line)
	}
	if err := h.tell(ctx, r); err != nil {
		return fmt.Errorf("job %s: run %d: tell of the result set: %w", r.JobID, r.Run, err)
	}
	return nil
}

// erase goes on with erasures. What fails is asked for again, within a minute.
func (h *Handler) erase(ctx context.Context) {
	if h.Erasures == nil {
		return
	}
	if err := h.Erasures.Run(ctx); err != nil {
		h.log().ErrorContext(ctx, "erasure.postponed", "error", err)
	}
}

// read finds out what a message is about. Its set is the one of an earlier try,
// if there was one: links that were given away stay.
func (h *Handler) read(ctx context.Context, body string) (r run, err error) {
	if err := json.Unmarshal([]byte(body), &r.Export); err != nil {
		return r, fmt.Errorf("message: %w", err)
	}
	if r.event, err = h.Store.Event(ctx, r.Account, r.EventID); err != nil {
		return r, fmt.Errorf("event %s: %w", r.EventID, err)
	}
	if r.job, err = r.event.Job(); err != nil {
		return r, fmt.Errorf("event %s: snapshot: %w", r.EventID, err)
	}
	r.set, err = h.Store.BeginResultSet(ctx, h.newSet(r.Export))
	if err != nil {
		return r, fmt.Errorf("job %s: run %d: begin the result set: %w", r.JobID, r.Run, err)
	}
	return r, nil
}

func (h *Handler) newSet(e webhook.Export) webhook.ResultSet {
	now := h.now()
	retention := h.Retention
	if retention == 0 {
		retention = DefaultRetention
	}
	return webhook.ResultSet{
		Account: e.Account, Kind: e.Kind, JobID: e.JobID, Run: e.Run,
		Token: webhook.NewResultSetToken(e.Account, e.Kind, e.JobID, e.Run), State: webhook.ResultSetExporting,
		CreatedAt: now, UpdatedAt: now, ExpiresAt: now.Add(retention),
	}
}

// finish exports, and keeps what came of it: files, or the reason why there are
// none. An error means that it is to be tried again.
func (h *Handler) finish(ctx context.Context, r *run, tries int) error {
	err := errNeverEnds
	if tries <= MaxTries {
		work, cancel := deadline.Keep(ctx, tellReserve)
		err = h.export(work, r)
		cancel()
	}
	if err != nil {
		return h.fail(ctx, r, tries, err)
	}
	r.set.State, r.set.UpdatedAt = webhook.ResultSetExported, h.now()
	return h.Store.FinishResultSet(ctx, r.set)
}

// errNeverEnds: every try ended without a word, as a function does that runs out
// of memory or time.
var errNeverEnds = errors.New("all tries were cut off")

// fail keeps the reason why there are no files, when no further try would make
// them. Else it returns the error.
func (h *Handler) fail(ctx context.Context, r *run, tries int, err error) error {
	reason, never := refused(err)
	stopped := errors.Is(ctx.Err(), context.Canceled) // which is no fault of the export
	if stopped || !never && tries < MaxTries {
		return err
	}
	h.log().ErrorContext(ctx, "export.failed", "account", r.Account, "kind", string(r.Kind), "job", r.JobID, "run", r.Run,
		"tries", tries, "reason", reason, "error", err)
	failed := r.set
	failed.State, failed.Reason, failed.UpdatedAt = webhook.ResultSetFailed, reason, h.now()
	err = h.Store.FinishResultSet(ctx, failed)
	if !errors.Is(err, webhook.ErrStale) {
		r.set = failed
		return err
	}
	// It is ready, by another invocation, which took the message when ours seemed lost.
	r.set, err = h.Store.BeginResultSet(ctx, r.set)
	return err
}

func (h *Handler) measure(ctx context.Context, r run, took time.Duration, line *metrics.Line) {
	if r.set.State == webhook.ResultSetFailed {
		line.Count(metrics.ExportsFailed, 1)
		return
	}
	line.Count(metrics.Exported, 1)
	line.Count(metrics.ExportedRecords, r.set.Records)
	line.Millis(metrics.ExportTime, took)
	h.log().InfoContext(ctx, "export.finished", "account", r.Account, "kind", string(r.Kind), "job", r.JobID, "run", r.Run,
		"records", r.set.Records, "pages", r.set.Pages, "bytes", r.set.Bytes, "total_ms", took.Milliseconds())
}

// refusal is why an export can never succeed, in words for the customer.
type refusal struct{ reason string }

func (r refusal) Error() string { return r.reason }

// refused tells why an export has failed, and whether it always would.
func refused(err error) (reason string, never bool) {
	var r refusal
	if errors.As(err, &r) {
		return r.reason, true
	}
	return "its files could not be written", false
}

// receives is how often a message was received, this time included.
func receives(m events.SQSMessage) int {
	n, err := strconv.Atoi(m.Attributes["ApproximateReceiveCount"])
	if err != nil {
		return 1
	}
	return n
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
