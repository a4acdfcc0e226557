package dashboard

import (
	g "maragu.dev/gomponents"
	"maragu.dev/gomponents/html"

	"github.com/jobhook/jobhook/shared/webhook"
)

// ledger is what the last check of the books found.
type ledger struct {
	Account     string                `json:"account"`
	CheckedAt   string                `json:"checked_at"`
	Hours       []string              `json:"hours"`
	Accepted    int                   `json:"accepted"`
	States      map[webhook.State]int `json:"states"`
	Difference  int                   `json:"difference"`
	Uncounted   int                   `json:"uncounted"`
	Missing     []string              `json:"missing"`
	Unnamed     int                   `json:"unnamed"`
	Repaired    int                   `json:"repaired"`
	Stuck       int                   `json:"stuck"`
	WithoutJobs bool                  `json:"without_jobs"`
}

// agrees tells whether nothing was found wrong.
func (l ledger) agrees() bool { return l.Difference == 0 && l.Stuck == 0 }

// words say whether anything is missing.
func (l ledger) words() g.Node {
	if l.CheckedAt == "" {
		return html.P(g.Text("It has not been checked yet. Every hour all deliveries that your jobs call for are looked for, and here it says whether one is missing."))
	}
	return g.Group{
		g.If(l.agrees(), html.P(html.Strong(g.Text("Nothing is missing: ")), g.Text("of "+deliveries(l.Accepted)+" that must be there, each one was found."))),
		g.If(l.Difference != 0, html.P(html.Strong(g.Text(deliveries(l.Difference)+" missing")),
			g.Text(", of "+number(l.Accepted)+" that must be there. Sent again under their own ids: "+number(l.Repaired)+"."+l.progress()), g.If(l.Repaired < l.Difference, g.Text(" The rest is for the operator of this server to look into.")))),
		g.If(l.Stuck != 0, html.P(html.Strong(g.Text(deliveries(l.Stuck)+" stood still")),
			g.Text(" for more than half an hour, as their messages were lost or late. They were queued again."))),
		g.If(l.Uncounted != 0, html.P(g.Text(number(l.Uncounted)+" more are there than your jobs call for now: of earlier runs, or to endpoints that have changed since. That is no error."))),
		g.If(l.WithoutJobs, html.P(g.Text("The platform keeps its job records in a table of its own, so only counts were compared."))),
		html.P(html.Class("soft"), g.Text("Checked at "), when(l.CheckedAt), g.Text(", for the jobs created in the hours from "), l.hours(), g.Text(".")),
	}
}

// progress tells of the part of the difference that has no names.
func (l ledger) progress() string {
	if l.Unnamed == 0 {
		return ""
	}
	return " Events of progress, of which nothing but the count is known: " + number(l.Unnamed) + "."
}

// deliveries says how many.
func deliveries(n int) string {
	if n == 1 {
		return "1 delivery"
	}
	return number(n) + " deliveries"
}

func (l ledger) hours() g.Node {
	var all g.Group
	for i, hour := range l.Hours {
		all = append(all, g.If(i > 0, g.Text(", ")), when(hour))
	}
	return all
}

// maxNamed is how many missing deliveries are named.
const maxNamed = 20

// named leads to those deliveries that were missing; what was sent again is there
// now.
func (l ledger) named(v *visit) g.Node {
	if len(l.Missing) == 0 {
		return nil
	}
	shown := l.Missing[:min(len(l.Missing), maxNamed)]
	return html.Details(html.ID("missing"), html.Summary(g.Text("Those that were missing")), html.Ul(g.Map(shown, func(id string) g.Node {
		return html.Li(g.If(v.account() != "", link(v.link("/deliveries/"+seg(id)), id)), g.If(v.account() == "", code(id)))
	})), g.If(len(l.Missing) > len(shown), html.P(g.Text("And "+number(len(l.Missing)-len(shown))+" more: GET /v1/ledger names them."))))
}

// states are the deliveries that the check found, by state. They lead to all of
// that state, where an account is looked at.
func (l ledger) states(v *visit) g.Node {
	if l.CheckedAt == "" {
		return nil
	}
	return html.Ul(html.Class("tiles"), g.Map(webhook.States(), func(s webhook.State) g.Node {
		n := g.Node(g.Text(number(l.States[s])))
		if v.account() != "" {
			n = html.A(html.Href(v.link("/deliveries", "state", string(s))), html.Aria("label", number(l.States[s])+" "+string(s)), n)
		}
		return html.Li(html.Class("card"), html.Div(html.Class("figure"), n), badge(string(s)))
	}))
}
