package api_test

import (
	"strings"
	"testing"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

func TestAnAccountsURLIsSetChangedAndRemoved(t *testing.T) {
	s := newSite(t)
	endpoint := func(m map[string]any) map[string]any {
		e, _ := m["default_endpoint"].(map[string]any)
		return e
	}
	made := endpoint(s.must(t, 200, s.platform, "PUT", "/v1/accounts/acme", `{"name":"Acme","webhook_url":"https://a.example/1"}`))
	if made["format"] != "auto" || made["signing"] != "hmac" || !strings.HasPrefix(made["secret"].(string), "whsec_") || made["default"] != true {
		t.Errorf("made: %v", made)
	}
	read := s.must(t, 200, s.acme, "GET", "/v1/accounts/acme", "")
	if read["name"] != "Acme" || endpoint(read)["secret"] != nil || endpoint(read)["id"] != made["id"] {
		t.Errorf("read: %v", read)
	}
	changed := endpoint(s.must(t, 200, s.platform, "PUT", "/v1/accounts/acme", `{"webhook_url":"https://a.example/2","webhook_format":"standard"}`))
	if changed["id"] != made["id"] || changed["url"] != "https://a.example/2" || changed["format"] != "standard" || changed["secret"] != nil {
		t.Errorf("changed: %v", changed)
	}
	signed := endpoint(s.must(t, 200, s.platform, "PUT", "/v1/accounts/acme", `{"signing":"ed25519"}`))
	if !strings.HasPrefix(signed["public_key"].(string), "whpk_") || signed["secret"] != nil {
		t.Errorf("signed: %v", signed)
	}
	if gone := s.must(t, 200, s.platform, "PUT", "/v1/accounts/acme", `{"webhook_url":""}`); endpoint(gone) != nil || gone["name"] != "Acme" {
		t.Errorf("removed: %v", gone)
	}
	s.must(t, 200, s.platform, "PUT", "/v1/accounts/acme", `{"webhook_url":""}`)
	if list := s.must(t, 200, s.acme, "GET", "/v1/endpoints", ""); len(list["items"].([]any)) != 0 {
		t.Errorf("still there: %v", list)
	}
}

func TestANewURLEnablesADefaultEndpointThatWasGivenUp(t *testing.T) {
	s := newSite(t)
	made := s.must(t, 200, s.platform, "PUT", "/v1/accounts/acme", `{"webhook_url":"https://a.example/1"}`)
	id := made["default_endpoint"].(map[string]any)["id"].(string)
	if err := s.store.Disable(t.Context(), "acme", id, "https://a.example/1", "410"); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ url, want string }{{"https://a.example/1", "disabled"}, {"https://a.example/2", "enabled"}} {
		got := s.must(t, 200, s.platform, "PUT", "/v1/accounts/acme", `{"webhook_url":"`+tt.url+`"}`)
		if status := got["default_endpoint"].(map[string]any)["status"]; status != tt.want {
			t.Errorf("%s: %v, want %s", tt.url, status, tt.want)
		}
	}
}

func TestAnEndpointIsMadeReadChangedAndDeleted(t *testing.T) {
	s := newSite(t)
	made := s.must(t, 201, s.acme, "POST", "/v1/endpoints",
		`{"url":"https://a.example/hook","types":["job.failed"],"policy":{"retry_seconds":[1,2],"success":"200"}}`)
	id := made["id"].(string)
	if !strings.HasPrefix(id, "ep_") || made["format"] != "standard" || made["status"] != "enabled" || made["secret"] == nil {
		t.Errorf("made: %v", made)
	}
	if health := made["health"].(map[string]any); health["state"] != "healthy" {
		t.Errorf("health: %v", health)
	}
	h := webhook.Health{Endpoint: id, State: webhook.Failing, Since: s.clock.now(), Reason: "the receiver answered 500"}
	s.falls(t, h)
	read := s.must(t, 200, s.platform, "GET", "/v1/endpoints/"+id+"?account=acme", "")
	if health := read["health"].(map[string]any); health["state"] != "failing" || health["since"] != stampOf(h.Since) || read["secret"] != nil {
		t.Errorf("read: %v", read)
	}
	s.clock.move(time.Minute)
	paused := s.must(t, 200, s.acme, "PATCH", "/v1/endpoints/"+id, `{"status":"paused","types":[]}`)
	if paused["status"] != "paused" || paused["status_reason"] != "paused by its owner" || len(paused["types"].([]any)) != 0 ||
		paused["url"] != "https://a.example/hook" || len(paused["policy"].(map[string]any)) != 2 {
		t.Errorf("paused: %v", paused)
	}
	again := s.must(t, 200, s.acme, "PATCH", "/v1/endpoints/"+id, `{"status":"enabled","policy":{}}`)
	if again["status_reason"] != nil || len(again["policy"].(map[string]any)) != 0 {
		t.Errorf("enabled: %v", again)
	}
	s.must(t, 204, s.acme, "DELETE", "/v1/endpoints/"+id, "")
	if got := s.do(s.acme, "GET", "/v1/endpoints/"+id, ""); got.status != 404 {
		t.Errorf("after its deletion: got %d", got.status)
	}
}

func TestSecretsAreShownWhenTheyChangeAndNeverPrivateKeys(t *testing.T) {
	s := newSite(t)
	own := "whsec_" + strings.Repeat("QUJD", 8)
	id := s.must(t, 201, s.acme, "POST", "/v1/endpoints", `{"url":"https://a.example","secret":"`+own+`"}`)["id"].(string)
	for _, tt := range []struct{ patch, signing, shows string }{
		{`{"signing":"hmac"}`, "hmac", ""},
		{`{"signing":"ed25519"}`, "ed25519", "public_key"},
		{`{"url":"https://b.example"}`, "ed25519", "public_key"},
		{`{"signing":"none"}`, "none", ""},
		{`{"signing":"hmac"}`, "hmac", "secret"},
		{`{"secret":"` + own + `"}`, "hmac", "secret"},
	} {
		got := s.do(s.acme, "PATCH", "/v1/endpoints/"+id, tt.patch)
		e := object(t, got.body)
		if e["signing"] != tt.signing || (e["secret"] != nil) != (tt.shows == "secret") || (e["public_key"] != nil) != (tt.shows == "public_key") {
			t.Errorf("%s: got %s", tt.patch, got.body)
		}
		if strings.Contains(got.body, "whsk_") {
			t.Errorf("%s: a private key is shown: %s", tt.patch, got.body)
		}
	}
}

func TestAnAccountHasRoomForAHundredEndpoints(t *testing.T) {
	s := newSite(t)
	have, err := s.store.Endpoints(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	for range 100 - len(have) {
		s.must(t, 201, s.acme, "POST", "/v1/endpoints", `{"url":"https://a.example"}`)
	}
	got := s.do(s.acme, "POST", "/v1/endpoints", `{"url":"https://a.example"}`)
	if got.status != 409 || !strings.Contains(got.body, "/problems/too-many-endpoints") {
		t.Errorf("got %d %s, want 409 too-many-endpoints", got.status, got.body)
	}
}
