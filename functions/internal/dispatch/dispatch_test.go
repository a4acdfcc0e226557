package dispatch_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/functions/internal/dispatch"
	"github.com/jobhook/jobhook/functions/internal/world"
	"github.com/jobhook/jobhook/functions/internal/worldtest"
	"github.com/jobhook/jobhook/shared/sqlite"
	"github.com/jobhook/jobhook/shared/webhook"
)

func TestEachFixtureLeadsToItsDeliveries(t *testing.T) {
	const standard, account = "https://receiver.example/standard", "https://receiver.example/account"
	tests := []struct {
		fixture string
		want    []string // "state event-type url", sorted
	}{
		{"dispatch-batch-finished", []string{
			"queued job.finished " + standard,
			"queued result_set.ready https://receiver.example/serpwow", // the job's URL, not the account's
			"queued result_set.ready " + standard,
		}},
		{"dispatch-scraping-finished", []string{"queued job.finished " + account, "queued job.finished " + standard}},
		{"dispatch-async-finished", []string{"queued job.finished " + account, "queued job.finished " + standard}},
		{"dispatch-pipeline", []string{
			"queued job.finished https://receiver.example/hkube/result",
			"queued job.finished " + standard,
			"queued job.progress https://receiver.example/hkube/progress",
			"queued job.progress https://receiver.example/hkube/progress",
		}},
		{"dispatch-reopened", []string{
			"declined job.unreadable ", "queued job.finished " + account, "queued job.finished " + standard,
		}},
		{"dispatch-malformed-between", []string{
			"declined job.unreadable ", "declined job.unreadable ",
			"queued job.finished " + account, "queued job.finished " + standard,
		}},
		{"dispatch-traced", []string{"queued job.finished " + account, "queued job.finished " + standard}},
		{"dispatch-expired-row", nil},
	}
	for _, test := range tests {
		t.Run(test.fixture, func(t *testing.T) {
			w := newWorld(t)
			answer := w.invoke(t, test.fixture)
			if len(answer.BatchItemFailures) != 0 {
				t.Errorf("failures %v, want none", answer.BatchItemFailures)
			}
			var got []string
			for _, d := range w.deliveries(t) {
				got = append(got, string(d.State)+" "+string(d.EventType)+" "+d.Target.URL)
			}
			slices.Sort(got)
			if diff := cmp.Diff(got, test.want); diff != "" {
				t.Errorf("deliveries (-got +want):\n%s", diff)
			}
		})
	}
}

func TestEveryFixtureIsInTheTable(t *testing.T) {
	if got := len(world.Names(worldtest.Fixtures, "dispatch")); got != 8 {
		t.Errorf("%d dispatch fixtures, want the 8 of the table above", got)
	}
}

func TestAReplayedRecordMakesNoSecondDeliveryButRingsWhileItIsQueued(t *testing.T) {
	w := newWorld(t)
	w.invoke(t, "dispatch-async-finished")
	w.invoke(t, "dispatch-async-finished")
	if got := len(w.deliveries(t)); got != 2 {
		t.Errorf("%d deliveries, want 2", got)
	}
	if got := len(w.queue.rung); got != 4 {
		t.Errorf("%d doorbells, want 4: two deliveries, rung for twice", got)
	}
}

func TestAMalformedRecordIsDeclinedWithItsReasonInTheNameOfItsAccount(t *testing.T) {
	w := newWorld(t)
	w.invoke(t, "dispatch-malformed-between")
	reasons := map[string]string{}
	for _, d := range w.deliveries(t) {
		if d.State == webhook.StateDeclined {
			reasons[d.JobID] = d.Reason
		}
	}
	if got := slices.Sorted(maps.Keys(reasons)); !slices.Equal(got, []string{"43", "44"}) {
		t.Fatalf("declined jobs %v, want 43 and 44", got)
	}
	if !strings.Contains(reasons["43"], `"finished" is no status word of async jobs`) {
		t.Errorf("reason of 43: %q", reasons["43"])
	}
	if !strings.Contains(reasons["44"], `"zebra" is no kind of job`) {
		t.Errorf("reason of 44: %q", reasons["44"])
	}
}

