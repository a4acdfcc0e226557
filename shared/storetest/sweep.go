package storetest

import (
	"fmt"
	"time"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

func sweepPromises() []promise {
	return []promise{
		{"due rows come most overdue first, and only those", func(s store) {
			at := now()
			s.parked("later", at.Add(time.Second))
			s.parked("just", at.Add(-time.Microsecond))
			s.parked("exactly", at)
			s.parked("long", at.Add(-time.Hour))
			s.finished("acme", "queued")
			s.mustAttempt(s.finished("acme", "delivered"), webhook.StateDelivered)
			s.isDue(at, 10, "long", "just")
			s.isDue(at, 1, "long")
			s.isDue(at.Add(time.Minute), 10, "long", "just", "exactly", "later")
		}},
		{"defer leaves a row alone whose due time changed", func(s store) {
			at := now()
			moved, kept := s.parked("moved", at.Add(-time.Second)), s.parked("kept", at.Add(-2*time.Second))
			again := s.change(moved, func(d *webhook.Delivery) { d.DueAt = at.Add(-time.Minute) })
			s.ok(s.Defer(s.ctx(), []webhook.Delivery{moved, kept}, at.Add(time.Hour)))
			same(s, "row that changed", s.row(moved.Ref()), again)
			same(s, "row that did not", s.row(kept.Ref()).DueAt, at.Add(time.Hour))
			s.isDue(at, 10, "moved")
		}},
		{"a deferred row can still be recorded by who read it before", func(s store) {
			d := s.parked("j1", now())
			s.ok(s.Defer(s.ctx(), []webhook.Delivery{d}, now().Add(time.Hour)))
			s.mustAttempt(d, webhook.StateDelivered)
			s.isDue(now().Add(2*time.Hour), 10)
		}},
		{"what expires undelivered ends, then is removed", func(s store) {
			waiting := s.mustAttempt(s.finished("acme", "j1"), webhook.StateWaiting)
			unsent := s.finished("acme", "j2")
			later := waiting.ExpiresAt.Add(time.Second)
			s.expire(waiting.ExpiresAt.Add(-time.Hour))
			same(s, "row before it expires", s.row(waiting.Ref()), waiting)
			s.expire(later)
			same(s, "state of what was never sent", s.row(unsent.Ref()).State, webhook.StateDeclined)
			row := s.row(waiting.Ref())
			same(s, "state of what was sent", row.State, webhook.StateDead)
			if row.Reason == "" || !row.DueAt.IsZero() || !row.ExpiresAt.After(later) {
				s.Errorf("an expired row without a reason, with a due time, or that is removed at once: %+v", row)
			}
			same(s, "attempts", len(s.attempts(waiting.Ref())), 1)
			s.expire(row.ExpiresAt.Add(time.Second))
			s.isGone(waiting)
			s.isGone(unsent)
		}},
		{"what has ended is removed with its attempts when it expires", func(s store) {
			d := s.mustAttempt(s.finished("acme", "j1"), webhook.StateDelivered)
			s.expire(d.ExpiresAt.Add(time.Second))
			s.isGone(d)
			same(s, "deliveries", s.deliveriesOf("acme"), nil)
		}},
		{"what was resent but never sent is declined when it expires, and what was sent is dead", func(s store) {
			unsent := s.resend(s.change(s.finished("acme", "j1"), func(d *webhook.Delivery) { d.State = webhook.StateHeld }))
			sent := s.resend(s.mustAttempt(s.finished("acme", "j2"), webhook.StateExhausted))
			s.expire(unsent.ExpiresAt.Add(time.Second))
			same(s, "state of what was never sent", s.row(unsent.Ref()).State, webhook.StateDeclined)
			same(s, "state of what was sent", s.row(sent.Ref()).State, webhook.StateDead)
		}},
		{"a delivered webhook whose resend expires stays delivered", func(s store) {
			d := s.resend(s.mustAttempt(s.finished("acme", "j1"), webhook.StateDelivered))
			s.expire(d.ExpiresAt.Add(time.Second))
			same(s, "state", s.row(d.Ref()).State, webhook.StateDelivered)
		}},
		{"what expires while it waits for its time ends, and is due no more", func(s store) {
			d := s.change(s.mustAttempt(s.finished("acme", "j1"), webhook.StateWaiting), func(d *webhook.Delivery) { d.DueAt = now() })
			s.expire(d.ExpiresAt.Add(time.Second))
			s.Due(s.ctx(), d.ExpiresAt.Add(time.Second), 10) // a store may end it here
			same(s, "state", s.row(d.Ref()).State, webhook.StateDead)
			s.isDue(d.ExpiresAt.Add(time.Minute), 10)
		}},
		{"what expires while its endpoint is paused ends, and is held no more", func(s store) {
			s.endpoint("acme", "ep_1")
			_, err := s.UpdateEndpoint(s.ctx(), "acme", "ep_1", pause)
			s.ok(err)
			held := s.held("j1", "ep_1", time.Time{})
			s.expire(held.ExpiresAt.Add(time.Second))
			same(s, "state", s.row(held.Ref()).State, webhook.StateDeclined)
			s.holds("acme", "ep_1", 10)
			s.holders()
		}},
		{"an event stays as long as any of its deliveries, however much later that was put", func(s store) {
			j := s.makeJob("acme", "j1", job.KindAsync, "success", "")
			first := s.mustAttempt(s.putOne(s.plan(j, webhook.JobFinished, "1", toURL("https://example.com/a"))), webhook.StateDelivered)
			var between []webhook.Planned
			for i := range 1100 {
				between = append(between, s.plan(s.makeJob("acme", fmt.Sprintf("k%d", i), job.KindAsync, "success", ""), webhook.JobFinished, "1", toURL("https://example.com/hook")))
			}
			p := s.plan(j, webhook.JobFinished, "1", toURL("https://example.com/b"))
			p.Deliveries[0].ExpiresAt = first.ExpiresAt.Add(time.Hour)
			for i := range between {
				between[i].Deliveries[0].ExpiresAt = first.ExpiresAt.Add(time.Hour)
			}
			_, err := s.Put(s.ctx(), between)
			s.ok(err)
			second := s.putOne(p)
			s.expire(first.ExpiresAt.Add(time.Second))
			same(s, "event of the later delivery", s.load(second.Ref()).Event.ID, second.EventID)
		}},
	}
}

// parked is a delivery that waits for sweep.
func (s store) parked(jobID string, dueAt time.Time) webhook.Delivery {
	s.Helper()
	return s.change(s.finished("acme", jobID), func(d *webhook.Delivery) {
		d.State, d.Attempts, d.NextAt, d.DueAt = webhook.StateWaiting, 1, dueAt, dueAt
	})
}

func (s store) isDue(before time.Time, limit int, want ...string) {
	s.Helper()
	list, err := s.Due(s.ctx(), before, limit)
	s.ok(err)
	var jobs []string
	for _, d := range list {
		jobs = append(jobs, d.JobID)
	}
	same(s, "due", jobs, want)
}

// expire lets the time come when things expire. How much of that is the work of
// Expire is the store's affair.
func (s store) expire(at time.Time) {
	s.Helper()
	for range 10 {
		n, err := s.Expire(s.ctx(), at, 100)
		s.ok(err)
		if n == 0 {
			return
		}
	}
	s.Error("Expire finds no end")
}

func (s store) isGone(d webhook.Delivery) {
	s.Helper()
	_, err := s.Delivery(s.ctx(), d.Ref())
	s.want(err, webhook.ErrNotFound)
	_, err = s.Attempts(s.ctx(), d.Ref())
	s.want(err, webhook.ErrNotFound)
	_, err = s.Event(s.ctx(), d.Account, d.EventID)
	s.want(err, webhook.ErrNotFound)
}
