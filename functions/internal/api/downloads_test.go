package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/jobhook/jobhook/functions/internal/api"
	"github.com/jobhook/jobhook/shared/files"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// exported stores the result set of a run of a batch of acme, with files, and
// returns it.
func (s *fileSite) exported(t testing.TB, run int) webhook.ResultSet {
	t.Helper()
	return s.exportedOf(t, "1", run)
}

func (s *fileSite) exportedOf(t testing.TB, id string, run int) webhook.ResultSet {
	t.Helper()
	set := webhook.ResultSet{Account: "acme", Kind: job.KindBatch, JobID: id, Run: run, State: webhook.ResultSetExporting,
		Token: webhook.NewResultSetToken("acme", job.KindBatch, id, run), CreatedAt: s.clock.now(), UpdatedAt: s.clock.now()}
	set, err := s.store.BeginResultSet(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	set.State, set.Pages, set.Records, set.Bytes, set.CSVHash = webhook.ResultSetExported, 2, 1500, 99, strings.Repeat("a", 40)
	set.ExpiresAt = s.clock.now().Add(14 * 24 * time.Hour)
	if err := s.store.FinishResultSet(t.Context(), set); err != nil {
		t.Fatal(err)
	}
	for _, page := range []int{0, 1, 2} {
		for _, format := range job.FileFormats() {
			name := job.ResultSet{ID: run, CSVHash: set.CSVHash}.FileName(job.KindBatch, id, format, page)
			if err := s.files.Put(t.Context(), files.ResultsFolder("acme", job.KindBatch, id, run)+name, strings.NewReader("0123456789 "+name), files.Meta{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	return set
}

// pathOf is the path of a link to a file of the set.
func pathOf(set webhook.ResultSet, format string, page int) string {
	name := job.ResultSet{ID: set.Run, CSVHash: set.CSVHash}.FileName(set.Kind, set.JobID, format, page)
	return "/d/" + set.Token + "/" + name
}

// click opens a link without a key.
func (s *fileSite) click(method, path, byteRange string) answer {
	r := httptest.NewRequest(method, path, nil)
	if byteRange != "" {
		r.Header.Set("Range", byteRange)
	}
	return s.send(r)
}

func (s *fileSite) downloads(t testing.TB, set webhook.ResultSet) []webhook.Download {
	t.Helper()
	list, err := s.store.Downloads(t.Context(), set.Token, 100)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestALinkServesItsFile(t *testing.T) {
	s := newFileSite(t)
	set := s.exported(t, 1)
	for _, tt := range []struct {
		format      string
		page        int
		name        string
		contentType string
	}{
		{"csv", 0, "Batch_Results_1_1_All_Pages_" + set.CSVHash + ".csv", "text/csv; charset=utf-8"},
		{"csv", 2, "Batch_Results_1_1_Page_2_" + set.CSVHash + ".csv", "text/csv; charset=utf-8"},
		{"json", 0, "Batch_Results_1_1_All_Pages.zip", "application/zip"},
		{"json", 1, "Batch_Results_1_1_Page_1.json", "application/json"},
		{"jsonlines", 0, "Batch_Results_1_1_All_Pages_jsonlines.zip", "application/zip"},
		{"jsonlines", 2, "Batch_Results_1_1_Page_2.jsonl", "application/jsonl"},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			got := s.click(method, pathOf(set, tt.format, tt.page), "")
			body := "0123456789 " + tt.name
			want := map[string]string{
				"Content-Type": tt.contentType, "Content-Length": fmt.Sprint(len(body)), "Accept-Ranges": "bytes",
				"Content-Disposition": `attachment; filename="` + tt.name + `"`, "X-Content-Type-Options": "nosniff",
				"Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
			}
			for name, value := range want {
				if got.header.Get(name) != value {
					t.Errorf("%s %s: %s is %q, want %q", method, tt.name, name, got.header.Get(name), value)
				}
			}
			if method == "HEAD" {
				body = ""
			}
			if got.status != 200 || got.body != body {
				t.Errorf("%s %s: got %d %s", method, tt.name, got.status, got.body)
			}
		}
	}
}

func TestAJobWhoseNameLooksLikeAPageHasItsLinks(t *testing.T) {
	s := newFileSite(t)
	for _, id := range []string{"Landing_Page_3", "Landing_Page_1", "x_Page_3_1", "_Page_"} {
		set := s.exportedOf(t, id, 1)
		for _, page := range []int{0, 1, 2} {
			for _, format := range job.FileFormats() {
				if got := s.click("GET", pathOf(set, format, page), ""); got.status != 200 {
					t.Errorf("%s: got %d %s", pathOf(set, format, page), got.status, got.body)
				}
			}
		}
		for _, page := range []int{3, 4} {
			if got := s.click("GET", pathOf(set, "csv", page), ""); got.status != 404 {
				t.Errorf("%s: got %d", pathOf(set, "csv", page), got.status)
			}
		}
	}
}

func TestADownloadCanBeTakenUpAgain(t *testing.T) {
	s := newFileSite(t)
	path := pathOf(s.exported(t, 1), "json", 1)
	for asked, want := range map[string]struct {
		status int
		body   string
		of     string
	}{
		"bytes=0-3": {206, "0123", "bytes 0-3/40"},
		"bytes=4-9": {206, "456789", "bytes 4-9/40"},
		"bytes=-5":  {206, ".json", "bytes 35-39/40"},
	} {
		if got := s.click("GET", path, asked); got.status != want.status || got.body != want.body || got.header.Get("Content-Range") != want.of {
			t.Errorf("%s: got %d %q %s, want %v", asked, got.status, got.body, got.header.Get("Content-Range"), want)
		}
	}
	if got := s.click("HEAD", path, "bytes=4-9"); got.status != 206 || got.body != "" {
		t.Errorf("HEAD: got %d %q", got.status, got.body)
	}
	for _, method := range []string{"GET", "HEAD"} {
		got := s.click(method, path, "bytes=1000-")
		if got.status != 416 || got.header.Get("Content-Type") != "application/problem+json" || got.header.Get("Content-Disposition") != "" {
			t.Errorf("%s past the end: got %d %s %v", method, got.status, got.body, got.header)
		}
	}
}

func TestABucketsFileIsLinkedTo(t *testing.T) {
	s := newFileSite(t)
	set := s.exported(t, 1)
	s.with(func(c *api.Config) { c.Files, c.Local = linking{s.files}, nil })
	for _, method := range []string{"GET", "HEAD"} {
		got := s.click(method, pathOf(set, "csv", 0), "")
		name := "Batch_Results_1_1_All_Pages_" + set.CSVHash + ".csv"
		want := "https://bucket.example/" + method + "/" + files.ResultsFolder("acme", job.KindBatch, "1", 1) + name + "?name=" + name + "&type=text/csv; charset=utf-8"
		if got.status != 302 || got.header.Get("Location") != want || got.header.Get("Cache-Control") != "no-store" || got.header.Get("Referrer-Policy") != "no-referrer" || got.body != "" {
			t.Errorf("%s: got %d %v %s\nwant %s", method, got.status, got.header, got.body, want)
		}
	}
	if n := len(s.downloads(t, set)); n == 0 {
		t.Error("nothing was counted")
	}
	for i, asked := range []string{"bytes=1-", "bytes=-1"} { // the link gives the whole file
		before := len(s.downloads(t, set))
		s.clock.move(time.Second)
		if s.click("GET", pathOf(set, "csv", 0), asked); len(s.downloads(t, set)) != before+1 {
			t.Errorf("%d: %s was not counted", i, asked)
		}
	}
}

func TestDownloadsAreCountedOnce(t *testing.T) {
	s := newFileSite(t)
	set := s.exported(t, 1)
	path := pathOf(set, "csv", 1)
	for _, click := range []struct {
		method, asked string
		counts        int
	}{
		{"GET", "", 1}, {"HEAD", "", 2}, {"GET", "bytes=0-", 3}, {"GET", "bytes=0-3", 4}, {"GET", "bytes=00-", 5},
		{"GET", "bytes=4-", 5}, {"GET", "bytes= 4-5, 8-", 5}, {"GET", "bytes=1000-", 5},
		{"GET", "bytes=-1", 6}, {"GET", "bytes=-1000", 7}, {"GET", "bytes=4-5,0-3", 8}, {"GET", "bytes=4-5,-3", 9},
	} {
		s.clock.move(time.Second)
		s.click(click.method, path, click.asked)
		if n := len(s.downloads(t, set)); n != click.counts {
			t.Errorf("after %v: %d downloads, want %d", click, n, click.counts)
		}
	}
	list := s.must(t, 200, s.acme, "GET", "/v1/jobs/1/runs/1/downloads?limit=2", "")["items"].([]any)
	newest := list[0].(map[string]any)
	if len(list) != 2 || newest["method"] != "GET" || newest["file"] != "Batch_Results_1_1_Page_1_"+set.CSVHash+".csv" || newest["at"] == "" {
		t.Errorf("downloads %v", list)
	}
	if got := s.must(t, 200, s.acme, "GET", "/v1/jobs/1/runs/1/result-set", ""); fmt.Sprint(got["downloads"]) != "9" || got["last_download_at"] != newest["at"] {
		t.Errorf("result set %v", got)
	}
}

func TestAWholeFileInsteadOfItsRestIsCounted(t *testing.T) {
	s := newFileSite(t)
	set := s.exported(t, 1)
	r := httptest.NewRequest("GET", pathOf(set, "csv", 1), nil)
	r.Header.Set("Range", "bytes=1-")
	r.Header.Set("If-Range", `"of another file"`)
	if got := s.send(r); got.status != 200 || len(s.downloads(t, set)) != 1 {
		t.Errorf("got %d, %d downloads", got.status, len(s.downloads(t, set)))
	}
}

// uncounted is a store that cannot count.
type uncounted struct{ api.Store }

func (uncounted) AddDownload(context.Context, string, webhook.Download) error {
	return errors.New("throttled")
}

func TestACountThatFailsDoesNotFailTheDownload(t *testing.T) {
	s := newFileSite(t)
	set := s.exported(t, 1)
	s.with(func(c *api.Config) { c.Store = uncounted{s.store} })
	if got := s.click("GET", pathOf(set, "csv", 0), ""); got.status != 200 || !strings.Contains(s.log.String(), "download.uncounted") {
		t.Errorf("got %d %s; log %s", got.status, got.body, s.log)
	}
}

func TestALinkThatLeadsNowhereTellsNothing(t *testing.T) {
	s := newFileSite(t)
	set := s.exported(t, 1)
	exporting := webhook.ResultSet{Account: "acme", Kind: job.KindBatch, JobID: "2", Run: 1, State: webhook.ResultSetExporting,
		Token: webhook.NewResultSetToken("acme", job.KindBatch, "2", 1), CreatedAt: s.clock.now(), UpdatedAt: s.clock.now()}
	if _, err := s.store.BeginResultSet(t.Context(), exporting); err != nil {
		t.Fatal(err)
	}
	name := pathOf(set, "csv", 0)[len("/d/"+set.Token+"/"):]
	wrong := set.Token[:len(set.Token)-1] + "0"
	want := s.click("GET", "/d/x/y", "")
	want.problem(t)
	for _, path := range []string{
		"/d/" + wrong + "/" + name,
		"/d/" + strings.Replace(set.Token, "-1-", "-2-", 1) + "/" + name,
		"/d/" + strings.ToUpper(set.Token) + "/" + name,
		"/d/" + set.Token + "/" + strings.Replace(name, "_1_All", "_2_All", 1),
		pathOf(set, "csv", 3),
		pathOf(set, "csv", 99999999),
		"/d/" + set.Token + "/Batch_Results_1_1_Page_-1.json",
		"/d/" + set.Token + "/Batch_Results_1_1_Page_01.json",
		"/d/" + set.Token + "/Batch_Results_1_1_Page_1.json%00",
		"/d/" + set.Token + "/..%2F1%2F" + name,
		"/d/" + set.Token + "/%2E%2E",
		"/d/" + set.Token + "/_Page_",
		"/d/" + set.Token + "/000001.jsonl",
		"/d/" + strings.Repeat("a", 5000) + "/" + name,
		pathOf(exporting, "json", 0),
	} {
		for _, method := range []string{"GET", "HEAD"} {
			got := s.click(method, path, "")
			if got.status != 404 || method == "GET" && got.body != want.body {
				t.Errorf("%s %s: got %d %s, want what every unknown link gets", method, path, got.status, got.body)
			}
		}
	}
	if n := len(s.downloads(t, set)); n != 0 {
		t.Errorf("%d downloads were counted", n)
	}
}

func TestALinkEndsWithItsSet(t *testing.T) {
	for name, end := range map[string]func(s *fileSite, t *testing.T){
		"expired": func(s *fileSite, t *testing.T) { s.clock.move(14 * 24 * time.Hour) },
		"revoked": func(s *fileSite, t *testing.T) {
			for range 2 {
				got := s.must(t, 200, s.acme, "POST", "/v1/jobs/1/runs/1/result-set:revoke", "")
				if got["revoked_at"] != stampOf(s.clock.now()) || got["files"] != nil {
					t.Errorf("revoked: %v", got)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newFileSite(t)
			set, another := s.exported(t, 1), s.exported(t, 2)
			end(s, t)
			for _, method := range []string{"GET", "HEAD"} {
				if got := s.click(method, pathOf(set, "csv", 0), ""); got.status != 410 || got.header.Get("Content-Type") != "application/problem+json" {
					t.Errorf("%s: got %d %s", method, got.status, got.body)
				}
			}
			if got := s.click("GET", pathOf(another, "csv", 0), ""); (got.status == 200) != (name == "revoked") {
				t.Errorf("another set's link: got %d", got.status)
			}
			if n := len(s.downloads(t, set)); n != 0 {
				t.Errorf("%d downloads were counted", n)
			}
		})
	}
}

func TestResultSetsAreListedWithLinks(t *testing.T) {
	s := newFileSite(t)
	set, newest := s.exported(t, 1), s.exported(t, 2)
	list := s.must(t, 200, s.acme, "GET", "/v1/jobs/1/result-sets", "")["items"].([]any)
	first := list[0].(map[string]any)
	csv := first["files"].(map[string]any)["csv"].(map[string]any)
	if len(list) != 2 || fmt.Sprint(first["run"]) != "2" || csv["all_pages"] != "https://jobhook.example"+pathOf(newest, "csv", 0) || csv["pages"] != nil {
		t.Errorf("list %v", list)
	}
	got := s.must(t, 200, s.acme, "GET", "/v1/jobs/1/runs/1/result-set", "")
	csv = got["files"].(map[string]any)["csv"].(map[string]any)
	if got["state"] != "ready" || fmt.Sprintf("%v %v %v", got["records"], got["pages"], got["bytes"]) != "1500 2 99" ||
		fmt.Sprint(csv["pages"]) != fmt.Sprintf("[https://jobhook.example%s https://jobhook.example%s]", pathOf(set, "csv", 1), pathOf(set, "csv", 2)) {
		t.Errorf("set %v", got)
	}
	for _, target := range []string{"GET /v1/jobs/1/runs/3/result-set", "POST /v1/jobs/1/runs/3/result-set:revoke", "GET /v1/jobs/1/runs/3/downloads", "GET /v1/jobs/2/result-sets"} {
		method, path, _ := strings.Cut(target, " ")
		if got := s.do(s.acme, method, path, ""); got.status != 404 {
			t.Errorf("%s: got %d %s", target, got.status, got.body)
		}
	}
}

// deadlines is a connection that remembers until when it waits.
type deadlines struct {
	*httptest.ResponseRecorder
	read, write []time.Time
}

func (d *deadlines) SetReadDeadline(at time.Time) error {
	d.read = append(d.read, at)
	return nil
}

func (d *deadlines) SetWriteDeadline(at time.Time) error {
	d.write = append(d.write, at)
	return nil
}

func TestWhatTakesLongOutlivesTheServersTimeoutsAsLongAsItMoves(t *testing.T) {
	s := newFileSite(t)
	set := s.exported(t, 1)
	name := strings.TrimPrefix(pathOf(set, "json", 1), "/d/"+set.Token+"/")
	if err := s.files.Put(t.Context(), files.ResultsFolder("acme", job.KindBatch, "1", 1)+name, patterned(1<<20), files.Meta{}); err != nil {
		t.Fatal(err)
	}
	download := &deadlines{ResponseRecorder: httptest.NewRecorder()}
	s.ServeHTTP(download, httptest.NewRequest("GET", pathOf(set, "json", 1), nil))
	if n := len(download.write); download.Code != 200 || n < 10 || time.Until(download.write[n-1]) < 30*time.Second {
		t.Errorf("download: got %d, deadlines %v", download.Code, download.write)
	}
	upload := &deadlines{ResponseRecorder: httptest.NewRecorder()}
	r := httptest.NewRequest("POST", "/v1/jobs/1/runs/1/records", patterned(58*20_000))
	r.Header.Set("Authorization", "Bearer "+s.platform)
	s.ServeHTTP(upload, r)
	if n := len(upload.read); upload.Code != 200 || n < 3 || time.Until(upload.read[n-1]) < 30*time.Second || len(upload.write) != n {
		t.Errorf("upload: got %d, deadlines %v", upload.Code, upload.read)
	}
}
