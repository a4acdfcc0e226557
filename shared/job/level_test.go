package job_test

import (
	"testing"

	"github.com/jobhook/jobhook/shared/job"
)

// HKube itself had this inverted for three years, hence both directions for
// every pair.
func TestALevelPassesWhenItIsAtLeastAsSevereAsAskedFor(t *testing.T) {
	want := map[job.Level]string{ // a row per event level, a column per verbosity, least severe first
		job.LevelTrace:    "x.....",
		job.LevelDebug:    "xx....",
		job.LevelInfo:     "xxx...",
		job.LevelWarn:     "xxxx..",
		job.LevelError:    "xxxxx.",
		job.LevelCritical: "xxxxxx",
	}
	for _, level := range job.Levels() {
		got := ""
		for _, verbosity := range job.Levels() {
			if level.Passes(verbosity) {
				got += "x"
			} else {
				got += "."
			}
		}
		if got != want[level] {
			t.Errorf("%s passes %s, want %s", level, got, want[level])
		}
	}
}

func TestWithoutAVerbosityInfoIsTheLevel(t *testing.T) {
	for _, level := range job.Levels() {
		if got, want := level.Passes(""), level.Passes(job.LevelInfo); got != want {
			t.Errorf("%s passes: got %v, want %v", level, got, want)
		}
	}
}

func TestAnUnknownLevelNeverPasses(t *testing.T) {
	for _, verbosity := range append(job.Levels(), "", "loud") {
		for _, level := range []job.Level{"", "loud", "Info"} {
			if level.Passes(verbosity) {
				t.Errorf("level %q passes verbosity %q", level, verbosity)
			}
		}
	}
	if job.LevelCritical.Passes("loud") {
		t.Error("critical passes an unknown verbosity")
	}
}
