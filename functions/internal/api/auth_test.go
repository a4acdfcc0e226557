package api_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/jobhook/jobhook/functions/internal/api"
	"github.com/jobhook/jobhook/shared/webhook"
)

// route is a route with parameters that name nothing.
type route struct {
	method, target, body string
	account              bool // an account's own key may use it
	platform             bool // a platform key may
}

func routes() []route {
	return []route{
		{"PUT", "/v1/accounts/zero", `{}`, false, true},
		{"GET", "/v1/accounts/acme", "", true, true},
		{"PATCH", "/v1/accounts/acme", `{}`, true, true},
		{"GET", "/v1/accounts", "", false, true},
		{"POST", "/v1/sessions", "", true, true},
		{"GET", "/v1/session", "", true, true},
		{"DELETE", "/v1/session", "", true, true},
		{"POST", "/v1/accounts/acme/keys", `{}`, true, true},
		{"GET", "/v1/accounts/acme/keys", "", true, true},
		{"DELETE", "/v1/accounts/acme/keys/k", "", true, true},
		{"POST", "/v1/keys", `{"scope":"platform"}`, false, false},
		{"GET", "/v1/keys", "", false, false},
		{"DELETE", "/v1/keys/k", "", false, false},
		{"POST", "/v1/accounts/acme/keys/k:rotate", "", true, true},
		{"POST", "/v1/keys/k:rotate", "", false, false},
		{"POST", "/v1/accounts/acme/portal-links", "", false, true},
		{"PUT", "/v1/jobs/1", `{"account":"acme","kind":"async","status":"pending"}`, false, true},
		{"PATCH", "/v1/jobs/1", `{"status":"processing"}`, false, true},
		{"GET", "/v1/jobs/1", "", true, true},
		{"GET", "/v1/jobs?account=acme", "", true, true},
		{"POST", "/v1/endpoints?account=acme", `{"url":"https://a.example"}`, true, true},
		{"GET", "/v1/endpoints?account=acme", "", true, true},
		{"GET", "/v1/endpoints/e?account=acme", "", true, true},
		{"PATCH", "/v1/endpoints/e?account=acme", `{}`, true, true},
		{"DELETE", "/v1/endpoints/e?account=acme", "", true, true},
		{"POST", "/v1/endpoints/e:rotate-secret?account=acme", "", true, true},
		{"POST", "/v1/endpoints/e:test?account=acme", "", true, true},
		{"POST", "/v1/endpoints/e:pause?account=acme", "", true, true},
		{"POST", "/v1/endpoints/e:resume?account=acme", "", true, true},
		{"GET", "/v1/hosts", "", false, false},
		{"GET", "/v1/holders", "", false, false},
		{"GET", "/v1/queues", "", false, false},
		{"GET", "/v1/queues/first/dead-letters", "", false, false},
		{"POST", "/v1/queues/first:redrive", "", false, false},
		{"GET", "/v1/deliveries?account=acme", "", true, true},
		{"GET", "/v1/deliveries/d?account=acme", "", true, true},
		{"POST", "/v1/deliveries/d:resend?account=acme", "", true, true},
		{"GET", "/v1/deliveries/d/request?account=acme", "", true, true},
		{"GET", "/v1/statistics?account=acme", "", true, true},
		{"GET", "/v1/events/e?account=acme", "", true, true},
		{"GET", "/v1/events?account=acme", "", true, true},
		{"POST", "/v1/resends?account=acme", `{"dry_run":true,"filter":{}}`, true, true},
		{"GET", "/v1/resends?account=acme", "", true, true},
		{"GET", "/v1/ledger?account=acme", "", true, true},
		{"GET", "/v1/ledgers", "", false, true},
		{"GET", "/v1/resends/r?account=acme", "", true, true},
		{"POST", "/v1/resends/r:cancel?account=acme", "", true, true},
		{"POST", "/v1/erasures", `{"account":"nobody"}`, false, true},
		{"GET", "/v1/erasures", "", false, true},
		{"GET", "/v1/erasures/e", "", false, true},
		{"POST", "/v1/jobs/1/runs/1/records", `{"n":1}`, false, true},
		{"GET", "/v1/jobs/1/runs/1/records", "", false, true},
		{"POST", "/v1/jobs/1/runs/1/record-links", `{}`, false, true},
		{"POST", "/v1/jobs/1/inputs", `{"n":1}`, false, true},
		{"GET", "/v1/jobs/1/inputs", "", false, true},
		{"POST", "/v1/jobs/1/input-links", `{}`, false, true},
		{"GET", "/v1/jobs/1/runs?account=acme", "", true, true},
		{"GET", "/v1/jobs/1/result-sets?account=acme", "", true, true},
		{"GET", "/v1/jobs/1/runs/1/result-set?account=acme", "", true, true},
		{"POST", "/v1/jobs/1/runs/1/result-set:revoke?account=acme", "", true, true},
		{"GET", "/v1/jobs/1/runs/1/downloads?account=acme", "", true, true},
	}
}

