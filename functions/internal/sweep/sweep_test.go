package sweep_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/functions/internal/sweep"
	"github.com/jobhook/jobhook/functions/internal/worldtest"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/sqlite"
	"github.com/jobhook/jobhook/shared/webhook"
)

func TestWhatIsDueWithinTheHorizonIsRungForAtItsExactTime(t *testing.T) {
	w := newWorld(t)
	w.put(t, "past", webhook.StateWaiting, w.now.Add(-time.Hour))
	w.put(t, "soon", webhook.StateWaiting, w.now.Add(40*time.Second))
	w.put(t, "later", webhook.StateWaiting, w.now.Add(2*time.Minute))
	if err := w.invoke(t); err != nil {
		t.Fatal(err)
	}
	want := map[string]time.Duration{"past": 0, "soon": 40 * time.Second}
	if diff := cmp.Diff(w.queue.after, want); diff != "" {
		t.Errorf("rung for (-got +want):\n%s", diff)
	}
}

func TestADueDeliveryIsRungForOnceAndAgainIfItsBellWasLost(t *testing.T) {
	w := newWorld(t)
	w.put(t, "due", webhook.StateWaiting, w.now)
	for range 2 {
		if err := w.invoke(t); err != nil {
			t.Fatal(err)
		}
	}
	if w.queue.count != 1 {
		t.Errorf("rung %d times, want once", w.queue.count)
	}
	w.now = w.now.Add(10 * time.Minute)
	if err := w.invoke(t); err != nil {
		t.Fatal(err)
	}
	if w.queue.count != 2 {
		t.Errorf("rung %d times after ten minutes without an attempt, want twice", w.queue.count)
	}
}

func TestALostRingComesAgain(t *testing.T) {
	w := newWorld(t)
	w.put(t, "due", webhook.StateWaiting, w.now)
	w.queue.err = errors.New("throttled")
	if err := w.invoke(t); err == nil {
		t.Error("a failed ring was not reported")
	}
	w.queue.err = nil
	w.now = w.now.Add(10 * time.Minute)
	if err := w.invoke(t); err != nil || w.queue.count != 1 {
		t.Errorf("rung %d times, %v; want once", w.queue.count, err)
	}
}

func TestAStoppedScrapingJobIsShelvedAfterTwoWeeksWithoutANewEnd(t *testing.T) {
	w := newWorld(t)
	record := []byte(`{"account":"acme","kind":"scraping","id":"7","status":"stopped","run":1,"created_at":"2026-01-01T00:00:00.000Z"}`)
	_, _, err := w.store.WriteJob(t.Context(), "7", job.KindScraping, func(*job.Job) (job.Job, error) { return job.Decode(record) })
	if err != nil {
		t.Fatal(err)
	}
	w.now = time.Now().Add(sweep.ShelveAfter - time.Hour) // the store notes the time of a write itself
	if err := w.invoke(t); err != nil {
		t.Fatal(err)
	}
	if got := w.job(t, "7").Status; got != "stopped" {
		t.Errorf("status %s an hour before two weeks, want stopped", got)
	}
	w.now = w.now.Add(2 * time.Hour)
	if err := w.invoke(t); err != nil {
		t.Fatal(err)
	}
	if got := w.job(t, "7").Status; got != "shelved" {
		t.Errorf("status %s after two weeks, want shelved", got)
	}
	changes, err := w.store.Changes(t.Context(), 0, 10)
	if err != nil || len(changes) != 2 {
		t.Fatalf("%d changes, %v; want 2", len(changes), err)
	}
	old, next := decode(t, changes[1].Old), decode(t, changes[1].New)
	if tr, err := (job.Change{Old: &old, New: next}).Transition(); err != nil || tr.Ended {
		t.Errorf("transition %+v, %v; want no new end", tr, err)
	}
}

