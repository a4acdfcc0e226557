package deliver

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/jobhook/jobhook/functions/internal/deadline"
	"github.com/jobhook/jobhook/functions/internal/metrics"
	"github.com/jobhook/jobhook/shared/webhook"
)

// What is kept of a function's time, from its end. With a timeout of 60 s a
// request of 30 s can begin until 18 s, and an outcome is written until 58 s.
const (
	// answerReserve is for the statistics, the metrics and the way back to Lambda.
	answerReserve = 2 * time.Second
	// recordReserve is for what follows the last request: four tries to record
	// its outcome, at once and after 1, 3 and 7 s, and the retry's doorbell.
	recordReserve = 10 * time.Second
)

// shortly is how long a message is kept back that there was no time for.
const shortly = 5 * time.Second

// batch is one invocation: the times it must keep, and what it counts.
type batch struct {
	ctx    context.Context // ends in time for the answer
	send   context.Context // ends in time to record what was sent
	record context.Context // ends like ctx, but not when we are being stopped
	stats  *tally
	line   *metrics.Line
	errs   []error        // one for each message
	wait   sync.WaitGroup // for what runs
}

// begin divides the time. Its second value gives up what it holds.
func (h *Handler) begin(ctx context.Context) (*batch, func()) {
	b := &batch{stats: newTally(), line: h.Metrics.Line()}
	var end [3]context.CancelFunc
	b.send, end[2] = deadline.Keep(ctx, answerReserve+recordReserve)
	b.ctx, end[0] = deadline.Keep(ctx, answerReserve)
	b.record, end[1] = deadline.Stubborn(b.ctx)
	return b, func() {
		for _, f := range end {
			f()
		}
	}
}

// conclude writes what the batch gathered. It has half of what was kept for
// the answer.
func (h *Handler) conclude(ctx context.Context, b *batch, errs []error) {
	ctx, cancel := deadline.Keep(ctx, answerReserve/2)
	defer cancel()
	if list := b.stats.list(); len(list) > 0 {
		if err := h.Store.AddStats(ctx, list); err != nil {
			h.log().WarnContext(ctx, "stats.lost", "error", err)
		}
	}
	b.line.Count(metrics.Messages, len(errs))
	for _, err := range errs {
		if err != nil && !errors.Is(err, errStay) {
			b.line.Count(metrics.MessagesFailed, 1)
		}
	}
	b.line.Write(ctx)
}

// measure counts an attempt by what became of its delivery.
func (b *batch) measure(w *webhook.Work, a answer, o webhook.Outcome, next webhook.Delivery) {
	switch {
	case o.Verdict == webhook.Done:
		b.line.Count(metrics.Delivered, 1)
	case next.State == webhook.StateWaiting:
		b.line.Count(metrics.Retried, 1)
	default:
		b.line.Count(metrics.Failed, 1)
	}
	if a.result.Failure != webhook.FailureUnsendable {
		b.line.Millis(metrics.EndpointLatency, a.timing.Total)
	}
	// A delivery that was held has a due time: it waited for its target, not for us.
	if d := w.Delivery; d.FirstAttempt() && d.DueAt.IsZero() {
		b.line.Millis(metrics.FirstAttemptLag, a.started.Sub(w.Event.At))
	}
}

// tooLate returns the message of an attempt that might not end in the time of
// this invocation. Another has all of its own.
func (h *Handler) tooLate(b *batch, m *events.SQSMessage, d webhook.Delivery) error {
	h.log().WarnContext(b.ctx, "delivery.postponed", "delivery", d.ID, "code", "ENOTIME", "detail", "too little of the function's time is left")
	return h.notYet(b.record, m, d, h.backIn(d))
}

// cutOff returns the message of an attempt that did not end before we must. It
// may have arrived: the next one repeats it, under the same webhook-id.
func (h *Handler) cutOff(b *batch, m *events.SQSMessage, d webhook.Delivery) error {
	why := fmt.Errorf("delivery %s: stopped during the attempt", d.ID)
	if b.ctx.Err() != nil {
		return fmt.Errorf("%w: %w", why, b.ctx.Err())
	}
	if err := h.notYet(b.record, m, d, h.backIn(d)); !errors.Is(err, errStay) {
		return errors.Join(why, err)
	}
	return why
}

// backIn is how long a message waits for another invocation: until our claim
// of the delivery, if there is one, has run out.
func (h *Handler) backIn(d webhook.Delivery) time.Duration {
	return max(shortly, d.LeaseUntil.Sub(h.now()))
}

// pause waits for d. It reports false, at once, when ctx would end before.
func (h *Handler) pause(ctx context.Context, d time.Duration) bool {
	if !deadline.Allows(ctx, d) {
		return false
	}
	if h.Pause == nil {
		time.Sleep(d)
	} else {
		h.Pause(d)
	}
	return true
}

// logFailure writes one wide line per attempt that failed.
func (h *Handler) logFailure(ctx context.Context, w *webhook.Work, a answer, o webhook.Outcome, next webhook.Delivery) {
	if o.Verdict == webhook.Done {
		return
	}
	d := w.Delivery
	attrs := []any{
		"delivery", d.ID, "event", d.EventID, "account", d.Account, "endpoint", d.Target.Endpoint,
		"format", d.Target.Format, "generation", d.Generation, "attempt", d.Attempts + 1,
		"status", a.result.Status, "failure", string(a.result.Failure), "code", a.result.Code,
		"state", string(next.State), "retry_after_s", o.After.Seconds(), "total_ms", a.timing.Total.Milliseconds(),
	}
	if trace := w.Event.Trace().ID(); trace != "" {
		attrs = append(attrs, "trace_id", trace)
	}
	h.log().WarnContext(ctx, "delivery.attempted", attrs...)
}
