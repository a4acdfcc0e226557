package api_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jobhook/jobhook/functions/internal/api"
	"github.com/jobhook/jobhook/shared/webhook"
)

func TestAnAccountsRateIsSharedByItsKeysAndToldAhead(t *testing.T) {
	s := newSite(t)
	s = s.with(func(c *api.Config) { c.Rate = 2 })
	keys := []string{s.acme, s.mint(t, webhook.ScopeAccount, "acme")}
	for i := range 4 {
		got := s.do(keys[i%2], "GET", "/v1/endpoints", "")
		if want := fmt.Sprintf(`"default";r=%d;t=%d`, 3-i, (i+2)/2); got.status != 200 || got.header.Get("RateLimit") != want {
			t.Errorf("request %d: %d, RateLimit %s, want %s", i, got.status, got.header.Get("RateLimit"), want)
		}
		if got.header.Get("RateLimit-Policy") != `"default";q=4;w=2` {
			t.Errorf("policy %s", got.header.Get("RateLimit-Policy"))
		}
	}
	refused := s.do(s.acme, "GET", "/v1/endpoints", "")
	if refused.status != 429 || refused.problem(t).Type != "/problems/too-many-requests" || refused.header.Get("Retry-After") != "1" ||
		refused.header.Get("RateLimit") != `"default";r=0;t=2` {
		t.Errorf("got %d, headers %v: %s", refused.status, refused.header, refused.body)
	}
	s.must(t, 200, s.other, "GET", "/v1/endpoints", "")
	s.clock.move(time.Second)
	s.must(t, 200, s.acme, "GET", "/v1/endpoints", "")
	s.must(t, 200, s.acme, "GET", "/v1/endpoints", "")
	if got := s.do(s.acme, "GET", "/v1/endpoints", ""); got.status != 429 {
		t.Errorf("a third within the second: got %d, want 429", got.status)
	}
}

func TestPlatformsHaveARateOnlyWhereTheHostSetsOne(t *testing.T) {
	s := newSite(t)
	for range 300 {
		if got := s.do(s.platform, "GET", "/v1/jobs/none", ""); got.status != 404 || got.header.Get("RateLimit") != "" {
			t.Fatalf("got %d %s, RateLimit %q", got.status, got.body, got.header.Get("RateLimit"))
		}
	}
	s = s.with(func(c *api.Config) { c.Rate = 1 })
	for i, want := range []int{404, 404, 429} {
		if got := s.do(s.platform, "GET", "/v1/jobs/none", ""); got.status != want {
			t.Errorf("request %d: got %d, want %d", i, got.status, want)
		}
	}
	if got := s.do(s.operator, "GET", "/v1/jobs/none", ""); got.status != 404 {
		t.Errorf("another key: got %d, want 404", got.status)
	}
}

func TestAnAccountMayMakeAHundredRequestsASecondUnlessItsQuotaIsAnother(t *testing.T) {
	s := newSite(t)
	policy := func() string { return s.do(s.acme, "GET", "/v1/endpoints", "").header.Get("RateLimit-Policy") }
	if got := policy(); got != `"default";q=200;w=2` {
		t.Errorf("got %s", got)
	}
	for _, tt := range []struct{ quota, want string }{{"3", `"default";q=6;w=2`}, {"500", `"default";q=1000;w=2`}, {"0", `"default";q=200;w=2`}} {
		s.must(t, 200, s.platform, "PUT", "/v1/accounts/acme", `{"quotas":{"request_rate":`+tt.quota+`}}`)
		s.clock.move(time.Minute) // stores keep quotas for so long
		if got := policy(); got != tt.want {
			t.Errorf("quota %s: got %s, want %s", tt.quota, got, tt.want)
		}
	}
}

func TestARefusalForTheRateIsNotKeptUnderAnIdempotencyKey(t *testing.T) {
	s := newSite(t)
	s = s.with(func(c *api.Config) { c.Rate = 1 })
	s.do(s.acme, "GET", "/v1/endpoints", "")
	s.do(s.acme, "GET", "/v1/endpoints", "")
	if got := s.once(s.acme, "k", "/v1/endpoints", `{"url":"https://a.example"}`); got.status != 429 {
		t.Fatalf("got %d, want 429", got.status)
	}
	s.clock.move(time.Second)
	if got := s.once(s.acme, "k", "/v1/endpoints", `{"url":"https://a.example"}`); got.status != 201 {
		t.Errorf("got %d %s, want 201", got.status, got.body)
	}
}

