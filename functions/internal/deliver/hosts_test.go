package deliver_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

// sharedHost is that of all URLs of the fixtures.
const sharedHost = "receiver.example:443"

// inBubble runs a test in a bubble whose clock is the world's.
func inBubble(t *testing.T, f func(t *testing.T, w *testWorld)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.now = time.Now()
		f(t, w)
	})
}

// refuseAll makes the shared host refuse connections.
func (w *testWorld) refuseAll() {
	w.sender.answer = func(webhook.Request) webhook.Result {
		return webhook.Result{Failure: webhook.FailureConnect, Code: "ECONNREFUSED"}
	}
}

// ringFor dispatches a job of an account with a URL of its own, and rings for it.
func (w *testWorld) ringFor(t *testing.T, account string, n int) webhook.Delivery {
	t.Helper()
	job := fmt.Sprintf("%s-%d", account, n)
	payload := strings.ReplaceAll(string(w.payload(t, "dispatch-batch-finished")), `"S": "9E867FAA"`, `"S": "`+job+`"`)
	w.dispatch(t, []byte(strings.ReplaceAll(payload, `"S": "acme"`, `"S": "`+account+`"`)))
	list, _, err := w.store.Deliveries(t.Context(), webhook.Filter{Account: account, JobID: job, Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list {
		if d.Target.Endpoint == "" {
			e := batch(d.ID, 1)
			e.Records[0].Body = d.Doorbell().Message()
			w.handle(t, w.handler(w.retry), e)
			d, err = w.store.Delivery(t.Context(), d.Ref())
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
	}
	t.Fatalf("no delivery to the URL of job %s", job)
	return webhook.Delivery{}
}

func (w *testWorld) host(t *testing.T) (h webhook.HostHealth) {
	t.Helper()
	list, err := w.store.Hosts(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range list {
		if h.Host == sharedHost {
			return h
		}
	}
	return h
}

func TestNeitherOneNorTwoAccountsCanSilenceAHostHoweverOftenTheyFail(t *testing.T) {
	inBubble(t, func(t *testing.T, w *testWorld) {
		w.refuseAll()
		for i := range 40 {
			w.ringFor(t, "mallory", i)
		}
		if h := w.host(t); h.Opens != 0 {
			t.Fatalf("one account opened the circuit: %+v", h)
		}
		for i := range 40 {
			w.ringFor(t, "her-other-one", i)
		}
		if h := w.host(t); h.Opens != 0 {
			t.Fatalf("two accounts opened the circuit: %+v", h)
		}
		w.sender.answer = nil
		if d := w.ringFor(t, "victim", 0); d.State != webhook.StateDelivered {
			t.Errorf("another account's delivery is %s because %q", d.State, d.Reason)
		}
	})
}

func TestThreeAccountsThatCannotReachAHostOpenItsCircuitForAll(t *testing.T) {
	inBubble(t, func(t *testing.T, w *testWorld) {
		w.refuseAll()
		for i := range 5 {
			w.ringFor(t, []string{"one", "two", "three"}[i%3], i)
		}
		h := w.host(t)
		if h.Opens != 1 || h.OpenUntil.Sub(w.now) != webhook.DefaultOpenFor {
			t.Fatalf("host %+v, want it open for %s", h, webhook.DefaultOpenFor)
		}
		d := w.ringFor(t, "four", 0)
		if d.State != webhook.StateHeld || webhook.HoldOf(d.Reason) != webhook.HoldHost || !d.DueAt.Equal(h.OpenUntil) || d.Attempts != 0 {
			t.Errorf("delivery %s because %q, due at %s, %d attempts; want held for the host until %s", d.State, d.Reason, d.DueAt, d.Attempts, h.OpenUntil)
		}
		if strings.Contains(d.Reason, "two") || strings.Contains(d.Reason, "three") {
			t.Errorf("the reason %q tells who failed", d.Reason)
		}
	})
}

func TestAnAttemptThatIsAnsweredClosesAHostThatOpenedMeanwhile(t *testing.T) {
	inBubble(t, func(t *testing.T, w *testWorld) {
		w.sender.answer = func(webhook.Request) webhook.Result {
			w.refuseAll()
			for i := range 5 {
				w.ringFor(t, []string{"one", "two", "three"}[i%3], i)
			}
			if h := w.host(t); h.Opens != 1 {
				t.Errorf("host %+v, want it open", h)
			}
			return webhook.Result{Status: 500}
		}
		w.ringFor(t, "four", 0)
		if h := w.host(t); h.Opens != 0 {
			t.Errorf("host %+v after it answered, want it closed", h)
		}
	})
}

func TestWhenMostHostsCannotBeReachedItIsOurNetworkAndNobodyIsBlamed(t *testing.T) {
	for name, tt := range map[string]struct {
		others  int // that cannot be reached
		reached int
		blamed  bool
	}{
		"all five of five hosts": {4, 0, false},
		"four of four":           {3, 0, true},
		"five of nine":           {4, 4, false},
		"five of ten":            {4, 5, true},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *testWorld) {
				var lines strings.Builder
				w.rules.TripAfter = 3
				ring := func(id string, r webhook.Result) {
					h := w.handler(w.retry)
					h.Log = slog.New(slog.NewTextHandler(&lines, nil))
					w.sender.answer = func(webhook.Request) webhook.Result { return r }
					w.handle(t, h, batch(id, 1))
				}
				all := w.deliveriesTo(t, "ep_standard")
				for i := range tt.others + tt.reached {
					r := webhook.Result{Failure: webhook.FailureDNS}
					if i >= tt.others {
						r = webhook.Result{Status: 404}
					}
					url := fmt.Sprintf("https://host%d.example/", i)
					w.store.load = func(works []webhook.Work) { works[0].Endpoint.URL = url }
					ring(w.another(t, i), r)
				}
				w.store.load = nil
				for _, id := range all[:5] {
					ring(id, webhook.Result{Failure: webhook.FailureConnect})
				}
				if h := w.healthOf(t); (h.Opens > 0) != tt.blamed {
					t.Errorf("health %+v, want tripped: %t", h, tt.blamed)
				}
				w.refuseAll()
				for i := range 5 {
					w.ringFor(t, []string{"one", "two", "three"}[i%3], i)
				}
				if h := w.host(t); (h.Opens > 0) != tt.blamed {
					t.Errorf("host %+v, want open: %t", h, tt.blamed)
				}
				if got := strings.Count(lines.String(), "network.suspected"); got > 1 || (got == 0) != tt.blamed {
					t.Errorf("%d lines that our network is suspected, want one if it is", got)
				}
			})
		})
	}
}

