package boot_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/jobhook/jobhook/shared/lambdatest"
)

// reportFile is where the figures go.
const reportFile = "../../../build/boot.json"

// starts is how often each binary is started for the report.
const starts = 9

// figures are what the report says of one binary.
type figures struct {
	Function string `json:"function"`
	// Bytes of the binary as it is shipped, for arm64, and what it may have.
	Bytes    int64 `json:"bytes"`
	MaxBytes int64 `json:"max_bytes"`
	// Milliseconds from the start of the process here, medians: until it asked
	// for its first event, and until it had answered it.
	ReadyMS  float64 `json:"start_to_ready_ms"`
	AnswerMS float64 `json:"start_to_first_answer_ms"`
	// Milliseconds of CPU that the process used in all for that: start, one
	// event, end.
	CPUMS float64 `json:"cpu_ms"`
}

// limits are the largest sizes, in bytes.
func limits() map[string]int64 {
	return map[string]int64{"dispatch": 10e6, "deliver": 10e6, "sweep": 10e6, "export": 14e6, "api": 20e6}
}

func TestBinariesAreSmall(t *testing.T) {
	for name, limit := range limits() {
		if size := shippedSize(t, name); size > limit {
			t.Errorf("%s has %d bytes, at most %d are allowed", name, size, limit)
		}
	}
}

func shippedSize(t *testing.T, name string) int64 {
	t.Helper()
	path, err := lambdatest.BuildFor(lambdatest.ShippedSystem, lambdatest.ShippedArch, name)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// TestFiguresAreReported starts each binary some times, feeds it one event that
// leads to its usual calls, and writes the figures to build/boot.json. Times
// depend on the machine and are not judged.
func TestFiguresAreReported(t *testing.T) {
	s := newSite(t)
	events := map[string]func() []byte{
		"dispatch": func() []byte { return s.payload("dispatch-batch-finished") },
		"deliver":  func() []byte { return batch(s, s.deliveries(1)) },
		"sweep":    func() []byte { return s.payload("sweep-tick") },
		"export":   s.exportAnother,
		"api":      func() []byte { return s.request("api-list") },
	}
	var report []figures
	for _, name := range []string{"dispatch", "deliver", "sweep", "export", "api"} {
		f := figures{Function: name, Bytes: shippedSize(t, name), MaxBytes: limits()[name]}
		s.measure(&f, events[name])
		t.Logf("%-8s %5.1f MB, ready after %.1f ms, first answer after %.1f ms, CPU %.1f ms", name, float64(f.Bytes)/1e6, f.ReadyMS, f.AnswerMS, f.CPUMS)
		report = append(report, f)
	}
	write(t, report)
}

func (s *site) measure(figures *figures, event func() []byte) {
	s.Helper()
	var readies, answers, cpus []time.Duration
	for range starts {
		payload := event()
		f := s.start(figures.Function, nil)
		if _, err := f.Invoke(s.Context(), payload); err != nil {
			s.Fatal(err)
		}
		if err := f.Stop(); err != nil {
			s.Error(err)
		}
		readies, answers, cpus = append(readies, f.StartToReady()), append(answers, f.StartToFirstAnswer()), append(cpus, f.CPU())
	}
	figures.ReadyMS, figures.AnswerMS, figures.CPUMS = median(readies), median(answers), median(cpus)
}

// median is in milliseconds.
func median(all []time.Duration) float64 {
	slices.Sort(all)
	return float64(all[len(all)/2].Microseconds()) / 1000
}

func write(t *testing.T, report []figures) {
	t.Helper()
	raw, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(reportFile), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(reportFile, append(raw, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}
