package api_test

import (
	"net/url"
	"strings"
	"testing"
	"time"
)

// link makes a portal link and returns its token.
func (s *site) link(t testing.TB, account string) string {
	t.Helper()
	made := s.must(t, 201, s.platform, "POST", "/v1/accounts/"+account+"/portal-links", "")
	u, err := url.Parse(made["url"].(string))
	if err != nil || u.Host != "jobhook.example" || u.Path != "/portal" || made["expires_at"] != stampOf(s.clock.now().Add(time.Hour)) {
		t.Fatalf("got %v (%v)", made, err)
	}
	return u.Query().Get("token")
}

func TestAPortalLinkOpensASessionOfAnHour(t *testing.T) {
	s := newSite(t)
	token := s.link(t, "acme")
	s.clock.move(59 * time.Minute)
	got := s.must(t, 201, "", "POST", "/v1/portal-sessions", `{"token":"`+token+`"}`)
	key := got["key"].(string)
	if got["account"] != "acme" || got["expires_at"] != stampOf(s.clock.now().Add(time.Hour)) {
		t.Errorf("got %v", got)
	}
	if read := s.must(t, 200, key, "GET", "/v1/accounts/acme", ""); read["id"] != "acme" {
		t.Errorf("got %v", read)
	}
	if who := s.must(t, 200, key, "GET", "/v1/session", ""); who["session"] != true || who["account"] != "acme" || who["name"] != "portal session" {
		t.Errorf("the session is %v", who)
	}
	id := strings.Split(key, "_")[2]
	if rotated := s.do(s.platform, "POST", "/v1/accounts/acme/keys/"+id+":rotate", ""); rotated.status != 409 {
		t.Errorf("a session becomes a key for ever: %d %s", rotated.status, rotated.body)
	}
	s.clock.move(time.Hour - time.Second)
	s.must(t, 200, key, "GET", "/v1/endpoints", "")
	if list := s.do(s.platform, "GET", "/v1/accounts/acme/keys", ""); strings.Contains(list.body, id) {
		t.Errorf("the session is among the keys: %s", list.body)
	}
	s.clock.move(time.Second)
	if late := s.do(key, "GET", "/v1/endpoints", ""); late.status != 401 {
		t.Errorf("after an hour: got %d, want 401", late.status)
	}
}

func TestAllLinksThatAreNotValidLookAlike(t *testing.T) {
	s := newSite(t)
	used, expired, fresh := s.link(t, "acme"), s.link(t, "acme"), ""
	s.must(t, 201, "", "POST", "/v1/portal-sessions", `{"token":"`+used+`"}`)
	s.clock.move(time.Hour)
	fresh = s.link(t, "acme")
	parts := strings.Split(fresh, "_")
	want := s.do("", "POST", "/v1/portal-sessions", `{"token":""}`)
	if want.status != 401 || want.problem(t).Type != "/problems/unauthorized" {
		t.Fatalf("got %d %s", want.status, want.body)
	}
	for name, token := range map[string]string{
		"used": used, "expired": expired, "wrong secret": "pl_" + parts[1] + "_" + strings.Repeat("z", len(parts[2])),
		"unknown": "pl_nobody_" + parts[2], "no secret": "pl_" + parts[1], "a key": s.acme, "long": strings.Repeat("x", 10_000), "no text": `\u0000`,
	} {
		if got := s.do("", "POST", "/v1/portal-sessions", `{"token":"`+token+`"}`); got.status != 401 || got.body != want.body {
			t.Errorf("%s: got %d %s, want %s", name, got.status, got.body, want.body)
		}
	}
	s.must(t, 201, "", "POST", "/v1/portal-sessions", `{"token":"`+fresh+`"}`)
	if got := s.do(s.platform, "POST", "/v1/accounts/none/portal-links", ""); got.status != 404 {
		t.Errorf("a link for an unknown account: got %d", got.status)
	}
	if got := s.do("", "POST", "/v1/portal-sessions", ``); got.status != 400 {
		t.Errorf("no body: got %d", got.status)
	}
}

func TestALinkThatASessionMadeEndsWithTheSession(t *testing.T) {
	s := newSite(t)
	key := s.signIn(t, s.platform)
	ends := s.clock.now().Add(12 * time.Hour)
	linked := func() string {
		t.Helper()
		return s.must(t, 201, key, "POST", "/v1/accounts/acme/portal-links", "")["expires_at"].(string)
	}
	if got := linked(); got != stampOf(s.clock.now().Add(time.Hour)) {
		t.Errorf("of a fresh session: it ends at %s", got)
	}
	s.clock.move(11*time.Hour + 20*time.Minute)
	if got := linked(); got != stampOf(ends) {
		t.Errorf("of a session with 40 minutes left: it ends at %s, want %s", got, stampOf(ends))
	}
	s.link(t, "acme") // that of a key has its hour
}
