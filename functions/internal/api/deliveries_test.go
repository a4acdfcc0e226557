package api_test

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// traceparent is the trace of the jobs that are planted.
const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// plant stores an event of a new job of the account with one delivery, which
// change may change first.
func (s *site) plant(t testing.TB, account string, change func(*webhook.Delivery)) webhook.Delivery {
	t.Helper()
	s.clock.move(time.Second)
	now := s.clock.now()
	id := fmt.Sprintf("job-%d", now.Unix())
	record := fmt.Sprintf(`{"account":%q,"kind":"async","id":%q,"status":"success","run":1,"created_at":%q,"n":1.10,"traceparent":%q}`,
		account, id, now.Format(time.RFC3339), traceparent)
	j, err := job.Decode([]byte(record))
	if err != nil {
		t.Fatal(err)
	}
	e := webhook.Event{ID: webhook.EventID(j, webhook.JobFinished, "1"), Type: webhook.JobFinished, Account: account,
		Kind: j.Kind, JobID: id, Run: 1, At: now, Level: job.LevelInfo, Sequence: "1", Record: j.Record}
	d := webhook.Delivery{Account: account, EventID: e.ID, EventType: e.Type, Kind: e.Kind, JobID: id, Run: 1, Sequence: "1",
		Target: webhook.Target{URL: "https://receiver.example/hook", Format: "standard"},
		State:  webhook.StateDelivered, Generation: 1, Attempts: 1, LastStatus: 200,
		CreatedAt: now, UpdatedAt: now, DeliveredAt: now, ExpiresAt: now.Add(24 * time.Hour)}
	change(&d)
	d.ID = webhook.DeliveryID(e.ID, d.Target)
	if _, err := s.store.Put(t.Context(), []webhook.Planned{{Event: e, Deliveries: []webhook.Delivery{d}}}); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestADeliveryShowsItsAttempts(t *testing.T) {
	s := newSite(t)
	d := s.plant(t, "acme", func(d *webhook.Delivery) { d.State, d.Attempts = webhook.StateQueued, 0 })
	next := d
	next.State, next.Attempts, next.LastStatus = webhook.StateWaiting, 1, 503
	next.NextAt = s.clock.now().Add(time.Minute)
	for i, r := range []webhook.Result{
		{Status: 503, RetryAfter: 90 * time.Second, Header: http.Header{"X-Why": {"busy"}}, Body: []byte("try <later>")},
		{Status: 500, Body: []byte{0xff, 0xfe}},
		{Failure: webhook.FailureConnect, Code: "ECONNREFUSED", Detail: "refused"},
	} {
		a := webhook.Attempt{Account: "acme", Delivery: d.ID, Generation: 1, At: s.clock.now().Add(time.Duration(i) * time.Second),
			URL: d.Target.URL, Result: r, Timing: webhook.Timing{DNS: 1500 * time.Microsecond, Total: 20 * time.Millisecond},
			State: webhook.StateWaiting, Reason: "because", Late: i == 2}
		if err := s.store.Record(t.Context(), d, next, &a); err != nil && !errors.Is(err, webhook.ErrStale) {
			t.Fatal(err)
		}
	}
	got := s.must(t, 200, s.acme, "GET", "/v1/deliveries/"+d.ID, "")
	if got["state"] != "waiting" || got["next_attempt_at"] != stampOf(next.NextAt) || got["event"].(map[string]any)["type"] != "job.finished" {
		t.Errorf("delivery: %v", got)
	}
	attempts := got["attempts"].([]any)
	if len(attempts) != 3 {
		t.Fatalf("%d attempts, want 3: %v", len(attempts), attempts)
	}
	first := attempts[0].(map[string]any)
	want := map[string]any{"headers": map[string]any{"X-Why": []any{"busy"}}, "body": "try <later>"}
	if diff := cmp.Diff(first["response"], any(want)); diff != "" {
		t.Errorf("response (-got +want):\n%s", diff)
	}
	timing := first["timing_ms"].(map[string]any)
	if fmt.Sprintf("%v %v %v", first["retry_after_seconds"], timing["dns"], timing["total"]) != "90 1.5 20" {
		t.Errorf("first attempt: %v", first)
	}
	if got := attempts[1].(map[string]any)["response"].(map[string]any)["body_base64"]; got != "//4=" {
		t.Errorf("a body that is no text: got %v", got)
	}
	third := attempts[2].(map[string]any)
	if third["failure"] != "connect" || third["code"] != "ECONNREFUSED" || third["late"] != true || third["response"] != nil {
		t.Errorf("third attempt: %v", third)
	}
}

func stampOf(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func TestDeliveriesArePagedNewestJobFirst(t *testing.T) {
	s := newSite(t)
	var want []string
	for range 5 {
		d := s.plant(t, "acme", func(*webhook.Delivery) {})
		want = append([]string{d.ID}, want...)
	}
	s.plant(t, "other", func(*webhook.Delivery) {})
	var got []string
	for after := ""; ; {
		page := s.must(t, 200, s.platform, "GET", "/v1/deliveries?account=acme&limit=2&after="+after, "")
		for _, item := range page["items"].([]any) {
			got = append(got, item.(map[string]any)["id"].(string))
		}
		next, more := page["next"].(string)
		if !more {
			break
		}
		after = next
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("ids (-got +want):\n%s", diff)
	}
	dead := s.plant(t, "acme", func(d *webhook.Delivery) { d.State, d.Reason = webhook.StateDead, "410" })
	for _, filter := range []string{"state=dead", "job=" + dead.JobID} {
		page := s.must(t, 200, s.acme, "GET", "/v1/deliveries?"+filter, "")
		if items := page["items"].([]any); len(items) != 1 || items[0].(map[string]any)["id"] != dead.ID {
			t.Errorf("%s: got %v", filter, items)
		}
	}
}

func TestAResendOpensAGenerationAndRings(t *testing.T) {
	s := newSite(t)
	d := s.plant(t, "acme", func(*webhook.Delivery) {})
	got := s.must(t, 202, s.acme, "POST", "/v1/deliveries/"+d.ID+":resend", "")
	if fmt.Sprintf("%v %v %v", got["state"], got["generation"], got["attempt_count"]) != "queued 2 0" || got["delivered_at"] == nil {
		t.Errorf("got %v", got)
	}
	want := []webhook.Doorbell{{Account: "acme", Delivery: d.ID, Generation: 2}}
	if diff := cmp.Diff(s.bells.rung, want); diff != "" {
		t.Errorf("doorbells (-got +want):\n%s", diff)
	}
	again := s.do(s.acme, "POST", "/v1/deliveries/"+d.ID+":resend", "")
	if p := again.problem(t); again.status != 409 || p.Type != "/problems/in-flight" {
		t.Errorf("while it is queued: got %d %s", again.status, p.Type)
	}
}

func TestAResendWhoseRingFailsStandsInTheDueIndex(t *testing.T) {
	s := newSite(t)
	s.bells.err = errors.New("queue down")
	d := s.plant(t, "acme", func(*webhook.Delivery) {})
	s.must(t, 202, s.platform, "POST", "/v1/deliveries/"+d.ID+":resend?account=acme", "")
	row, err := s.store.Delivery(t.Context(), d.Ref())
	if err != nil || row.DueAt.IsZero() {
		t.Errorf("due at %v, %v: want a time", row.DueAt, err)
	}
}

func TestWhatCannotBeSentIsNotResent(t *testing.T) {
	s := newSite(t)
	declined := func(target webhook.Target) func(*webhook.Delivery) {
		return func(d *webhook.Delivery) {
			d.State, d.Reason, d.Target, d.DeliveredAt = webhook.StateDeclined, "no target: nobody asked", target, time.Time{}
		}
	}
	for _, tt := range []struct {
		name   string
		change func(*webhook.Delivery)
		code   string
	}{
		{"without a target", declined(webhook.Target{}), "no-target"},
		{"to a deleted endpoint", declined(webhook.Target{Endpoint: "ep_gone", URL: "https://x.example", Format: "standard"}), "no-target"},
		{"in a format of another kind", declined(webhook.Target{URL: "https://x.example", Format: "hkube"}), "no-target"},
		{"in no format", declined(webhook.Target{Endpoint: "ep_x", URL: "https://x.example", Format: "auto"}), "no-target"},
		{"while queued", func(d *webhook.Delivery) { d.State = webhook.StateQueued }, "in-flight"},
		{"in flight", func(d *webhook.Delivery) { d.State, d.LeaseUntil = webhook.StateWaiting, s.clock.now().Add(time.Hour) }, "in-flight"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := s.plant(t, "acme", tt.change)
			before, _ := s.store.Delivery(t.Context(), d.Ref())
			got := s.do(s.acme, "POST", "/v1/deliveries/"+d.ID+":resend", "")
			if p := got.problem(t); got.status != 409 || p.Type != "/problems/"+tt.code {
				t.Errorf("got %d %s", got.status, got.body)
			}
			after, _ := s.store.Delivery(t.Context(), d.Ref())
			if diff := cmp.Diff(after, before); diff != "" {
				t.Errorf("the row changed (-got +want):\n%s", diff)
			}
		})
	}
	if len(s.bells.rung) != 0 {
		t.Errorf("rang %v", s.bells.rung)
	}
}

func TestAnEventKeepsTheRecordDigitForDigit(t *testing.T) {
	s := newSite(t)
	d := s.plant(t, "acme", func(*webhook.Delivery) {})
	got := s.must(t, 200, s.acme, "GET", "/v1/events/"+d.EventID, "")
	if n := got["record"].(map[string]any)["n"]; fmt.Sprint(n) != "1.10" || got["type"] != "job.finished" {
		t.Errorf("got %v", got)
	}
}
