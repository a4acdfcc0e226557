package api_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/functions/internal/api"
	"github.com/jobhook/jobhook/shared/job"
)

func TestAJobIsCreatedThenReplaced(t *testing.T) {
	s := newSite(t)
	got := s.do(s.platform, "PUT", "/v1/jobs/1", `{"kind":"async","account":"acme","status":"pending","big":12345678901234567890,"price":1.10,"text":"<&>","deep":{"x":1e400}}`)
	want := `{"account":"acme","kind":"async","id":"1","status":"pending","run":1,"created_at":"2026-03-01T12:00:00.000Z",` +
		`"big":12345678901234567890,"price":1.10,"text":"<&>","deep":{"x":1e400},"updated_at":"2026-03-01T12:00:00.000Z","phase":"waiting"}` + "\n"
	if got.status != 201 || got.body != want || got.header.Get("Content-Type") != "application/json" {
		t.Errorf("got %d %s\nwant 201 %s", got.status, got.body, want)
	}
	s.clock.move(time.Second)
	got = s.do(s.platform, "PUT", "/v1/jobs/1", `{"id":"1","kind":"async","account":"acme","status":"error","message":"no"}`)
	want = `{"account":"acme","kind":"async","id":"1","status":"error","run":1,"created_at":"2026-03-01T12:00:00.000Z",` +
		`"message":"no","updated_at":"2026-03-01T12:00:01.000Z","phase":"ended","outcome":"failed"}` + "\n"
	if got.status != 200 || got.body != want {
		t.Errorf("got %d %s\nwant 200 %s", got.status, got.body, want)
	}
	if read := s.do(s.acme, "GET", "/v1/jobs/1", ""); read.body != want {
		t.Errorf("read %s\nwant %s", read.body, want)
	}
}

func TestWhatWasReadCanBeWrittenBack(t *testing.T) {
	s := newSite(t)
	s.must(t, 201, s.platform, "PUT", "/v1/jobs/1", `{"kind":"async","account":"acme","status":"success","x":1.0}`)
	read := s.do(s.platform, "GET", "/v1/jobs/1", "")
	s.clock.move(time.Hour)
	got := s.do(s.platform, "PUT", "/v1/jobs/1", read.body)
	if got.status != 200 || got.body != read.body {
		t.Errorf("got %d %s\nwant %s", got.status, got.body, read.body)
	}
	if n := len(s.changes(t)); n != 1 {
		t.Errorf("%d changes, want the first alone", n)
	}
}

