package dashboard_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

func TestEventsAreListedAndFiltered(t *testing.T) {
	s := newSite(t)
	s.putJob("first", `{"account":"acme","kind":"async","status":"success"}`)
	s.dispatch()
	s.putJob("second", `{"account":"acme","kind":"scraping","status":"failed","run":4}`)
	s.dispatch()
	s.putJob("strange", `{"account":"other","kind":"async","status":"success"}`)
	s.dispatch()
	b := s.signIn(s.acme)
	got := b.open("/events")
	got.inOrder(t, "job.failed 2026-03-01 12:00:02 second scraping 4", "job.finished 2026-03-01 12:00:01 first async 1")
	got.lacks(t, "strange")
	for query, want := range map[string][2]bool{ // first, second
		"type=job.failed":                               {false, true},
		"kind=async":                                    {true, false},
		"job=second":                                    {false, true},
		"since=2026-03-01T12:00:01":                     {true, true},
		"since=2026-03-01T12:00:02":                     {false, true},
		"type=&kind=&job=&since=&until=":                {true, true},
		"kind=async&type=job.finished&job=first":        {true, false},
		"kind=async&type=job.failed":                    {false, false},
		"until=2026-03-01T12:00:01":                     {false, false},
		"since=2026-03-01T12:00&until=2026-03-01T13:00": {true, true},
	} {
		got := b.open("/events?" + query)
		list := [2]bool{strings.Contains(got.body, "/job?id=first"), strings.Contains(got.body, "id=second&amp;kind=scraping")}
		if list != want {
			t.Errorf("%s: lists first, second: %v, want %v", query, list, want)
		}
	}
}

func TestAWrongSpanOfEventsIsExplainedAndKept(t *testing.T) {
	s := newSite(t)
	got := s.signIn(s.acme).get("/events?since=2026-03-02T00:00&until=2026-03-01T00:00")
	if got.status != http.StatusUnprocessableEntity {
		t.Errorf("got %d, want 422", got.status)
	}
	got.wants(t, "it is not after since")
	if !strings.Contains(got.body, `value="2026-03-02T00:00`) {
		t.Errorf("the form has forgotten what was typed:\n%s", got.body)
	}
}

func TestEventsComeInPages(t *testing.T) {
	s := newSite(t)
	for i := range 60 {
		s.putJob(fmt.Sprintf("n%d", i), `{"account":"acme","kind":"async","status":"success"}`)
	}
	s.dispatch()
	b := s.signIn(s.acme)
	first := b.open("/events")
	second := b.open(hrefOf(t, first, "/events?after="))
	first.wants(t, "n59", "n10 ", "Next page")
	second.wants(t, "n9 ", "n0 ", "First page")
	second.lacks(t, "n10 ", "Next page")
}

func TestAnEmptyListOfEventsSaysWhatMakesOne(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.acme)
	b.open("/events").wants(t, "No events yet. When a run of a job ends", "See the jobs and how to write one")
	b.open("/events?job=42").wants(t, "none of its runs has ended, or its record names another account", "Look at the job")
}

func TestAnEventSaysOfEveryTargetWhyItWasToldOrNot(t *testing.T) {
	s := newSite(t)
	s.putEndpoint("acme", "ep_all", "https://all.example/hook")
	s.putEndpoint("acme", "ep_off", "https://off.example/hook")
	s.putEndpoint("acme", "ep_some", "https://some.example/hook")
	s.change("ep_off", func(e *webhook.Endpoint) { e.Status, e.StatusReason = webhook.EndpointDisabled, "by its owner" })
	s.change("ep_some", func(e *webhook.Endpoint) { e.Types = []webhook.EventType{webhook.JobFailed} })
	s.putJob("<1>", `{"account":"acme","kind":"async","status":"success","note":"<script>alert(1)</script>"}`)
	s.dispatch()
	for _, d := range s.sentOf("<1>") {
		if d.Target.Endpoint == "ep_all" {
			s.attempted(d, time.Second, webhook.Result{Status: 204}, webhook.StateDelivered)
		}
	}
	got := s.signIn(s.acme).open("/events/" + s.sentOf("<1>")[0].EventID)
	got.wants(t, "Job <1>", "Kind async", "Run 1", "Who was told, and why or why not",
		"It was delivered at 2026-03-01 12:00:02 and answered with 204.",
		"It was declined: filtered: ", "It was declined: the endpoint is disabled: by its owner.",
		"ep_some https://some.example/hook", `"note": "<script>alert(1)</script>"`)
	if strings.Contains(got.body, "<script>alert") {
		t.Errorf("a script got through:\n%s", got.body)
	}
	for _, want := range []string{`href="/endpoints/ep_off"`, `href="/job?id=%3C1%3E&amp;kind=async"`} {
		if !strings.Contains(got.body, want) {
			t.Errorf("no %s", want)
		}
	}
}

// change changes an endpoint of acme.
func (s *tested) change(id string, f func(*webhook.Endpoint)) {
	s.t.Helper()
	_, err := s.store.UpdateEndpoint(s.t.Context(), "acme", id, func(e webhook.Endpoint) (webhook.Endpoint, error) {
		f(&e)
		return e, nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

func TestAnEventWithoutATargetSaysSo(t *testing.T) {
	s := newSite(t)
	s.putJob("1", `{"account":"acme","kind":"async","status":"success"}`)
	s.dispatch()
	s.signIn(s.acme).open("/events/"+s.sentOf("1")[0].EventID).wants(t, "declined It was declined: no target: ")
}

func TestAnEventOfAnEndpointHasNoJob(t *testing.T) {
	s := newSite(t)
	n := webhook.Notice{Type: webhook.EndpointFailingEvent, Account: "acme", Endpoint: "ep_1", URL: "https://a.example", At: s.now, Since: s.now.Add(-time.Hour), Reason: "status 503"}
	e := n.Event("acme")
	d := webhook.Delivery{Account: "acme", EventID: e.ID, EventType: e.Type, Target: webhook.Target{Endpoint: "ep_2", URL: "https://b.example", Format: "standard"},
		State: webhook.StateQueued, Generation: 1, CreatedAt: s.now, UpdatedAt: s.now, ExpiresAt: s.now.Add(time.Hour)}
	d.ID = webhook.DeliveryID(e.ID, d.Target)
	if _, err := s.store.Put(t.Context(), []webhook.Planned{{Event: e, Deliveries: []webhook.Delivery{d}}}); err != nil {
		t.Fatal(err)
	}
	b := s.signIn(s.acme)
	b.open("/events").wants(t, "endpoint.failing 2026-03-01 12:00:00 - - -")
	b.open("/events/"+e.ID).wants(t, "No job is behind it: it tells of an endpoint.", `"endpoint_id": "ep_1"`, "It is queued")
}

func TestAnEventThatIsNotThereIsNotFound(t *testing.T) {
	s := newSite(t)
	for _, id := range []string{"evt_" + strings.Repeat("0", 26), "nonsense", "..%2F..", "%3Cb%3E"} {
		if got := s.signIn(s.acme).get("/events/" + id); got.status != http.StatusNotFound {
			t.Errorf("%s: got %d, want 404", id, got.status)
		}
	}
}

func TestAnEventIsLiveOnlyWhileSomebodyIsBeingTold(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.acme)
	for _, state := range webhook.States() {
		d := s.putDelivery("acme", func(d *webhook.Delivery) { d.State = state })
		got := b.open("/events/" + d.EventID)
		if live := strings.Contains(got.body, "data-live"); live == state.Final() {
			t.Errorf("%s: live %t", state, live)
		}
	}
}
