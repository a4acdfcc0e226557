package compat_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/functions/internal/compat"
	"github.com/jobhook/jobhook/shared/webhook"
)

var trailingComma = regexp.MustCompile(`,(\s*\])`)

var update = flag.Bool("update", false, "write the golden files anew")

// pair is a request whose answer is known: testdata/name.golden.
type pair struct {
	name, key, method, target string
}

func pairs() []pair {
	const active, done = "batch:0358b42d-e0c0-4ce8-ae9a-466f02841d87", "batch-pipeline:e51c8dd7-7a7b-4d65-ad36-d1a919a9dee1"
	return []pair{
		{"serpwow_batch", acme, "GET", "/serpwow/batches/9E867FAA"},
		{"serpwow_batch_scheduled", acme, "GET", "/serpwow/batches/searches%2F1"},
		{"serpwow_batch_platform", platform, "GET", "/serpwow/batches/QUIET?account=acme"},
		{"serpwow_searches", acme, "GET", "/serpwow/batches/searches%2F1/searches/1"},
		{"serpwow_searches_none", acme, "GET", "/serpwow/batches/QUIET/searches/1"},
		{"serpwow_searches_beyond", acme, "GET", "/serpwow/batches/searches%2F1/searches/2"},
		{"serpwow_results", acme, "GET", "/serpwow/batches/9E867FAA/results"},
		{"serpwow_results_no_webhook", acme, "GET", "/serpwow/batches/QUIET/results"},
		{"serpwow_result", acme, "GET", "/serpwow/batches/9E867FAA/results/4"},
		{"serpwow_result_jsonlines", acme, "GET", "/serpwow/batches/9E867FAA/results/3/jsonlines"},
		{"serpwow_result_csv", acme, "GET", "/serpwow/batches/9E867FAA/results/3/csv"},
		{"serpwow_result_unasked", acme, "GET", "/serpwow/batches/9E867FAA/results/4/jsonlines"},
		{"serpwow_resend", acme, "GET", "/serpwow/batches/9E867FAA/results/4/resendwebhook"},
		{"serpwow_resend_none_set", acme, "GET", "/serpwow/batches/QUIET/results/1/resendwebhook"},
		{"serpwow_bad_page", acme, "GET", "/serpwow/batches/9E867FAA/searches/0"},
		{"serpwow_bad_result", acme, "GET", "/serpwow/batches/9E867FAA/results/one"},
		{"serpwow_no_key", "", "GET", "/serpwow/batches/9E867FAA"},
		{"serpwow_bad_key", "wrong", "GET", "/serpwow/batches/9E867FAA"},
		{"serpwow_no_account", operator, "GET", "/serpwow/batches/9E867FAA"},
		{"serpwow_unknown_batch", acme, "GET", "/serpwow/batches/NONE"},
		{"serpwow_unknown_result", acme, "GET", "/serpwow/batches/9E867FAA/results/5"},
		{"serpwow_unknown_path", acme, "GET", "/serpwow/searches"},
		{"serpwow_method", acme, "DELETE", "/serpwow/batches/9E867FAA"},

		{"webscraper_job", acme, "GET", "/webscraper/scraping-job/1234"},
		{"webscraper_job_custom_id", acme, "GET", "/webscraper/scraping-job/1235"},
		{"webscraper_jobs", acme, "GET", "/webscraper/scraping-jobs"},
		{"webscraper_jobs_sitemap", acme, "GET", "/webscraper/scraping-jobs?page=1&sitemap_id=12"},
		{"webscraper_jobs_beyond", acme, "GET", "/webscraper/scraping-jobs?page=2"},
		{"webscraper_json", acme, "GET", "/webscraper/scraping-job/1234/json"},
		{"webscraper_csv", acme, "GET", "/webscraper/scraping-job/1234/csv"},
		{"webscraper_csv_head", acme, "HEAD", "/webscraper/scraping-job/1234/csv"},
		{"webscraper_json_named", acme, "GET", "/webscraper/scraping-job/1235/json"},
		{"webscraper_csv_none", acme, "GET", "/webscraper/scraping-job/1235/csv"},
		{"webscraper_json_exporting", acme, "GET", "/webscraper/scraping-job/1236/json"},
		{"webscraper_bad_page", acme, "GET", "/webscraper/scraping-jobs?page=-1"},
		{"webscraper_no_key", "", "GET", "/webscraper/scraping-job/1234"},
		{"webscraper_bad_key", "wrong", "GET", "/webscraper/scraping-job/1234"},
		{"webscraper_unknown", acme, "GET", "/webscraper/scraping-job/1"},
		{"webscraper_unknown_path", acme, "GET", "/webscraper/sitemaps"},
		{"webscraper_method", acme, "POST", "/webscraper/scraping-jobs"},

		{"hkube_status", acme, "GET", "/hkube/api/v1/exec/status/" + active},
		{"hkube_status_ended", acme, "GET", "/hkube/api/v1/exec/status/" + done},
		{"hkube_status_untold", acme, "GET", "/hkube/api/v1/exec/status/untold:1"},
		{"hkube_results", acme, "GET", "/hkube/api/v1/exec/results/" + done},
		{"hkube_results_failed", acme, "GET", "/hkube/api/v1/exec/results/batch:2"},
		{"hkube_results_unfinished", acme, "GET", "/hkube/api/v1/exec/results/" + active},
		{"hkube_webhooks_status", acme, "GET", "/hkube/api/v1/webhooks/status/" + done},
		{"hkube_webhooks_results", acme, "GET", "/hkube/api/v1/webhooks/results/" + done},
		{"hkube_webhooks_list", acme, "GET", "/hkube/api/v1/webhooks/list/" + done},
		{"hkube_webhooks_none", acme, "GET", "/hkube/api/v1/webhooks/results/" + active},
		{"hkube_unknown", acme, "GET", "/hkube/api/v1/exec/status/no_such_id"},
		{"hkube_no_job_id", acme, "GET", "/hkube/api/v1/exec/results"},
		{"hkube_no_key", "", "GET", "/hkube/api/v1/exec/status/" + active},
		{"hkube_bad_key", "wrong", "GET", "/hkube/api/v1/exec/status/" + active},
		{"hkube_unknown_path", acme, "GET", "/hkube/api/v1/store/pipelines"},
		{"hkube_method", acme, "PUT", "/hkube/api/v1/exec/status/" + active},

		{"socialdata_success", acme, "GET", "/socialdata/jobs/42"},
		{"socialdata_error", acme, "GET", "/socialdata/jobs/043"},
		{"socialdata_processing", acme, "GET", "/socialdata/jobs/44"},
		{"socialdata_theirs", acme, "GET", "/socialdata/jobs/45"},
		{"socialdata_unknown", acme, "GET", "/socialdata/jobs/46"},
		{"socialdata_no_key", "", "GET", "/socialdata/jobs/42"},
		{"socialdata_bad_key", "wrong", "GET", "/socialdata/jobs/42"},
		{"socialdata_unknown_path", acme, "GET", "/socialdata/twitter/search"},
		{"socialdata_method", acme, "POST", "/socialdata/jobs/42"},
	}
}