func TestADeliveryToAnEndpointIsHeldForItsHostUntilSweepSeesThatItIsOver(t *testing.T) {
	w := newWorld(t)
	w.store.load = func(works []webhook.Work) {
		works[0].Host = webhook.HostHealth{Host: sharedHost, Version: 1, Circuit: webhook.Circuit{Opens: 1, OpenUntil: w.now.Add(time.Minute)}}
	}
	w.ring(t, standard)
	if d := w.want(t, standard, webhook.StateHeld); webhook.HoldOf(d.Reason) != webhook.HoldHost || !d.DueAt.IsZero() || !d.NextAt.IsZero() {
		t.Errorf("held because %q, due at %s, next at %s; want for its host, and found by its endpoint", d.Reason, d.DueAt, d.NextAt)
	}
}

func TestWhatIsHeldUntilOneTimeIsSpreadOverHalfAMinute(t *testing.T) {
	w := newWorld(t)
	h := w.handler(w.retry)
	h.Jitter = func() float64 { return 0.5 }
	until := w.now.Add(time.Minute)
	w.store.load = func(works []webhook.Work) { works[0].SilentUntil = until }
	w.handle(t, h, batch(serpWow, 1))
	if d := w.want(t, serpWow, webhook.StateHeld); !d.DueAt.Equal(until.Add(15*time.Second)) || !d.NextAt.Equal(d.DueAt) {
		t.Errorf("silent until %s, due at %s, next at %s; want both 15 s later", until, d.DueAt, d.NextAt)
	}
	hosted := w.dispatchTwin(t, "dispatch-batch-finished", "9E867FAA", "HOSTED")
	w.store.load = func(works []webhook.Work) {
		works[0].Host = webhook.HostHealth{Host: sharedHost, Version: 1, Circuit: webhook.Circuit{Opens: 1, OpenUntil: until}}
	}
	w.handle(t, h, batch(hosted, 1))
	if d := w.want(t, hosted, webhook.StateHeld); !d.DueAt.Equal(until.Add(15 * time.Second)) {
		t.Errorf("its host is not called until %s, due at %s; want 15 s later", until, d.DueAt)
	}
}

func TestAnAnswerOfTheHostForgetsItsFailures(t *testing.T) {
	inBubble(t, func(t *testing.T, w *testWorld) {
		for i := range 12 {
			w.refuseAll()
			if i%4 == 3 {
				w.sender.answer = status(500) // an answer all the same
			}
			w.ringFor(t, []string{"one", "two", "three", "four"}[i%4], i)
		}
		if h := w.host(t); h.Opens != 0 {
			t.Errorf("host %+v, want it closed: it answers", h)
		}
	})
}

func TestBrokenConnectionsSayNothingOfTheHost(t *testing.T) {
	inBubble(t, func(t *testing.T, w *testWorld) {
		w.sender.answer = func(webhook.Request) webhook.Result { return webhook.Result{Failure: webhook.FailureReset} }
		for i := range 12 {
			w.ringFor(t, []string{"one", "two", "three", "four"}[i%4], i)
		}
		if h := w.host(t); h.Version != 0 {
			t.Errorf("host %+v, want nothing known", h)
		}
	})
}

func TestOneProbeOfAHostDecidesForAll(t *testing.T) {
	for name, tt := range map[string]struct {
		result webhook.Result
		opens  int
	}{
		"an answer closes it":                        {webhook.Result{Status: 500}, 0},
		"a timeout closes it, or a tenant could not": {webhook.Result{Failure: webhook.FailureTimeout}, 0},
		"a refused connection opens it again":        {webhook.Result{Failure: webhook.FailureConnect}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *testWorld) {
				w.refuseAll()
				for i := range 5 {
					w.ringFor(t, []string{"one", "two", "three"}[i%3], i)
				}
				w.now = w.host(t).OpenUntil
				w.sender.answer = func(webhook.Request) webhook.Result {
					w.sender.answer = nil
					during := w.ringFor(t, "five", 0)
					if during.State != webhook.StateHeld {
						t.Errorf("a second delivery is %s while the probe is under way", during.State)
					}
					return tt.result
				}
				before := w.sender.count()
				w.ringFor(t, "four", 0)
				if h := w.host(t); h.Opens != tt.opens || w.sender.count() != before+1 {
					t.Errorf("host opened %d times after %d requests, want %d after the probe", h.Opens, w.sender.count()-before, tt.opens)
				}
			})
		})
	}
}
