package webhook

import (
	"fmt"
	"time"
)

// PolicyPatch is what an endpoint changes of its format's policy. A nil field
// keeps the format's rule. Durations are whole seconds.
type PolicyPatch struct {
	Success          *Success `json:"success,omitempty"`
	RetryOn          *RetryOn `json:"retry_on,omitempty"`
	TimeoutSeconds   *int     `json:"timeout_seconds,omitempty"`
	RetrySeconds     *[]int   `json:"retry_seconds,omitempty"` // waits between attempts; empty: never retry
	SilenceSeconds   *int     `json:"silence_seconds,omitempty"`
	HonourRetryAfter *bool    `json:"honour_retry_after,omitempty"`
	GoneDisables     *bool    `json:"gone_disables,omitempty"`
	Rate             *int     `json:"rate,omitempty"`          // attempts a second; 0: no bound
	MaxInFlight      *int     `json:"max_in_flight,omitempty"` // attempts at a time in one process
}

// Limits of a patched policy.
const (
	MaxTimeout  = 30 * time.Second
	MaxRetries  = 20
	MaxWait     = 72 * time.Hour
	MaxSilence  = 5 * time.Minute // SerpWow's; it holds for every account that uses the URL
	MaxRate     = 10_000
	MaxParallel = 1_000 // attempts at a time
	minWaitSecs = 1
)

// Check tells which field of the patch cannot be used, and why.
func (p PolicyPatch) Check() (field string, err error) {
	if s := p.Success; s != nil && *s != Success2xx && *s != Success200 && *s != SuccessBelow400 {
		return "success", fmt.Errorf("%q is no success rule; use 2xx, 200 or lt_400", *s)
	}
	if r := p.RetryOn; r != nil && *r != RetryAnyError && *r != RetryTransient {
		return "retry_on", fmt.Errorf("%q is no retry rule; use any_error or 429_5xx", *r)
	}
	if t := p.TimeoutSeconds; t != nil && (*t < 1 || *t > int(MaxTimeout/time.Second)) {
		return "timeout_seconds", fmt.Errorf("%d is out of range; use 1 to %d", *t, MaxTimeout/time.Second)
	}
	if s := p.SilenceSeconds; s != nil && (*s < 0 || *s > int(MaxSilence/time.Second)) {
		return "silence_seconds", fmt.Errorf("%d is out of range; use 0 to %d", *s, MaxSilence/time.Second)
	}
	if n := p.Rate; n != nil && (*n < 0 || *n > MaxRate) {
		return "rate", fmt.Errorf("%d is out of range; use 1 to %d attempts a second, or 0 for no bound", *n, MaxRate)
	}
	if n := p.MaxInFlight; n != nil && (*n < 1 || *n > MaxParallel) {
		return "max_in_flight", fmt.Errorf("%d is out of range; use 1 to %d", *n, MaxParallel)
	}
	return p.checkWaits()
}

func (p PolicyPatch) checkWaits() (string, error) {
	if p.RetrySeconds == nil {
		return "", nil
	}
	if n := len(*p.RetrySeconds); n > MaxRetries {
		return "retry_seconds", fmt.Errorf("%d waits are too many; use at most %d", n, MaxRetries)
	}
	for _, w := range *p.RetrySeconds {
		if w < minWaitSecs || w > int(MaxWait/time.Second) {
			return "retry_seconds", fmt.Errorf("a wait of %d is out of range; use %d to %d", w, minWaitSecs, MaxWait/time.Second)
		}
	}
	return "", nil
}

// With returns the policy with the patch's rules in place of its own. Patched
// waits are exact: they are not spread by jitter.
func (p Policy) With(patch PolicyPatch) Policy {
	set(&p.Success, patch.Success)
	set(&p.RetryOn, patch.RetryOn)
	set(&p.HonourRetryAfter, patch.HonourRetryAfter)
	set(&p.GoneDisables, patch.GoneDisables)
	set(&p.Rate, patch.Rate)
	set(&p.MaxInFlight, patch.MaxInFlight)
	if patch.TimeoutSeconds != nil {
		p.Timeout = seconds(*patch.TimeoutSeconds)
	}
	if patch.SilenceSeconds != nil {
		p.Silence = seconds(*patch.SilenceSeconds)
	}
	if patch.RetrySeconds != nil {
		p.Schedule = Schedule{}
		for _, w := range *patch.RetrySeconds {
			p.Schedule.Waits = append(p.Schedule.Waits, seconds(w))
		}
	}
	return p
}

func set[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }
