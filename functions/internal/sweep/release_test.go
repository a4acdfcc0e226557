package sweep_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/functions/internal/sweep"
	"github.com/jobhook/jobhook/shared/sqlite"
	"github.com/jobhook/jobhook/shared/webhook"
)

func TestAResumedEndpointGetsItsDeliveriesInOrderOfAgeAtItsOwnRate(t *testing.T) {
	w := newWorld(t)
	w.setRate(t, 10)
	w.setStatus(t, webhook.EndpointPaused)
	want := w.hold(t, 25, webhook.HoldPaused)
	h := w.handler()
	w.run(t, h)
	if got := w.rung(); len(got) != 0 {
		t.Fatalf("%d deliveries to a paused endpoint were released", len(got))
	}
	w.setStatus(t, webhook.EndpointEnabled)
	var got []string
	for i, after := range []time.Duration{time.Second, 900 * time.Millisecond, 1100 * time.Millisecond} {
		w.now = w.now.Add(after)
		w.run(t, h)
		for n, bell := range w.rung() {
			got = append(got, bell.Delivery)
			if want := time.Duration(n) * 100 * time.Millisecond; bell.After != want {
				t.Errorf("run %d: bell %d rings after %s, want %s", i, n, bell.After, want)
			}
		}
		if least := 10*i + 9; len(got) < min(least, 25) || len(got) > 10*(i+1) {
			t.Errorf("%d released after %d runs, at 10 a second", len(got), i+1)
		}
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("released (-got +want):\n%s", diff)
	}
}

func TestATrippedEndpointGetsOneProbeForEachOpening(t *testing.T) {
	w := newWorld(t)
	names := w.hold(t, 5, webhook.HoldTripped)
	h := w.handler()
	var probes []string
	for opens := 1; opens <= 3; opens++ {
		w.setHealth(t, webhook.Health{Circuit: webhook.Circuit{Opens: opens, OpenUntil: w.now.Add(time.Minute)}})
		for range 3 {
			w.run(t, h)
			w.now = w.now.Add(time.Second)
		}
		if got := w.rung(); len(got) != 0 {
			t.Errorf("%d released while the circuit is open", len(got))
		}
		w.now = w.now.Add(time.Minute)
		w.run(t, h)
		for _, bell := range w.rung() {
			probes = append(probes, bell.Delivery)
			if bell.After != 0 {
				t.Errorf("the probe rings after %s", bell.After)
			}
		}
		w.setHealth(t, webhook.Health{Circuit: webhook.Circuit{Opens: opens, OpenUntil: w.now, ProbeUntil: w.now.Add(time.Minute)}})
		for range 3 {
			w.now = w.now.Add(time.Second)
			w.run(t, h)
		}
		if got := w.rung(); len(got) != 0 {
			t.Errorf("%d released while the probe is under way", len(got))
		}
	}
	if diff := cmp.Diff(probes, names[:3]); diff != "" {
		t.Errorf("probes (-got +want):\n%s", diff)
	}
	w.setHealth(t, webhook.Health{})
	w.now = w.now.Add(time.Second)
	w.run(t, h)
	if got := w.rung(); len(got) != 2 {
		t.Errorf("%d released when the circuit was closed, want the other 2", len(got))
	}
}