func TestAnOpenTabAndTheProgramsOfACustomerDoNotStarveEachOther(t *testing.T) {
	s := newSite(t)
	s = s.with(func(c *api.Config) { c.Rate = 2 })
	s.must(t, 200, s.platform, "PUT", "/v1/accounts/acme", `{"quotas":{"request_rate":1}}`)
	tab, beside := s.signIn(t, s.acme), s.signIn(t, s.acme) // which the programs have made
	own := s.signIn(t, s.mint(t, webhook.ScopeAccount, "other"))
	for i, key := range []string{tab, beside, tab, beside} {
		want := fmt.Sprintf(`"default";r=%d;t=%d`, 3-i, (i+2)/2)
		if got := s.do(key, "GET", "/v1/endpoints", ""); got.status != 200 || got.header.Get("RateLimit") != want {
			t.Errorf("request %d: got %d, RateLimit %s, want %s", i, got.status, got.header.Get("RateLimit"), want)
		}
	}
	for name, key := range map[string]string{"tab": tab, "beside": beside, "program": s.acme} {
		if got := s.do(key, "GET", "/v1/endpoints", ""); got.status != 429 {
			t.Errorf("%s: got %d, want 429", name, got.status)
		}
	}
	s.must(t, 200, own, "GET", "/v1/endpoints", "")
	s.must(t, 200, s.signIn(t, s.mint(t, webhook.ScopeAccount, "other")), "GET", "/v1/endpoints", "")
	s.clock.move(time.Second)
	s.must(t, 200, s.acme, "GET", "/v1/endpoints", "")
	s.must(t, 200, tab, "GET", "/v1/endpoints", "")
}

func TestSessionsOfThePortalShareARateByAccountAndAreNotThoseOfAKey(t *testing.T) {
	s := newSite(t)
	s = s.with(func(c *api.Config) { c.Rate = 1 })
	enter := func(account string) string {
		s.clock.move(time.Minute) // the platform has a rate too
		return s.must(t, 201, "", "POST", "/v1/portal-sessions", `{"token":"`+s.link(t, account)+`"}`)["key"].(string)
	}
	one, two, others, tab := enter("acme"), enter("acme"), enter("other"), s.signIn(t, s.acme)
	for i, key := range []string{one, two} {
		if got := s.do(key, "GET", "/v1/endpoints", ""); got.status != 200 {
			t.Errorf("request %d: got %d, want 200", i, got.status)
		}
	}
	for _, key := range []string{one, two} {
		if got := s.do(key, "GET", "/v1/endpoints", ""); got.status != 429 {
			t.Errorf("got %d, want 429", got.status)
		}
	}
	s.must(t, 200, others, "GET", "/v1/endpoints", "")
	s.must(t, 200, tab, "GET", "/v1/endpoints", "")
}

func TestSessionsOfPlatformsHaveARateToo(t *testing.T) {
	s := newSite(t)
	for _, key := range []string{s.platform, s.operator, s.acme} {
		got := s.do(s.signIn(t, key), "GET", "/v1/session", "")
		if got.status != 200 || got.header.Get("RateLimit-Policy") != `"default";q=200;w=2` {
			t.Errorf("got %d, policy %s", got.status, got.header.Get("RateLimit-Policy"))
		}
	}
}

func TestWhoHasNoRequestsLeftSignsOutAllTheSame(t *testing.T) {
	s := newSite(t)
	s = s.with(func(c *api.Config) { c.Rate = 1 })
	key := s.signIn(t, s.acme)
	for _, want := range []int{200, 200, 429} {
		if got := s.do(key, "GET", "/v1/session", ""); got.status != want {
			t.Errorf("got %d, want %d", got.status, want)
		}
	}
	s.must(t, 204, key, "DELETE", "/v1/session", "")
	if got := s.do(key, "GET", "/v1/session", ""); got.status != 401 {
		t.Errorf("got %d, want 401", got.status)
	}
}
