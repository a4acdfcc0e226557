package deliver_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/shared/webhook"
)

// limit gives ep_standard a rate, and grants so many attempts of each lease.
func (w *testWorld) limit(t *testing.T, rate, granted int) (asked *[]int) {
	t.Helper()
	_, err := w.store.UpdateEndpoint(t.Context(), "acme", "ep_standard", func(e webhook.Endpoint) (webhook.Endpoint, error) {
		e.Policy.Rate = &rate
		return e, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	asked = new([]int)
	w.store.lease = func(endpoint string, r, n int) (int, error) {
		if endpoint != "ep_standard" || r != rate {
			t.Errorf("leased %d a second of %s, want %d of ep_standard", r, endpoint, rate)
		}
		*asked = append(*asked, n)
		return granted, nil
	}
	return asked
}

func TestALimitedEndpointCostsOneLeaseForABatchAndTheOldestGoFirst(t *testing.T) {
	w := newWorld(t)
	asked := w.limit(t, 2, 2)
	all := w.deliveriesTo(t, "ep_standard")[:4]
	slices.Reverse(all) // of one moment, the ids tell which are older
	w.handle(t, w.handler(w.retry), batchOf(append(all, serpWow)...))
	if diff := cmp.Diff(*asked, []int{4}); diff != "" {
		t.Errorf("leases (-got +want):\n%s", diff)
	}
	for i, id := range all {
		want := webhook.StateDelivered
		if i < 2 {
			want = webhook.StateHeld
		}
		if d := w.want(t, id, want); want == webhook.StateHeld && (webhook.HoldOf(d.Reason) != webhook.HoldRate || !d.DueAt.IsZero() || d.Attempts != 0) {
			t.Errorf("held because %q, due at %s; want the rate, and sweep to look at the endpoint", d.Reason, d.DueAt)
		}
	}
	w.want(t, serpWow, webhook.StateDelivered)
}

func TestAnUnlimitedEndpointCostsNoLease(t *testing.T) {
	w := newWorld(t)
	w.store.lease = func(endpoint string, _, _ int) (int, error) {
		t.Errorf("leased attempts of %s", endpoint)
		return 0, nil
	}
	w.invoke(t, "deliver-all-formats")
	w.want(t, standard, webhook.StateDelivered)
}

func TestASlowedEndpointIsLimited(t *testing.T) {
	w := newWorld(t)
	w.setHealth(t, webhook.Health{Slow: 2, SlowAt: w.now})
	rate := 0
	w.store.lease = func(_ string, r, _ int) (int, error) { rate = r; return 0, nil }
	w.ring(t, standard)
	if d := w.want(t, standard, webhook.StateHeld); rate != 16 || !strings.HasPrefix(d.Reason, "rate: ") {
		t.Errorf("rate %d, reason %q; want 16, and the rate", rate, d.Reason)
	}
}

func TestALeaseThatFailsBringsItsMessagesBackShortly(t *testing.T) {
	for name, fault := range map[string]func() (int, error){
		"it fails":  func() (int, error) { return 0, errThrottled },
		"it panics": func() (int, error) { panic("boom") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.limit(t, 2, 2)
			w.store.lease = func(string, int, int) (int, error) { return fault() }
			all := w.deliveriesTo(t, "ep_standard")[:3]
			answer := w.handle(t, w.handler(w.retry), batchOf(append(all, serpWow)...))
			if got := failedIDs(answer); !cmp.Equal(got, []string{"1", "2", "3"}) || w.queue.hidden["AQEB2"] != shortly {
				t.Errorf("returned %v, hidden %v; want the three, for %s", got, w.queue.hidden, shortly)
			}
			w.want(t, all[0], webhook.StateQueued)
			w.want(t, serpWow, webhook.StateDelivered)
		})
	}
}

func TestFirstAttemptsThatWereRefusedLeaveTheNextLeasesToWhatWasReleased(t *testing.T) {
	w := newWorld(t)
	asked := w.limit(t, 2, 1)
	all := w.deliveriesTo(t, "ep_standard")
	leases := func(what string, want ...int) {
		t.Helper()
		if diff := cmp.Diff(*asked, want); diff != "" {
			t.Errorf("%s: leases (-got +want):\n%s", what, diff)
		}
	}
	w.handle(t, w.handler(w.retry), batchOf(all[0], all[1]))
	w.want(t, all[1], webhook.StateHeld)
	leases("of two one is refused", 2)
	w.now = w.now.Add(time.Second - 1)
	w.handle(t, w.handler(w.retry), batchOf(all[2], all[3]))
	w.want(t, all[2], webhook.StateHeld)
	leases("what comes anew is held", 2)
	w.handle(t, w.handler(nil), batchOf(all[1]))
	w.want(t, all[1], webhook.StateDelivered)
	leases("what was released is not", 2, 1)
	w.now = w.now.Add(1)
	w.handle(t, w.handler(w.retry), batchOf(all[4], all[5]))
	w.want(t, all[4], webhook.StateDelivered)
	w.want(t, all[5], webhook.StateHeld)
	leases("a second later one may try", 2, 1, 1)
	w.handle(t, w.handler(w.retry), batchOf(all[2], all[6]))
	leases("and then all", 2, 1, 1, 2)
}
