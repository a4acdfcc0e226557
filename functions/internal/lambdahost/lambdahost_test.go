package lambdahost

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"
)

func TestWhatKeepsAFunctionFromStartingIsOneLine(t *testing.T) {
	line, status := stderr(t, func() int {
		getenv := func(name string) string {
			return map[string]string{"AWS_LAMBDA_FUNCTION_NAME": "jobhook-deliver"}[name]
		}
		return Run(getenv, func(func(string) string) (Function, error) {
			return Function{}, errors.Join(errors.New("A is missing"), errors.New("B is wrong"))
		})
	})
	var got struct{ Level, Msg, Function, Error string }
	if err := json.Unmarshal([]byte(line), &got); err != nil || strings.Count(line, "\n") != 1 {
		t.Fatalf("got %q, %v; want one line of JSON", line, err)
	}
	if got.Level != "ERROR" || got.Msg != "function.not_started" || got.Function != "jobhook-deliver" || got.Error != "A is missing\nB is wrong" {
		t.Errorf("got %+v", got)
	}
	if status != 1 {
		t.Errorf("status %d, want 1", status)
	}
}

func TestTheEndGivesFlushItsTimeAndLogsItsFailure(t *testing.T) {
	line, status := stderr(t, func() int {
		return end(func(ctx context.Context) error {
			if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > 300*time.Millisecond {
				t.Errorf("deadline %v, want less than what Lambda leaves", deadline)
			}
			return errors.New("throttled")
		})
	})
	if status != 0 || !strings.Contains(line, `"msg":"stats.lost"`) || !strings.Contains(line, "throttled") {
		t.Errorf("status %d, line %q", status, line)
	}
}

func TestTheRuntimeIsFittedToTheFunctionUnlessTheEnvironmentSaysHow(t *testing.T) {
	before := settings{debug.SetGCPercent(100), debug.SetMemoryLimit(-1), runtime.GOMAXPROCS(2)}
	t.Cleanup(before.set)
	for _, c := range []struct {
		env  map[string]string
		want settings
	}{
		{map[string]string{"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512", "GOGC": "50", "GOMEMLIMIT": "1GiB", "GOMAXPROCS": "2"}, settings{100, 1 << 40, 2}},
		{map[string]string{"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "500"}, settings{400, 375 << 20, 1}},
		{map[string]string{"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "2000"}, settings{400, 1500 << 20, 2}},
		{nil, settings{400, 1 << 40, 2}},
	} {
		settings{100, 1 << 40, 2}.set()
		tune(func(name string) string { return c.env[name] })
		if got := (settings{debug.SetGCPercent(100), debug.SetMemoryLimit(-1), runtime.GOMAXPROCS(0)}); got != c.want {
			t.Errorf("%v: got %+v, want %+v", c.env, got, c.want)
		}
	}
}

// settings are those of Go's runtime.
type settings struct {
	percent int
	limit   int64
	procs   int
}

func (s settings) set() {
	debug.SetGCPercent(s.percent)
	debug.SetMemoryLimit(s.limit)
	runtime.GOMAXPROCS(s.procs)
}

// stderr returns what f prints there.
func stderr(t *testing.T, f func() int) (printed string, status int) {
	t.Helper()
	file, err := os.CreateTemp(t.TempDir(), "stderr")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	was := os.Stderr
	os.Stderr = file
	status = f()
	os.Stderr = was
	all, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(all), status
}
