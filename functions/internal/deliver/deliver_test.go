package deliver_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/functions/internal/deliver"
	"github.com/jobhook/jobhook/functions/internal/dispatch"
	"github.com/jobhook/jobhook/functions/internal/sweep"
	"github.com/jobhook/jobhook/functions/internal/world"
	"github.com/jobhook/jobhook/functions/internal/worldtest"
	"github.com/jobhook/jobhook/shared/sqlite"
	"github.com/jobhook/jobhook/shared/webhook"
)

// Deliveries of the fixtures.
const (
	socialData  = "dlv_01kdvdna00aykghrtrg3y9am063vtqdwdfmt" // never retried
	standard    = "dlv_01kdvdna00aykghrtrg3y9am065nxsmpm86z" // 5 s, 5 m, 30 m, ...
	serpWow     = "dlv_01kdvdna0081ak3x57vwms3ptr9eqc2tyshy"
	webScraper  = "dlv_01kdvdna00p2crgkpnv4x6arma3vtqdwdfmt"
	hkubeResult = "dlv_01kdvdna004hdds9jzk2z5amc68v133ptq22"
	progressOld = "dlv_01kdvdna00nw06rb8c8yjfpnwz3xzy1ct3yf"
)

var ok = webhook.Result{Status: 200}

func TestAllFormatsAreDelivered(t *testing.T) {
	w := newWorld(t)
	answer := w.invoke(t, "deliver-all-formats")
	if len(answer.BatchItemFailures) != 0 {
		t.Errorf("failures %v, want none", answer.BatchItemFailures)
	}
	for _, id := range []string{socialData, standard, serpWow, webScraper, hkubeResult, progressOld} {
		w.want(t, id, webhook.StateDelivered)
	}
	if got := len(w.sender.sent); got != 6 {
		t.Errorf("%d requests, want 6", got)
	}
}

func TestPoisonMessageDoesNotHoldBackItsBatch(t *testing.T) {
	w := newWorld(t)
	answer := w.invoke(t, "deliver-poison-between")
	if got := failedIDs(answer); !cmp.Equal(got, []string{"00000002-5e6f-4a7b-8c9d-000000000000"}) {
		t.Errorf("failed messages %v, want the poison alone", got)
	}
	w.want(t, socialData, webhook.StateDelivered)
	w.want(t, standard, webhook.StateDelivered)
}

func TestAPanicCostsOneMessageOnly(t *testing.T) {
	w := newWorld(t)
	w.sender.answer = func(r webhook.Request) webhook.Result {
		if strings.Contains(r.URL, "/standard") {
			panic("boom")
		}
		return ok
	}
	answer := w.invoke(t, "deliver-poison-between")
	if got := len(answer.BatchItemFailures); got != 2 {
		t.Errorf("%d failures, want the poison and the panic", got)
	}
	w.want(t, socialData, webhook.StateDelivered)
	w.want(t, standard, webhook.StateQueued)
}

func TestAFirstFailureRingsInTheRetryQueueAfterItsWait(t *testing.T) {
	w := newWorld(t)
	w.sender.answer = status(500)
	answer := w.ring(t, standard)
	if len(answer.BatchItemFailures) != 0 {
		t.Error("the message stayed in the first queue")
	}
	d := w.want(t, standard, webhook.StateWaiting)
	if got, want := d.NextAt.Sub(w.clock()), 5*time.Second; got != want {
		t.Errorf("next attempt in %s, want %s", got, want)
	}
	want := []webhook.Doorbell{{Account: "acme", Delivery: standard, Generation: 1, After: 5 * time.Second}}
	if diff := cmp.Diff(w.retry.rung, want); diff != "" {
		t.Errorf("retry queue (-got +want):\n%s", diff)
	}
}

func TestAFurtherFailureHidesItsMessage(t *testing.T) {
	w := newWorld(t)
	w.sender.answer = status(500)
	w.ring(t, standard)
	w.now = w.now.Add(5 * time.Second)
	answer := w.ringAgain(t, standard)
	if len(answer.BatchItemFailures) != 1 {
		t.Error("the message left the retry queue although a wait of 5 minutes can be hidden")
	}
	if got, want := w.queue.hidden["AQEB1"], 5*time.Minute; got != want {
		t.Errorf("hidden for %s, want %s", got, want)
	}
}

