package sweep_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/functions/internal/notify"
	"github.com/jobhook/jobhook/shared/webhook"
)

func TestANoticeIsToldAndThenForgotten(t *testing.T) {
	w := newWorld(t)
	want := w.notice(webhook.EndpointFailingEvent)
	w.setHealth(t, webhook.Health{State: webhook.Failing}, want)
	h, told := w.handler(), &notifier{}
	h.Notices, h.Notifier = w.store, told
	for range 2 {
		w.run(t, h)
	}
	if diff := cmp.Diff(told.heard, []webhook.Notice{want}); diff != "" {
		t.Errorf("told (-got +want):\n%s", diff)
	}
}

func TestANoticeThatCannotBeToldStaysAndKeepsNobodyBack(t *testing.T) {
	for name, fault := range map[string]func(){
		"an error": nil,
		"a panic":  func() { panic("a notice that nobody thought of") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			bad := w.notice(webhook.EndpointFailingEvent)
			w.now = w.now.Add(time.Minute)
			good := w.notice(webhook.EndpointRecoveredEvent)
			w.setHealth(t, webhook.Health{}, bad, good)
			h, told := w.handler(), &notifier{fails: map[webhook.EventType]func(){bad.Type: fault}}
			h.Notices, h.Notifier = w.store, told
			if err := h.Handle(t.Context(), events.EventBridgeEvent{}); err == nil || !strings.Contains(err.Error(), "notice "+bad.ID()) {
				t.Errorf("got %v, want the notice named", err)
			}
			told.fails = nil
			w.run(t, h)
			if diff := cmp.Diff(told.heard, []webhook.Notice{good, bad}); diff != "" {
				t.Errorf("told (-got +want):\n%s", diff)
			}
		})
	}
}

func TestAccountsHaveTheirNoticesToldInTurn(t *testing.T) {
	w := newWorld(t)
	told := &notifier{}
	h := w.handler()
	h.Notices, h.Notifier = w.board(50, "acme", "zoo"), told
	w.run(t, h)
	at := slices.IndexFunc(told.heard, func(n webhook.Notice) bool { return n.Account == "zoo" })
	if len(told.heard) != 51 || at != 20 {
		t.Errorf("told %d, that of the other account after %d; want all 51, and 20 before it", len(told.heard), at)
	}
}

func TestAThousandNoticesThatCannotBeToldKeepNobodyBack(t *testing.T) {
	w := newWorld(t)
	told := &notifier{fails: map[webhook.EventType]func(){webhook.EndpointFailingEvent: nil}}
	h := w.handler()
	b := w.board(1500, "acme", "zoo")
	h.Notices, h.Notifier = b, told
	err := h.Handle(t.Context(), events.EventBridgeEvent{})
	if err == nil || len(err.Error()) > 2000 {
		t.Errorf("got %v, want a short error", err)
	}
	if len(told.heard) != 1 || told.heard[0].Account != "zoo" {
		t.Errorf("told %v, want that of the other account", told.heard)
	}
	told.fails = nil
	for range 3 {
		w.run(t, h)
	}
	if len(told.heard) != 1501 || len(b.list) != 0 {
		t.Errorf("told %d, %d are left; want all 1501", len(told.heard), len(b.list))
	}
}

func TestTheNextRunBeginsWithTheNoticesThatDidNotFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		h := w.handler()
		b := w.board(30, "acme", "zoo")
		told := &notifier{}
		told.fails = map[webhook.EventType]func(){webhook.EndpointFailingEvent: func() { time.Sleep(7 * time.Second) }}
		h.Notices, h.Notifier = b, told
		for runs := 0; len(told.heard) == 0; runs++ {
			if runs == 5 {
				t.Fatal("the notice behind those that fail was not told in 5 runs")
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			if err := h.Handle(ctx, events.EventBridgeEvent{}); err == nil {
				t.Error("notices that fail were not reported")
			}
			cancel()
		}
	})
}

// board keeps notices in memory.
type board struct{ list []webhook.Notice }

