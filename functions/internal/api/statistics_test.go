package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/functions/internal/api"
	"github.com/jobhook/jobhook/shared/sqlite"
	"github.com/jobhook/jobhook/shared/webhook"
)

// counted is a store that has counted what a test says, and remembers what it
// was asked for.
type counted struct {
	api.Store
	list []webhook.Stats
	err  error

	lock  sync.Mutex
	asked []string
}

func (c *counted) Stats(_ context.Context, account, endpoint string, from, to time.Time) ([]webhook.Stats, error) {
	c.lock.Lock()
	defer c.lock.Unlock()
	c.asked = append(c.asked, account+"/"+endpoint)
	var list []webhook.Stats
	for _, s := range c.list {
		if s.Account == account && s.Endpoint == endpoint && !s.Hour.Before(from) && s.Hour.Before(to) {
			list = append(list, s)
		}
	}
	return list, c.err
}

// counting is the site with a store that has counted.
func (s *site) counting(list ...webhook.Stats) (*site, *counted) {
	c := &counted{Store: s.store, list: list}
	return s.with(func(config *api.Config) { config.Store = c }), c
}

// histogram observes latencies.
func histogram(list ...time.Duration) (h webhook.Histogram) {
	for _, d := range list {
		h.Observe(d)
	}
	return h
}

// putEndpoint stores an endpoint of acme with an id of the test's own.
func (s *site) putEndpoint(t testing.TB, id string) {
	t.Helper()
	e := webhook.Endpoint{ID: id, Account: "acme", URL: "https://a.example", Format: "standard", Status: webhook.EndpointEnabled}
	if err := s.store.PutEndpoint(t.Context(), e); err != nil {
		t.Fatal(err)
	}
}

