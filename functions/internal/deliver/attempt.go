package deliver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/jobhook/jobhook/functions/internal/deadline"
	"github.com/jobhook/jobhook/shared/format"
	"github.com/jobhook/jobhook/shared/webhook"
)

// leaseSlack is added to a request's timeout: an attempt that has not recorded
// its end by then is taken for dead.
const leaseSlack = 10 * time.Second

// answer is what came of one request, and when it began.
type answer struct {
	result  webhook.Result
	timing  webhook.Timing
	started time.Time
	ended   time.Time // waits are counted from here
}

// attempt sends the webhook once and does what its outcome says.
func (h *Handler) attempt(b *batch, t *task) error {
	defer t.leads.open()
	t.follows.wait()
	p, why := h.Traffic.enter(b.send, t.lane())
	if why != entered {
		return h.busy(b, t, why)
	}
	defer p.leave(0, false)
	if !deadline.Allows(b.send, t.policy.Timeout) {
		return h.tooLate(b, t.m, t.w.Delivery)
	}
	if over, err := h.overtaken(b.ctx, t.w.Delivery, t.policy); over || err != nil {
		return err
	}
	if held, err := h.claimProbes(b, t); held || err != nil {
		return err
	}
	claimed, err := h.claim(b.ctx, t.w.Delivery, t.policy)
	if errors.Is(err, webhook.ErrStale) {
		return nil // somebody else attends to it
	}
	if err != nil {
		return fmt.Errorf("delivery %s: claim: %w", t.w.Delivery.ID, err)
	}
	t.w.Delivery = claimed
	if !deadline.Allows(b.send, t.policy.Timeout) {
		return h.tooLate(b, t.m, t.w.Delivery) // claiming it took long
	}
	if t.w.Delivery.Attempts+t.w.Delivery.Postponed == 0 {
		t.w.Delivery.Deadline = t.policy.Deadline(h.now()) // it may have been held for long
	}
	a := h.send(b.send, t)
	a.ended = h.now()
	if deadline.Over(b.send) && a.result.Failure != "" {
		return h.cutOff(b, t.m, t.w.Delivery)
	}
	if a.result.Failure != webhook.FailureOurs {
		p.leave(a.timing.Total, a.result.Failure == webhook.FailureTimeout)
	}
	return h.conclusion(b, t, a)
}

// conclusion does what the outcome of an attempt that was made says: it is
// recorded even if we are being stopped.
func (h *Handler) conclusion(b *batch, t *task, a answer) error {
	if a.result.Failure == webhook.FailureOurs {
		return h.postpone(b.record, t.m, t.w.Delivery, a.result)
	}
	o := t.policy.Outcome(t.w.Delivery, a.result, a.ended, h.jitter())
	err := h.settle(b, t, a, o)
	h.learn(b, t, a, o)
	return err
}

// ourFault is the pause after a request that could not be made for want of
// sockets or files of our own.
const ourFault = 10 * time.Second

// postpone keeps the message back. No attempt is recorded: none was made.
func (h *Handler) postpone(ctx context.Context, m *events.SQSMessage, d webhook.Delivery, r webhook.Result) error {
	h.log().ErrorContext(ctx, "delivery.postponed", "delivery", d.ID, "code", r.Code, "detail", r.Detail)
	return h.notYet(ctx, m, d, ourFault)
}

// overtaken ends a progress webhook that would be retried although a newer one
// of the same job is on its way.
func (h *Handler) overtaken(ctx context.Context, d webhook.Delivery, p webhook.Policy) (bool, error) {
	if d.Attempts+d.Postponed == 0 {
		return false, nil
	}
	over, err := h.pointless(ctx, d, p)
	if err != nil { // sent in vain is better than not sent
		h.log().WarnContext(ctx, "newer_progress.unknown", "delivery", d.ID, "error", err)
	}
	if !over {
		return false, nil
	}
	return true, h.end(ctx, d, webhook.StateSuperseded, supersededReason)
}

const supersededReason = "a newer progress event of the same job made a retry pointless"