func TestAnswersAreThoseOfTheGoldenFiles(t *testing.T) {
	s := newSite(t)
	for _, p := range pairs() {
		t.Run(p.name, func(t *testing.T) { s.matches(t, p) })
	}
	if s.log.Len() > 0 {
		t.Errorf("something was logged: %s", s.log)
	}
}

func TestAFailedResendIsToldWithTheReceiversAnswer(t *testing.T) {
	s := newSite(t)
	for _, tt := range []struct {
		name   string
		result webhook.Result
	}{
		{"serpwow_resend_500", webhook.Result{Status: 500}},
		{"serpwow_resend_timeout", webhook.Result{Failure: webhook.FailureTimeout, Code: "ETIMEDOUT", Detail: "no answer within 5s"}},
		{"serpwow_resend_silent", webhook.Result{Status: 200}}, // nobody calls the URL again for 5 minutes
	} {
		s.receiver.result = tt.result
		s.matches(t, pair{tt.name, acme, "GET", "/serpwow/batches/9E867FAA/results/3/resendwebhook"})
	}
}

func TestRequestsBeyondTheRateAreRefusedAsTheSystemRefuses(t *testing.T) {
	s := newSite(t)
	s.with(func(c *compat.Config) {
		c.Limit = func(string) (int, int, time.Duration, bool) { return 0, 200, 89500 * time.Millisecond, false }
	})
	for _, p := range []pair{
		{"serpwow_rate", acme, "GET", "/serpwow/batches/9E867FAA"},
		{"webscraper_rate", acme, "GET", "/webscraper/scraping-jobs"},
		{"hkube_rate", acme, "GET", "/hkube/api/v1/exec/status/batch:2"},
		{"socialdata_rate", acme, "GET", "/socialdata/jobs/42"},
	} {
		s.matches(t, p)
	}
	s.with(func(c *compat.Config) {
		c.Limit = func(string) (int, int, time.Duration, bool) { return 199, 200, 0, true }
	})
	s.matches(t, pair{"webscraper_rate_left", acme, "GET", "/webscraper/scraping-job/1234"})
}