func TestALongWaitIsParkedAndItsMessageDeleted(t *testing.T) {
	w := newWorld(t)
	w.sender.answer = status(500)
	w.ring(t, standard)
	for _, wait := range []time.Duration{5 * time.Second, 5 * time.Minute} {
		w.now = w.now.Add(wait)
		w.ringAgain(t, standard)
	}
	clear(w.queue.hidden)
	w.now = w.now.Add(30 * time.Minute)
	answer := w.ringAgain(t, standard) // fourth failure: the next wait is 2 h
	d := w.want(t, standard, webhook.StateWaiting)
	if len(answer.BatchItemFailures)+len(w.queue.hidden) != 0 {
		t.Error("a message is hidden for hours")
	}
	if got, want := d.DueAt.Sub(w.clock()), 2*time.Hour; got != want || !d.NextAt.Equal(d.DueAt) {
		t.Errorf("parked for %s, next attempt at %s; want both after %s", got, d.NextAt, want)
	}
}

func TestADoorbellThatRingsTooEarlyIsHiddenUntilItIsDue(t *testing.T) {
	w := newWorld(t)
	w.sender.answer = status(500)
	w.ring(t, standard)
	w.now = w.now.Add(2 * time.Second)
	answer := w.ringAgain(t, standard)
	if got, want := w.queue.hidden["AQEB1"], 3*time.Second; got != want || len(answer.BatchItemFailures) != 1 {
		t.Errorf("hidden for %s with %d failures, want %s and 1", got, len(answer.BatchItemFailures), want)
	}
	if got := len(w.sender.sent); got != 1 {
		t.Errorf("%d requests, want 1: the second attempt is not due", got)
	}
}

func TestSocialDataIsNeverRetried(t *testing.T) {
	w := newWorld(t)
	w.sender.answer = status(201)
	w.ring(t, socialData)
	d := w.want(t, socialData, webhook.StateExhausted)
	if len(w.retry.rung) != 0 || !strings.Contains(d.Reason, "201") {
		t.Errorf("retries %v, reason %q; want none, and the status", w.retry.rung, d.Reason)
	}
}

func TestAttemptsEndAsExhausted(t *testing.T) {
	w := newWorld(t)
	w.sender.answer = status(503)
	w.ring(t, hkubeResult)
	for range 2 {
		w.now = w.now.Add(5 * time.Second)
		w.ringAgain(t, hkubeResult)
	}
	w.want(t, hkubeResult, webhook.StateExhausted)
	w.ringAgain(t, hkubeResult)
	if got := len(w.sender.sent); got != 3 {
		t.Errorf("%d requests, want hkube's 3", got)
	}
}

func TestATimeoutSilencesTheExactURLForEverybody(t *testing.T) {
	w := newWorld(t)
	w.sender.answer = func(webhook.Request) webhook.Result { return webhook.Result{Failure: webhook.FailureTimeout} }
	w.ring(t, serpWow)
	d := w.want(t, serpWow, webhook.StateWaiting)
	if got, want := d.NextAt.Sub(w.clock()), 5*time.Minute; got != want {
		t.Errorf("next attempt in %s, want the silence of %s", got, want)
	}

	w.sender.answer = nil
	other := w.dispatchTwin(t, "dispatch-batch-finished", "9E867FAA", "OTHER")
	w.now = w.now.Add(time.Minute)
	w.ring(t, other)
	held := w.want(t, other, webhook.StateHeld)
	if got, want := held.DueAt.Sub(w.clock()), 4*time.Minute; got != want || held.Attempts != 0 {
		t.Errorf("held for %s after %d attempts, want %s and none", got, held.Attempts, want)
	}
	if strings.Contains(held.Reason, "9E867FAA") || strings.Contains(held.Reason, "acme") {
		t.Errorf("the reason %q tells whose call timed out", held.Reason)
	}

	w.now = w.now.Add(4 * time.Minute)
	w.ringAgain(t, other)
	w.want(t, other, webhook.StateDelivered)
}