// claim takes the lease of every attempt but a first one in the first lane, which
// its message alone protects: visibility outlasts the request. A delivery that is
// due has been rung for again, or will be, and one in the retry lane may have left
// a message in the first.
func (h *Handler) claim(ctx context.Context, d webhook.Delivery, p webhook.Policy) (webhook.Delivery, error) {
	if h.Retry != nil && d.FirstAttempt() && d.State == webhook.StateQueued && d.DueAt.IsZero() {
		return d, nil
	}
	next := d
	next.UpdatedAt = h.now()
	next.LeaseUntil = next.UpdatedAt.Add(p.Timeout + leaseSlack)
	return next, h.Store.Record(ctx, d, next, nil)
}

// send renders, signs and posts the event.
func (h *Handler) send(ctx context.Context, t *task) answer {
	a := answer{started: h.now()}
	r, err := Compose(t.w, t.format, h.PublicURL, a.started)
	if err != nil {
		a.result = unsendable(err)
		return a
	}
	r.Timeout = t.policy.Timeout
	a.result, a.timing = h.Sender.Post(t.leads.watch(ctx), r)
	return a
}

// Compose renders and signs the request of an attempt that begins now. Its
// timeout is for the caller to set. An error says, in words that may be shown,
// why there is no such request; the URL is there all the same.
func Compose(w *webhook.Work, f format.Format, publicURL string, now time.Time) (webhook.Request, error) {
	r := webhook.Request{URL: w.URL(), Header: make(http.Header, 5)}
	body, err := f.Encode(w.Event, publicURL)
	if err != nil {
		return r, fmt.Errorf("the body could not be written: %w", err)
	}
	r.ContentType, r.Body = body.ContentType, body.Bytes
	if err := webhook.Sign(r.Header, w.Secrets, w.Event.ID, now, body.Bytes); err != nil {
		return r, fmt.Errorf("the body could not be signed: %w", err)
	}
	w.Event.Trace().SetHeader(r.Header)
	addOwn(r.Header, w.Endpoint.Headers)
	return r, nil
}

// addOwn adds an endpoint's own headers. They are checked once more: what the
// store holds may be older than the rules, and none may take the place of a
// signature or frame the request anew.
func addOwn(header http.Header, own []webhook.Header) {
	for _, x := range own {
		checked, _, err := webhook.CheckHeaders([]webhook.Header{x})
		if err != nil {
			continue
		}
		if name := checked[0].Name; header[name] == nil {
			header[name] = []string{x.Value}
		}
	}
}

func unsendable(why error) webhook.Result {
	return webhook.Result{Failure: webhook.FailureUnsendable, Detail: why.Error()}
}

// settle records the attempt with its outcome, then sees to the next one.
func (h *Handler) settle(b *batch, t *task, a answer, o webhook.Outcome) error {
	ctx, w := b.record, t.w
	h.sideEffects(ctx, w, o)
	next := h.next(ctx, w.Delivery, a, o, t.policy)
	b.stats.count(w, a, o, next)
	b.measure(w, a, o, next)
	h.logFailure(ctx, w, a, o, next)
	err := h.record(ctx, w.Delivery, next, attemptOf(w, a, o, next))
	switch {
	case errors.Is(err, webhook.ErrStale):
		h.log().InfoContext(ctx, "delivery.raced", "delivery", w.Delivery.ID, "state", next.State)
		return nil
	case err != nil:
		return fmt.Errorf("delivery %s: record %s: %w", w.Delivery.ID, next.State, err)
	case next.State != webhook.StateWaiting || !next.DueAt.IsZero():
		return nil
	}
	return h.again(ctx, t.m, next, o.After)
}

// recordTries and recordPause are how often, and how far apart, the outcome of
// an attempt that was made is written before its message is left to come
// again, and the attempt with it.
const (
	recordTries = 5
	recordPause = time.Second
)

// record writes the outcome, patiently where the store cannot just now, as long
// as the function has time. A try that answered with an error may have been
// written all the same: the next one then finds the row changed, by us. So a
// stale row counts as recorded after an error; if it was somebody else after
// all, there is one doorbell too many, which does no harm.
func (h *Handler) record(ctx context.Context, read, next webhook.Delivery, a *webhook.Attempt) error {
	err := h.Store.Record(ctx, read, next, a)
	for try := 1; try < recordTries && err != nil; try++ {
		if errors.Is(err, webhook.ErrStale) || errors.Is(err, webhook.ErrNotFound) {
			return err
		}
		if !h.pause(ctx, recordPause<<(try-1)) {
			return err
		}
		if err = h.Store.Record(ctx, read, next, a); errors.Is(err, webhook.ErrStale) {
			return nil
		}
	}
	return err
}