func TestAnEndThatNobodyHearsOfSaysWhy(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	for _, id := range []string{"ep_default", "ep_standard"} {
		if err := w.store.DeleteEndpoint(ctx, "acme", id); err != nil {
			t.Fatal(err)
		}
	}
	w.invoke(t, "dispatch-async-finished")
	list := w.deliveries(t)
	if len(list) != 1 || list[0].State != webhook.StateDeclined || !strings.HasPrefix(list[0].Reason, "no target") {
		t.Errorf("deliveries %+v, want one declined for want of a target", list)
	}
}

func TestABatchWhoseResultSetIsNotWrittenYetSaysWhatItsURLWaitsFor(t *testing.T) {
	w := newWorld(t)
	if err := w.store.DeleteEndpoint(t.Context(), "acme", "ep_standard"); err != nil {
		t.Fatal(err)
	}
	payload := strings.ReplaceAll(string(w.payload(t, "dispatch-batch-finished")), `"result_set"`, `"other"`)
	w.invokePayload(t, []byte(payload))
	list := w.deliveries(t)
	if len(list) != 1 || list[0].State != webhook.StateDeclined || !strings.Contains(list[0].Reason, "notification_webhook is sent result_set.ready") {
		t.Errorf("deliveries %+v, want one declined that names result_set.ready", list)
	}
}

func TestAnEndpointThatDoesNotWantTheEndIsToldOfWithTheRule(t *testing.T) {
	tests := []struct {
		name   string
		change func(*webhook.Endpoint)
		state  webhook.State
		reason string
	}{
		{"not subscribed", func(e *webhook.Endpoint) { e.Types = []webhook.EventType{webhook.JobFailed} },
			webhook.StateDeclined, "does not subscribe to job.finished"},
		{"disabled", func(e *webhook.Endpoint) { e.Status, e.StatusReason = webhook.EndpointDisabled, "410" },
			webhook.StateDeclined, "the endpoint is disabled: 410"},
		{"other kind", func(e *webhook.Endpoint) { e.Format = "serpwow" },
			webhook.StateDeclined, "serpwow tells of batch jobs only"},
		{"paused is queued, and held later", func(e *webhook.Endpoint) { e.Status = webhook.EndpointPaused },
			webhook.StateQueued, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			_, err := w.store.UpdateEndpoint(t.Context(), "acme", "ep_standard", func(e webhook.Endpoint) (webhook.Endpoint, error) {
				test.change(&e)
				return e, nil
			})
			if err != nil {
				t.Fatal(err)
			}
			w.invoke(t, "dispatch-async-finished")
			list, _, err := w.store.Deliveries(t.Context(), webhook.Filter{Account: "acme", Endpoint: "ep_standard", Limit: 10})
			if err != nil || len(list) != 1 {
				t.Fatalf("%d deliveries to the endpoint, %v; want 1", len(list), err)
			}
			if got := list[0]; got.State != test.state || !strings.Contains(got.Reason, test.reason) {
				t.Errorf("%s %q, want %s because %q", got.State, got.Reason, test.state, test.reason)
			}
		})
	}
}

func TestProgressBelowTheLevelIsDeclinedWithTheRule(t *testing.T) {
	w := newWorld(t)
	payload := strings.ReplaceAll(string(w.payload(t, "dispatch-pipeline")), `"S": "debug"`, `"S": "info"`)
	w.invokePayload(t, []byte(payload))
	var got []string
	for _, d := range w.deliveries(t) {
		if d.EventType == webhook.JobProgress {
			got = append(got, string(d.State))
		}
	}
	slices.Sort(got)
	if want := []string{"declined", "queued"}; !slices.Equal(got, want) {
		t.Errorf("progress at debug and at info: %v, want %v", got, want)
	}
}