func TestAPausedEndpointHoldsWithoutSpendingAnAttempt(t *testing.T) {
	w := newWorld(t)
	w.setStatus(t, "ep_standard", webhook.EndpointPaused, "maintenance")
	answer := w.ring(t, standard)
	d := w.want(t, standard, webhook.StateHeld)
	if len(w.sender.sent) != 0 || d.Attempts != 0 || len(answer.BatchItemFailures) != 0 {
		t.Errorf("%d requests, %d attempts, %d failures; want none", len(w.sender.sent), d.Attempts, len(answer.BatchItemFailures))
	}
	if d.Reason != "paused: maintenance" {
		t.Errorf("reason %q, want the pause's", d.Reason)
	}
}

func TestAHoldWrittenJustAfterAResumeIsReleased(t *testing.T) {
	w := newWorld(t)
	w.setStatus(t, "ep_standard", webhook.EndpointPaused, "maintenance")
	w.store.afterLoad = func() { w.setStatus(t, "ep_standard", webhook.EndpointEnabled, "") }
	w.ring(t, standard)
	w.want(t, standard, webhook.StateHeld)
	if bells := w.sweep(t); len(bells) != 1 {
		t.Fatalf("released %v; want the delivery that was held from a stale read", bells)
	}
	w.ring(t, standard)
	w.want(t, standard, webhook.StateDelivered)
}

func TestGoneDisablesTheEndpoint(t *testing.T) {
	w := newWorld(t)
	w.sender.answer = status(410)
	w.ring(t, standard)
	w.want(t, standard, webhook.StateDead)
	e, err := w.store.Endpoint(t.Context(), "acme", "ep_standard")
	if err != nil || e.Status != webhook.EndpointDisabled || !strings.Contains(e.StatusReason, "410") {
		t.Errorf("endpoint is %s because %q, %v; want disabled because of 410", e.Status, e.StatusReason, err)
	}
}

func TestAnOvertakenProgressWebhookIsNotRetried(t *testing.T) {
	w := newWorld(t)
	w.sender.answer = status(500)
	w.ring(t, progressOld)
	d := w.want(t, progressOld, webhook.StateSuperseded)
	if len(w.retry.rung) != 0 || !strings.Contains(d.Reason, "500") {
		t.Errorf("retries %v, reason %q; want none, and the status", w.retry.rung, d.Reason)
	}
}

func TestRetryAfterSpendsNoAttempt(t *testing.T) {
	w := newWorld(t)
	w.sender.answer = func(webhook.Request) webhook.Result {
		return webhook.Result{Status: 429, RetryAfter: time.Minute}
	}
	w.ring(t, standard)
	d := w.want(t, standard, webhook.StateWaiting)
	if d.Attempts != 0 || d.Postponed != 1 || d.NextAt.Sub(w.clock()) != time.Minute {
		t.Errorf("attempts %d, postponed %d, next in %s; want 0, 1, 1m", d.Attempts, d.Postponed, d.NextAt.Sub(w.clock()))
	}
}

func TestTwoDoorbellsForARetryMakeOneAttempt(t *testing.T) {
	w := newWorld(t)
	w.sender.answer = status(500)
	w.ring(t, standard)
	w.now = w.now.Add(5 * time.Second)
	w.sender.answer = nil
	w.store.barrier = newBarrier(2) // both have read the row before either claims it
	var wait sync.WaitGroup
	for range 2 {
		wait.Go(func() { w.ringAgain(t, standard) })
	}
	wait.Wait()
	w.want(t, standard, webhook.StateDelivered)
	if got := len(w.sender.sent); got != 2 {
		t.Errorf("%d requests, want 2: the failed one and one retry", got)
	}
}

