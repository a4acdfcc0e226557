package compat_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jobhook/jobhook/functions/internal/compat"
	"github.com/jobhook/jobhook/shared/files"
	"github.com/jobhook/jobhook/shared/format"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

func TestScrapingJobsComeInPagesOfAHundred(t *testing.T) {
	s := newSite(t)
	for n := range 310 { // more than the store lists at once
		s.write(fmt.Sprintf(`{"account":"list","kind":"scraping","id":%d,"status":"scheduled","sitemap_id":%d}`, 5000+n, n%2))
	}
	list := func(query string) (first, last any, body map[string]any) {
		body = s.get(platform, "/webscraper/scraping-jobs?account=list&"+query).mustUnmarshal(t)
		data := body["data"].([]any)
		return data[0].(map[string]any)["id"], data[len(data)-1].(map[string]any)["id"], body
	}
	for _, tt := range []struct {
		query       string
		first, last float64
		total       float64
		lastPage    float64
	}{
		{"", 5309, 5210, 310, 4}, {"page=1", 5309, 5210, 310, 4}, {"page=2", 5209, 5110, 310, 4}, {"page=4", 5009, 5000, 310, 4},
		{"page=2&sitemap_id=1", 5109, 5001, 155, 2},
	} {
		first, last, body := list(tt.query)
		if first != tt.first || last != tt.last || body["total"] != tt.total || body["last_page"] != tt.lastPage {
			t.Errorf("%q: got %v to %v, total %v, last page %v; want %v", tt.query, first, last, body["total"], body["last_page"], tt)
		}
	}
}

// elsewhere are files that lie in a bucket.
type elsewhere struct {
	compat.Files
	asked *files.LinkOptions
}

func (e elsewhere) Link(_ context.Context, key string, o files.LinkOptions) (string, error) {
	*e.asked = o
	return "https://bucket.example/" + key + "?signed", nil
}

func TestDataInABucketIsLinkedTo(t *testing.T) {
	s := newSite(t)
	var asked files.LinkOptions
	s.with(func(c *compat.Config) { c.Files = elsewhere{c.Files, &asked} })
	for _, method := range []string{"GET", "HEAD"} {
		got := s.do(acme, method, "/webscraper/scraping-job/1234/json")
		if location := got.header.Get("Location"); got.status != 302 || !strings.HasSuffix(location, "/1/Results_1234_1_All_Pages.jsonl?signed") {
			t.Errorf("%s: got %s", method, got)
		}
		if asked.Method != method || asked.FileName != "Results_1234_1_All_Pages.jsonl" {
			t.Errorf("%s: asked for %+v", method, asked)
		}
	}
}

func TestALinkToABucketIsRecordedWhateverPartIsAskedFor(t *testing.T) {
	s := newSite(t)
	s.with(func(c *compat.Config) { c.Files = elsewhere{c.Files, new(files.LinkOptions)} })
	if w := s.part("Range", "bytes=1-"); w.Code != 302 {
		t.Errorf("got %d, want 302", w.Code)
	}
	sets, err := s.store.ResultSets(t.Context(), "acme", job.KindScraping, "1234")
	if err != nil || len(sets) != 1 || sets[0].Downloads != 1 {
		t.Errorf("result sets %+v, %v; want one download: the link gives the whole", sets, err)
	}
}

func TestDownloadsOfScrapedDataAreRecorded(t *testing.T) {
	s := newSite(t)
	s.get(acme, "/webscraper/scraping-job/1234/csv")
	s.get(other, "/webscraper/scraping-job/1234/csv")
	sets, err := s.store.ResultSets(t.Context(), "acme", job.KindScraping, "1234")
	if err != nil {
		t.Fatal(err)
	}
	list, err := s.store.Downloads(t.Context(), sets[0].Token, 10)
	if err != nil || len(list) != 1 || !strings.HasSuffix(list[0].File, ".csv") || list[0].Method != "GET" {
		t.Errorf("downloads %+v, error %v; want the one of its owner", list, err)
	}
}

// finish ends the export of a run of the job 1236.
func (s *site) finish(run int, state webhook.ResultSetState, change func(*webhook.ResultSet)) {
	s.t.Helper()
	set := webhook.ResultSet{Account: "acme", Kind: job.KindScraping, JobID: "1236", Run: run, State: state,
		Token: webhook.NewResultSetToken("acme", job.KindScraping, "1236", run), ExpiresAt: now().Add(time.Hour), CreatedAt: now()}
	change(&set)
	if _, err := s.store.BeginResultSet(s.t.Context(), set); err != nil {
		s.t.Fatal(err)
	}
}

