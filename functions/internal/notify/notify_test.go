package notify_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/functions/internal/notify"
	"github.com/jobhook/jobhook/functions/internal/worldtest"
	"github.com/jobhook/jobhook/shared/format"
	"github.com/jobhook/jobhook/shared/sqlite"
	"github.com/jobhook/jobhook/shared/webhook"
)

func TestWhoHearsOfAnEndpoint(t *testing.T) {
	failing, recovered := webhook.EndpointFailingEvent, webhook.EndpointRecoveredEvent
	for _, tt := range []struct {
		name     string
		notice   webhook.EventType
		about    string
		operator string
		want     []string
	}{
		{"the account's others that ask for it by name", failing, "ep_standard", "", []string{"acme ep_all", "acme ep_failing"}},
		{"not the one that fails", failing, "ep_all", "", []string{"acme ep_failing"}},
		{"the one that recovered itself", recovered, "ep_all", "", []string{"acme ep_all"}},
		{"the operator's too", failing, "ep_standard", "operator", []string{"acme ep_all", "acme ep_failing", "operator ep_watch"}},
		{"who is the operator hears of his own once", failing, "ep_standard", "acme", []string{"acme ep_all", "acme ep_failing"}},
		{"an operator's account that is not there", failing, "ep_standard", "nobody", []string{"acme ep_all", "acme ep_failing"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.listens(t, "acme", "ep_all", webhook.OfEndpoints()...)
			w.listens(t, "acme", "ep_failing", failing, webhook.JobFinished)
			w.listens(t, "acme", "ep_jobs", webhook.OfJobs()...)
			w.listens(t, "acme", "ep_everything")
			w.listens(t, "other", "ep_other", webhook.OfEndpoints()...)
			w.listens(t, "operator", "ep_watch", webhook.OfEndpoints()...)
			teller := w.teller()
			teller.Operator = tt.operator
			if err := teller.Tell(t.Context(), w.notice(tt.notice, tt.about)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(w.told(t), tt.want); diff != "" {
				t.Errorf("told (-got +want):\n%s", diff)
			}
			if len(w.queue.rung) != len(tt.want) {
				t.Errorf("rung %d times, want %d", len(w.queue.rung), len(tt.want))
			}
		})
	}
}

func TestANoticeThatIsToldTwiceIsOneWebhook(t *testing.T) {
	w := newWorld(t)
	w.listens(t, "acme", "ep_all", webhook.OfEndpoints()...)
	for range 2 {
		if err := w.teller().Tell(t.Context(), w.notice(webhook.EndpointFailingEvent, "ep_standard")); err != nil {
			t.Fatal(err)
		}
		w.now = w.now.Add(time.Minute)
	}
	if diff := cmp.Diff(w.told(t), []string{"acme ep_all"}); diff != "" {
		t.Errorf("told (-got +want):\n%s", diff)
	}
}

func TestATopicThatHangsKeepsOthersWaitingForSecondsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.listens(t, "acme", "ep_all", webhook.OfEndpoints()...)
		teller, began := w.teller(), time.Now()
		teller.Topic = hanging{}
		err := teller.Tell(t.Context(), w.notice(webhook.EndpointFailingEvent, "ep_standard"))
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 5*time.Second {
			t.Errorf("got %v after %s, want it to give up", err, time.Since(began))
		}
		if diff := cmp.Diff(w.told(t), []string{"acme ep_all"}); diff != "" {
			t.Errorf("told (-got +want):\n%s", diff)
		}
	})
}

type hanging struct{}

