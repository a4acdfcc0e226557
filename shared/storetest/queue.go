package storetest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

// What the queues under test are opened with.
const (
	visibility  = 2 * time.Second
	maxReceives = 3
)

// queue is the queue under test in the hands of one promise.
type queue struct {
	QueueUnderTest
	*testing.T
	clock Clock
}

// queuePromise is one thing that callers rely on.
type queuePromise struct {
	name  string
	holds func(q queue)
}

func queuePromises() []queuePromise {
	return []queuePromise{
		{"a received message is hidden until the visibility timeout, then comes again with a higher count", func(q queue) {
			const body = `{"odd":"<é 🚚> '' \\"}`
			q.sends("acme", body, 0)
			first := q.receivesOne()
			same(q, "body", first.Body, body)
			same(q, "receives", first.Receives, 1)
			q.receivesNone()
			q.clock.Advance(visibility - 500*time.Millisecond)
			q.receivesNone()
			q.clock.Advance(time.Second)
			second := q.receivesOne()
			same(q, "id", second.ID, first.ID)
			same(q, "receives", second.Receives, 2)
		}},
		{"a deleted message never comes again, and deleting it twice is no error", func(q queue) {
			q.sends("acme", "1", 0)
			m := q.receivesOne()
			q.deletes(m)
			q.deletes(m)
			q.clock.Advance(visibility + time.Second)
			q.receivesNone()
		}},
		{"a receipt of an earlier receive does nothing", func(q queue) {
			q.sends("acme", "1", 0)
			old := q.receivesOne()
			q.clock.Advance(visibility + 500*time.Millisecond)
			q.receivesOne()
			q.deletes(old)
			q.hides(old, 0)
			q.receivesNone()
			q.clock.Advance(visibility + 500*time.Millisecond)
			same(q, "receives", q.receivesOne().Receives, 3)
		}},
		{"the last receipt counts although its time is over, until the message is received again", func(q queue) {
			q.sends("acme", "1", 0)
			q.sends("acme", "2", 0)
			first, second := q.receivesOne(), q.receivesOne()
			q.clock.Advance(visibility + 500*time.Millisecond)
			again := q.receivesOne()
			if again.ID == first.ID {
				first = second
			}
			q.deletes(first)
			q.deletes(again)
			q.clock.Advance(visibility + 500*time.Millisecond)
			q.receivesNone()
		}},
		{"a delayed message comes when its delay is over", func(q queue) {
			q.sends("acme", "later", 5*time.Second) // far off, as a busy machine is slow
			q.sends("acme", "now", 0)
			q.deletes(q.receivesOne())
			q.clock.Advance(1500 * time.Millisecond)
			q.receivesNone()
			q.clock.Advance(4 * time.Second)
			same(q, "body", q.receivesOne().Body, "later")
		}},
		{"a message can be hidden for longer, for shorter, and shown at once", func(q queue) {
			q.sends("acme", "1", 0)
			m := q.receivesOne()
			q.hides(m, 4*time.Second)
			q.clock.Advance(visibility + time.Second)
			q.receivesNone()
			q.hides(m, time.Second)
			q.clock.Advance(1500 * time.Millisecond)
			m = q.receivesOne()
			q.hides(m, 0)
			m = q.receivesOne()
			same(q, "receives", m.Receives, 3)
		}},
		{"a message that was hidden for long can still be shown or deleted by its receipt", func(q queue) {
			q.sends("acme", "shown", 0)
			shown := q.receivesOne()
			q.sends("acme", "deleted", 0)
			deleted := q.receivesOne()
			q.hides(shown, 10*time.Minute)
			q.hides(deleted, 10*time.Minute)
			q.deletes(deleted)
			q.hides(deleted, 0)
			q.hides(shown, 0)
			same(q, "body", q.receivesOne().Body, "shown")
			q.receivesNone()
		}},
		{"a message is a dead letter after as many receives as are allowed, and redrive brings it back", func(q queue) {
			q.sends("acme", "poison", 0)
			for range maxReceives {
				q.hides(q.receivesOne(), 0)
			}
			q.receivesNone()
			dead := q.listsDead(1)
			same(q, "dead letter", dead[0].Body, "poison")
			q.sends("acme", "healthy", 0)
			q.deletes(q.receivesOne())
			n, err := q.Redrive(q.Context())
			q.ok(err)
			same(q, "redriven", n, 1)
			m := q.receivesOne()
			same(q, "body", m.Body, "poison")
			same(q, "receives", m.Receives, 1)
			q.listsDead(0)
		}},
		{"a dead letter does not keep a waiting receiver from what comes next", func(q queue) {
			q.sends("acme", "poison", 0)
			for range maxReceives {
				q.hides(q.receivesOne(), 0)
			}
			q.sends("acme", "healthy", time.Second)
			same(q, "body", q.receivesOne().Body, "healthy")
		}},
		{"its depth tells what is visible, hidden, delayed and dead", func(q queue) {
			q.hasDepth(webhook.QueueDepth{})
			q.sends("acme", "poison", 0)
			for range maxReceives {
				q.hides(q.receivesOne(), 0)
			}
			q.receivesNone()
			q.hasDepth(webhook.QueueDepth{Dead: 1})
			q.sends("acme", "hidden", 0)
			hidden := q.receivesOne()
			q.hides(hidden, 50*time.Second)
			q.sends("acme", "hidden for long", 0)
			long := q.receivesOne()
			q.hides(long, 10*time.Minute)
			q.sends("acme", "visible", 0)
			for _, delay := range []time.Duration{50 * time.Second, 10 * time.Minute, 15 * time.Minute} {
				q.sends("acme", "delayed", delay)
			}
			q.hasDepth(webhook.QueueDepth{Visible: 1, Hidden: 2, Delayed: 3, Dead: 1})
			q.deletes(hidden)
			q.hides(long, 0)
			q.hasDepth(webhook.QueueDepth{Visible: 2, Delayed: 3, Dead: 1})
			_, err := q.Redrive(q.Context())
			q.ok(err)
			q.hasDepth(webhook.QueueDepth{Visible: 3, Delayed: 3})
			q.receivesOne() // and nobody says what became of it
			q.clock.Advance(visibility + 500*time.Millisecond)
			q.hasDepth(webhook.QueueDepth{Visible: 3, Delayed: 3})
		}},
		{"doorbells ring each in the group of its account, after its own delay", func(q queue) {
			bells := []webhook.Doorbell{
				{Account: "acme", Delivery: "dlv_1", Generation: 1},
				{Account: "other", Delivery: "dlv_2", Generation: 7, After: time.Second},
			}
			q.ok(q.Ring(q.Context(), bells))
			for _, want := range bells {
				m := q.receivesOne()
				same(q, "group", m.Group, want.Account)
				got, err := webhook.ParseDoorbell(m.Body)
				q.ok(err)
				got.After = want.After
				same(q, "doorbell", got, want)
			}
			q.ok(q.Ring(q.Context(), nil))
		}},
		{"receive returns as soon as a message is sent, and none when the wait is over or the context ends", func(q queue) {
			q.receivesNone()
			ctx, cancel := context.WithCancel(q.Context())
			cancel()
			same(q, "messages after the end of the context", len(q.Receive(ctx, 1, time.Second)), 0)
			var waiting sync.WaitGroup
			waiting.Go(func() { same(q, "body", q.receivesOne().Body, "1") })
			q.clock.Advance(time.Second)
			q.sends("acme", "1", 0)
			waiting.Wait()
		}},
		{"receive returns no more than asked for", func(q queue) {
			for i := range 5 {
				q.sends("acme", fmt.Sprint(i), 0)
			}
			if n := len(q.Receive(q.Context(), 3, time.Second)); n < 1 || n > 3 {
				q.Errorf("got %d messages, want 1 to 3", n)
			}
		}},
		{"nothing is lost or doubled under concurrent senders and receivers", func(q queue) {
			const senders, each = 8, 25
			var mu sync.Mutex
			seen := map[string]int{}
			errs := together(2*senders, func(i int) error {
				if i%2 == 0 {
					return q.sendMany(i, each)
				}
				return q.drain(func(m webhook.Message) {
					mu.Lock()
					defer mu.Unlock()
					seen[m.Body]++
				})
			})
			for _, err := range errs {
				q.ok(err)
			}
			same(q, "messages", len(seen), senders*each)
			for body, n := range seen {
				if n != 1 {
					q.Errorf("message %s was received %d times", body, n)
				}
			}
		}},
	}
}

