package sweep_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/functions/internal/resend"
	"github.com/jobhook/jobhook/functions/internal/sweep"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// bulk keeps bulk resends, and has as many deliveries for each as it is told.
type bulk struct {
	lock    sync.Mutex
	order   []string
	resends map[string]webhook.Resend
	has     map[string]int // deliveries of each account
	rung    map[string][]time.Time
	fails   map[string]error // what a delivery's resend ends with
	update  func(next webhook.Resend) error
}

func newBulk() *bulk {
	return &bulk{resends: map[string]webhook.Resend{}, has: map[string]int{}, rung: map[string][]time.Time{}, fails: map[string]error{}}
}

// add starts a resend of an account of its own with n deliveries.
func (b *bulk) add(id string, n, rate int) {
	now := time.Now()
	b.order = append(b.order, id)
	b.has[id] = n
	b.resends[id] = webhook.Resend{ID: id, Account: id, State: webhook.ResendRunning, Rate: rate, Version: 1, CreatedAt: now, UpdatedAt: now}
}

func (b *bulk) get(id string) webhook.Resend {
	b.lock.Lock()
	defer b.lock.Unlock()
	return b.resends[id]
}

func (b *bulk) cancel(id string) {
	b.lock.Lock()
	defer b.lock.Unlock()
	r := b.resends[id]
	r.State, r.Version = webhook.ResendCancelled, r.Version+1
	b.resends[id] = r
}

func (b *bulk) RunningResends(_ context.Context, limit int) (list []webhook.Resend, err error) {
	b.lock.Lock()
	defer b.lock.Unlock()
	for _, id := range b.order {
		if r := b.resends[id]; r.State == webhook.ResendRunning && len(list) < limit {
			list = append(list, r)
		}
	}
	return list, nil
}

func (b *bulk) UpdateResend(_ context.Context, read, next webhook.Resend) error {
	b.lock.Lock()
	defer b.lock.Unlock()
	if b.update != nil {
		if err := b.update(next); err != nil {
			return err
		}
	}
	if b.resends[read.ID].Version != read.Version || next.Version != read.Version+1 {
		return webhook.ErrStale
	}
	b.resends[read.ID] = next
	return nil
}

// Deliveries counts down: delivery n of n is the newest.
func (b *bulk) Deliveries(_ context.Context, f webhook.Filter) (list []webhook.Delivery, next string, err error) {
	from := b.has[f.Account]
	if f.After != "" {
		fmt.Sscanf(f.After, "%d", &from)
		from--
	}
	for n := from; n > 0 && len(list) < f.Limit; n-- {
		list = append(list, webhook.Delivery{ID: fmt.Sprintf("%06d", n), Account: f.Account})
	}
	if from > len(list) {
		next = list[len(list)-1].ID
	}
	return list, next, nil
}

func (b *bulk) Resend(_ context.Context, r webhook.Ref, after time.Duration) (webhook.Delivery, error) {
	b.lock.Lock()
	defer b.lock.Unlock()
	if err := b.fails[r.ID]; err != nil {
		return webhook.Delivery{}, err
	}
	b.rung[r.Account] = append(b.rung[r.Account], time.Now().Add(after))
	return webhook.Delivery{}, nil
}

// runs lets time pass, with a run at the end of each interval, until stop.
func (b *bulk) runs(t *testing.T, every, horizon time.Duration, stop func() bool) {
	t.Helper()
	w := newWorld(t)
	h := &sweep.Handler{Store: w.store, Queue: w.queue, Horizon: horizon, Resends: b, Resender: b, Log: slog.New(slog.DiscardHandler)}
	for i := 0; !stop(); i++ {
		if i > 10_000 {
			t.Fatal("it does not end")
		}
		time.Sleep(every) // in a bubble
		if err := h.Handle(t.Context(), events.EventBridgeEvent{}); err != nil {
			t.Fatal(err)
		}
	}
}

func (b *bulk) done(id string) func() bool {
	return func() bool { return b.get(id).State != webhook.ResendRunning }
}

