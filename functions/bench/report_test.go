package main

import (
	"strings"
	"testing"
)

func TestTableShowsWhatWentWrong(t *testing.T) {
	r := &report{Date: "2026-01-01T00:00:00Z", Scenarios: map[string]figures{
		"good": {DeliveriesPerS: 3000, FsyncP99ms: 1},
		"bad":  {DeliveriesPerS: 10, FsyncP99ms: 3, Lost: 2, Duplicates: 1, Backlog: 5, AckedPerS: 20},
	}, Order: []string{"good", "bad"}}
	for _, markdown := range []bool{false, true} {
		var out strings.Builder
		r.print(&out, markdown)
		for _, want := range []string{"good", "3000", "2 lost; 1 duplicates", "backlog 5 at 20 acknowledged/s", "fsync p99 1.0 ms"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("markdown %t: got %s, want %q in it", markdown, &out, want)
			}
		}
	}
}