func TestOnlyDataThatIsThereIsServed(t *testing.T) {
	for _, tt := range []struct {
		name   string
		state  webhook.ResultSetState
		change func(*webhook.ResultSet)
		status int
	}{
		{"exporting", webhook.ResultSetExporting, func(*webhook.ResultSet) {}, 429},
		{"failed", webhook.ResultSetFailed, func(*webhook.ResultSet) {}, 404},
		{"expired", webhook.ResultSetExported, func(s *webhook.ResultSet) { s.ExpiresAt = now() }, 404},
		{"revoked", webhook.ResultSetExported, func(s *webhook.ResultSet) { s.RevokedAt = now() }, 404},
		{"the file was removed", webhook.ResultSetExported, func(*webhook.ResultSet) {}, 404},
	} {
		s := newSite(t)
		s.finish(1, tt.state, tt.change)
		if !strings.Contains(tt.name, "removed") {
			s.put(files.ResultsFolder("acme", job.KindScraping, "1236", 1)+"Results_1236_1_All_Pages.jsonl", "{}\n")
		}
		if got := s.get(acme, "/webscraper/scraping-job/1236/json"); got.status != tt.status {
			t.Errorf("%s: got %s, want %d", tt.name, got, tt.status)
		}
	}
}

func TestAnotherRunLeavesTheDataOfTheLastOne(t *testing.T) {
	s := newSite(t)
	s.finish(1, webhook.ResultSetExported, func(*webhook.ResultSet) {})
	s.put(files.ResultsFolder("acme", job.KindScraping, "1236", 1)+"Results_1236_1_All_Pages.jsonl", "{}\n")
	for _, record := range []string{
		`{"account":"acme","kind":"scraping","id":1236,"status":"finished","run":1,"records_run":1}`,
		`{"account":"acme","kind":"scraping","id":1236,"status":"started","run":2,"records_run":2}`,
	} {
		s.write(record)
		if got := s.get(acme, "/webscraper/scraping-job/1236/json"); got.status != 200 || got.body != "{}\n" {
			t.Errorf("%s: got %s", record, got)
		}
	}
	s.write(`{"account":"acme","kind":"scraping","id":1236,"status":"finished","run":2,"records_run":2}`)
	if got := s.get(acme, "/webscraper/scraping-job/1236/json"); got.status != 429 {
		t.Errorf("the second run has ended: got %s, want to wait for its data", got)
	}
}

const pipeline = `{"account":"acme","kind":"pipeline","id":"p:1","name":"p","run":1,"created_at":"2020-01-01T00:00:00Z",
	"webhooks":{"progress":"https://example.com/p","result":"https://example.com/r"},`

// bodyOf is what HKube's webhook of an event said.
func bodyOf(t *testing.T, e told) string {
	t.Helper()
	f, _ := format.Lookup(format.HKube)
	b, err := f.Encode(webhook.Event{ID: "evt", Type: e.typ, At: e.at, Level: e.level, Record: e.job.Record}, publicURL)
	if err != nil {
		t.Fatal(err)
	}
	return string(b.Bytes)
}

func TestStatusAndResultsAreWhatTheWebhooksSaid(t *testing.T) {
	s := newSite(t)
	target := []webhook.Target{toURL("https://example.com/p", format.HKube)}
	var last told
	for n := 1; n <= 12; n++ { // sequence numbers of one and two digits
		j := s.write(fmt.Sprintf(pipeline+`"status":"active","progress":%d}`, n))
		last = told{j, webhook.JobProgress, clockAt(n), job.LevelDebug, fmt.Sprint(n), target}
		s.tell(last)
	}
	if got, want := s.get(acme, "/hkube/api/v1/exec/status/p:1").body, bodyOf(t, last); got != want {
		t.Errorf("active: got %s, want %s", got, want)
	}
	s.write(pipeline + `"status":"active","progress":50}`)
	if got := s.get(acme, "/hkube/api/v1/exec/status/p:1").body; !strings.Contains(got, `"50.00"`) || !strings.Contains(got, "2020-01-02T00:00:00.000Z") {
		t.Errorf("moved on: got %s, want the present progress", got)
	}

	j := s.write(pipeline + `"status":"stopped","reason":"by hand & mistake"}`)
	if got := s.get(acme, "/hkube/api/v1/exec/results/p:1"); got.status != 200 || !strings.Contains(got.body, `"reason":"by hand & mistake"`) {
		t.Errorf("not told yet: got %s", got)
	}
	end := told{j, webhook.JobStopped, clockAt(20), job.LevelInfo, "20", target}
	s.tell(end)
	s.write(pipeline + `"status":"stopped","reason":"by hand & mistake","details":"cleaned up"}`)
	if got, want := s.get(acme, "/hkube/api/v1/exec/results/p:1").body, bodyOf(t, end); got != want {
		t.Errorf("results: got %s, want %s", got, want)
	}
	end.typ = webhook.JobProgress
	if got, want := s.get(acme, "/hkube/api/v1/exec/status/p:1").body, bodyOf(t, end); got != want {
		t.Errorf("status of the end: got %s, want %s", got, want)
	}
}

