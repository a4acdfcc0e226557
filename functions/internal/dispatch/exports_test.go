package dispatch_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/jobhook/jobhook/functions/internal/dispatch"
	"github.com/jobhook/jobhook/functions/internal/worldtest"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/sqlite"
	"github.com/jobhook/jobhook/shared/webhook"
)

func TestTheEndOfARunWithRecordsAsksForItsExport(t *testing.T) {
	w, asked := newWorld(t), &exports{}
	e := w.event(t, "dispatch-batch-finished")
	withAttribute(&e.Records[0], "records_run", events.NewNumberAttribute("4"))
	h := &dispatch.Handler{Store: w.store, Queue: w.queue, Exports: asked, Now: w.now, Log: slog.New(slog.DiscardHandler)}
	asked.err = errors.New("throttled")
	if answer, err := h.Handle(t.Context(), e); err != nil || len(answer.BatchItemFailures) != 1 {
		t.Errorf("failures %v, %v; want the record to come again", answer.BatchItemFailures, err)
	}
	asked.err = nil
	if answer, err := h.Handle(t.Context(), e); err != nil || len(answer.BatchItemFailures) != 0 {
		t.Errorf("failures %v, %v; want none", answer.BatchItemFailures, err)
	}
	if len(asked.sent) != 1 {
		t.Fatalf("asked %d times, want once", len(asked.sent))
	}
	var got webhook.Export
	if err := json.Unmarshal([]byte(asked.sent[0]), &got); err != nil {
		t.Fatal(err)
	}
	end, err := w.store.Event(t.Context(), "acme", got.EventID)
	if err != nil || end.Type != webhook.JobFinished {
		t.Errorf("event %q is %s, %v; want the end of the run", got.EventID, end.Type, err)
	}
	got.EventID = ""
	if want := (webhook.Export{Account: "acme", Kind: job.KindBatch, JobID: "9E867FAA", Run: 4}); got != want {
		t.Errorf("asked for %+v, want %+v", got, want)
	}
}

func TestRecordsOfAnotherRunAreNotExported(t *testing.T) {
	w, asked := newWorld(t), &exports{}
	e := w.event(t, "dispatch-batch-finished")
	withAttribute(&e.Records[0], "records_run", events.NewNumberAttribute("3"))
	h := &dispatch.Handler{Store: w.store, Queue: w.queue, Exports: asked, Now: w.now, Log: slog.New(slog.DiscardHandler)}
	if _, err := h.Handle(t.Context(), e); err != nil || len(asked.sent) != 0 {
		t.Errorf("asked for %v, %v; want nothing", asked.sent, err)
	}
}

// TestTheEndThatAnExportBeginsWithIsKept: whoever hears of the run, the export
// reads its end.
func TestTheEndThatAnExportBeginsWithIsKept(t *testing.T) {
	tests := map[string]string{
		"a batch without files, told of its result set only": `{"account":"quiet","kind":"batch","id":"1","status":"idle","run":1,"records_run":1,"notification_webhook":"https://receiver.example/x"}`,
		"a pipeline that names a URL for progress only":      `{"account":"quiet","kind":"pipeline","id":"1","status":"completed","run":1,"records_run":1,"webhooks":{"progress":"https://receiver.example/x"}}`,
		"nobody": `{"account":"quiet","kind":"async","id":"1","status":"success","run":1,"records_run":1}`,
	}
	for name, record := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			ended := decoded(t, record)
			running := decoded(t, regexp.MustCompile(`"(idle|completed|success)"`).ReplaceAllString(record, `"`+map[job.Kind]string{
				job.KindBatch: "running", job.KindPipeline: "active", job.KindAsync: "processing"}[ended.Kind]+`"`))
			h := &dispatch.Handler{Store: w.store, Queue: w.queue, Now: w.now, Log: slog.New(slog.DiscardHandler)}
			if err := h.Apply(t.Context(), job.Change{Old: &running, New: ended, Sequence: "1", At: w.now()}); err != nil {
				t.Fatal(err)
			}
			if _, err := w.store.Event(t.Context(), "quiet", webhook.EventID(ended, webhook.JobFinished, "1")); err != nil {
				t.Errorf("the end of the run: %v", err)
			}
		})
	}
}