func TestEndpointsOfAHostThatIsDownGetAFewProbesAndThenAllTheirDeliveries(t *testing.T) {
	w := newWorld(t)
	hoard := &hoard{Store: w.store, left: map[string]int{"ep_up": 4}, urls: map[string]string{"ep_up": "https://up.example/"}}
	for i := range 10 {
		id := fmt.Sprintf("ep_%d", i)
		hoard.left[id], hoard.urls[id] = 5, "https://Down.example/"+id
	}
	h := w.handler()
	h.Store = hoard
	for _, step := range []struct {
		what       string
		circuit    webhook.Circuit
		up, probes int
	}{
		{"open", webhook.Circuit{Opens: 1, OpenUntil: w.now.Add(time.Minute)}, 4, 0},
		{"half-open", webhook.Circuit{Opens: 1, OpenUntil: w.now}, 0, 3},
		{"tried by somebody", webhook.Circuit{Opens: 1, OpenUntil: w.now, ProbeUntil: w.now.Add(time.Minute)}, 0, 0},
	} {
		hoard.hosts = []webhook.HostHealth{{Host: "down.example:443", Circuit: step.circuit}}
		w.run(t, h)
		got := map[string]int{}
		for _, bell := range w.rung() {
			id, _, _ := strings.Cut(bell.Delivery, "-")
			got[id]++
		}
		up := got["ep_up"]
		delete(got, "ep_up")
		if up != step.up || len(got) != step.probes {
			t.Errorf("%s: %d of another host and %v released, want %d, and one of each of %d endpoints", step.what, up, got, step.up, step.probes)
		}
		for id, n := range got {
			if n != 1 {
				t.Errorf("%s: %s got %d back, want one", step.what, id, n)
			}
		}
	}
	hoard.hosts = nil
	w.now = w.now.Add(time.Minute)
	w.run(t, h)
	if got := len(w.rung()); got != 47 {
		t.Errorf("%d released when the host was up again, want the other 47", got)
	}
}

func TestWhatATrippedEndpointHoldsComesBackSlowlyAfterItsProbe(t *testing.T) {
	w := newWorld(t)
	w.hold(t, 200, webhook.HoldTripped)
	tripped := webhook.Health{Circuit: webhook.Circuit{Opens: 1, OpenUntil: w.now.Add(-time.Second)}}
	closed, _ := tripped.After(webhook.Observation{Result: webhook.Result{Status: 200}, Outcome: webhook.Outcome{Verdict: webhook.Done, Spends: true}, Probe: true},
		w.now, webhook.HealthRules{}, 0)
	w.setHealth(t, closed)
	h := w.handler()
	h.Horizon = time.Second
	w.run(t, h)
	if got := len(w.rung()); got == 0 || got > 32 {
		t.Errorf("%d released in the first second, want a few", got)
	}
}

func TestAnEndpointThatAskedToWaitGetsItsDeliveriesWhenItHasWaited(t *testing.T) {
	w := newWorld(t)
	w.hold(t, 3, webhook.HoldRetryAfter)
	w.setHealth(t, webhook.Health{PausedUntil: w.now.Add(time.Hour)})
	h := w.handler()
	w.run(t, h)
	if got := w.rung(); len(got) != 0 {
		t.Errorf("%d released although the receiver asked to wait", len(got))
	}
	w.now = w.now.Add(time.Hour)
	w.run(t, h)
	if got := w.rung(); len(got) != 3 {
		t.Errorf("%d released after the wait, want 3", len(got))
	}
}

func TestWhatADeletedEndpointHoldsIsReleased(t *testing.T) {
	w := newWorld(t)
	w.setStatus(t, webhook.EndpointPaused)
	w.hold(t, 3, webhook.HoldPaused)
	if err := w.store.DeleteEndpoint(t.Context(), "acme", "ep_standard"); err != nil {
		t.Fatal(err)
	}
	w.run(t, w.handler())
	if got := w.rung(); len(got) != 3 {
		t.Errorf("%d released, want all 3, for deliver to decline", len(got))
	}
}

func TestAHoldThatIsWrittenJustAfterADrainIsReleasedByTheNextRun(t *testing.T) {
	w := newWorld(t)
	w.hold(t, 2, webhook.HoldPaused)
	h := w.handler()
	w.run(t, h)
	if got := w.rung(); len(got) != 2 {
		t.Fatalf("%d released, want 2", len(got))
	}
	w.put(t, "stale", webhook.StateHeld, time.Time{}) // by somebody who did not know that the endpoint is enabled
	w.now = w.now.Add(time.Second)
	w.run(t, h)
	if got := w.rung(); len(got) != 1 || got[0].Delivery != "stale" {
		t.Errorf("rung for %v, want the one that was held since", got)
	}
}