func TestAFailingStoreBringsTheBatchBackFromItsFirstRecord(t *testing.T) {
	w := newWorld(t)
	w.queue.err = errors.New("queue is down")
	answer := w.invoke(t, "dispatch-pipeline")
	if got := len(answer.BatchItemFailures); got != 1 {
		t.Fatalf("%d failures, want exactly the first record", got)
	}
	if got, want := answer.BatchItemFailures[0].ItemIdentifier, "10300000000000000000000001"; got != want {
		t.Errorf("failed from %s, want %s", got, want)
	}
	w.queue.err = nil
	w.invoke(t, "dispatch-pipeline")
	if got := len(w.queue.rung); got != 4 {
		t.Errorf("%d doorbells after the queue came back, want 4", got)
	}
}

func TestUnreadableEndpointsKeepWhatCameBefore(t *testing.T) {
	w := newWorld(t)
	broken := &brokenFor{Store: w.store, account: "broken"}
	h := &dispatch.Handler{Store: broken, Queue: w.queue, Now: w.now, Log: slog.New(slog.DiscardHandler)}
	var e events.DynamoDBEvent
	if err := json.Unmarshal(w.payload(t, "dispatch-async-finished"), &e); err != nil {
		t.Fatal(err)
	}
	second := e.Records[0]
	second.Change.SequenceNumber = "999"
	second.Change.NewImage = maps.Clone(second.Change.NewImage)
	second.Change.NewImage["account"] = events.NewStringAttribute("broken")
	e.Records = append(e.Records, second)
	answer, err := h.Handle(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	if len(answer.BatchItemFailures) != 1 || answer.BatchItemFailures[0].ItemIdentifier != "999" {
		t.Errorf("failures %v, want from 999", answer.BatchItemFailures)
	}
	if got := len(w.queue.rung); got != 2 {
		t.Errorf("%d doorbells, want the 2 of the first record", got)
	}
}

// brokenFor fails to read the endpoints of one account.
type brokenFor struct {
	*sqlite.Store
	account string
}

func (b *brokenFor) Endpoints(ctx context.Context, account string) ([]webhook.Endpoint, error) {
	if account == b.account {
		return nil, errors.New("throttled")
	}
	return b.Store.Endpoints(ctx, account)
}

// bells remembers what was rung for.
type bells struct {
	rung []webhook.Doorbell
	err  error
}

func (b *bells) Ring(_ context.Context, list []webhook.Doorbell) error {
	if b.err != nil {
		return b.err
	}
	b.rung = append(b.rung, list...)
	return nil
}

type testWorld struct {
	store   *sqlite.Store
	queue   *bells
	handler lambda.Handler
}

func newWorld(t *testing.T) *testWorld {
	t.Helper()
	store := worldtest.Open(t)
	w := &testWorld{store: store, queue: &bells{}}
	w.handler = lambda.NewHandler((&dispatch.Handler{Store: store, Queue: w.queue, Now: w.now, Log: slog.New(slog.DiscardHandler)}).Handle)
	return w
}

func (*testWorld) now() time.Time { return worldtest.Start() }

func (w *testWorld) payload(t *testing.T, fixture string) []byte {
	t.Helper()
	return worldtest.Payload(t, fixture)
}

func (w *testWorld) invoke(t *testing.T, fixture string) events.DynamoDBEventResponse {
	t.Helper()
	return w.invokePayload(t, w.payload(t, fixture))
}

func (w *testWorld) invokePayload(t *testing.T, payload []byte) (r events.DynamoDBEventResponse) {
	t.Helper()
	answer, err := w.handler.Invoke(t.Context(), payload)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(answer, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func (w *testWorld) deliveries(t *testing.T) (all []webhook.Delivery) {
	t.Helper()
	for _, account := range []string{"acme", "unknown"} {
		list, _, err := w.store.Deliveries(t.Context(), webhook.Filter{Account: account, Limit: webhook.MaxPage})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, list...)
	}
	return all
}