// busiest is the most bells that ring within a time.
func busiest(at []time.Time, within time.Duration) int {
	at = slices.SortedFunc(slices.Values(at), time.Time.Compare)
	most, first := 0, 0
	for i := range at {
		for !at[i].Before(at[first].Add(within)) {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

func TestABulkResendKeepsItsPace(t *testing.T) {
	for _, tt := range []struct {
		name           string
		every, horizon time.Duration
		n, rate        int
		atMost         time.Duration
	}{
		{"on one machine", time.Second, 2 * time.Second, 100_000, 500, 210 * time.Second},
		{"on AWS", time.Minute, 75 * time.Second, 100_000, 50, 36 * time.Minute},
		{"on AWS, by what a run can do", time.Minute, 75 * time.Second, 100_000, 500, 22 * time.Minute},
		{"slowly", 700 * time.Millisecond, 2 * time.Second, 60, 1, 64 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBulk()
				start := time.Now()
				b.add("rsd", tt.n, tt.rate)
				b.runs(t, tt.every, tt.horizon, b.done("rsd"))
				got := b.get("rsd")
				if took := time.Since(start); took > tt.atMost || took < time.Duration(tt.n/tt.rate)*time.Second-tt.every {
					t.Errorf("it took %s, want at most %s", took, tt.atMost)
				}
				if got.State != webhook.ResendDone || got.Resent != tt.n || got.Looked != tt.n || got.EndedAt.IsZero() || len(b.rung["rsd"]) != tt.n {
					t.Errorf("got %+v, %d sent", got, len(b.rung["rsd"]))
				}
				if most := busiest(b.rung["rsd"], 10*time.Second); most > 10*tt.rate+2*tt.rate {
					t.Errorf("%d bells within ten seconds at a rate of %d", most, tt.rate)
				}
			})
		})
	}
}

func TestACancelledResendStopsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBulk()
		b.add("rsd", 100_000, 500)
		b.runs(t, time.Second, 2*time.Second, func() bool {
			if b.get("rsd").Resent >= 20_000 {
				b.cancel("rsd")
			}
			return b.get("rsd").State == webhook.ResendCancelled
		})
		sent := len(b.rung["rsd"])
		ticks := 0
		b.runs(t, time.Second, 2*time.Second, func() bool { ticks++; return ticks > 5 })
		if after := len(b.rung["rsd"]); after != sent || sent < 20_000 || sent > 21_000 || b.get("rsd").State != webhook.ResendCancelled {
			t.Errorf("%d sent, %d after the cancellation", sent, after-sent)
		}
	})
}

func TestACancellationWhileAPageIsSentStands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBulk()
		b.add("rsd", 2000, 500)
		b.update = func(next webhook.Resend) error {
			if next.Resent > 0 { // the write after a page meets a cancellation
				r := b.resends["rsd"]
				r.State, r.Version = webhook.ResendCancelled, r.Version+1
				b.resends["rsd"] = r
			}
			return nil
		}
		b.runs(t, time.Second, 2*time.Second, b.done("rsd"))
		if got := b.get("rsd"); got.State != webhook.ResendCancelled || len(b.rung["rsd"]) != 250 {
			t.Errorf("state %s after %d, want cancelled after one page", got.State, len(b.rung["rsd"]))
		}
	})
}

func TestAGreedyResendDoesNotHoldOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBulk()
		b.add("greedy", 1_000_000, 500)
		for i := range 30 {
			b.add(fmt.Sprintf("small-%d", i), 20, 50)
		}
		ticks := 0
		b.runs(t, time.Minute, 75*time.Second, func() bool { ticks++; return ticks > 3 })
		for i := range 30 {
			if got := b.get(fmt.Sprintf("small-%d", i)); got.State != webhook.ResendDone || got.Resent != 20 {
				t.Errorf("%s is %s with %d resent after two runs", got.ID, got.State, got.Resent)
			}
		}
		if got := b.get("greedy"); got.Resent < 5_000 {
			t.Errorf("the greedy one resent %d", got.Resent)
		}
	})
}

func TestWhatCannotBeResentIsSkippedAndAFaultCostsOnlyItsDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBulk()
		b.add("rsd", 100, 50)
		b.fails["000090"] = webhook.ErrInFlight
		b.fails["000080"] = fmt.Errorf("record: %w", webhook.ErrStale)
		b.fails["000070"] = webhook.ErrNotFound
		b.fails["000060"] = &resend.NoTargetError{Why: "gone", Cure: "none"}
		b.fails["000050"] = errors.New("the row is broken")
		w := newWorld(t)
		h := &sweep.Handler{Store: w.store, Queue: w.queue, Horizon: 2 * time.Second, Resends: b, Resender: b, Log: slog.New(slog.DiscardHandler)}
		reported := 0
		for range 20 {
			time.Sleep(time.Second) // in a bubble
			if h.Handle(t.Context(), events.EventBridgeEvent{}) != nil {
				reported++
			}
		}
		got := b.get("rsd")
		want := webhook.Resend{State: webhook.ResendDone, Looked: 100, Resent: 95, Skipped: 5}
		if diff := cmp.Diff(webhook.Resend{State: got.State, Looked: got.Looked, Resent: got.Resent, Skipped: got.Skipped}, want); diff != "" {
			t.Errorf("resend (-got +want):\n%s", diff)
		}
		if reported == 0 {
			t.Error("the fault was not reported")
		}
		if n := len(b.rung["rsd"]); n < 95 || n > 95+15 {
			t.Errorf("%d were sent, want 95 and at most those sent beside the fault twice", n)
		}
	})
}