func TestASubscriptionToTheEndHearsOfSocialDatasDataFile(t *testing.T) {
	w := newWorld(t)
	e := webhook.Endpoint{ID: "ep_sd", Account: "solo", URL: "https://receiver.example/sd", Format: "socialdata", Status: webhook.EndpointEnabled,
		Types: []webhook.EventType{webhook.JobFinished, webhook.JobFailed}, CreatedAt: w.now(), UpdatedAt: w.now()}
	if err := w.store.PutEndpoint(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	const ended = `{"account":"solo","kind":"async","id":"1","status":"success","run":1,"records_run":1`
	old, next := decoded(t, ended+`}`), decoded(t, ended+`,"result_set":{"id":1,"token":"t","pages":1}}`)
	h := &dispatch.Handler{Store: w.store, Queue: w.queue, Now: w.now, Log: slog.New(slog.DiscardHandler)}
	if err := h.Apply(t.Context(), job.Change{Old: &old, New: next, Sequence: "1", At: w.now()}); err != nil {
		t.Fatal(err)
	}
	if len(w.queue.rung) != 1 {
		t.Errorf("%d rung for, want the one of result_set.ready", len(w.queue.rung))
	}
}

func TestAQuotaIsNotSpentOnABatchThatComesAgain(t *testing.T) {
	w := newWorld(t)
	if err := w.store.PutAccount(t.Context(), webhook.Account{ID: "acme", Quotas: webhook.Quotas{EventsPerMinute: 1}, UpdatedAt: w.now()}); err != nil {
		t.Fatal(err)
	}
	store := &refusing{Store: w.store, times: 2}
	h := &dispatch.Handler{Store: store, Queue: w.queue, Pace: &dispatch.Pace{}, Now: w.now, Log: slog.New(slog.DiscardHandler)}
	for range 3 {
		if _, err := h.Handle(t.Context(), w.event(t, "dispatch-async-finished")); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range w.deliveries(t) {
		if d.State != webhook.StateQueued {
			t.Errorf("%s is %s: %s", d.ID, d.State, d.Reason)
		}
	}
}

func TestAFailedExportIsDeclinedForEverybody(t *testing.T) {
	w := newWorld(t)
	old := decoded(t, `{"account":"acme","kind":"batch","id":"9E867FAA","status":"idle","run":4,"created_at":"2026-01-01T00:00:00.000Z",
		"notification_webhook":"https://receiver.example/serpwow","notification_as_json":true}`)
	next := decoded(t, strings.TrimSuffix(string(old.Record), "}")+`,"result_set":{"id":4,"error":"part 2, line 7 is no JSON object"}}`)
	h := &dispatch.Handler{Store: w.store, Queue: w.queue, Now: w.now, Log: slog.New(slog.DiscardHandler)}
	if err := h.Apply(t.Context(), job.Change{Old: &old, New: next, Sequence: "900", At: w.now()}); err != nil {
		t.Fatal(err)
	}
	list := w.deliveries(t)
	if len(list) == 0 || len(w.queue.rung) != 0 {
		t.Fatalf("%d deliveries, %d rung for; want some, all declined", len(list), len(w.queue.rung))
	}
	for _, d := range list {
		if want := "export failed: part 2, line 7 is no JSON object"; d.State != webhook.StateDeclined || d.Reason != want {
			t.Errorf("%s to %s is %s: %q, want declined: %q", d.EventType, d.Target.URL, d.State, d.Reason, want)
		}
	}
}

func TestQuotasOfEventsAndRetentionAreHeld(t *testing.T) {
	w := newWorld(t)
	account, err := w.store.Account(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	account.Quotas = webhook.Quotas{EventsPerMinute: 2, RetentionDays: 3}
	if err := w.store.PutAccount(t.Context(), account); err != nil {
		t.Fatal(err)
	}
	now := worldtest.Start()
	h := &dispatch.Handler{Store: w.store, Queue: w.queue, Pace: &dispatch.Pace{}, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler)}
	end := func(id int) {
		running := decoded(t, fmt.Sprintf(`{"account":"acme","kind":"async","id":"%d","status":"processing","run":1,"created_at":"2026-01-01T00:00:00.000Z"}`, id))
		ended := decoded(t, strings.Replace(string(running.Record), "processing", "success", 1))
		if err := h.Apply(t.Context(), job.Change{Old: &running, New: ended, Sequence: fmt.Sprint(id), At: now}); err != nil {
			t.Fatal(err)
		}
	}
	for id := 501; id <= 503; id++ {
		end(id)
	}
	now = now.Add(time.Minute)
	end(504)
	states := map[string]webhook.State{}
	for _, d := range w.deliveries(t) {
		states[d.JobID] = d.State
		if left := d.ExpiresAt.Sub(d.CreatedAt); left != 3*24*time.Hour {
			t.Errorf("job %s: kept for %s, want three days", d.JobID, left)
		}
		if d.State == webhook.StateDeclined && !strings.HasPrefix(d.Reason, "over quota: the account may have 2 events a minute") {
			t.Errorf("job %s: reason %q", d.JobID, d.Reason)
		}
	}
	want := map[string]webhook.State{"501": "queued", "502": "queued", "503": "declined", "504": "queued"}
	if !maps.Equal(states, want) {
		t.Errorf("states %v, want %v", states, want)
	}
}

// refusing stores nothing a few times.
type refusing struct {
	*sqlite.Store
	times int
}

func (r *refusing) Put(ctx context.Context, planned []webhook.Planned) ([]webhook.Doorbell, error) {
	if r.times--; r.times >= 0 {
		return nil, errors.New("throttled")
	}
	return r.Store.Put(ctx, planned)
}

// exports remembers what was asked for.
type exports struct {
	sent []string
	err  error
}

func (e *exports) Send(_ context.Context, _, body string, _ time.Duration) error {
	if e.err != nil {
		return e.err
	}
	e.sent = append(e.sent, body)
	return nil
}

func withAttribute(r *events.DynamoDBEventRecord, name string, v events.DynamoDBAttributeValue) {
	r.Change.NewImage[name], r.Change.OldImage[name] = v, v
}

func decoded(t *testing.T, record string) job.Job {
	t.Helper()
	j, err := job.Decode([]byte(record))
	if err != nil {
		t.Fatal(err)
	}
	return j
}
