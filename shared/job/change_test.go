package job_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/jobhook/jobhook/shared/job"
)

// matrix says which status may follow which: a row per old status, a column
// per new one, both in the order of job.Statuses; x is allowed.
type matrix map[job.Kind][]string

func TestCheckAllowsAndRefusesEveryPairOfStatuses(t *testing.T) {
	for _, tt := range []struct {
		name     string
		old, new int // run numbers
		want     matrix
	}{
		{"in the same run", 1, 1, matrix{
			job.KindBatch: {"x..", ".xx", "x.x"},
			job.KindScraping: {
				"xxxxxxx", "xxxxxxx", // waiting-to-be-scheduled, scheduled
				"..xxxxx",                                  // started
				"...x...", "....x..", ".....x.", ".....xx", // failed, finished, shelved, stopped
			},
			job.KindPipeline: {
				"xxxxxxx",                       // pending
				".xxxxxx", ".xxxxxx", ".xxxxxx", // active, paused, resumed
				"....x..", ".....x.", "......x", // completed, failed, stopped
			},
			job.KindAsync: {"xxxx", ".xxx", "..x.", "...x"},
		}},
		{"in the next run", 1, 2, matrix{
			job.KindBatch:    {"xxx", "...", "..."},
			job.KindScraping: {".......", ".......", ".......", "xxxxxxx", "xxxxxxx", "xxxxxxx", "xxxxxxx"},
			job.KindPipeline: {".......", ".......", ".......", ".......", "xxxxxxx", "xxxxxxx", "xxxxxxx"},
			job.KindAsync:    {"....", "....", "xxxx", "xxxx"},
		}},
		{"in an earlier run", 2, 1, all(".")},
		{"back to no run number", 1, 0, all(".")},
		{"in the first run of a job that had no number", 0, 1, all("x")},
		{"in a job without run numbers", 0, 0, func() matrix {
			m := all("x")
			m[job.KindBatch][1] = ".xx" // queued to idle: nothing ran
			return m
		}()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, k := range job.Kinds() {
				if diff := cmp.Diff(checked(t, k, tt.old, tt.new), tt.want[k]); diff != "" {
					t.Errorf("%s %v (-got +want):\n%s", k, job.Statuses(k), diff)
				}
			}
		})
	}
}

func all(cell string) matrix {
	m := matrix{}
	for _, k := range job.Kinds() {
		n := len(job.Statuses(k))
		for range n {
			m[k] = append(m[k], strings.Repeat(cell, n))
		}
	}
	return m
}

func checked(t *testing.T, k job.Kind, oldRun, newRun int) []string {
	t.Helper()
	var rows []string
	for _, from := range job.Statuses(k) {
		row := ""
		for _, to := range job.Statuses(k) {
			err := job.Check(&job.Job{Kind: k, Status: from, Run: oldRun}, job.Job{Kind: k, Status: to, Run: newRun})
			var fe *job.FieldError
			switch {
			case err == nil:
				row += "x"
				continue
			case !errors.As(err, &fe), fe.Field != "run" && fe.Field != "status", fe.Problem == "", fe.Cure == "":
				t.Errorf("%s run %d to %s run %d: got error %+v, want a *FieldError of run or status with a cure", from, oldRun, to, newRun, err)
			}
			row += "."
		}
		rows = append(rows, row)
	}
	return rows
}

func TestAnEndedRunAcceptsOnlyItsOwnStatusOrShelving(t *testing.T) {
	for _, k := range job.Kinds() {
		for _, from := range job.Statuses(k) {
			for _, to := range job.Statuses(k) {
				for run := 1; run <= 3; run++ {
					old := job.Job{Kind: k, Status: from, Run: run}
					if !old.Ended() {
						continue
					}
					err := job.Check(&old, job.Job{Kind: k, Status: to, Run: run})
					want := from == to || from == "stopped" && to == "shelved"
					if got := err == nil; got != want {
						t.Errorf("%s run %d, %s to %s: accepted %v, want %v (%v)", k, run, from, to, got, want, err)
					}
				}
			}
		}
	}
}

