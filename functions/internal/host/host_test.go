package host_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/functions/internal/host"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

func TestAChangeArrivesAsAStreamRecord(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 10, 123_000_000, time.UTC)
	feed := newFeed(job.Written{Seq: 7, At: at, Old: []byte(`{"id":"42","n":1}`),
		New: []byte(`{"id":"42","n":12345678901234567890.10,"b":true,"z":null,"l":["x",{"y":""}]}`)})
	var got events.DynamoDBEvent
	run(t, &host.Host{Feed: feed, Dispatch: dispatcher(func(e events.DynamoDBEvent) string {
		got = e
		return ""
	})})
	r := got.Records[0]
	if r.EventName != "MODIFY" || r.Change.SequenceNumber != "7" || !r.Change.ApproximateCreationDateTime.Equal(at) {
		t.Errorf("record %+v", r)
	}
	image, err := json.Marshal(r.Change.NewImage)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"b":{"BOOL":true},"id":{"S":"42"},"l":{"L":[{"S":"x"},{"M":{"y":{"S":""}}}]},"n":{"N":"12345678901234567890.10"},"z":{"NULL":true}}`
	if diff := cmp.Diff(string(image), want); diff != "" {
		t.Errorf("new image (-got +want):\n%s", diff)
	}
}

func TestAFailedChangeComesAgainWithAllThatFollowAndNoneBefore(t *testing.T) {
	feed := newFeed(written(1), written(2), written(3))
	var batches []string
	failed := false
	run(t, &host.Host{Feed: feed, Dispatch: dispatcher(func(e events.DynamoDBEvent) string {
		batch := ""
		for _, r := range e.Records {
			batch += r.Change.SequenceNumber
		}
		batches = append(batches, batch)
		if failed {
			return ""
		}
		failed = true
		return "2"
	})})
	if diff := cmp.Diff(batches, []string{"123", "23"}); diff != "" {
		t.Errorf("batches (-got +want):\n%s", diff)
	}
	if feed.dispatched != 3 {
		t.Errorf("dispatched up to %d, want 3", feed.dispatched)
	}
}

func TestAPanickingDispatchIsTriedAgain(t *testing.T) {
	feed := newFeed(written(1))
	calls := 0
	run(t, &host.Host{Feed: feed, Dispatch: dispatcher(func(events.DynamoDBEvent) string {
		if calls++; calls == 1 {
			panic("boom")
		}
		return ""
	})})
	if calls != 2 || feed.dispatched != 1 {
		t.Errorf("%d calls, dispatched up to %d; want 2 and 1", calls, feed.dispatched)
	}
}

func TestOnlyWhatWasNotReportedIsDeleted(t *testing.T) {
	queue := newQueue("a", "b", "c")
	run(t, &host.Host{Lanes: []host.Lane{{Name: "first", Queue: queue, Handler: deliverer(func(_ context.Context, e events.SQSEvent) events.SQSEventResponse {
		if got := e.Records[0].Attributes["MessageGroupId"]; got != "acme" {
			t.Errorf("message group %q, want acme", got)
		}
		return events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{{ItemIdentifier: "b"}}}
	})}}})
	if diff := cmp.Diff(queue.deleted, []string{"receipt-a", "receipt-c"}); diff != "" {
		t.Errorf("deleted (-got +want):\n%s", diff)
	}
}

func TestAHangingBatchDoesNotHoldBackTheNext(t *testing.T) {
	queue := newQueue("hangs")
	queue.more = []string{"next"}
	var handled atomic.Int32
	run(t, &host.Host{Grace: time.Second, Lanes: []host.Lane{{Name: "first", Queue: queue, Handler: deliverer(func(ctx context.Context, e events.SQSEvent) events.SQSEventResponse {
		if e.Records[0].MessageId == "hangs" {
			<-ctx.Done()
			return events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{{ItemIdentifier: "hangs"}}}
		}
		handled.Add(1)
		return events.SQSEventResponse{}
	})}}})
	if handled.Load() != 1 {
		t.Error("the second batch waited for the first")
	}
	if diff := cmp.Diff(queue.deleted, []string{"receipt-next"}); diff != "" {
		t.Errorf("deleted (-got +want):\n%s", diff)
	}
}

func TestAStopWaitsForAttemptsUnderWay(t *testing.T) {
	queue := newQueue("slow")
	finished := false
	run(t, &host.Host{Grace: 10 * time.Minute, Lanes: []host.Lane{{Name: "first", Queue: queue, Handler: deliverer(func(ctx context.Context, _ events.SQSEvent) events.SQSEventResponse {
		select {
		case <-time.After(9 * time.Minute): // the host is stopped after one
			finished = true
		case <-ctx.Done():
		}
		return events.SQSEventResponse{}
	})}}})
	if !finished {
		t.Error("the attempt was cut off within the grace")
	}
}

// run runs the host for a minute of the bubble's time.
func run(t *testing.T, h *host.Host) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		if h.Feed == nil {
			h.Feed = newFeed()
		}
		if f, ok := h.Feed.(*feed); ok {
			f.ready = make(chan struct{}, 1)
		}
		h.Sweep, h.SweepEvery, h.Log = sweeper{}, time.Minute, slog.New(slog.DiscardHandler)
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		h.Run(ctx)
	})
}

type dispatcher func(events.DynamoDBEvent) (failedFrom string)

func (d dispatcher) Handle(_ context.Context, e events.DynamoDBEvent) (r events.DynamoDBEventResponse, _ error) {
	if from := d(e); from != "" {
		r.BatchItemFailures = []events.DynamoDBBatchItemFailure{{ItemIdentifier: from}}
	}
	return r, nil
}

type deliverer func(context.Context, events.SQSEvent) events.SQSEventResponse

func (d deliverer) Handle(ctx context.Context, e events.SQSEvent) (events.SQSEventResponse, error) {
	return d(ctx, e), nil
}

type sweeper struct{}

func (sweeper) Handle(context.Context, events.EventBridgeEvent) error { return nil }

// feed is a change feed of fixed changes.
type feed struct {
	changes    []job.Written
	ready      chan struct{}
	dispatched int
}

func newFeed(changes ...job.Written) *feed { return &feed{changes: changes} }

func written(seq int) job.Written {
	return job.Written{Seq: seq, New: fmt.Appendf(nil, `{"id":"%d"}`, seq)}
}

func (f *feed) Changes(_ context.Context, after, limit int) (list []job.Written, _ error) {
	for _, c := range f.changes {
		if c.Seq > after && len(list) < limit {
			list = append(list, c)
		}
	}
	return list, nil
}

func (f *feed) ChangesReady() <-chan struct{} { return f.ready }

func (f *feed) Dispatched(seq int) { f.dispatched = seq }

// queue is a queue that gives each message once: first ids together, then more.
type queue struct {
	mu      sync.Mutex
	ids     []string
	more    []string
	deleted []string

	oneByOne bool // gives one message after the other, for ever
	given    int
}

func newQueue(ids ...string) *queue { return &queue{ids: ids} }

func (q *queue) Receive(ctx context.Context, _ int, wait time.Duration) (list []webhook.Message) {
	q.mu.Lock()
	ids := q.ids
	q.ids, q.more = q.more, nil
	if q.oneByOne {
		q.given++
		ids = []string{fmt.Sprint(q.given)}
	}
	q.mu.Unlock()
	for _, id := range ids {
		list = append(list, webhook.Message{ID: id, Receipt: "receipt-" + id, Group: "acme", Body: "{}", Receives: 1})
	}
	if len(list) == 0 {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
	return list
}

func (q *queue) Delete(_ context.Context, receipts []string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.deleted = append(q.deleted, receipts...)
	return nil
}

func TestBatchesAreSmallWhenHalfOfThePlacesAreTaken(t *testing.T) {
	q := &endless{}
	var mu sync.Mutex
	var sizes []int
	run(t, &host.Host{MaxBatches: 2, Lanes: []host.Lane{{Name: "first", Queue: q, Handler: deliverer(func(ctx context.Context, e events.SQSEvent) events.SQSEventResponse {
		mu.Lock()
		sizes = append(sizes, len(e.Records))
		mu.Unlock()
		<-ctx.Done()
		return events.SQSEventResponse{}
	})}}})
	slices.Sort(sizes)
	if diff := cmp.Diff(sizes, []int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 10}); diff != "" {
		t.Errorf("sizes of the batches (-got +want):\n%s", diff)
	}
}

// endless is a queue that always has as many messages as are asked for.
type endless struct{ given int }

func (q *endless) Receive(_ context.Context, most int, _ time.Duration) (list []webhook.Message) {
	for range most {
		q.given++
		list = append(list, webhook.Message{ID: fmt.Sprint(q.given), Receipt: fmt.Sprint(q.given)})
	}
	return list
}

func (q *endless) Delete(context.Context, []string) error { return nil }

func TestSmallBatchesHaveAsManyMessagesInFlightAsFullOnes(t *testing.T) {
	queue := newQueue("first")
	queue.oneByOne = true
	var inFlight, most atomic.Int32
	run(t, &host.Host{MaxBatches: 2, Lanes: []host.Lane{{Name: "first", Queue: queue, MaxMessages: 3, Handler: deliverer(func(ctx context.Context, _ events.SQSEvent) events.SQSEventResponse {
		most.Store(max(most.Load(), inFlight.Add(1)))
		<-ctx.Done()
		return events.SQSEventResponse{}
	})}}})
	if got := most.Load(); got != 6 {
		t.Errorf("%d messages were in flight at once, want 2 batches of 3", got)
	}
}
