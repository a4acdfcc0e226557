package api

import (
	"strings"
	"time"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// pagesNote describes lists that look at a bounded number of rows per page.
const pagesNote = "Each page looks at a bounded number of rows: with filters a page may be short, or empty, and still have a next. The list ends where next is absent."

// deliveriesInput selects deliveries, and a page of them.
type deliveriesInput struct {
	AccountQuery
	State       webhook.State       `query:"state" enum:"queued,waiting,held,delivered,exhausted,dead,superseded,declined"`
	Endpoint    string              `query:"endpoint" maxLength:"256" doc:"An endpoint's id."`
	Job         string              `query:"job" maxLength:"256" doc:"A job's id."`
	Event       string              `query:"event" maxLength:"256" doc:"An event's id."`
	Type        webhook.EventType   `query:"type" enum:"job.progress,job.finished,job.failed,job.stopped,result_set.ready,endpoint.failing,endpoint.disabled,endpoint.recovered,webhook.test,job.unreadable"`
	Since       time.Time           `query:"since" doc:"Those created then or later (RFC 3339)."`
	Until       time.Time           `query:"until" doc:"Those created before."`
	StatusClass webhook.StatusClass `query:"status_class" enum:"2xx,3xx,4xx,5xx,no_answer,no_attempt" doc:"What the last attempt was answered with."`
	Paging
}

func (in *deliveriesInput) filter(account string) (webhook.Filter, error) {
	if in.After != "" && !isDeliveryID(in.After) {
		return webhook.Filter{}, badCursor()
	}
	return webhook.Filter{
		Account: account, State: in.State, Endpoint: in.Endpoint, JobID: in.Job, EventID: in.Event, Type: in.Type,
		Since: in.Since, Until: in.Until, StatusClass: in.StatusClass, After: in.After, Limit: in.Limit,
	}, checkSpan("until", in.Since, in.Until)
}

// eventsInput selects events, and a page of them.
type eventsInput struct {
	AccountQuery
	Job   string            `query:"job" maxLength:"256" doc:"A job's id."`
	Kind  job.Kind          `query:"kind" enum:"batch,scraping,pipeline,async"`
	Type  webhook.EventType `query:"type" enum:"job.progress,job.finished,job.failed,job.stopped,result_set.ready,endpoint.failing,endpoint.disabled,endpoint.recovered,webhook.test,job.unreadable"`
	Since time.Time         `query:"since" doc:"Those that happened then or later (RFC 3339)."`
	Until time.Time         `query:"until" doc:"Those that happened before."`
	Paging
}

func (in *eventsInput) filter(account string) (webhook.EventFilter, error) {
	if in.After != "" && !isEventID(in.After) {
		return webhook.EventFilter{}, badCursor()
	}
	return webhook.EventFilter{
		Account: account, Kind: in.Kind, JobID: in.Job, Type: in.Type, Since: in.Since, Until: in.Until,
		After: in.After, Limit: in.Limit,
	}, checkSpan("until", in.Since, in.Until)
}

// checkSpan refuses a span of time that holds nothing.
func checkSpan(field string, since, until time.Time) error {
	if !since.IsZero() && !until.IsZero() && !since.Before(until) {
		return invalid(field, "it is not after since", "write a later time, or leave it out")
	}
	return nil
}

func badCursor() *Problem {
	return invalid("after", "it is no cursor", "give the next of the page before as it is")
}

// The lengths of ids after their prefixes.
const (
	eventIDChars    = 26
	deliveryIDChars = 36
)

// isDeliveryID tells whether s looks like an id that Jobhook gave a delivery.
func isDeliveryID(s string) bool { return isID(s, "dlv_", deliveryIDChars) }

// isEventID tells whether s looks like an id that Jobhook gave an event.
func isEventID(s string) bool { return isID(s, "evt_", eventIDChars) }

func isID(s, prefix string, chars int) bool {
	rest, ok := strings.CutPrefix(s, prefix)
	return ok && len(rest) == chars && strings.Trim(rest, "0123456789abcdefghjkmnpqrstvwxyz") == ""
}
