package sqlite

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

// fill puts the delivered webhooks of the account acme from one number to
// before another, one a millisecond, with their events. Every 10,000th is dead,
// and was to the endpoint ep_rare.
func fill(t testing.TB, s *Store, from, to int) {
	t.Helper()
	check(t, s.write(t.Context(), func(tx *tx) error {
		for i := from; i < to; i++ {
			at := firstDay.Add(time.Duration(i) * time.Millisecond)
			tail := webhook.TimePrefix(at) + fmt.Sprintf("%016d", i)
			e := webhook.Event{ID: "evt_" + tail, Type: webhook.JobFinished, Account: "acme", Kind: "async", JobID: fmt.Sprintf("j%d", i), At: at, Record: filler}
			d := webhook.Delivery{
				ID: "dlv_" + tail + "0000000000", Account: "acme", EventID: e.ID, EventType: e.Type, Kind: e.Kind, JobID: e.JobID,
				Target: webhook.Target{URL: "https://example.com/hook", Format: "socialdata"}, State: webhook.StateDelivered,
				Generation: 1, Attempts: 1, LastStatus: 200, CreatedAt: at, UpdatedAt: at, DeliveredAt: at, ExpiresAt: at.Add(720 * time.Hour),
			}
			if i%10_000 == 5_000 {
				d.State, d.LastStatus, d.Target.Endpoint = webhook.StateDead, 404, "ep_rare"
			}
			if _, err := putPlanned(tx.Conn, webhook.Planned{Event: e, Deliveries: []webhook.Delivery{d}}); err != nil {
				return err
			}
		}
		return nil
	}))
}

var firstDay = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

var filler = fmt.Appendf(nil, `{"filler":"%0850d"}`, 0)

func TestAPageLooksAtABoundedNumberOfRowsAndTheNextOneGoesOn(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	fill(t, s, 0, 2*maxLooked+500)
	f := webhook.Filter{Account: "acme", JobID: "j100", Limit: 10} // the oldest but 100
	for range 2 {
		before := f.After
		list, next, err := s.Deliveries(t.Context(), f)
		check(t, err)
		if len(list) > 0 || next == "" || next == before {
			t.Fatalf("got %d deliveries and cursor %q after %q, want none and the next cursor", len(list), next, before)
		}
		f.After = next
	}
	list, next, err := s.Deliveries(t.Context(), f)
	check(t, err)
	if len(list) != 1 || next != "" {
		t.Errorf("got %d deliveries and cursor %q at the end, want one and no cursor", len(list), next)
	}
	events, next, err := s.Events(t.Context(), webhook.EventFilter{Account: "acme", JobID: "j100", Limit: 10})
	check(t, err)
	if want := "evt_" + f.After[4:30]; len(events) > 0 || next <= want {
		t.Errorf("got %d events and cursor %q, want none and one before %q", len(events), next, want)
	}
}

func TestAPageOfLargeEventsEndsEarly(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	large := filler
	for len(large) < maxPageBytes/2 {
		large = slices.Concat(large, large)
	}
	check(t, s.write(t.Context(), func(tx *tx) error {
		for i := range 5 {
			tail := fmt.Sprintf("%026d", i)
			_, err := putPlanned(tx.Conn, webhook.Planned{
				Event:      webhook.Event{ID: "evt_" + tail, Account: "acme", Record: large},
				Deliveries: []webhook.Delivery{{ID: "dlv_" + tail + "0000000000", Account: "acme"}, {ID: "dlv_" + tail + "0000000001", Account: "acme"}},
			})
			if err != nil {
				return err
			}
		}
		return nil
	}))
	f := webhook.EventFilter{Account: "acme", Records: true, Limit: 10}
	for _, want := range []int{2, 2, 1} {
		list, next, err := s.Events(t.Context(), f)
		check(t, err)
		if len(list) != want || (next == "") != (want == 1) {
			t.Fatalf("got %d events and cursor %q, want %d", len(list), next, want)
		}
		f.After = next
	}
}

// BenchmarkLists lists from a million deliveries, from the newest and from
// some way down.
func BenchmarkLists(b *testing.B) {
	s := open(b, b.TempDir(), Options{})
	const n = 1_000_000
	for from := 0; from < n; from += 10_000 {
		fill(b, s, from, from+10_000)
	}
	deliveries := func(f webhook.Filter) func() error {
		return func() error {
			_, _, err := s.Deliveries(b.Context(), f)
			return err
		}
	}
	events := func(f webhook.EventFilter) func() error {
		return func() error {
			_, _, err := s.Events(b.Context(), f)
			return err
		}
	}
	for _, row := range []struct {
		name string
		list func() error
	}{
		{"all", deliveries(webhook.Filter{Account: "acme", Limit: 50})},
		{"state=dead", deliveries(webhook.Filter{Account: "acme", State: webhook.StateDead, Limit: 50})},
		{"state=queued", deliveries(webhook.Filter{Account: "acme", State: webhook.StateQueued, Limit: 50})},
		{"endpoint=ep_rare", deliveries(webhook.Filter{Account: "acme", Endpoint: "ep_rare", Limit: 50})},
		{"until", deliveries(webhook.Filter{Account: "acme", Until: firstDay, StatusClass: webhook.Class4xx, Limit: 50})},
		{"events", events(webhook.EventFilter{Account: "acme", Records: true, Limit: 50})},
		{"events/type=none", events(webhook.EventFilter{Account: "acme", Type: webhook.JobFailed, Limit: 50})},
	} {
		b.Run(row.name, func(b *testing.B) {
			took, cpu := make([]time.Duration, 0, 1<<14), cpuTime(b)
			for b.Loop() {
				started := time.Now()
				check(b, row.list())
				took = append(took, time.Since(started))
			}
			b.ReportMetric(float64((cpuTime(b)-cpu).Microseconds())/float64(len(took)), "cpu-µs/op") // which a busy machine does not change
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
		})
	}
}

// cpuTime is what this process has used of the processors.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	check(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
