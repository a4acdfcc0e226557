package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jobhook/jobhook/shared/job"
)

// State is where a delivery stands. Every delivery is always in exactly one.
type State string

// The states of a delivery.
const (
	StateQueued     State = "queued"     // its attempt is due and a message is on its way
	StateWaiting    State = "waiting"    // an attempt failed; the next one is scheduled at NextAt
	StateHeld       State = "held"       // the target is not called now, see Hold
	StateDelivered  State = "delivered"  // an attempt succeeded
	StateExhausted  State = "exhausted"  // all attempts failed
	StateDead       State = "dead"       // an attempt failed in a way that is not retried
	StateSuperseded State = "superseded" // a newer progress event made it pointless
	StateDeclined   State = "declined"   // never sent, for a reason
)

// States returns all states.
func States() []State {
	return []State{StateQueued, StateWaiting, StateHeld, StateDelivered, StateExhausted,
		StateDead, StateSuperseded, StateDeclined}
}

// Final tells whether nothing more happens to a delivery in this state unless
// it is resent.
func (s State) Final() bool {
	switch s {
	case StateQueued, StateWaiting, StateHeld:
		return false
	}
	return true
}

// Target is where an event goes: an endpoint of the account, or a URL that the
// job itself names.
type Target struct {
	Endpoint string // an endpoint's id; empty for a URL on the job
	URL      string // for a URL on the job: where to; for an endpoint: its URL at dispatch, for the record
	Format   string // never "auto"
}

// key identifies the target among those of one event.
func (t Target) key() string {
	if t.Endpoint != "" {
		return t.Endpoint
	}
	return t.URL
}

// Delivery is one event on its way to one target.
type Delivery struct {
	ID        string
	Account   string
	EventID   string
	EventType EventType
	Kind      job.Kind
	JobID     string
	Run       int
	Sequence  string
	Target    Target

	State  State
	Reason string // why it is in this state, for people

	Generation int // 1; each resend opens the next
	Attempts   int // attempts of this generation that count against the schedule
	Postponed  int // attempts of this generation that did not count, as Retry-After asked to wait

	NextAt     time.Time // the earliest time of the next attempt; zero: at once
	DueAt      time.Time // when sweep rings for it; zero: a message is on its way
	LeaseUntil time.Time // an attempt is in flight until then
	Deadline   time.Time // waits that Retry-After asks for past it spend attempts

	LastStatus  int    // status code of the last attempt, 0 when no answer came
	LastFailure string // the last attempt's Failure
	CreatedAt   time.Time
	UpdatedAt   time.Time
	DeliveredAt time.Time // the first success; a resend does not take it away
	ExpiresAt   time.Time
}

// FirstAttempt tells whether no attempt was made yet, of any generation.
func (d Delivery) FirstAttempt() bool {
	return d.Generation == 1 && d.Attempts == 0 && d.Postponed == 0
}

// NeverSent tells whether no attempt was made yet, however often it was resent.
func (d Delivery) NeverSent() bool {
	return d.Attempts+d.Postponed == 0 && d.LastStatus == 0 && d.LastFailure == "" && d.DeliveredAt.IsZero()
}

// InFlight tells whether an attempt holds the delivery's lease.
func (d Delivery) InFlight(now time.Time) bool { return d.LeaseUntil.After(now) }

// Ref names a delivery.
type Ref struct {
	Account string
	ID      string
}

// Ref returns the delivery's name.
func (d Delivery) Ref() Ref { return Ref{Account: d.Account, ID: d.ID} }

// Doorbell is a queue message: it says only that somebody should look at a
// delivery. The truth is in the delivery's row, so a doorbell that rings
// twice, late or for an older generation does no harm.
type Doorbell struct {
	Account    string `json:"account"`
	Delivery   string `json:"delivery"`
	Generation int    `json:"generation"`

	After time.Duration `json:"-"` // how long the queue keeps the message back
}

// ParseDoorbell reads a queue message. What Message writes is read without a
// decoder.
func ParseDoorbell(message string) (Doorbell, error) {
	d, ok := cutDoorbell(message)
	if !ok {
		if err := json.Unmarshal([]byte(message), &d); err != nil {
			return Doorbell{}, fmt.Errorf("message is no doorbell: %w", err)
		}
	}
	if d.Account == "" || d.Delivery == "" || d.Generation < 1 {
		return Doorbell{}, errors.New("message is no doorbell: account, delivery or generation is missing")
	}
	return d, nil
}

