package storetest

import (
	"errors"
	"net/http"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/jobhook/jobhook/shared/webhook"
)

func recordPromises() []promise {
	return []promise{
		{"an attempt is kept whole, its times to the microsecond", func(s store) {
			d := s.finished("acme", "j1")
			next := after(d, webhook.StateWaiting)
			next.Reason, next.Attempts, next.Postponed, next.LastFailure = "ünavailable", 3, 2, "timeout"
			next.DueAt, next.LeaseUntil = now().Add(time.Hour), now().Add(time.Minute)
			a := attemptOf(d, next)
			a.Result = webhook.Result{
				Status: 503, Failure: webhook.FailureTimeout, Code: "ETIMEDOUT", Detail: "no \"answer\"", RetryAfter: 90 * time.Second,
				Header: http.Header{"Retry-After": {"90"}, "X-Odd": {"a", "", "<é>"}}, Body: []byte("\x00\xff<html>' \r\n"),
			}
			a.Timing = webhook.Timing{
				DNS: 1 * time.Microsecond, Connect: 2345 * time.Microsecond, TLS: 3 * time.Millisecond,
				FirstByte: 10*time.Second + time.Microsecond, Total: 30 * time.Second,
			}
			s.ok(s.Record(s.ctx(), d, next, a))
			same(s, "row", s.row(d.Ref()), next)
			same(s, "attempts", s.attempts(d.Ref()), []webhook.Attempt{*a})
		}},
		{"attempts are listed in the order they were recorded", func(s store) {
			d := s.finished("acme", "j1")
			for range 5 {
				d = s.mustAttempt(d, webhook.StateWaiting)
			}
			s.mustAttempt(d, webhook.StateDelivered)
			list := s.attempts(d.Ref())
			same(s, "attempts", len(list), 6)
			for i, a := range list {
				same(s, "attempt delivered", a.State == webhook.StateDelivered, i == 5)
			}
		}},
		{"record loses against a changed row but keeps the attempt as late", func(s store) {
			d := s.finished("acme", "j1")
			won := s.mustAttempt(d, webhook.StateWaiting)
			_, err := s.attempt(d, webhook.StateExhausted)
			s.want(err, webhook.ErrStale)
			same(s, "row", s.row(d.Ref()), won)
			s.hasAttempts(d.Ref(), seen{1, webhook.StateWaiting, false}, seen{1, webhook.StateExhausted, true})
		}},
		{"a success is recorded although the row was changed, once", func(s store) {
			d := s.finished("acme", "j1")
			s.mustAttempt(d, webhook.StateWaiting)
			won := s.mustAttempt(d, webhook.StateDelivered)
			_, err := s.attempt(d, webhook.StateDelivered)
			s.want(err, webhook.ErrStale)
			same(s, "row", s.row(d.Ref()), won)
			s.hasAttempts(d.Ref(), seen{1, webhook.StateWaiting, false}, seen{1, webhook.StateDelivered, false}, seen{1, webhook.StateDelivered, true})
		}},
		{"a success overrides every other state of its generation", func(s store) {
			for _, state := range webhook.States() {
				if state == webhook.StateDelivered {
					continue
				}
				d := s.finished("acme", "j-"+string(state))
				s.change(d, func(next *webhook.Delivery) { next.State, next.Reason, next.Attempts = state, "meanwhile", 9 })
				won := s.mustAttempt(d, webhook.StateDelivered)
				same(s, "row that was "+string(state), s.row(d.Ref()), won)
			}
		}},
		{"delivered is never overwritten by a stale failure", func(s store) {
			d := s.finished("acme", "j1")
			won := s.mustAttempt(d, webhook.StateDelivered)
			for _, state := range []webhook.State{webhook.StateWaiting, webhook.StateExhausted, webhook.StateDead, webhook.StateHeld} {
				_, err := s.attempt(d, state)
				s.want(err, webhook.ErrStale)
			}
			same(s, "row", s.row(d.Ref()), won)
		}},
		{"a claim is taken by one of many", func(s store) {
			d := s.mustAttempt(s.finished("acme", "j1"), webhook.StateWaiting)
			errs := together(16, func(i int) error {
				next := d
				next.LeaseUntil = now().Add(time.Minute + time.Duration(i)*time.Microsecond)
				return s.Record(s.ctx(), d, next, nil)
			})
			won := 0
			for _, err := range errs {
				if err == nil {
					won++
				} else {
					s.want(err, webhook.ErrStale)
				}
			}
			same(s, "claims that were taken", won, 1)
		}},
		{"a claim that expired gives way to the next, and its late failure changes nothing", func(s store) {
			d := s.mustAttempt(s.finished("acme", "j1"), webhook.StateWaiting)
			first := s.change(d, func(next *webhook.Delivery) { next.LeaseUntil = now().Add(-time.Second) })
			second := s.change(first, func(next *webhook.Delivery) { next.LeaseUntil = now().Add(time.Minute) })
			_, err := s.attempt(first, webhook.StateWaiting)
			s.want(err, webhook.ErrStale)
			same(s, "row", s.row(d.Ref()), second)
		}},
		{"a resend of generation 2 fences generation 1's late failure", func(s store) {
			d := s.finished("acme", "j1")
			dead := s.mustAttempt(d, webhook.StateDead)
			resent := s.resend(dead)
			_, err := s.attempt(d, webhook.StateWaiting)
			s.want(err, webhook.ErrStale)
			same(s, "row", s.row(d.Ref()), resent)
			s.hasAttempts(d.Ref(), seen{1, webhook.StateDead, false}, seen{1, webhook.StateWaiting, true})
		}},
		{"generation 1's late success is kept as a late attempt and leaves generation 2 alone", func(s store) {
			d := s.finished("acme", "j1")
			resent := s.resend(s.mustAttempt(d, webhook.StateDead))
			_, err := s.attempt(d, webhook.StateDelivered)
			s.want(err, webhook.ErrStale)
			same(s, "row", s.row(d.Ref()), resent)
			s.hasAttempts(d.Ref(), seen{1, webhook.StateDead, false}, seen{1, webhook.StateDelivered, true})
		}},
		{"a resend keeps when the delivery first succeeded", func(s store) {
			won := s.mustAttempt(s.finished("acme", "j1"), webhook.StateDelivered)
			resent := s.resend(won)
			same(s, "first success", s.row(won.Ref()).DeliveredAt, won.DeliveredAt)
			again := s.mustAttempt(resent, webhook.StateWaiting)
			same(s, "row", s.row(won.Ref()), again)
			s.hasAttempts(won.Ref(), seen{1, webhook.StateDelivered, false}, seen{2, webhook.StateWaiting, false})
		}},
		{"what does not exist cannot be recorded, and harms nobody who records at the same time", func(s store) {
			d := s.finished("acme", "j1")
			errs := together(8, func(i int) error {
				if i != 3 {
					gone := d
					gone.ID = "dlv_gone"
					_, err := s.attempt(gone, webhook.StateWaiting)
					return err
				}
				_, err := s.attempt(d, webhook.StateWaiting)
				return err
			})
			for i, err := range errs {
				if i == 3 {
					s.ok(err)
				} else {
					s.want(err, webhook.ErrNotFound)
				}
			}
		}},
		{"record agrees with a model of one delivery's fences, whatever the order of reads and writes", checkFences},
	}
}