func TestReleasedDeliveriesWhoseBellsWereLostAreRungForAgain(t *testing.T) {
	w := newWorld(t)
	w.hold(t, 2, webhook.HoldPaused)
	h := w.handler()
	w.queue.err = errors.New("throttled")
	if err := h.Handle(t.Context(), events.EventBridgeEvent{}); err == nil || !strings.Contains(err.Error(), "endpoint ep_standard: ring for 2 released deliveries") {
		t.Errorf("got %v, want what could not be done", err)
	}
	w.queue.err = nil
	w.run(t, h)
	if got := w.rung(); len(got) != 0 {
		t.Errorf("rung %d times at once", len(got))
	}
	w.now = w.now.Add(10 * time.Minute)
	w.run(t, h)
	if got := w.rung(); len(got) != 2 {
		t.Errorf("rung %d times minutes later, want 2", len(got))
	}
}

func TestWhatExpiresWhileItIsHeldIsDeclinedAndNotLost(t *testing.T) {
	w := newWorld(t)
	w.setStatus(t, webhook.EndpointPaused)
	d := w.put(t, "held", webhook.StateHeld, time.Time{})
	w.now = d.ExpiresAt.Add(time.Second)
	w.run(t, w.handler())
	got, err := w.store.Delivery(t.Context(), d.Ref())
	if err != nil || got.State != webhook.StateDeclined || got.Reason != "expired before it could be delivered" {
		t.Errorf("got %s (%s), %v; want it declined", got.State, got.Reason, err)
	}
}

func TestAMillionHeldDeliveriesOfOneEndpointLeaveTheOthersTheirPart(t *testing.T) {
	w := newWorld(t)
	hoard := &hoard{Store: w.store, left: map[string]int{"ep_large": 1_000_000}}
	small := 0
	for i := range 99 {
		hoard.left[fmt.Sprintf("ep_%d", i)] = 50
		small += 50
	}
	h := w.handler()
	h.Store = hoard
	line := w.measured(t, h, nil)
	if line["Released"] != 10_000.0 {
		t.Errorf("released %v, want as many as one run takes on", line["Released"])
	}
	if got := 1_000_000 - hoard.left["ep_large"]; got != 10_000-small {
		t.Errorf("the large endpoint got %d back, want what the others left: %d", got, 10_000-small)
	}
	for id, left := range hoard.left {
		if id != "ep_large" && left > 0 {
			t.Errorf("%s still holds %d", id, left)
		}
	}
}

func TestEveryEndpointHasItsTurnWhenThereAreMoreThanOneRunTakesOn(t *testing.T) {
	w := newWorld(t)
	hoard := &hoard{Store: w.store, left: map[string]int{}}
	for i := range 15_000 {
		hoard.left[fmt.Sprintf("ep_%d", i)] = 1
	}
	h := w.handler()
	h.Store = hoard
	for range 2 {
		w.run(t, h)
		w.now = w.now.Add(time.Minute)
	}
	for id, left := range hoard.left {
		if left > 0 {
			t.Fatalf("%s still holds %d", id, left)
		}
	}
}

func TestAnEndpointThatCannotBeReleasedKeepsNobodyBack(t *testing.T) {
	for name, fault := range map[string]func(*hoard){
		"it cannot be read":    func(h *hoard) { h.heldErr = errors.New("throttled") },
		"it cannot be written": func(h *hoard) { h.releaseErr = errors.New("throttled") },
		"it panics":            func(h *hoard) { h.panics = true },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			hoard := &hoard{Store: w.store, bad: "ep_bad", left: map[string]int{"ep_bad": 10, "ep_1": 10, "ep_2": 10}}
			fault(hoard)
			h := w.handler()
			h.Store = hoard
			err := h.Handle(t.Context(), events.EventBridgeEvent{})
			if err == nil || !strings.Contains(err.Error(), "account acme: endpoint ep_bad: ") {
				t.Errorf("got %v, want the endpoint named", err)
			}
			if got := len(w.rung()); got != 20 {
				t.Errorf("rung %d times, want 20, for the others", got)
			}
		})
	}
}

func TestAnIndexThatLagsBehindReleasesNothingTwice(t *testing.T) {
	w := newWorld(t)
	w.hold(t, 3, webhook.HoldPaused)
	held, err := w.store.Held(t.Context(), "acme", "ep_standard", 10)
	if err != nil || len(held) != 3 {
		t.Fatalf("%d held, %v; want 3", len(held), err)
	}
	h := w.handler()
	h.Store = &lagging{Store: w.store, held: held}
	w.run(t, h)
	if got := w.rung(); len(got) != 3 {
		t.Errorf("rung %d times, want once for each of 3", len(got))
	}
}

