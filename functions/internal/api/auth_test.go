package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

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
		{"POST", "/v1/accounts/acme/keys", `{}`, false, true},
		{"GET", "/v1/accounts/acme/keys", "", false, true},
		{"DELETE", "/v1/accounts/acme/keys/k", "", false, true},
		{"POST", "/v1/keys", `{"scope":"platform"}`, false, false},
		{"GET", "/v1/keys", "", false, false},
		{"DELETE", "/v1/keys/k", "", false, false},
		{"POST", "/v1/accounts/acme/keys/k:rotate", "", false, true},
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
		{"GET", "/v1/deliveries?account=acme", "", true, true},
		{"GET", "/v1/deliveries/d?account=acme", "", true, true},
		{"POST", "/v1/deliveries/d:resend?account=acme", "", true, true},
		{"GET", "/v1/events/e?account=acme", "", true, true},
		{"GET", "/v1/events?account=acme", "", true, true},
		{"POST", "/v1/resends?account=acme", `{"dry_run":true,"filter":{}}`, true, true},
		{"GET", "/v1/resends?account=acme", "", true, true},
		{"GET", "/v1/resends/r?account=acme", "", true, true},
		{"POST", "/v1/resends/r:cancel?account=acme", "", true, true},
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
	for _, tt := range []struct{ method, theirs, absent, body string }{
		{"GET", "/v1/accounts/other", "/v1/accounts/none", ""},
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
		{"GET", "/v1/events/" + d.EventID, "/v1/events/evt_none", ""},
	} {
		theirs, absent := s.do(s.acme, tt.method, tt.theirs, tt.body), s.do(s.acme, tt.method, tt.absent, tt.body)
		if theirs.status != 404 || absent.status != 404 || theirs.body != absent.body {
			t.Errorf("%s %s: got %d %s, an absent one %d %s", tt.method, tt.theirs, theirs.status, theirs.body, absent.status, absent.body)
		}
	}
	if e, err := s.store.Endpoint(t.Context(), "other", ep); err != nil || e.Status != webhook.EndpointEnabled {
		t.Errorf("the other's endpoint: %v %v", e, err)
	}
}

func TestARevokedKeyFailsAtOnce(t *testing.T) {
	s := newSite(t)
	made := s.must(t, 201, s.platform, "POST", "/v1/accounts/acme/keys", `{"name":"ci"}`)
	key := made["key"].(string)
	s.must(t, 200, key, "GET", "/v1/endpoints", "")
	s.must(t, 204, s.platform, "DELETE", "/v1/accounts/acme/keys/"+made["id"].(string), "")
	if got := s.do(key, "GET", "/v1/endpoints", ""); got.status != 401 {
		t.Errorf("got %d after the revocation, want 401", got.status)
	}
}

func TestAKeyRevokedElsewhereFailsWithinSeconds(t *testing.T) {
	s := newSite(t)
	id, _, err := api.ParseKey(s.acme)
	if err != nil {
		t.Fatal(err)
	}
	s.must(t, 200, s.acme, "GET", "/v1/endpoints", "")
	if err := s.store.RevokeKey(t.Context(), "acme", id, s.clock.now()); err != nil {
		t.Fatal(err)
	}
	s.clock.move(5e9)
	if got := s.do(s.acme, "GET", "/v1/endpoints", ""); got.status != 401 {
		t.Errorf("got %d five seconds after the revocation, want 401", got.status)
	}
}

// revoking is a store in which somebody revokes all keys of an account when it
// gets another.
type revoking struct {
	api.Store
	now func() time.Time
}

func (r revoking) PutKey(ctx context.Context, k webhook.Key) error {
	keys, err := r.Keys(ctx, k.Account)
	for _, old := range keys {
		err = errors.Join(err, r.RevokeKey(ctx, k.Account, old.ID, r.now()))
	}
	return errors.Join(err, r.Store.PutKey(ctx, k))
}

