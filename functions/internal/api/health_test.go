package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/functions/internal/api"
	"github.com/jobhook/jobhook/shared/webhook"
)

// falls records the first that is known of the health of one of acme's endpoints.
func (s *site) falls(t testing.TB, h webhook.Health) {
	t.Helper()
	h.Version = 1
	if err := s.store.SetHealth(t.Context(), "acme", webhook.Health{Endpoint: h.Endpoint}, h); err != nil {
		t.Fatal(err)
	}
}

// farOff is later than now by the clock of the store too, which forgets hosts.
func farOff() time.Time { return time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC) }

// unreachable opens the circuit of a host until then.
func (s *site) unreachable(t testing.TB, host string) {
	t.Helper()
	next := webhook.HostHealth{Host: host, Version: 1, Circuit: webhook.Circuit{Opens: 1, OpenUntil: farOff()}}
	if err := s.store.SetHost(t.Context(), webhook.HostHealth{Host: host}, next); err != nil {
		t.Fatal(err)
	}
}

func TestHealthTellsWhetherAnEndpointIsCalledAndHowOften(t *testing.T) {
	s := newSite(t)
	now := s.clock.now()
	in := func(d time.Duration) string { return stampOf(now.Add(d)) }
	closed := map[string]any{"state": "closed", "opens": json.Number("0")}
	for _, tt := range []struct {
		name string
		h    webhook.Health
		want map[string]any
	}{
		{"nothing known", webhook.Health{}, map[string]any{"state": "healthy", "circuit": closed}},
		{"failing", webhook.Health{State: webhook.Failing, Since: now.Add(-time.Hour), Reason: "the receiver answered 500"},
			map[string]any{"state": "failing", "since": in(-time.Hour), "reason": "the receiver answered 500", "disabled_at": in(119 * time.Hour), "circuit": closed}},
		{"open", webhook.Health{Circuit: webhook.Circuit{Opens: 2, OpenUntil: now.Add(time.Minute)}},
			map[string]any{"state": "healthy", "circuit": map[string]any{"state": "open", "opens": json.Number("2"), "until": in(time.Minute)}}},
		{"half open", webhook.Health{Circuit: webhook.Circuit{Opens: 1, OpenUntil: now}},
			map[string]any{"state": "healthy", "circuit": map[string]any{"state": "half_open", "opens": json.Number("1")}}},
		{"being tried", webhook.Health{Circuit: webhook.Circuit{Opens: 1, OpenUntil: now, ProbeUntil: now.Add(time.Second)}},
			map[string]any{"state": "healthy", "circuit": map[string]any{"state": "half_open", "opens": json.Number("1"), "until": in(time.Second)}}},
		{"pausing", webhook.Health{PausedUntil: now.Add(time.Hour)}, map[string]any{"state": "healthy", "circuit": closed, "paused_until": in(time.Hour)}},
		{"done pausing", webhook.Health{PausedUntil: now}, map[string]any{"state": "healthy", "circuit": closed}},
		{"slowed", webhook.Health{Slow: 2, SlowAt: now}, map[string]any{"state": "healthy", "circuit": closed, "slowed_to": json.Number("16")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path, made := s.endpoint(t, `{"url":"https://a.example"}`)
			if tt.h != (webhook.Health{}) {
				tt.h.Endpoint = made["id"].(string)
				s.falls(t, tt.h)
			}
			if diff := cmp.Diff(s.must(t, 200, s.acme, "GET", path, "")["health"], any(tt.want)); diff != "" {
				t.Errorf("health (-got +want):\n%s", diff)
			}
		})
	}
}

