package deliver_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jobhook/jobhook/functions/internal/deliver"
	"github.com/jobhook/jobhook/functions/internal/worldtest"
	"github.com/jobhook/jobhook/shared/webhook"
)

func TestFailuresInARowTripTheEndpointAndItsDeliveriesAreHeldWithTheReason(t *testing.T) {
	w := newWorld(t)
	all := w.deliveriesTo(t, "ep_standard")
	w.rules.TripAfter = 3
	w.sender.answer = status(503)
	for _, id := range all[:3] {
		w.ring(t, id)
		w.want(t, id, webhook.StateWaiting)
	}
	answer := w.ring(t, all[3])
	d := w.want(t, all[3], webhook.StateHeld)
	if webhook.HoldOf(d.Reason) != webhook.HoldTripped || d.Attempts != 0 || !d.DueAt.IsZero() || len(answer.BatchItemFailures) != 0 {
		t.Errorf("held because %q after %d attempts, due at %s, %d messages kept; want tripped, and sweep to look at the endpoint",
			d.Reason, d.Attempts, d.DueAt, len(answer.BatchItemFailures))
	}
	if got := len(w.sender.sent); got != 3 {
		t.Errorf("%d requests, want 3", got)
	}
	if bells := w.sweep(t); len(bells) != 0 {
		t.Errorf("released %v while the circuit is open", bells)
	}
}

func TestDislikeTripsNothing(t *testing.T) {
	w := newWorld(t)
	w.rules.TripAfter = 2
	w.sender.answer = status(404)
	all := w.deliveriesTo(t, "ep_standard")
	for _, id := range all {
		w.ring(t, id)
	}
	if got := len(w.sender.sent); got != len(all) {
		t.Errorf("%d requests for %d deliveries: an endpoint that answers was tripped", got, len(all))
	}
}

// tripped is a world whose ep_standard is half-open and holds all its deliveries.
func tripped(t *testing.T) (w *testWorld, held []string) {
	t.Helper()
	w = newWorld(t)
	w.setHealth(t, webhook.Health{State: webhook.Failing, Since: w.now, Circuit: webhook.Circuit{Opens: 1, OpenUntil: w.now.Add(time.Minute)}})
	held = w.deliveriesTo(t, "ep_standard")
	for _, id := range held {
		w.ring(t, id)
		w.want(t, id, webhook.StateHeld)
	}
	w.now = w.now.Add(time.Minute)
	return w, held
}

func TestAHalfOpenCircuitLetsOneProbeThroughAndItsSuccessReleasesAll(t *testing.T) {
	w, held := tripped(t)
	probe := w.sweep(t)
	if len(probe) != 1 {
		t.Fatalf("released %v, want one", probe)
	}
	w.ringAgain(t, probe[0].Delivery)
	w.want(t, probe[0].Delivery, webhook.StateDelivered)
	if h := w.healthOf(t); h.Opens != 0 || h.State != webhook.Healthy {
		t.Errorf("health %+v after the probe's success", h)
	}
	w.now = w.now.Add(time.Second)
	if bells := w.sweep(t); len(bells) != len(held)-1 {
		t.Errorf("released %d, want the other %d", len(bells), len(held)-1)
	}
}

func TestAProbeThatFailsOpensTheCircuitForLonger(t *testing.T) {
	w, held := tripped(t)
	w.sender.answer = status(500)
	w.ringAgain(t, held[0])
	h := w.healthOf(t)
	if got := h.OpenUntil.Sub(w.now); h.Opens != 2 || got != time.Minute || !h.ProbeUntil.IsZero() {
		t.Errorf("opened %d times, for %s, claimed until %s; want twice, for a minute, and no claim", h.Opens, got, h.ProbeUntil)
	}
	if d := w.want(t, held[0], webhook.StateWaiting); d.Attempts != 1 {
		t.Errorf("%d attempts, want the probe", d.Attempts)
	}
}