// sideEffects of an outcome on others than the delivery. They are not worth
// failing the attempt for: it was made, and must be recorded. So they get half
// of the time for it.
func (h *Handler) sideEffects(ctx context.Context, w *webhook.Work, o webhook.Outcome) {
	if o.Silence == 0 && !o.Disable {
		return
	}
	ctx, cancel := deadline.Share(ctx)
	defer cancel()
	if o.Silence > 0 {
		if err := h.Store.Silence(ctx, w.URL(), h.now().Add(o.Silence)); err != nil {
			h.log().ErrorContext(ctx, "silence.lost", "delivery", w.Delivery.ID, "error", err)
		}
	}
	if o.Disable && w.HasEndpoint {
		h.disable(ctx, w, w.Health, o.Reason)
	}
}

// next is the delivery's row after the attempt.
func (h *Handler) next(ctx context.Context, d webhook.Delivery, a answer, o webhook.Outcome, p webhook.Policy) webhook.Delivery {
	now, next := a.ended, d
	next.State, next.Reason, next.UpdatedAt = o.State(), o.Reason, now
	next.LeaseUntil, next.NextAt, next.DueAt = time.Time{}, time.Time{}, time.Time{}
	next.LastStatus, next.LastFailure = a.result.Status, string(a.result.Failure)
	if o.Spends {
		next.Attempts++
	} else {
		next.Postponed++
	}
	if o.Verdict == webhook.Done && next.DeliveredAt.IsZero() {
		next.DeliveredAt = now
	}
	if o.Verdict == webhook.Retry {
		over, err := h.pointless(ctx, d, p)
		if err != nil { // the attempt must be recorded, and its retry looks again
			h.log().WarnContext(ctx, "overtaken.unknown", "delivery", d.ID, "error", err)
		}
		if over {
			next.State, next.Reason = webhook.StateSuperseded, o.Reason+"; "+supersededReason
			return keepDelivered(next)
		}
		next.NextAt = now.Add(o.After)
		if o.After > MaxHide {
			next.DueAt = next.NextAt // parked
		}
	}
	return keepDelivered(next)
}

// pointless tells whether a retry would say what a newer event says better.
func (h *Handler) pointless(ctx context.Context, d webhook.Delivery, p webhook.Policy) (bool, error) {
	if !p.Supersedes || d.EventType != webhook.JobProgress {
		return false, nil
	}
	ctx, cancel := deadline.Share(ctx)
	defer cancel()
	over, err := h.Store.Overtaken(ctx, d)
	if err != nil {
		return false, fmt.Errorf("delivery %s: look for newer progress: %w", d.ID, err)
	}
	return over, nil
}

// keepDelivered lets a failed resend end as what the delivery was before: a
// success is never taken away.
func keepDelivered(d webhook.Delivery) webhook.Delivery {
	if d.State.Final() && d.State != webhook.StateDelivered && !d.DeliveredAt.IsZero() {
		d.Reason = fmt.Sprintf("delivered before; the resend failed (%s): %s", d.State, d.Reason)
		d.State = webhook.StateDelivered
	}
	return d
}

// again sees that a message rings for the next attempt: one in the retry queue
// for a first failure, else this one, hidden.
func (h *Handler) again(ctx context.Context, m *events.SQSMessage, d webhook.Delivery, after time.Duration) error {
	if h.Retry != nil {
		bell := d.Doorbell()
		bell.After = after
		err := h.Retry.Ring(ctx, []webhook.Doorbell{bell})
		if err == nil {
			return nil
		}
		h.log().WarnContext(ctx, "retry.kept", "delivery", d.ID, "error", err)
	}
	if err := h.Queue.Hide(ctx, m.ReceiptHandle, after); err != nil {
		return fmt.Errorf("delivery %s: hide for %s: %w", d.ID, after, err)
	}
	return errStay
}

func attemptOf(w *webhook.Work, a answer, o webhook.Outcome, next webhook.Delivery) *webhook.Attempt {
	return &webhook.Attempt{
		Account: w.Delivery.Account, Delivery: w.Delivery.ID, Generation: w.Delivery.Generation,
		At: a.started, URL: w.URL(), Result: a.result.Trim(o.Verdict == webhook.Done), Timing: a.timing,
		State: next.State, Reason: next.Reason,
	}
}