func jsonOf(t testing.TB, v any) string {
	t.Helper()
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestStatisticsAreSummedByHourAndByEndpoint(t *testing.T) {
	s := newSite(t)
	s.putEndpoint(t, "ep_b")
	s.putEndpoint(t, "ep_a")
	nine := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	s, _ = s.counting(
		webhook.Stats{Account: "acme", Endpoint: "ep_b", Hour: nine, Delivered: 2, Failed: 1, GivenUp: 1,
			Latency: histogram(time.Millisecond, time.Millisecond, time.Second), Lag: histogram(2*time.Second, 2*time.Second)},
		webhook.Stats{Account: "acme", Endpoint: "ep_b", Hour: nine.Add(2 * time.Hour), Delivered: 1, Latency: histogram(time.Millisecond)},
		webhook.Stats{Account: "acme", Endpoint: "", Hour: nine, Delivered: 1, Latency: histogram(time.Hour), Lag: histogram(time.Hour)},
		webhook.Stats{Account: "acme", Endpoint: "ep_b", Hour: nine.Add(-time.Hour), Delivered: 100},
		webhook.Stats{Account: "acme", Endpoint: "ep_b", Hour: nine.Add(3 * time.Hour), Delivered: 100},
		webhook.Stats{Account: "other", Endpoint: "", Hour: nine, Delivered: 100},
	)
	got := s.must(t, 200, s.acme, "GET", "/v1/statistics?since=2026-03-01T09:30:00Z&until=2026-03-01T11:00:01Z", "")
	want := `{
 "endpoints": [
  {"endpoint": "ep_a", "total": {"delivered": 0, "failed": 0, "given_up": 0}, "hours": []},
  {"endpoint": "ep_b", "total": {"delivered": 3, "failed": 1, "given_up": 1,
    "answer_ms": {"p50": 1, "p95": 1, "p99": 1}, "event_to_delivery_ms": {"p50": 2951.479, "p95": 2951.479, "p99": 2951.479}}, "hours": [
    {"hour": "2026-03-01T09:00:00.000Z", "delivered": 2, "failed": 1, "given_up": 1},
    {"hour": "2026-03-01T11:00:00.000Z", "delivered": 1, "failed": 0, "given_up": 0}]},
  {"endpoint": "", "total": {"delivered": 1, "failed": 0, "given_up": 0,
    "answer_ms": {"p50": 49517.601, "p95": 49517.601, "p99": 49517.601}, "event_to_delivery_ms": {"p50": 49517.601, "p95": 49517.601, "p99": 49517.601}}, "hours": [
    {"hour": "2026-03-01T09:00:00.000Z", "delivered": 1, "failed": 0, "given_up": 0}]}
 ],
 "hours": [
  {"hour": "2026-03-01T09:00:00.000Z", "delivered": 3, "failed": 1, "given_up": 1,
    "answer_ms": {"p50": 1, "p95": 1152.921, "p99": 1152.921}, "event_to_delivery_ms": {"p50": 2951.479, "p95": 2951.479, "p99": 2951.479}},
  {"hour": "2026-03-01T10:00:00.000Z", "delivered": 0, "failed": 0, "given_up": 0},
  {"hour": "2026-03-01T11:00:00.000Z", "delivered": 1, "failed": 0, "given_up": 0, "answer_ms": {"p50": 1, "p95": 1, "p99": 1}}
 ],
 "since": "2026-03-01T09:00:00.000Z", "until": "2026-03-01T12:00:00.000Z",
 "total": {"delivered": 4, "failed": 1, "given_up": 1,
   "answer_ms": {"p50": 1, "p95": 1152.921, "p99": 1152.921}, "event_to_delivery_ms": {"p50": 2951.479, "p95": 2951.479, "p99": 2951.479}}
}`
	if diff := cmp.Diff(jsonOf(t, got), jsonOf(t, object(t, want))); diff != "" {
		t.Errorf("statistics (-got +want):\n%s", diff)
	}
}

func TestStatisticsOfOneEndpointAreThatEndpointsAlone(t *testing.T) {
	s := newSite(t)
	s.putEndpoint(t, "ep_a")
	s.putEndpoint(t, "ep_b")
	hour := s.clock.now().Truncate(time.Hour)
	s, store := s.counting(
		webhook.Stats{Account: "acme", Endpoint: "ep_a", Hour: hour, Delivered: 1},
		webhook.Stats{Account: "acme", Endpoint: "ep_b", Hour: hour, Delivered: 10},
		webhook.Stats{Account: "acme", Endpoint: "", Hour: hour, Delivered: 100},
	)
	got := s.must(t, 200, s.platform, "GET", "/v1/statistics?account=acme&endpoint=ep_b", "")
	list := got["endpoints"].([]any)
	if len(list) != 1 || list[0].(map[string]any)["endpoint"] != "ep_b" || fmt.Sprint(got["total"].(map[string]any)["delivered"]) != "10" {
		t.Errorf("got %v", got)
	}
	if diff := cmp.Diff(store.asked, []string{"acme/ep_b"}); diff != "" {
		t.Errorf("asked for (-got +want):\n%s", diff)
	}
	s.must(t, 201, s.other, "POST", "/v1/endpoints", `{"url":"https://b.example"}`)
	for _, id := range []string{"ep_none", "ep_b%00"} {
		if got := s.do(s.acme, "GET", "/v1/statistics?endpoint="+id, ""); got.status != 404 {
			t.Errorf("%s: got %d %s, want 404", id, got.status, got.body)
		}
	}
}

func TestStatisticsAreOfWholeHours(t *testing.T) {
	s := newSite(t)
	s.clock.move(20 * time.Minute) // 12:20
	for _, tt := range []struct{ query, since, until string }{
		{"", "2026-02-28T13:00:00", "2026-03-01T13:00:00"},
		{"until=2026-02-01T00:00:00Z", "2026-01-31T00:00:00", "2026-02-01T00:00:00"},
		{"until=2026-02-01T00:00:01Z", "2026-01-31T01:00:00", "2026-02-01T01:00:00"},
		{"since=2026-03-01T10:59:59Z", "2026-03-01T10:00:00", "2026-03-01T13:00:00"},
		{"since=2026-03-01T12:59:00%2B02:00", "2026-03-01T10:00:00", "2026-03-01T13:00:00"},
		{"since=2026-03-01T12:00:00Z&until=2026-03-01T12:00:01Z", "2026-03-01T12:00:00", "2026-03-01T13:00:00"},
		{"since=2026-03-01T12:00:00Z&until=2099-01-01T00:00:00Z", "2026-03-01T12:00:00", "2026-03-01T13:00:00"},
		{"since=2026-01-29T13:00:00Z", "2026-01-29T13:00:00", "2026-03-01T13:00:00"},
	} {
		got := s.must(t, 200, s.acme, "GET", "/v1/statistics?"+tt.query, "")
		list := got["hours"].([]any)
		first, last := list[0].(map[string]any)["hour"], list[len(list)-1].(map[string]any)["hour"].(string)
		ends, err := time.Parse(time.RFC3339, last)
		if got["since"] != tt.since+".000Z" || got["until"] != tt.until+".000Z" || first != got["since"] || err != nil || stampOf(ends.Add(time.Hour)) != got["until"] {
			t.Errorf("%s: %v to %v, hours from %v to %v, want %s to %s", tt.query, got["since"], got["until"], first, last, tt.since, tt.until)
		}
	}
}

func TestSpansWithoutStatisticsAreRefused(t *testing.T) {
	s := newSite(t)
	for _, tt := range []struct{ query, field string }{
		{"since=2026-01-29T12:59:59Z", "since"}, // 31 days and an hour
		{"since=2020-01-01T00:00:00Z&until=2020-02-02T00:00:00Z", "since"},
		{"since=2026-03-01T13:00:00Z", "since"},
		{"since=2026-03-02T13:00:00Z&until=2026-03-03T13:00:00Z", "since"},
		{"since=2026-03-01T12:10:00Z&until=2026-03-01T12:10:00Z", "until"},
		{"since=2026-03-01T12:10:00Z&until=2026-03-01T12:05:00Z", "until"},
		{"until=0000-01-01T00:00:00Z", "since"},
		{"until=1970-01-01T05:00:00Z", "since"},
		{"since=yesterday", "since"},
		{"days=3", "days"},
	} {
		got := s.do(s.acme, "GET", "/v1/statistics?"+tt.query, "")
		if p := got.problem(t); got.status != 422 || len(p.Errors) != 1 || p.Errors[0].Field != tt.field {
			t.Errorf("%s: got %d %s, want 422 of %s", tt.query, got.status, got.body, tt.field)
		}
	}
}

// TestTheLongestStatisticsPassThroughLambda asks for 31 days of as many endpoints
// as an account may have, each of which was busy in each hour. Lambda lets 6 MB
// through, in which the body is a string of JSON.
func TestTheLongestStatisticsPassThroughLambda(t *testing.T) {
	s := newSite(t)
	const hours, most = 31 * 24, 1_234_567_890
	spread := webhook.Histogram{}
	for i := range spread {
		spread[i] = 1
	}
	var list []webhook.Stats
	add := func(id string) {
		for i := range hours {
			list = append(list, webhook.Stats{Account: "acme", Endpoint: id, Hour: s.clock.now().Add(-time.Duration(i) * time.Hour),
				Delivered: most, Failed: most, GivenUp: most, Latency: spread, Lag: spread})
		}
	}
	for i := range 100 {
		id := fmt.Sprintf("ep_%026d", i)
		s.putEndpoint(t, id)
		add(id)
	}
	add("")
	s, _ = s.counting(list...)
	since := s.clock.now().Add(-(hours - 1) * time.Hour).Format(time.RFC3339)
	whole := s.do(s.acme, "GET", "/v1/statistics?since="+since, "")
	if sent := len(jsonOf(t, whole.body)); whole.status != 200 || sent > 5_500_000 {
		t.Errorf("got %d, %d bytes", whole.status, sent)
	}
	var got struct {
		Hours     []any
		Endpoints []struct {
			Endpoint string
			Total    struct{ Delivered int }
			Hours    []any
			LeftOut  bool `json:"hours_left_out"`
		}
	}
	if err := json.Unmarshal([]byte(whole.body), &got); err != nil || len(got.Hours) != hours || len(got.Endpoints) != 101 {
		t.Fatalf("%d hours, %d endpoints, %v", len(got.Hours), len(got.Endpoints), err)
	}
	out := 0
	for i, e := range got.Endpoints {
		if want := hours; e.LeftOut {
			out++
		} else if len(e.Hours) != want || out > 0 {
			t.Errorf("endpoint %d has %d hours, want all: nobody could tell", i, len(e.Hours))
		}
		if e.LeftOut && len(e.Hours) != 0 || e.Total.Delivered != hours*most {
			t.Errorf("endpoint %d: %d hours, %d delivered", i, len(e.Hours), e.Total.Delivered)
		}
	}
	if out == 0 || out > 50 {
		t.Errorf("the hours of %d endpoints are left out", out)
	}
	last := got.Endpoints[99].Endpoint
	alone := s.must(t, 200, s.acme, "GET", "/v1/statistics?endpoint="+last+"&since="+since, "")["endpoints"].([]any)[0].(map[string]any)
	if len(alone["hours"].([]any)) != hours || alone["hours_left_out"] != nil {
		t.Errorf("alone it has %d hours", len(alone["hours"].([]any)))
	}
}

func TestStatisticsThatCannotBeReadAreNoZeros(t *testing.T) {
	s := newSite(t)
	s, store := s.counting()
	store.err = errors.New("throttled")
	if got := s.do(s.acme, "GET", "/v1/statistics", ""); got.status != 500 || strings.Contains(got.body, "throttled") {
		t.Errorf("got %d %s, want 500", got.status, got.body)
	}
}

func TestAStoreThatPanicsOverStatisticsEndsNothing(t *testing.T) {
	s := newSite(t)
	s = s.with(func(c *api.Config) { c.Store = struct{ api.Store }{panicking{s.store}} })
	if got := s.do(s.acme, "GET", "/v1/statistics?until="+url.QueryEscape(s.clock.now().Format(time.RFC3339)), ""); got.status != 500 {
		t.Errorf("got %d %s, want 500", got.status, got.body)
	}
}

// panicking is a store with a fault of its own.
type panicking struct{ api.Store }

func (panicking) Stats(context.Context, string, string, time.Time, time.Time) ([]webhook.Stats, error) {
	panic("fault")
}

// BenchmarkStatistics reads a day of an account with as many endpoints as it may
// have, each of which was called in every hour.
func BenchmarkStatistics(b *testing.B) {
	s := newSite(b)
	dir := b.TempDir()
	options := sqlite.Options{Sealer: plain{}, Durability: sqlite.DurableProcess}
	store, err := sqlite.Open(b.Context(), dir, options)
	if err != nil {
		b.Fatal(err)
	}
	spread := histogram()
	for i := range spread {
		spread[i] = 1000 * i
	}
	for i := range 100 {
		e := webhook.Endpoint{ID: fmt.Sprintf("ep_%d", i), Account: "acme", URL: "https://a.example", Format: "standard", Status: webhook.EndpointEnabled}
		if err := store.PutEndpoint(b.Context(), e); err != nil {
			b.Fatal(err)
		}
		for hour := range 24 {
			at := s.clock.now().Add(-time.Duration(hour) * time.Hour)
			one := webhook.Stats{Account: "acme", Endpoint: e.ID, Hour: at, Delivered: 1000, Failed: 10, Latency: spread, Lag: spread}
			if err := store.AddStats(b.Context(), []webhook.Stats{one}); err != nil {
				b.Fatal(err)
			}
		}
	}
	store.Close() // which writes them
	if store, err = sqlite.Open(b.Context(), dir, options); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { store.Close() })
	full, k := api.MintKey(s.clock.now(), webhook.ScopePlatform, "", "bench")
	if err := store.PutKey(b.Context(), k); err != nil {
		b.Fatal(err)
	}
	s = s.with(func(c *api.Config) { c.Store = store })
	for b.Loop() {
		s.must(b, 200, full, "GET", "/v1/statistics?account=acme", "")
	}
}