func TestOfTwoProcessesOneClaimsTheProbe(t *testing.T) {
	w, held := tripped(t)
	w.store.barrier = newBarrier(2) // both have read that the circuit is half-open
	hanging := make(chan struct{})
	w.sender.answer = func(webhook.Request) webhook.Result {
		<-hanging
		return ok
	}
	var wait sync.WaitGroup
	for _, id := range held[:2] {
		h := w.handler(nil)
		h.Health = &deliver.HealthLog{}
		wait.Go(func() { w.handle(t, h, batch(id, 1)) })
	}
	for { // one is held once the other hangs
		if states := []webhook.State{w.delivery(t, held[0]).State, w.delivery(t, held[1]).State}; slices.Contains(states, webhook.StateHeld) && w.sender.count() == 1 {
			break
		}
	}
	close(hanging)
	wait.Wait()
	if got := w.sender.count(); got != 1 {
		t.Errorf("%d requests, want the probe alone", got)
	}
}

func TestAProbeWhoseProcessDiedIsMadeAgain(t *testing.T) {
	w, held := tripped(t)
	h := w.healthOf(t)
	h.ProbeUntil = w.now.Add(25 * time.Second)
	w.setHealth(t, h)
	w.ringAgain(t, held[0])
	if d := w.want(t, held[0], webhook.StateHeld); webhook.HoldOf(d.Reason) != webhook.HoldTripped {
		t.Errorf("reason %q while another's claim holds", d.Reason)
	}
	w.now = w.now.Add(25 * time.Second)
	if bells := w.sweep(t); len(bells) != 1 {
		t.Fatalf("released %v, want one to try", bells)
	}
	w.ringAgain(t, held[0])
	w.want(t, held[0], webhook.StateDelivered)
}

func TestRetryAfterPausesTheWholeEndpointAndSpendsNothing(t *testing.T) {
	w := newWorld(t)
	all := w.deliveriesTo(t, "ep_standard")
	w.sender.answer = func(webhook.Request) webhook.Result {
		return webhook.Result{Status: 429, RetryAfter: time.Minute}
	}
	w.ring(t, all[0])
	w.ring(t, all[1])
	d := w.want(t, all[1], webhook.StateHeld)
	if webhook.HoldOf(d.Reason) != webhook.HoldRetryAfter || d.Attempts+d.Postponed != 0 || w.sender.count() != 1 {
		t.Errorf("held because %q, %d attempts, %d requests; want the pause, none and one", d.Reason, d.Attempts, w.sender.count())
	}
	w.sender.answer = nil
	w.now = w.delivery(t, all[0]).NextAt // the pause ends when the retry is due
	w.ringAgain(t, all[0])
	w.want(t, all[0], webhook.StateDelivered)
	if bells := w.sweep(t); len(bells) != 1 || bells[0].Delivery != all[1] {
		t.Errorf("released %v, want the one that was held", bells)
	}
}

func TestAPauseThatIsAboutToEndIsWaitedFor(t *testing.T) {
	w := newWorld(t)
	w.setHealth(t, webhook.Health{PausedUntil: w.now.Add(300 * time.Millisecond)})
	answer := w.ring(t, standard)
	w.want(t, standard, webhook.StateQueued)
	if got := w.queue.hidden["AQEB1"]; got != 300*time.Millisecond || len(answer.BatchItemFailures) != 1 {
		t.Errorf("hidden for %s with %d failures, want 300ms and 1", got, len(answer.BatchItemFailures))
	}
}