// FairQueue proves that groups take turns. SQS does so (its fair queues); its
// emulators do not.
func FairQueue(t *testing.T, clock Clock, open func(t *testing.T, o QueueOptions) QueueUnderTest) {
	const crowd = 1000
	t.Run("a group with 1,000 messages does not hold back another's one", func(t *testing.T) {
		clock.Run(t, func(t *testing.T) {
			q := queue{QueueUnderTest: open(t, QueueOptions{Visibility: time.Minute, MaxReceives: maxReceives}), T: t, clock: clock}
			bells := make([]webhook.Doorbell, crowd)
			for i := range bells {
				bells[i] = webhook.Doorbell{Account: "crowd", Delivery: fmt.Sprint(i), Generation: 1}
			}
			q.ok(q.Ring(t.Context(), bells))
			q.sends("single", "1", 0)
			for received := 0; received < crowd/20; {
				for _, m := range q.Receive(t.Context(), 10, time.Second) {
					received++
					if m.Group == "single" {
						return
					}
				}
			}
			t.Errorf("the single message was not among the first %d of %d", crowd/20, crowd+1)
		})
	})
}

func (q queue) ok(err error) {
	q.Helper()
	if err != nil {
		q.Error(err)
	}
}

func (q queue) sends(group, body string, delay time.Duration) {
	q.Helper()
	q.ok(q.Send(q.Context(), group, body, delay))
}

