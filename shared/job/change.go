package job

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"time"
)

// Change is one write to a job record, as the change feed tells it.
type Change struct {
	Old      *Job // nil when the record is new
	New      Job
	Sequence string    // the feed's sequence number, decimal digits; orders the changes of one job
	At       time.Time // when the write was made
}

// Written is a change as a feed keeps it, before anybody reads its records.
type Written struct {
	Seq int
	At  time.Time
	Old []byte // the record before, as JSON; empty when the job is new
	New []byte
}

// Transition is what a change means.
type Transition struct {
	Ended          bool  // the run ended with this change
	ResultSetReady bool  // the run has ended and its result set can be had, since this change
	Progress       bool  // the job moved
	Level          Level // severity of the move, for Progress
}

// Transition reads the meaning of a change. A change that cannot be is a
// *FieldError (see Check): it means nothing, and whoever asks is told why.
func (c Change) Transition() (Transition, error) {
	if err := Check(c.Old, c.New); err != nil {
		return Transition{}, err
	}
	ended := c.New.hasEnded(c.Old)
	first := ended && (c.Old == nil || !c.Old.Ended() || c.Old.Run != c.New.Run)
	ready, err := c.readySince(ended, first)
	if err != nil {
		return Transition{}, err
	}
	level, err := c.level()
	if err != nil {
		return Transition{}, err
	}
	return Transition{
		Ended:          first,
		ResultSetReady: ready,
		Progress:       !ended && !ready && !c.onlyRecords() || first && c.New.Kind == KindPipeline,
		Level:          level,
	}, nil
}

// onlyRecords tells whether the change says no more than that records were
// uploaded for the run.
func (c Change) onlyRecords() bool {
	if c.Old == nil || c.Old.RecordsRun() == c.New.RecordsRun() {
		return false
	}
	var before, after map[string]json.RawMessage
	if json.Unmarshal(c.Old.Record, &before) != nil || json.Unmarshal(c.New.Record, &after) != nil {
		return false
	}
	for _, own := range []string{recordsAttribute, "updated_at"} {
		delete(before, own)
		delete(after, own)
	}
	return maps.EqualFunc(before, after, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) })
}

// hasEnded tells whether the current run has ended. Old decides for a batch
// whose table counts no runs: back to idle is an end, idle from the start is not.
func (j Job) hasEnded(old *Job) bool {
	if j.idleUncounted() {
		return old != nil && old.Status == "running"
	}
	return j.Ended()
}

// idleUncounted tells whether only the job's past can tell whether it ended.
func (j Job) idleUncounted() bool {
	return j.Kind == KindBatch && j.Status == "idle" && j.Run == 0
}

// Ended tells whether the current run has ended.
func (j Job) Ended() bool { return j.Phase() == PhaseEnded }

// readySince tells whether the result set became available with this change:
// at the end of a run that already has it or needs none, else when it is
// written to a job whose run has ended. That an idle batch without run numbers
// has run shows only in the result set itself.
func (c Change) readySince(ended, first bool) (bool, error) {
	idles := c.Old != nil && c.Old.idleUncounted() && c.New.idleUncounted()
	if !ended && !idles {
		return false, nil
	}
	now, err := c.New.resultSetReady(ended)
	if err != nil || !now {
		return false, err
	}
	if first {
		return true, nil
	}
	before, err := c.Old.resultSetReady(true)
	return err == nil && !before, nil
}

// resultSetReady tells whether the run's result set can be had: its files are
// named for this run, or the run has ended and the batch asked for none.
func (j Job) resultSetReady(ended bool) (bool, error) {
	set, err := j.ResultSet()
	if err != nil {
		return false, err
	}
	if set != nil && (j.Run == 0 || set.ID == j.Run) {
		return true, nil
	}
	if j.Kind != KindBatch || !ended {
		return false, nil
	}
	b, err := j.Batch()
	return err == nil && !b.NotificationAsJSON && !b.NotificationAsJSONLines && !b.NotificationAsCSV, err
}

// level is the severity of a pipeline's change: the platform's own word where
// it gives one, else error for a failure, debug for an update that leaves the
// status as it was, and info for every other.
func (c Change) level() (Level, error) {
	if c.New.Kind != KindPipeline {
		return LevelInfo, nil
	}
	p, err := c.New.Pipeline()
	switch {
	case err != nil:
		return "", err
	case p.Level != "":
		return p.Level, nil
	case c.New.Status == "failed":
		return LevelError, nil
	case c.Old != nil && c.Old.Status == c.New.Status && c.Old.Run == c.New.Run:
		return LevelDebug, nil
	}
	return LevelInfo, nil
}

// Check tells whether a record may become the next one. It returns a
// *FieldError when a run number goes back, when an ended job is reopened or
// ends otherwise without a new run, when a new run begins before the last one
// ended, and when a run moves backwards. A job without run numbers (Run is 0)
// may be reopened: nobody counts its runs.
func Check(old *Job, next Job) error {
	switch {
	case old == nil:
		return nil
	case next.Run < old.Run:
		return &FieldError{Field: "run", Problem: fmt.Sprintf("run %d comes after run %d", next.Run, old.Run),
			Cure: "run numbers only rise; leave run out to keep the current one"}
	case next.Run > old.Run:
		return checkNewRun(*old, next)
	case old.Ended() && old.Run > 0:
		return checkEnded(*old, next)
	case next.Kind == KindBatch && old.Status == "queued" && next.Status == "idle":
		return &FieldError{Field: "status", Problem: "a queued batch cannot become idle: its run has not begun",
			Cure: "write running first; running to idle ends the run"}
	case old.Phase() == PhaseRunning && next.Phase() == PhaseWaiting && next.Run > 0:
		return &FieldError{Field: "status", Problem: fmt.Sprintf("a job cannot go back from %s to %s", old.Status, next.Status),
			Cure: "a new attempt at the job is a new run: end this one, then raise run"}
	}
	return nil
}

func checkNewRun(old, next Job) error {
	if old.Run == 0 || old.Ended() {
		return nil
	}
	return &FieldError{Field: "run", Problem: fmt.Sprintf("run %d begins before run %d has ended", next.Run, old.Run),
		Cure: "end the current run first"}
}

func checkEnded(old, next Job) error {
	switch {
	case next.Status == old.Status:
		return nil
	case old.Status == "stopped" && next.Status == "shelved":
		return nil // cold storage after two weeks: no new end
	case next.Ended():
		return &FieldError{Field: "status", Problem: fmt.Sprintf("run %d has ended as %s and cannot end as %s", old.Run, old.Status, next.Status),
			Cure: "write a new run if the job ran again"}
	}
	return &FieldError{Field: "run", Problem: fmt.Sprintf("run %d has ended; the job is reopened without a new run", old.Run),
		Cure: fmt.Sprintf("write run %d in the same write", old.Run+1)}
}
