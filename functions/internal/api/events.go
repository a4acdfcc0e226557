package api

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// EventReader reads events.
type EventReader interface {
	Event(ctx context.Context, account, id string) (webhook.Event, error)
	// Events looks at a bounded number of rows: a page may be short, or empty,
	// and still have a next cursor, which is "" only at the end.
	Events(ctx context.Context, f webhook.EventFilter) (list []webhook.Event, next string, err error)
}

// eventDetail is an event and what became of it.
type eventDetail struct {
	EventView
	Targets []targetView `json:"targets" nullable:"false" doc:"Everybody who was or was not told of it, and why."`
}

// targetView answers "why did I get no webhook?" for one target.
type targetView struct {
	Delivery     string        `json:"delivery" doc:"Its id; /v1/deliveries/{id} has the attempts."`
	Endpoint     string        `json:"endpoint,omitempty" doc:"Empty for a URL that the job itself names."`
	URL          string        `json:"url,omitempty"`
	Format       string        `json:"format,omitempty"`
	State        webhook.State `json:"state" enum:"queued,waiting,held,delivered,exhausted,dead,superseded,declined"`
	Hold         webhook.Hold  `json:"hold,omitempty" enum:"paused,disabled,silent,tripped,host,retry_after,rate,busy" doc:"What holds it, if it is held."`
	Decision     string        `json:"decision" doc:"What became of it and why, in a sentence."`
	DecisionCode string        `json:"decision_code" enum:"delivered,queued,waiting,held,superseded,exhausted,dead,filtered,disabled,no_target,over_quota,expired,export_failed,declined"`
}

func (a *API) addEvents() {
	everybody := scopes(webhook.ScopePlatform, webhook.ScopeAccount)
	register(a, operation{id: "list-events", method: "GET", path: "/v1/events", tag: "Events", status: 200,
		summary: "List events, those of the newest job first", details: pagesNote}, everybody, a.listEvents)
	register(a, operation{id: "get-event", method: "GET", path: "/v1/events/{id}", tag: "Events", status: 200,
		summary: "Read an event, and why each target was told of it or not",
		details: "It has the job record of its time, or what is told of an endpoint. Each target says in its decision why a webhook went out, waits, or never will."}, everybody, a.getEvent)
}

func (a *API) listEvents(ctx context.Context, in *eventsInput) (*result[page[EventView]], error) {
	account, err := accountFor(ctx, in.Account)
	if err != nil {
		return nil, err
	}
	filter, err := in.filter(account)
	if err != nil {
		return nil, err
	}
	list, next, err := a.Store.Events(ctx, filter)
	if err != nil {
		return nil, err
	}
	return pageOf(list, viewEvent, next), nil
}

func (a *API) getEvent(ctx context.Context, in *ObjectPath) (*result[eventDetail], error) {
	account, err := accountFor(ctx, in.Account)
	if err != nil {
		return nil, err
	}
	e, err := a.Store.Event(ctx, account, in.ID)
	if err != nil {
		return nil, err
	}
	deliveries, err := a.deliveriesOf(ctx, e)
	if err != nil {
		return nil, err
	}
	targets := pageOf(deliveries, viewTarget, "").Body.Items
	return &result[eventDetail]{Body: eventDetail{EventView: viewEvent(e), Targets: targets}}, nil
}

// maxTargetPages bounds how many pages of an event's deliveries are read.
const maxTargetPages = 40

// deliveriesOf reads the deliveries of an event. They lie together, so that one
// page nearly always has them all.
func (a *API) deliveriesOf(ctx context.Context, e webhook.Event) ([]webhook.Delivery, error) {
	var all []webhook.Delivery
	f := webhook.Filter{Account: e.Account, JobID: e.JobID, EventID: e.ID, Limit: webhook.MaxPage}
	for range maxTargetPages {
		list, next, err := a.Store.Deliveries(ctx, f)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
		if f.After = next; next == "" {
			break
		}
	}
	return all, nil
}