func TestARotationDoesNotReviveAKeyThatIsRevokedMeanwhile(t *testing.T) {
	s := newSite(t)
	made := s.must(t, 201, s.platform, "POST", "/v1/accounts/acme/keys", `{}`)
	key := made["key"].(string)
	s = s.with(func(c *api.Config) { c.Store = revoking{s.store, s.clock.now} })
	s.must(t, 201, s.platform, "POST", "/v1/accounts/acme/keys/"+made["id"].(string)+":rotate", "")
	if got := s.do(key, "GET", "/v1/endpoints", ""); got.status != 401 {
		t.Errorf("got %d of the revoked key, want 401", got.status)
	}
}

func TestARotatedKeyWorksUntilItsOverlapEnds(t *testing.T) {
	s := newSite(t)
	for _, tt := range []struct {
		name, by, list, body string
		overlap              time.Duration
	}{
		{"an account's, for a day", s.platform, "/v1/accounts/acme/keys", "", 24 * time.Hour},
		{"an account's, for an hour", s.platform, "/v1/accounts/acme/keys", `{"overlap_seconds":3600}`, time.Hour},
		{"an account's, at once", s.platform, "/v1/accounts/acme/keys", `{"overlap_seconds":0}`, 0},
		{"a platform's", s.operator, "/v1/keys", `{"overlap_seconds":60}`, time.Minute},
	} {
		scope, reads := "account", "/v1/endpoints"
		if tt.list == "/v1/keys" {
			scope, reads = "platform", "/v1/endpoints?account=acme"
		}
		old := s.must(t, 201, tt.by, "POST", tt.list, `{"name":"ci","scope":"`+scope+`"}`)
		s.do(old["key"].(string), "GET", reads, "") // now it is in memory
		fresh := s.must(t, 201, tt.by, "POST", tt.list+"/"+old["id"].(string)+":rotate", tt.body)
		if fresh["id"] == old["id"] || fresh["name"] != "ci" || fresh["scope"] != old["scope"] || fresh["revoked_at"] != nil {
			t.Errorf("%s: got %v in place of %v", tt.name, fresh, old)
		}
		if tt.overlap > 0 {
			s.clock.move(tt.overlap - time.Second)
			s.must(t, 200, old["key"].(string), "GET", reads, "")
			s.clock.move(time.Second)
		}
		if got := s.do(old["key"].(string), "GET", reads, ""); got.status != 401 {
			t.Errorf("%s: the old key after its overlap: got %d, want 401", tt.name, got.status)
		}
		s.must(t, 200, fresh["key"].(string), "GET", reads, "")
		if got := s.do(tt.by, "POST", tt.list+"/"+old["id"].(string)+":rotate", ""); got.status != 409 || got.problem(t).Type != "/problems/key-ending" {
			t.Errorf("%s: rotated again: got %d %s, want 409", tt.name, got.status, got.body)
		}
	}
}

func TestAKeyIsRotatedUnderItsOwnAccountOnly(t *testing.T) {
	s := newSite(t)
	id, _, _ := api.ParseKey(s.other)
	root, _, _ := api.ParseKey(s.platform)
	for _, target := range []string{"/v1/accounts/acme/keys/" + id, "/v1/accounts/acme/keys/none", "/v1/accounts/none/keys/" + id,
		"/v1/accounts/acme/keys/" + root, "/v1/keys/" + id, "/v1/keys/none"} {
		if got := s.do(s.operator, "POST", target+":rotate", ""); got.status != 404 {
			t.Errorf("%s: got %d %s, want 404", target, got.status, got.body)
		}
	}
	s.must(t, 200, s.other, "GET", "/v1/endpoints", "")
	if got := s.do(s.operator, "POST", "/v1/keys/"+root+":rotate", `{"overlap_seconds":2592001}`); got.status != 422 {
		t.Errorf("an overlap of more than 30 days: got %d, want 422", got.status)
	}
}

func TestTheKeyOfAnAccountWhoseIDHasAColonOrASlashIsRotated(t *testing.T) {
	s := newSite(t)
	for _, account := range []string{"a:b", "a%2Fb", "x:rotate", "keys"} {
		s.must(t, 200, s.platform, "PUT", "/v1/accounts/"+account, `{}`)
		old := s.must(t, 201, s.platform, "POST", "/v1/accounts/"+account+"/keys", `{}`)
		fresh := s.must(t, 201, s.platform, "POST", "/v1/accounts/"+account+"/keys/"+old["id"].(string)+":rotate", "")
		if fresh["account"] != old["account"] || fresh["id"] == old["id"] {
			t.Errorf("%s: got %v in place of %v", account, fresh, old)
		}
	}
}

