package dashboard

import (
	"cmp"
	"slices"

	g "maragu.dev/gomponents"
	"maragu.dev/gomponents/html"

	"github.com/jobhook/jobhook/shared/webhook"
)

// target is somebody who was or was not told of an event, and why.
type target struct {
	Delivery string `json:"delivery"`
	Endpoint string `json:"endpoint"`
	URL      string `json:"url"`
	Format   string `json:"format"`
	State    string `json:"state"`
	Decision string `json:"decision"`
}

// eventPage answers "why did I get no webhook?".
func eventPage(v *visit) (page, error) {
	var e event
	if err := v.get("/v1/events/"+seg(v.r.PathValue("id")), v.query(), &e); err != nil {
		return page{}, err
	}
	changes := slices.ContainsFunc(e.Targets, func(t target) bool { return !webhook.State(t.State).Final() })
	return page{title: visible(e.Type), in: "/events", live: changes, body: g.Group{
		html.Div(html.Class("card"), facts(
			fact{"Job", e.job(v)},
			fact{"Kind", text(e.Kind)},
			fact{"Run", text(e.runText())},
			fact{"Level", text(e.Level)},
			fact{"Happened", when(e.At)},
			fact{"Event", code(e.ID)},
		)),
		live("targets", section("Who was told, and why or why not", targetTable(v, e.Targets))),
		section("What it tells", html.P(html.Class("soft"), g.Text(e.about())), wholeRecord("record", "The record of that moment, as JSON", e.Record)),
	}}, nil
}

func (e event) job(v *visit) g.Node {
	if e.JobID == "" {
		return nil
	}
	return jobLink(v, e.Kind, e.JobID)
}

func (e event) runText() string {
	if e.Run == 0 {
		return ""
	}
	return runNumber(e.Run)
}

// about says what the record is.
func (e event) about() string {
	if e.JobID == "" {
		return "No job is behind it: it tells of an endpoint."
	}
	return "The job as it was then. Retries and resends tell this, whatever has become of the job."
}

func targetTable(v *visit, list []target) g.Node {
	return table("Targets", []string{"State", "Why", "Delivery", "Format", "To"}, g.Map(list, func(t target) g.Node {
		return row(badge(t.State), html.Div(html.Class("wide"), sentenceTimes(visible(t.Decision))), link(v.link("/deliveries/"+seg(t.Delivery)), "Its delivery"), text(cmp.Or(t.Format, "-")), t.to(v))
	}), g.Group{g.Text("Nobody was to be told of it. "), link(v.link("/endpoints"), "Add an endpoint")})
}

// to is an endpoint, a URL that the job names, or nobody.
func (t target) to(v *visit) g.Node {
	url := g.If(t.URL != "", html.Code(html.Class("wide"), g.Text(visible(t.URL))))
	switch {
	case t.Endpoint != "":
		return g.Group{idCell(t.Endpoint, link(v.link("/endpoints/"+seg(t.Endpoint)), t.Endpoint)), g.Text(" "), url}
	case t.URL != "":
		return g.Group{url, g.Text(" (named by the job)")}
	}
	return g.Text("nobody")
}
