package export

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jobhook/jobhook/shared/files"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// TestMemoryDoesNotGrowWithTheSet exports 128 MiB. The limit is a quarter of
// that; the buffers of uploads to S3 come on top, see package s3files.
func TestMemoryDoesNotGrowWithTheSet(t *testing.T) {
	const size, limit = 128 << 20, 32 << 20
	s := newStream(size, [][]byte{[]byte(`{"id":7,"page":{"text":"` + strings.Repeat("plain text ", 500) + `"}}`)}) // quick to read and to zip
	r := asyncRun()
	if err := (&Handler{Files: s, Log: slog.New(slog.DiscardHandler)}).export(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if r.set.Records != s.records() || r.set.Bytes < 3*size || s.written != r.set.Bytes {
		t.Errorf("%+v of %d records and %d bytes", r.set, s.records(), s.written)
	}
	t.Logf("the heap grew by %.1f MiB at most", s.grown())
	if got := s.grown(); got > limit>>20 {
		t.Errorf("the heap grew by %.1f MiB, want at most %d", got, limit>>20)
	}
}

// The benchmarks tell how much of the uploaded records goes through in a
// second, of the clock and of processor time: search results of 5 KB each, read from memory, in files that nobody
// keeps.

func BenchmarkCheckAndFindColumns(b *testing.B) {
	benchmark(b, func(s *stream) error {
		_, err := newReading(s, s.parts, false).each(b.Context(), newTable(nil).survey)
		return err
	})
}

// BenchmarkExportJSON leaves out the zip of all pages, see BenchmarkExportZip.
func BenchmarkExportJSON(b *testing.B) {
	benchmark(b, func(s *stream) error {
		book := (&Handler{Files: s}).bind(b.Context(), asyncRun(), layoutOf(job.FilesJSON))
		book.bundle = &scroll{Writer: io.Discard}
		return fillBook(b, s, book)
	})
}

func BenchmarkExportJSONLines(b *testing.B) {
	benchmark(b, func(s *stream) error {
		return fillBook(b, s, (&Handler{Files: s}).bind(b.Context(), asyncRun(), layoutOf(job.FilesJSONLines)))
	})
}

// BenchmarkExportCSV writes every column there is.
func BenchmarkExportCSV(b *testing.B) {
	table := newTable(nil)
	for _, record := range searchResults() {
		if err := table.survey(record); err != nil {
			b.Fatal(err)
		}
	}
	benchmark(b, func(s *stream) error {
		return fillBook(b, s, (&Handler{Files: s}).bind(b.Context(), asyncRun(), table.layout()))
	})
}

func BenchmarkExportZip(b *testing.B) {
	benchmark(b, func(s *stream) error {
		archive := newArchive(io.Discard, strconv.Itoa, time.Time{})
		if err := archive.begin(1, ""); err != nil {
			return err
		}
		_, err := newReading(s, s.parts, true).each(b.Context(), func(record []byte) error {
			_, err := archive.Write(record)
			return err
		})
		if err != nil {
			return err
		}
		return archive.close()
	})
}

// BenchmarkExport makes all files of a set.
func BenchmarkExport(b *testing.B) {
	benchmark(b, func(s *stream) error {
		return (&Handler{Files: s, Log: slog.New(slog.DiscardHandler)}).export(b.Context(), asyncRun())
	})
}

func benchmark(b *testing.B, run func(*stream) error) {
	const size = 64 << 20
	s := newStream(size, searchResults())
	b.SetBytes(size)
	begun := cpu(b)
	for b.Loop() {
		if err := run(s); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*size/1e6/(cpu(b)-begun).Seconds(), "MB/cpu-s")
	b.ReportMetric(s.grown(), "peak-MiB")
}

// cpu is the time that this process has had of all cores: on a machine that
// others use too it says more than the clock.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func fillBook(b *testing.B, s *stream, book *book) error {
	_, err := newReading(s, s.parts, true).each(b.Context(), book.add)
	return book.close(err)
}

func asyncRun() *run {
	e := webhook.Export{Account: "acme", Kind: job.KindAsync, JobID: "7", Run: 2}
	return &run{Export: e, job: job.Job{Kind: e.Kind, Record: []byte("{}")}}
}

// stream is files that are made while they are read, and counted while they are
// written. It looks at the heap whenever that has gone on for a while.
type stream struct {
	chunk []byte // of whole records, again and again
	parts []files.Info

	lock    sync.Mutex
	written int64
	looked  int64
	before  uint64
	peak    uint64
}

const (
	partSize  = 32 << 20
	lookEvery = 4 << 20
)

func newStream(size int64, records [][]byte) *stream {
	s := &stream{chunk: append(bytes.Join(records, []byte("\n")), '\n')}
	for part := range int(size / partSize) {
		s.parts = append(s.parts, files.Info{Key: files.Part(part + 1), Size: partSize})
	}
	runtime.GC()
	s.before = heap()
	return s
}

// records is how many there are in all parts.
func (s *stream) records() int {
	return len(s.parts) * (partSize / len(s.chunk)) * bytes.Count(s.chunk, []byte("\n"))
}

func (s *stream) List(context.Context, string, int) ([]files.Info, error) { return s.parts, nil }

func (s *stream) Open(context.Context, string) (io.ReadCloser, int64, error) {
	return io.NopCloser(&again{chunk: s.chunk, times: partSize / len(s.chunk)}), partSize, nil
}

func (s *stream) Put(_ context.Context, _ string, body io.Reader, _ files.Meta) error {
	_, err := io.Copy(writerFunc(s.count), body)
	return err
}

func (s *stream) count(p []byte) (int, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.written += int64(len(p)); s.written-s.looked > lookEvery {
		s.looked, s.peak = s.written, max(s.peak, heap())
	}
	return len(p), nil
}

// grown is by how many MiB the heap was larger than at the start, what is not
// collected yet included.
func (s *stream) grown() float64 { return float64(max(s.peak, s.before)-s.before) / (1 << 20) }

func heap() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// again reads a chunk some times.
type again struct {
	chunk, rest []byte
	times       int
}

func (a *again) Read(p []byte) (int, error) {
	if len(a.rest) == 0 {
		if a.times == 0 {
			return 0, io.EOF
		}
		a.times--
		a.rest = a.chunk
	}
	n := copy(p, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}

// searchResults are 200 different records of about 5 KB.
func searchResults() [][]byte {
	random := rand.New(rand.NewPCG(1, 2))
	words := func(n int) string {
		var b []byte
		for range n {
			b = strconv.AppendUint(append(b, ' '), random.Uint64N(5000), 36)
		}
		return string(b[1:])
	}
	var all [][]byte
	for i := range 200 {
		record := map[string]any{"search": map[string]any{"q": words(3), "page": i}, "success": true}
		var results []any
		for position := range 12 {
			results = append(results, map[string]any{
				"position": position + 1, "title": words(12), "link": "https://" + words(1) + ".example.com/" + words(1), "domain": "example.com",
				"snippet": "\u201c" + words(50) + "\u201d, \"" + words(3) + "\"", "rating": random.Float64() * 5, "reviews": random.IntN(1000), "block": nil,
				"rich_snippet": map[string]any{"price": random.IntN(100), "currency": "EUR", "in_stock": position%2 == 0},
			})
		}
		record["organic_results"] = results
		text, _ := json.Marshal(record) // maps of texts and numbers always marshal
		all = append(all, text)
	}
	return all
}
