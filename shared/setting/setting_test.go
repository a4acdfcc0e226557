package setting

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"
)

func reader(env map[string]string) *Reader {
	return NewReader(func(name string) string { return env[name] })
}

func TestAllThatIsWrongIsToldAtOnce(t *testing.T) {
	r := reader(map[string]string{Lane: "second", Queue: "no url", Retention: "5m", LogLevel: "loud"})
	r.Need(Deliveries)
	r.Need(Stage)
	r.OneOf(Lane, LaneFirst, LaneRetry)
	r.URL(Queue)
	r.Retention()
	r.LogLevel()
	err := r.Err()
	if err == nil {
		t.Fatal("nothing was found wrong")
	}
	for _, want := range []string{Deliveries, Stage, Lane + ` is "second"`, Queue + ` is "no url"`, Retention + ` is "5m"`, LogLevel + ` is "loud"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error lacks %q:\n%v", want, err)
		}
	}
}

func TestWhatIsLeftOutHasItsDefault(t *testing.T) {
	r := reader(nil)
	retention, level := r.Retention(), r.LogLevel()
	if err := r.Err(); err != nil || retention != 720*time.Hour || level != slog.LevelInfo {
		t.Errorf("got %s, %s, %v; want 720h, INFO and no error", retention, level, err)
	}
}

func TestWhatIsSetIsRead(t *testing.T) {
	r := reader(map[string]string{Lane: LaneRetry, Queue: "https://sqs.example.com/1/q", Retention: "48h", LogLevel: "debug", Jobs: "jobs"})
	lane, queue, retention, level, jobs := r.OneOf(Lane, LaneFirst, LaneRetry), r.URL(Queue), r.Retention(), r.LogLevel(), r.Text(Jobs)
	if err := r.Err(); err != nil || lane != LaneRetry || queue != "https://sqs.example.com/1/q" || retention != 48*time.Hour || level != slog.LevelDebug || jobs != "jobs" {
		t.Errorf("got %s, %s, %s, %s, %s, %v", lane, queue, retention, level, jobs, err)
	}
}

func TestEndpointsAreDisabledAfterADurationOrNever(t *testing.T) {
	for value, want := range map[string]time.Duration{"": 0, "1h": time.Hour, "48h": 48 * time.Hour, "never": -1, "0": -1, "0s": -1} {
		r := reader(map[string]string{DisableIn: value})
		if got := r.DisableAfter(); got != want || r.Err() != nil {
			t.Errorf("%q: got %s, %v, want %s", value, got, r.Err(), want)
		}
	}
	for _, value := range []string{"59m", "-1h", "-1ns", "-1", "5 days", "Never", "never "} {
		r := reader(map[string]string{DisableIn: value})
		if r.DisableAfter(); r.Err() == nil || !strings.Contains(r.Err().Error(), DisableIn+` is "`+value+`"; write a duration of at least 1h`) {
			t.Errorf("%q: got %v", value, r.Err())
		}
	}
}

func TestARateIsAWholeNumber(t *testing.T) {
	for value, want := range map[string]int{"": 0, "0": 0, "50": 50} {
		r := reader(map[string]string{Rate: value})
		if got := r.Count(Rate); got != want || r.Err() != nil {
			t.Errorf("%q: got %d, %v, want %d", value, got, r.Err(), want)
		}
	}
	for _, value := range []string{"-1", "1.5", "fast", "99999999999999999999"} {
		r := reader(map[string]string{Rate: value})
		if r.Count(Rate); r.Err() == nil || !strings.Contains(r.Err().Error(), Rate+` is "`+value+`"`) {
			t.Errorf("%q: got %v", value, r.Err())
		}
	}
}

func TestOriginsAreSchemesAndHosts(t *testing.T) {
	for value, want := range map[string][]string{
		"":                                  nil,
		"https://app.example.com":           {"https://app.example.com"},
		"https://a.example, http://b:3000,": {"https://a.example", "http://b:3000"},
	} {
		r := reader(map[string]string{CORSOrigins: value})
		if got := r.Origins(CORSOrigins); !slices.Equal(got, want) || r.Err() != nil {
			t.Errorf("%q: got %q, %v, want %q", value, got, r.Err(), want)
		}
	}
	for _, origin := range []string{"*", "app.example.com", "https://a.example/", "ftp://a.example", "https://", "https://u@a.example", "https://a.example?x"} {
		r := reader(map[string]string{CORSOrigins: "https://a.example," + origin})
		if r.Origins(CORSOrigins); r.Err() == nil || !strings.Contains(r.Err().Error(), CORSOrigins) || !strings.Contains(r.Err().Error(), `"`+origin+`"`) {
			t.Errorf("%q: got %v", origin, r.Err())
		}
	}
}