func TestFailingAndRecoveringAreTold(t *testing.T) {
	w := newWorld(t)
	w.sender.answer = status(404)
	start := w.now
	all := w.deliveriesTo(t, "ep_standard")
	for _, id := range all[:webhook.FailingAfter+1] {
		if got := w.told(t); len(got) != 0 {
			t.Fatalf("told %+v before it has failed for five minutes", got)
		}
		w.ring(t, id)
		w.now = w.now.Add(time.Minute)
	}
	failing := w.told(t)
	if len(failing) != 1 || failing[0].Type != webhook.EndpointFailingEvent || !failing[0].Since.Equal(start) ||
		!failing[0].DisabledAt.Equal(start.Add(webhook.DefaultDisableAfter)) || !strings.Contains(failing[0].Reason, "404") {
		t.Fatalf("told %+v, want that it fails since the first failure, why, and when it will be disabled", failing)
	}
	w.sender.answer = nil
	w.ring(t, all[webhook.FailingAfter+1])
	both := w.told(t)
	if len(both) != 2 || both[1].Type != webhook.EndpointRecoveredEvent || !both[1].Since.Equal(start) {
		t.Errorf("told %+v, want that it recovered from what began with the first failure", both)
	}
	if got := w.healthOf(t).Version; got != 3 {
		t.Errorf("health was written %d times, want on its three changes only", got)
	}
}

func TestGoneIsTold(t *testing.T) {
	w := newWorld(t)
	w.sender.answer = status(410)
	w.ring(t, standard)
	w.ring(t, w.deliveriesTo(t, "ep_standard")[0])
	got := w.told(t)
	if len(got) != 1 || got[0].Type != webhook.EndpointDisabledEvent || !strings.Contains(got[0].Reason, "410") || got[0].URL == "" {
		t.Errorf("told %+v, want once that it is disabled because of 410", got)
	}
}

// failingFor makes ep_standard fail for so long, all warnings given.
func (w *testWorld) failingFor(t *testing.T, d time.Duration) {
	t.Helper()
	w.setHealth(t, webhook.Health{State: webhook.Failing, Since: w.now.Add(-d), Reason: "the receiver answered 500", Warned: 3})
}

// ringSome lets so many deliveries to ep_standard be attempted, and returns the others.
func (w *testWorld) ringSome(t *testing.T, n int) (others []string) {
	t.Helper()
	all := w.deliveriesTo(t, "ep_standard")
	for _, id := range all[:n] {
		w.ring(t, id)
	}
	return all[n:]
}

func TestDaysOfFailuresDisableTheEndpointAndHoldTheRest(t *testing.T) {
	w := newWorld(t)
	w.failingFor(t, 5*24*time.Hour)
	w.sender.answer = status(500)
	w.store.disable = errThrottled
	next := w.ringSome(t, webhook.FailingAfter)[0]
	if e := w.endpoint(t); e.Status != webhook.EndpointEnabled {
		t.Fatalf("the endpoint is %s", e.Status)
	}
	w.store.disable = nil // the next failure comes to the same
	w.ring(t, next)
	e := w.endpoint(t)
	if e.Status != webhook.EndpointDisabled || !strings.Contains(e.StatusReason, "500") || !strings.Contains(e.StatusReason, "2025-12-27") {
		t.Errorf("the endpoint is %s because %q, want disabled with the last failure and since when", e.Status, e.StatusReason)
	}
	w.want(t, next, webhook.StateWaiting) // its own schedule goes on when somebody enables the endpoint
	w.now = w.now.Add(5 * time.Second)
	w.ringAgain(t, next)
	if d := w.want(t, next, webhook.StateHeld); webhook.HoldOf(d.Reason) != webhook.HoldDisabled {
		t.Errorf("reason %q, want disabled", d.Reason)
	}
	if got := w.told(t); len(got) != 1 || got[0].Type != webhook.EndpointDisabledEvent || !got[0].Since.Equal(worldStart.Add(-5*24*time.Hour)) {
		t.Errorf("told %+v, want once that it is disabled, and since when it failed", got)
	}
}

func TestAnEndpointIsNotDisabledFromAnOldMemory(t *testing.T) {
	w := newWorld(t)
	w.store.load = func(works []webhook.Work) { // it recovered since
		works[0].Health = webhook.Health{Endpoint: "ep_standard", State: webhook.Failing, Since: w.now.Add(-9 * 24 * time.Hour), Warned: 3, Version: 7}
	}
	w.sender.answer = status(500)
	w.ringSome(t, webhook.FailingAfter)
	if e := w.endpoint(t); e.Status != webhook.EndpointEnabled {
		t.Errorf("the endpoint is %s because %q", e.Status, e.StatusReason)
	}
}

