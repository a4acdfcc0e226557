package job_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/shared/job"
)

type meaning struct {
	Phase   job.Phase
	Outcome job.Outcome
}

var (
	waiting   = meaning{Phase: job.PhaseWaiting}
	running   = meaning{Phase: job.PhaseRunning}
	succeeded = meaning{job.PhaseEnded, job.OutcomeSucceeded}
	failed    = meaning{job.PhaseEnded, job.OutcomeFailed}
	stopped   = meaning{job.PhaseEnded, job.OutcomeStopped}
)

// meanings says what every status word means once the job has a run number.
func meanings() map[job.Kind]map[job.Status]meaning {
	return map[job.Kind]map[job.Status]meaning{
		job.KindBatch: {"idle": succeeded, "queued": waiting, "running": running},
		job.KindScraping: {
			"waiting-to-be-scheduled": waiting, "scheduled": waiting, "started": running,
			"failed": failed, "finished": succeeded, "shelved": succeeded, "stopped": stopped,
		},
		job.KindPipeline: {
			"pending": waiting, "active": running, "paused": running, "resumed": running,
			"completed": succeeded, "failed": failed, "stopped": stopped,
		},
		job.KindAsync: {"pending": waiting, "processing": running, "success": succeeded, "error": failed},
	}
}

func TestEveryStatusWordHasItsPhaseAndOutcome(t *testing.T) {
	got := map[job.Kind]map[job.Status]meaning{}
	for _, k := range job.Kinds() {
		got[k] = map[job.Status]meaning{}
		for _, s := range job.Statuses(k) {
			j := job.Job{Kind: k, Status: s, Run: 1}
			got[k][s] = meaning{j.Phase(), j.Outcome()}
		}
	}
	if diff := cmp.Diff(got, meanings()); diff != "" {
		t.Errorf("statuses (-got +want):\n%s", diff)
	}
}

func TestWithoutARunNumberOnlyIdleMeansSomethingElse(t *testing.T) {
	for k, words := range meanings() {
		for s, want := range words {
			if s == "idle" {
				want = waiting
			}
			j := job.Job{Kind: k, Status: s}
			if got := (meaning{j.Phase(), j.Outcome()}); got != want {
				t.Errorf("%s %s: got %v, want %v", k, s, got, want)
			}
		}
	}
}

func TestUnknownWordsMeanNothing(t *testing.T) {
	for _, j := range []job.Job{
		{Kind: "film", Status: "idle", Run: 1},
		{Kind: job.KindBatch, Status: "success", Run: 1},
		{Kind: job.KindAsync, Status: "", Run: 1},
	} {
		if got := (meaning{j.Phase(), j.Outcome()}); got != (meaning{}) {
			t.Errorf("%s %q: got %v, want nothing", j.Kind, j.Status, got)
		}
	}
	if got := job.Statuses("film"); got != nil {
		t.Errorf("statuses of an unknown kind: got %v, want none", got)
	}
}

func TestDeriveScraping(t *testing.T) {
	for _, tt := range []struct {
		name                               string
		scheduled, executed, failed, empty int
		want                               job.Status
	}{
		{"no pages yet", 0, 0, 0, 0, "waiting-to-be-scheduled"},
		{"pages known, none executed", 10, 0, 0, 0, "scheduled"},
		{"under way", 10, 1, 0, 0, "started"},
		{"one page to go, most of them bad", 10, 9, 9, 0, "started"},
		{"all good", 10, 10, 0, 0, "finished"},
		{"one failed", 10, 10, 1, 0, "shelved"},
		{"one empty", 10, 10, 0, 1, "shelved"},
		{"all empty", 10, 10, 0, 10, "shelved"},
		{"half failed exactly", 10, 10, 5, 0, "shelved"},
		{"half failed, the rest empty", 10, 10, 5, 5, "shelved"},
		{"one more than half failed", 10, 10, 6, 0, "failed"},
		{"half of an odd number, rounded down", 11, 11, 5, 0, "shelved"},
		{"half of an odd number, rounded up", 11, 11, 6, 0, "failed"},
		{"a single page, failed", 1, 1, 1, 0, "failed"},
		{"all failed", 10, 10, 10, 0, "failed"},
		{"more executed than scheduled", 10, 12, 0, 0, "finished"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := job.DeriveScraping(tt.scheduled, tt.executed, tt.failed, tt.empty)
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}
