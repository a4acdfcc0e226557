package webhook

import (
	"fmt"
	"time"
)

// Circuit is a circuit breaker: closed while Opens is 0; then open until
// OpenUntil; then half-open, when one attempt at a time, the probe, is let
// through. The probe's claim ends by itself at ProbeUntil.
type Circuit struct {
	Opens      int // how often it opened since it was last closed
	OpenUntil  time.Time
	ProbeUntil time.Time
}

// Pass is what a circuit, or an endpoint's health, lets through.
type Pass string

// The passes.
const (
	PassAll   Pass = "all"
	PassProbe Pass = "probe" // one attempt, whoever claims it
	PassNone  Pass = "none"
)

// Gate is what is let through at a time.
type Gate struct {
	Pass  Pass
	Until time.Time // for PassNone: when to look again
	Why   string    // for PassNone, for people; it begins with a Hold and a colon
}

// How far ahead of now a stored time can be that was meant. One that is further
// ahead was written by a clock that was wrong, and counts as over.
const (
	clockSkew    = time.Minute
	longestOpen  = DefaultMaxOpen*6/5 + clockSkew
	longestProbe = 2 * time.Minute
	longestPause = MaxRetryAfter + clockSkew
)

// isAhead tells whether a time is still to come, within what can be meant.
func isAhead(t, now time.Time, longest time.Duration) bool {
	return t.After(now) && t.Sub(now) <= longest
}

// At tells what the circuit lets through. What names it in the reason.
func (c Circuit) At(now time.Time, hold Hold, what string) Gate {
	switch {
	case c.Opens == 0:
		return Gate{Pass: PassAll}
	case isAhead(c.OpenUntil, now, longestOpen):
		return Gate{Pass: PassNone, Until: c.OpenUntil, Why: hold.Because(
			fmt.Sprintf("%s failed again and again; it is not called until %s", what, c.OpenUntil.UTC().Format(time.RFC3339)))}
	case isAhead(c.ProbeUntil, now, longestProbe):
		return Gate{Pass: PassNone, Until: c.ProbeUntil, Why: hold.Because(fmt.Sprintf("%s failed again and again; one attempt is trying it", what))}
	}
	return Gate{Pass: PassProbe}
}

// Open opens the circuit, or opens it again after a probe that failed.
func (c Circuit) Open(now time.Time, r HealthRules, jitter float64) Circuit {
	c.Opens++
	c.OpenUntil, c.ProbeUntil = now.Add(r.openFor(c.Opens, jitter)), time.Time{}
	return c
}
