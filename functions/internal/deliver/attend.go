package deliver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/jobhook/jobhook/functions/internal/metrics"
	"github.com/jobhook/jobhook/shared/format"
	"github.com/jobhook/jobhook/shared/webhook"
)

// task is a message of a batch, with all that its attempt needs.
type task struct {
	i      int // place in the batch
	m      *events.SQSMessage
	w      *webhook.Work
	format format.Format
	policy webhook.Policy // of the format, with what the endpoint changed

	probes     bool // the attempt has claimed the probe of the endpoint's circuit
	probesHost bool // and of the host's

	leads, follows *lead // who connects to the host first; nil: nobody
}

// noTime is the due time of what sweep finds by its endpoint.
var noTime time.Time

// action is what becomes of a delivery before any attempt.
type action int

const (
	doTry  action = iota
	doWait        // it is not due
	doHold        // its target is not called now
	doEnd         // it can be sent no more
)

// ruling is what a delivery's rows ask for.
type ruling struct {
	do    action
	until time.Time // of doWait; of doHold: when sweep rings, zero if it looks at the endpoint
	why   string    // of doHold and doEnd
}

// attend does what the rows of a batch ask for now. The deliveries of an
// endpoint with a rate go through one lease together, all others go alone.
func (h *Handler) attend(b *batch, messages []events.SQSMessage, works []*webhook.Work) {
	tasks := make([]task, len(messages))
	var free, slow []*task
	var limited map[string][]*task
	for i := range messages {
		if b.errs[i] != nil || works[i] == nil {
			continue
		}
		t := &tasks[i]
		*t = task{i: i, m: &messages[i], w: works[i]}
		r, err := h.look(t)
		switch {
		case err != nil:
			b.errs[i] = err
		case r.do != doTry:
			h.run(b, t, func() error { return h.follow(b, t, r) })
		case h.Retry != nil && h.Traffic.diverts(t.lane()):
			slow = append(slow, t)
		case t.rate() > 0:
			if limited == nil {
				limited = map[string][]*task{}
			}
			limited[t.w.Endpoint.ID] = append(limited[t.w.Endpoint.ID], t)
		default:
			free = append(free, t)
		}
	}
	h.divertAll(b, slow)
	for _, group := range limited {
		h.runLeased(b, group)
	}
	form(free)
	for i, t := range free {
		if i == len(free)-1 { // a batch of one has one goroutine, also while its receiver hangs
			b.errs[t.i] = t.guarded(func() error { return h.attempt(b, t) })
			break
		}
		h.run(b, t, func() error { return h.attempt(b, t) })
	}
}

// run does something for a task beside everything else, and keeps its error. A
// panic is that of this message alone.
func (h *Handler) run(b *batch, t *task, f func() error) {
	b.wait.Add(1)
	h.Crew.Go(func() {
		defer b.wait.Done()
		b.errs[t.i] = t.guarded(f)
	})
}

func (t *task) guarded(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("delivery %s: panic: %v", t.w.Delivery.ID, p)
		}
	}()
	return f()
}

// look finds the format and the ruling of a task.
func (h *Handler) look(t *task) (r ruling, err error) {
	err = t.guarded(func() error {
		now, known := h.now(), false
		t.w.Health = h.Health.newest(t.w, now)
		t.format, known = format.Lookup(t.w.Delivery.Target.Format)
		t.policy = t.format.Policy.With(t.w.Endpoint.Policy)
		if r = rule(t.w, now); r.do == doTry && !known {
			r = ruling{do: doEnd, why: fmt.Sprintf("the format %q is unknown", t.w.Delivery.Target.Format)}
		}
		return nil
	})
	return r, err
}

// rule tells what the rows ask for, as long as nothing else is under way.
func rule(w *webhook.Work, now time.Time) ruling {
	d := w.Delivery
	switch {
	case d.InFlight(now):
		return ruling{do: doWait, until: d.LeaseUntil}
	case !d.ExpiresAt.IsZero() && !d.ExpiresAt.After(now):
		return ruling{do: doEnd, why: "expired before it could be sent"}
	case w.HasEndpoint && w.Endpoint.Status != webhook.EndpointEnabled:
		return ruling{do: doHold, why: whyNotEnabled(w.Endpoint)}
	case d.Target.Endpoint != "" && !w.HasEndpoint:
		return ruling{do: doEnd, why: "the endpoint was deleted"}
	case w.SilentUntil.After(now):
		return ruling{do: doHold, until: w.SilentUntil, why: webhook.HoldSilent.Because(
			"a call of this URL timed out; nobody calls it until " + w.SilentUntil.UTC().Format(time.RFC3339))}
	case d.NextAt.After(now):
		return ruling{do: doWait, until: d.NextAt}
	}
	if r, held := gated(w, now); held {
		return r
	}
	return ruling{do: doTry}
}