func TestHealthTellsWhenAnEndpointWillBeDisabled(t *testing.T) {
	s := newSite(t)
	path, made := s.endpoint(t, `{"url":"https://a.example"}`)
	s.falls(t, webhook.Health{Endpoint: made["id"].(string), State: webhook.Failing, Since: s.clock.now(), Reason: "500"})
	for _, tt := range []struct {
		name  string
		rules webhook.HealthRules
		want  any
	}{
		{"by default", webhook.HealthRules{}, stampOf(s.clock.now().Add(5 * 24 * time.Hour))},
		{"after an hour", webhook.HealthRules{DisableAfter: time.Hour}, stampOf(s.clock.now().Add(time.Hour))},
		{"never", webhook.HealthRules{DisableAfter: -1}, nil},
	} {
		ruled := s.with(func(c *api.Config) { c.Rules = tt.rules })
		if got := ruled.must(t, 200, s.acme, "GET", path, "")["health"].(map[string]any)["disabled_at"]; got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
	paused := s.must(t, 200, s.acme, "POST", path+":pause", "")
	if got := paused["health"].(map[string]any)["disabled_at"]; got != nil {
		t.Errorf("paused, when nobody calls it: got %v, want none", got)
	}
}

func TestAResumedEndpointIsCalledAtOnceWhateverItAnswered(t *testing.T) {
	s := newSite(t)
	want := map[string]any{"state": "healthy", "circuit": map[string]any{"state": "closed", "opens": json.Number("0")}}
	for _, before := range []string{"enabled", "paused", "disabled"} {
		path, made := s.endpoint(t, `{"url":"https://a.example"}`)
		s.falls(t, webhook.Health{Endpoint: made["id"].(string), State: webhook.Failing, Since: s.clock.now(), Reason: "500",
			Circuit: webhook.Circuit{Opens: 1, OpenUntil: s.clock.now().Add(time.Hour)}, Slow: 3, SlowAt: s.clock.now()})
		s.must(t, 200, s.acme, "PATCH", path, `{"status":"`+before+`"}`)
		for range 2 {
			if diff := cmp.Diff(s.must(t, 200, s.acme, "POST", path+":resume", "")["health"], any(want)); diff != "" {
				t.Errorf("health of one that was %s (-got +want):\n%s", before, diff)
			}
		}
	}
}

// changing is a store whose health changes as often as it is read.
type changing struct {
	api.Store
	left *int
}

func (c changing) SetHealth(ctx context.Context, account string, read, next webhook.Health, told ...webhook.Notice) error {
	if *c.left--; *c.left >= 0 {
		return webhook.ErrStale
	}
	return c.Store.SetHealth(ctx, account, read, next, told...)
}

func TestHealthThatChangesMeanwhileIsForgottenAllTheSame(t *testing.T) {
	s := newSite(t)
	path, made := s.endpoint(t, `{"url":"https://a.example"}`)
	s.falls(t, webhook.Health{Endpoint: made["id"].(string), Slow: 3, SlowAt: s.clock.now()})
	for _, tt := range []struct{ changes, want int }{{100, 409}, {4, 200}} {
		busy := s.with(func(c *api.Config) { c.Store = changing{s.store, &tt.changes} })
		before := s.do(s.acme, "GET", path, "")
		got := busy.do(s.acme, "POST", path+":resume", "")
		if got.status != tt.want {
			t.Errorf("got %d %s, want %d", got.status, got.body, tt.want)
		}
		if after := s.do(s.acme, "GET", path, ""); got.status >= 400 && after.body != before.body {
			t.Errorf("it was refused and written: %s, before %s", after.body, before.body)
		}
	}
	if got := s.must(t, 200, s.acme, "GET", path, "")["health"].(map[string]any)["slowed_to"]; got != nil {
		t.Errorf("it is still slowed to %v", got)
	}
}

func TestHealthIsForgottenOnlyByWhoeverKnowsTheEndpoint(t *testing.T) {
	s := newSite(t)
	path, made := s.endpoint(t, `{"url":"https://a.example"}`)
	s.falls(t, webhook.Health{Endpoint: made["id"].(string), Slow: 3, SlowAt: s.clock.now()})
	r := httptest.NewRequest("POST", path+":resume", nil)
	r.Header.Set("Authorization", "Bearer "+s.acme)
	r.Header.Set("If-Match", `"of-another-state"`)
	if got := s.send(r); got.status != 412 {
		t.Errorf("got %d %s, want 412", got.status, got.body)
	}
	s.must(t, 404, s.acme, "POST", "/v1/endpoints/ep_none:resume", "")
	if got := s.must(t, 200, s.acme, "GET", path, "")["health"].(map[string]any)["slowed_to"]; got == nil {
		t.Error("it is forgotten")
	}
}

// crowded is a store with so many hosts that cannot be reached.
type crowded struct {
	api.Store
	hosts int
}

func (c crowded) Hosts(_ context.Context, limit int) (list []webhook.HostHealth, err error) {
	for i := range min(limit, c.hosts) {
		list = append(list, webhook.HostHealth{Host: fmt.Sprintf("h%d.example:443", i), Circuit: webhook.Circuit{Opens: 1, OpenUntil: farOff()}})
	}
	return list, nil
}

func TestAListOfHostsThatIsCutSaysSo(t *testing.T) {
	s := newSite(t)
	for n, want := range map[int]any{0: nil, 250: nil, 251: true, 1000: true} {
		got := s.with(func(c *api.Config) { c.Store = crowded{s.store, n} }).must(t, 200, s.operator, "GET", "/v1/hosts", "")
		if len(got["items"].([]any)) != min(n, 250) || got["truncated"] != want {
			t.Errorf("of %d: got %d, truncated %v, want %v", n, len(got["items"].([]any)), got["truncated"], want)
		}
	}
}

func TestHostsThatCannotBeReachedAreListed(t *testing.T) {
	s := newSite(t)
	if got := s.must(t, 200, s.operator, "GET", "/v1/hosts", ""); len(got["items"].([]any)) != 0 {
		t.Errorf("got %v, want none", got)
	}
	s.unreachable(t, "b.example:443")
	s.unreachable(t, "a.example:8080")
	until := stampOf(farOff())
	want := []any{
		map[string]any{"host": "a.example:8080", "state": "open", "opens": json.Number("1"), "until": until},
		map[string]any{"host": "b.example:443", "state": "open", "opens": json.Number("1"), "until": until},
	}
	if diff := cmp.Diff(s.must(t, 200, s.operator, "GET", "/v1/hosts", "")["items"], any(want)); diff != "" {
		t.Errorf("hosts (-got +want):\n%s", diff)
	}
	s.clock.move(farOff().Sub(s.clock.now()))
	first := s.must(t, 200, s.operator, "GET", "/v1/hosts", "")["items"].([]any)[0].(map[string]any)
	if first["state"] != "half_open" || first["until"] != nil {
		t.Errorf("then: got %v", first)
	}
}