func TestANewRecordMayHaveAnyStatus(t *testing.T) {
	for _, k := range job.Kinds() {
		for _, s := range job.Statuses(k) {
			if err := job.Check(nil, job.Job{Kind: k, Status: s, Run: 2}); err != nil {
				t.Errorf("%s %s: %v", k, s, err)
			}
		}
	}
}

func TestARefusalNamesTheRunToWrite(t *testing.T) {
	err := job.Check(&job.Job{Kind: job.KindScraping, Status: "failed", Run: 4}, job.Job{Kind: job.KindScraping, Status: "started", Run: 4})
	want := "run: run 4 has ended; the job is reopened without a new run; write run 5 in the same write"
	if got := fmt.Sprint(err); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// at is a job of the given status and run; more is put into its record.
func at(k job.Kind, s job.Status, run int, more string) *job.Job {
	if more == "" {
		more = "{}"
	}
	return &job.Job{Account: "acme", Kind: k, ID: "1", Status: s, Run: run, Record: []byte(more)}
}

func TestTransition(t *testing.T) {
	const (
		asked  = `{"notification_as_json":true}`
		set1   = `{"notification_as_json":true,"result_set":{"id":1}}`
		set2   = `{"notification_as_json":true,"result_set":{"id":2}}`
		unset1 = `{"result_set":{"id":1}}`
	)
	var (
		nothing  = job.Transition{Level: job.LevelInfo}
		progress = job.Transition{Progress: true, Level: job.LevelInfo}
		ended    = job.Transition{Ended: true, Level: job.LevelInfo}
		ready    = job.Transition{ResultSetReady: true, Level: job.LevelInfo}
		both     = job.Transition{Ended: true, ResultSetReady: true, Level: job.LevelInfo}
		b, s     = job.KindBatch, job.KindScraping
		p, a     = job.KindPipeline, job.KindAsync
	)
	for _, tt := range []struct {
		name     string
		old, new *job.Job
		want     job.Transition
	}{
		{"a new job waits", nil, at(a, "pending", 1, ""), progress},
		{"a new job without a run waits", nil, at(b, "idle", 0, ""), progress},
		{"a job starts", at(a, "pending", 1, ""), at(a, "processing", 1, ""), progress},
		{"a running job moves", at(s, "started", 1, ""), at(s, "started", 1, `{"jobs_executed":2}`), progress},
		{"a run ends", at(a, "processing", 1, ""), at(a, "success", 1, ""), ended},
		{"a run ends without having run", at(a, "pending", 1, ""), at(a, "error", 1, ""), ended},
		{"a job is inserted with its run ended", nil, at(s, "finished", 1, ""), ended},
		{"a batch is inserted with its run ended", nil, at(b, "idle", 3, asked), ended},
		{"an ended job is written again", at(a, "success", 1, ""), at(a, "success", 1, `{"message":"m"}`), nothing},
		{"a stopped job is shelved", at(s, "stopped", 1, ""), at(s, "shelved", 1, ""), nothing},
		{"a stopped job is continued", at(s, "stopped", 1, ""), at(s, "started", 2, ""), progress},
		{"a continued job ends again", at(s, "started", 2, ""), at(s, "stopped", 2, ""), ended},
		{"a failed job is continued and ends in one write", at(s, "failed", 1, ""), at(s, "finished", 2, ""), ended},
		{"a failed job fails again in one write", at(s, "failed", 1, ""), at(s, "failed", 2, ""), ended},

		{"without run numbers, a job ends", at(s, "started", 0, ""), at(s, "finished", 0, ""), ended},
		{"without run numbers, an ended job is reopened", at(s, "finished", 0, ""), at(s, "started", 0, ""), progress},
		{"without run numbers, an ended job is written again", at(s, "failed", 0, ""), at(s, "failed", 0, `{}`), nothing},
		{"without run numbers, a stopped job is shelved", at(s, "stopped", 0, ""), at(s, "shelved", 0, ""), nothing},
		{"without run numbers, a batch ends", at(b, "running", 0, asked), at(b, "idle", 0, asked), ended},
		{"without run numbers, a batch that asked for nothing ends", at(b, "running", 0, ""), at(b, "idle", 0, ""), both},
		{"without run numbers, an idle batch is written again", at(b, "idle", 0, asked), at(b, "idle", 0, asked), progress},
		{"without run numbers, an idle batch stops asking for files", at(b, "idle", 0, asked), at(b, "idle", 0, ""), progress},
		{"without run numbers, a batch's result set comes later", at(b, "idle", 0, asked), at(b, "idle", 0, set1), ready},
		{"without run numbers, a batch's result set is written again", at(b, "idle", 0, set1), at(b, "idle", 0, set1), progress},
		{"without run numbers, a batch that asked for nothing gets a result set all the same", at(b, "idle", 0, ""), at(b, "idle", 0, unset1), progress},
		{"without run numbers, an async job's result set comes later", at(a, "success", 0, ""), at(a, "success", 0, unset1), ready},
		{"the first run number comes with the end", at(b, "running", 0, asked), at(b, "idle", 1, asked), ended},

		{"a batch that asked for nothing ends", at(b, "running", 1, ""), at(b, "idle", 1, ""), both},
		{"a batch that asked for files ends without them", at(b, "running", 1, asked), at(b, "idle", 1, asked), ended},
		{"asked for JSON Lines", at(b, "running", 1, ""), at(b, "idle", 1, `{"notification_as_jsonlines":true}`), ended},
		{"asked for CSV", at(b, "running", 1, ""), at(b, "idle", 1, `{"notification_as_csv":true}`), ended},
		{"a batch ends with its files", at(b, "running", 1, asked), at(b, "idle", 1, set1), both},
		{"the files were there before the end", at(b, "running", 1, set1), at(b, "idle", 1, set1), both},
		{"a running batch gets its files", at(b, "running", 1, asked), at(b, "running", 1, set1), progress},
		{"the files come after the end", at(b, "idle", 1, asked), at(b, "idle", 1, set1), ready},
		{"the files are written again", at(b, "idle", 1, set1), at(b, "idle", 1, set1), nothing},
		{"a second run ends, with the files of the first", at(b, "running", 2, set1), at(b, "idle", 2, set1), ended},
		{"the files of the second run come after its end", at(b, "idle", 2, set1), at(b, "idle", 2, set2), ready},
		{"the files of another run come after the end", at(b, "idle", 2, asked), at(b, "idle", 2, set1), nothing},
		{"a second run asks for nothing, but the first left files", at(b, "running", 2, unset1), at(b, "idle", 2, unset1), both},
		{"a batch that is inserted ended with its files", nil, at(b, "idle", 1, set1), both},
		{"a scraping job ends and has no files", at(s, "started", 1, ""), at(s, "finished", 1, ""), ended},
		{"a scraping job ends with files", at(s, "started", 1, ""), at(s, "finished", 1, unset1), both},
		{"an async job's files come after the end", at(a, "success", 1, ""), at(a, "success", 1, unset1), ready},
		{"a stopped job is shelved with files", at(s, "stopped", 1, ""), at(s, "shelved", 1, unset1), ready},

		{"a new pipeline", nil, at(p, "pending", 1, ""), progress},
		{"a pipeline starts", at(p, "pending", 1, ""), at(p, "active", 1, ""), progress},
		{"a task of a pipeline moves", at(p, "active", 1, ""), at(p, "active", 1, `{"progress":5}`),
			job.Transition{Progress: true, Level: job.LevelDebug}},
		{"a pipeline keeps its status in a new run", at(p, "stopped", 1, ""), at(p, "stopped", 2, ""),
			job.Transition{Ended: true, Progress: true, Level: job.LevelInfo}},
		{"the platform gives the level itself", at(p, "active", 1, ""), at(p, "active", 1, `{"level":"warn"}`),
			job.Transition{Progress: true, Level: job.LevelWarn}},
		{"the platform's level wins over a failure", at(p, "active", 1, ""), at(p, "failed", 1, `{"level":"trace"}`),
			job.Transition{Ended: true, Progress: true, Level: job.LevelTrace}},
		{"a pipeline's end is progress too", at(p, "active", 1, ""), at(p, "completed", 1, ""),
			job.Transition{Ended: true, Progress: true, Level: job.LevelInfo}},
		{"a pipeline's failure is an error", at(p, "active", 1, ""), at(p, "failed", 1, ""),
			job.Transition{Ended: true, Progress: true, Level: job.LevelError}},
		{"an ended pipeline is written again", at(p, "completed", 1, ""), at(p, "completed", 1, ""),
			job.Transition{Level: job.LevelDebug}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := job.Change{Old: tt.old, New: *tt.new}.Transition()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(got, tt.want); diff != "" {
				t.Errorf("transition (-got +want):\n%s", diff)
			}
		})
	}
}

