package deliver_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/functions/internal/deliver"
	"github.com/jobhook/jobhook/functions/internal/metrics"
	"github.com/jobhook/jobhook/shared/webhook"
)

func TestNoMessagesAreNoWork(t *testing.T) {
	w := newWorld(t)
	var out bytes.Buffer
	h := w.firstHandler()
	h.Metrics = metrics.New(&out, "test", "deliver-first")
	answer, err := h.Handle(t.Context(), events.SQSEvent{})
	if err != nil || len(answer.BatchItemFailures) != 0 || out.Len() != 0 {
		t.Errorf("answer %v, %v, metrics %q; want none", answer, err, out.String())
	}
}

func TestABatchIsCountedInOneLine(t *testing.T) {
	w := newWorld(t)
	w.now = w.now.Add(time.Second)
	w.setStatus(t, "ep_default", webhook.EndpointPaused, "maintenance") // holds socialdata and webscraper
	w.sender.answer = func(r webhook.Request) webhook.Result {
		switch {
		case strings.HasSuffix(r.URL, "/standard"):
			return webhook.Result{Status: 500} // retried
		case strings.HasSuffix(r.URL, "/serpwow"):
			return webhook.Result{Failure: webhook.FailureRefusedAddress} // never
		}
		return ok
	}
	var out bytes.Buffer
	h := w.firstHandler()
	h.Metrics = metrics.New(&out, "test", "deliver-first")
	e := batchOf(standard, serpWow, hkubeResult, socialData, webScraper)
	e.Records = append(e.Records, events.SQSMessage{MessageId: "6", Body: "no doorbell"})
	w.handle(t, h, e)

	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("%s: %v", out.String(), err)
	}
	delete(line, "_aws")
	lags := line["FirstAttemptLag"].([]any)
	delete(line, "FirstAttemptLag")
	want := map[string]any{
		"stage": "test", "function": "deliver-first",
		"Messages": 6.0, "MessagesFailed": 1.0, "Delivered": 1.0, "Retried": 1.0, "Failed": 1.0, "Held": 2.0,
		"EndpointLatency": []any{1000.0, 1000.0, 1000.0},
	}
	if diff := cmp.Diff(line, want); diff != "" {
		t.Errorf("line (-got +want):\n%s", diff)
	}
	if len(lags) != 3 || lags[0].(float64) < 1000 || lags[0].(float64) > 60_000 {
		t.Errorf("first attempt lags %v, want three of less than a minute", lags)
	}
}

func TestAHeldDeliveryIsNoFirstAttemptThatLags(t *testing.T) {
	w := newWorld(t)
	w.setStatus(t, "ep_standard", webhook.EndpointPaused, "maintenance")
	w.ring(t, standard)
	w.setStatus(t, "ep_standard", webhook.EndpointEnabled, "")
	w.sweep(t)
	var out bytes.Buffer
	h := w.handler(nil)
	h.Metrics = metrics.New(&out, "test", "deliver-retry")
	w.handle(t, h, batchOf(standard))
	w.want(t, standard, webhook.StateDelivered)
	if strings.Contains(out.String(), metrics.FirstAttemptLag) || !strings.Contains(out.String(), metrics.EndpointLatency) {
		t.Errorf("line %s, want latency and no lag", out.String())
	}
}

func TestCircuitsAndWhatIsLeftToTheRetryQueueAreCounted(t *testing.T) {
	inBubble(t, func(t *testing.T, w *testWorld) {
		var out bytes.Buffer
		count := func(h *deliver.Handler) *deliver.Handler {
			out.Reset()
			h.Metrics = metrics.New(&out, "test", "deliver")
			return h
		}
		told := func(metric string) {
			t.Helper()
			if !strings.Contains(out.String(), `"`+metric+`":1`) {
				t.Errorf("line %s, want %s", out.String(), metric)
			}
		}
		w.rules.TripAfter = 1
		w.sender.answer = status(500)
		w.handle(t, count(w.handler(nil)), batchOf(standard))
		told(metrics.Tripped)
		w.now = w.now.Add(time.Minute)
		w.handle(t, count(w.handler(nil)), batchOf(standard))
		told(metrics.Probes)
		w.rules.HostAccounts = 1
		w.refuseAll()
		for range 5 {
			w.handle(t, count(w.handler(w.retry)), batchOf(serpWow))
			w.now = w.now.Add(5 * time.Minute)
		}
		told(metrics.HostsTripped)
		w.busy = &deliver.Traffic{}
		w.sender.answer, w.sender.took = nil, time.Minute
		w.now = w.now.Add(24 * time.Hour)
		w.handle(t, w.handler(nil), batchOf(hkubeResult))
		w.handle(t, count(w.handler(w.retry)), batchOf(progressOld))
		told(metrics.Diverted)
	})
}
