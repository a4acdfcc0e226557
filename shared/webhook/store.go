package webhook

import (
	"time"

	"github.com/jobhook/jobhook/shared/job"
)

// Planned is an event with its deliveries, as dispatch decided them.
type Planned struct {
	Event      Event
	Deliveries []Delivery
}

// Message is a queue's message as it is received.
type Message struct {
	ID       string
	Receipt  string // of this receive; an older one no longer works
	Group    string
	Body     string
	Receives int // this one included
	SentAt   time.Time
}

// Filter selects deliveries of one account, newest job first.
type Filter struct {
	Account     string
	State       State       // empty: every state
	Endpoint    string      // empty: every target
	JobID       string      // empty: every job
	EventID     string      // empty: every event
	Type        EventType   // empty: every type
	Since       time.Time   // created then or later; zero: ever
	Until       time.Time   // created before; zero: ever
	StatusClass StatusClass // of the last attempt's answer; empty: all
	After       string      // the cursor of the page before
	Limit       int         // 1 to MaxPage
}

// Wants tells whether the filter selects a delivery of its account, whatever
// the page.
func (f Filter) Wants(d Delivery) bool {
	return (f.State == "" || d.State == f.State) &&
		(f.Endpoint == "" || d.Target.Endpoint == f.Endpoint) &&
		(f.JobID == "" || d.JobID == f.JobID) &&
		(f.EventID == "" || d.EventID == f.EventID) &&
		(f.Type == "" || d.EventType == f.Type) &&
		(f.Since.IsZero() || !d.CreatedAt.Before(f.Since)) &&
		(f.Until.IsZero() || d.CreatedAt.Before(f.Until)) &&
		f.StatusClass.has(d)
}

// StatusClass groups what came of a delivery's last attempt.
type StatusClass string

// The status classes: those of HTTP, no answer at all, and no attempt yet.
const (
	Class2xx       StatusClass = "2xx"
	Class3xx       StatusClass = "3xx"
	Class4xx       StatusClass = "4xx"
	Class5xx       StatusClass = "5xx"
	ClassNoAnswer  StatusClass = "no_answer"
	ClassNoAttempt StatusClass = "no_attempt"
)

func (c StatusClass) has(d Delivery) bool {
	switch c {
	case "":
		return true
	case ClassNoAnswer:
		return d.LastStatus == 0 && d.LastFailure != ""
	case ClassNoAttempt:
		return d.LastStatus == 0 && d.LastFailure == ""
	}
	return len(c) > 0 && d.LastStatus/100 == int(c[0]-'0')
}

// EventFilter selects events of one account, newest job first.
type EventFilter struct {
	Account string
	Kind    job.Kind  // empty: every kind
	JobID   string    // empty: every job
	Type    EventType // empty: every type
	Since   time.Time // happened then or later; zero: ever
	Until   time.Time // happened before; zero: ever
	Records bool      // with their snapshots
	After   string    // the cursor of the page before
	Limit   int       // 1 to MaxPage
}

// Wants tells whether the filter selects an event of its account, whatever the page.
func (f EventFilter) Wants(e Event) bool {
	return (f.Kind == "" || e.Kind == f.Kind) && (f.JobID == "" || e.JobID == f.JobID) && (f.Type == "" || e.Type == f.Type) &&
		(f.Since.IsZero() || !e.At.Before(f.Since)) && (f.Until.IsZero() || e.At.Before(f.Until))
}

// JobFilter selects jobs of one account, newest first.
type JobFilter struct {
	Account string
	Kind    job.Kind   // empty: every kind
	Status  job.Status // empty: every status
	After   string     // the cursor of the page before
	Limit   int        // 1 to MaxPage
}

// MaxPage bounds one page of a list.
const MaxPage = 250

// Scope is what an API key may do.
type Scope string

// The scopes of keys.
const (
	ScopeOperator Scope = "operator" // everything
	ScopePlatform Scope = "platform" // write accounts, keys and jobs
	ScopeAccount  Scope = "account"  // its own account only
)

// Key is an API key. Only the hash of its secret is kept.
type Key struct {
	ID        string
	Account   string // for ScopeAccount
	Scope     Scope
	Name      string
	Hash      []byte // SHA-256 of the secret
	CreatedAt time.Time
	RevokedAt time.Time // it works until then; zero: for ever
	Session   bool      // made by signing in; stores may forget it a day after its end
	Opener    string    // id of the key that the session was opened with, without which it is not valid; empty: a portal link
}

// Valid tells whether the key works at a time.
func (k Key) Valid(now time.Time) bool { return k.RevokedAt.IsZero() || now.Before(k.RevokedAt) }

// Stats counts the attempts to one endpoint that began in one hour.
type Stats struct {
	Account   string
	Endpoint  string // an endpoint's id; empty for URLs on jobs
	Hour      time.Time
	Delivered int
	Failed    int       // attempts that failed, retried or not
	GivenUp   int       // of these, the last ones of their deliveries: exhausted or dead
	Latency   Histogram // from the request to the whole answer, of all attempts
	Lag       Histogram // from the event to the answer, of what was delivered without a resend
}

// Add counts what other counted.
func (s *Stats) Add(other Stats) {
	s.Delivered += other.Delivered
	s.Failed += other.Failed
	s.GivenUp += other.GivenUp
	s.Latency.Add(other.Latency)
	s.Lag.Add(other.Lag)
}

// HistogramBuckets is the number of buckets of a Histogram.
const HistogramBuckets = 24

// Histogram counts latencies: bucket i holds those up to Bound(i), the last
// one everything longer.
type Histogram [HistogramBuckets]int

// Add counts what other counted.
func (h *Histogram) Add(other Histogram) {
	for i, n := range other {
		h[i] += n
	}
}

// Bound is the upper bound of bucket i: 1 ms, and 1.6 times more for each
// next bucket, up to about 50 s.
func Bound(i int) time.Duration {
	bound := float64(time.Millisecond)
	for range i {
		bound *= 1.6
	}
	return time.Duration(bound)
}

// Observe counts one latency.
func (h *Histogram) Observe(d time.Duration) {
	bound := float64(time.Millisecond)
	for i := range HistogramBuckets - 1 {
		if float64(d) <= bound {
			h[i]++
			return
		}
		bound *= 1.6
	}
	h[HistogramBuckets-1]++
}

// Quantile returns the upper bound of the bucket that holds the q-quantile,
// q in [0, 1]; 0 when nothing was observed.
func (h *Histogram) Quantile(q float64) time.Duration {
	total := 0
	for _, n := range h {
		total += n
	}
	if total == 0 {
		return 0
	}
	rank := int(q * float64(total-1))
	for i, n := range h {
		if rank -= n; rank < 0 {
			return Bound(i)
		}
	}
	return Bound(HistogramBuckets - 1)
}

// QueueDepth is what a queue holds, as far as it can tell without looking at
// each message.
type QueueDepth struct {
	Visible int // may be received now
	Hidden  int // being attended to, or waiting for its next attempt
	Delayed int // sent with a delay that has not ended
	Dead    int // dead letters
}