func TestASuccessIsKeptAlthoughAnotherAttemptFailedFirst(t *testing.T) {
	w := newWorld(t)
	w.store.barrier = newBarrier(2)
	failedFirst := make(chan struct{})
	var once sync.Once
	w.sender.answer = func(webhook.Request) webhook.Result {
		failing := false
		once.Do(func() { failing = true })
		if failing {
			return webhook.Result{Status: 500}
		}
		<-failedFirst
		return ok
	}
	var wait sync.WaitGroup
	for range 2 {
		wait.Go(func() { w.ring(t, standard) })
	}
	for w.delivery(t, standard).State != webhook.StateWaiting {
	}
	close(failedFirst)
	wait.Wait()
	w.want(t, standard, webhook.StateDelivered)
}

func TestAResendThatFailsDoesNotTakeTheSuccessAway(t *testing.T) {
	w := newWorld(t)
	w.ring(t, socialData)
	delivered := w.want(t, socialData, webhook.StateDelivered)
	w.resend(t, socialData)
	w.sender.answer = status(500)
	w.ringGeneration(t, socialData, 2)
	d := w.want(t, socialData, webhook.StateDelivered)
	if !d.DeliveredAt.Equal(delivered.DeliveredAt) || !strings.Contains(d.Reason, "the resend failed") {
		t.Errorf("delivered at %s, reason %q; want the first success and why the resend failed", d.DeliveredAt, d.Reason)
	}
	attempts, err := w.store.Attempts(t.Context(), webhook.Ref{Account: "acme", ID: socialData})
	if err != nil || len(attempts) != 2 {
		t.Errorf("%d attempts, %v; want 2", len(attempts), err)
	}
}

func TestADoorbellOfAnOlderGenerationIsDropped(t *testing.T) {
	w := newWorld(t)
	w.ring(t, socialData)
	w.resend(t, socialData)
	answer := w.ringGeneration(t, socialData, 1)
	if len(w.sender.sent) != 1 || len(answer.BatchItemFailures) != 0 {
		t.Errorf("%d requests, %d failures; want 1 and none", len(w.sender.sent), len(answer.BatchItemFailures))
	}
}

func TestADeliveryThatTwoMessagesOfABatchRingForIsSentOnce(t *testing.T) {
	w := newWorld(t)
	answer := w.handle(t, w.handler(w.retry), batchOf(standard, standard, standard))
	if len(answer.BatchItemFailures) != 0 || len(w.sender.sent) != 1 {
		t.Errorf("%d failures, %d requests; want 0, 1", len(answer.BatchItemFailures), len(w.sender.sent))
	}
	w.want(t, standard, webhook.StateDelivered)
}

func TestAFailingStoreKeepsTheMessage(t *testing.T) {
	w := newWorld(t)
	w.store.recordErr = errors.New("throttled")
	answer := w.ring(t, standard)
	if len(answer.BatchItemFailures) != 1 {
		t.Error("the message was dropped although its attempt was not recorded")
	}
	w.store.recordErr = nil
	w.ring(t, standard)
	w.want(t, standard, webhook.StateDelivered)
	if ids := w.sender.ids(); len(ids) != 2 || ids[0] != ids[1] {
		t.Errorf("webhook ids %v, want the same twice", ids)
	}
}

func TestAFailingRetryQueueLeavesTheMessageToComeAgain(t *testing.T) {
	w := newWorld(t)
	w.sender.answer = status(500)
	w.retry.err = errors.New("throttled")
	answer := w.ring(t, standard)
	if got, want := w.queue.hidden["AQEB1"], 5*time.Second; got != want || len(answer.BatchItemFailures) != 1 {
		t.Errorf("hidden for %s with %d failures, want %s and 1", got, len(answer.BatchItemFailures), want)
	}
}

func TestAStopDuringTheAttemptKeepsTheMessage(t *testing.T) {
	w := newWorld(t)
	ctx, stop := context.WithCancel(t.Context())
	w.sender.answer = func(webhook.Request) webhook.Result {
		stop()
		return webhook.Result{Failure: webhook.FailureReset}
	}
	answer, err := w.handler(w.retry).Handle(ctx, batch(standard, 1))
	if err != nil || len(answer.BatchItemFailures) != 1 {
		t.Errorf("failures %v, %v; want the message back", answer, err)
	}
	w.want(t, standard, webhook.StateQueued)
}

