package api_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jobhook/jobhook/functions/internal/api"
	"github.com/jobhook/jobhook/shared/webhook"
)

// signIn opens a session with a key, and returns the session's.
func (s *site) signIn(t testing.TB, key string) string {
	t.Helper()
	return s.must(t, 201, key, "POST", "/v1/sessions", "")["key"].(string)
}

// rotated rotates the key of acme, which works for so long then.
func (s *site) rotated(t testing.TB, overlap string) string {
	t.Helper()
	id, _, err := api.ParseKey(s.acme)
	if err != nil {
		t.Fatal(err)
	}
	s.must(t, 201, s.platform, "POST", "/v1/accounts/acme/keys/"+id+":rotate", `{"overlap_seconds":`+overlap+`}`)
	return s.acme
}

func TestASessionIsAKeyOfTheSameScopeAndAccount(t *testing.T) {
	s := newSite(t)
	for _, tt := range []struct {
		scope, key string
		account    any
	}{{"account", s.acme, "acme"}, {"platform", s.platform, nil}, {"operator", s.operator, nil}} {
		made := s.must(t, 201, tt.key, "POST", "/v1/sessions", "")
		ends := stampOf(s.clock.now().Add(12 * time.Hour))
		if made["scope"] != tt.scope || made["account"] != tt.account || made["expires_at"] != ends {
			t.Errorf("%s: got %v", tt.scope, made)
		}
		who := s.must(t, 200, made["key"].(string), "GET", "/v1/session", "")
		if who["scope"] != tt.scope || who["account"] != tt.account || who["session"] != true || who["name"] != "dashboard session" || who["expires_at"] != ends {
			t.Errorf("%s: it is %v", tt.scope, who)
		}
		who = s.must(t, 200, tt.key, "GET", "/v1/session", "")
		if who["scope"] != tt.scope || who["account"] != tt.account || who["session"] != false || who["name"] != "test" || who["expires_at"] != nil {
			t.Errorf("%s: the key is %v", tt.scope, who)
		}
	}
}

func TestASessionReachesItsOwnAccountOnly(t *testing.T) {
	s := newSite(t)
	key := s.signIn(t, s.acme)
	s.must(t, 200, key, "GET", "/v1/accounts/acme", "")
	for _, target := range []string{"/v1/accounts/other", "/v1/accounts/other/keys", "/v1/endpoints?account=other"} {
		if got := s.do(key, "GET", target, ""); got.status != 404 {
			t.Errorf("%s: got %d, want 404", target, got.status)
		}
	}
	if got := s.do(key, "GET", "/v1/accounts", ""); got.status != 403 {
		t.Errorf("all accounts: got %d, want 403", got.status)
	}
}

func TestASessionEndsAfterTwelveHours(t *testing.T) {
	s := newSite(t)
	key := s.signIn(t, s.acme)
	s.clock.move(12*time.Hour - time.Millisecond)
	s.must(t, 200, key, "GET", "/v1/endpoints", "")
	s.clock.move(time.Millisecond)
	if got := s.do(key, "GET", "/v1/endpoints", ""); got.status != 401 {
		t.Errorf("got %d, want 401", got.status)
	}
	s.must(t, 200, s.acme, "GET", "/v1/endpoints", "")
}

func TestASessionEndsWithTheKeyThatOpenedItIfThatEndsSooner(t *testing.T) {
	s := newSite(t)
	made := s.must(t, 201, s.rotated(t, "60"), "POST", "/v1/sessions", "")
	if made["expires_at"] != stampOf(s.clock.now().Add(time.Minute)) {
		t.Errorf("got %v", made)
	}
	s.clock.move(time.Minute)
	if got := s.do(made["key"].(string), "GET", "/v1/endpoints", ""); got.status != 401 {
		t.Errorf("got %d, want 401", got.status)
	}
}

func TestAKeyThatOutlivesTheSessionDoesNotLengthenIt(t *testing.T) {
	s := newSite(t)
	made := s.must(t, 201, s.rotated(t, "86400"), "POST", "/v1/sessions", "")
	if made["expires_at"] != stampOf(s.clock.now().Add(12*time.Hour)) {
		t.Errorf("got %v", made)
	}
}