func (s *site) changes(t testing.TB) []job.Written {
	t.Helper()
	list, err := s.store.Changes(t.Context(), 0, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestIDsMayHoldColonsAndSlashes(t *testing.T) {
	s := newSite(t)
	for path, id := range map[string]string{
		"batch:672a8b0e-1":   "batch:672a8b0e-1",
		"a%2Fb%2F..%2Fc":     "a/b/../c",
		"x:resend":           "x:resend",
		"quote%22back%5C":    `quote"back\`,
		"percent%25%3Aplus+": "percent%:plus+",
		".":                  "", // a path of its own
		"%2E%2E":             "..",
	} {
		got := s.do(s.platform, "PUT", "/v1/jobs/"+path, `{"kind":"async","account":"acme","status":"pending"}`)
		if id == "" {
			if got.status != 404 {
				t.Errorf("%s: got %d, want 404", path, got.status)
			}
			continue
		}
		if got.status != 201 || object(t, got.body)["id"] != id {
			t.Errorf("%s: got %d %s, want the id %s", path, got.status, got.body, id)
		}
		if read := s.do(s.acme, "GET", "/v1/jobs/"+path, ""); read.body != got.body {
			t.Errorf("%s: read %d %s", path, read.status, read.body)
		}
	}
}

func TestRunsCountThemselvesWhereNobodyDoes(t *testing.T) {
	s := newSite(t)
	for i, step := range []struct {
		id, kind, status, more string
		run                    string
	}{
		{"b", "batch", "idle", "", "0"},
		{"b", "batch", "queued", "", "1"},
		{"b", "batch", "running", "", "1"},
		{"b", "batch", "idle", "", "1"},
		{"b", "batch", "running", `,"run":2`, "2"},
		{"b2", "batch", "running", "", "1"},
		{"b3", "batch", "idle", `,"run":3`, "3"},
		{"s", "scraping", "started", `,"run":null`, "1"},
		{"s", "scraping", "finished", "", "1"},
	} {
		got := s.do(s.platform, "PUT", "/v1/jobs/"+step.id, fmt.Sprintf(`{"account":"acme","kind":%q,"status":%q%s}`, step.kind, step.status, step.more))
		if run := fmt.Sprint(object(t, got.body)["run"]); run != step.run {
			t.Errorf("step %d: run %s, want %s: %s", i, run, step.run, got.body)
		}
	}
}

func TestAStatusMayFollowFromPageCounts(t *testing.T) {
	s := newSite(t)
	s.must(t, 201, s.platform, "PUT", "/v1/jobs/1", `{"account":"acme","kind":"scraping","jobs_scheduled":10,"jobs_executed":4}`)
	got := s.must(t, 200, s.platform, "PATCH", "/v1/jobs/1", `{"jobs_executed":10}`)
	if got["status"] != "finished" || got["outcome"] != "succeeded" {
		t.Errorf("got %v", got)
	}
	s.must(t, 201, s.platform, "PUT", "/v1/jobs/2", `{"account":"acme","kind":"scraping","status":"started","jobs_scheduled":10,"jobs_executed":4}`)
	if got := s.must(t, 200, s.platform, "PATCH", "/v1/jobs/2", `{"jobs_executed":10}`); got["status"] != "started" {
		t.Errorf("status %v, want started: this platform writes the status itself", got["status"])
	}
}

func TestTheCreationTimeStays(t *testing.T) {
	s := newSite(t)
	got := s.must(t, 201, s.platform, "PUT", "/v1/jobs/1", `{"account":"acme","kind":"async","status":"pending","created_at":"2026-01-01T01:00:00.123456+01:00"}`)
	if got["created_at"] != "2026-01-01T00:00:00.123Z" {
		t.Errorf("got %v", got["created_at"])
	}
	got = s.must(t, 200, s.platform, "PUT", "/v1/jobs/1", `{"account":"acme","kind":"async","status":"processing"}`)
	if got["created_at"] != "2026-01-01T00:00:00.123Z" {
		t.Errorf("after a write without it: got %v", got["created_at"])
	}
}

func TestAPatchMergesAsRFC7386Says(t *testing.T) {
	s := newSite(t)
	s.must(t, 201, s.platform, "PUT", "/v1/jobs/1",
		`{"account":"acme","kind":"pipeline","status":"active","name":"p","n":1.50,"options":{"progressVerbosityLevel":"info","ttl":3600},"gone":1}`)
	got := s.must(t, 200, s.platform, "PATCH", "/v1/jobs/1",
		`{"id":"1","progress":12.50,"gone":null,"options":{"ttl":null,"batchTolerance":80},"new":{"a":null,"b":[null]}}`)
	for _, name := range []string{"created_at", "updated_at", "account", "kind", "id", "phase", "run"} {
		delete(got, name)
	}
	want := object(t, `{"status":"active","name":"p","n":1.50,"progress":12.50,"options":{"progressVerbosityLevel":"info","batchTolerance":80},"new":{"b":[null]}}`)
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("record (-got +want):\n%s", diff)
	}
}

func TestTheLevelOfOneChangeIsNotKeptForTheNext(t *testing.T) {
	s := newSite(t)
	s.must(t, 201, s.platform, "PUT", "/v1/jobs/1", `{"account":"acme","kind":"pipeline","status":"active","level":"debug"}`)
	if got := s.must(t, 200, s.platform, "PATCH", "/v1/jobs/1", `{"level":"warn"}`)["level"]; got != "warn" {
		t.Errorf("level %v, want warn as patched", got)
	}
	if got, found := s.must(t, 200, s.platform, "PATCH", "/v1/jobs/1", `{"status":"failed","error":"no"}`)["level"]; found {
		t.Errorf("level %v after a failure that named none, want none", got)
	}
}

func TestAnIDOfSeveralKindsAsksForTheKind(t *testing.T) {
	s := newSite(t)
	s.must(t, 201, s.platform, "PUT", "/v1/jobs/1", `{"account":"acme","kind":"async","status":"pending"}`)
	s.must(t, 201, s.platform, "PUT", "/v1/jobs/1", `{"account":"other","kind":"batch","status":"queued"}`)
	for _, method := range []string{"GET", "PATCH"} {
		body := ""
		if method == "PATCH" {
			body = `{"x":1}`
		}
		got := s.do(s.platform, method, "/v1/jobs/1", body)
		if p := got.problem(t); got.status != 409 || p.Type != "/problems/ambiguous-kind" || p.Errors[0].Field != "kind" {
			t.Errorf("%s: got %d %s", method, got.status, got.body)
		}
		if got := s.must(t, 200, s.platform, method, "/v1/jobs/1?kind=batch", body); got["kind"] != "batch" {
			t.Errorf("%s ?kind=batch: got %v", method, got)
		}
	}
	if got := s.must(t, 200, s.acme, "GET", "/v1/jobs/1", ""); got["kind"] != "async" {
		t.Errorf("an account sees its own: got %v", got)
	}
}

func TestJobsArePagedAndFiltered(t *testing.T) {
	s := newSite(t)
	for i := range 5 {
		s.must(t, 201, s.platform, "PUT", fmt.Sprintf("/v1/jobs/a%d", i), `{"account":"acme","kind":"async","status":"pending","n":1.10}`)
	}
	s.must(t, 201, s.platform, "PUT", "/v1/jobs/b", `{"account":"acme","kind":"batch","status":"queued"}`)
	s.must(t, 201, s.platform, "PUT", "/v1/jobs/c", `{"account":"other","kind":"async","status":"pending"}`)
	var got []string
	target := "/v1/jobs?kind=async&limit=2"
	for next := target; next != ""; {
		page := s.must(t, 200, s.acme, "GET", next, "")
		for _, item := range page["items"].([]any) {
			got = append(got, item.(map[string]any)["id"].(string))
		}
		next = ""
		if cursor, more := page["next"]; more {
			next = target + "&after=" + cursor.(string)
		}
	}
	if diff := cmp.Diff(got, []string{"a4", "a3", "a2", "a1", "a0"}); diff != "" {
		t.Errorf("ids (-got +want):\n%s", diff)
	}
	if page := s.must(t, 200, s.platform, "GET", "/v1/jobs?account=acme&status=queued", ""); len(page["items"].([]any)) != 1 {
		t.Errorf("queued: got %v", page)
	}
	if page := s.must(t, 200, s.platform, "GET", "/v1/jobs?account=nobody", ""); len(page["items"].([]any)) != 0 {
		t.Errorf("of nobody: got %v", page)
	}
}

func TestConcurrentWritesOfAJobEndEachRunOnce(t *testing.T) {
	s := newSite(t)
	const runs, writers = 5, 8
	for run := 1; run <= runs; run++ {
		var wait sync.WaitGroup
		for w := range writers {
			wait.Go(func() {
				for _, status := range []string{"processing", "success"} {
					body := fmt.Sprintf(`{"account":"acme","kind":"async","status":%q,"run":%d,"by":%d}`, status, run, w)
					if got := s.do(s.platform, "PUT", "/v1/jobs/1", body); got.status != 200 && got.status != 201 && got.status != 409 {
						t.Errorf("got %d %s", got.status, got.body)
					}
				}
			})
		}
		wait.Wait()
	}
	ends := map[int]int{}
	for _, c := range s.changes(t) {
		next, err := job.Decode(c.New)
		if err != nil {
			t.Fatal(err)
		}
		change := job.Change{New: next}
		if len(c.Old) > 0 {
			old, err := job.Decode(c.Old)
			if err != nil {
				t.Fatal(err)
			}
			change.Old = &old
		}
		meaning, err := change.Transition()
		if err != nil {
			t.Errorf("an impossible change was stored: %v", err)
		}
		if meaning.Ended {
			ends[next.Run]++
		}
	}
	if diff := cmp.Diff(ends, map[int]int{1: 1, 2: 1, 3: 1, 4: 1, 5: 1}); diff != "" {
		t.Errorf("ends per run (-got +want):\n%s", diff)
	}
}

// BenchmarkPutJob writes a new job of about 1 KB and ends it, over a store
// that only asks what the record becomes, to see what the handler costs.
func BenchmarkPutJob(b *testing.B) {
	s := newSite(b)
	config := s.config
	config.Store = &memory{Store: s.store}
	config.Now = time.Now
	a := api.New(config)
	body := func(status string) string {
		return `{"account":"acme","kind":"batch","status":"` + status + `","name":"nightly","searches_total":1000,"searches_completed":998,"searches_failed":2,` +
			`"notification_webhook":"https://receiver.example/hook?token=abcdef","notification_as_json":true,"notification_as_csv":false,` +
			`"note":"` + strings.Repeat("x", 700) + `"}`
	}
	bodies := []string{body("running"), body("idle")}
	w := discard{header: http.Header{}}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		r := httptest.NewRequest("PUT", "/v1/jobs/bench-1", strings.NewReader(bodies[i%2]))
		r.Header.Set("Authorization", "Bearer "+s.platform)
		r.Header.Set("Content-Type", "application/json")
		w.status = 0
		a.ServeHTTP(&w, r)
		if w.status != 200 && w.status != 201 {
			b.Fatalf("status %d", w.status)
		}
	}
}

// BenchmarkPutJobRequestAlone is what BenchmarkPutJob spends on making requests.
func BenchmarkPutJobRequestAlone(b *testing.B) {
	body := strings.Repeat("x", 1000)
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest("PUT", "/v1/jobs/bench-1", strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer x")
		r.Header.Set("Content-Type", "application/json")
	}
}

// memory holds one job; each running begins it anew.
type memory struct {
	api.Store
	old *job.Job
}

func (m *memory) WriteJob(_ context.Context, _ string, _ job.Kind, f func(*job.Job) (job.Job, error)) (job.Job, bool, error) {
	old := m.old
	next, err := f(old)
	if m.old = &next; next.Status == "idle" {
		m.old = nil
	}
	return next, old == nil, err
}

// discard is a response that goes nowhere.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