func TestFailuresInARowMakeAnEndpointFailingAndASuccessHealthy(t *testing.T) {
	w := newWorld(t)
	w.sender.answer = status(500)
	w.ring(t, standard)
	for _, wait := range []time.Duration{5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour} {
		if got := w.health(t); got != "" {
			t.Fatalf("health %q before the fifth failure", got)
		}
		w.now = w.now.Add(wait)
		w.ringAgain(t, standard)
	}
	if got := w.health(t); got != webhook.Failing {
		t.Errorf("health %q after five failures, want failing", got)
	}
	w.sender.answer = nil
	w.now = w.now.Add(5 * time.Hour)
	w.ringAgain(t, standard)
	if got := w.health(t); got != webhook.Healthy {
		t.Errorf("health %q after a success, want healthy", got)
	}
}

func TestAnExpiredDeliveryIsDeclined(t *testing.T) {
	w := newWorld(t)
	w.now = w.now.Add(dispatch.DefaultRetention + time.Second)
	w.ring(t, standard)
	w.want(t, standard, webhook.StateDeclined)
	if len(w.sender.sent) != 0 {
		t.Error("an expired delivery was sent")
	}
}

func TestAResentDeliveryThatWasNeverSentIsDeclinedWhenItExpires(t *testing.T) {
	w := newWorld(t)
	w.setStatus(t, "ep_standard", webhook.EndpointPaused, "by its owner")
	w.ring(t, standard)
	w.resend(t, standard)
	w.now = w.now.Add(dispatch.DefaultRetention + time.Second)
	w.ringGeneration(t, standard, 2)
	w.want(t, standard, webhook.StateDeclined)
}

func TestADeliveryWhoseEndpointWasDeletedEnds(t *testing.T) {
	w := newWorld(t)
	w.sender.answer = status(500)
	w.ring(t, standard)
	if err := w.store.DeleteEndpoint(t.Context(), "acme", "ep_standard"); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(5 * time.Second)
	w.ringAgain(t, standard)
	w.want(t, standard, webhook.StateDead) // declined would say that it was never sent
	other := strings.Replace(standard, "00aykghrtrg3y9am06", "00p2crgkpnv4x6arma", 1)
	w.ring(t, other)
	w.want(t, other, webhook.StateDeclined)
}

func TestAResentProgressWebhookThatIsOvertakenStaysDelivered(t *testing.T) {
	w := newWorld(t)
	w.ring(t, progressOld)
	w.resend(t, progressOld)
	w.sender.answer = status(500)
	w.ringGeneration(t, progressOld, 2)
	if d := w.want(t, progressOld, webhook.StateDelivered); !strings.Contains(d.Reason, "resend failed") {
		t.Errorf("reason %q, want why the resend failed", d.Reason)
	}
}

func TestADeliveryThatWasHeldForLongKeepsItsRightToWait(t *testing.T) {
	w := newWorld(t)
	w.now = w.now.Add(20 * 24 * time.Hour) // far past the deadline of its dispatch
	w.sender.answer = func(webhook.Request) webhook.Result {
		return webhook.Result{Status: 429, RetryAfter: time.Minute}
	}
	w.ring(t, standard)
	w.want(t, standard, webhook.StateWaiting)
}

func TestAHoldDoesNotBringARetryForward(t *testing.T) {
	w := newWorld(t)
	w.sender.answer = status(500)
	w.ring(t, standard)
	due := w.want(t, standard, webhook.StateWaiting).NextAt
	w.setStatus(t, "ep_standard", webhook.EndpointPaused, "maintenance")
	w.ringAgain(t, standard)
	if d := w.want(t, standard, webhook.StateHeld); !d.NextAt.Equal(due) {
		t.Errorf("next attempt at %s, want %s as before the hold", d.NextAt, due)
	}
}

func TestOurOwnWantOfSocketsSpendsNoAttempt(t *testing.T) {
	w := newWorld(t)
	w.sender.answer = func(webhook.Request) webhook.Result {
		return webhook.Result{Failure: webhook.FailureOurs, Code: "EMFILE"}
	}
	answer := w.ring(t, socialData) // which has one attempt only
	if d := w.want(t, socialData, webhook.StateQueued); d.Attempts != 0 || len(answer.BatchItemFailures) != 1 {
		t.Errorf("%d attempts, %d failures; want none, and the message to stay", d.Attempts, len(answer.BatchItemFailures))
	}
	w.sender.answer = nil
	w.ring(t, socialData)
	w.want(t, socialData, webhook.StateDelivered)
}

