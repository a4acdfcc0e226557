package api_test

import (
	"context"
	"errors"
	"io"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jobhook/jobhook/functions/internal/api"
	"github.com/jobhook/jobhook/shared/webhook"
)

// once sends a POST with an Idempotency-Key.
func (s *site) once(key, idempotency, target, body string) answer {
	r := httptest.NewRequest("POST", target, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Idempotency-Key", idempotency)
	return s.send(r)
}

func (s *site) endpointCount(t testing.TB, account string) int {
	t.Helper()
	list, err := s.store.Endpoints(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

func TestARepeatedRequestGetsTheFirstAnswerAndHappensOnce(t *testing.T) {
	s := newSite(t)
	body := `{"url":"https://a.example"}`
	first := s.once(s.acme, "k 1", "/v1/endpoints", body)
	if first.status != 201 || first.header.Get("Idempotency-Replayed") != "" {
		t.Fatalf("first: %d %s", first.status, first.body)
	}
	s.clock.move(24*time.Hour - time.Second)
	again := s.once(s.acme, "k 1", "/v1/endpoints", body)
	if again.status != 201 || again.body != first.body || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("again: %d %s, replayed %q; first %s", again.status, again.body, again.header.Get("Idempotency-Replayed"), first.body)
	}
	for _, name := range []string{"Content-Type", "ETag"} {
		if again.header.Get(name) != first.header.Get(name) || first.header.Get(name) == "" {
			t.Errorf("%s: %q, first %q", name, again.header.Get(name), first.header.Get(name))
		}
	}
	if n := s.endpointCount(t, "acme"); n != 1 {
		t.Errorf("%d endpoints, want 1", n)
	}
	s.clock.move(time.Second)
	if late := s.once(s.acme, "k 1", "/v1/endpoints", body); late.status != 201 || late.body == first.body {
		t.Errorf("after a day: %d %s", late.status, late.body)
	}
}

func TestAnIdempotencyKeyCountsForItsCallerAndRouteOnly(t *testing.T) {
	s := newSite(t)
	body := `{"url":"https://a.example"}`
	first := s.once(s.acme, "k", "/v1/endpoints", body)
	for name, other := range map[string]answer{
		"another account": s.once(s.other, "k", "/v1/endpoints", body),
		"another key":     s.once(s.mint(t, webhook.ScopeAccount, "acme"), "k", "/v1/endpoints", body),
		"no key":          s.do(s.acme, "POST", "/v1/endpoints", body),
	} {
		if other.status != 201 || other.body == first.body || other.header.Get("Idempotency-Replayed") != "" {
			t.Errorf("%s: %d %s", name, other.status, other.body)
		}
	}
	id := object(t, first.body)["id"].(string)
	if got := s.once(s.acme, "k", "/v1/endpoints/"+id+":pause", ""); got.status != 200 || object(t, got.body)["status"] != "paused" {
		t.Errorf("another route: %d %s", got.status, got.body)
	}
}

func TestAnotherRequestUnderTheSameKeyIsRefused(t *testing.T) {
	s := newSite(t)
	s.once(s.platform, "k", "/v1/endpoints?account=acme", `{"url":"https://a.example"}`)
	for _, tt := range []struct{ target, body string }{
		{"/v1/endpoints?account=acme", `{"url":"https://b.example"}`},
		{"/v1/endpoints?account=other", `{"url":"https://a.example"}`},
	} {
		got := s.once(s.platform, "k", tt.target, tt.body)
		if got.status != 422 || got.problem(t).Type != "/problems/idempotency-mismatch" {
			t.Errorf("%s %s: got %d %s", tt.target, tt.body, got.status, got.body)
		}
	}
	if n := s.endpointCount(t, "acme") + s.endpointCount(t, "other"); n != 1 {
		t.Errorf("%d endpoints, want 1", n)
	}
}

func TestARefusalIsRepeatedToo(t *testing.T) {
	s := newSite(t)
	first := s.once(s.acme, "k", "/v1/endpoints", `{"url":"ftp://a"}`)
	again := s.once(s.acme, "k", "/v1/endpoints", `{"url":"ftp://a"}`)
	if first.status != 422 || again.status != 422 || again.body != first.body || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("first %d %s, again %d %s", first.status, first.body, again.status, again.body)
	}
	again.problem(t)
}

func TestAConflictIsNotKept(t *testing.T) {
	s := newSite(t)
	s.must(t, 200, s.platform, "PUT", "/v1/accounts/acme", `{"quotas":{"endpoints":1}}`)
	path, _ := s.endpoint(t, `{"url":"https://a.example"}`)
	if got := s.once(s.acme, "k", "/v1/endpoints", `{"url":"https://b.example"}`); got.status != 409 {
		t.Fatalf("beyond the quota: got %d %s", got.status, got.body)
	}
	s.must(t, 204, s.acme, "DELETE", path, "")
	if got := s.once(s.acme, "k", "/v1/endpoints", `{"url":"https://b.example"}`); got.status != 201 || got.header.Get("Idempotency-Replayed") != "" {
		t.Errorf("when there is room: got %d %s", got.status, got.body)
	}
}

func TestARequestThatWasGivenUpDoesNotUndoItsSuccessor(t *testing.T) {
	s := newSite(t)
	body := `{"url":"https://a.example"}`
	var successor answer
	calls := 0
	s = s.with(func(c *api.Config) {
		c.Store = stumbling{s.store, func() error {
			if calls++; calls > 1 {
				return nil
			}
			s.clock.move(time.Minute)
			successor = s.once(s.acme, "k", "/v1/endpoints", body)
			return errors.New("disk full")
		}}
	})
	if got := s.once(s.acme, "k", "/v1/endpoints", body); got.status != 500 {
		t.Errorf("the first: %d %s", got.status, got.body)
	}
	again := s.once(s.acme, "k", "/v1/endpoints", body)
	if successor.status != 201 || again.status != 201 || again.body != successor.body || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("successor %d %s, again %d %s", successor.status, successor.body, again.status, again.body)
	}
}