// gated tells whether what is known of the endpoint or of its host keeps the
// delivery. For the endpoint's sake no sweep is asked for: it looks at every
// endpoint that holds deliveries, so also at one that was read from an old
// memory, which is why nobody reads it again after writing the hold.
func gated(w *webhook.Work, now time.Time) (ruling, bool) {
	if g := w.Health.Gate(now); w.HasEndpoint && g.Pass == webhook.PassNone {
		if g.Until.Equal(w.Health.PausedUntil) && g.Until.Sub(now) <= moment {
			return ruling{do: doWait, until: g.Until}, true
		}
		return ruling{do: doHold, why: g.Why}, true
	}
	if g := w.Host.Gate(now); g.Pass == webhook.PassNone {
		return holdForHost(w, g.Until, g.Why), true
	}
	return ruling{}, false
}

// holdForHost holds a delivery for the sake of its host. That of an endpoint is
// found by sweep, which looks at hosts too; that of a URL on a job is due then.
func holdForHost(w *webhook.Work, until time.Time, why string) ruling {
	if w.HasEndpoint {
		until = noTime
	}
	return ruling{do: doHold, until: until, why: why}
}

// moment is what remains of a pause that is not worth a hold. A retry is due
// when the pause that it asked for ends, give or take a store's precision.
const moment = time.Second

func whyNotEnabled(e webhook.Endpoint) string {
	hold := webhook.HoldDisabled
	if e.Status == webhook.EndpointPaused {
		hold = webhook.HoldPaused
	}
	if e.StatusReason == "" {
		return hold.Because("the endpoint is " + string(e.Status))
	}
	return hold.Because(e.StatusReason)
}

// follow does what a ruling says.
func (h *Handler) follow(b *batch, t *task, r ruling) error {
	switch r.do {
	case doWait:
		return h.notYet(b.ctx, t.m, t.w.Delivery, r.until.Sub(h.now()))
	case doEnd:
		return h.end(b.ctx, t.w.Delivery, unsent(t.w.Delivery), r.why)
	}
	if r.until.IsZero() {
		return h.hold(b, t.w, noTime, r.why)
	}
	return h.hold(b, t.w, r.until.Add(h.spread(0, holdSpread)), r.why)
}

// holdSpread is over how long those are spread that were held until one time, so
// that they do not all come at that time.
const holdSpread = 30 * time.Second

// unsent is the end of a delivery that can be sent no more: declined means
// that it never was.
func unsent(d webhook.Delivery) webhook.State {
	if d.NeverSent() {
		return webhook.StateDeclined
	}
	return webhook.StateDead
}

// notYet keeps the message back until it is due. What is due later than a
// message may be hidden has been parked, and sweep will ring for it.
func (h *Handler) notYet(ctx context.Context, m *events.SQSMessage, d webhook.Delivery, wait time.Duration) error {
	if wait > MaxHide && !d.DueAt.IsZero() {
		return nil
	}
	wait = min(wait, MaxHide)
	if err := h.Queue.Hide(ctx, m.ReceiptHandle, wait); err != nil {
		return fmt.Errorf("hide for %s: %w", wait, err)
	}
	return errStay
}

// hold parks the delivery until the target may be called again: until then, or
// until sweep finds the reason gone.
func (h *Handler) hold(b *batch, w *webhook.Work, until time.Time, why string) error {
	next := w.Delivery
	next.State, next.Reason, next.DueAt = webhook.StateHeld, why, until
	if until.After(next.NextAt) {
		next.NextAt = until
	}
	if !until.IsZero() {
		next.DueAt = next.NextAt
	}
	err := h.write(b.ctx, w.Delivery, next, nil)
	if err == nil {
		b.line.Count(metrics.Held, 1)
	}
	return err
}

// end gives the delivery a final state without an attempt.
func (h *Handler) end(ctx context.Context, d webhook.Delivery, s webhook.State, why string) error {
	next := d
	next.State, next.Reason, next.NextAt, next.DueAt = s, why, time.Time{}, time.Time{}
	return h.write(ctx, d, keepDelivered(next), nil)
}

// write records the next row. Losing the race for it is no failure: whoever
// won it has rung, or will.
func (h *Handler) write(ctx context.Context, read, next webhook.Delivery, a *webhook.Attempt) error {
	next.UpdatedAt = h.now()
	err := h.Store.Record(ctx, read, next, a)
	if errors.Is(err, webhook.ErrStale) {
		h.log().InfoContext(ctx, "delivery.raced", "delivery", read.ID, "state", next.State)
		return nil
	}
	if err != nil {
		return fmt.Errorf("delivery %s: record %s: %w", read.ID, next.State, err)
	}
	return nil
}
