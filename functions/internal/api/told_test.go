package api_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/shared/webhook"
)

// told stores what tells acme of an endpoint of its own, delivered to another.
func (s *site) told(t testing.TB, typ webhook.EventType) webhook.Delivery {
	t.Helper()
	s.clock.move(time.Second)
	_, made := s.endpoint(t, `{"url":"https://listener.example","types":["`+string(typ)+`"]}`)
	now := s.clock.now()
	e := webhook.Notice{Type: typ, Account: "acme", Endpoint: "ep_sick", URL: "https://sick.example/hook", At: now, Since: now, Reason: "the receiver answered 500"}.Event("acme")
	d := webhook.Delivery{Account: "acme", EventID: e.ID, EventType: e.Type, Generation: 1, Attempts: 1, LastStatus: 200,
		Target: webhook.Target{Endpoint: made["id"].(string), URL: "https://listener.example", Format: "standard"}, State: webhook.StateDelivered,
		CreatedAt: now, UpdatedAt: now, DeliveredAt: now, ExpiresAt: now.Add(24 * time.Hour)}
	d.ID = webhook.DeliveryID(e.ID, d.Target)
	if _, err := s.store.Put(t.Context(), []webhook.Planned{{Event: e, Deliveries: []webhook.Delivery{d}}}); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestWhatIsToldOfAnEndpointIsListedAndShownWithoutAJob(t *testing.T) {
	s := newSite(t)
	of := s.plant(t, "acme", func(*webhook.Delivery) {})
	d := s.told(t, webhook.EndpointFailingEvent)
	for target, want := range map[string][]string{
		"/v1/events?limit=1":                         {d.EventID, of.EventID},
		"/v1/events?limit=50&type=endpoint.failing":  {d.EventID},
		"/v1/events?limit=50&type=endpoint.disabled": {},
		"/v1/events?limit=50&kind=async":             {of.EventID},
		"/v1/deliveries?limit=1":                     {d.ID, of.ID},
		"/v1/deliveries?type=endpoint.failing":       {d.ID},
		"/v1/deliveries?event=" + d.EventID:          {d.ID},
		"/v1/deliveries?job=" + of.JobID:             {of.ID},
	} {
		if diff := cmp.Diff(s.ids(t, s.acme, target), want); diff != "" {
			t.Errorf("%s (-got +want):\n%s", target, diff)
		}
	}
	e := s.must(t, 200, s.acme, "GET", "/v1/events/"+d.EventID, "")
	if record := e["record"].(map[string]any); e["kind"] != "" || e["job_id"] != "" || record["endpoint_id"] != "ep_sick" || len(e["targets"].([]any)) != 1 {
		t.Errorf("event: %v", e)
	}
	one := s.must(t, 200, s.acme, "GET", "/v1/deliveries/"+d.ID, "")
	if one["kind"] != "" || one["job_id"] != "" || one["event_type"] != "endpoint.failing" {
		t.Errorf("delivery: %v", one)
	}
}

func TestWhatIsToldOfAnEndpointIsSentAgain(t *testing.T) {
	s := newSite(t)
	d := s.told(t, webhook.EndpointDisabledEvent)
	s.clock.move(time.Second) // a bulk resend takes what was created before it
	counted := s.must(t, 200, s.acme, "POST", "/v1/resends", `{"dry_run":true,"filter":{"type":"endpoint.disabled"}}`)
	if counted["matched"] != json.Number("1") {
		t.Errorf("a bulk resend counts %v, want 1", counted)
	}
	if got := s.must(t, 202, s.acme, "POST", "/v1/resends", `{"filter":{"type":"endpoint.disabled"}}`); got["filter"].(map[string]any)["type"] != "endpoint.disabled" {
		t.Errorf("bulk resend: %v", got)
	}
	if got := s.must(t, 202, s.acme, "POST", "/v1/deliveries/"+d.ID+":resend", ""); got["state"] != "queued" || got["generation"] != json.Number("2") {
		t.Errorf("resent: %v", got)
	}
	want := []webhook.Doorbell{{Account: "acme", Delivery: d.ID, Generation: 2}}
	if diff := cmp.Diff(s.bells.rung, want); diff != "" {
		t.Errorf("bells (-got +want):\n%s", diff)
	}
}
