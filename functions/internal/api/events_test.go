package api_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// ids are the ids of a list, page by page.
func (s *site) ids(t testing.TB, key, target string) []string {
	t.Helper()
	list := []string{}
	for after := ""; ; {
		page := s.must(t, 200, key, "GET", target+after, "")
		for _, item := range page["items"].([]any) {
			list = append(list, item.(map[string]any)["id"].(string))
		}
		next, more := page["next"].(string)
		if !more {
			return list
		}
		after = "&after=" + next
	}
}

func TestDeliveriesAreFiltered(t *testing.T) {
	s := newSite(t)
	d := map[string]webhook.Delivery{}
	plant := func(name string, change func(*webhook.Delivery)) { d[name] = s.plant(t, "acme", change) }
	plant("ok", func(d *webhook.Delivery) { d.LastStatus = 204 })
	plant("endpoint", func(d *webhook.Delivery) { d.Target.Endpoint, d.LastStatus = "ep_1", 302 })
	plant("refused", func(d *webhook.Delivery) { d.State, d.Reason, d.LastStatus = webhook.StateDead, "no", 404 })
	plant("unanswered", func(d *webhook.Delivery) {
		d.State, d.LastStatus, d.LastFailure = webhook.StateWaiting, 0, "timeout"
	})
	plant("untried", func(d *webhook.Delivery) {
		d.State, d.LastStatus, d.Attempts, d.EventType = webhook.StateQueued, 0, 0, webhook.JobFailed
	})
	for filter, want := range map[string][]string{
		"":                         {"untried", "unanswered", "refused", "endpoint", "ok"},
		"state=dead":               {"refused"},
		"endpoint=ep_1":            {"endpoint"},
		"endpoint=ep_2":            {},
		"job=" + d["ok"].JobID:     {"ok"},
		"event=" + d["ok"].EventID: {"ok"},
		"type=job.failed":          {"untried"},
		"status_class=2xx":         {"ok"},
		"status_class=3xx":         {"endpoint"},
		"status_class=4xx":         {"refused"},
		"status_class=5xx":         {},
		"status_class=no_answer":   {"unanswered"},
		"status_class=no_attempt":  {"untried"},
		"since=" + stampOf(d["refused"].CreatedAt):                                                {"untried", "unanswered", "refused"},
		"until=" + stampOf(d["refused"].CreatedAt):                                                {"endpoint", "ok"},
		"since=" + stampOf(d["endpoint"].CreatedAt) + "&until=" + stampOf(d["refused"].CreatedAt): {"endpoint"},
		"state=dead&status_class=4xx&type=job.finished&since=" + stampOf(d["refused"].CreatedAt):  {"refused"},
		"state=delivered&status_class=4xx":                                                        {},
	} {
		ids := []string{}
		for _, name := range want {
			ids = append(ids, d[name].ID)
		}
		for _, limit := range []string{"limit=1", "limit=3", "limit=250"} {
			if diff := cmp.Diff(s.ids(t, s.acme, "/v1/deliveries?"+limit+"&"+filter), ids); diff != "" {
				t.Errorf("%s, %s (-got +want):\n%s", filter, limit, diff)
			}
		}
	}
}

func TestEventsAreFiltered(t *testing.T) {
	s := newSite(t)
	var d []webhook.Delivery
	for range 5 {
		d = append(d, s.plant(t, "acme", func(*webhook.Delivery) {}))
	}
	s.plant(t, "other", func(*webhook.Delivery) {})
	for filter, want := range map[string][]string{
		"":                  {d[4].EventID, d[3].EventID, d[2].EventID, d[1].EventID, d[0].EventID},
		"job=" + d[2].JobID: {d[2].EventID},
		"kind=async&type=job.finished&until=" + stampOf(d[1].CreatedAt): {d[0].EventID},
		"since=" + stampOf(d[4].CreatedAt):                              {d[4].EventID},
		"kind=batch":                                                    {},
		"type=job.failed":                                               {},
	} {
		for _, limit := range []string{"limit=2", "limit=250"} {
			if diff := cmp.Diff(s.ids(t, s.acme, "/v1/events?"+limit+"&"+filter), want); diff != "" {
				t.Errorf("%s, %s (-got +want):\n%s", filter, limit, diff)
			}
		}
	}
	page := s.do(s.acme, "GET", "/v1/events", "")
	if strings.Contains(page.body, `"record"`) {
		t.Errorf("a list shows records: %s", page.body)
	}
}

func TestBadFiltersAreRefused(t *testing.T) {
	s := newSite(t)
	for target, field := range map[string]string{
		"/v1/deliveries?since=yesterday":                                       "since",
		"/v1/deliveries?until=2026-13-01T00:00:00Z":                            "until",
		"/v1/deliveries?since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z": "until",
		"/v1/deliveries?status_class=6xx":                                      "status_class",
		"/v1/deliveries?type=job.exploded":                                     "type",
		"/v1/deliveries?job=" + strings.Repeat("x", 257):                       "job",
		"/v1/deliveries?after=evt_" + strings.Repeat("0", 26):                  "after",
		"/v1/events?after=dlv_" + strings.Repeat("0", 36):                      "after",
		"/v1/events?after=evt_" + strings.Repeat("u", 26):                      "after",
		"/v1/events?kind=film":                                                 "kind",
		"/v1/events?since=2026-01-02T00:00:00Z&until=2026-01-02T00:00:00Z":     "until",
	} {
		got := s.do(s.acme, "GET", target, "")
		if p := got.problem(t); got.status != 422 || len(p.Errors) != 1 || p.Errors[0].Field != field {
			t.Errorf("%s: got %d %s, want 422 for %s", target, got.status, got.body, field)
		}
	}
}

func TestAnEventTellsWhyEachTargetWasToldOrNot(t *testing.T) {
	s := newSite(t)
	at := time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC)
	for _, tt := range []struct {
		name     string
		change   func(*webhook.Delivery)
		code     string
		sentence string
	}{
		{"delivered", func(d *webhook.Delivery) { d.DeliveredAt = at }, "delivered", "It was delivered at 2026-03-01T12:30:00.000Z and answered with 200."},
		{"delivered before", func(d *webhook.Delivery) {
			d.DeliveredAt, d.Reason = at, "delivered before; the resend failed (dead): 410"
		},
			"delivered", "It was delivered at 2026-03-01T12:30:00.000Z; delivered before; the resend failed (dead): 410."},
		{"queued", func(d *webhook.Delivery) { d.State = webhook.StateQueued }, "queued", "It is queued: its attempt is due and is made as soon as there is room."},
		{"waiting", func(d *webhook.Delivery) { d.State, d.NextAt, d.Reason = webhook.StateWaiting, at, "status 503" },
			"waiting", "It waits until 2026-03-01T12:30:00.000Z for its next attempt, as the last one failed: status 503."},
		{"held", reasoned(webhook.StateHeld, webhook.HoldPaused.Because("paused by its owner")), "held",
			"It is held, as the endpoint is paused: paused by its owner. It is sent when the endpoint is resumed."},
		{"held before it was said by what", reasoned(webhook.StateHeld, "the endpoint is paused: by its owner"), "held", "It is held: the endpoint is paused: by its owner."},
		{"superseded", reasoned(webhook.StateSuperseded, "a newer one is on its way"), "superseded", "It was superseded: a newer one is on its way."},
		{"exhausted", reasoned(webhook.StateExhausted, "status 500; attempt 3 of 3"), "exhausted", "All its attempts failed; the last: status 500; attempt 3 of 3."},
		{"dead", reasoned(webhook.StateDead, "status 404"), "dead", "It failed in a way that is not tried again: status 404."},
		{"expired on its way", reasoned(webhook.StateDead, "expired before it could be sent"), "expired", "It was given up: expired before it could be sent."},
		{"expired", reasoned(webhook.StateDeclined, "expired before it could be sent"), "expired", "It was declined: expired before it could be sent."},
		{"filtered", reasoned(webhook.StateDeclined, "filtered: the endpoint does not subscribe to job.finished"), "filtered",
			"It was declined: filtered: the endpoint does not subscribe to job.finished."},
		{"another kind", reasoned(webhook.StateDeclined, "the format hkube tells of pipeline jobs only"), "filtered", "It was declined: the format hkube tells of pipeline jobs only."},
		{"disabled", reasoned(webhook.StateDeclined, "the endpoint is disabled: 410"), "disabled", "It was declined: the endpoint is disabled: 410."},
		{"no target", reasoned(webhook.StateDeclined, "no target: the account has no endpoint and the job names no URL"), "no_target",
			"It was declined: no target: the account has no endpoint and the job names no URL."},
		{"over quota", reasoned(webhook.StateDeclined, "over quota: 10 a minute"), "over_quota", "It was declined: over quota: 10 a minute."},
		{"export failed", reasoned(webhook.StateDeclined, "export failed: line 3"), "export_failed", "It was declined: export failed: line 3."},
		{"for another reason", reasoned(webhook.StateDeclined, "the job record cannot be understood"), "declined", "It was declined: the job record cannot be understood."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := s.plant(t, "acme", tt.change)
			got := s.must(t, 200, s.acme, "GET", "/v1/events/"+d.EventID, "")
			targets := got["targets"].([]any)
			if len(targets) != 1 {
				t.Fatalf("targets %v, want one", targets)
			}
			target := targets[0].(map[string]any)
			if target["decision_code"] != tt.code || target["decision"] != tt.sentence || target["delivery"] != d.ID {
				t.Errorf("got %v\nwant %s: %s", target, tt.code, tt.sentence)
			}
		})
	}
}

