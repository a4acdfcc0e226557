package webhook

import "time"

// FailingAfter is how many deliveries in a row must fail to make an endpoint
// failing, or how often one alone, over an hour at least.
const FailingAfter = 5

// hasRecovered tells whether somebody saw a success since.
func (h Health) hasRecovered(since time.Time) bool { return h.State != Failing && h.Since.After(since) }

// The stages of a failing endpoint, kept in Health.Warned: what was told of it.
const (
	toldNothing = 0
	toldFailing = 1
	toldHalf    = 2 // that it will be disabled, at half of the time
	toldLast    = 3 // for the last time
	// flapping is one that recovered not long before. It is told of later.
	flapping = -1
)

const (
	// tellAfter is how long an endpoint fails until that is told.
	tellAfter = 5 * time.Minute
	// calmFor is how long it must be healthy for the next failing to be told as
	// early; else it is told after so long. So flapping is told once.
	calmFor = time.Hour
	// failingAlone is how long one delivery must have failed to say, alone, that
	// its endpoint fails.
	failingAlone = time.Hour
)

// convicts tells whether the failures are the endpoint's, rather than those of a
// webhook that it chokes on, and since when.
func (h Health) convicts(o Observation, now time.Time) (since time.Time, ok bool) {
	switch {
	case o.InARow >= FailingAfter && !h.hasRecovered(o.FirstAt):
		return o.FirstAt, true
	case o.Tries >= FailingAfter && now.Sub(o.TriedSince) >= failingAlone && !o.SucceededAt.After(o.TriedSince) && !h.hasRecovered(o.TriedSince):
		return now, true
	}
	return time.Time{}, false
}

// fail makes the endpoint failing, which is told if it stays so.
func (h Health) fail(o Observation, now time.Time) Health {
	since, ok := h.convicts(o, now)
	if !ok {
		return h
	}
	stage := toldNothing
	if !h.Since.IsZero() && since.Sub(h.Since) < calmFor {
		stage = flapping
	}
	h.State, h.Since, h.Reason, h.Warned = Failing, since, o.Outcome.Reason, stage
	return h
}

// warn tells that the endpoint is failing, warns that it will be disabled at
// half of the time and towards its end, and disables it then. One stage follows
// the other, none is left out.
func (h Health) warn(o Observation, now time.Time, r HealthRules) (Health, []EventType) {
	next, after, what := h.nextStage(r)
	late := now.Sub(h.Since) - after
	if late < 0 || next > toldFailing && r.DisableAfter < 0 {
		return h, nil
	}
	switch next {
	case toldHalf, toldLast:
		h.Since = h.Since.Add(late)
	case toldLast + 1:
		if _, ok := h.convicts(o, now); !ok {
			return h, nil
		}
	}
	h.Warned, h.Reason = next, o.Outcome.Reason
	return h, []EventType{what}
}

// nextStage is what is told next of a failing endpoint, and how long after Since.
func (h Health) nextStage(r HealthRules) (stage int, after time.Duration, what EventType) {
	half := r.DisableAfter / 2
	last := max(half, r.DisableAfter-max(24*time.Hour, r.DisableAfter/5))
	switch {
	case h.Warned == flapping:
		return toldFailing, calmFor, EndpointFailingEvent
	case h.Warned < toldFailing:
		return toldFailing, tellAfter, EndpointFailingEvent
	case h.Warned < toldHalf && half < last:
		return toldHalf, half, EndpointFailingEvent
	case h.Warned < toldLast:
		return toldLast, last, EndpointFailingEvent
	}
	return toldLast + 1, r.DisableAfter, EndpointDisabledEvent
}

// DisabledAt is when a failing endpoint will be disabled if no attempt
// succeeds; zero if never.
func (h Health) DisabledAt(r HealthRules) time.Time {
	if r = r.Defaults(); h.State != Failing || r.DisableAfter < 0 {
		return time.Time{}
	}
	return h.Since.Add(r.DisableAfter)
}
