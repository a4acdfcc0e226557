package webhook

import (
	"fmt"
	"time"
)

// Limits of the waits that a receiver can ask for with Retry-After.
const (
	MaxRetryAfter   = 24 * time.Hour // one wait is cut to this
	RetryAfterGrace = 24 * time.Hour // waits that spend no attempt end this long after the schedule's total
	MaxPostponed    = 100            // so many waits spend no attempt; further ones do
)

// Success is the rule that tells a successful answer.
type Success string

// The success rules.
const (
	Success2xx      Success = "2xx"
	Success200      Success = "200"    // exactly 200
	SuccessBelow400 Success = "lt_400" // any final status below 400; redirects are not followed
)

// Accepts tells whether a status code is a success.
func (s Success) Accepts(status int) bool {
	switch s {
	case Success200:
		return status == 200
	case SuccessBelow400:
		return status >= 100 && status < 400
	}
	return status >= 200 && status < 300
}

// RetryOn is the rule that tells which failures are worth another attempt. A
// network error or a timeout always is.
type RetryOn string

// The retry rules.
const (
	RetryAnyError  RetryOn = "any_error"
	RetryTransient RetryOn = "429_5xx"
)

// Retries tells whether a failed answer with this status is retried.
func (r RetryOn) Retries(status int) bool {
	return r != RetryTransient || status == 429 || status >= 500
}

// Policy is how a format, or an endpoint that differs from it, delivers.
type Policy struct {
	Success          Success
	RetryOn          RetryOn
	Timeout          time.Duration // of a whole request; must be positive
	Schedule         Schedule
	Silence          time.Duration // after a timeout nobody calls that exact URL for so long; 0: no silence
	HonourRetryAfter bool          // a longer wait asked for by Retry-After is kept and spends no attempt
	GoneDisables     bool          // 410 ends the delivery and disables the endpoint
	Supersedes       bool          // a progress webhook is not retried once a newer one of the same job is on its way
	Rate             int           // attempts a second; 0: no bound
	MaxInFlight      int           // attempts at a time in one process; 0: DefaultMaxInFlight
}

// DefaultMaxInFlight is how many attempts of one endpoint are made at a time.
const DefaultMaxInFlight = 64

// Deadline returns the time up to which Retry-After can ask to wait without an
// attempt being spent.
func (p Policy) Deadline(start time.Time) time.Time {
	return start.Add(p.Schedule.Total() + RetryAfterGrace)
}

// Begun returns when the first attempt of the delivery's generation was made, as
// its deadline tells under this policy; if that is another than at that time, it
// is off by the difference of the schedules, but not before the delivery was.
func (p Policy) Begun(d Delivery) time.Time {
	begun := d.Deadline.Add(-p.Schedule.Total() - RetryAfterGrace)
	if begun.Before(d.CreatedAt) {
		return d.CreatedAt
	}
	return begun
}

// Verdict is what becomes of a delivery after an attempt.
type Verdict string

// The verdicts.
const (
	Done  Verdict = "done"
	Retry Verdict = "retry"
	Dead  Verdict = "dead"
)

// Outcome is the whole consequence of an attempt, decided once: whoever
// records it, reschedules or disables looks here and nowhere else.
type Outcome struct {
	Verdict   Verdict
	After     time.Duration // for Retry: how long from now
	Reason    string        // for people, never empty unless Done
	Exhausted bool          // for Dead: all attempts were used, rather than one answer fatal
	Spends    bool          // the attempt counts against the schedule
	Silence   time.Duration // nobody calls the exact URL for so long
	Disable   bool          // the endpoint is to be disabled
	Pause     time.Duration // the receiver asked that the endpoint be left alone for so long
}

// State is the state of a delivery that got this outcome.
func (o Outcome) State() State {
	switch {
	case o.Verdict == Done:
		return StateDelivered
	case o.Verdict == Retry:
		return StateWaiting
	case o.Exhausted:
		return StateExhausted
	}
	return StateDead
}

// Outcome decides what an attempt's result means. Attempts and Postponed of d
// are as they were before the attempt; jitter lies in [0, 1).
func (p Policy) Outcome(d Delivery, r Result, now time.Time, jitter float64) Outcome {
	if r.Failure == "" && p.Success.Accepts(r.Status) {
		return Outcome{Verdict: Done, Spends: true}
	}
	o := Outcome{Verdict: Dead, Reason: r.Summary(), Spends: true}
	if r.Failure == FailureTimeout {
		o.Silence = p.Silence
	}
	switch {
	case r.Failure == FailureRefusedAddress, r.Failure == FailureUnsendable:
		return o
	case r.Status == 410 && p.GoneDisables:
		o.Disable = true
		o.Reason += ": the receiver is gone and the endpoint is disabled"
		return o
	case r.Failure == "" && !p.RetryOn.Retries(r.Status) && p.Schedule.MaxAttempts() > 1:
		o.Reason += ": not retried by this policy"
		return o
	}
	return p.retry(o, d, r, now, jitter)
}

// retry schedules the next attempt of a failure that deserves one, if there is
// one. A wait that Retry-After asks for is kept, and spends no attempt unless it
// ends past the deadline or there were MaxPostponed: then it spends one, so that
// a delivery which was held until long after its deadline has its attempts still.
func (p Policy) retry(o Outcome, d Delivery, r Result, now time.Time, jitter float64) Outcome {
	wait, more := p.Schedule.Next(d.Attempts+1, jitter)
	asked := time.Duration(0)
	if p.HonourRetryAfter {
		asked = max(min(r.RetryAfter, MaxRetryAfter), 0)
		o.Pause = asked
	}
	free := d.Postponed < MaxPostponed && p.Schedule.MaxAttempts() > 1 && !now.Add(asked).After(d.Deadline)
	switch {
	case asked > wait && free:
		o.Spends, o.Verdict, o.After = false, Retry, max(asked, o.Silence)
		o.Reason += fmt.Sprintf("; the receiver asked to wait %s", asked)
		return o
	case !more:
		return o.exhausted(fmt.Sprintf("attempt %d of %d", d.Attempts+1, p.Schedule.MaxAttempts()))
	}
	o.Verdict, o.After = Retry, max(wait, asked, o.Silence)
	return o
}

func (o Outcome) exhausted(why string) Outcome {
	o.Exhausted = true
	o.Reason += "; " + why
	return o
}
