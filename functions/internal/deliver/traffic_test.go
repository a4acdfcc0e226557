package deliver_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/functions/internal/deliver"
	"github.com/jobhook/jobhook/shared/webhook"
)

// shortly is how long a message is kept back that nothing could be done for.
const shortly = 5 * time.Second

// hangers are so many attempts that are not answered for a second.
const hangers = webhook.DefaultTripAfter

// crowd is a world whose ep_standard gets so many attempts at once in the first
// lane, of deliveries of its own, that end when the function is called.
func (w *testWorld) crowd(t *testing.T, n int, answer webhook.Result) (end func()) {
	t.Helper()
	gate := make(chan struct{})
	w.sender.answer = func(r webhook.Request) webhook.Result {
		if r.URL == "https://receiver.example/standard" {
			<-gate
			return answer
		}
		return ok
	}
	var wait sync.WaitGroup
	for i := range n {
		id := w.another(t, i)
		wait.Go(func() { w.ring(t, id) })
	}
	synctest.Wait()
	return func() { close(gate); wait.Wait() }
}

// another dispatches one more job and returns its delivery to ep_standard.
func (w *testWorld) another(t *testing.T, n int) string {
	t.Helper()
	job := fmt.Sprintf("CROWD%03d", n)
	w.dispatchTwin(t, "dispatch-batch-finished", "9E867FAA", job)
	list, _, err := w.store.Deliveries(t.Context(), webhook.Filter{Account: "acme", JobID: job, Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list {
		if d.Target.Endpoint == "ep_standard" {
			return d.ID
		}
	}
	t.Fatalf("job %s has no delivery to ep_standard", job)
	return ""
}

func (w *testWorld) patch(t *testing.T, p webhook.PolicyPatch) {
	t.Helper()
	_, err := w.store.UpdateEndpoint(t.Context(), "acme", "ep_standard", func(e webhook.Endpoint) (webhook.Endpoint, error) {
		e.Policy = p
		return e, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func busyWorld(t *testing.T, f func(t *testing.T, w *testWorld)) {
	t.Helper()
	inBubble(t, func(t *testing.T, w *testWorld) {
		w.busy = &deliver.Traffic{}
		f(t, w)
	})
}

func TestAnEndpointThatHangsIsLeftToTheRetryQueueAndOthersAreNot(t *testing.T) {
	busyWorld(t, func(t *testing.T, w *testWorld) {
		end := w.crowd(t, hangers, ok)
		defer end()
		if answer := w.ringOthers(t, serpWow); len(answer.BatchItemFailures) != 0 {
			t.Error("another target waits")
		}
		time.Sleep(time.Second + time.Millisecond)
		answer := w.ring(t, standard)
		want := []webhook.Doorbell{{Account: "acme", Delivery: standard, Generation: 1}}
		if diff := cmp.Diff(w.retry.rung, want); diff != "" || len(answer.BatchItemFailures) != 0 {
			t.Errorf("%d failures, retry queue (-got +want):\n%s", len(answer.BatchItemFailures), diff)
		}
		w.want(t, standard, webhook.StateQueued)
		w.ringOthers(t, hkubeResult)
		w.want(t, hkubeResult, webhook.StateDelivered)
	})
}

func (w *testWorld) ringOthers(t *testing.T, ids ...string) events.SQSEventResponse {
	t.Helper()
	return w.handle(t, w.handler(w.retry), batchOf(ids...))
}

func TestAnEndpointThatAnsweredSlowlyIsLeftToTheRetryQueueForAWhile(t *testing.T) {
	busyWorld(t, func(t *testing.T, w *testWorld) {
		w.sender.took = 9 * time.Second // its weight is a quarter
		w.ring(t, w.another(t, 0))
		w.sender.took = 50 * time.Millisecond
		w.ring(t, standard)
		w.want(t, standard, webhook.StateQueued)
		if len(w.retry.rung) != 1 {
			t.Errorf("rung %v, want the second in the retry queue", w.retry.rung)
		}
		w.handle(t, w.handler(nil), batchOf(standard))
		w.want(t, standard, webhook.StateDelivered)
		time.Sleep(30 * time.Second)
		id := w.another(t, 1)
		w.ring(t, id)
		w.want(t, id, webhook.StateDelivered)
		if len(w.retry.rung) != 1 {
			t.Errorf("rung %v, want nothing more: its slowness is forgotten", w.retry.rung)
		}
	})
}

func TestASlowEndpointIsTriedInTheFirstLaneEveryFewSeconds(t *testing.T) {
	busyWorld(t, func(t *testing.T, w *testWorld) {
		w.sender.took = 29 * time.Second
		w.ring(t, w.another(t, 0))
		for i, wait := range []time.Duration{4 * time.Second, time.Second, 5 * time.Second} {
			time.Sleep(wait)
			w.ringOthers(t, w.another(t, 2*i+1), w.another(t, 2*i+2))
			if got, want := w.sender.count(), i+1; got != want { // one with the second ring, one with the third
				t.Errorf("%d requests after ring %d, want %d", got, i+1, want)
			}
		}
	})
}

func TestAnEndpointWithFewAttemptsAtATimeIsSlowWhenAllOfThemHang(t *testing.T) {
	busyWorld(t, func(t *testing.T, w *testWorld) {
		w.patch(t, webhook.PolicyPatch{MaxInFlight: new(1)})
		end := w.crowd(t, 1, ok)
		defer end()
		time.Sleep(time.Second + time.Millisecond)
		begun := time.Now()
		w.ring(t, standard)
		if took := time.Since(begun); len(w.retry.rung) != 1 || took > 0 {
			t.Errorf("rung %v after %s, want it in the retry queue at once", w.retry.rung, took)
		}
	})
}

func TestNoMoreAttemptsAreInFlightThanThePolicyAllows(t *testing.T) {
	busyWorld(t, func(t *testing.T, w *testWorld) {
		w.patch(t, webhook.PolicyPatch{MaxInFlight: new(3)})
		end := w.crowd(t, 5, ok)
		if got := w.sender.count(); got != 3 {
			t.Errorf("%d requests at once, want 3", got)
		}
		end()
		if got := w.sender.count(); got != 5 {
			t.Errorf("%d requests in all, want the 2 that waited too", got)
		}
	})
}

func TestInTheRetryQueueADeliveryToABusyEndpointIsHeld(t *testing.T) {
	busyWorld(t, func(t *testing.T, w *testWorld) {
		w.patch(t, webhook.PolicyPatch{MaxInFlight: new(hangers)})
		gate := make(chan struct{})
		w.sender.answer = func(webhook.Request) webhook.Result { <-gate; return ok }
		w.sender.took = 9 * time.Second // its weight is a quarter
		var wait sync.WaitGroup
		for i := range hangers + 1 {
			if id := w.another(t, i); i < hangers {
				wait.Go(func() { w.ring(t, id) })
			} else {
				time.Sleep(time.Second + time.Millisecond)
				gate <- struct{}{} // one answers, and another takes its place
				synctest.Wait()
				wait.Go(func() { w.ringAgain(t, id) })
			}
			synctest.Wait()
		}
		w.ringAgain(t, standard)
		d := w.want(t, standard, webhook.StateHeld)
		if webhook.HoldOf(d.Reason) != webhook.HoldBusy || !d.DueAt.IsZero() || d.Attempts != 0 {
			t.Errorf("held because %q, due at %s; want busy, and sweep to look at the endpoint", d.Reason, d.DueAt)
		}
		close(gate)
		wait.Wait()
	})
}

// However many it may have: each would be another connection that waits in vain.
func TestADeliveryToAnEndpointThatAnswersNothingAtAllIsDueAgainInSeconds(t *testing.T) {
	busyWorld(t, func(t *testing.T, w *testWorld) {
		end := w.crowd(t, hangers, ok)
		defer end()
		time.Sleep(time.Second + time.Millisecond)
		w.ringAgain(t, standard)
		d := w.want(t, standard, webhook.StateHeld)
		if in := d.DueAt.Sub(w.now); in < 5*time.Second || in > 15*time.Second || webhook.HoldOf(d.Reason) != webhook.HoldBusy || d.Attempts != 0 {
			t.Errorf("held because %q for %s, want busy for 5 to 15 s", d.Reason, in)
		}
	})
}

func TestOneAnswerOfASlowEndpointMakesRoomForAllThatItMayHave(t *testing.T) {
	hangingWorld(t, func(t *testing.T, w *testWorld, begin func() string, end func(webhook.Result)) {
		begin()
		if got := w.sender.count(); got != hangers {
			t.Errorf("%d requests before an answer, want %d", got, hangers)
		}
		end(ok)
		for range 20 {
			begin()
		}
		time.Sleep(time.Second) // for the last of them to be written
		if got := w.sender.count(); got != hangers+20 {
			t.Errorf("%d requests after the first answer, want %d", got, hangers+20)
		}
	})
}

func TestATimeoutMakesNoRoomUntilTheReceiverAnswers(t *testing.T) {
	hangingWorld(t, func(t *testing.T, w *testWorld, begin func() string, end func(webhook.Result)) {
		end(webhook.Result{Failure: webhook.FailureTimeout})
		for range 20 {
			begin()
		}
		if got := w.sender.count(); got != hangers {
			t.Errorf("%d requests after the first timeout, want %d", got, hangers)
		}
		end(ok)
		begin()
		time.Sleep(time.Second) // for the last of them to be written
		if got := w.sender.count(); got != hangers+1 {
			t.Errorf("%d requests after the first answer, want %d", got, hangers+1)
		}
	})
}

func TestTheAttemptsThatAHangingEndpointMayHaveOpenItsCircuit(t *testing.T) {
	hangingWorld(t, func(t *testing.T, w *testWorld, begin func() string, end func(webhook.Result)) {
		for range hangers {
			end(webhook.Result{Failure: webhook.FailureTimeout})
		}
		time.Sleep(time.Second) // for the last of them to be written
		id := begin()
		time.Sleep(time.Second)
		if d := w.delivery(t, id); webhook.HoldOf(d.Reason) != webhook.HoldTripped {
			t.Errorf("%s because %q, want held because tripped", d.State, d.Reason)
		}
	})
}

// hangingWorld begins as many attempts as an endpoint may have that answers none
// of them for a second. The functions begin one more, and end one.
func hangingWorld(t *testing.T, f func(t *testing.T, w *testWorld, begin func() string, end func(webhook.Result))) {
	t.Helper()
	busyWorld(t, func(t *testing.T, w *testWorld) {
		gate, n := make(chan webhook.Result), 0
		w.sender.answer = func(webhook.Request) webhook.Result {
			r, open := <-gate
			if !open {
				return ok
			}
			return r
		}
		var wait sync.WaitGroup
		defer wait.Wait()
		defer close(gate)
		begin := func() string {
			id := w.another(t, n)
			n++
			wait.Go(func() { w.ringAgain(t, id) })
			synctest.Wait()
			return id
		}
		for range hangers {
			begin()
			time.Sleep(time.Second / 8) // the last begins when the first has waited for more than a second
		}
		f(t, w, begin, func(r webhook.Result) {
			select {
			case gate <- r:
			case <-time.After(time.Minute):
				t.Error("no attempt is under way")
			}
			synctest.Wait()
		})
	})
}

func TestAnAttemptThatWaitsForAnEndpointWhichThenHangsWaitsNoLonger(t *testing.T) {
	busyWorld(t, func(t *testing.T, w *testWorld) {
		w.patch(t, webhook.PolicyPatch{MaxInFlight: new(hangers)})
		end := w.crowd(t, hangers, ok)
		w.ring(t, standard) // it waits a second or two, in the bubble's time
		w.want(t, standard, webhook.StateQueued)
		if len(w.retry.rung) != 1 || w.sender.count() != hangers {
			t.Errorf("rung %v after %d requests, want the one after them in the retry queue", w.retry.rung, w.sender.count())
		}
		end()
	})
}

func TestADeliveryToABusyURLOfAJobIsDueAgainSoon(t *testing.T) {
	busyWorld(t, func(t *testing.T, w *testWorld) {
		gate := make(chan struct{})
		w.sender.answer = func(webhook.Request) webhook.Result { <-gate; return ok }
		var wait sync.WaitGroup
		var first []string
		for i := range webhook.DefaultMaxInFlight + 1 {
			first = append(first, w.dispatchTwin(t, "dispatch-batch-finished", "9E867FAA", fmt.Sprintf("URL%03d", i)))
		}
		for _, id := range first[1:] {
			wait.Go(func() { w.ring(t, id) })
		}
		synctest.Wait()
		time.Sleep(time.Second + time.Millisecond)
		w.ringAgain(t, first[0])
		d := w.want(t, first[0], webhook.StateHeld)
		if in := d.DueAt.Sub(w.now); in < 5*time.Second || in > 15*time.Second || webhook.HoldOf(d.Reason) != webhook.HoldBusy {
			t.Errorf("held because %q for %s, want busy for 5 to 15 s", d.Reason, in)
		}
		close(gate)
		wait.Wait()
	})
}

func TestAnAccountGetsItsShareAndItsOthersComeBackShortly(t *testing.T) {
	busyWorld(t, func(t *testing.T, w *testWorld) {
		w.busy.Share = 4
		end := w.crowd(t, 4, ok)
		answer := w.ring(t, standard)
		if got := w.queue.hidden["AQEB1"]; got != 2*time.Second || len(answer.BatchItemFailures) != 1 {
			t.Errorf("hidden for %s with %d failures, want 2s and 1", got, len(answer.BatchItemFailures))
		}
		if d := w.ringFor(t, "another", 0); d.State != webhook.StateDelivered {
			t.Errorf("another account's delivery is %s because %q", d.State, d.Reason)
		}
		end()
		w.ring(t, standard)
		w.want(t, standard, webhook.StateDelivered)
	})
}

func TestAMessageThatCameBackOftenIsHeldRatherThanMadeADeadLetter(t *testing.T) {
	busyWorld(t, func(t *testing.T, w *testWorld) {
		w.busy.Share = 4
		end := w.crowd(t, 4, ok)
		defer end()
		e := batchOf(standard)
		e.Records[0].Attributes = map[string]string{"ApproximateReceiveCount": "20"}
		w.handle(t, w.handler(nil), e)
		if d := w.want(t, standard, webhook.StateHeld); webhook.HoldOf(d.Reason) != webhook.HoldBusy {
			t.Errorf("reason %q, want busy", d.Reason)
		}
	})
}

func TestAMessageThatFindsNoRoomComesBackLessAndLessOften(t *testing.T) {
	busyWorld(t, func(t *testing.T, w *testWorld) {
		w.busy.Share = 4
		end := w.crowd(t, 4, ok)
		defer end()
		for received, want := range map[string]time.Duration{
			"1": 2 * time.Second, "2": 4 * time.Second, "3": 8 * time.Second, "5": 32 * time.Second, "6": time.Minute, "19": time.Minute,
		} {
			e := batchOf(standard)
			e.Records[0].Attributes = map[string]string{"ApproximateReceiveCount": received}
			w.handle(t, w.handler(w.retry), e)
			if got := w.queue.hidden["AQEB1"]; got != want {
				t.Errorf("hidden for %s and up to twice as much after receive %s, want %s", got, received, want)
			}
		}
	})
}

func TestOfTwoMessagesForAReleasedDeliveryOnePosts(t *testing.T) {
	w := newWorld(t)
	w.setStatus(t, "ep_standard", webhook.EndpointPaused, "by its owner")
	w.ring(t, standard)
	w.setStatus(t, "ep_standard", webhook.EndpointEnabled, "")
	w.sweep(t)
	w.store.barrier = newBarrier(2)
	var wait sync.WaitGroup
	wait.Go(func() { w.ring(t, standard) })
	wait.Go(func() { w.ringAgain(t, standard) })
	wait.Wait()
	if got := w.sender.count(); got != 1 {
		t.Errorf("%d requests, want 1", got)
	}
}

func TestOnlyAnAttemptThatItsMessageAloneProtectsTakesNoLease(t *testing.T) {
	for name, tt := range map[string]struct {
		due    bool // sweep or the ledger has rung, or will
		first  bool // lane
		leased bool
	}{
		"of a new delivery":                     {first: true},
		"of one that was rung for again":        {first: true, due: true, leased: true},
		"of one that was left to the slow lane": {leased: true},
		"of one that was released and rung for": {due: true, leased: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if tt.due {
				d := w.delivery(t, standard)
				next := d
				next.DueAt = w.now.Add(time.Minute)
				if err := w.store.Store.Record(t.Context(), d, next, nil); err != nil {
					t.Fatal(err)
				}
			}
			leased := false
			w.sender.answer = func(webhook.Request) webhook.Result {
				leased = w.delivery(t, standard).InFlight(w.now)
				return ok
			}
			h := w.handler(nil)
			if tt.first {
				h = w.handler(w.retry)
			}
			w.handle(t, h, batchOf(standard))
			w.want(t, standard, webhook.StateDelivered)
			if leased != tt.leased {
				t.Errorf("leased %v, want %v", leased, tt.leased)
			}
		})
	}
}

func TestADoorbellThatCannotBeDivertedComesBackShortly(t *testing.T) {
	busyWorld(t, func(t *testing.T, w *testWorld) {
		end := w.crowd(t, hangers, ok)
		defer end()
		time.Sleep(time.Second + time.Millisecond)
		w.retry.err = errThrottled
		answer := w.ringOthers(t, standard, w.another(t, 100))
		if got := failedIDs(answer); !cmp.Equal(got, []string{"1", "2"}) || w.queue.hidden["AQEB2"] != shortly {
			t.Errorf("returned %v, hidden %v; want both, for %s", got, w.queue.hidden, shortly)
		}
	})
}

func TestWithoutTrafficNothingIsBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, w *testWorld) {
		w.patch(t, webhook.PolicyPatch{MaxInFlight: new(1)})
		end := w.crowd(t, 3, ok)
		if got := w.sender.count(); got != 3 {
			t.Errorf("%d requests at once, want 3", got)
		}
		end()
	})
}
