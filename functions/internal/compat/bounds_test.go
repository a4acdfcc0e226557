package compat_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/functions/internal/compat"
	"github.com/jobhook/jobhook/shared/files"
	"github.com/jobhook/jobhook/shared/format"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// endless is a store whose lists never end, and counts what is read of them.
type endless struct {
	compat.Store
	jobs, events *int
}

func (e endless) Jobs(ctx context.Context, f webhook.JobFilter) ([]job.Job, string, error) {
	*e.jobs++
	f.After = ""
	list, _, err := e.Store.Jobs(ctx, f)
	return list, "more", err
}

func (e endless) Events(ctx context.Context, f webhook.EventFilter) ([]webhook.Event, string, error) {
	*e.events++
	f.After = ""
	list, _, err := e.Store.Events(ctx, f)
	return list, "more", err
}

// endless makes the site's lists so.
func (s *site) endless() endless {
	e := endless{Store: s.store, jobs: new(int), events: new(int)}
	s.with(func(c *compat.Config) { c.Store = e })
	return e
}

func TestAListOfScrapingJobsReadsNoMoreThanItsBound(t *testing.T) {
	s := newSite(t)
	e := s.endless()
	for query, want := range map[string]struct{ status, most int }{
		"page=1000": {200, 500}, "sitemap_id=none": {200, 500}, "page=1001": {400, 0}, "page=1000000000": {400, 0},
	} {
		*e.jobs = 0
		if got := s.get(acme, "/webscraper/scraping-jobs?"+query); got.status != want.status || *e.jobs > want.most || !strings.Contains(got.body, `"success":`) {
			t.Errorf("%s: got %s after %d pages, want %+v", query, got, *e.jobs, want)
		}
	}
}

func TestAPollOfAPipelineReadsFewOfItsEvents(t *testing.T) {
	s := newSite(t)
	j := s.write(pipeline + `"status":"active","progress":7}`)
	last := told{j, webhook.JobProgress, clockAt(7), job.LevelInfo, "7", []webhook.Target{toURL("https://example.com/p", format.HKube)}}
	s.tell(last)
	e := s.endless()
	got := s.get(acme, "/hkube/api/v1/exec/status/p:1")
	if want := bodyOf(t, last); got.body != want || *e.events > 10 {
		t.Errorf("got %s after %d pages, want %s after 10 at most", got, *e.events, want)
	}
}