func viewEvent(e webhook.Event) EventView {
	return EventView{EventBrief: briefly(e), Account: e.Account, Kind: e.Kind, JobID: e.JobID, Level: e.Level, Sequence: e.Sequence, Record: e.Record}
}

func viewTarget(d webhook.Delivery) targetView {
	code, why := decisionOf(d)
	return targetView{Delivery: d.ID, Endpoint: d.Target.Endpoint, URL: d.Target.URL, Format: d.Target.Format,
		State: d.State, Hold: holdOf(d), Decision: why, DecisionCode: code}
}

// decisionOf tells what became of a delivery: a code for programs, and a
// sentence of its own for people.
func decisionOf(d webhook.Delivery) (code, sentence string) {
	code = string(d.State)
	why := strings.TrimRight(d.Reason, ".")
	switch d.State {
	case webhook.StateDelivered:
		return code, delivered(d, why)
	case webhook.StateQueued:
		return code, "It is queued: its attempt is due and is made as soon as there is room."
	case webhook.StateWaiting:
		return code, fmt.Sprintf("It waits until %s for its next attempt, as the last one failed: %s.", when(d.NextAt), why)
	case webhook.StateHeld:
		return code, heldBecause(d)
	case webhook.StateSuperseded:
		return code, "It was superseded: " + why + "."
	case webhook.StateDeclined:
		code = declineCode(why)
		return code, "It was declined: " + why + "."
	}
	if strings.HasPrefix(why, expiredReason) {
		return decisionExpired, "It was given up: " + why + "."
	}
	if d.State == webhook.StateExhausted {
		return code, "All its attempts failed; the last: " + why + "."
	}
	return code, "It failed in a way that is not tried again: " + why + "."
}

func delivered(d webhook.Delivery, why string) string {
	text := "It was delivered at " + when(d.DeliveredAt)
	if why != "" { // such as that a later resend failed
		return text + "; " + why + "."
	}
	if d.LastStatus != 0 {
		return fmt.Sprintf("%s and answered with %d.", text, d.LastStatus)
	}
	return text + "."
}

// when writes a time that a row may lack.
func when(t time.Time) string {
	if t.IsZero() {
		return "an unknown time"
	}
	return stamp(t)
}

const (
	decisionExpired = "expired"
	expiredReason   = "expired"
)

// declineCode is the code of a declined delivery's reason, by how it begins.
// This is the one place that knows how reasons begin.
func declineCode(reason string) string {
	for _, known := range []struct{ begins, code string }{
		{"filtered: ", "filtered"},
		{"the format ", "filtered"},     // does not tell of such jobs
		{"pipelines name ", "filtered"}, // a format that follows the kind has none for them
		{"no target: ", "no_target"},
		{"the endpoint is disabled", "disabled"},
		{"over quota: ", "over_quota"},
		{"export failed: ", "export_failed"},
		{expiredReason, decisionExpired},
	} {
		if strings.HasPrefix(reason, known.begins) {
			return known.code
		}
	}
	return string(webhook.StateDeclined)
}

// EventView is an event as lists have it.
type EventView struct {
	EventBrief
	Account  string          `json:"account"`
	Kind     job.Kind        `json:"kind" doc:"Empty for what tells of an endpoint: no job is behind it."`
	JobID    string          `json:"job_id" doc:"Empty for what tells of an endpoint."`
	Level    job.Level       `json:"level,omitempty"`
	Sequence string          `json:"sequence,omitempty"`
	Record   json.RawMessage `json:"record,omitempty" doc:"The job record as it was then, or what is told of an endpoint; lists leave it out."`
}

// EventBrief shows what happened, without the job record.
type EventBrief struct {
	ID   string            `json:"id"`
	Type webhook.EventType `json:"type"`
	At   string            `json:"at" format:"date-time"`
	Run  int               `json:"run"`
}

func briefly(e webhook.Event) EventBrief {
	return EventBrief{ID: e.ID, Type: e.Type, At: stamp(e.At), Run: e.Run}
}
