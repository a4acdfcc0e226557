package sweep_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
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
	"github.com/jobhook/jobhook/functions/internal/sweep"
	"github.com/jobhook/jobhook/shared/webhook"
)

// Keys as Lambda makes them, in the order of their names.
const (
	firstKey  = "aws/lambda/0a1b2c3d/shardId-1/2026/01/01/2026-01-01T20.00.13-00000001"
	secondKey = "aws/lambda/0a1b2c3d/shardId-1/2026/01/01/2026-01-01T20.00.13-00000002"
	thirdKey  = "aws/lambda/0a1b2c3d/shardId-1/2026/01/01/2026-01-01T20.00.13-00000003"
)

func TestAFailedBatchIsDispatchedAfterAllAndRemoved(t *testing.T) {
	asObject := func(b []byte) []byte {
		var f map[string]json.RawMessage
		if err := json.Unmarshal(b, &f); err != nil {
			t.Fatal(err)
		}
		var payload string
		if err := json.Unmarshal(f["payload"], &payload); err != nil {
			t.Fatal(err)
		}
		f["payload"] = json.RawMessage(payload)
		b, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for name, form := range map[string]func([]byte) []byte{
		"payload as a string":  func(b []byte) []byte { return b },
		"payload as an object": asObject,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			bucket := &bucket{objects: map[string][]byte{firstKey: form(failedBatch(t)), "other/object": failedBatch(t)}}
			first := &bells{after: map[string]time.Duration{}}
			h := w.handler()
			h.Failures, h.Dispatch = bucket, &dispatch.Handler{Store: w.store, Queue: first, Now: w.clock, Log: slog.New(slog.DiscardHandler)}
			if line := w.measured(t, h, nil); line["Replayed"] != 1.0 || line["ReplaysFailed"] != nil {
				t.Errorf("line %v, want one batch replayed", line)
			}
			if got := slices.Collect(maps.Keys(bucket.objects)); !slices.Equal(got, []string{"other/object"}) {
				t.Errorf("objects %v are left, want the one that is not ours", got)
			}
			list, _, err := w.store.Deliveries(t.Context(), webhook.Filter{Account: "acme", JobID: "42", Limit: 10})
			if err != nil || len(list) != 2 || first.count != 2 {
				t.Errorf("%d deliveries, %d rung for, %v; want 2 of each", len(list), first.count, err)
			}
		})
	}
}

func TestABatchThatFailsAgainStaysAndHoldsNobodyBack(t *testing.T) {
	w := newWorld(t)
	bucket := &bucket{objects: map[string][]byte{firstKey: batchOf("1"), secondKey: batchOf("2"), thirdKey: batchOf("3")}}
	dispatch := &dispatcher{failing: map[string]bool{"2": true}}
	h := w.handler()
	h.Failures, h.Dispatch = bucket, dispatch
	line := w.measured(t, h, nil)
	if got := slices.Sorted(maps.Keys(bucket.objects)); !slices.Equal(got, []string{secondKey}) {
		t.Errorf("objects %v are left, want %s", got, secondKey)
	}
	if line["Replayed"] != 2.0 || line["ReplaysFailed"] != 1.0 {
		t.Errorf("counted %v replayed, %v failed; want 2 and 1", line["Replayed"], line["ReplaysFailed"])
	}
	dispatch.failing = nil
	if w.measured(t, h, nil); len(bucket.objects) != 0 {
		t.Errorf("%d objects are left after the next run, want none", len(bucket.objects))
	}
}