func TestNeverMeansThatNoEndpointIsDisabled(t *testing.T) {
	w := newWorld(t)
	w.rules.DisableAfter = -1
	w.failingFor(t, 365*24*time.Hour)
	w.sender.answer = status(500)
	w.ringSome(t, webhook.FailingAfter)
	if e := w.endpoint(t); e.Status != webhook.EndpointEnabled {
		t.Errorf("the endpoint is %s because %q", e.Status, e.StatusReason)
	}
}

func TestAChangeOfHealthThatOthersWereQuickerWithIsTriedAgain(t *testing.T) {
	w := newWorld(t)
	w.failingFor(t, time.Hour)
	w.store.afterLoad = func() {
		w.store.afterLoad = nil
		h := w.healthOf(t)
		h.Warned = 1
		w.setHealth(t, h)
	}
	w.ring(t, standard)
	if h := w.healthOf(t); h.State != webhook.Healthy || h.Warned != 0 {
		t.Errorf("health %+v, want healthy", h)
	}
}

func TestAStoreThatCannotWriteHealthLosesNoAttempt(t *testing.T) {
	w := newWorld(t)
	w.failingFor(t, time.Hour)
	w.store.setHealth = func(func() error) error { return errThrottled }
	answer := w.ring(t, standard)
	w.want(t, standard, webhook.StateDelivered)
	if len(answer.BatchItemFailures) != 0 {
		t.Error("the message came back although its attempt was recorded")
	}
}

func TestAProbeThatCannotBeClaimedIsNotMade(t *testing.T) {
	w, held := tripped(t)
	w.store.setHealth = func(func() error) error { return errThrottled }
	answer := w.ringAgain(t, held[0])
	if w.sender.count() != 0 || len(answer.BatchItemFailures) != 1 {
		t.Errorf("%d requests, %d failures; want none, and the message back", w.sender.count(), len(answer.BatchItemFailures))
	}
}

func TestAHoldForHealthReadFromAnOldMemoryIsReleasedByTheNextSweep(t *testing.T) {
	w := newWorld(t)
	w.store.load = func(works []webhook.Work) { // another process has closed the circuit
		works[0].Health = webhook.Health{Endpoint: "ep_standard", Circuit: webhook.Circuit{Opens: 1, OpenUntil: w.now.Add(10 * time.Minute)}, Version: 3}
	}
	w.ring(t, standard)
	w.want(t, standard, webhook.StateHeld)
	w.store.load = nil
	if bells := w.sweep(t); len(bells) != 1 {
		t.Fatalf("released %v, want the delivery", bells)
	}
	w.ringAgain(t, standard)
	w.want(t, standard, webhook.StateDelivered)
}

// ringElsewhere lets a delivery be retried by a process that remembers nothing.
func (w *testWorld) ringElsewhere(t *testing.T, id string) {
	t.Helper()
	h := w.handler(nil)
	h.Health = &deliver.HealthLog{}
	w.handle(t, h, batch(id, 1))
}

func TestRetriesOfWhatAReceiverChokesOnSayNothingOfTheRest(t *testing.T) {
	for name, tt := range map[string]struct {
		answer  webhook.Result
		tripped bool
	}{
		"a receiver that answers":               {webhook.Result{Status: 500}, false},
		"a receiver that hangs with some":       {webhook.Result{Failure: webhook.FailureTimeout}, false},
		"one that nobody reaches is what fails": {webhook.Result{Failure: webhook.FailureConnect}, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.rules.TripAfter = 3
			w.sender.answer = func(webhook.Request) webhook.Result { return tt.answer }
			all := w.deliveriesTo(t, "ep_standard")
			for _, id := range all {
				w.ringElsewhere(t, id) // the first attempts, among others that arrive
			}
			for range 3 { // this process sees the retries
				w.now = w.now.Add(10 * time.Minute)
				for _, id := range all {
					w.ringAgain(t, id)
				}
			}
			if h := w.healthOf(t); (h.Opens > 0) != tt.tripped || h.State == webhook.Failing {
				t.Errorf("health %+v, want tripped: %t, and not failing: too few were tried", h, tt.tripped)
			}
		})
	}
}