// matches compares an answer with its golden file.
func (s *site) matches(t *testing.T, p pair) {
	t.Helper()
	got := fmt.Sprintf("%s %s\n\n%s", p.method, p.target, s.do(p.key, p.method, p.target))
	path := filepath.Join("testdata", p.name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, string(want)); diff != "" {
		t.Errorf("%s (-got +want):\n%s", p.name, diff)
	}
}

// String is the answer as golden files have it: status, headers that clients
// look at, and the body, JSON with indents.
func (a answer) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s\n", a.status, http.StatusText(a.status))
	for _, name := range []string{"Allow", "Content-Disposition", "Content-Type", "Location", "Retry-After",
		"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"} {
		if value := a.header.Get(name); value != "" {
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	b.WriteString("\n")
	var indented bytes.Buffer
	if a.header.Get("Content-Type") == "application/json" && json.Indent(&indented, []byte(a.body), "", "  ") == nil {
		indented.WriteString("\n")
		return b.String() + indented.String()
	}
	return b.String() + a.body
}

// The examples of the systems' pages hold without -update: what the routes say
// is what the webhooks say, byte for byte but for white space.
func TestTheExamplesOfThePages(t *testing.T) {
	s := newSite(t)
	for _, tt := range []struct{ target, example, key string }{
		{"/hkube/api/v1/exec/status/batch:672a8b0e-c0b0-486e-bb2b-4571b0805f29", "seed_hkube_progress_completed.json", ""},
		{"/hkube/api/v1/exec/status/batch:0358b42d-e0c0-4ce8-ae9a-466f02841d87", "seed_hkube_progress_active.json", ""},
		{"/hkube/api/v1/exec/results/batch-pipeline:e51c8dd7-7a7b-4d65-ad36-d1a919a9dee1", "seed_hkube_result_completed.json", ""},
		{"/socialdata/jobs/42", "seed_socialdata.json", "data"},
	} {
		want, err := os.ReadFile(filepath.Join("../../../shared/format/testdata", tt.example))
		if err != nil {
			t.Fatal(err)
		}
		if tt.key != "" {
			var body map[string]json.RawMessage
			if err := json.Unmarshal(want, &body); err != nil {
				t.Fatal(err)
			}
			want = body[tt.key]
		}
		want = trailingComma.ReplaceAll(want, []byte("$1")) // HKube's page has one
		var compact bytes.Buffer
		if err := json.Compact(&compact, want); err != nil {
			t.Fatal(err)
		}
		if got := s.get(acme, tt.target); got.status != 200 || got.body != compact.String() {
			t.Errorf("%s: got %d\n%s\nwant\n%s", tt.target, got.status, got.body, compact.String())
		}
	}
}