func TestAPipelineWithoutRunsHasItsResults(t *testing.T) {
	s := newSite(t)
	j := s.write(`{"account":"acme","kind":"pipeline","id":"free:1","name":"free","status":"completed","created_at":"2020-01-01T00:00:00Z"}`)
	e := told{j, webhook.JobFinished, clockAt(5), job.LevelInfo, "5", []webhook.Target{{}}}
	s.tell(e)
	if got, want := s.get(acme, "/hkube/api/v1/exec/results/free:1").body, bodyOf(t, e); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestTheLastWebhookIsTheLastThatWasSent(t *testing.T) {
	s := newSite(t)
	tell := func(n int) webhook.Delivery {
		j := s.write(fmt.Sprintf(pipeline+`"status":"active","progress":%d}`, n))
		return s.tell(told{j, webhook.JobProgress, clockAt(n), job.LevelInfo, fmt.Sprint(n), []webhook.Target{toURL("https://example.com/p", format.HKube)}})[0]
	}
	s.attempt(tell(9), clockAt(9), webhook.StateDelivered, webhook.Result{Status: 200})
	s.attempt(tell(10), clockAt(10), webhook.StateDead, webhook.Result{Status: 404})
	tell(11) // not sent yet
	got := s.get(acme, "/hkube/api/v1/webhooks/status/p:1")
	want := `{"url":"https://example.com/p","pipelineStatus":"active","responseStatus":"failed","httpResponse":{"statusCode":404,"statusMessage":"Not Found"},"timestamp":"2020-01-01T00:00:10.000Z"}`
	if got.body != want {
		t.Errorf("got %s, want %s", got.body, want)
	}
	if got := s.get(acme, "/hkube/api/v1/webhooks/list/p:1"); !strings.HasPrefix(got.body, `{"jobId":"p:1","progress":`) || strings.Contains(got.body, `"result"`) {
		t.Errorf("list: got %s", got.body)
	}
	if got := s.get(acme, "/hkube/api/v1/webhooks/results/p:1"); got.status != 404 {
		t.Errorf("results: got %s", got)
	}
}

func TestAnExpiredDeliveryBreaksNoAnswer(t *testing.T) {
	s := newSite(t)
	s.with(func(c *compat.Config) { c.Store = forgetful{c.Store} })
	for target, want := range map[string]int{
		"/serpwow/batches/9E867FAA/results/4": 404, "/serpwow/batches/9E867FAA/results": 200,
		"/hkube/api/v1/exec/results/batch:2":                                                 200,
		"/hkube/api/v1/webhooks/results/batch-pipeline:e51c8dd7-7a7b-4d65-ad36-d1a919a9dee1": 404,
	} {
		if got := s.get(acme, target); got.status != want {
			t.Errorf("%s: got %s, want %d", target, got, want)
		}
	}
}

// forgetful is a store whose events and attempts expire between two reads.
type forgetful struct{ compat.Store }

func (forgetful) Event(context.Context, string, string) (webhook.Event, error) {
	return webhook.Event{}, webhook.ErrNotFound
}

func (forgetful) Attempts(context.Context, webhook.Ref) ([]webhook.Attempt, error) {
	return nil, fmt.Errorf("attempts: %w", webhook.ErrNotFound)
}

func TestTheBodyOfSocialDataIsThatOfItsWebhook(t *testing.T) {
	s := newSite(t)
	for _, name := range []string{"socialdata", "socialdata_error"} {
		j := s.example(name)
		f, _ := format.Lookup(format.SocialData)
		sent, err := f.Encode(webhook.Event{ID: "evt", Type: webhook.EndOf(j.Outcome()), Record: j.Record}, publicURL)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.get(acme, "/socialdata/jobs/"+j.ID).body; !bytes.Contains(sent.Bytes, []byte(`"data":`+got+`}`)) {
			t.Errorf("%s: got %s, the webhook says %s", name, got, sent.Bytes)
		}
	}
}

func TestAHostWithoutFilesShowsWhatItHas(t *testing.T) {
	s := newSite(t)
	s.with(func(c *compat.Config) { c.Files = nil })
	for target, want := range map[string]int{
		"/serpwow/batches/searches%2F1": 200, "/serpwow/batches/searches%2F1/searches/1": 200,
		"/webscraper/scraping-job/1234/json": 404, "/webscraper/scraping-job/1235/json": 302,
	} {
		if got := s.get(acme, target); got.status != want {
			t.Errorf("%s: got %s, want %d", target, got, want)
		}
	}
}