// seen is what a test looks at in an attempt.
type seen struct {
	generation int
	state      webhook.State
	late       bool
}

func (s store) hasAttempts(ref webhook.Ref, want ...seen) {
	s.Helper()
	list := s.attempts(ref)
	got := make([]seen, len(list))
	for i, a := range list {
		got[i] = seen{a.Generation, a.State, a.Late}
	}
	if len(got) != len(want) {
		s.Fatalf("attempts: got %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			s.Errorf("attempt %d: got %v, want %v", i, got[i], want[i])
		}
	}
}

// fences is the model of one delivery: its row, and what was recorded of it.
type fences struct {
	row      webhook.Delivery
	attempts []seen
}

// record says what Record must do, and whether it is stale.
func (f *fences) record(read, next webhook.Delivery, attempted bool) (stale bool) {
	unchanged := f.row.Generation == read.Generation && f.row.Attempts == read.Attempts && f.row.Postponed == read.Postponed &&
		f.row.State == read.State && f.row.LeaseUntil.Equal(read.LeaseUntil)
	success := next.State == webhook.StateDelivered && next.Generation == f.row.Generation && f.row.State != webhook.StateDelivered
	stale = !unchanged && !success
	if attempted {
		f.attempts = append(f.attempts, seen{read.Generation, next.State, stale})
	}
	if !stale {
		f.row = next
	}
	return stale
}

// checkFences plays random histories: several handlers read the row at some
// moment and write what they made of it at a later one.
func checkFences(s store) {
	histories := 0
	noDeadline := struct{ testing.TB }{s.T} // a bubble refuses to tell it
	rapid.Check(noDeadline, func(t *rapid.T) {
		histories++
		d := s.finished("acme", "j"+strconv.Itoa(histories))
		model := fences{row: d}
		reads := []webhook.Delivery{d}
		for range rapid.IntRange(1, 7).Draw(t, "steps") {
			read := rapid.SampledFrom(reads).Draw(t, "read")
			next, attempted := drawNext(t, read)
			var a *webhook.Attempt
			if attempted {
				a = attemptOf(read, next)
			}
			err := s.Record(s.ctx(), read, next, a)
			if stale := model.record(read, next, attempted); stale != errors.Is(err, webhook.ErrStale) || !stale && err != nil {
				t.Fatalf("recorded %s of generation %d: got error %v, want stale %t", next.State, next.Generation, err, stale)
			}
			reads = append(reads, s.row(d.Ref()))
			same(s, "row", reads[len(reads)-1], model.row)
		}
		s.hasAttempts(d.Ref(), model.attempts...)
	})
}

// drawNext draws what a handler makes of a row.
func drawNext(t *rapid.T, read webhook.Delivery) (next webhook.Delivery, attempted bool) {
	read.UpdatedAt = now() // every writer says when: a store may tell its own write by it
	switch what := rapid.SampledFrom([]string{"fail", "fail", "succeed", "give up", "claim", "hold", "postpone", "resend"}).Draw(t, "what"); what {
	case "succeed":
		return after(read, webhook.StateDelivered), true
	case "give up":
		return after(read, webhook.StateDead), true
	case "claim":
		read.LeaseUntil = now().Add(time.Duration(rapid.IntRange(1, 1000).Draw(t, "lease")) * time.Second)
	case "hold":
		read.State, read.Reason = webhook.StateHeld, "paused"
	case "postpone":
		read.State, read.Postponed = webhook.StateWaiting, read.Postponed+1
		return read, true
	case "resend":
		if resent, err := read.Resend(webhook.Policy{}, now()); err == nil {
			return resent, false
		}
	default:
		return after(read, webhook.StateWaiting), true
	}
	return read, false
}
