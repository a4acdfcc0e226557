package setting

import (
	"log/slog"
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
