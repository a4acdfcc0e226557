package export_test

import (
	"archive/zip"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/functions/internal/worldtest"
	"github.com/jobhook/jobhook/shared/job"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestTheFilesOfEveryKind shows each file line by line, as Go writes texts.
func TestTheFilesOfEveryKind(t *testing.T) {
	for _, test := range []struct {
		name, more string
		kind       job.Kind
	}{
		{"batch", `,"notification_as_csv":true`, job.KindBatch},
		{"batch-columns", `,"notification_csv_fields":" search.q ,results.0.price,results,extra.a.b, absent.path,results.1,success,note,extra","csv_formula_safe":true`, job.KindBatch},
		{"scraping", ``, job.KindScraping},
		{"async", `,"csv_formula_safe":"true"`, job.KindAsync},
		{"pipeline", `,"csv_formula_safe":true`, job.KindPipeline},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			e := w.ended(test.kind, test.more)
			w.upload(e, sample(t))
			if failed := w.handle(1, e); failed > 0 {
				t.Fatalf("it failed: %s", &w.log)
			}
			path := filepath.Join("testdata", test.name+".golden")
			got := describe(t, w.exported(e))
			if *update {
				w.check(os.WriteFile(path, []byte(got), 0o600))
			}
			want, err := os.ReadFile(path)
			w.check(err)
			if diff := cmp.Diff(got, string(want)); diff != "" {
				t.Errorf("files (-got +want):\n%s", diff)
			}
		})
	}
}

func describe(t *testing.T, files map[string]string) string {
	t.Helper()
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(&b, "%s\n", name)
		if !strings.HasSuffix(name, ".zip") {
			describeLines(&b, "\t", files[name])
			continue
		}
		for _, page := range unzip(t, files[name]) {
			fmt.Fprintf(&b, "\t%s\n", page.name)
			describeLines(&b, "\t\t", page.text)
		}
	}
	return b.String()
}

func describeLines(b *strings.Builder, indent, text string) {
	for line := range strings.Lines(text) {
		fmt.Fprintf(b, "%s%q\n", indent, line)
	}
}

// page is a file of a zip.
type page struct{ name, text string }

func unzip(t *testing.T, text string) (pages []page) {
	t.Helper()
	z, err := zip.NewReader(strings.NewReader(text), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if want := worldtest.Start().Add(-1e9); !f.Modified.Equal(want) {
			t.Errorf("%s is of %s, want the end of the run, %s", f.Name, f.Modified, want)
		}
		pages = append(pages, page{f.Name, string(text)})
	}
	return pages
}