func TestKeysAreShownWholeOnce(t *testing.T) {
	s := newSite(t)
	made := s.must(t, 201, s.platform, "POST", "/v1/accounts/acme/keys", `{"name":"ci"}`)
	key := made["key"].(string)
	list := s.do(s.platform, "GET", "/v1/accounts/acme/keys", "")
	_, secret, _ := api.ParseKey(key)
	if !strings.Contains(list.body, made["id"].(string)) || strings.Contains(list.body, secret) {
		t.Errorf("the list should name the key and keep its secret: %s", list.body)
	}
	if got := s.must(t, 200, key, "GET", "/v1/accounts/acme", ""); got["id"] != "acme" {
		t.Errorf("got %v", got)
	}
}

func TestKeysAreListedByPages(t *testing.T) {
	s := newSite(t)
	for i := range 5 {
		s.clock.move(time.Second)
		s.must(t, 201, s.platform, "POST", "/v1/accounts/acme/keys", fmt.Sprintf(`{"name":"%d"}`, i))
	}
	var names []string
	for after := "&"; after != ""; {
		got := s.must(t, 200, s.platform, "GET", "/v1/accounts/acme/keys?limit=2"+after, "")
		for _, item := range got["items"].([]any) {
			names = append(names, item.(map[string]any)["name"].(string))
		}
		if after, _ = got["next"].(string); after != "" {
			after = "&after=" + after
		}
	}
	if got := strings.Join(names, " "); got != "test 0 1 2 3 4" {
		t.Errorf("got %s", got)
	}
	root, _, _ := api.ParseKey(s.platform)
	if got := s.do(s.platform, "GET", "/v1/accounts/acme/keys?after="+root, ""); got.status != 422 || got.problem(t).Errors[0].Field != "after" {
		t.Errorf("a key of nobody's as the cursor: got %d %s", got.status, got.body)
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

func TestOnlyAnOperatorMintsKeysThatBelongToNoAccount(t *testing.T) {
	s := newSite(t)
	for _, scope := range []string{"platform", "operator"} {
		body := `{"scope":"` + scope + `"}`
		if got := s.do(s.platform, "POST", "/v1/accounts/acme/keys", body); got.status != 403 {
			t.Errorf("%s key by a platform: got %d, want 403", scope, got.status)
		}
		made := s.must(t, 201, s.operator, "POST", "/v1/accounts/acme/keys", body)
		if made["account"] != nil {
			t.Errorf("%s key: account %v, want none", scope, made["account"])
		}
		s.must(t, 200, made["key"].(string), "GET", "/v1/accounts/other/keys", "")
		s.must(t, 204, s.operator, "DELETE", "/v1/keys/"+made["id"].(string), "")
		if got := s.do(made["key"].(string), "GET", "/v1/accounts/other/keys", ""); got.status != 401 {
			t.Errorf("%s key after its revocation: got %d, want 401", scope, got.status)
		}
	}
	if got := s.do(s.operator, "POST", "/v1/keys", `{}`); got.status != 422 {
		t.Errorf("an account's key without an account: got %d, want 422", got.status)
	}
}

func TestAKeyMadeElsewhereCanBeImported(t *testing.T) {
	s := newSite(t)
	full := "jh_live_root_" + strings.Repeat("aB3", 8)
	k, err := api.ImportKey(full, s.clock.now(), webhook.ScopeOperator, "", "host")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.store.PutKey(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	s.must(t, 200, full, "GET", "/v1/keys", "")
	for _, bad := range []string{"", "jh_live_", "jh_live_root_short", "root_" + strings.Repeat("a", 30), full + "_x", full + "é"} {
		if _, err := api.ImportKey(bad, s.clock.now(), webhook.ScopeOperator, "", ""); err == nil {
			t.Errorf("%q was imported", bad)
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