func TestOneDeliveryTripsNothingHoweverOftenItFails(t *testing.T) {
	w := newWorld(t)
	w.rules.TripAfter = 3
	w.refuseAll()
	w.ring(t, standard)
	for range 4 {
		w.now = w.now.Add(time.Minute)
		w.ringAgain(t, standard)
		w.now = w.delivery(t, standard).NextAt
	}
	if h := w.healthOf(t); h.Opens != 0 {
		t.Errorf("health %+v", h)
	}
}

func TestAQuietDeadEndpointIsFailingThoughEachRetryMeetsAnotherProcess(t *testing.T) {
	w := newWorld(t)
	w.sender.answer = status(500)
	for n := 1; n <= webhook.FailingAfter; n++ {
		if got := w.health(t); got != "" {
			t.Fatalf("health %q before attempt %d", got, n)
		}
		w.ringElsewhere(t, standard)
		if n < webhook.FailingAfter {
			w.now = w.delivery(t, standard).NextAt
		}
	}
	if got := w.healthOf(t); got.State != webhook.Failing || !got.Since.Equal(w.now) {
		t.Errorf("health %+v after five failures over hours, want failing from now on", got)
	}
}

func TestASuccessThatWasNotRecordedKeepsTheEndpointEnabled(t *testing.T) {
	w := newWorld(t)
	w.failingFor(t, 6*24*time.Hour)
	healthy := func(works []webhook.Work) { works[0].Health = webhook.Health{Endpoint: "ep_standard"} }
	w.store.load = healthy // an old memory: nobody knows that there is something to recover from
	rest := w.ringSome(t, 1)
	w.store.load = nil
	if h := w.healthOf(t); h.State != webhook.Failing {
		t.Fatalf("health %+v: the success was recorded", h)
	}
	w.now = w.now.Add(time.Minute)
	w.sender.answer = status(500)
	for _, id := range rest[:webhook.FailingAfter] {
		w.ring(t, id)
	}
	if e, h := w.endpoint(t), w.healthOf(t); e.Status != webhook.EndpointEnabled || !h.Since.Equal(w.now) {
		t.Errorf("the endpoint is %s, failing since %s; want enabled, failing since the success at most", e.Status, h.Since)
	}
	if got := w.told(t); len(got) != 1 || got[0].Type != webhook.EndpointRecoveredEvent {
		t.Errorf("told %+v, want that it had recovered", got)
	}
}

func TestAnAnswerOfTheOldURLSaysNothingOfTheNewOne(t *testing.T) {
	for name, before := range map[string]webhook.Health{
		"nothing was known": {},
		"it was failing":    {State: webhook.Failing, Since: worldStart.Add(-time.Hour), Warned: 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if before != (webhook.Health{}) {
				w.setHealth(t, before)
			}
			w.sender.answer = func(webhook.Request) webhook.Result {
				w.move(t, "https://elsewhere.example/")
				return webhook.Result{Status: 429, RetryAfter: time.Hour}
			}
			w.ring(t, standard)
			if h := w.healthOf(t); !h.Unknown() {
				t.Errorf("health of the new URL is %+v, want nothing known", h)
			}
		})
	}
}

func TestFailuresFromBeforeItWasResumedDoNotCount(t *testing.T) {
	w := newWorld(t)
	w.sender.answer = status(500)
	w.setHealth(t, webhook.Health{Slow: 1, SlowAt: w.now})
	w.store.lease = func(_ string, _, n int) (int, error) { return n, nil }
	rest := w.ringSome(t, webhook.FailingAfter-1)
	w.setHealth(t, webhook.Health{}) // as somebody does who resumes it
	w.ring(t, rest[0])
	if h := w.healthOf(t); h.State == webhook.Failing {
		t.Errorf("health %+v after one failure since it was resumed", h)
	}
	for _, id := range rest[1:] {
		w.ring(t, id)
	}
	if h := w.healthOf(t); len(rest) >= webhook.FailingAfter && h.State != webhook.Failing {
		t.Errorf("health %+v after %d failures", h, len(rest))
	}
}