func (hanging) Publish(ctx context.Context, _ webhook.Notice) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestANoticeIsSentInTheStandardFormatWhateverTheEndpointsIs(t *testing.T) {
	w := newWorld(t)
	w.listens(t, "acme", "ep_all", webhook.OfEndpoints()...)
	_, err := w.store.UpdateEndpoint(t.Context(), "acme", "ep_all", func(e webhook.Endpoint) (webhook.Endpoint, error) {
		e.Format = format.SerpWow
		e.Policy.RetrySeconds = &[]int{60}
		return e, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.teller().Tell(t.Context(), w.notice(webhook.EndpointFailingEvent, "ep_standard")); err != nil {
		t.Fatal(err)
	}
	d := w.deliveries(t, "acme")[0]
	if want := w.now.Add(time.Minute + webhook.RetryAfterGrace); d.Target.Format != format.Standard || !d.Deadline.Equal(want) {
		t.Errorf("format %s, deadline %s; want the standard one, and the deadline of the endpoint's own policy, %s", d.Target.Format, d.Deadline, want)
	}
	event, err := w.store.Event(t.Context(), "acme", d.EventID)
	if err != nil {
		t.Fatal(err)
	}
	f, _ := format.Lookup(d.Target.Format)
	body, err := f.Encode(event, "https://hooks.example.com")
	want := `{"type":"endpoint.failing","timestamp":"2026-01-01T00:01:00.000Z","data":{"account":"acme","endpoint_id":"ep_standard",` +
		`"url":"https://receiver.example/ep_standard","since":"2025-12-31T23:01:00.000Z","reason":"the receiver answered 500","disabled_at":"2026-01-02T00:01:00.000Z"}}`
	if diff := cmp.Diff(string(body.Bytes), want); err != nil || diff != "" {
		t.Errorf("%v; body (-got +want):\n%s", err, diff)
	}
}

func TestADisabledListenersDeliveryIsDeclinedWithTheReason(t *testing.T) {
	w := newWorld(t)
	w.listens(t, "acme", "ep_all", webhook.OfEndpoints()...)
	_, err := w.store.UpdateEndpoint(t.Context(), "acme", "ep_all", func(e webhook.Endpoint) (webhook.Endpoint, error) {
		e.Status, e.StatusReason = webhook.EndpointDisabled, "by hand"
		return e, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.teller().Tell(t.Context(), w.notice(webhook.EndpointFailingEvent, "ep_standard")); err != nil {
		t.Fatal(err)
	}
	if d := w.deliveries(t, "acme")[0]; d.State != webhook.StateDeclined || d.Reason != "the endpoint is disabled: by hand" || len(w.queue.rung) != 0 {
		t.Errorf("delivery is %s: %s; rung %d times", d.State, d.Reason, len(w.queue.rung))
	}
}

func TestANoticeIsKeptAsLongAsTheAccountsOtherDeliveries(t *testing.T) {
	for name, tt := range map[string]struct {
		days      int
		retention time.Duration
		want      time.Duration
	}{
		"the default":          {0, 0, 30 * 24 * time.Hour},
		"what the host says":   {0, 48 * time.Hour, 48 * time.Hour},
		"what the account may": {3, 48 * time.Hour, 72 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.listens(t, "acme", "ep_all", webhook.OfEndpoints()...)
			if err := w.store.PutAccount(t.Context(), webhook.Account{ID: "acme", Name: "Acme", Quotas: webhook.Quotas{RetentionDays: tt.days}}); err != nil {
				t.Fatal(err)
			}
			teller := w.teller()
			teller.Retention = tt.retention
			if err := teller.Tell(t.Context(), w.notice(webhook.EndpointFailingEvent, "ep_standard")); err != nil {
				t.Fatal(err)
			}
			if got := w.deliveries(t, "acme")[0].ExpiresAt.Sub(w.now); got != tt.want {
				t.Errorf("kept for %s, want %s", got, tt.want)
			}
		})
	}
}

func TestTheTopicHearsWhenTheWebhooksAreOnTheirWay(t *testing.T) {
	w := newWorld(t)
	w.listens(t, "acme", "ep_all", webhook.OfEndpoints()...)
	topic, teller := &topic{}, w.teller()
	teller.Topic = topic
	n := w.notice(webhook.EndpointFailingEvent, "ep_standard")
	w.queue.err = errors.New("throttled")
	if err := teller.Tell(t.Context(), n); !errors.Is(err, w.queue.err) || len(topic.heard) != 0 {
		t.Errorf("got %v; published %v, want nothing before the webhooks", err, topic.heard)
	}
	w.queue.err = nil
	if err := teller.Tell(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(topic.heard, []webhook.Notice{n}); diff != "" || len(w.queue.rung) != 1 {
		t.Errorf("rung %d times; published (-got +want):\n%s", len(w.queue.rung), diff)
	}
	topic.err = errors.New("denied")
	if err := teller.Tell(t.Context(), n); !errors.Is(err, topic.err) {
		t.Errorf("got %v, want the topic's error", err)
	}
}

type testWorld struct {
	now   time.Time
	store *sqlite.Store
	queue *bells
}

func newWorld(t *testing.T) *testWorld {
	t.Helper()
	return &testWorld{now: worldtest.Start(), store: worldtest.Open(t), queue: &bells{}}
}

func (w *testWorld) teller() *notify.Teller {
	return &notify.Teller{Store: w.store, Queue: w.queue, Now: func() time.Time { return w.now }}
}

// listens adds an endpoint that subscribes to these types.
func (w *testWorld) listens(t *testing.T, account, id string, types ...webhook.EventType) {
	t.Helper()
	err := w.store.PutEndpoint(t.Context(), webhook.Endpoint{
		ID: id, Account: account, URL: "https://receiver.example/" + id, Format: format.Standard, Types: types,
		Status: webhook.EndpointEnabled, CreatedAt: w.now, UpdatedAt: w.now,
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (w *testWorld) notice(t webhook.EventType, endpoint string) webhook.Notice {
	at := worldtest.Start()
	return webhook.Notice{
		Type: t, Account: "acme", Endpoint: endpoint, URL: "https://receiver.example/" + endpoint,
		At: at, Since: at.Add(-time.Hour), Reason: "the receiver answered 500", DisabledAt: at.Add(24 * time.Hour),
	}
}

// told returns whom webhooks are for.
func (w *testWorld) told(t *testing.T) (list []string) {
	t.Helper()
	for _, account := range []string{"acme", "other", "operator"} {
		for _, d := range w.deliveries(t, account) {
			list = append(list, account+" "+d.Target.Endpoint)
		}
	}
	slices.Sort(list)
	return list
}

func (w *testWorld) deliveries(t *testing.T, account string) []webhook.Delivery {
	t.Helper()
	list, _, err := w.store.Deliveries(t.Context(), webhook.Filter{Account: account, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	return list
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

// topic remembers what was published.
type topic struct {
	heard []webhook.Notice
	err   error
}

func (t *topic) Publish(_ context.Context, n webhook.Notice) error {
	if t.err != nil {
		return t.err
	}
	t.heard = append(t.heard, n)
	return nil
}