func TestAPageWhoseProgressWasNotNotedIsSentOnceMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBulk()
		b.add("rsd", 100, 50)
		lost := false
		b.update = func(next webhook.Resend) error {
			if next.Looked > 0 && !lost {
				lost = true
				return errors.New("throttled")
			}
			return nil
		}
		w := newWorld(t)
		h := &sweep.Handler{Store: w.store, Queue: w.queue, Horizon: 2 * time.Second, Resends: b, Resender: b, Log: slog.New(slog.DiscardHandler)}
		for range 10 {
			time.Sleep(time.Second) // in a bubble
			_ = h.Handle(t.Context(), events.EventBridgeEvent{})
		}
		if got := b.get("rsd"); got.State != webhook.ResendDone || got.Resent != 100 || len(b.rung["rsd"]) != 150 {
			t.Errorf("%s, %d resent, %d sent; want all, and the page of 50 twice", got.State, got.Resent, len(b.rung["rsd"]))
		}
	})
}

func TestWhoCannotWriteSendsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBulk()
		b.add("rsd", 100, 50)
		b.update = func(webhook.Resend) error { return errors.New("read-only") }
		w := newWorld(t)
		h := &sweep.Handler{Store: w.store, Queue: w.queue, Horizon: 2 * time.Second, Resends: b, Resender: b, Log: slog.New(slog.DiscardHandler)}
		time.Sleep(time.Second) // in a bubble
		if err := h.Handle(t.Context(), events.EventBridgeEvent{}); err == nil || len(b.rung["rsd"]) != 0 {
			t.Errorf("%v, %d sent; want an error and none", err, len(b.rung["rsd"]))
		}
	})
}

func TestABulkResendOfStoredDeliveries(t *testing.T) {
	w := newWorld(t)
	for i := range 30 {
		state := webhook.StateExhausted
		if i%3 == 0 {
			state = webhook.StateDelivered
		}
		j := job.Job{Account: "acme", Kind: job.KindAsync, ID: fmt.Sprint(i), Run: 1, CreatedAt: w.now}
		e := webhook.Event{ID: webhook.EventID(j, webhook.JobFinished, ""), Type: webhook.JobFinished, Account: "acme", Kind: j.Kind, JobID: j.ID, Run: 1, At: w.now,
			Record: fmt.Appendf(nil, `{"account":"acme","kind":"async","id":"%d","status":"success","run":1}`, i)}
		d := webhook.Delivery{Account: "acme", EventID: e.ID, EventType: e.Type, Kind: j.Kind, JobID: j.ID, Run: 1,
			Target: webhook.Target{Endpoint: "ep_standard", URL: "https://receiver.example/standard", Format: "standard"},
			State:  state, Generation: 1, Attempts: 1, CreatedAt: w.now, UpdatedAt: w.now, ExpiresAt: w.now.Add(time.Hour)}
		d.ID = webhook.DeliveryID(e.ID, d.Target)
		if _, err := w.store.Put(t.Context(), []webhook.Planned{{Event: e, Deliveries: []webhook.Delivery{d}}}); err != nil {
			t.Fatal(err)
		}
	}
	w.now = w.now.Add(time.Minute)
	r := webhook.Resend{ID: "rsd_1", Account: "acme", State: webhook.ResendRunning, Rate: 500, Version: 1, CreatedAt: w.now, UpdatedAt: w.now,
		Filter: webhook.Filter{Account: "acme", State: webhook.StateExhausted, Until: w.now}}
	if err := w.store.PutResend(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	h := w.handler()
	h.Horizon = 2 * time.Second
	h.Resends, h.Resender = w.store, &resend.Sender{Store: w.store, Queue: w.queue, Now: w.clock}
	for range 5 {
		w.now = w.now.Add(time.Second)
		if err := h.Handle(t.Context(), events.EventBridgeEvent{}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := w.store.Resend(t.Context(), "acme", "rsd_1")
	if err != nil || got.State != webhook.ResendDone || got.Resent != 20 || got.Skipped != 0 || w.queue.count != 20 {
		t.Errorf("%+v, %v, %d rung; want 20 resent", got, err, w.queue.count)
	}
}