func TestAChangeThatCannotBeMeansNothing(t *testing.T) {
	for _, tt := range []struct {
		name     string
		old, new *job.Job
		field    string
	}{
		{"reopened without a new run", at(job.KindAsync, "success", 1, ""), at(job.KindAsync, "processing", 1, ""), "run"},
		{"the run goes back", at(job.KindAsync, "success", 2, ""), at(job.KindAsync, "processing", 1, ""), "run"},
		{"a result set that cannot be read", nil, at(job.KindAsync, "success", 1, `{"result_set":5}`), "result_set"},
		{"a batch that cannot be read", nil, at(job.KindBatch, "idle", 1, `{"notification_as_csv":5}`), "notification_as_csv"},
		{"a pipeline that cannot be read", nil, at(job.KindPipeline, "active", 1, `{"level":5}`), "level"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := job.Change{Old: tt.old, New: *tt.new}.Transition()
			var fe *job.FieldError
			if !errors.As(err, &fe) || fe.Field != tt.field {
				t.Errorf("error: got %v, want a *FieldError of %s", err, tt.field)
			}
			if got != (job.Transition{}) {
				t.Errorf("transition: got %+v, want none", got)
			}
		})
	}
}

func TestARunEndsAtMostOnceWhateverIsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := rapid.SampledFrom(job.Kinds()).Draw(t, "kind")
		status := rapid.SampledFrom(job.Statuses(k))
		ends := map[int]int{}
		var old *job.Job
		run := rapid.IntRange(0, 1).Draw(t, "first run")
		for range rapid.IntRange(1, 30).Draw(t, "writes") {
			record := "{}"
			if set := rapid.IntRange(0, 3).Draw(t, "result set"); set > 0 {
				record = fmt.Sprintf(`{"notification_as_csv":true,"result_set":{"id":%d}}`, set)
			}
			next := at(k, status.Draw(t, "status"), run, record)
			if old != nil {
				next.Run = max(0, old.Run+rapid.SampledFrom([]int{0, 0, 0, 1, 2, -1}).Draw(t, "run step"))
			}
			tr, err := job.Change{Old: old, New: *next}.Transition()
			if refused := job.Check(old, *next); (err != nil) != (refused != nil) {
				t.Fatalf("transition: got error %v, want %v", err, refused)
			}
			if err != nil {
				continue
			}
			if tr.Ended {
				ends[next.Run]++
			}
			if tr.ResultSetReady && !next.Ended() && next.Run > 0 {
				t.Fatalf("the result set of run %d is ready while it is %s", next.Run, next.Status)
			}
			old = next
		}
		for run, n := range ends {
			if run > 0 && n > 1 {
				t.Fatalf("run %d ended %d times", run, n)
			}
		}
	})
}

func TestACountedRunThatEndedWasSeenToEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := rapid.SampledFrom(job.Kinds()).Draw(t, "kind")
		status := rapid.SampledFrom(job.Statuses(k))
		seen := map[int]bool{}
		var old *job.Job
		for range rapid.IntRange(1, 30).Draw(t, "writes") {
			next := at(k, status.Draw(t, "status"), 1, "")
			if old != nil {
				next.Run = old.Run + rapid.IntRange(0, 1).Draw(t, "run step")
			}
			tr, err := job.Change{Old: old, New: *next}.Transition()
			if err != nil {
				continue
			}
			seen[next.Run] = seen[next.Run] || tr.Ended
			if next.Ended() != seen[next.Run] {
				t.Fatalf("run %d is %s: ended %v, but told %v", next.Run, next.Status, next.Ended(), seen[next.Run])
			}
			old = next
		}
	})
}
