package dashboard

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
	g "maragu.dev/gomponents"
	"maragu.dev/gomponents/html"

	"github.com/jobhook/jobhook/functions/internal/crew"
	"github.com/jobhook/jobhook/shared/webhook"
)

// timeline is what happened to a job, and to whom it was told.
type timeline struct {
	moments    []moment // in the order of time
	events     []event
	sent       []delivery
	tried      int  // deliveries of which something was sent
	shown      int  // of those, how many have their attempts in moments
	moreEvents bool // than were read
	moreSent   bool // more deliveries than were read
}

// lane is one of the lines of a timeline, from the top.
type lane int

const (
	laneChange lane = iota
	laneTarget
	laneAttempt
)

// moment is a thing that happened, or will.
type moment struct {
	at    time.Time
	stamp string
	lane  lane
	tone  string // as in words
	name  string
	what  g.Node
	to    string // a URL, or an endpoint
	state g.Node
	ahead bool // it has yet to come
}

// Bounds of a timeline.
const (
	timelineRows     = 250 // events, and deliveries
	timelinePages    = 4   // of a list, which may look at many rows in vain
	timelineAttempts = 25  // deliveries whose attempts are read
	readsAtOnce      = 8
)

// timelineOf reads what happened to the job of an account; kind may be empty.
func timelineOf(v *visit, id, kind string) (timeline, error) {
	var t timeline
	events, more, err := read[event](v, "/v1/events", v.query("job", id, "kind", kind))
	if err != nil {
		return t, err
	}
	t.moreEvents = more
	sent, more, err := read[delivery](v, "/v1/deliveries", v.query("job", id))
	if err != nil {
		return t, err
	}
	t.moreSent = more
	sent = slices.DeleteFunc(sent, func(d delivery) bool { return kind != "" && d.Kind != kind })
	slices.SortStableFunc(sent, func(x, y delivery) int { return cmp.Compare(y.CreatedAt, x.CreatedAt) })
	t.events, t.sent = events, sent
	for _, e := range events {
		t.add(changeMoment(v, e))
	}
	for _, d := range sent {
		t.add(targetMoment(v, d))
		if d.NextAttemptAt != "" && d.State == string(webhook.StateWaiting) {
			t.add(nextMoment(v, d))
		}
	}
	if err := t.addAttempts(v, sent); err != nil {
		return t, err
	}
	slices.SortStableFunc(t.moments, func(x, y moment) int { return cmp.Or(x.at.Compare(y.at), cmp.Compare(x.lane, y.lane)) })
	return t, nil
}

// pending tells whether something happens to one of the deliveries by itself.
func (t timeline) pending() bool {
	return slices.ContainsFunc(t.sent, func(d delivery) bool { return !webhook.State(d.State).Final() })
}

// tells tells whether a run has an event of one of the types.
func (t timeline) tells(run int, types ...webhook.EventType) bool {
	return slices.ContainsFunc(t.events, func(e event) bool { return e.Run == run && slices.Contains(types, webhook.EventType(e.Type)) })
}

// read reads a list until it ends or is long enough.
func read[T any](v *visit, path string, q url.Values) (items []T, more bool, err error) {
	q.Set("limit", strconv.Itoa(timelineRows))
	for range timelinePages {
		var found list[T]
		if err := v.get(path, q, &found); err != nil {
			return nil, false, err
		}
		items = append(items, found.Items...)
		if found.Next == "" {
			return items, false, nil
		}
		if len(items) >= timelineRows {
			break
		}
		q.Set("after", found.Next)
	}
	return items, true, nil
}

// add takes a moment whose time can be read.
func (t *timeline) add(m moment) {
	at, err := time.Parse(stampLayout, m.stamp)
	if err != nil {
		return
	}
	m.at = at
	t.moments = append(t.moments, m)
}

// addAttempts reads the attempts of the newest deliveries of which anything was
// sent, side by side.
func (t *timeline) addAttempts(v *visit, newestFirst []delivery) error {
	tried := slices.DeleteFunc(slices.Clone(newestFirst), func(d delivery) bool {
		return d.AttemptCount == 0 && d.LastStatus == 0 && d.LastFailure == "" && d.DeliveredAt == ""
	})
	t.tried = len(tried)
	tried = tried[:min(len(tried), timelineAttempts)]
	found := make([]deliveryDetail, len(tried))
	missing := make([]bool, len(tried))
	var reads errgroup.Group
	reads.SetLimit(readsAtOnce)
	for i, d := range tried {
		reads.Go(func() error {
			return crew.Guarded(func() error {
				err := v.get("/v1/deliveries/"+seg(d.ID), v.query(), &found[i])
				var p *problem
				if errors.As(err, &p) && (p.Status == http.StatusNotFound || p.Status == http.StatusTooManyRequests) {
					missing[i] = true // it has expired meanwhile, or the account has used up its rate
					return nil
				}
				return err
			})
		})
	}
	if err := reads.Wait(); err != nil {
		return err
	}
	for i, d := range tried {
		if missing[i] {
			continue
		}
		t.shown++
		for _, a := range found[i].Attempts {
			t.add(attemptMoment(v, d, a))
		}
	}
	return nil
}