func TestWhatCannotBeUnderstoodStaysAndIsToldOfOnceARun(t *testing.T) {
	tests := map[string]string{
		"no JSON":               `<Error>`,
		"metadata only":         `{"DDBStreamBatchInfo":{"shardId":"1"}}`,
		"another source":        `{"requestContext":{},"payload":"{\"Records\":[]}"}`,
		"payload that is cut":   `{"DDBStreamBatchInfo":{},"payload":"{\"Records\":[{"}`,
		"payload of no records": `{"DDBStreamBatchInfo":{},"payload":"{\"Records\":[]}"}`,
		"payload that is empty": `{"DDBStreamBatchInfo":{},"payload":""}`,
		"records of a queue":    `{"DDBStreamBatchInfo":{},"payload":"{\"Records\":[{\"messageId\":\"1\"}]}"}`,
	}
	for name, object := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			bucket := &bucket{objects: map[string][]byte{firstKey: []byte(object), secondKey: batchOf("1")}}
			dispatch := &dispatcher{}
			var log bytes.Buffer
			h := w.handler()
			h.Failures, h.Dispatch, h.Log = bucket, dispatch, slog.New(slog.NewJSONHandler(&log, nil))
			line := w.measured(t, h, nil)
			if _, stays := bucket.objects[firstKey]; !stays || len(bucket.objects) != 1 {
				t.Errorf("objects %v are left, want the one that cannot be understood", slices.Collect(maps.Keys(bucket.objects)))
			}
			if strings.Count(log.String(), firstKey) != 1 || !strings.Contains(log.String(), `"level":"ERROR"`) {
				t.Errorf("log %s, want one error with the key", log.String())
			}
			if line["ReplaysFailed"] != 1.0 || line["Replayed"] != 1.0 || !slices.Equal(dispatch.handled, []string{"1"}) {
				t.Errorf("line %v, dispatched %v; want one failed, and the other dispatched", line, dispatch.handled)
			}
		})
	}
}

func TestFaultsOfTheBucketLoseNothing(t *testing.T) {
	throttled := errors.New("throttled")
	tests := []struct {
		name          string
		fault         *bucket
		failed, left  int
		wantErr, done bool
	}{
		{name: "list fails", fault: &bucket{listErr: throttled}, left: 1, wantErr: true},
		{name: "read fails", fault: &bucket{readErr: throttled}, left: 1, failed: 1},
		{name: "another run was quicker", fault: &bucket{readErr: fmt.Errorf("object: %w", webhook.ErrNotFound)}, left: 1},
		{name: "remove fails", fault: &bucket{removeErr: throttled}, left: 1, failed: 1, done: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.put(t, "due", webhook.StateWaiting, w.now)
			test.fault.objects = map[string][]byte{firstKey: batchOf("1")}
			dispatch := &dispatcher{}
			h := w.handler()
			h.Failures, h.Dispatch = test.fault, dispatch
			var err error
			line := w.measured(t, h, &err)
			if (err != nil) != test.wantErr || len(test.fault.objects) != test.left || (len(dispatch.handled) > 0) != test.done {
				t.Errorf("%v, %d objects left, dispatched %v", err, len(test.fault.objects), dispatch.handled)
			}
			if failed, _ := line["ReplaysFailed"].(float64); int(failed) != test.failed {
				t.Errorf("counted %v failed, want %d", failed, test.failed)
			}
			if w.queue.count != 1 {
				t.Error("the parked delivery was not rung for")
			}
		})
	}
}

func TestASlowBatchGivesWayToTheNextInTheNextRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		bucket := &bucket{objects: map[string][]byte{firstKey: batchOf("1"), secondKey: batchOf("2"), thirdKey: batchOf("3")}}
		dispatch := &dispatcher{hanging: "1"}
		h := w.handler()
		h.Failures, h.Dispatch = bucket, dispatch
		for range 3 { // one of three runs begins behind the slow one
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			if err := h.Handle(ctx, events.EventBridgeEvent{}); err != nil {
				t.Error(err)
			}
			if ctx.Err() != nil {
				t.Error("the invocation timed out")
			}
			cancel()
			w.now = w.now.Add(time.Minute)
		}
		if got := slices.Collect(maps.Keys(bucket.objects)); !slices.Equal(got, []string{firstKey}) {
			t.Errorf("objects %v are left, want the slow one", got)
		}
	})
}