func TestAnAnswerThatCameBeforeTheStopIsRecorded(t *testing.T) {
	w := newWorld(t)
	ctx, stop := context.WithCancel(t.Context())
	w.sender.answer = func(webhook.Request) webhook.Result {
		stop()
		return ok
	}
	answer, err := w.handler(w.retry).Handle(ctx, batch(standard, 1))
	if err != nil || len(answer.BatchItemFailures) != 0 {
		t.Errorf("failures %v, %v; want none", answer, err)
	}
	w.want(t, standard, webhook.StateDelivered)
}

func TestALateGoneDoesNotDisableAnEndpointThatHasMoved(t *testing.T) {
	w := newWorld(t)
	w.sender.answer = func(webhook.Request) webhook.Result {
		_, err := w.store.UpdateEndpoint(t.Context(), "acme", "ep_standard", func(e webhook.Endpoint) (webhook.Endpoint, error) {
			e.URL = "https://receiver.example/moved"
			return e, nil
		})
		if err != nil {
			t.Error(err)
		}
		return webhook.Result{Status: 410}
	}
	w.ring(t, standard)
	if e, err := w.store.Endpoint(t.Context(), "acme", "ep_standard"); err != nil || e.Status != webhook.EndpointEnabled {
		t.Errorf("the endpoint is %s, %v; want enabled", e.Status, err)
	}
}

func status(code int) func(webhook.Request) webhook.Result {
	return func(webhook.Request) webhook.Result { return webhook.Result{Status: code} }
}

func failedIDs(r events.SQSEventResponse) (ids []string) {
	for _, f := range r.BatchItemFailures {
		ids = append(ids, f.ItemIdentifier)
	}
	return ids
}

// scripted is a sender that answers as told, or 200.
type scripted struct {
	mu     sync.Mutex
	sent   []webhook.Request
	answer func(webhook.Request) webhook.Result
	hangs  bool // until its context ends
	took   time.Duration
}

func (s *scripted) Post(ctx context.Context, r webhook.Request) (webhook.Result, webhook.Timing) {
	s.mu.Lock()
	s.sent = append(s.sent, r)
	answer, hangs, took := s.answer, s.hangs, s.took
	s.mu.Unlock()
	switch {
	case hangs:
		<-ctx.Done()
		return webhook.Result{Failure: webhook.FailureReset, Code: "ECANCELED"}, webhook.Timing{}
	case answer == nil:
		return ok, webhook.Timing{Total: max(took, 300*time.Millisecond)}
	}
	return answer(r), webhook.Timing{Total: time.Second}
}

func (s *scripted) ids() (ids []string) {
	for _, r := range s.sent {
		ids = append(ids, r.Header.Get(webhook.HeaderID))
	}
	return ids
}

// hides remembers what was hidden.
type hides struct {
	mu     sync.Mutex
	hidden map[string]time.Duration
}

func (h *hides) Hide(_ context.Context, receipt string, d time.Duration) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hidden[receipt] = d
	return nil
}

// bells remembers what was rung for.
type bells struct {
	mu   sync.Mutex
	rung []webhook.Doorbell
	err  error
}

func (b *bells) Ring(_ context.Context, list []webhook.Doorbell) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return b.err
	}
	b.rung = append(b.rung, list...)
	return nil
}

// faultyStore is the real store with a place to put faults.
type faultyStore struct {
	*sqlite.Store
	recordErr error
	record    func(ctx context.Context, a *webhook.Attempt, write func() error) error // nil writes
	load      func([]webhook.Work)                                                    // changes what was loaded
	overtaken error
	afterLoad func()
	barrier   func()
	setHealth func(write func() error) error // nil writes
	disable   error
	lease     func(endpoint string, rate, n int) (int, error) // nil asks the store
}