// cutDoorbell cuts what Message wrote into its parts, unless one of them has
// characters that JSON might write otherwise.
func cutDoorbell(message string) (Doorbell, bool) {
	rest, ok1 := strings.CutPrefix(message, `{"account":"`)
	account, rest, ok2 := strings.Cut(rest, `","delivery":"`)
	delivery, rest, ok3 := strings.Cut(rest, `","generation":`)
	digits, ok4 := strings.CutSuffix(rest, "}")
	generation, err := strconv.Atoi(digits)
	if !ok1 || !ok2 || !ok3 || !ok4 || err != nil || strconv.Itoa(generation) != digits ||
		strings.ContainsFunc(account, mayBeEscaped) || strings.ContainsFunc(delivery, mayBeEscaped) {
		return Doorbell{}, false
	}
	return Doorbell{Account: account, Delivery: delivery, Generation: generation}, true
}

func mayBeEscaped(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }

// Message is the doorbell as a queue carries it.
func (d Doorbell) Message() string {
	b, _ := json.Marshal(d) // two strings and a number always marshal
	return string(b)
}

// Ref names the delivery to look at.
func (d Doorbell) Ref() Ref { return Ref{Account: d.Account, ID: d.Delivery} }

// Doorbell returns the message that rings for the delivery.
func (d Delivery) Doorbell() Doorbell {
	return Doorbell{Account: d.Account, Delivery: d.ID, Generation: d.Generation}
}

// Work is all that an attempt needs to know, read at one moment.
type Work struct {
	Delivery    Delivery
	Event       Event
	Endpoint    Endpoint   // zero for a URL on the job
	HasEndpoint bool       // false for a URL on the job, or when the endpoint was deleted
	Secrets     []Secret   // what to sign with: the endpoint's, or those of the account's default endpoint
	SilentUntil time.Time  // the exact URL is not called before, by anyone
	Health      Health     // of the endpoint; zero: healthy, or no endpoint
	Host        HostHealth // of the URL's host; zero: healthy
	Err         error      // what kept the rest from being read
}

// URL returns where the attempt goes: an endpoint's present URL, or the job's.
func (w *Work) URL() string {
	if w.HasEndpoint {
		return w.Endpoint.URL
	}
	return w.Delivery.Target.URL
}

// Attempt is one HTTP request of a delivery and what came of it.
type Attempt struct {
	Account    string
	Delivery   string
	Generation int
	At         time.Time // with Delivery it names the attempt, to the microsecond
	URL        string
	Result     Result
	Timing     Timing
	State      State  // what the delivery became
	Reason     string // and why
	Late       bool   // another attempt had already decided the delivery's state
}

// Timing splits the time of an attempt. A step that did not take place, such
// as the connect of a reused connection, is zero.
type Timing struct {
	DNS       time.Duration `json:"dns"`
	Connect   time.Duration `json:"connect"`
	TLS       time.Duration `json:"tls"`
	FirstByte time.Duration `json:"first_byte"` // from the request written to the first byte of the answer
	Total     time.Duration `json:"total"`
}

// Resend returns the delivery's row when it is sent once more, as a new
// generation with all its attempts, due at once. Until its message has rung it
// stands in the due index, so that a lost message does not lose it. It returns
// ErrInFlight while an attempt is queued or being made.
func (d Delivery) Resend(p Policy, now time.Time) (Delivery, error) {
	if d.State == StateQueued || d.InFlight(now) {
		return d, ErrInFlight
	}
	d.Generation++
	d.State, d.Reason = StateQueued, "resent"
	d.Attempts, d.Postponed = 0, 0
	d.NextAt, d.LeaseUntil = time.Time{}, time.Time{}
	d.DueAt, d.UpdatedAt, d.Deadline = now.Add(resendRingsAgainAfter), now, p.Deadline(now)
	return d, nil
}

// resendRingsAgainAfter is when sweep rings for a resent delivery if nobody attended to it.
const resendRingsAgainAfter = time.Minute
