package dispatch_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/functions/internal/dispatch"
	"github.com/jobhook/jobhook/functions/internal/metrics"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/sqlite"
	"github.com/jobhook/jobhook/shared/webhook"
)

func TestAStoreOrQueueThatHangsIsAnsweredInTime(t *testing.T) {
	for name, hang := range map[string]func(*faultyStore, *faultyQueue){
		"endpoints": func(s *faultyStore, _ *faultyQueue) { s.hangsAt = "endpoints" },
		"put":       func(s *faultyStore, _ *faultyQueue) { s.hangsAt = "put" },
		"ring":      func(_ *faultyStore, q *faultyQueue) { q.hangs = true },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				store, queue := &faultyStore{Store: w.store}, &faultyQueue{bells: w.queue}
				hang(store, queue)
				h := &dispatch.Handler{Store: store, Queue: queue, Now: w.now, Log: slog.New(slog.DiscardHandler)}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				answer, err := h.Handle(ctx, w.event(t, "dispatch-pipeline"))
				if err != nil || ctx.Err() != nil {
					t.Fatalf("%v; the invocation timed out: %v", err, ctx.Err())
				}
				if got := failed(answer); !slices.Equal(got, []string{"10300000000000000000000001"}) {
					t.Errorf("failed from %v, want the first record", got)
				}
				store.hangsAt, queue.hangs = "", false
				if answer, err = h.Handle(t.Context(), w.event(t, "dispatch-pipeline")); err != nil || len(answer.BatchItemFailures) != 0 {
					t.Fatalf("afterwards: %v, %v", answer, err)
				}
				w.wantEveryQueuedRung(t, 4)
			})
		})
	}
}

func TestARingThatFailsInPartIsMadeUpFor(t *testing.T) {
	w := newWorld(t)
	queue := &faultyQueue{bells: w.queue, sends: 1, fails: 3}
	h := &dispatch.Handler{Store: w.store, Queue: queue, Now: w.now, Log: slog.New(slog.DiscardHandler)}
	for try := range 4 {
		answer, err := h.Handle(t.Context(), w.event(t, "dispatch-pipeline"))
		if err != nil || (len(answer.BatchItemFailures) == 1) != (try < 3) {
			t.Errorf("try %d: failures %v, %v", try+1, answer.BatchItemFailures, err)
		}
	}
	w.wantEveryQueuedRung(t, 4)
}

func TestAStoreThatFailsAndComesBackLosesAndDoublesNothing(t *testing.T) {
	w := newWorld(t)
	store := &faultyStore{Store: w.store, putFails: 3}
	h := &dispatch.Handler{Store: store, Queue: w.queue, Now: w.now, Log: slog.New(slog.DiscardHandler)}
	tries := 0
	for done := false; !done; tries++ {
		answer, err := h.Handle(t.Context(), w.event(t, "dispatch-pipeline"))
		if err != nil {
			t.Fatal(err)
		}
		done = len(answer.BatchItemFailures) == 0
	}
	if tries != 4 || len(w.queue.rung) != 4 {
		t.Errorf("%d tries, %d doorbells; want 4 of each", tries, len(w.queue.rung))
	}
	w.wantEveryQueuedRung(t, 4)
}

func TestWhatCannotBeUnderstoodIsLoggedWithoutItsContent(t *testing.T) {
	w := newWorld(t)
	payload := strings.ReplaceAll(string(w.payload(t, "dispatch-malformed-between")), `"S": "zebra"`, `"S": "planted"`)
	var e events.DynamoDBEvent
	if err := json.Unmarshal([]byte(payload), &e); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	h := &dispatch.Handler{Store: w.store, Queue: w.queue, Now: w.now, Log: slog.New(slog.NewJSONHandler(&log, nil))}
	answer, err := h.Handle(t.Context(), e)
	if err != nil || len(answer.BatchItemFailures) != 0 {
		t.Fatalf("failures %v, %v; want the shard to go on", answer.BatchItemFailures, err)
	}
	if strings.Contains(log.String(), "planted") || strings.Count(log.String(), "\n") != 2 || !strings.Contains(log.String(), `"attribute":"kind"`) {
		t.Errorf("log %s, want a line for each record, with the attribute and not its value", log.String())
	}
}

