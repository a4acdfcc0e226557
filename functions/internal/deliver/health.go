package deliver

import (
	"slices"
	"sync"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

// HealthLog remembers, in this process only, the answers of each endpoint and
// the failures of each host. What is stored is what follows from them, not every
// attempt. Its zero value is ready. The lanes of a process share one.
type HealthLog struct {
	mu        sync.Mutex
	endpoints map[string]*endpointLog
	hosts     map[string]*hostLog
	network   network
}

// Bounds of a HealthLog. Of more endpoints, or hosts, that fail at one time one
// is forgotten for each that is new, and its failures are counted anew. Where
// there is no room a success is not remembered.
const (
	maxEndpoints = 10_000
	maxHosts     = 10_000
	// hostMemory is after how long without a failure those of a host are forgotten.
	hostMemory = 15 * time.Minute
	// newestFor is how long health that was written here is taken for newer than
	// what a store read, as stores answer from memories of a few seconds.
	newestFor = 5 * time.Second
)

// endpointLog is what is remembered of an endpoint.
type endpointLog struct {
	url       string // another one makes it another receiver
	version   int    // of its health, the highest that was seen
	failed    row
	down      row // the last ones of failed that were Down
	succeeded time.Time
	answers   webhook.Answers
	refused   time.Time // when a lease of first attempts was not granted in full last; zero: the last one was

	known   webhook.Health // as it was written here last
	knownAt time.Time
}

// row is failures in a row.
type row struct {
	failures int
	of       []string // deliveries; no more than are needed to make an endpoint failing
	first    time.Time
}

func (r *row) add(delivery string, now time.Time) {
	if r.failures == 0 {
		r.first = now
	}
	r.failures++
	if len(r.of) < webhook.FailingAfter && !slices.Contains(r.of, delivery) {
		r.of = append(r.of, delivery)
	}
}

// hostLog is what is remembered of a host since its last answer; none of one
// that has answered since it last failed.
type hostLog struct {
	accounts []string // which did not reach it; no more than are needed to trip it
	failures int
	last     time.Time
}

// minHostFailures is how many failures a host's circuit takes, besides the
// accounts that must have seen some.
const minHostFailures = 5

// observe counts an attempt to an endpoint, and returns it as its health looks
// at it. A wait that the receiver asked for is neither failure nor success.
//
// Failures in a row are those of first attempts. A process that makes retries
// sees again and again what a receiver chokes on, and may see nothing of all
// that is delivered at once: its failures tell less of the endpoint, unless it
// cannot be reached at all. Each delivery counts once.
func (l *HealthLog) observe(w *webhook.Work, r webhook.Result, o webhook.Outcome, now time.Time) webhook.Observation {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.endpoint(w, o.Verdict != webhook.Done)
	e.answers = e.answers.With(r, now)
	seen := webhook.Observation{Result: r, Outcome: o, SucceededAt: e.succeeded, Throttled: e.answers.Throttled(now)}
	switch {
	case o.Verdict == webhook.Done:
		e.succeeded, e.failed, e.down = now, row{}, row{}
		return seen
	case !o.Spends:
		return seen
	case w.Health.State != webhook.Failing && w.Health.Since.After(e.failed.first): // another process saw it recover
		e.failed, e.down = row{}, row{}
	}
	if !r.Down() {
		e.down = row{}
	}
	if w.Delivery.Attempts == 0 || r.Unreachable() {
		e.failed.add(w.Delivery.ID, now)
		if r.Down() {
			e.down.add(w.Delivery.ID, now)
		}
	}
	seen.InARow, seen.FirstAt = len(e.failed.of), e.failed.first
	seen.DownRow, seen.DownOf = e.down.failures, len(e.down.of)
	return seen
}

// endpoint returns what is remembered of a work's endpoint. Unless it must be
// kept there is none where there is no room.
func (l *HealthLog) endpoint(w *webhook.Work, must bool) *endpointLog {
	e := l.endpoints[w.Endpoint.ID]
	if e == nil {
		e = &endpointLog{}
		if must || len(l.endpoints) < maxEndpoints {
			keep(&l.endpoints, w.Endpoint.ID, e, maxEndpoints)
		}
	}
	forgotten := w.Health.Unknown() && w.Health.Version > e.version
	if e.url != w.URL() || forgotten {
		*e = endpointLog{url: w.URL(), version: e.version}
	}
	e.version = max(e.version, w.Health.Version)
	return e
}

// forget begins anew with an endpoint whose health was forgotten.
func (l *HealthLog) forget(w *webhook.Work, h webhook.Health) {
	fresh := *w
	fresh.Health = h
	l.mu.Lock()
	defer l.mu.Unlock()
	l.endpoint(&fresh, true)
}

// keep puts a value into a map of bounded size; one of the others gives way.
func keep[T any](m *map[string]T, key string, value T, most int) {
	if *m == nil {
		*m = map[string]T{}
	}
	if len(*m) >= most {
		for other := range *m {
			delete(*m, other)
			break
		}
	}
	(*m)[key] = value
}

// note remembers health that was written of a work's endpoint.
func (l *HealthLog) note(h webhook.Health, w *webhook.Work, now time.Time) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.endpoint(w, true)
	e.known, e.knownAt, e.version = h, now, max(e.version, h.Version)
}

// newest returns the health of a work's endpoint, or what was written here a
// moment ago, if that is newer. A nil log remembers nothing.
func (l *HealthLog) newest(w *webhook.Work, now time.Time) webhook.Health {
	if l == nil || !w.HasEndpoint {
		return w.Health
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.endpoints[w.Endpoint.ID]
	if e != nil && e.url == w.URL() && e.known.Version > w.Health.Version && now.Sub(e.knownAt) < newestFor {
		return e.known
	}
	return w.Health
}

// unreachable counts that an account did not reach a host, and tells whether so
// many accounts have not, since its last answer, that its circuit is to open. One
// account alone never opens it, however often it fails.
func (l *HealthLog) unreachable(host, account string, accounts int, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.hosts[host]
	if e == nil || now.Sub(e.last) > hostMemory {
		e = &hostLog{}
		keep(&l.hosts, host, e, maxHosts)
	}
	e.failures++
	e.last = now
	if len(e.accounts) < accounts && !slices.Contains(e.accounts, account) {
		e.accounts = append(e.accounts, account)
	}
	if len(e.accounts) < accounts || e.failures < minHostFailures {
		return false
	}
	*e = hostLog{last: now} // it is counted anew, but not as one that answers
	return true
}

// answered forgets the failures of a host, and tells whether there were any.
func (l *HealthLog) answered(host string) (failed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, failed = l.hosts[host]
	delete(l.hosts, host)
	return failed
}
