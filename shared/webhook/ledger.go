package webhook

import (
	"strings"
	"time"

	"github.com/jobhook/jobhook/shared/job"
)

// StuckAfter is how long after its time a delivery that nobody attends to
// counts as stuck.
const StuckAfter = 30 * time.Minute

// MaxMissing is how many deliveries a ledger names.
const MaxMissing = 100

// Ledger is what a check of the books found: whether all that was accepted is
// there, in one of the states. Accepted comes from the job records, replayed,
// and from dispatch's own counts, never from the deliveries. So
//
//	Accepted + Uncounted = the sum of States + Difference
//
// and a Difference that is not 0 is a loss.
type Ledger struct {
	Account     string        // empty: of all accounts together
	CheckedAt   time.Time     // when the check began; it looked at jobs created in LedgerHours of it
	Accepted    int           // deliveries that must be there
	States      map[State]int // the deliveries that are there
	Difference  int           // deliveries that must be there and were not
	Uncounted   int           // deliveries that are there though nobody could derive them: of earlier runs, to endpoints changed since, of counts that were lost
	Missing     []string      // ids of the Difference, at most MaxMissing
	Unnamed     int           // of the Difference: known by dispatch's counts only
	Repaired    int           // of the Difference: sent again
	Stuck       int           // deliveries past their time by StuckAfter, rung for again
	WithoutJobs bool          // the platform keeps its job records itself: only counts and stuck deliveries were looked at
}

// Add counts what another ledger counted.
func (l *Ledger) Add(other Ledger) {
	l.Accepted += other.Accepted
	l.Difference += other.Difference
	l.Uncounted += other.Uncounted
	l.Unnamed += other.Unnamed
	l.Repaired += other.Repaired
	l.Stuck += other.Stuck
	l.WithoutJobs = l.WithoutJobs || other.WithoutJobs
	l.Name(other.Missing...)
	for state, n := range other.States {
		l.Count(state, n)
	}
}

// Count counts n deliveries in a state.
func (l *Ledger) Count(s State, n int) {
	if l.States == nil {
		l.States = map[State]int{}
	}
	l.States[s] += n
}

// Name names deliveries that are missing, as far as there is room.
func (l *Ledger) Name(ids ...string) {
	l.Missing = append(l.Missing, ids[:min(len(ids), MaxMissing-len(l.Missing))]...)
}

// IsEmpty tells whether there was nothing to check.
func (l Ledger) IsEmpty() bool {
	return l.Accepted == 0 && l.Uncounted == 0 && l.Difference == 0 && l.Stuck == 0
}

// LedgerHours are the hours in which the jobs were created that a check looks
// at, the newest first: the hour under way and the two before it, and those of 6
// hours, a day and a week ago. So every job is looked at six times, and a check
// costs as much as six hours of jobs, however many are kept. What a job leads to
// more than a week after its creation is looked at no more.
func LedgerHours(at time.Time) []time.Time {
	hour := at.UTC().Truncate(time.Hour)
	var hours []time.Time
	for _, ago := range []time.Duration{0, 1, 2, 6, 24, 7 * 24} {
		hours = append(hours, hour.Add(-ago*time.Hour))
	}
	return hours
}

// LedgerCheck is how far a check of all books is. Sweep advances it, one run at
// a time by its version, and begins the next when it is done.
type LedgerCheck struct {
	At        time.Time     // when it began
	Done      bool          // all accounts were looked at
	Begun     time.Time     // since when deliveries are kept as long as now
	Retention time.Duration // for how long

	Account        string    // whose books are looked at; empty: the first's are next
	Hour           int       // which of LedgerHours
	From           time.Time // where in that hour to go on; zero: at its beginning
	Counted, Found int       // of that hour: deliveries counted by dispatch, and those of them that are there, so far
	Tries          int       // runs that failed at this place
	Books          Ledger    // of Account, so far
	All            Ledger    // of the accounts before

	LeaseUntil time.Time // a run is at it
	Version    int       // rises with every write; 0: never written
}

// WrittenJob is a job with the time of its last write.
type WrittenJob struct {
	job.Job
	ChangedAt time.Time // zero when nothing tells
}

// Derivable tells whether a job's record alone tells that there must be such an
// event, and its id: the end of a run and its result set, where runs are counted.
// Of all others dispatch counts the deliveries.
func (t EventType) Derivable(run int) bool {
	switch t {
	case JobFinished, JobFailed, JobStopped, ResultSetReady:
		return run > 0
	}
	return false
}

// CreatedOf is when the job of an event or a delivery was created, to the
// millisecond, which its id begins with. It reports false for what is no such id.
func CreatedOf(id string) (time.Time, bool) {
	_, tail, ok := strings.Cut(id, "_")
	if !ok || len(tail) < timeChars {
		return time.Time{}, false
	}
	var ms int64
	for _, c := range []byte(tail[:timeChars]) {
		digit := strings.IndexByte(alphabet, c)
		if digit < 0 {
			return time.Time{}, false
		}
		ms = ms<<5 | int64(digit)
	}
	return time.UnixMilli(ms).UTC(), true
}

// Stuck tells whether nobody attends to the delivery, more than StuckAfter past
// its time: its message was lost. What an endpoint holds is released with it.
func (d Delivery) Stuck(now time.Time) bool {
	switch {
	case d.State.Final(), !d.ExpiresAt.IsZero() && !d.ExpiresAt.After(now):
		return false
	case d.State == StateHeld && d.DueAt.IsZero() && d.Target.Endpoint != "":
		return false
	}
	last := d.UpdatedAt
	for _, t := range []time.Time{d.NextAt, d.DueAt, d.LeaseUntil} {
		if t.After(last) {
			last = t
		}
	}
	return now.Sub(last) > StuckAfter
}
