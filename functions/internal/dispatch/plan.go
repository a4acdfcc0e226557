package dispatch

import (
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/jobhook/jobhook/shared/format"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// noTarget is the reason of an event that nobody is told of.
const noTarget = "no target: the account has no endpoint and the job names no URL"

// ownURLWaits is the reason of an event that the URLs on the job do not hear of.
func ownURLWaits(j job.Job, e webhook.Event) string {
	if j.Kind == job.KindBatch {
		return fmt.Sprintf("filtered: the job's notification_webhook is sent result_set.ready, once the result set of run %d is written, not %s", j.Run, e.Type)
	}
	return fmt.Sprintf("no target: the job names no URL for %s, only another one", e.Type)
}

// planner decides what a change leads to. It is pure but for its two times.
type planner struct {
	now        time.Time
	expires    time.Time
	attributes Attributes
}

// plan returns the events of a change with their deliveries. Events that
// nobody wants are left out, but an end that no endpoint hears of is kept with
// the reason, so that "why did I get no webhook?" has an answer.
func (p planner) plan(c job.Change, endpoints []webhook.Endpoint) []webhook.Planned {
	t, err := c.Transition()
	if err != nil {
		return p.declined(eventOf(c, webhook.JobUnreadable, job.LevelError), "the change is impossible: "+err.Error())
	}
	all := p.fanOut(c, eventsOf(c, t), endpoints)
	if t.Ended || t.ResultSetReady {
		p.explain(all, c.New, endpoints)
	}
	if t.Ended && c.New.HasRecords() {
		p.keepEnd(&all[0], c.New)
	}
	kept := all[:0]
	for _, planned := range all {
		if len(planned.Deliveries) > 0 {
			kept = append(kept, planned)
		}
	}
	return kept
}

// eventsOf lists what happened, the most telling first.
func eventsOf(c job.Change, t job.Transition) []webhook.Event {
	var list []webhook.Event
	if t.Ended {
		list = append(list, eventOf(c, webhook.EndOf(c.New.Outcome()), t.Level))
	}
	if t.ResultSetReady {
		list = append(list, eventOf(c, webhook.ResultSetReady, t.Level))
	}
	if t.Progress {
		list = append(list, eventOf(c, webhook.JobProgress, t.Level))
	}
	return list
}

func eventOf(c job.Change, t webhook.EventType, level job.Level) webhook.Event {
	return webhook.Event{
		ID: webhook.EventID(c.New, t, c.Sequence), Type: t, Account: c.New.Account, Kind: c.New.Kind,
		JobID: c.New.ID, Run: c.New.Run, At: c.At, Level: level, Sequence: c.Sequence, Record: c.New.Record,
	}
}

func (p planner) fanOut(c job.Change, list []webhook.Event, endpoints []webhook.Endpoint) []webhook.Planned {
	own := namesURL(c.New)
	all := make([]webhook.Planned, 0, len(list))
	for _, e := range list {
		planned := webhook.Planned{Event: e}
		if d, ok := p.toJobURL(e, c.New); ok {
			planned.Deliveries = append(planned.Deliveries, d)
		}
		for _, ep := range endpoints {
			if ep.Default && own {
				continue // a URL on the job takes the place of the account's
			}
			if d, ok := p.toEndpoint(e, c.New, ep); ok {
				planned.Deliveries = append(planned.Deliveries, d)
			}
		}
		if why := exportFailed(e, c.New); why != "" {
			declineAll(planned.Deliveries, why)
		}
		all = append(all, planned)
	}
	return all
}

// namesURL tells whether the job itself says where its webhooks go.
func namesURL(j job.Job) bool {
	for _, t := range webhook.OfJobs() {
		if _, _, ok := format.JobURL(j, t); ok {
			return true
		}
	}
	return false
}

func (p planner) toJobURL(e webhook.Event, j job.Job) (webhook.Delivery, bool) {
	url, attribute, ok := format.JobURL(j, e.Type)
	if !ok {
		return webhook.Delivery{}, false
	}
	f := format.ForKind(j.Kind)
	d := p.delivery(e, webhook.Target{URL: url, Format: f.Name}, f.Policy)
	if err := webhook.CheckURL(url); err != nil {
		return decline(d, fmt.Sprintf("%s: %v", attribute, err)), true
	}
	if why := f.Declines(e, j); why != "" {
		return decline(d, why), true
	}
	return d, true
}

// toEndpoint returns the delivery to an endpoint, declined where there is
// something to explain; false when the endpoint does not want this type.
func (p planner) toEndpoint(e webhook.Event, j job.Job, ep webhook.Endpoint) (webhook.Delivery, bool) {
	f, why := formatFor(ep, j)
	if why != "" || unwanted(f, e, ep) != "" {
		return webhook.Delivery{}, false
	}
	d := p.delivery(e, webhook.Target{Endpoint: ep.ID, URL: ep.URL, Format: f.Name}, f.Policy.With(ep.Policy))
	if why := f.Declines(e, j); why != "" {
		return decline(d, why), true
	}
	if ep.Status == webhook.EndpointDisabled {
		return decline(d, "the endpoint is disabled: "+ep.StatusReason), true
	}
	return d, true
}

// formatFor resolves an endpoint's format for a job, or says why it has none.
func formatFor(ep webhook.Endpoint, j job.Job) (format.Format, string) {
	if ep.Format == format.Auto {
		if j.Kind == job.KindPipeline {
			return format.Format{}, "pipelines name their URLs themselves, in webhooks.progress and webhooks.result"
		}
		return format.ForKind(j.Kind), ""
	}
	f, ok := format.Lookup(ep.Format)
	if !ok {
		return f, fmt.Sprintf("the endpoint's format %q is unknown", ep.Format)
	}
	if f.Kind != "" && f.Kind != j.Kind {
		return f, fmt.Sprintf("the format %s tells of %s jobs only", f.Name, f.Kind)
	}
	return f, ""
}

// unwanted tells why an endpoint is not interested in an event's type.
func unwanted(f format.Format, e webhook.Event, ep webhook.Endpoint) string {
	if f.Types != nil && !slices.Contains(f.Types, e.Type) {
		return fmt.Sprintf("filtered: the format %s does not send %s", f.Name, e.Type)
	}
	if (f.Types == nil || len(ep.Types) > 0) && !ep.Subscribes(e.Type) && !ep.Subscribes(f.StandsFor(e.Type)) {
		return fmt.Sprintf("filtered: the endpoint does not subscribe to %s", e.Type)
	}
	return ""
}

// explain adds to the first event a declined delivery for every endpoint that
// hears of none of the change's events, or one without a target.
func (p planner) explain(all []webhook.Planned, j job.Job, endpoints []webhook.Endpoint) {
	told, any := map[string]bool{}, false
	for _, planned := range all {
		for _, d := range planned.Deliveries {
			told[d.Target.Endpoint], any = true, true
		}
	}
	first := &all[0]
	own := namesURL(j)
	for _, ep := range endpoints {
		if told[ep.ID] || ep.Default && own {
			continue
		}
		f, why := formatFor(ep, j)
		if why == "" {
			why = unwanted(f, first.Event, ep)
		}
		d := p.delivery(first.Event, webhook.Target{Endpoint: ep.ID, URL: ep.URL, Format: ep.Format}, f.Policy)
		first.Deliveries, any = append(first.Deliveries, decline(d, why)), true
	}
	switch {
	case any:
	case own:
		first.Deliveries = p.declined(first.Event, ownURLWaits(j, first.Event))[0].Deliveries
	default:
		first.Deliveries = p.declined(first.Event, noTarget)[0].Deliveries
	}
}

// keepEnd gives the end of a run, which its export begins with, a declined
// delivery where it has none: events without are not kept.
func (p planner) keepEnd(end *webhook.Planned, j job.Job) {
	if len(end.Deliveries) > 0 {
		return
	}
	why := fmt.Sprintf("filtered: nobody asked to hear of %s", end.Event.Type)
	if namesURL(j) {
		why = ownURLWaits(j, end.Event)
	}
	end.Deliveries = p.declined(end.Event, why)[0].Deliveries
}

func (p planner) delivery(e webhook.Event, t webhook.Target, policy webhook.Policy) webhook.Delivery {
	return webhook.Delivery{
		ID: webhook.DeliveryID(e.ID, t), Account: e.Account, EventID: e.ID, EventType: e.Type,
		Kind: e.Kind, JobID: e.JobID, Run: e.Run, Sequence: e.Sequence, Target: t,
		State: webhook.StateQueued, Generation: 1, Deadline: policy.Deadline(p.now),
		CreatedAt: p.now, UpdatedAt: p.now, ExpiresAt: p.expires,
	}
}

func decline(d webhook.Delivery, why string) webhook.Delivery {
	d.State, d.Reason = webhook.StateDeclined, why
	return d
}

// declineAll declines those that would be sent.
func declineAll(list []webhook.Delivery, why string) {
	for i, d := range list {
		if d.State == webhook.StateQueued {
			list[i] = decline(d, why)
		}
	}
}

// isSent tells whether anybody hears of the event.
func isSent(p webhook.Planned) bool {
	return slices.ContainsFunc(p.Deliveries, func(d webhook.Delivery) bool { return d.State == webhook.StateQueued })
}

// overQuota declines what an account has no quota for.
func overQuota(list []webhook.Delivery, perMinute int) {
	declineAll(list, fmt.Sprintf("over quota: the account may have %d events a minute; this one can be resent", perMinute))
}

// exportFailed tells why a result set that should be told of does not exist.
func exportFailed(e webhook.Event, j job.Job) string {
	if e.Type != webhook.ResultSetReady {
		return ""
	}
	set, err := j.ResultSet()
	if err != nil || set == nil || set.Error == "" || j.Run > 0 && set.ID != j.Run {
		return ""
	}
	return "export failed: " + set.Error
}

// exportOf is the export that a change asks for: the run has ended, and records
// were uploaded for it.
func exportOf(c job.Change) (webhook.Export, bool) {
	if !c.New.Ended() || !c.New.HasRecords() {
		return webhook.Export{}, false
	}
	if t, err := c.Transition(); err != nil || !t.Ended {
		return webhook.Export{}, false
	}
	j := c.New
	return webhook.Export{Account: j.Account, Kind: j.Kind, JobID: j.ID, Run: j.Run,
		EventID: webhook.EventID(j, webhook.EndOf(j.Outcome()), c.Sequence)}, true
}

// declined is an event that goes to nobody, with the reason.
func (p planner) declined(e webhook.Event, why string) []webhook.Planned {
	d := decline(p.delivery(e, webhook.Target{}, webhook.Policy{}), why)
	return []webhook.Planned{{Event: e, Deliveries: []webhook.Delivery{d}}}
}

// unreadable is the declined event of a record that could not be decoded, in
// the name of whatever its image says of account and job.
func (p planner) unreadable(r events.DynamoDBEventRecord, cause error) []webhook.Planned {
	image := p.attributes.apply(r.Change.NewImage)
	j := job.Job{
		Account: textOf(image, "account"), Kind: job.Kind(textOf(image, "kind")), ID: textOf(image, "id"),
		CreatedAt: r.Change.ApproximateCreationDateTime.UTC(),
	}
	if job.CheckID("account", j.Account) != nil {
		j.Account = job.UnknownAccount
	}
	if record, err := appendImage(nil, image); err == nil && len(record) <= job.MaxRecordBytes {
		j.Record = record
	}
	c := job.Change{New: j, Sequence: r.Change.SequenceNumber, At: r.Change.ApproximateCreationDateTime.UTC()}
	return p.declined(eventOf(c, webhook.JobUnreadable, job.LevelError), "the job record cannot be understood: "+cause.Error())
}

func textOf(image map[string]events.DynamoDBAttributeValue, name string) string {
	v, ok := image[name]
	if !ok || v.DataType() != events.DataTypeString && v.DataType() != events.DataTypeNumber {
		return ""
	}
	if v.DataType() == events.DataTypeNumber {
		return v.Number()
	}
	return v.String()
}