func TestEveryRouteAdmitsItsScopesOnly(t *testing.T) {
	s := newSite(t)
	wrongSecret := s.operator[:len(s.operator)-1] + "0"
	for _, r := range routes() {
		for _, who := range []struct {
			name, key string
			refused   int // 0: admitted
		}{
			{"nobody", "", 401},
			{"a malformed key", "jh_live_x", 401},
			{"an unknown key", "jh_live_abcdefgh_" + strings.Repeat("z", 52), 401},
			{"a wrong secret", wrongSecret, 401},
			{"an account", s.acme, status(r.account, 403)},
			{"a platform", s.platform, status(r.platform, 403)},
			{"an operator", s.operator, 0},
		} {
			got := s.do(who.key, r.method, r.target, r.body)
			admitted := got.status != 401 && got.status != 403
			if admitted != (who.refused == 0) || !admitted && got.status != who.refused || got.status >= 500 {
				t.Errorf("%s %s by %s: got %d %s, want refusal %d", r.method, r.target, who.name, got.status, got.body, who.refused)
			}
			if !admitted {
				got.problem(t)
			}
			if got.status == 401 && got.header.Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("%s %s by %s: no WWW-Authenticate", r.method, r.target, who.name)
			}
		}
	}
}

func status(admitted bool, refused int) int {
	if admitted {
		return 0
	}
	return refused
}

func TestOnlyBearerIsAKey(t *testing.T) {
	s := newSite(t)
	r := httptest.NewRequest(http.MethodGet, "/v1/keys", nil)
	r.Header.Set("Authorization", "Basic "+s.operator)
	if got := s.send(r); got.status != 401 {
		t.Errorf("got %d, want 401", got.status)
	}
}

func TestAnotherAccountsObjectsLookLikeNone(t *testing.T) {
	s := newSite(t)
	s.must(t, 201, s.platform, "PUT", "/v1/jobs/theirs", `{"account":"other","kind":"async","status":"pending"}`)
	ep := s.must(t, 201, s.other, "POST", "/v1/endpoints", `{"url":"https://other.example"}`)["id"].(string)
	d := s.plant(t, "other", func(*webhook.Delivery) {})
	key, _, _ := api.ParseKey(s.other)
	for _, tt := range []struct{ method, theirs, absent, body string }{
		{"GET", "/v1/accounts/other", "/v1/accounts/none", ""},
		{"PATCH", "/v1/accounts/other", "/v1/accounts/none", `{"webhook_url":"https://a.example"}`},
		{"GET", "/v1/accounts/other/keys", "/v1/accounts/none/keys", ""},
		{"POST", "/v1/accounts/other/keys", "/v1/accounts/none/keys", `{"scope":"platform"}`},
		{"DELETE", "/v1/accounts/other/keys/" + key, "/v1/accounts/none/keys/" + key, ""},
		{"DELETE", "/v1/accounts/acme/keys/" + key, "/v1/accounts/acme/keys/none", ""},
		{"POST", "/v1/accounts/other/keys/" + key + ":rotate", "/v1/accounts/none/keys/" + key + ":rotate", ""},
		{"POST", "/v1/accounts/acme/keys/" + key + ":rotate", "/v1/accounts/acme/keys/none:rotate", ""},
		{"GET", "/v1/jobs/theirs", "/v1/jobs/none", ""},
		{"GET", "/v1/jobs/theirs?account=other", "/v1/jobs/none?account=none", ""},
		{"GET", "/v1/jobs?account=other", "/v1/jobs?account=none", ""},
		{"GET", "/v1/endpoints?account=other", "/v1/endpoints?account=none", ""},
		{"POST", "/v1/endpoints?account=other", "/v1/endpoints?account=none", `{"url":"https://a.example"}`},
		{"GET", "/v1/endpoints/" + ep, "/v1/endpoints/ep_none", ""},
		{"GET", "/v1/endpoints/" + ep + "?account=other", "/v1/endpoints/ep_none?account=none", ""},
		{"PATCH", "/v1/endpoints/" + ep, "/v1/endpoints/ep_none", `{"status":"paused"}`},
		{"DELETE", "/v1/endpoints/" + ep, "/v1/endpoints/ep_none", ""},
		{"POST", "/v1/endpoints/" + ep + ":rotate-secret", "/v1/endpoints/ep_none:rotate-secret", ""},
		{"POST", "/v1/endpoints/" + ep + ":test", "/v1/endpoints/ep_none:test", ""},
		{"POST", "/v1/endpoints/" + ep + ":pause", "/v1/endpoints/ep_none:pause", ""},
		{"POST", "/v1/endpoints/" + ep + ":resume?account=other", "/v1/endpoints/ep_none:resume?account=none", ""},
		{"GET", "/v1/deliveries?account=other", "/v1/deliveries?account=none", ""},
		{"GET", "/v1/deliveries/" + d.ID, "/v1/deliveries/dlv_none", ""},
		{"POST", "/v1/deliveries/" + d.ID + ":resend", "/v1/deliveries/dlv_none:resend", ""},
		{"GET", "/v1/deliveries/" + d.ID + "/request", "/v1/deliveries/dlv_none/request", ""},
		{"GET", "/v1/statistics?account=other", "/v1/statistics?account=none", ""},
		{"GET", "/v1/statistics?endpoint=" + ep, "/v1/statistics?endpoint=ep_none", ""},
		{"GET", "/v1/events/" + d.EventID, "/v1/events/evt_none", ""},
	} {
		theirs, absent := s.do(s.acme, tt.method, tt.theirs, tt.body), s.do(s.acme, tt.method, tt.absent, tt.body)
		if theirs.status != 404 || absent.status != 404 || theirs.body != absent.body {
			t.Errorf("%s %s: got %d %s, an absent one %d %s", tt.method, tt.theirs, theirs.status, theirs.body, absent.status, absent.body)
		}
	}
	s.must(t, 200, s.other, "GET", "/v1/endpoints", "") // its key still works
	if e, err := s.store.Endpoint(t.Context(), "other", ep); err != nil || e.Status != webhook.EndpointEnabled {
		t.Errorf("the other's endpoint: %v %v", e, err)
	}
}