func TestSigningOutEndsTheSessionAtOnce(t *testing.T) {
	s := newSite(t)
	for _, opener := range []string{s.acme, s.platform, s.operator} {
		key, beside := s.signIn(t, opener), s.signIn(t, opener)
		s.must(t, 204, key, "DELETE", "/v1/session", "")
		for _, method := range []string{"GET", "DELETE"} {
			if got := s.do(key, method, "/v1/session", ""); got.status != 401 {
				t.Errorf("%s after it: got %d, want 401", method, got.status)
			}
		}
		s.must(t, 200, beside, "GET", "/v1/session", "")
		s.must(t, 200, opener, "GET", "/v1/session", "")
	}
}

func TestNobodySignsOutWithAKeyOfHisServer(t *testing.T) {
	s := newSite(t)
	got := s.do(s.acme, "DELETE", "/v1/session", "")
	if got.status != 409 || got.problem(t).Type != "/problems/not-session" {
		t.Errorf("got %d %s", got.status, got.body)
	}
	s.must(t, 200, s.acme, "GET", "/v1/session", "")
}

// TestNoSessionBecomesAKeyForEver tries all that makes keys, with a session of
// each scope and with one of the portal.
func TestNoSessionBecomesAKeyForEver(t *testing.T) {
	s := newSite(t)
	portal := s.must(t, 201, "", "POST", "/v1/portal-sessions", `{"token":"`+s.link(t, "acme")+`"}`)["key"].(string)
	of, _, _ := api.ParseKey(s.acme)
	root, _, _ := api.ParseKey(s.platform)
	account := [][2]string{{"/v1/sessions", ""}, {"/v1/accounts/acme/keys", `{}`}, {"/v1/accounts/acme/keys/" + of + ":rotate", ""}}
	operator := append(account, [2]string{"/v1/accounts/acme/keys", `{"scope":"operator"}`}, [2]string{"/v1/keys", `{"scope":"platform"}`},
		[2]string{"/v1/keys/" + root + ":rotate", ""})
	for _, tt := range []struct {
		name, key string
		requests  [][2]string
	}{
		{"portal", portal, account}, {"account", s.signIn(t, s.acme), account}, {"platform", s.signIn(t, s.platform), account}, {"operator", s.signIn(t, s.operator), operator},
	} {
		for _, r := range tt.requests {
			if got := s.do(tt.key, "POST", r[0], r[1]); got.status != 403 || got.problem(t).Type != "/problems/key-ends" {
				t.Errorf("%s, %s: got %d %s, want 403", tt.name, r[0], got.status, got.body)
			}
		}
		s.must(t, 200, tt.key, "GET", "/v1/accounts/acme/keys", "")
	}
	s.must(t, 200, s.acme, "GET", "/v1/endpoints", "")
}

func TestSessionsAreNotAmongTheKeysButCanBeRevoked(t *testing.T) {
	s := newSite(t)
	key := s.signIn(t, s.acme)
	id := strings.Split(key, "_")[2]
	if list := s.do(s.platform, "GET", "/v1/accounts/acme/keys", ""); list.status != 200 || strings.Contains(list.body, id) {
		t.Errorf("got %d %s", list.status, list.body)
	}
	s.must(t, 204, s.platform, "DELETE", "/v1/accounts/acme/keys/"+id, "")
	if got := s.do(key, "GET", "/v1/endpoints", ""); got.status != 401 {
		t.Errorf("got %d after the revocation, want 401", got.status)
	}
}

func TestASessionIsMadeAnewThoughTheRequestIsRepeated(t *testing.T) {
	s := newSite(t)
	first := s.once(s.acme, "key-1", "/v1/sessions", "")
	again := s.once(s.acme, "key-1", "/v1/sessions", "")
	if first.status != 201 || again.status != 201 || first.body == again.body {
		t.Errorf("got %d %s, then %d %s", first.status, first.body, again.status, again.body)
	}
}