func TestABatchIsCountedInOneLine(t *testing.T) {
	w := newWorld(t)
	var out bytes.Buffer
	queue := &faultyQueue{bells: w.queue}
	h := &dispatch.Handler{Store: w.store, Queue: queue, Metrics: metrics.New(&out, "test", "dispatch"), Now: w.now, Log: slog.New(slog.DiscardHandler)}
	handle := func(fixture string) map[string]any {
		t.Helper()
		out.Reset()
		if _, err := h.Handle(t.Context(), w.event(t, fixture)); err != nil {
			t.Fatal(err)
		}
		var line map[string]any
		if err := json.Unmarshal(out.Bytes(), &line); err != nil {
			t.Fatalf("%s: %v", out.String(), err)
		}
		delete(line, "_aws")
		return line
	}
	want := map[string]any{
		"stage": "test", "function": "dispatch", "Records": 3.0, "Events": 3.0, "Declined": 2.0,
		"DispatchLag": []any{50_000.0, 50_000.0, 50_000.0}, // the world's clock, after the fixtures'
	}
	if diff := cmp.Diff(handle("dispatch-malformed-between"), want); diff != "" {
		t.Errorf("line (-got +want):\n%s", diff)
	}
	queue.fails = 1
	want = map[string]any{"stage": "test", "function": "dispatch", "Records": 2.0, "RecordsFailed": 2.0}
	if diff := cmp.Diff(handle("dispatch-pipeline"), want); diff != "" {
		t.Errorf("line of a failure (-got +want):\n%s", diff)
	}
}

func TestNoRecordsAreNoWork(t *testing.T) {
	w := newWorld(t)
	if answer := w.invokePayload(t, []byte(`{"Records":[]}`)); len(answer.BatchItemFailures) != 0 {
		t.Errorf("failures %v, want none", answer.BatchItemFailures)
	}
}

// TestATableThatIsNotOursCanBeAttached runs changes of a platform's own table,
// which has no runs: each end of the job is an event of its own.
func TestATableThatIsNotOursCanBeAttached(t *testing.T) {
	w := newWorld(t)
	attributes, err := dispatch.ParseAttributes("id=jobId,account=customer,status=state,created_at=createdAt,sitemap_id=sitemap,sitemap_name=shop,kind:=scraping")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile("testdata/foreign-table.json")
	if err != nil {
		t.Fatal(err)
	}
	var e events.DynamoDBEvent
	if err := json.Unmarshal(raw, &e); err != nil {
		t.Fatal(err)
	}
	h := &dispatch.Handler{Store: w.store, Queue: w.queue, Attributes: attributes, Now: w.now, Log: slog.New(slog.DiscardHandler)}
	if answer, err := h.Handle(t.Context(), e); err != nil || len(answer.BatchItemFailures) != 0 {
		t.Fatalf("failures %v, %v", answer.BatchItemFailures, err)
	}
	var got []string
	for _, d := range w.deliveries(t) {
		got = append(got, string(d.State)+" "+string(d.EventType)+" "+d.JobID+" "+d.Target.URL)
		event, err := w.store.Event(t.Context(), d.Account, d.EventID)
		if err != nil {
			t.Fatal(err)
		}
		want := `{"account":"acme","created_at":1767225600,"id":"scrape-7","kind":"scraping","sitemap_id":12,"sitemap_name":"example","status":`
		if !strings.HasPrefix(string(event.Record), want) || strings.Contains(string(event.Record), "jobhook_") {
			t.Errorf("record %s, want it to begin with %s", event.Record, want)
		}
	}
	slices.Sort(got)
	want := []string{
		"queued job.failed scrape-7 https://receiver.example/account", "queued job.failed scrape-7 https://receiver.example/standard",
		"queued job.finished scrape-7 https://receiver.example/account", "queued job.finished scrape-7 https://receiver.example/standard",
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("deliveries (-got +want):\n%s", diff)
	}
}