// receivesOne waits for a message for up to five seconds.
func (q queue) receivesOne() webhook.Message {
	q.Helper()
	list := q.Receive(q.Context(), 1, 5*time.Second)
	if len(list) != 1 {
		q.Errorf("received %d messages, want 1", len(list))
		return webhook.Message{}
	}
	return list[0]
}

func (q queue) receivesNone() {
	q.Helper()
	if list := q.Receive(q.Context(), 10, 0); len(list) > 0 {
		q.Errorf("received %q, want nothing", list[0].Body)
	}
}

func (q queue) deletes(m webhook.Message) {
	q.Helper()
	q.ok(q.Delete(q.Context(), []string{m.Receipt}))
}

func (q queue) hides(m webhook.Message, d time.Duration) {
	q.Helper()
	q.ok(q.Hide(q.Context(), m.Receipt, d))
}

func (q queue) listsDead(want int) []webhook.Message {
	q.Helper()
	var list []webhook.Message
	for range 25 { // they may be moved with a delay
		var err error
		list, err = q.DeadLetters(q.Context(), 10)
		q.ok(err)
		if len(list) == want {
			return list
		}
		q.clock.Advance(200 * time.Millisecond)
	}
	q.Fatalf("after five seconds %d dead letters, want %d", len(list), want)
	return nil
}

// hasDepth waits for a depth for up to five seconds: a queue may count late.
func (q queue) hasDepth(want webhook.QueueDepth) {
	q.Helper()
	var got webhook.QueueDepth
	for range 25 {
		var err error
		got, err = q.Depth(q.Context())
		q.ok(err)
		if got == want {
			return
		}
		q.clock.Advance(200 * time.Millisecond)
	}
	same(q, "depth after five seconds", got, want)
}

func (q queue) sendMany(sender, n int) error {
	for i := range n {
		if err := q.Send(q.Context(), fmt.Sprint("group", i%3), fmt.Sprintf("%d/%d", sender, i), 0); err != nil {
			return err
		}
	}
	return nil
}

// drain receives and deletes until nothing has come for a second.
func (q queue) drain(f func(webhook.Message)) error {
	for {
		list := q.Receive(q.Context(), 10, time.Second)
		if len(list) == 0 {
			return nil
		}
		receipts := make([]string, len(list))
		for i, m := range list {
			f(m)
			receipts[i] = m.Receipt
		}
		if err := q.Delete(q.Context(), receipts); err != nil {
			return err
		}
	}
}
