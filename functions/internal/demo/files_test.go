package demo

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func TestEveryLinkOfTheResultSetLeadsToItsFile(t *testing.T) {
	ids := cast{batch: "9E867FAA", async: "42"}
	f, err := newFiles(ids)
	if err != nil {
		t.Fatal(err)
	}
	set := resultSet("http://demo/files/", ids.batch)
	jsonFiles, csvFiles := set.Files["json"], set.Files["csv"]
	names := []struct{ link, pattern string }{
		{jsonFiles.Pages[0], `^Batch_Results_9E867FAA_1_Page_1\.json$`},
		{jsonFiles.AllPages, `^Batch_Results_9E867FAA_1_All_Pages\.zip$`},
		{csvFiles.Pages[0], `^Batch_Results_9E867FAA_1_Page_1_[0-9a-f]{40}\.csv$`},
		{csvFiles.AllPages, `^Batch_Results_9E867FAA_1_All_Pages_[0-9a-f]{40}\.csv$`},
	}
	for _, n := range names {
		name := strings.TrimPrefix(n.link, "http://demo/files/")
		if !regexp.MustCompile(n.pattern).MatchString(name) {
			t.Errorf("%s does not match %s", name, n.pattern)
		}
		if len(f[name]) == 0 {
			t.Errorf("there is no file %s", name)
		}
	}
}

func TestFilesHoldTheSameRecords(t *testing.T) {
	f, err := newFiles(cast{batch: "B", async: "42"})
	if err != nil {
		t.Fatal(err)
	}
	names := batchNames("B")
	var page []search
	if err := json.Unmarshal(f[names["json"].Pages[0]], &page); err != nil || len(page) != len(searches()) {
		t.Errorf("the page has %d records, %v; want %d", len(page), err, len(searches()))
	}
	archived := f[names["json"].AllPages]
	z, err := zip.NewReader(bytes.NewReader(archived), int64(len(archived)))
	if err != nil {
		t.Fatal(err)
	}
	file, err := z.Open(names["json"].Pages[0])
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(file); err != nil || !bytes.Equal(got, f[names["json"].Pages[0]]) {
		t.Errorf("the archive holds %q, %v; want the page", got, err)
	}
	rows, err := csv.NewReader(bytes.NewReader(f[names["csv"].AllPages])).ReadAll()
	if err != nil || len(rows) != len(page)+1 || rows[2][1] != page[1].Search.Q {
		t.Errorf("the table is %q, %v", rows, err)
	}
}

func TestDownloadIsServed(t *testing.T) {
	f := files{"a.csv": []byte("a,b\n")}
	for _, row := range []struct {
		path string
		code int
	}{{"/files/a.csv", 200}, {"/files/b.csv", 404}, {"/files/", 404}} {
		w := httptest.NewRecorder()
		f.ServeHTTP(w, httptest.NewRequest("GET", row.path, nil))
		if w.Code != row.code {
			t.Errorf("GET %s = %d, want %d", row.path, w.Code, row.code)
		}
		if row.code == 200 && !strings.HasPrefix(w.Header().Get("Content-Type"), "text/csv") {
			t.Errorf("content-type = %q, want text/csv", w.Header().Get("Content-Type"))
		}
	}
}