func reasoned(state webhook.State, reason string) func(*webhook.Delivery) {
	return func(d *webhook.Delivery) { d.State, d.Reason, d.DeliveredAt = state, reason, time.Time{} }
}

func TestAnEventHasAllItsTargets(t *testing.T) {
	s := newSite(t)
	d := s.plant(t, "acme", func(d *webhook.Delivery) { d.Target.Endpoint = "ep_0" })
	e, err := s.store.Event(t.Context(), "acme", d.EventID)
	if err != nil {
		t.Fatal(err)
	}
	planned := webhook.Planned{Event: e}
	for i := range 300 { // more than a page
		more := d
		more.Target.Endpoint = fmt.Sprintf("ep_%d", i+1)
		more.ID = webhook.DeliveryID(e.ID, more.Target)
		planned.Deliveries = append(planned.Deliveries, more)
	}
	if _, err := s.store.Put(t.Context(), []webhook.Planned{planned}); err != nil {
		t.Fatal(err)
	}
	if got := s.must(t, 200, s.acme, "GET", "/v1/events/"+d.EventID, "")["targets"].([]any); len(got) != 301 {
		t.Errorf("%d targets, want 301", len(got))
	}
}

func TestRunsAreListedWithTheirEnds(t *testing.T) {
	s := newSite(t)
	s.must(t, 201, s.platform, "PUT", "/v1/jobs/1", `{"account":"acme","kind":"batch","status":"running","run":2}`)
	jobs, err := s.store.JobsByID(t.Context(), "1")
	if err != nil {
		t.Fatal(err)
	}
	ended := jobs[0]
	ended.Run = 1
	e := webhook.Event{ID: webhook.EventID(ended, webhook.JobStopped, "1"), Type: webhook.JobStopped, Account: "acme", Kind: job.KindBatch, JobID: "1", Run: 1, At: s.clock.now()}
	if _, err := s.store.Put(t.Context(), []webhook.Planned{{Event: e, Deliveries: []webhook.Delivery{{
		ID: webhook.DeliveryID(e.ID, webhook.Target{}), Account: "acme", EventID: e.ID, EventType: e.Type, Kind: e.Kind, JobID: "1", Run: 1, Generation: 1,
		State: webhook.StateDeclined, CreatedAt: s.clock.now(), UpdatedAt: s.clock.now(), ExpiresAt: s.clock.now().Add(time.Hour)}}}}); err != nil {
		t.Fatal(err)
	}
	got := s.must(t, 200, s.acme, "GET", "/v1/jobs/1/runs", "")
	want := fmt.Sprintf("[map[phase:running run:2] map[ended_at:%s event:%s outcome:stopped phase:ended run:1]]", stampOf(s.clock.now()), e.ID)
	if fmt.Sprint(got["items"]) != want || got["complete"] != true {
		t.Errorf("got %v\nwant %s", got, want)
	}
}