// The newest of very many events may not be found. Then the record says what
// its webhook did, but for the time.
func TestAPollOfAPipelineThatMovedOftenShowsTheRecord(t *testing.T) {
	s := newSite(t)
	j := s.write(pipeline + `"status":"active","progress":7}`)
	s.tell(told{j, webhook.JobProgress, clockAt(7), job.LevelInfo, "7", []webhook.Target{{}}})
	s.endless()
	j = s.write(pipeline + `"status":"active","progress":8}`)
	want := bodyOf(t, told{j, webhook.JobProgress, now(), job.LevelInfo, "8", nil})
	if got := s.get(acme, "/hkube/api/v1/exec/status/p:1").body; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// counted are files that tell how often one was opened.
type counted struct {
	compat.Files
	opened *int
}

func (c counted) Open(ctx context.Context, key string) (io.ReadCloser, int64, error) {
	*c.opened++
	return c.Files.Open(ctx, key)
}

func TestSearchesAreCountedAsLongAsThatIsCheap(t *testing.T) {
	s := newSite(t)
	opened := 0
	s.with(func(c *compat.Config) { c.Files = counted{c.Files, &opened} })
	s.write(`{"account":"acme","kind":"batch","id":"HUGE","status":"idle"}`)
	folder := files.InputsFolder("acme", job.KindBatch, "HUGE")
	line := `{"q":"` + strings.Repeat("x", 1<<20-9) + "\"}\n"
	s.put(folder+files.Part(1), strings.Repeat(line, 8))
	s.put(folder+files.Part(2), strings.Repeat(line, 8))
	for _, tt := range []struct{ count, opened int }{{16, 2}, {0, 0}} {
		opened = 0
		body := s.get(acme, "/serpwow/batches/HUGE").mustUnmarshal(t)
		if got := body["batch"].(map[string]any)["searches_total_count"]; got != float64(tt.count) || opened != tt.opened {
			t.Errorf("got %v searches of %d files, want %+v", got, opened, tt)
		}
		s.put(folder+files.Part(3), "{}\n")
	}
}

func TestAPageOfSearchesFitsIntoAnAnswer(t *testing.T) {
	s := newSite(t)
	for id, tt := range map[string]struct {
		search string
		times  int
		status int
	}{
		"fits":    {`{"q":"` + strings.Repeat("x", 1<<20) + `"}`, 4, 200},
		"large":   {`{"q":"` + strings.Repeat("x", 1<<20) + `"}`, 6, 400},
		"escaped": {`{"q":["` + strings.Repeat(`","`, 1<<18) + `"]}`, 4, 400}, // Lambda writes a quote as two bytes
	} {
		s.write(fmt.Sprintf(`{"account":"acme","kind":"batch","id":%q,"status":"idle"}`, id))
		s.put(files.InputsFolder("acme", job.KindBatch, id)+files.Part(1), strings.Repeat(tt.search+"\n", tt.times))
		got := s.get(acme, "/serpwow/batches/"+id+"/searches/1")
		if got.status != tt.status {
			t.Errorf("%s: got %d %.300s, want %d", id, got.status, got.body, tt.status)
		}
		if tt.status == 400 && (!strings.Contains(got.body, "5 MB") || !strings.Contains(got.body, "smaller batches") || !strings.Contains(got.body, `"success":false`)) {
			t.Errorf("%s: got %s, want what to do", id, got)
		}
	}
}

func TestTheLinksThatThePlatformNamedAreShownWhateverBecameOfOurs(t *testing.T) {
	s := newSite(t)
	j := s.write(`{"account":"acme","kind":"batch","id":"THEIR","status":"idle","run":1,"created_at":"2020-01-01T00:00:00Z",
		"result_set":{"id":1,"files":{"csv":{"pages":["https://files.example/1.csv"]}}}}`)
	s.tell(told{j, webhook.ResultSetReady, clockAt(1), job.LevelInfo, "1", []webhook.Target{{}}})
	failed := webhook.ResultSet{Account: "acme", Kind: job.KindBatch, JobID: "THEIR", Run: 1, State: webhook.ResultSetFailed,
		Token: webhook.NewResultSetToken("acme", job.KindBatch, "THEIR", 1), CreatedAt: now(), ExpiresAt: now().AddDate(0, 0, 13)}
	if _, err := s.store.BeginResultSet(t.Context(), failed); err != nil {
		t.Fatal(err)
	}
	if got := s.get(acme, "/serpwow/batches/THEIR/results/1/csv"); got.status != 200 || !strings.Contains(got.body, "https://files.example/1.csv") {
		t.Errorf("got %s", got)
	}
}

func TestTheLinksOfFilesThatCannotBeHadAreNotShown(t *testing.T) {
	s := newSite(t)
	for name, tt := range map[string]struct {
		change func(*webhook.ResultSet)
		status int
	}{
		"there":   {func(*webhook.ResultSet) {}, 200},
		"failed":  {func(set *webhook.ResultSet) { set.State = webhook.ResultSetFailed }, 404},
		"revoked": {func(set *webhook.ResultSet) { set.RevokedAt = now() }, 404},
		"expired": {func(set *webhook.ResultSet) { set.ExpiresAt = now() }, 404},
	} {
		token := webhook.NewResultSetToken("acme", job.KindBatch, name, 1)
		j := s.write(fmt.Sprintf(`{"account":"acme","kind":"batch","id":%q,"status":"idle","run":1,"created_at":"2020-01-01T00:00:00Z",
			"result_set":{"id":1,"token":%q,"pages":1,"records":1,"csv_hash":"246f6e2e561c90958384aa76e455e2bc95ad3a01","expires_at":"2020-01-14T00:00:00Z"}}`, name, token))
		s.tell(told{j, webhook.ResultSetReady, clockAt(1), job.LevelInfo, "1", []webhook.Target{{}}})
		set := webhook.ResultSet{Account: "acme", Kind: job.KindBatch, JobID: name, Run: 1, Token: token, State: webhook.ResultSetExported,
			Pages: 1, CreatedAt: now(), ExpiresAt: now().AddDate(0, 0, 13)}
		tt.change(&set)
		if _, err := s.store.BeginResultSet(t.Context(), set); err != nil {
			t.Fatal(err)
		}
		for _, route := range []string{"", "/jsonlines", "/csv"} {
			got, want := s.get(acme, "/serpwow/batches/"+name+"/results/1"+route), tt.status
			if route == "" {
				want = 200 // it tells of more than links
			}
			if got.status != want || strings.Contains(got.body, token) != (tt.status == 200) {
				t.Errorf("%s%s: got %s, want %d", name, route, got, want)
			}
		}
		if diff := cmp.Diff(s.ids(t, name), []int{1}); diff != "" {
			t.Errorf("%s: list (-got +want):\n%s", name, diff)
		}
	}
}