func TestARunIsBounded(t *testing.T) {
	w := newWorld(t)
	bucket := &bucket{objects: map[string][]byte{}}
	for i := range 150 {
		bucket.objects[fmt.Sprintf("%s-%03d", firstKey, i)] = batchOf("1")
	}
	h := w.handler()
	h.Failures, h.Dispatch = bucket, &dispatcher{}
	if line := w.measured(t, h, nil); line["Replayed"] != 100.0 || len(bucket.objects) != 50 {
		t.Errorf("replayed %v, %d left; want 100 and 50", line["Replayed"], len(bucket.objects))
	}
}

// measured does one run and returns its metrics. An error fails the test,
// unless it is asked for.
func (w *testWorld) measured(t *testing.T, h *sweep.Handler, asked *error) map[string]any {
	t.Helper()
	var out bytes.Buffer
	h.Metrics = metrics.New(&out, "test", "sweep")
	err := h.Handle(t.Context(), events.EventBridgeEvent{})
	if asked != nil {
		*asked = err
	} else if err != nil {
		t.Error(err)
	}
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("%s: %v", out.String(), err)
	}
	delete(line, "_aws")
	return line
}

func TestARunIsCountedInOneLine(t *testing.T) {
	w := newWorld(t)
	if diff := cmp.Diff(w.measured(t, w.handler(), nil), map[string]any{
		"stage": "test", "function": "sweep", "DueBacklog": 0.0, "DueBacklogAge": 0.0,
	}); diff != "" {
		t.Errorf("a run without work (-got +want):\n%s", diff)
	}
	w.put(t, "past", webhook.StateWaiting, w.now.Add(-90*time.Second))
	w.put(t, "just", webhook.StateWaiting, w.now.Add(-time.Second))
	w.put(t, "soon", webhook.StateWaiting, w.now.Add(40*time.Second))
	w.setStatus(t, webhook.EndpointPaused)
	w.put(t, "held", webhook.StateHeld, time.Time{})
	w.setStatus(t, webhook.EndpointEnabled)
	if diff := cmp.Diff(w.measured(t, w.handler(), nil), map[string]any{
		"stage": "test", "function": "sweep", "Rung": 3.0, "Released": 1.0, "DueBacklog": 2.0, "DueBacklogAge": 90.0,
	}); diff != "" {
		t.Errorf("a run with work (-got +want):\n%s", diff)
	}
}

func failedBatch(t *testing.T) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/failed-batch.json")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// batchOf is a failed batch of one record.
func batchOf(sequence string) []byte {
	return fmt.Appendf(nil, `{"DDBStreamBatchInfo":{},"payload":"{\"Records\":[{\"eventName\":\"INSERT\",\"dynamodb\":{\"SequenceNumber\":\"%s\"}}]}"}`, sequence)
}

// dispatcher notes what it is given, by the sequence number of the first record.
type dispatcher struct {
	handled []string
	failing map[string]bool
	hanging string
}

// Handle fails or hangs as told.
func (d *dispatcher) Handle(ctx context.Context, e events.DynamoDBEvent) (r events.DynamoDBEventResponse, err error) {
	id := e.Records[0].Change.SequenceNumber
	if id == d.hanging {
		<-ctx.Done()
	}
	if id == d.hanging || d.failing[id] {
		r.BatchItemFailures = []events.DynamoDBBatchItemFailure{{ItemIdentifier: id}}
		return r, nil
	}
	d.handled = append(d.handled, id)
	return r, nil
}

// bucket is a small bucket with a place to put faults.
type bucket struct {
	objects                     map[string][]byte
	listErr, readErr, removeErr error
}

func (b *bucket) List(_ context.Context, limit int) ([]string, error) {
	keys := slices.Sorted(maps.Keys(b.objects))
	return keys[:min(len(keys), limit)], b.listErr
}

func (b *bucket) Read(_ context.Context, key string) ([]byte, error) {
	return b.objects[key], b.readErr
}

func (b *bucket) Remove(_ context.Context, key string) error {
	if b.removeErr == nil {
		delete(b.objects, key)
	}
	return b.removeErr
}