func TestARecordOfAnotherTableThatIsUnreadableIsDeclinedInTheNameOfItsAccount(t *testing.T) {
	w := newWorld(t)
	attributes, err := dispatch.ParseAttributes("id=jobId,account=customer,status=state,kind:=scraping")
	if err != nil {
		t.Fatal(err)
	}
	record := events.DynamoDBEventRecord{EventName: "INSERT", Change: events.DynamoDBStreamRecord{
		SequenceNumber: "7", ApproximateCreationDateTime: events.SecondsEpochTime{Time: w.now()},
		NewImage: map[string]events.DynamoDBAttributeValue{
			"jobId": events.NewStringAttribute("8"), "customer": events.NewStringAttribute("acme"), "state": events.NewStringAttribute("zebra"),
		},
	}}
	h := &dispatch.Handler{Store: w.store, Queue: w.queue, Attributes: attributes, Now: w.now, Log: slog.New(slog.DiscardHandler)}
	if answer, err := h.Handle(t.Context(), events.DynamoDBEvent{Records: []events.DynamoDBEventRecord{record}}); err != nil || len(answer.BatchItemFailures) != 0 {
		t.Fatalf("failures %v, %v", answer.BatchItemFailures, err)
	}
	list := w.deliveries(t)
	if len(list) != 1 || list[0].Account != "acme" || list[0].JobID != "8" || list[0].Kind != job.KindScraping || list[0].State != webhook.StateDeclined {
		t.Errorf("deliveries %+v, want one declined of acme's scraping job 8", list)
	}
}

// faultyStore is the real store with a place to put faults.
type faultyStore struct {
	*sqlite.Store
	hangsAt  string
	putFails int
}

func (f *faultyStore) Endpoints(ctx context.Context, account string) ([]webhook.Endpoint, error) {
	if f.hangsAt == "endpoints" {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return f.Store.Endpoints(ctx, account)
}

// Put may store a part before it fails.
func (f *faultyStore) Put(ctx context.Context, planned []webhook.Planned) ([]webhook.Doorbell, error) {
	if f.hangsAt == "put" {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if f.putFails--; f.putFails >= 0 {
		_, _ = f.Store.Put(ctx, planned[:1])
		return nil, errors.New("throttled")
	}
	return f.Store.Put(ctx, planned)
}

// faultyQueue sends only the first of the doorbells while it fails.
type faultyQueue struct {
	*bells
	hangs        bool
	sends, fails int
}

func (f *faultyQueue) Ring(ctx context.Context, list []webhook.Doorbell) error {
	if f.hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	if f.fails--; f.fails >= 0 {
		f.rung = append(f.rung, list[:f.sends]...)
		return errors.New("throttled")
	}
	return f.bells.Ring(ctx, list)
}

func (w *testWorld) event(t *testing.T, fixture string) (e events.DynamoDBEvent) {
	t.Helper()
	if err := json.Unmarshal(w.payload(t, fixture), &e); err != nil {
		t.Fatal(err)
	}
	return e
}

// wantEveryQueuedRung holds that there are so many deliveries, none twice, and
// that each was rung for.
func (w *testWorld) wantEveryQueuedRung(t *testing.T, want int) {
	t.Helper()
	list := w.deliveries(t)
	if len(list) != want {
		t.Errorf("%d deliveries, want %d", len(list), want)
	}
	rung := map[string]bool{}
	for _, b := range w.queue.rung {
		rung[b.Delivery] = true
	}
	for _, d := range list {
		if d.State == webhook.StateQueued && !rung[d.ID] {
			t.Errorf("nobody rang for %s", d.ID)
		}
	}
}

func failed(r events.DynamoDBEventResponse) (ids []string) {
	for _, f := range r.BatchItemFailures {
		ids = append(ids, f.ItemIdentifier)
	}
	return ids
}
