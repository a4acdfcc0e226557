// Package webhook is the heart of Jobhook: events, endpoints, deliveries and
// their attempts, and the rules that decide when an attempt is made, what its
// answer means and what comes next. The rules are pure functions of their
// arguments; whoever has effects to cause calls them and obeys.
package webhook

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/jobhook/jobhook/shared/job"
)

// EventType says what happened.
type EventType string

// The event types. JobUnreadable stands for a change that could not be
// understood: it is never sent, only shown.
const (
	JobProgress    EventType = "job.progress"
	JobFinished    EventType = "job.finished"
	JobFailed      EventType = "job.failed"
	JobStopped     EventType = "job.stopped"
	ResultSetReady EventType = "result_set.ready"
	WebhookTest    EventType = "webhook.test"
	JobUnreadable  EventType = "job.unreadable"
)

// The event types of an endpoint's health. No job is behind them: their Record
// is a notice, and they go to whom subscribes to them by name.
const (
	EndpointFailingEvent   EventType = "endpoint.failing"
	EndpointDisabledEvent  EventType = "endpoint.disabled"
	EndpointRecoveredEvent EventType = "endpoint.recovered"
)

// OfJobs returns the event types of jobs that an endpoint can ask for.
func OfJobs() []EventType {
	return []EventType{JobProgress, JobFinished, JobFailed, JobStopped, ResultSetReady}
}

// OfEndpoints returns the event types of endpoints.
func OfEndpoints() []EventType {
	return []EventType{EndpointFailingEvent, EndpointDisabledEvent, EndpointRecoveredEvent}
}

// Subscribable returns the event types an endpoint can ask for.
func Subscribable() []EventType { return append(OfJobs(), OfEndpoints()...) }

// OfEndpoint tells whether an endpoint's health is what the event tells of.
func (t EventType) OfEndpoint() bool { return strings.HasPrefix(string(t), "endpoint.") }

// EndOf returns the event type of a run that ended with the given outcome.
func EndOf(o job.Outcome) EventType {
	switch o {
	case job.OutcomeFailed:
		return JobFailed
	case job.OutcomeStopped:
		return JobStopped
	}
	return JobFinished
}

// Event is something that happened to a job. It never changes: Record is the
// job record as it was then, so that retries and resends say the same thing
// whatever became of the job.
type Event struct {
	ID       string
	Type     EventType
	Account  string
	Kind     job.Kind
	JobID    string
	Run      int
	At       time.Time       // when the job changed
	Level    job.Level       // severity of a job.progress
	Sequence string          // the change's place in the feed
	Record   json.RawMessage // JSON for certain: of a job that was decoded, or our own
}

// Job reads the snapshot.
func (e Event) Job() (job.Job, error) { return job.DecodeValid(e.Record) }
