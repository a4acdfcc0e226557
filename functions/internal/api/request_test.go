package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/shared/webhook"
)

// headersOf are the headers of a request as it is shown.
func headersOf(view map[string]any) http.Header {
	h := http.Header{}
	for name, values := range view["headers"].(map[string]any) {
		h.Set(name, values.([]any)[0].(string))
	}
	return h
}

// verifies tells whether what is shown is signed with a secret, now.
func (s *site) verifies(view map[string]any, secret string) bool {
	return webhook.Verify(headersOf(view), []string{secret}, s.clock.now(), []byte(view["body"].(string))) == nil
}

func TestARequestIsShownAsItWouldBeSentNow(t *testing.T) {
	s := newSite(t)
	path, made := s.endpoint(t, `{"url":"https://a.example/1","headers":{"Authorization":"Bearer abcdefghijklmnopqrst","X-Env":"prod"}}`)
	d := s.plant(t, "acme", func(d *webhook.Delivery) {
		d.Target = webhook.Target{Endpoint: made["id"].(string), URL: "https://a.example/1", Format: "standard"}
	})
	old := made["secret"].(string)
	s.must(t, 200, s.acme, "PATCH", path, `{"url":"https://a.example/2"}`)
	fresh := s.must(t, 200, s.acme, "POST", path+":rotate-secret", "")["secret"].(string)
	s.clock.move(time.Hour)
	before, err := s.store.Delivery(t.Context(), d.Ref())
	if err != nil {
		t.Fatal(err)
	}

	got := s.must(t, 200, s.acme, "GET", "/v1/deliveries/"+d.ID+"/request", "")
	if got["method"] != "POST" || got["url"] != "https://a.example/2" || got["signed_at"] != stampOf(s.clock.now()) || got["body_base64"] != nil {
		t.Errorf("got %v", got)
	}
	h := headersOf(got)
	if h.Get("Webhook-Id") != d.EventID || h.Get("Content-Type") != "application/json" || h.Get("Authorization") != "****qrst" || h.Get("X-Env") != "****" || h.Get("Traceparent") != traceparent {
		t.Errorf("headers %v", h)
	}
	if !s.verifies(got, fresh) || !s.verifies(got, old) || !strings.Contains(got["body"].(string), d.JobID) {
		t.Errorf("the signature does not fit: %v", got)
	}
	if strings.Contains(s.do(s.acme, "GET", "/v1/deliveries/"+d.ID+"/request", "").body, "abcdefghij") {
		t.Error("a credential is shown")
	}

	after, err := s.store.Delivery(t.Context(), d.Ref())
	if diff := cmp.Diff(after, before); diff != "" || err != nil || len(s.bells.rung) != 0 || s.target.got.URL != "" {
		t.Errorf("to look at it did something: %v, rang %v, sent %v (-got +want):\n%s", err, s.bells.rung, s.target.got, diff)
	}
}

func TestWhatIsShownIsWhatATrialSends(t *testing.T) {
	s := newSite(t)
	path, made := s.endpoint(t, `{"url":"https://a.example/1","format":"standard","headers":{"X-Env":"production-of-acme"}}`)
	d := s.plant(t, "acme", func(d *webhook.Delivery) {
		d.Target = webhook.Target{Endpoint: made["id"].(string), URL: "https://a.example/1", Format: "standard"}
	})
	shown := s.must(t, 200, s.acme, "GET", "/v1/deliveries/"+d.ID+"/request", "")
	trial := s.must(t, 200, s.acme, "POST", path+":test", "")["request"].(map[string]any)
	names := func(view map[string]any) map[string]bool {
		all := map[string]bool{}
		for name := range view["headers"].(map[string]any) {
			all[name] = true
		}
		return all
	}
	want := names(trial)
	want["Traceparent"] = true // a trial has no job
	if diff := cmp.Diff(names(shown), want); diff != "" || shown["url"] != trial["url"] {
		t.Errorf("headers (-got +want):\n%s", diff)
	}
}

func TestTheRequestToAURLOnAJobIsSignedWithTheDefaultEndpointsSecret(t *testing.T) {
	s := newSite(t)
	d := s.plant(t, "acme", func(*webhook.Delivery) {})
	unsigned := s.must(t, 200, s.acme, "GET", "/v1/deliveries/"+d.ID+"/request", "")
	if h := headersOf(unsigned); h.Get("Webhook-Signature") != "" || h.Get("Webhook-Id") != d.EventID {
		t.Errorf("without a default endpoint: %v", h)
	}
	made := s.must(t, 200, s.acme, "PATCH", "/v1/accounts/acme", `{"webhook_url":"https://a.example"}`)["default_endpoint"].(map[string]any)
	got := s.must(t, 200, s.platform, "GET", "/v1/deliveries/"+d.ID+"/request?account=acme", "")
	if got["url"] != d.Target.URL || !s.verifies(got, made["secret"].(string)) {
		t.Errorf("got %v", got)
	}
}

func TestThereIsNoRequestOfWhatCannotBeSent(t *testing.T) {
	s := newSite(t)
	for _, tt := range []struct {
		name   string
		target webhook.Target
	}{
		{"without a target", webhook.Target{}},
		{"to a deleted endpoint", webhook.Target{Endpoint: "ep_gone", URL: "https://x.example", Format: "standard"}},
		{"in a format of another kind", webhook.Target{URL: "https://x.example", Format: "hkube"}},
		{"in no format", webhook.Target{Endpoint: "ep_x", URL: "https://x.example", Format: "auto"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := s.plant(t, "acme", func(d *webhook.Delivery) {
				d.State, d.Reason, d.Target, d.DeliveredAt = webhook.StateDeclined, "no target: nobody asked", tt.target, time.Time{}
			})
			shown := s.do(s.acme, "GET", "/v1/deliveries/"+d.ID+"/request", "")
			resent := s.do(s.acme, "POST", "/v1/deliveries/"+d.ID+":resend", "")
			p, want := shown.problem(t), resent.problem(t)
			if shown.status != 409 || p.Type != "/problems/no-target" || len(p.Errors) != 1 {
				t.Errorf("got %d %s", shown.status, shown.body)
			}
			if want.Type != p.Type || want.Errors[0].Cure != p.Errors[0].Cure {
				t.Errorf("got %s, a resend says %s", shown.body, resent.body)
			}
		})
	}
}

// TestHeadersThatAreNotSentAreNotShown has an endpoint with a header that the
// rules of today leave out, as a store may.
func TestHeadersThatAreNotSentAreNotShown(t *testing.T) {
	s := newSite(t)
	e := webhook.Endpoint{ID: "ep_old", Account: "acme", URL: "https://a.example", Format: "standard", Status: webhook.EndpointEnabled,
		Headers: []webhook.Header{{Name: "Host", Value: "inside.example"}, {Name: "webhook-id", Value: "mine"}, {Name: "x-env", Value: "production-of-acme"}}}
	if err := s.store.PutEndpoint(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	d := s.plant(t, "acme", func(d *webhook.Delivery) {
		d.Target = webhook.Target{Endpoint: "ep_old", URL: e.URL, Format: "standard"}
	})
	h := headersOf(s.must(t, 200, s.acme, "GET", "/v1/deliveries/"+d.ID+"/request", ""))
	if h.Get("Host") != "" || h.Get("Webhook-Id") != d.EventID || h.Get("X-Env") != "****acme" {
		t.Errorf("headers %v", h)
	}
}
