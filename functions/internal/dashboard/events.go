package dashboard

import (
	"encoding/json"

	g "maragu.dev/gomponents"
	"maragu.dev/gomponents/html"
)

// event is something that happened to a job or an endpoint.
type event struct {
	ID      string          `json:"id"`
	Type    string          `json:"type"`
	At      string          `json:"at"`
	Run     int             `json:"run"`
	Kind    string          `json:"kind"`
	JobID   string          `json:"job_id"`
	Level   string          `json:"level"`
	Record  json.RawMessage `json:"record"`  // not in lists
	Targets []target        `json:"targets"` // not in lists
}

func (d *Dashboard) addEvents() {
	d.show("/events", ofAnAccount(eventsPage))
	d.show("/events/{id}", ofAnAccount(eventPage))
}

// eventsPage lists what happened.
func eventsPage(v *visit) (page, error) {
	var found list[event]
	err := v.get("/v1/events", v.query("type", v.param("type"), "kind", v.param("kind"), "job", v.param("job"),
		"since", utc(v.param("since")), "until", utc(v.param("until")), "limit", pageSize, "after", v.param("after")), &found)
	refused := refusalOf(err)
	if err != nil && refused == nil {
		return page{}, err
	}
	p := page{title: "Events", in: "/events", live: refused == nil && v.param("after") == "", body: g.Group{
		problemBox(refused),
		v.filters("/events",
			field("Type", choice("type", v.param("type"), append([]option{{"", "Any"}}, typeOptions()...)), ""),
			field("Kind", choice("kind", v.param("kind"), kindOptions()), ""),
			field("Job id", input("job", v.param("job"), html.MaxLength("256")), ""),
			field("Since (UTC)", timeInput("since", utc(v.param("since"))), ""),
			field("Before (UTC)", timeInput("until", utc(v.param("until"))), "")),
		live("list", eventTable(v, found.Items, noEvents(v, found.Next)), v.pager(found.Next)),
	}}
	if refused != nil {
		p.status = refused.Status
	}
	return p, nil
}

func eventTable(v *visit, list []event, empty g.Node) g.Node {
	return table("Events, those of the newest job first", []string{"Event", "Happened", "Job", "Kind", "Run"}, g.Map(list, func(e event) g.Node {
		return row(link(v.link("/events/"+seg(e.ID)), e.Type), when(e.At), idCell(e.JobID, jobLink(v, e.Kind, e.JobID)), text(e.kind()), g.Text(runNumber(e.Run)))
	}), empty)
}

// kind is "-" where an endpoint is told of: no job is behind it.
func (e event) kind() string {
	if e.Kind == "" {
		return "-"
	}
	return e.Kind
}

// noEvents says what to do where there are no events to show.
func noEvents(v *visit, next string) g.Node {
	if next != "" {
		return g.Text("Nothing on this page passes the filter; there may be more on the next one.")
	}
	if id := v.param("job"); id != "" {
		return g.Group{g.Text("No event of this job passes the filter. Where there is none at all, none of its runs has ended, or its record names another account. "),
			link(v.link("/job", "id", id, "kind", v.param("kind")), "Look at the job")}
	}
	if v.param("type")+v.param("kind")+v.param("since")+v.param("until")+v.param("after") != "" {
		return g.Group{g.Text("No event passes the filter. "), link(v.link("/events"), "Show all events")}
	}
	return g.Group{
		html.P(g.Text("No events yet. When a run of a job ends, or its results are ready, that becomes an event, and each endpoint is told of it or has a reason why not.")),
		html.P(link(v.link("/jobs"), "See the jobs and how to write one"), g.Text(", and "), link(v.link("/endpoints"), "who would be told"), g.Text(".")),
	}
}
