package compat_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/shared/format"
	"github.com/jobhook/jobhook/shared/webhook"
)

// tellOfEndpoint stores what tells acme of an endpoint, at the time when its
// jobs were made, so that it lies among what was told of them.
func (s *site) tellOfEndpoint(typ webhook.EventType, at time.Time, name string) {
	s.t.Helper()
	e := webhook.Notice{Type: typ, Account: acme, Endpoint: "ep_1", URL: "https://example.com/hook", At: at, Since: at}.Event(acme)
	d := webhook.Delivery{
		Account: acme, EventID: e.ID, EventType: typ, Target: toURL("https://example.com/hook", name), State: webhook.StateExhausted,
		LastStatus: 500, Generation: 1, Attempts: 1, CreatedAt: at, UpdatedAt: at, ExpiresAt: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	d.ID = webhook.DeliveryID(e.ID, d.Target)
	if _, err := s.store.Put(s.t.Context(), []webhook.Planned{{Event: e, Deliveries: []webhook.Delivery{d}}}); err != nil {
		s.t.Fatal(err)
	}
}

func TestWhatIsToldOfEndpointsChangesNoAnswerOfTheFourSystems(t *testing.T) {
	s, told := newSite(t), newSite(t)
	for i, typ := range webhook.OfEndpoints() {
		for _, at := range []time.Time{clockAt(0), clockAt(11), time.Date(2018, 1, 16, 14, 27, 16, 0, time.UTC).Add(time.Duration(i) * time.Hour)} {
			told.tellOfEndpoint(typ, at, format.Standard)
		}
	}
	told.tellOfEndpoint(webhook.EndpointFailingEvent, clockAt(12), format.SerpWow) // of a format that it should not have
	told.tellOfEndpoint(webhook.EndpointFailingEvent, clockAt(13), format.HKube)
	for _, p := range pairs() {
		want, got := s.do(p.key, p.method, p.target), told.do(p.key, p.method, p.target)
		if diff := cmp.Diff([]any{got.status, got.body}, []any{want.status, want.body}); diff != "" {
			t.Errorf("%s (-got +want):\n%s", p.name, diff)
		}
	}
	if strings.Contains(told.log.String(), "ERROR") {
		t.Errorf("logged: %s", told.log)
	}
}