// stumbling is a store whose PutEndpoint does something else first.
type stumbling struct {
	api.Store
	put func() error
}

func (s stumbling) PutEndpoint(ctx context.Context, e webhook.Endpoint) error {
	if err := s.put(); err != nil {
		return err
	}
	return s.Store.PutEndpoint(ctx, e)
}

func TestWhatWeFailedAtCanBeTriedAgainAtOnce(t *testing.T) {
	for name, fail := range map[string]func() error{
		"an error": func() error { return errors.New("disk full") },
		"a panic":  func() error { panic("the roof is on fire") },
	} {
		s := newSite(t)
		failing := true
		s = s.with(func(c *api.Config) {
			c.Store = stumbling{s.store, func() error {
				if failing {
					return fail()
				}
				return nil
			}}
		})
		if got := s.once(s.acme, "k", "/v1/endpoints", `{"url":"https://a.example"}`); got.status != 500 {
			t.Errorf("%s: got %d, want 500", name, got.status)
		} else {
			got.problem(t)
		}
		failing = false
		if got := s.once(s.acme, "k", "/v1/endpoints", `{"url":"https://a.example"}`); got.status != 201 || got.header.Get("Idempotency-Replayed") != "" {
			t.Errorf("%s, again: got %d %s", name, got.status, got.body)
		}
	}
}

func TestARequestUnderWayIsNotRepeatedUntilItIsGivenUp(t *testing.T) {
	s := newSite(t)
	var during, late answer
	body := `{"url":"https://a.example"}`
	first := true
	s = s.with(func(c *api.Config) {
		c.Store = stumbling{s.store, func() error {
			if !first {
				return nil
			}
			first = false
			during = s.once(s.acme, "k", "/v1/endpoints", body)
			s.clock.move(time.Minute)
			late = s.once(s.acme, "k", "/v1/endpoints", body)
			return nil
		}}
	})
	if got := s.once(s.acme, "k", "/v1/endpoints", body); got.status != 201 {
		t.Errorf("the first: %d %s", got.status, got.body)
	}
	if during.status != 409 || during.problem(t).Type != "/problems/idempotency-in-flight" || during.header.Get("Retry-After") == "" {
		t.Errorf("while it was under way: %d %s", during.status, during.body)
	}
	if late.status != 201 {
		t.Errorf("a minute later: %d %s", late.status, late.body)
	}
}

func TestOfManyAtOnceOneHappens(t *testing.T) {
	s := newSite(t)
	var wait sync.WaitGroup
	for range 20 {
		wait.Go(func() {
			if got := s.once(s.acme, "k", "/v1/endpoints", `{"url":"https://a.example"}`); got.status != 201 && got.status != 409 {
				t.Errorf("got %d %s", got.status, got.body)
			}
		})
	}
	wait.Wait()
	if n := s.endpointCount(t, "acme"); n != 1 {
		t.Errorf("%d endpoints, want 1", n)
	}
}

func TestOnlyPrintableIdempotencyKeysAreTaken(t *testing.T) {
	s := newSite(t)
	for key, want := range map[string]int{
		"": 422, strings.Repeat("x", 256): 422, "a\tb": 422, "ä": 422, "\x7f": 422, strings.Repeat("x", 255): 201, `"550e8400-~!"`: 201,
	} {
		if got := s.once(s.acme, key, "/v1/endpoints", `{"url":"https://a.example"}`); got.status != want {
			t.Errorf("%q: got %d %s, want %d", key, got.status, got.body, want)
		}
	}
}

func TestABodyThatIsNotWholeIsRefusedAsWithoutAnIdempotencyKey(t *testing.T) {
	s := newSite(t)
	for name, tt := range map[string]struct {
		body io.Reader
		want int
	}{
		"broken off": {io.MultiReader(strings.NewReader(`{"url":`), breaking{}), 400},
		"too long":   {strings.NewReader(`{"url":"` + strings.Repeat("x", 2<<20) + `"}`), 413},
	} {
		r := httptest.NewRequest("POST", "/v1/endpoints", tt.body)
		r.Header.Set("Authorization", "Bearer "+s.acme)
		r.Header.Set("Idempotency-Key", "k")
		if got := s.send(r); got.status != tt.want {
			t.Errorf("%s: got %d %s, want %d", name, got.status, got.body, tt.want)
		}
	}
	if got := s.once(s.acme, "k", "/v1/endpoints", `{"url":"https://a.example"}`); got.status != 201 {
		t.Errorf("whole: got %d %s", got.status, got.body)
	}
}
