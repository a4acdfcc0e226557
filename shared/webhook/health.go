package webhook

import (
	"net"
	"net/url"
	"strings"
	"time"
)

// HealthState tells how an endpoint has been answering.
type HealthState string

// The health states.
const (
	Healthy HealthState = "healthy"
	Failing HealthState = "failing" // as FailingAfter says, and no success since
)

// Health is what is known of an endpoint from its answers. It is written when
// it changes, not with every attempt. The zero value is a healthy endpoint.
type Health struct {
	Endpoint string
	State    HealthState // empty is Healthy
	Since    time.Time   // when State began; for Failing, the first of the failures, see After
	Reason   string      // the failure that made it failing
	Warned   int         // what was told of its failing: one of the stages, which are in the order of time

	Circuit               // whether it is called at all
	PausedUntil time.Time // it asked by Retry-After not to be called before
	Slow        int       // 0: full speed; each level halves it, see SlowRate
	SlowAt      time.Time // when Slow changed last

	Version int // rises with every write; 0: never written
}

// HostHealth is what is known of a host, which endpoints of many accounts may
// share. It has a circuit only.
type HostHealth struct {
	Host string // as HostOf gives it
	Circuit
	Version int // rises with every write; 0: never written
}

// Gate tells what the endpoint's answers let through.
func (h Health) Gate(now time.Time) Gate {
	if isAhead(h.PausedUntil, now, longestPause) {
		return Gate{Pass: PassNone, Until: h.PausedUntil, Why: HoldRetryAfter.Because(
			"the receiver asked not to be called until " + h.PausedUntil.UTC().Format(time.RFC3339))}
	}
	return h.At(now, HoldTripped, "the endpoint")
}

// Unknown tells that nothing is known of the endpoint: it was never written, or
// it was forgotten, as the endpoint got another URL or somebody resumed it.
func (h Health) Unknown() bool { return h == Health{Endpoint: h.Endpoint, Version: h.Version} }

// Gate tells what the host's failures let through.
func (h HostHealth) Gate(now time.Time) Gate { return h.At(now, HoldHost, "the host") }

// Hold names why a delivery is held. Its reason begins with it.
type Hold string

// The holds.
const (
	HoldPaused     Hold = "paused"      // by somebody
	HoldDisabled   Hold = "disabled"    // by somebody, by 410, or after days of failures
	HoldSilent     Hold = "silent"      // nobody calls the URL for a while (SerpWow)
	HoldTripped    Hold = "tripped"     // the endpoint's circuit is open
	HoldHost       Hold = "host"        // the host's circuit is open
	HoldRetryAfter Hold = "retry_after" // the receiver asked to wait
	HoldRate       Hold = "rate"        // the endpoint has had its attempts of this moment
	HoldBusy       Hold = "busy"        // as many attempts as allowed are under way
)

// Because is the reason of a delivery that is held.
func (h Hold) Because(why string) string { return string(h) + ": " + why }

// HoldOf reads the hold from the reason of a held delivery; "" if it has none.
func HoldOf(reason string) Hold {
	word, _, ok := strings.Cut(reason, ": ")
	if !ok {
		return ""
	}
	switch h := Hold(word); h {
	case HoldPaused, HoldDisabled, HoldSilent, HoldTripped, HoldHost, HoldRetryAfter, HoldRate, HoldBusy:
		return h
	}
	return ""
}

