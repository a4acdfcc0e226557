package dynamo

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// Attributes of events; some are those of deliveries too.
const (
	attrType     = "type"
	attrKind     = "kind"
	attrJob      = "job"
	attrRun      = "run"
	attrSequence = "seq"
	attrAt       = "at"
	attrLevel    = "level"
	attrRecord   = "record" // the snapshot, packed
	attrPlan     = "plan"
)

// keepUnsent is how much longer a delivery stays that expired before it ended,
// so that its end can be seen.
const keepUnsent = 7 * 24 * time.Hour

// planned is what the plan says of one delivery. Times are in microseconds;
// deadline and expiry are in seconds where they are whole: every byte counts,
// as an item of more than 1 KB costs a second write unit.
type planned struct {
	Target   string `json:"t"` // the last part of the delivery's id
	Endpoint string `json:"e,omitempty"`
	URL      string `json:"u,omitempty"`
	Format   string `json:"f,omitempty"`
	State    string `json:"s,omitempty"` // empty: queued
	Reason   string `json:"r,omitempty"`
	Created  int    `json:"c"`
	Updated  int    `json:"m,omitempty"` // empty: when created
	Deadline span   `json:"d,omitzero"`  // after Created
	Expires  span   `json:"x,omitzero"`  // after Created
}

// span is a number of microseconds; in JSON, seconds as a number, or
// microseconds as text.
type span int

// MarshalJSON writes whole seconds as a number.
func (s span) MarshalJSON() ([]byte, error) {
	if s%1e6 == 0 {
		return strconv.AppendInt(nil, int64(s/1e6), 10), nil
	}
	return fmt.Appendf(nil, `"%d"`, s), nil
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (s *span) UnmarshalJSON(b []byte) error {
	text, exact := bytes.CutPrefix(b, []byte(`"`))
	n, err := strconv.Atoi(string(bytes.TrimSuffix(text, []byte(`"`))))
	if *s = span(n); !exact {
		*s *= 1e6
	}
	return err
}

// isPlain tells whether a plan can say all of a delivery: nothing was done yet.
func isPlain(d webhook.Delivery) bool {
	return (d.State == webhook.StateQueued || d.State == webhook.StateDeclined) && d.FirstAttempt() &&
		d.NextAt.IsZero() && d.DueAt.IsZero() && d.LeaseUntil.IsZero() && d.DeliveredAt.IsZero() &&
		d.LastStatus == 0 && d.LastFailure == ""
}

func planOf(d webhook.Delivery) planned {
	p := planned{
		Target: d.ID[len(d.ID)-(rowChars-eventChars):], Endpoint: d.Target.Endpoint, URL: d.Target.URL, Format: d.Target.Format,
		Reason: d.Reason, Created: micros(d.CreatedAt), Deadline: since(d.Deadline, d.CreatedAt), Expires: since(d.ExpiresAt, d.CreatedAt),
	}
	if d.State != webhook.StateQueued {
		p.State = string(d.State)
	}
	if !d.UpdatedAt.Equal(d.CreatedAt) {
		p.Updated = micros(d.UpdatedAt)
	}
	return p
}

// since is 0 for the zero time, which is no time after another.
func since(t, start time.Time) span {
	if t.IsZero() {
		return 0
	}
	return span(micros(t) - micros(start))
}

func after(n span, start int) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return fromMicros(start + int(n))
}

// delivery is what the plan of an event says of a delivery.
func (p planned) delivery(e webhook.Event) webhook.Delivery {
	d := webhook.Delivery{
		ID: deliveryID + e.ID[len(eventID):] + p.Target, Account: e.Account, EventID: e.ID, EventType: e.Type, Kind: e.Kind,
		JobID: e.JobID, Run: e.Run, Sequence: e.Sequence, Target: webhook.Target{Endpoint: p.Endpoint, URL: p.URL, Format: p.Format},
		State: webhook.StateQueued, Reason: p.Reason, Generation: 1, Deadline: after(p.Deadline, p.Created),
		CreatedAt: fromMicros(p.Created), UpdatedAt: fromMicros(p.Created), ExpiresAt: after(p.Expires, p.Created),
	}
	if p.State != "" {
		d.State = webhook.State(p.State)
	}
	if p.Updated != 0 {
		d.UpdatedAt = fromMicros(p.Updated)
	}
	return d
}

// eventItem is an event with its plan.
func eventItem(k key, e webhook.Event, plan []planned) (item, error) {
	i := k.item().text(attrType, string(e.Type)).text(attrKind, string(e.Kind)).text(attrJob, e.JobID).int(attrRun, e.Run).
		text(attrSequence, e.Sequence).time(attrAt, e.At).bytes(attrRecord, pack(e.Record))
	if e.Level != job.LevelInfo { // most are
		i.text(attrLevel, string(e.Level))
	}
	return i, i.setPlan(plan)
}

// setPlan sets the plan, and how long the event stays: as long as any delivery.
func (i item) setPlan(plan []planned) error {
	b, err := json.Marshal(plan)
	if err != nil {
		return err
	}
	i.text(attrPlan, string(b))
	last := time.Time{}
	for _, p := range plan {
		if x := after(p.Expires, p.Created); x.After(last) {
			last = x
		}
	}
	if !last.IsZero() {
		i.ttl(last.Add(keepUnsent))
	}
	return nil
}

// eventAndPlan is an event without its snapshot, and its plan.
type eventAndPlan struct {
	event  webhook.Event
	plan   []planned
	packed []byte
}

// decodeEvent reads an event's item. The account is that of the partition.
func decodeEvent(account string, i item) (e eventAndPlan, err error) {
	e.event = webhook.Event{
		ID: eventID + i.getText(attrSK), Type: webhook.EventType(i.getText(attrType)), Account: account,
		Kind: job.Kind(i.getText(attrKind)), JobID: i.getText(attrJob), Run: i.getInt(attrRun), At: i.getTime(attrAt),
		Level: cmp.Or(job.Level(i.getText(attrLevel)), job.LevelInfo), Sequence: i.getText(attrSequence),
	}
	e.packed = i.getBytes(attrRecord)
	if err := json.Unmarshal([]byte(i.getText(attrPlan)), &e.plan); err != nil {
		return e, fmt.Errorf("event %s: plan: %w", e.event.ID, err)
	}
	return e, nil
}

// whole is the event with its snapshot.
func (e eventAndPlan) whole() (webhook.Event, error) {
	if len(e.packed) == 0 {
		return e.event, nil
	}
	record, err := unpack(e.packed)
	if len(record) > 0 {
		e.event.Record = record
	}
	return e.event, wrap(err, "event %s: snapshot", e.event.ID)
}

// delivery is what the plan says of the delivery with the id, if it names it.
func (e eventAndPlan) delivery(id string) (webhook.Delivery, bool) {
	at := slices.IndexFunc(e.plan, func(p planned) bool { return id == deliveryID+e.event.ID[len(eventID):]+p.Target })
	if at < 0 {
		return webhook.Delivery{}, false
	}
	return e.plan[at].delivery(e.event), true
}

// deliveries are those that the plan names.
func (e eventAndPlan) deliveries() []webhook.Delivery {
	list := make([]webhook.Delivery, len(e.plan))
	for i, p := range e.plan {
		list[i] = p.delivery(e.event)
	}
	return list
}