func TestASessionIsRefusedOnceTheKeyThatOpenedItIsGone(t *testing.T) {
	for _, tt := range []struct {
		how          string
		method, verb string
		body         string
	}{{"revoked", "DELETE", "", ""}, {"rotated without overlap", "POST", ":rotate", `{"overlap_seconds":0}`}} {
		s := newSite(t)
		for root, opener := range map[string]string{"/v1/accounts/acme/keys/": s.acme, "/v1/keys/": s.platform} {
			key, id := s.signIn(t, opener), strings.Split(opener, "_")[2]
			s.must(t, 200, key, "GET", "/v1/session", "")
			if got := s.do(s.operator, tt.method, root+id+tt.verb, tt.body); got.status >= 300 {
				t.Fatalf("%s: got %d %s", tt.how, got.status, got.body)
			}
			want := s.do(opener, "GET", "/v1/session", "")
			if got := s.do(key, "GET", "/v1/session", ""); got.status != 401 || got.body != want.body {
				t.Errorf("%s: got %d %s, want %s", tt.how, got.status, got.body, want.body)
			}
		}
		s.must(t, 200, s.other, "GET", "/v1/session", "")
	}
}

func TestASessionOfAKeyThatWasErasedIsRefused(t *testing.T) {
	s := newSite(t)
	full, opener := api.MintKey(s.clock.now(), webhook.ScopeAccount, "acme", "never stored")
	session, k := api.MintKey(s.clock.now(), webhook.ScopeAccount, "acme", "dashboard session")
	k.Session, k.RevokedAt, k.Opener = true, s.clock.now().Add(time.Hour), opener.ID
	if err := s.store.PutKey(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	want := s.do(full, "GET", "/v1/session", "")
	if got := s.do(session, "GET", "/v1/session", ""); got.status != 401 || got.body != want.body {
		t.Errorf("got %d %s, want %s", got.status, got.body, want.body)
	}
}

// keyless is a store that cannot read one key.
type keyless struct {
	api.Store
	id string
}

func (k keyless) Key(ctx context.Context, id string) (webhook.Key, error) {
	if id == k.id {
		return webhook.Key{}, errors.New("throttled")
	}
	return k.Store.Key(ctx, id)
}

func TestASessionWhoseOpenerCannotBeReadIsNotTakenForAWrongKey(t *testing.T) {
	s := newSite(t)
	key, id := s.signIn(t, s.acme), strings.Split(s.acme, "_")[2]
	s = s.with(func(c *api.Config) { c.Store = keyless{s.store, id} })
	if got := s.do(key, "GET", "/v1/session", ""); got.status != 500 || strings.Contains(got.body, "throttled") {
		t.Errorf("got %d %s, want 500", got.status, got.body)
	}
}

// TestNoSessionEndsKeys tries it with a session of each scope and with one of the
// portal: who has an hour must not cut off the servers of a customer.
func TestNoSessionEndsKeys(t *testing.T) {
	s := newSite(t)
	portal := s.must(t, 201, "", "POST", "/v1/portal-sessions", `{"token":"`+s.link(t, "acme")+`"}`)["key"].(string)
	of, root := "/v1/accounts/acme/keys/"+strings.Split(s.acme, "_")[2], "/v1/keys/"+strings.Split(s.platform, "_")[2]
	for _, tt := range []struct{ name, key, path string }{
		{"portal", portal, of}, {"account", s.signIn(t, s.acme), of}, {"platform", s.signIn(t, s.platform), of},
		{"operator", s.signIn(t, s.operator), of}, {"operator, a platform's", s.signIn(t, s.operator), root},
	} {
		if got := s.do(tt.key, "DELETE", tt.path, ""); got.status != 403 || got.problem(t).Type != "/problems/key-ends" {
			t.Errorf("%s: got %d %s, want 403", tt.name, got.status, got.body)
		}
	}
	s.must(t, 200, s.acme, "GET", "/v1/endpoints", "")
	s.must(t, 200, s.platform, "GET", "/v1/session", "")
	s.must(t, 204, s.acme, "DELETE", of, "")
}