// board has some notices of one account that it fails, and a later one of another
// that it recovered.
func (w *testWorld) board(n int, first, last string) *board {
	b := &board{}
	for i := range n {
		b.list = append(b.list, webhook.Notice{Type: webhook.EndpointFailingEvent, Account: first, Endpoint: fmt.Sprintf("ep_%d", i), At: w.now})
	}
	b.list = append(b.list, webhook.Notice{Type: webhook.EndpointRecoveredEvent, Account: last, Endpoint: "ep_last", At: w.now.Add(time.Second)})
	return b
}

func (b *board) Notices(_ context.Context, limit int) ([]webhook.Notice, error) {
	return slices.Clone(b.list[:min(limit, len(b.list))]), nil
}

func (b *board) RemoveNotice(_ context.Context, id string) error {
	b.list = slices.DeleteFunc(b.list, func(n webhook.Notice) bool { return n.ID() == id })
	return nil
}

// TestANoticeIsAWebhookOnceAlthoughTheTopicFailsForAWhile goes through the store
// and all that tells of it.
func TestANoticeIsAWebhookOnceAlthoughTheTopicFailsForAWhile(t *testing.T) {
	w := newWorld(t)
	listener := webhook.Endpoint{
		ID: "ep_listener", Account: "acme", URL: "https://receiver.example/health", Format: "standard", Status: webhook.EndpointEnabled,
		Types: webhook.OfEndpoints(), CreatedAt: w.now, UpdatedAt: w.now,
	}
	if err := w.store.PutEndpoint(t.Context(), listener); err != nil {
		t.Fatal(err)
	}
	notice := w.notice(webhook.EndpointDisabledEvent)
	w.setHealth(t, webhook.Health{State: webhook.Failing}, notice)
	topic := &topic{err: errors.New("throttled")}
	var log bytes.Buffer
	h := w.handler()
	h.Log = slog.New(slog.NewJSONHandler(&log, nil))
	h.Notices, h.Notifier = w.store, &notify.Teller{Store: w.store, Queue: w.queue, Topic: topic, Now: w.clock}
	for range 2 {
		if err := h.Handle(t.Context(), events.EventBridgeEvent{}); err == nil {
			t.Error("a topic that fails was not reported")
		}
		w.now = w.now.Add(time.Minute)
	}
	topic.err = nil
	for range 2 {
		w.run(t, h)
	}
	if diff := cmp.Diff(topic.heard, []webhook.Notice{notice}); diff != "" {
		t.Errorf("published (-got +want):\n%s", diff)
	}
	list, _, err := w.store.Deliveries(t.Context(), webhook.Filter{Account: "acme", Limit: 10})
	if err != nil || len(list) != 1 || list[0].Target.Endpoint != "ep_listener" || list[0].EventType != webhook.EndpointDisabledEvent {
		t.Errorf("deliveries %+v, %v; want one to the endpoint that listens", list, err)
	}
	if strings.Contains(log.String(), "receiver.example") || strings.Count(log.String(), "notice.told") != 1 {
		t.Errorf("log %s, want one line without a URL", log.String())
	}
}

// notice is one of ep_standard.
func (w *testWorld) notice(t webhook.EventType) webhook.Notice {
	return webhook.Notice{
		Type: t, Account: "acme", Endpoint: "ep_standard", URL: "https://receiver.example/standard",
		At: w.now, Since: w.now.Add(-time.Hour), Reason: "the receiver answered 500",
	}
}

// notifier remembers what it was told.
type notifier struct {
	heard []webhook.Notice
	fails map[webhook.EventType]func() // before the error
}

func (n *notifier) Tell(_ context.Context, notice webhook.Notice) error {
	if before, ok := n.fails[notice.Type]; ok {
		if before != nil {
			before()
		}
		return errors.New("throttled")
	}
	n.heard = append(n.heard, notice)
	return nil
}

type topic struct {
	heard []webhook.Notice
	err   error
}

func (t *topic) Publish(_ context.Context, n webhook.Notice) error {
	if t.err == nil {
		t.heard = append(t.heard, n)
	}
	return t.err
}