func changeMoment(v *visit, e event) moment {
	what := e.Type
	if e.Run > 0 {
		what += fmt.Sprintf(", run %d", e.Run)
	}
	return moment{stamp: e.At, lane: laneChange, tone: toneOf(e.Type), name: "Change", what: link(v.link("/events/"+seg(e.ID)), what), state: g.Text("-")}
}

// toneOf is the tone of what an event tells.
func toneOf(eventType string) string {
	switch webhook.EventType(eventType) {
	case webhook.JobFinished, webhook.ResultSetReady, webhook.EndpointRecoveredEvent:
		return "good"
	case webhook.JobFailed, webhook.JobUnreadable, webhook.EndpointFailingEvent, webhook.EndpointDisabledEvent:
		return "bad"
	}
	return "calm"
}

func targetMoment(v *visit, d delivery) moment {
	return moment{stamp: d.CreatedAt, lane: laneTarget, tone: words()[d.State].tone, name: "Target",
		what: link(v.link("/deliveries/"+seg(d.ID)), d.EventType), to: cmp.Or(d.URL, d.Endpoint), state: badge(d.State)}
}

func nextMoment(v *visit, d delivery) moment {
	return moment{stamp: d.NextAttemptAt, lane: laneAttempt, tone: "wait", name: "Next attempt", ahead: true,
		what: link(v.link("/deliveries/"+seg(d.ID)), d.EventType), to: d.URL, state: badge(d.State)}
}

func attemptMoment(v *visit, d delivery, a deliveryAttempt) moment {
	m := moment{stamp: a.At, lane: laneAttempt, tone: words()[a.State].tone, name: "Attempt", state: badge(a.State),
		what: link(v.link("/deliveries/"+seg(d.ID)), attemptWords(a)), to: a.URL}
	if a.Late {
		m.tone = "calm"
	}
	return m
}

// attemptWords say how an attempt went.
func attemptWords(a deliveryAttempt) string {
	said := fmt.Sprintf("Answered %d after %s", a.Status, ms(a.Timing.Total))
	if a.Failure != "" {
		said = fmt.Sprintf("No answer (%s) after %s", answered(a.Status, a.Failure), ms(a.Timing.Total))
	}
	if a.Generation > 1 {
		said += ", resent"
	}
	if a.Late {
		said += ", too late to count"
	}
	return said
}

// section shows the timeline: as a picture, and as a table.
func (t timeline) section(v *visit, id, kind string) g.Node {
	empty := g.Group{g.Text("Nothing yet. A change is told of when a run ends, or on the way if somebody asks for progress. "), link(v.link("/endpoints"), "See who would be told")}
	return section("Timeline", t.picture(),
		table("Timeline, the oldest first", []string{"State", "What", "When", "To"}, g.Map(t.moments, moment.row), empty),
		t.rest(v, id, kind))
}

func (m moment) row() g.Node {
	at := when(m.stamp)
	if m.ahead {
		at = countdown(m.stamp)
	}
	return row(m.state, g.Group{g.Text(m.name + ": "), m.what}, at, targetURL(m.to))
}

// rest says what is not shown, and where it is.
func (t timeline) rest(v *visit, id, kind string) g.Node {
	var notes g.Group
	note := func(text, address, label string) {
		notes = append(notes, html.P(html.Class("soft"), g.Text(text+" "), link(address, label)))
	}
	if t.moreEvents {
		note("This job has more changes than are shown here.", v.link("/events", "job", id, "kind", kind), "See them all")
	}
	if t.moreSent {
		note("It has more targets than are shown here.", v.link("/deliveries", "job", id), "See them all")
	}
	if t.shown < t.tried {
		note(fmt.Sprintf("Attempts are shown of %d of its %d deliveries that were sent, the newest.", t.shown, t.tried), v.link("/deliveries", "job", id), "Open the others from their list")
	}
	return notes
}