func (f *faultyStore) SetHealth(ctx context.Context, account string, read, next webhook.Health, told ...webhook.Notice) error {
	write := func() error { return f.Store.SetHealth(ctx, account, read, next, told...) }
	if f.setHealth != nil {
		return f.setHealth(write)
	}
	return write()
}

func (f *faultyStore) Disable(ctx context.Context, account, endpoint, url, reason string, told ...webhook.Notice) error {
	if f.disable != nil {
		return f.disable
	}
	return f.Store.Disable(ctx, account, endpoint, url, reason, told...)
}

func (f *faultyStore) Lease(ctx context.Context, account, endpoint string, rate, n int) (int, error) {
	if f.lease != nil {
		return f.lease(endpoint, rate, n)
	}
	return f.Store.Lease(ctx, account, endpoint, rate, n)
}

func (f *faultyStore) Load(ctx context.Context, refs []webhook.Ref) ([]webhook.Work, error) {
	works, err := f.Store.Load(ctx, refs)
	if f.load != nil {
		f.load(works)
	}
	if f.afterLoad != nil {
		f.afterLoad()
	}
	if f.barrier != nil {
		f.barrier()
	}
	return works, err
}

func (f *faultyStore) Record(ctx context.Context, read, next webhook.Delivery, a *webhook.Attempt) error {
	if f.recordErr != nil {
		return f.recordErr
	}
	if f.record != nil {
		return f.record(ctx, a, func() error { return f.Store.Record(ctx, read, next, a) })
	}
	return f.Store.Record(ctx, read, next, a)
}

func (f *faultyStore) Overtaken(ctx context.Context, d webhook.Delivery) (bool, error) {
	if f.overtaken != nil {
		return false, f.overtaken
	}
	return f.Store.Overtaken(ctx, d)
}

// newBarrier returns a function that returns when n callers are in it.
func newBarrier(n int) func() {
	var arrived sync.WaitGroup
	arrived.Add(n)
	return func() {
		arrived.Done()
		arrived.Wait()
	}
}

type testWorld struct {
	now    time.Time
	store  *faultyStore
	sender *scripted
	queue  *hides
	retry  *bells
	first  *bells
	watch  *deliver.HealthLog
	rules  webhook.HealthRules
	busy   *deliver.Traffic
}

// newWorld is the world of the fixtures with all its changes dispatched.
func newWorld(t *testing.T) *testWorld {
	t.Helper()
	store := worldtest.Open(t)
	w := &testWorld{
		now: worldtest.Start(), store: &faultyStore{Store: store}, sender: &scripted{},
		queue: &hides{hidden: map[string]time.Duration{}}, retry: &bells{}, first: &bells{}, watch: &deliver.HealthLog{},
	}
	for _, name := range world.Names(worldtest.Fixtures, "dispatch") {
		w.dispatch(t, w.payload(t, name))
	}
	return w
}

func (w *testWorld) clock() time.Time { return w.now }

func (w *testWorld) payload(t *testing.T, name string) []byte {
	t.Helper()
	return worldtest.Payload(t, name)
}

func (w *testWorld) dispatch(t *testing.T, payload []byte) {
	t.Helper()
	h := &dispatch.Handler{Store: w.store, Queue: w.first, Now: w.clock, Log: slog.New(slog.DiscardHandler)}
	if _, err := lambda.NewHandler(h.Handle).Invoke(t.Context(), payload); err != nil {
		t.Fatal(err)
	}
}

