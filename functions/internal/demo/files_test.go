package demo

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestDataFileIsServed(t *testing.T) {
	f, err := newFiles(cast{async: "42"})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		path string
		code int
	}{{"/files/Data_42.json", 200}, {"/files/b.json", 404}, {"/files/", 404}} {
		w := httptest.NewRecorder()
		f.ServeHTTP(w, httptest.NewRequest("GET", row.path, nil))
		if w.Code != row.code {
			t.Errorf("GET %s = %d, want %d", row.path, w.Code, row.code)
		}
		if row.code != 200 {
			continue
		}
		var page []search
		if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || len(page) != len(searches()) {
			t.Errorf("the file has %d records, %v; want %d", len(page), err, len(searches()))
		}
	}
}

func TestRecordsAreOneALine(t *testing.T) {
	b, err := jsonLines(searches())
	if err != nil || strings.Count(string(b), "\n") != len(searches()) || !strings.HasPrefix(string(b), `{"search":{"id":"S1"`) {
		t.Errorf("%q, %v", b, err)
	}
}