// HostOf names the host of a URL: its name in lower case and the port, so that
// a wrong port says nothing of the right one. It is empty for what is no URL.
func HostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" {
		return ""
	}
	port := u.Port()
	if port == "" {
		port = "443"
		if u.Scheme == "http" {
			port = "80"
		}
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// HealthRules are the numbers behind health. A zero field takes its default.
type HealthRules struct {
	TripAfter    int           // failures in a row, of three deliveries at least, that open an endpoint's circuit; default 10
	OpenFor      time.Duration // how long it stays open first; doubles each time; default 30 s
	MaxOpen      time.Duration // at most; default 15 min, and more counts as the mistake of a clock
	HostAccounts int           // accounts whose failures open a host's circuit; default 3
	DisableAfter time.Duration // of failures only, until an endpoint is disabled; default 5 days, below 0: never
}

// The defaults of HealthRules.
const (
	DefaultTripAfter    = 10
	DefaultOpenFor      = 30 * time.Second
	DefaultMaxOpen      = 15 * time.Minute
	DefaultHostAccounts = 3
	DefaultDisableAfter = 5 * 24 * time.Hour
)

// Defaults fills the fields that are zero.
func (r HealthRules) Defaults() HealthRules {
	if r.TripAfter == 0 {
		r.TripAfter = DefaultTripAfter
	}
	if r.OpenFor == 0 {
		r.OpenFor = DefaultOpenFor
	}
	if r.MaxOpen == 0 {
		r.MaxOpen = DefaultMaxOpen
	}
	if r.HostAccounts == 0 {
		r.HostAccounts = DefaultHostAccounts
	}
	if r.DisableAfter == 0 {
		r.DisableAfter = DefaultDisableAfter
	}
	return r
}

// openFor doubles with each opening, up to MaxOpen, spread over [d, 1.2d) by
// jitter in [0, 1).
func (r HealthRules) openFor(opens int, jitter float64) time.Duration {
	d := r.OpenFor
	for i := 1; i < opens && d < r.MaxOpen; i++ {
		d *= 2
	}
	d = min(d, r.MaxOpen)
	return d + time.Duration(0.2*jitter*float64(d))
}

// LeaseWindow is for how long attempts of a limited endpoint are leased at once.
const LeaseWindow = 5 * time.Second

// Levels of Health.Slow.
const (
	maxSlow = 6
	// startSlow is the level at which an endpoint starts whose circuit has closed.
	startSlow = 3
	// slowFor is how long a level holds at least, before a success lowers it.
	slowFor = 5 * time.Second
	// slowStep is how long a level holds at least, before an answer raises it.
	slowStep = 10 * time.Second
	// slowFrom is the rate of level 1, per second.
	slowFrom = 32
)

// SlowRate is how many attempts a second a slowed endpoint gets; 0: no bound.
func (h Health) SlowRate() int {
	if h.Slow == 0 {
		return 0
	}
	return max(slowFrom>>(min(h.Slow, maxSlow)-1), 1)
}

// RateOf is how many attempts a second the endpoint gets: what its policy
// allows, or less when it is slowed. 0: no bound.
func RateOf(p Policy, h Health) int {
	slow := h.SlowRate()
	if slow == 0 || p.Rate > 0 && p.Rate < slow {
		return p.Rate
	}
	return slow
}

// Observation is an attempt as health looks at it, with what the process that
// made it remembers of the endpoint.
type Observation struct {
	Result      Result
	Outcome     Outcome
	Probe       bool      // the attempt had claimed the endpoint's probe
	InARow      int       // deliveries that failed in a row, this one included
	FirstAt     time.Time // when the first of them failed
	DownRow     int       // failures in a row that were Down, this one included
	DownOf      int       // of how many deliveries
	Tries       int       // failed attempts of this delivery alone, this one included
	TriedSince  time.Time // when the first of them was made
	SucceededAt time.Time // the endpoint's last success that was seen; zero: none
	Throttled   bool      // so many answers asked to be called less often that it is, see Answers
}

// Down tells whether a result says that a receiver cannot be reached or does
// not work, rather than that it dislikes this webhook.
func (r Result) Down() bool {
	switch r.Failure {
	case "":
		return r.Status == 429 || r.Status >= 500
	case FailureRefusedAddress, FailureUnsendable, FailureOurs:
		return false
	}
	return true
}

// Unreachable tells whether a result says something of the host, whoever
// called it: it has no address, takes no connection, or has no valid certificate.
func (r Result) Unreachable() bool {
	switch r.Failure {
	case FailureDNS, FailureConnect, FailureTLS:
		return true
	}
	return false
}

// Throttles tells whether a result asks to be called less often.
func (r Result) Throttles() bool {
	return r.Failure == "" && (r.Status == 429 || r.Status == 502 || r.Status == 504)
}

// After returns the health after an attempt, and what the account and the
// operator are to be told. It differs from h where it must be written.
//
// Since of a failing endpoint is when the first of the failures in a row was, or
// when it was concluded from one delivery alone, as others may have arrived in
// between. A warning that comes late, as nobody called the endpoint meanwhile,
// moves it on by so much, so that there is always time to act on the warning.
//
// The limit of all this: a process sees its own attempts only. A receiver that
// answers others, and fails for every delivery that one process makes, is
// failing until the next success, and is told of if that takes five minutes.
func (h Health) After(o Observation, now time.Time, r HealthRules, jitter float64) (Health, []EventType) {
	r = r.Defaults()
	if o.Outcome.Verdict == Done {
		return h.recovered(o, now)
	}
	h = h.obey(o, now)
	if !o.Outcome.Spends { // it asked to wait, which is no failure
		if o.Probe {
			h = h.closed(now)
		}
		return h, nil
	}
	var told []EventType
	if o.SucceededAt.After(h.Since) { // of whoever made that attempt, nobody knew that it was failing
		h, told = h.healthy(o.SucceededAt)
	}
	if h = h.trip(o, now, r, jitter); h.State != Failing {
		return h.fail(o, now), told
	}
	return h.warn(o, now, r)
}

// obey pauses and slows down an endpoint that asks for it.
func (h Health) obey(o Observation, now time.Time) Health {
	if !isAhead(h.PausedUntil, now, longestPause) && o.Outcome.Pause > 0 {
		h.PausedUntil = time.Time{}
	}
	if until := now.Add(o.Outcome.Pause); o.Outcome.Pause > 0 && until.Sub(h.PausedUntil) > time.Second {
		h.PausedUntil = until
	}
	if o.Throttled && o.Result.Throttles() && h.Slow < maxSlow && (h.Slow == 0 || h.slowedFor(slowStep, now)) {
		h.Slow, h.SlowAt = h.Slow+1, now // also when it said for how long: what was held meanwhile must not come at once
	}
	return h
}

// slowedFor tells whether Slow was changed so long ago.
func (h Health) slowedFor(d time.Duration, now time.Time) bool {
	age := now.Sub(h.SlowAt)
	return age >= d || age < -clockSkew
}

func (h Health) recovered(o Observation, now time.Time) (Health, []EventType) {
	h, told := h.healthy(now)
	h = h.closed(now)
	if !isAhead(h.PausedUntil, now, longestPause) {
		h.PausedUntil = time.Time{}
	}
	if h.Slow > 0 && !o.Throttled && h.slowedFor(slowFor, now) {
		h.Slow, h.SlowAt = h.Slow-1, now
	}
	return h, told
}

// healthy ends the failing of an endpoint that succeeded then. It is told to
// those who were told of the failing.
func (h Health) healthy(then time.Time) (Health, []EventType) {
	var told []EventType
	if h.State == Failing {
		if h.Warned >= toldFailing {
			told = append(told, EndpointRecoveredEvent)
		}
		h.State, h.Since, h.Reason, h.Warned = Healthy, then, "", toldNothing
	}
	return h, told
}

// closed closes the circuit if it is not. What was held meanwhile must not come
// at once to a receiver that has only just come back: it starts slowly, and gets
// twice as much every slowFor.
func (h Health) closed(now time.Time) Health {
	if h.Opens > 0 {
		h.Circuit = Circuit{}
		h.Slow, h.SlowAt = max(h.Slow, startSlow), now
	}
	return h
}

// tripDeliveries is of how many deliveries the failures must be that open a
// circuit: a receiver that chokes on one webhook is not down.
const tripDeliveries = 3

func (h Health) trip(o Observation, now time.Time, r HealthRules, jitter float64) Health {
	switch {
	case !o.Result.Down():
		if o.Probe { // it answered, so it lives
			h = h.closed(now)
		}
	case o.Probe && h.Opens > 0,
		h.Opens == 0 && o.DownRow >= r.TripAfter && o.DownOf >= min(tripDeliveries, r.TripAfter) && !h.hasRecovered(o.FirstAt):
		h.Circuit = h.Open(now, r, jitter)
	}
	return h
}

// Holder is an endpoint that holds deliveries.
type Holder struct {
	Account  string
	Endpoint Endpoint // of one that was deleted, its ID only
	Exists   bool
	Health   Health
	Why      string // the reason of one of its oldest deliveries
}
