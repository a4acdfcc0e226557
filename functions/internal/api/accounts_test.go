package api_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

func TestACustomerSetsHisOwnDefaultURL(t *testing.T) {
	s := newSite(t)
	s.must(t, 200, s.platform, "PUT", "/v1/accounts/acme", `{"quotas":{"endpoints":2}}`)
	s.clock.move(time.Hour)
	path := "/v1/accounts/acme"
	if got := s.must(t, 200, s.acme, "PATCH", path, `{}`); got["default_endpoint"] != nil {
		t.Errorf("nothing was set, yet: %v", got)
	}
	made := s.must(t, 200, s.acme, "PATCH", path, `{"webhook_url":"https://a.example/1","signing":"ed25519"}`)
	first := made["default_endpoint"].(map[string]any)
	if first["url"] != "https://a.example/1" || first["default"] != true || first["format"] != "auto" || first["signing"] != "ed25519" || first["public_key"] == nil {
		t.Errorf("made: %v", first)
	}
	changed := s.must(t, 200, s.acme, "PATCH", path, `{"webhook_url":"https://a.example/2","webhook_format":"standard","signing":"hmac"}`)
	second := changed["default_endpoint"].(map[string]any)
	if second["id"] != first["id"] || second["url"] != "https://a.example/2" || second["format"] != "standard" || !strings.HasPrefix(fmt.Sprint(second["secret"]), "whsec_") {
		t.Errorf("changed: %v", second)
	}
	if changed["name"] != "acme" || fmt.Sprint(changed["quotas"]) != "map[endpoints:2]" || changed["updated_at"] != stampOf(s.clock.now().Add(-time.Hour)) {
		t.Errorf("the platform's part of the account changed: %v", changed)
	}
	if gone := s.must(t, 200, s.acme, "PATCH", path, `{"webhook_url":""}`); gone["default_endpoint"] != nil {
		t.Errorf("removed: %v", gone)
	}
}

func TestACustomerChangesNothingOfHisAccountButItsDefaultURL(t *testing.T) {
	s := newSite(t)
	for _, tt := range []struct {
		body   string
		status int
		code   string
		field  string
	}{
		{`{"name":"x"}`, 422, "invalid", "name"},
		{`{"quotas":{"endpoints":50}}`, 422, "invalid", "quotas"},
		{`{"webhook_url":"http://10.1.1.1"}`, 422, "invalid", "webhook_url"},
		{`{"webhook_url":"gopher://a"}`, 422, "invalid", "webhook_url"},
		{`{"webhook_format":"standard"}`, 422, "invalid", "webhook_format"},
		{`{"signing":"hmac"}`, 422, "invalid", "signing"},
	} {
		got := s.do(s.acme, "PATCH", "/v1/accounts/acme", tt.body)
		p := got.problem(t)
		if got.status != tt.status || p.Type != "/problems/"+tt.code || len(p.Errors) != 1 || p.Errors[0].Field != tt.field {
			t.Errorf("%s: got %d %s", tt.body, got.status, got.body)
		}
	}
	s.must(t, 200, s.platform, "PUT", "/v1/accounts/acme", `{"quotas":{"endpoints":1}}`)
	s.must(t, 201, s.acme, "POST", "/v1/endpoints", `{"url":"https://a.example"}`)
	if got := s.do(s.acme, "PATCH", "/v1/accounts/acme", `{"webhook_url":"https://b.example"}`); got.status != 409 || got.problem(t).Type != "/problems/too-many-endpoints" {
		t.Errorf("beyond the quota: got %d %s", got.status, got.body)
	}
}

func TestThePatchOfAnAccountMakesNone(t *testing.T) {
	s := newSite(t)
	if got := s.do(s.platform, "PATCH", "/v1/accounts/none", `{"webhook_url":"https://a.example"}`); got.status != 404 {
		t.Errorf("got %d %s, want 404", got.status, got.body)
	}
	if got := s.do(s.platform, "GET", "/v1/endpoints?account=none", ""); strings.Contains(got.body, "ep_") {
		t.Errorf("an endpoint of nobody's: %s", got.body)
	}
}

func TestAccountsAreListedByPagesInTheOrderOfTheirIDs(t *testing.T) {
	s := newSite(t)
	for _, id := range []string{"zebra", "B", "a/b"} {
		if err := s.store.PutAccount(t.Context(), webhook.Account{ID: id, CreatedAt: s.clock.now(), UpdatedAt: s.clock.now().Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
	}
	var ids []string
	for after := ""; ; {
		got := s.must(t, 200, s.platform, "GET", "/v1/accounts?limit=2"+after, "")
		for _, item := range got["items"].([]any) {
			one := item.(map[string]any)
			if one["created_at"] != stampOf(s.clock.now()) || one["updated_at"] == nil || one["default_endpoint"] != nil {
				t.Errorf("got %v", one)
			}
			ids = append(ids, one["id"].(string))
		}
		next, more := got["next"].(string)
		if !more {
			break
		}
		after = "&after=" + next
	}
	if got := strings.Join(ids, " "); got != "B a/b acme other zebra" {
		t.Errorf("got %s", got)
	}
	if got := s.do(s.platform, "GET", "/v1/accounts?after=%00", ""); got.status != 422 || got.problem(t).Errors[0].Field != "after" {
		t.Errorf("no cursor: got %d %s", got.status, got.body)
	}
}