// move gives ep_standard another URL.
func (w *testWorld) move(t *testing.T, url string) {
	t.Helper()
	_, err := w.store.UpdateEndpoint(t.Context(), "acme", "ep_standard", func(e webhook.Endpoint) (webhook.Endpoint, error) {
		e.URL = url
		return e, nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestOwnHeadersAreSentAndReplaceNoneOfOurs(t *testing.T) {
	w := newWorld(t)
	_, err := w.store.UpdateEndpoint(t.Context(), "acme", "ep_standard", func(e webhook.Endpoint) (webhook.Endpoint, error) {
		e.Headers = []webhook.Header{
			{Name: "Authorization", Value: "Bearer s3cret"}, {Name: "X-Tenant", Value: "7"}, {Name: "Webhook-Id", Value: "forged"},
			{Name: "webhook-signature", Value: "forged"}, {Name: "Content-Type", Value: "text/html"}, {Name: "Host", Value: "other.example"},
			{Name: "X-Split", Value: "a\r\nWebhook-Id: forged"}, {Name: "Idempotency-Key", Value: "1"}, {Name: "X-Idempotency-Key", Value: "1"},
		}
		return e, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	w.ring(t, standard)
	r := w.sender.sent[0]
	if r.Header.Get("Authorization") != "Bearer s3cret" || r.Header.Get("X-Tenant") != "7" {
		t.Errorf("headers %v, want the endpoint's own", r.Header)
	}
	if text := fmt.Sprint(r.Header, r.ContentType); strings.Contains(text, "forged") || strings.Contains(text, "html") || strings.Contains(text, "other") ||
		strings.Contains(text, "Idempotency") || !strings.HasPrefix(r.ContentType, "application/json") {
		t.Errorf("headers %s, want ours untouched", text)
	}
}

func TestATestWebhookCarriesTheOwnHeaders(t *testing.T) {
	sender := &scripted{}
	deliver.Try(t.Context(), sender, webhook.Endpoint{Account: "acme", URL: "https://receiver.example/", Format: "standard",
		Headers: []webhook.Header{{Name: "Authorization", Value: "Bearer s3cret"}}}, "", worldStart)
	if got := sender.sent[0].Header.Get("Authorization"); got != "Bearer s3cret" {
		t.Errorf("authorization %q", got)
	}
}

// deliveriesTo returns the queued deliveries of an endpoint, in the order of their ids.
func (w *testWorld) deliveriesTo(t *testing.T, endpoint string) (ids []string) {
	t.Helper()
	list, _, err := w.store.Deliveries(t.Context(), webhook.Filter{Account: "acme", Endpoint: endpoint, Limit: webhook.MaxPage})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list {
		if !d.State.Final() && d.EventType != webhook.JobProgress {
			ids = append(ids, d.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

// setHealth writes the health of ep_standard over whatever is there.
func (w *testWorld) setHealth(t *testing.T, h webhook.Health) {
	t.Helper()
	read := w.healthOf(t)
	h.Endpoint, h.Version = "ep_standard", read.Version+1
	if err := w.store.Store.SetHealth(t.Context(), "acme", read, h); err != nil {
		t.Fatal(err)
	}
}

func (w *testWorld) healthOf(t *testing.T) webhook.Health {
	t.Helper()
	h, err := w.store.HealthOf(t.Context(), "acme", "ep_standard")
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func (w *testWorld) endpoint(t *testing.T) webhook.Endpoint {
	t.Helper()
	e, err := w.store.Endpoint(t.Context(), "acme", "ep_standard")
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func (w *testWorld) told(t *testing.T) []webhook.Notice {
	t.Helper()
	list, err := w.store.Notices(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func (s *scripted) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sent)
}

// worldStart is when the tests begin.
var worldStart = worldtest.Start()
