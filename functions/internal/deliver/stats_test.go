package deliver_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/functions/internal/deliver"
	"github.com/jobhook/jobhook/shared/webhook"
)

// statsTaker takes the statistics that a store would be given.
type statsTaker struct {
	deliver.Store
	sum webhook.Stats
}

func (s *statsTaker) AddStats(_ context.Context, list []webhook.Stats) error {
	for _, st := range list {
		s.sum.Add(st)
	}
	return nil
}

// counted rings for generations of a delivery in the retry queue, and returns what
// was counted of it.
func (w *testWorld) counted(t *testing.T, id string, generations ...int) webhook.Stats {
	t.Helper()
	h := w.handler(nil)
	taker := &statsTaker{Store: h.Store}
	h.Store = taker
	for _, g := range generations {
		w.handle(t, h, batch(id, g))
		w.now = w.now.Add(5 * time.Second)
	}
	return taker.sum
}

func TestOnlyTheLastFailureOfADeliveryIsCountedAsGivenUp(t *testing.T) {
	for _, row := range []struct {
		what, id        string
		answer          webhook.Result
		attempts        int
		state           webhook.State
		failed, givenUp int
	}{
		{"an attempt that is followed by another", hkubeResult, webhook.Result{Status: 503}, 1, webhook.StateWaiting, 1, 0},
		{"all attempts", hkubeResult, webhook.Result{Status: 503}, 3, webhook.StateExhausted, 3, 1},
		{"a failure that is not retried", serpWow, webhook.Result{Failure: webhook.FailureRefusedAddress}, 1, webhook.StateDead, 1, 1},
		{"progress that was overtaken", progressOld, webhook.Result{Status: 500}, 1, webhook.StateSuperseded, 1, 0},
		{"a success", hkubeResult, ok, 1, webhook.StateDelivered, 0, 0},
	} {
		t.Run(row.what, func(t *testing.T) {
			w := newWorld(t)
			w.sender.answer = func(webhook.Request) webhook.Result { return row.answer }
			got := w.counted(t, row.id, []int{1, 1, 1}[:row.attempts]...)
			w.want(t, row.id, row.state)
			if got.Failed != row.failed || got.GivenUp != row.givenUp || got.Delivered != row.attempts-row.failed {
				t.Errorf("counted %+v, want %d failed and %d given up", got, row.failed, row.givenUp)
			}
		})
	}
}

func TestAFailedResendOfWhatWasDeliveredGivesNothingUp(t *testing.T) {
	w := newWorld(t)
	w.counted(t, socialData, 1)
	w.resend(t, socialData)
	w.sender.answer = status(500)
	got := w.counted(t, socialData, 2)
	w.want(t, socialData, webhook.StateDelivered)
	if got.Failed != 1 || got.GivenUp != 0 {
		t.Errorf("counted %+v, want one failed and none given up", got)
	}
}

func TestTheLagIsFromTheEventToTheAnswerAndSaysNothingOfResends(t *testing.T) {
	w := newWorld(t)
	d := w.delivery(t, standard)
	event, err := w.store.Event(t.Context(), "acme", d.EventID)
	if err != nil {
		t.Fatal(err)
	}
	w.now = event.At.Add(3 * time.Second)
	w.sender.answer = status(503)
	lag, none := webhook.Histogram{}, webhook.Histogram{}
	lag.Observe(20 * time.Second)
	if got := w.counted(t, standard, 1).Lag; got != none {
		t.Errorf("lag of a failure %v, want none", got)
	}
	w.sender.answer = func(webhook.Request) webhook.Result {
		w.now = event.At.Add(20 * time.Second) // while the receiver answers
		return ok
	}
	if diff := cmp.Diff(w.counted(t, standard, 1).Lag, lag); diff != "" {
		t.Errorf("lag of a retry that succeeded (-got +want):\n%s", diff)
	}
	w.resend(t, standard)
	if got := w.counted(t, standard, 2); got.Delivered != 1 || got.Lag != none {
		t.Errorf("counted %+v of a resend, want one delivered without a lag", got)
	}
}