// dispatchTwin dispatches a fixture for another job, and returns the delivery
// to the job's own URL.
func (w *testWorld) dispatchTwin(t *testing.T, fixture, id, twin string) string {
	t.Helper()
	w.dispatch(t, []byte(strings.ReplaceAll(string(w.payload(t, fixture)), `"S": "`+id+`"`, `"S": "`+twin+`"`)))
	list, _, err := w.store.Deliveries(t.Context(), webhook.Filter{Account: "acme", JobID: twin, Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list {
		if d.Target.Endpoint == "" {
			return d.ID
		}
	}
	t.Fatalf("no delivery to the URL of job %s", twin)
	return ""
}

func (w *testWorld) handler(retry deliver.RetryQueue) *deliver.Handler {
	return &deliver.Handler{
		Store: w.store, Queue: w.queue, Retry: retry, Sender: w.sender, Health: w.watch, Rules: w.rules, Traffic: w.busy,
		Now: w.clock, Jitter: func() float64 { return 0 }, Pause: func(time.Duration) {}, Log: slog.New(slog.DiscardHandler),
	}
}

func (w *testWorld) invoke(t *testing.T, fixture string) (r events.SQSEventResponse) {
	t.Helper()
	answer, err := lambda.NewHandler(w.handler(w.retry).Handle).Invoke(t.Context(), w.payload(t, fixture))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(answer, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func batch(id string, generation int) events.SQSEvent {
	e := batchOf(id)
	e.Records[0].Body = strings.Replace(e.Records[0].Body, `"generation":1`, fmt.Sprintf(`"generation":%d`, generation), 1)
	return e
}

// batchOf rings for first generations; message i has the id i and the receipt AQEBi.
func batchOf(ids ...string) (e events.SQSEvent) {
	for i, id := range ids {
		n := strconv.Itoa(i + 1)
		e.Records = append(e.Records, events.SQSMessage{
			MessageId: n, ReceiptHandle: "AQEB" + n, Body: fmt.Sprintf(`{"account":"acme","delivery":%q,"generation":1}`, id),
		})
	}
	return e
}

// ring rings in the first-attempt queue.
func (w *testWorld) ring(t *testing.T, id string) events.SQSEventResponse {
	t.Helper()
	return w.handle(t, w.handler(w.retry), batch(id, 1))
}

// ringAgain rings in the retry queue.
func (w *testWorld) ringAgain(t *testing.T, id string) events.SQSEventResponse {
	t.Helper()
	return w.handle(t, w.handler(nil), batch(id, 1))
}

func (w *testWorld) ringGeneration(t *testing.T, id string, generation int) events.SQSEventResponse {
	t.Helper()
	return w.handle(t, w.handler(nil), batch(id, generation))
}

func (w *testWorld) handle(t *testing.T, h *deliver.Handler, e events.SQSEvent) events.SQSEventResponse {
	t.Helper()
	answer, err := h.Handle(t.Context(), e)
	if err != nil {
		t.Error(err)
	}
	return answer
}

func (w *testWorld) delivery(t *testing.T, id string) webhook.Delivery {
	t.Helper()
	d, err := w.store.Delivery(t.Context(), webhook.Ref{Account: "acme", ID: id})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (w *testWorld) want(t *testing.T, id string, s webhook.State) webhook.Delivery {
	t.Helper()
	d := w.delivery(t, id)
	if d.State != s {
		t.Errorf("delivery %s is %s because %q, want %s", id, d.State, d.Reason, s)
	}
	return d
}

func (w *testWorld) setStatus(t *testing.T, endpoint string, s webhook.EndpointStatus, reason string) {
	t.Helper()
	_, err := w.store.UpdateEndpoint(t.Context(), "acme", endpoint, func(e webhook.Endpoint) (webhook.Endpoint, error) {
		e.Status, e.StatusReason = s, reason
		return e, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (w *testWorld) resend(t *testing.T, id string) {
	t.Helper()
	d := w.delivery(t, id)
	next, err := d.Resend(webhook.Policy{}, w.now)
	if err == nil {
		err = w.store.Store.Record(t.Context(), d, next, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// sweep runs sweep once and returns what it rang for.
func (w *testWorld) sweep(t *testing.T) []webhook.Doorbell {
	t.Helper()
	var rung bells
	h := &sweep.Handler{Store: w.store, Queue: &rung, Horizon: time.Second, Now: w.clock, Log: slog.New(slog.DiscardHandler)}
	if err := h.Handle(t.Context(), events.EventBridgeEvent{}); err != nil {
		t.Fatal(err)
	}
	return rung.rung
}

func (w *testWorld) health(t *testing.T) webhook.HealthState {
	t.Helper()
	list, err := w.store.Health(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range list {
		if h.Endpoint == "ep_standard" {
			return h.State
		}
	}
	return ""
}