func TestExpiredDeliveriesAreRemovedAndTheirEventsWithThem(t *testing.T) {
	w := newWorld(t)
	d := w.put(t, "old", webhook.StateDelivered, time.Time{})
	w.now = d.ExpiresAt.Add(time.Second)
	if err := w.invoke(t); err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.Delivery(t.Context(), d.Ref()); !errors.Is(err, webhook.ErrNotFound) {
		t.Errorf("delivery: %v, want ErrNotFound", err)
	}
	if _, err := w.store.Event(t.Context(), "acme", d.EventID); !errors.Is(err, webhook.ErrNotFound) {
		t.Errorf("event: %v, want ErrNotFound", err)
	}
}

// bells remembers what was rung for, and after how long.
type bells struct {
	lock  sync.Mutex
	after map[string]time.Duration
	rung  []webhook.Doorbell
	count int
	err   error
}

func (b *bells) Ring(_ context.Context, list []webhook.Doorbell) error {
	b.lock.Lock()
	defer b.lock.Unlock()
	if b.err != nil {
		return b.err
	}
	for _, bell := range list {
		b.after[bell.Delivery] = bell.After
		b.count++
	}
	b.rung = append(b.rung, list...)
	return nil
}

type testWorld struct {
	now   time.Time
	store *sqlite.Store
	queue *bells
}

func newWorld(t *testing.T) *testWorld {
	t.Helper()
	store := worldtest.Open(t)
	w := &testWorld{now: worldtest.Start(), store: store, queue: &bells{after: map[string]time.Duration{}}}
	return w
}

func (w *testWorld) clock() time.Time { return w.now }

func (w *testWorld) invoke(t *testing.T) error {
	t.Helper()
	_, err := lambda.NewHandler(w.handler().Handle).Invoke(t.Context(), worldtest.Payload(t, "sweep-tick"))
	return err
}

func (w *testWorld) handler() *sweep.Handler {
	return &sweep.Handler{Store: w.store, Queue: w.queue, Horizon: time.Minute, Now: w.clock, Log: slog.New(slog.DiscardHandler)}
}

// put stores a delivery to ep_standard as it stands.
func (w *testWorld) put(t *testing.T, id string, s webhook.State, dueAt time.Time) webhook.Delivery {
	t.Helper()
	d := webhook.Delivery{
		ID: id, Account: "acme", EventID: "evt_" + id, EventType: webhook.JobFinished, Kind: job.KindAsync, JobID: id, Run: 1,
		Target: webhook.Target{Endpoint: "ep_standard", URL: "https://receiver.example/standard", Format: "standard"},
		State:  s, Generation: 1, Attempts: 1, NextAt: dueAt, DueAt: dueAt,
		CreatedAt: w.now, UpdatedAt: w.now, ExpiresAt: w.now.Add(30 * 24 * time.Hour),
	}
	event := webhook.Event{ID: d.EventID, Type: d.EventType, Account: "acme", Kind: d.Kind, JobID: id, Run: 1, At: w.now}
	if _, err := w.store.Put(t.Context(), []webhook.Planned{{Event: event, Deliveries: []webhook.Delivery{d}}}); err != nil {
		t.Fatal(err)
	}
	return d
}

func (w *testWorld) setStatus(t *testing.T, s webhook.EndpointStatus) {
	t.Helper()
	_, err := w.store.UpdateEndpoint(t.Context(), "acme", "ep_standard", func(e webhook.Endpoint) (webhook.Endpoint, error) {
		e.Status = s
		return e, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (w *testWorld) job(t *testing.T, id string) job.Job {
	t.Helper()
	list, err := w.store.JobsByID(t.Context(), id)
	if err != nil || len(list) != 1 {
		t.Fatalf("%d jobs %s, %v; want 1", len(list), id, err)
	}
	return list[0]
}

func decode(t *testing.T, record []byte) job.Job {
	t.Helper()
	j, err := job.Decode(record)
	if err != nil {
		t.Fatal(err)
	}
	return j
}
