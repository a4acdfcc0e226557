package deliver_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/shared/webhook"
)

// The trace of the fixture dispatch-traced, whose job is 46.
const (
	tracedJob   = "46"
	traceID     = "4bf92f3577b34da6a3ce929d0e0e4736"
	traceparent = "00-" + traceID + "-00f067aa0ba902b7-01"
	tracestate  = "platform=t61rcWkgMzE"
)

func TestTheTraceOfAJobIsCarriedToEveryReceiver(t *testing.T) {
	w := newWorld(t)
	traced := w.deliveriesOf(t, tracedJob)
	w.handle(t, w.handler(w.retry), batchOf(traced...))
	if len(traced) != 2 || len(w.sender.sent) != 2 {
		t.Fatalf("%d deliveries, %d requests; want 2 of each, in two formats", len(traced), len(w.sender.sent))
	}
	for _, r := range w.sender.sent {
		got := []string{r.Header.Get("traceparent"), r.Header.Get("tracestate")}
		if diff := cmp.Diff(got, []string{traceparent, tracestate}); diff != "" {
			t.Errorf("%s: trace (-got +want):\n%s", r.URL, diff)
		}
		if bytes.Contains(r.Body, []byte("jobhook_rev")) || bytes.Contains(r.Body, []byte(traceID)) {
			t.Errorf("%s: the body holds what is not for the receiver: %s", r.URL, r.Body)
		}
	}
}

func TestWhatIsNoTraceIsNotSent(t *testing.T) {
	w := newWorld(t)
	w.store.load = func(works []webhook.Work) {
		works[0].Event.Record = bytes.Replace(works[0].Event.Record, []byte(traceparent), []byte("00-not-a-trace"), 1)
	}
	w.handle(t, w.handler(w.retry), batchOf(append(w.deliveriesOf(t, tracedJob)[:1], socialData)...))
	if len(w.sender.sent) != 2 {
		t.Fatalf("%d requests, want 2", len(w.sender.sent))
	}
	for _, r := range w.sender.sent {
		if r.Header.Get("traceparent")+r.Header.Get("tracestate") != "" {
			t.Errorf("%s: headers %v, want no trace", r.URL, r.Header)
		}
	}
}

func TestAFailedAttemptIsLoggedWithItsTrace(t *testing.T) {
	w := newWorld(t)
	w.sender.answer = status(500)
	var out bytes.Buffer
	h := w.handler(w.retry)
	h.Log = slog.New(slog.NewJSONHandler(&out, nil))
	w.handle(t, h, batchOf(w.deliveriesOf(t, tracedJob)[0], standard))
	var traces []any
	for line := range strings.Lines(out.String()) {
		var got map[string]any
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatal(err)
		}
		if trace, ok := got["trace_id"]; ok && got["msg"] == "delivery.attempted" {
			traces = append(traces, trace)
		}
	}
	if diff := cmp.Diff(traces, []any{traceID}); diff != "" {
		t.Errorf("trace ids in\n%s(-got +want):\n%s", out.String(), diff)
	}
}

func TestLogsHoldNoSecretNoBodyAndNoURL(t *testing.T) {
	faults := map[string]func(w *testWorld){
		"a refused attempt": func(w *testWorld) {
			w.sender.answer = func(webhook.Request) webhook.Result {
				return webhook.Result{Status: 500, Body: []byte("planted-in-the-answer")}
			}
		},
		"a failed attempt": func(w *testWorld) {
			w.sender.answer = func(r webhook.Request) webhook.Result {
				return webhook.Result{Failure: webhook.FailureConnect, Code: "ECONNREFUSED", Detail: "planted-in-the-detail of " + r.URL}
			}
		},
		"an endpoint that is gone": func(w *testWorld) { w.sender.answer = status(410) },
		"a store that fails":       func(w *testWorld) { w.store.recordErr = errors.New("throttled") },
		"a retry queue that fails": func(w *testWorld) {
			w.sender.answer = status(500)
			w.retry.err = errors.New("throttled")
		},
		"a want of sockets": func(w *testWorld) {
			w.sender.answer = func(webhook.Request) webhook.Result {
				return webhook.Result{Failure: webhook.FailureOurs, Code: "EMFILE"}
			}
		},
		"a URL that cannot be called": func(w *testWorld) {
			w.store.load = func(works []webhook.Work) {
				works[0].Endpoint.URL = "https://receiver.example/%zz?token=planted-in-the-url"
			}
			w.sender.answer = func(webhook.Request) webhook.Result { return webhook.Result{Failure: webhook.FailureUnsendable} }
		},
		"a secret that cannot sign": func(w *testWorld) {
			w.store.load = func(works []webhook.Work) { works[0].Secrets = []webhook.Secret{"whsec_planted-in-the-secret"} }
		},
		"a record that cannot be encoded": func(w *testWorld) {
			w.store.load = func(works []webhook.Work) {
				works[0].Event.Record = []byte(`{"id":"42","kind":"async","account":"acme","status":"planted-in-the-record"}`)
			}
		},
	}
	for name, plant := range faults {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.setURL(t, "ep_standard", "https://receiver.example/standard?token=planted-in-the-url")
			plant(w)
			var log bytes.Buffer
			h := w.handler(w.retry)
			h.Log = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			w.handle(t, h, batch(standard, 1))
			if log.Len() == 0 {
				t.Fatal("nothing was logged")
			}
			for _, planted := range []string{"planted-in", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "receiver.example", "job_id"} {
				if strings.Contains(log.String(), planted) {
					t.Errorf("the log holds %q:\n%s", planted, log.String())
				}
			}
		})
	}
}

func (w *testWorld) setURL(t *testing.T, endpoint, url string) {
	t.Helper()
	_, err := w.store.UpdateEndpoint(t.Context(), "acme", endpoint, func(e webhook.Endpoint) (webhook.Endpoint, error) {
		e.URL = url
		return e, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// deliveriesOf returns the ids of a job's deliveries that are queued.
func (w *testWorld) deliveriesOf(t *testing.T, job string) (ids []string) {
	t.Helper()
	list, _, err := w.store.Deliveries(t.Context(), webhook.Filter{Account: "acme", JobID: job, State: webhook.StateQueued, Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list {
		ids = append(ids, d.ID)
	}
	return ids
}
