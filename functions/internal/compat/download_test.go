package compat_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/jobhook/jobhook/functions/internal/compat"
	"github.com/jobhook/jobhook/shared/files"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

const scrapedJSON = `{"title":"a"}` + "\n" + `{"title":"b"}` + "\n"

// part asks for a part of the scraped data.
func (s *site) part(header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", "/webscraper/scraping-job/1234/json?api_token=acme", nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func TestPartsOfScrapedDataAreServed(t *testing.T) {
	s := newSite(t)
	for _, tt := range []struct {
		asked, got, body string
		status           int
	}{
		{"", "", scrapedJSON, 200},
		{"bytes=0-3", "bytes 0-3/28", scrapedJSON[:4], 206},
		{"bytes=14-", "bytes 14-27/28", scrapedJSON[14:], 206},
		{"bytes=-28", "bytes 0-27/28", scrapedJSON, 206},
		{"bytes=28-", "bytes */28", `{"success":false,"error":"The file has no such range of bytes."}`, 416},
	} {
		w := s.part("Range", tt.asked)
		if w.Code != tt.status || w.Body.String() != tt.body || w.Header().Get("Content-Range") != tt.got {
			t.Errorf("%q: got %d %q, Content-Range %q; want %+v", tt.asked, w.Code, w.Body, w.Header().Get("Content-Range"), tt)
		}
		if disposition := w.Header().Get("Content-Disposition"); w.Header().Get("X-Content-Type-Options") != "nosniff" || (disposition != "") != (tt.status < 400) {
			t.Errorf("%q: header %v", tt.asked, w.Header())
		}
	}
	sets, err := s.store.ResultSets(t.Context(), "acme", job.KindScraping, "1234")
	if err != nil || len(sets) != 1 || sets[0].Downloads != 3 {
		t.Errorf("result sets %+v, %v; want 3 downloads: the whole, the part that begins one, and all of it as its last bytes", sets, err)
	}
}

func TestARangeOfAnOlderFileGetsTheWholeOfThisOne(t *testing.T) {
	s := newSite(t)
	changed := s.part().Header().Get("Last-Modified")
	if w := s.part("Range", "bytes=14-", "If-Range", changed); w.Code != 206 {
		t.Errorf("the same file: got %d", w.Code)
	}
	if w := s.part("Range", "bytes=14-", "If-Range", "Thu, 01 Jan 1970 00:00:00 GMT"); w.Code != 200 || w.Body.String() != scrapedJSON {
		t.Errorf("another file: got %d %q", w.Code, w.Body)
	}
	if w := s.part("If-Unmodified-Since", "Thu, 01 Jan 1970 00:00:00 GMT"); w.Code != 412 || !strings.HasPrefix(w.Body.String(), `{"success":false,`) {
		t.Errorf("a precondition that fails: got %d %q", w.Code, w.Body)
	}
}

// streamed are files that can be read from their beginning only.
type streamed struct {
	compat.Files
	fails error // at the end; nil: it is whole
}

func (s streamed) Open(ctx context.Context, key string) (io.ReadCloser, int64, error) {
	file, size, err := s.Files.Open(ctx, key)
	if err != nil || s.fails == nil {
		return struct{ io.ReadCloser }{file}, size, err
	}
	short := io.MultiReader(io.LimitReader(file, 3), iotest.ErrReader(s.fails))
	return struct {
		io.Reader
		io.Closer
	}{short, file}, size, nil
}

// sought is a file that can be read anywhere, until it fails.
type sought struct {
	*bytes.Reader
	fails error
}

func (s sought) Read([]byte) (int, error) { return 0, s.fails }
func (sought) Close() error               { return nil }

// damaged are files whose disk fails.
type damaged struct{ compat.Files }

func (damaged) Open(context.Context, string) (io.ReadCloser, int64, error) {
	return sought{bytes.NewReader(make([]byte, 28)), errors.New("bad sector")}, 28, nil
}

// serve serves the site over a connection that is to have ended at once, as
// that of a long download is after the server's write timeout.
func (s *site) serve() (server *httptest.Server, data string) {
	server = httptest.NewUnstartedServer(s)
	server.Config.WriteTimeout = time.Nanosecond
	server.Start()
	return server, server.URL + "/webscraper/scraping-job/1234/json?api_token=acme"
}

func TestADownloadGoesOnAsLongAsItMoves(t *testing.T) {
	for _, whole := range []bool{true, false} {
		s := newSite(t)
		if !whole {
			s.with(func(c *compat.Config) { c.Files = streamed{c.Files, nil} })
		}
		server, data := s.serve()
		answer, err := http.Get(data)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		server.Close()
		if answer.Body.Close(); err != nil || string(body) != scrapedJSON || answer.ContentLength != int64(len(scrapedJSON)) {
			t.Errorf("got %d bytes %q, %v", answer.ContentLength, body, err)
		}
	}
}

func TestHalfAFileDoesNotLookLikeAWholeOne(t *testing.T) {
	for name, change := range map[string]func(compat.Files) compat.Files{
		"read from its beginning": func(f compat.Files) compat.Files { return streamed{f, errors.New("bad sector")} },
		"read anywhere":           func(f compat.Files) compat.Files { return damaged{f} },
	} {
		s := newSite(t)
		s.with(func(c *compat.Config) { c.Files = change(c.Files) })
		server, data := s.serve()
		answer, err := http.Get(data)
		if err == nil {
			_, err = io.ReadAll(answer.Body)
			answer.Body.Close()
		}
		server.Close() // waits for what is logged
		if err == nil || !strings.Contains(s.log.String(), "download.broke_off") || !strings.Contains(s.log.String(), "bad sector") {
			t.Errorf("%s: got %v, logged %s; want the connection to break", name, err, s.log)
		}
	}
}

func TestTheDataOfAFailedRunIsNotThatOfAnOlderOne(t *testing.T) {
	for _, state := range []webhook.ResultSetState{webhook.ResultSetFailed, webhook.ResultSetExported} {
		s := newSite(t)
		s.finish(1, webhook.ResultSetExported, func(*webhook.ResultSet) {})
		s.finish(2, state, func(set *webhook.ResultSet) { set.RevokedAt = now() })
		s.put(files.ResultsFolder("acme", job.KindScraping, "1236", 1)+"Results_1236_1_All_Pages.jsonl", "{}\n")
		s.write(`{"account":"acme","kind":"scraping","id":1236,"status":"finished","run":2,"records_run":2}`)
		if got := s.get(acme, "/webscraper/scraping-job/1236/json"); got.status != 404 || !strings.Contains(got.body, `"success":false`) {
			t.Errorf("%s: got %s", state, got)
		}
	}
}
