package format_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jobhook/jobhook/shared/format"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

var update = flag.Bool("update", false, "write the golden files anew")

const publicURL = "https://hooks.example.com"

// example is an event whose body is known: name.record.json in testdata holds
// the job record, name.golden the body, and seed, where there is one, the
// vendor's own example, as its page has it.
type example struct {
	name   string
	format string
	event  webhook.EventType
	at     string
	level  job.Level
	seed   string
}

func examples() []example {
	return []example{
		{name: "serpwow", format: format.SerpWow, event: webhook.ResultSetReady, at: "2020-01-01T00:00:12Z", seed: "seed_serpwow.json"},
		{name: "serpwow_jsonlines", format: format.SerpWow, event: webhook.ResultSetReady, at: "2020-01-02T00:00:12Z"},
		{name: "serpwow_no_links", format: format.SerpWow, event: webhook.ResultSetReady, at: "2020-01-03T01:00:12.0456+01:00"},
		{name: "serpwow_exported", format: format.SerpWow, event: webhook.ResultSetReady, at: "2020-01-01T00:00:12Z"},
		{name: "webscraper", format: format.WebScraper, event: webhook.JobFinished, at: "2020-01-01T00:00:00Z", seed: "seed_webscraper.txt"},
		{name: "webscraper_custom_id", format: format.WebScraper, event: webhook.JobFinished, at: "2020-01-01T00:00:00Z"},
		{name: "hkube_progress_completed", format: format.HKube, event: webhook.JobProgress, at: "2018-01-16T14:47:04.142Z", level: job.LevelInfo, seed: "seed_hkube_progress_completed.json"},
		{name: "hkube_progress_active", format: format.HKube, event: webhook.JobProgress, at: "2018-01-16T14:27:16.056Z", level: job.LevelDebug, seed: "seed_hkube_progress_active.json"},
		{name: "hkube_progress_unknown", format: format.HKube, event: webhook.JobProgress, at: "2018-01-16T14:27:16Z", level: job.LevelInfo},
		{name: "hkube_result_completed", format: format.HKube, event: webhook.JobFinished, at: "2018-01-16T15:15:00.369Z", level: job.LevelInfo, seed: "seed_hkube_result_completed.json"},
		{name: "hkube_result_failed", format: format.HKube, event: webhook.JobFailed, at: "2018-01-16T15:15:00.369Z", level: job.LevelError},
		{name: "hkube_result_stopped", format: format.HKube, event: webhook.JobStopped, at: "2018-01-16T15:15:00.369Z", level: job.LevelInfo},
		{name: "socialdata", format: format.SocialData, event: webhook.JobFinished, at: "2024-01-01T00:00:00Z", seed: "seed_socialdata.json"},
		{name: "socialdata_error", format: format.SocialData, event: webhook.JobFailed, at: "2024-01-01T00:00:00Z"},
		{name: "socialdata_exported", format: format.SocialData, event: webhook.ResultSetReady, at: "2026-03-01T10:00:00Z"},
		{name: "standard_progress", format: format.Standard, event: webhook.JobProgress, at: "2026-03-01T10:00:00.250Z", level: job.LevelDebug},
		{name: "standard_finished", format: format.Standard, event: webhook.JobFinished, at: "2026-03-01T10:00:00Z"},
		{name: "standard_failed", format: format.Standard, event: webhook.JobFailed, at: "2026-03-01T10:00:00Z"},
		{name: "standard_stopped", format: format.Standard, event: webhook.JobStopped, at: "2026-03-01T10:00:00Z"},
		{name: "standard_result_set", format: format.Standard, event: webhook.ResultSetReady, at: "2026-03-01T10:00:00Z"},
		{name: "standard_exported", format: format.Standard, event: webhook.ResultSetReady, at: "2026-03-01T10:00:00Z"},
		{name: "standard_test", format: format.Standard, event: webhook.WebhookTest, at: "2026-03-01T10:00:00Z"},
	}
}

func TestBodiesAreThoseOfTheGoldenFiles(t *testing.T) {
	for _, ex := range examples() {
		t.Run(ex.name, func(t *testing.T) {
			isGolden(t, ex.name, ex.encode(t))
		})
	}
}

// isGolden compares a body with its golden file.
func isGolden(t *testing.T, name string, b format.Body) {
	t.Helper()
	got, path := pretty(t, b), filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(got, read(t, path)); diff != "" {
		t.Errorf("body (-got +want):\n%s", diff)
	}
}

// The examples of the vendors' pages hold without -update.
func TestBodiesAreTheExamplesOfTheVendorsPages(t *testing.T) {
	seen := map[string]bool{}
	for _, ex := range examples() {
		if ex.seed == "" {
			continue
		}
		seen[filepath.Join("testdata", ex.seed)] = true
		t.Run(ex.name, func(t *testing.T) {
			got, want := string(ex.encode(t).Bytes), asSent(t, ex.seed)
			if diff := cmp.Diff(got, want); diff != "" {
				t.Errorf("body (-got +want):\n%s", diff)
			}
		})
	}
	seeds, _ := filepath.Glob("testdata/seed_*")
	for _, path := range seeds {
		if !seen[path] {
			t.Errorf("%s: nothing is compared with it", path)
		}
	}
}

func (ex example) encode(t *testing.T) format.Body {
	t.Helper()
	e := webhook.Event{ID: "evt_1", Type: ex.event, At: instant(t, ex.at), Level: ex.level}
	record, err := os.ReadFile(filepath.Join("testdata", ex.name+".record.json"))
	if err != nil && !(errors.Is(err, fs.ErrNotExist) && ex.event == webhook.WebhookTest) {
		t.Fatal(err)
	}
	e.Record = record
	return encode(t, ex.format, e)
}

// encode renders an event that the format must be able to send.
func encode(t *testing.T, name string, e webhook.Event) format.Body {
	t.Helper()
	f, ok := format.Lookup(name)
	if !ok {
		t.Fatalf("there is no format %s", name)
	}
	b, err := f.Encode(e, publicURL)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// pretty indents JSON, which keeps the order of its keys.
func pretty(t *testing.T, b format.Body) string {
	t.Helper()
	if b.ContentType != "application/json" {
		return string(b.Bytes) + "\n"
	}
	var out bytes.Buffer
	if err := json.Indent(&out, b.Bytes, "", "  "); err != nil {
		t.Fatal(err)
	}
	return out.String() + "\n"
}

// asSent turns an example as a page prints it into what is sent: JSON without
// blanks and without HKube's trailing comma, or the form of the printed fields.
func asSent(t *testing.T, name string) string {
	t.Helper()
	printed := read(t, filepath.Join("testdata", name))
	if strings.HasSuffix(name, ".txt") {
		return printedForm(printed)
	}
	var out bytes.Buffer
	if err := json.Compact(&out, []byte(strings.Replace(printed, "},\n        ]", "}\n        ]", 1))); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// printedForm reads lines of the form `"name": value`. No value of the example
// needs escaping in a form.
func printedForm(printed string) string {
	var fields []string
	for line := range strings.Lines(printed) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		fields = append(fields, strings.Trim(name, `"`)+"="+strings.Trim(value, `"`))
	}
	return strings.Join(fields, "&")
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func instant(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}
