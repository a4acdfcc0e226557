package faults

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"pgregory.net/rapid"

	"github.com/jobhook/jobhook/shared/storetest"
	"github.com/jobhook/jobhook/shared/webhook"
)

// kind is what goes wrong.
type kind string

const (
	none        kind = "none"
	throttled   kind = "throttled"    // refused, nothing was done
	lost        kind = "lost"         // done, but the answer does not come
	partial     kind = "partial"      // a batch is done in part, and fails
	crashBefore kind = "crash before" // the process dies, nothing was done
	crashAfter  kind = "crash after"  // done, and the process dies
)

// plan is one fault at one effect of an invocation: the number of the call to
// the store, a queue or a receiver.
type plan struct {
	kind kind
	at   int
}

// drawPlan chooses a fault; most invocations have none.
func drawPlan(t *rapid.T) plan {
	k := rapid.SampledFrom([]kind{none, none, throttled, lost, partial, crashBefore, crashAfter}).Draw(t, "fault")
	if k == none {
		return plan{kind: none}
	}
	return plan{k, rapid.IntRange(0, 4).Draw(t, "at effect")}
}

var (
	errThrottled = errors.New("throttled")
	errLost      = errors.New("the answer was lost")
	errCrashed   = errors.New("the process has crashed")
)

// effect does something outside the process, unless a fault is planned for it.
func (w *world) effect(op func() error) error {
	w.lock.Lock()
	defer w.lock.Unlock()
	if w.dead {
		return errCrashed
	}
	w.calls++
	if w.plan.kind == none || w.plan.kind == "" || w.calls-1 != w.plan.at {
		return op()
	}
	w.faults++
	switch w.plan.kind {
	case throttled:
		return errThrottled
	case crashBefore:
		w.dead = true
		return errCrashed
	case crashAfter:
		_ = op()
		w.dead = true
		return errCrashed
	}
	_ = op() // lost, and what cannot be done in part
	return errLost
}

// inPart tells whether the next effect is to be done in part.
func (w *world) inPart() bool {
	w.lock.Lock()
	defer w.lock.Unlock()
	return !w.dead && w.plan.kind == partial && w.calls == w.plan.at
}

// flaky is the store behind faults.
type flaky struct {
	storetest.StoreUnderTest
	world *world
}

func (f *flaky) Put(ctx context.Context, planned []webhook.Planned) (bells []webhook.Doorbell, err error) {
	if f.world.inPart() {
		planned = planned[:len(planned)/2]
	}
	err = f.world.effect(func() (err error) {
		bells, err = f.StoreUnderTest.Put(ctx, planned)
		return err
	})
	return bells, err
}

func (f *flaky) Load(ctx context.Context, refs []webhook.Ref) (works []webhook.Work, err error) {
	err = f.world.effect(func() (err error) {
		works, err = f.StoreUnderTest.Load(ctx, refs)
		return err
	})
	return works, err
}

func (f *flaky) Record(ctx context.Context, read, next webhook.Delivery, a *webhook.Attempt) error {
	return f.world.effect(func() error { return f.StoreUnderTest.Record(ctx, read, next, a) })
}

func (f *flaky) SetHealth(ctx context.Context, account string, read, next webhook.Health, told ...webhook.Notice) error {
	return f.world.effect(func() error { return f.StoreUnderTest.SetHealth(ctx, account, read, next, told...) })
}

func (f *flaky) Disable(ctx context.Context, account, endpoint, url, reason string, told ...webhook.Notice) error {
	return f.world.effect(func() error { return f.StoreUnderTest.Disable(ctx, account, endpoint, url, reason, told...) })
}

func (f *flaky) Defer(ctx context.Context, read []webhook.Delivery, dueAt time.Time) error {
	if f.world.inPart() {
		read = read[:len(read)/2]
	}
	return f.world.effect(func() error { return f.StoreUnderTest.Defer(ctx, read, dueAt) })
}

func (f *flaky) Release(ctx context.Context, held []webhook.Delivery, now, dueAt time.Time) (bells []webhook.Doorbell, err error) {
	if f.world.inPart() {
		held = held[:len(held)/2]
	}
	err = f.world.effect(func() (err error) {
		bells, err = f.StoreUnderTest.Release(ctx, held, now, dueAt)
		return err
	})
	return bells, err
}

// visibility is the queues' visibility timeout.
const visibility = 6 * time.Minute

// message is a queue's.
type message struct {
	id, body  string
	visibleAt time.Time
	receives  int
}

// received hides the message for the visibility timeout.
func (m *message) received(now time.Time) {
	m.receives, m.visibleAt = m.receives+1, now.Add(visibility)
}

// handle is the receipt of the last receive; older ones no longer work.
func (m *message) handle() string { return m.id + "#" + strconv.Itoa(m.receives) }

func (m *message) sqs() events.SQSMessage {
	return events.SQSMessage{MessageId: m.id, ReceiptHandle: m.handle(), Body: m.body,
		Attributes: map[string]string{"ApproximateReceiveCount": strconv.Itoa(m.receives)}}
}

// line is a queue that keeps its promises and no more: any visible message may
// come next, and more than once.
type line struct {
	world    *world
	messages []*message
	numbered int
}

// Ring sends doorbells.
func (l *line) Ring(_ context.Context, bells []webhook.Doorbell) error {
	if l.world.inPart() {
		bells = bells[:len(bells)/2]
	}
	return l.world.effect(func() error {
		for _, b := range bells {
			l.numbered++
			l.messages = append(l.messages, &message{id: strconv.Itoa(l.numbered), body: b.Message(), visibleAt: l.world.time().Add(b.After)})
		}
		return nil
	})
}

// Hide keeps a message back.
func (l *line) Hide(_ context.Context, receipt string, d time.Duration) error {
	return l.world.effect(func() error {
		for _, m := range l.messages {
			if m.handle() == receipt {
				m.visibleAt = l.world.time().Add(d)
			}
		}
		return nil
	})
}

// purge loses everything, as an operator's mistake does.
func (l *line) purge() { l.messages = nil }

// visible returns the messages that may be received.
func (l *line) visible() (list []*message) {
	for _, m := range l.messages {
		if !m.visibleAt.After(l.world.time()) {
			list = append(list, m)
		}
	}
	return list
}

func (l *line) remove(m *message) {
	l.messages = slices.DeleteFunc(l.messages, func(other *message) bool { return other == m })
}