// hoard holds as many deliveries of each endpoint as it is told.
type hoard struct {
	*sqlite.Store
	lock       sync.Mutex
	left       map[string]int
	urls       map[string]string
	hosts      []webhook.HostHealth // that fail
	bad        string               // the endpoint that the faults are of
	heldErr    error
	releaseErr error
	panics     bool
}

func (h *hoard) Holders(context.Context) (list []webhook.Holder, err error) {
	h.lock.Lock()
	defer h.lock.Unlock()
	for id, left := range h.left {
		if left > 0 {
			list = append(list, webhook.Holder{Account: "acme", Exists: true, Endpoint: webhook.Endpoint{ID: id, URL: h.urls[id], Status: webhook.EndpointEnabled}})
		}
	}
	return list, nil
}

func (h *hoard) Hosts(context.Context, int) ([]webhook.HostHealth, error) { return h.hosts, nil }

func (h *hoard) Held(_ context.Context, account, endpoint string, limit int) (list []webhook.Delivery, err error) {
	h.lock.Lock()
	defer h.lock.Unlock()
	if endpoint == h.bad && h.heldErr != nil {
		return nil, h.heldErr
	}
	for n := range min(limit, h.left[endpoint]) {
		list = append(list, webhook.Delivery{ID: fmt.Sprintf("%s-%d", endpoint, h.left[endpoint]-n), Account: account, Target: webhook.Target{Endpoint: endpoint}, Generation: 1})
	}
	return list, nil
}

func (h *hoard) Release(_ context.Context, held []webhook.Delivery, _, _ time.Time) (bells []webhook.Doorbell, err error) {
	h.lock.Lock()
	defer h.lock.Unlock()
	if held[0].Target.Endpoint == h.bad && h.panics {
		panic("a delivery that nobody thought of")
	}
	if held[0].Target.Endpoint == h.bad && h.releaseErr != nil {
		return nil, h.releaseErr
	}
	for _, d := range held {
		h.left[d.Target.Endpoint]--
		bells = append(bells, d.Doorbell())
	}
	return bells, nil
}

// lagging shows what was held once, for ever.
type lagging struct {
	*sqlite.Store
	held []webhook.Delivery
}

func (l *lagging) Held(context.Context, string, string, int) ([]webhook.Delivery, error) {
	return slices.Clone(l.held), nil
}

// hold puts held deliveries to ep_standard, and returns their ids, the oldest first.
func (w *testWorld) hold(t *testing.T, n int, why webhook.Hold) (ids []string) {
	t.Helper()
	for i := range n {
		id := fmt.Sprintf("%s-%03d", why, i)
		w.put(t, id, webhook.StateHeld, time.Time{})
		ids = append(ids, id)
	}
	return ids
}

func (w *testWorld) run(t *testing.T, h *sweep.Handler) {
	t.Helper()
	if err := h.Handle(t.Context(), events.EventBridgeEvent{}); err != nil {
		t.Fatal(err)
	}
}

// rung returns what was rung for since it was last asked.
func (w *testWorld) rung() []webhook.Doorbell {
	list := w.queue.rung
	w.queue.rung = nil
	return list
}

func (w *testWorld) setRate(t *testing.T, rate int) {
	t.Helper()
	_, err := w.store.UpdateEndpoint(t.Context(), "acme", "ep_standard", func(e webhook.Endpoint) (webhook.Endpoint, error) {
		e.Policy.Rate = &rate
		return e, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (w *testWorld) setHealth(t *testing.T, next webhook.Health, told ...webhook.Notice) {
	t.Helper()
	read, err := w.store.HealthOf(t.Context(), "acme", "ep_standard")
	if err != nil {
		t.Fatal(err)
	}
	next.Endpoint, next.Version = read.Endpoint, read.Version+1
	if err := w.store.SetHealth(t.Context(), "acme", read, next, told...); err != nil {
		t.Fatal(err)
	}
}