// TestNoAccountLearnsWhetherAnotherExists names another account, and one that
// does not exist, on every route that an account's key may use.
func TestNoAccountLearnsWhetherAnotherExists(t *testing.T) {
	s := newSite(t)
	s.must(t, 201, s.platform, "PUT", "/v1/jobs/1", `{"account":"other","kind":"async","status":"pending"}`)
	for _, r := range routes() {
		if !r.account || !strings.Contains(r.target, "account") {
			continue
		}
		theirs := s.do(s.acme, r.method, strings.ReplaceAll(r.target, "acme", "other"), r.body)
		absent := s.do(s.acme, r.method, strings.ReplaceAll(r.target, "acme", "none"), r.body)
		if theirs.status != 404 || absent.status != 404 || theirs.body != absent.body {
			t.Errorf("%s %s: got %d %s, of none %d %s", r.method, r.target, theirs.status, theirs.body, absent.status, absent.body)
		}
	}
	for _, target := range []string{"", "/runs", "/result-sets", "/runs/1/result-set", "/runs/1/downloads"} {
		theirs, absent := s.do(s.acme, "GET", "/v1/jobs/1"+target, ""), s.do(s.acme, "GET", "/v1/jobs/2"+target, "")
		if theirs.status != 404 || absent.status != 404 || theirs.body != absent.body {
			t.Errorf("%s of a job: got %d %s, of none %d %s", target, theirs.status, theirs.body, absent.status, absent.body)
		}
	}
}

func TestNoBodyLeadsToAServerError(t *testing.T) {
	s := newSite(t)
	s.must(t, 201, s.platform, "PUT", "/v1/jobs/1", `{"account":"acme","kind":"async","status":"pending"}`)
	for _, r := range routes() {
		for _, body := range []string{
			`null`, `5`, `"x"`, `[]`, `{}`, `{"":0}`, `{"a":`, "\x00", "\xff", `{"url":null,"types":null,"policy":null}`,
			`{"url":"https://a.example","policy":{"timeout_seconds":1e1}}`, `{"name":"\ud800"}`, `{"status":{"a":[]}}`, `{"url":[],"types":{},"policy":5}`,
			`{"url":"https://a.example","types":[[],{}]}`, `{"webhook_url":"http://[::1"}`, strings.Repeat("[", 20_000), `{"x":` + strings.Repeat(`{"x":`, 20_000),
			`{"account":"acme","kind":"batch","status":"idle","run":99999999999999999999}`, `{"created_at":1e300}`,
		} {
			if got := s.do(s.operator, r.method, r.target, body); got.status >= 500 {
				t.Errorf("%s %s %.60q: got %d %s", r.method, r.target, body, got.status, got.body)
			}
		}
	}
}
