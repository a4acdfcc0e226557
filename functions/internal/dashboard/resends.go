package dashboard

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"

	g "maragu.dev/gomponents"
	"maragu.dev/gomponents/html"

	"github.com/jobhook/jobhook/shared/webhook"
)

// bulkResend sends many deliveries once more.
type bulkResend struct {
	ID        string    `json:"id"`
	State     string    `json:"state"`
	Filter    selection `json:"filter"`
	Rate      int       `json:"rate"`
	Looked    int       `json:"looked"`
	Resent    int       `json:"resent"`
	Skipped   int       `json:"skipped"`
	CreatedAt string    `json:"created_at"`
	EndedAt   string    `json:"ended_at"`
}

// dryRun is what a bulk resend would send.
type dryRun struct {
	Matched  int                   `json:"matched"`
	Complete bool                  `json:"complete"` // nothing was left uncounted
	ByState  map[webhook.State]int `json:"by_state"`
}

// usualRate is how many deliveries a second are sent again unless somebody says
// otherwise.
const usualRate = "50"

func (d *Dashboard) addResends() {
	d.show("/resends", ofAnAccount(resendsPage))
	d.show("/resends/new", ofAnAccount(newResendPage))
	d.do("/resends", startResend)
	d.show("/resends/{id}", ofAnAccount(resendPage))
	d.do("/resends/{id}/cancel", cancelResend)
}

func resendsPage(v *visit) (page, error) {
	endpoints, err := endpointOptions(v, "")
	if err != nil {
		return page{}, err
	}
	var found list[bulkResend]
	if err := v.get("/v1/resends", v.query(), &found); err != nil {
		return page{}, err
	}
	running := slices.ContainsFunc(found.Items, func(r bulkResend) bool { return r.State == string(webhook.ResendRunning) })
	rows := g.Map(found.Items, func(r bulkResend) g.Node {
		return row(badge(r.State), html.A(html.Href(v.link("/resends/"+seg(r.ID))), when(r.CreatedAt)), html.Div(html.Class("wide"), r.Filter.words(endpoints)),
			g.Text(number(r.Resent)), g.Text(number(r.Skipped)), when(r.EndedAt))
	})
	empty := html.P(g.Text("None yet. When a receiver was down for a while, send again in bulk what it missed: "), link(v.link("/resends/new"), "choose and count"), g.Text(" first."))
	return page{title: "Bulk resends", in: "/deliveries", live: running, body: g.Group{
		html.Div(html.Class("actions"), html.A(html.Class("button"), html.Href(v.link("/resends/new")), g.Text("Resend in bulk"))),
		live("list", table("Bulk resends", []string{"State", "Started", "What", "Sent again", "Skipped", "Ended"}, rows, empty)),
	}}, nil
}

// resendForm is a bulk resend that is being asked for.
type resendForm struct {
	chosen selection
	rate   string
}

// countedResend is what was found of a form's choice.
type countedResend struct {
	dryRun
	what selection // the choice, with its end: what comes later is not sent
}

func newResendPage(v *visit) (page, error) {
	f := resendForm{chosen: selectionOf(v.param), rate: cmp.Or(v.param("rate"), usualRate)}
	if !v.r.URL.Query().Has("count") {
		return f.show(v, nil, nil)
	}
	c := countedResend{what: f.chosen}
	if len(f.chosen) > 0 { // else the API says that it selects everything
		c.what = f.chosen.untilNow(v.d.Now())
	}
	err := f.ask(v, c.what, true, &c.dryRun)
	if p := refusalOf(err); p != nil {
		return f.show(v, nil, p.titled("It cannot be counted").named(resendLabels()))
	}
	if err != nil {
		return page{}, err
	}
	return f.show(v, &c, nil)
}

// startResend begins what was counted. Who presses the button twice begins it once.
func startResend(v *visit) (page, error) {
	f := resendForm{chosen: selectionOf(v.form), rate: cmp.Or(v.form("rate"), usualRate)}
	var made bulkResend
	err := f.ask(v, f.chosen, false, &made)
	if p := refusalOf(err); p != nil {
		return f.show(v, nil, p.titled("Nothing was sent").named(resendLabels()))
	}
	return page{next: v.link("/resends/"+seg(made.ID), "said", "started", "of", v.form("of"))}, err
}

// ask asks the API for a bulk resend, or for a dry run, in which nothing is sent.
// A rate that is no number goes there as it is, to be refused with what else is wrong.
func (f resendForm) ask(v *visit, what selection, dry bool, out any) error {
	var rate any = f.rate
	own := []fieldProblem{{Field: "rate", Problem: "it is no whole number", Cure: "write one from 1 to 500"}}
	if n, err := strconv.Atoi(f.rate); err == nil {
		rate, own = n, nil
	}
	_, err := v.send(apiCall{key: v.key, method: http.MethodPost, path: "/v1/resends", query: v.query(), once: v.form("once"),
		in: map[string]any{"filter": what, "rate": rate, "dry_run": dry}, out: out})
	return alsoWrong(err, own)
}

// resendLabels are what the form calls the fields that the API may refuse.
func resendLabels() map[string]string {
	labels := map[string]string{"filter": "The filters", "rate": rateLabel}
	for name, label := range filterLabels() {
		labels["filter."+name] = label
	}
	return labels
}

const rateLabel = "Deliveries a second"

// show shows the form, and below it what was counted.
func (f resendForm) show(v *visit, counted *countedResend, refused *problem) (page, error) {
	endpoints, err := endpointOptions(v, f.chosen["endpoint"])
	if err != nil {
		return page{}, err
	}
	p := page{title: "Resend in bulk", in: "/deliveries", body: g.Group{
		problemBox(refused),
		html.P(g.Text("Choose what to send once more, and count it. Nothing is sent before you have seen how much it is.")),
		html.Form(html.Method("get"), html.Action("/resends/new"), html.Class("card"), accountField(v), hiddenField("count", "1"),
			html.Div(html.Class("bar"), f.chosen.fields(resendable(), endpoints),
				field(rateLabel, html.Input(html.ID("rate"), html.Name("rate"), html.Type("number"), html.Min("1"), html.Max("500"), html.Value(f.rate)), "")),
			submit("Count")),
		f.countedSection(v, counted, endpoints),
	}}
	if refused != nil {
		p.title, p.status = refusedTitle(p.title), refused.Status
	}
	return p, nil
}

// resendable are the states whose deliveries can be sent again; what is queued
// is on its way already.
func resendable() []webhook.State {
	return slices.DeleteFunc(webhook.States(), func(s webhook.State) bool { return s == webhook.StateQueued })
}

// countedSection shows what was counted, and has the button that sends it.
func (f resendForm) countedSection(v *visit, c *countedResend, endpoints []option) g.Node {
	if c == nil {
		return nil
	}
	size := deliveries(c.Matched)
	if !c.Complete {
		size = "more than " + size
	}
	if c.Matched == 0 && c.Complete {
		return section("Counted", html.Div(html.Class("empty card"), html.P(g.Text("No delivery is like this: there is nothing to send. Take away a filter, and count anew."))))
	}
	rows := g.Map(slices.Sorted(maps.Keys(c.ByState)), func(s webhook.State) g.Node {
		return row(badge(string(s)), g.Text(number(c.ByState[s])), f.onlyThese(v, s, len(c.ByState) > 1))
	})
	return section("Counted: "+size,
		html.P(g.Text("Chosen: "), c.what.words(endpoints), g.Text(". "+f.pace(c.dryRun))),
		table("Counted, by state", []string{"State", "Deliveries", "Choose"}, rows, html.P(g.Text("None among the first that were looked at, but there is more to look at."))),
		g.If(c.ByState[webhook.StateDelivered] > 0, html.P(g.Text("Delivered ones are among them, and their receivers get them twice. Choose a state to leave them out."))),
		html.Form(html.Method("post"), html.Action(v.link("/resends")), c.what.hidden(), hiddenField("rate", f.rate), onceField(),
			g.If(c.Complete, hiddenField("of", strconv.Itoa(c.Matched))), submit("Send "+size+" again")),
	)
}

// onlyThese leads to the count of those of one state.
func (f resendForm) onlyThese(v *visit, s webhook.State, several bool) g.Node {
	switch {
	case s == webhook.StateQueued:
		return g.Text("on their way already, so they are skipped")
	case !several:
		return nil
	}
	only := v.link("/resends/new", f.chosen.with("state", string(s)).pairs("rate", f.rate, "count", "1")...)
	return html.A(html.Href(only), html.Aria("label", "Only these: "+string(s)), g.Text("Only these"))
}

// pace says how long it takes at the chosen rate.
func (f resendForm) pace(c dryRun) string {
	rate, err := strconv.Atoi(f.rate)
	if err != nil || rate < 1 {
		return ""
	}
	least := ""
	if !c.Complete {
		least = " at least"
	}
	return fmt.Sprintf("At %d a second they take%s %s.", rate, least, lasts((c.Matched+rate-1)/rate))
}

// lasts says seconds as people do.
func lasts(seconds int) string {
	switch {
	case seconds < 120:
		return fmt.Sprintf("%d s", seconds)
	case seconds < 7200:
		return fmt.Sprintf("%d min", seconds/60)
	}
	return fmt.Sprintf("%d h", seconds/3600)
}

func resendPage(v *visit) (page, error) { return showResend(v, nil) }

// cancelResend stops a bulk resend.
func cancelResend(v *visit) (page, error) {
	id := v.r.PathValue("id")
	err := v.post("/v1/resends/"+seg(id)+":cancel", v.query(), nil, nil)
	if p := refusalOf(err); p != nil && p.Status == http.StatusConflict {
		p.Title = "It was not cancelled"
		return showResend(v, p)
	}
	return page{next: v.link("/resends/"+seg(id), "said", "cancelled", "of", v.param("of"))}, err
}

// showResend shows how far a bulk resend is, below what was refused just now.
func showResend(v *visit, refused *problem) (page, error) {
	var r bulkResend
	if err := v.get("/v1/resends/"+seg(v.r.PathValue("id")), v.query(), &r); err != nil {
		return page{}, err
	}
	endpoints, err := endpointOptions(v, r.Filter["endpoint"])
	if err != nil {
		return page{}, err
	}
	running := r.State == string(webhook.ResendRunning)
	p := page{title: "Bulk resend", in: "/deliveries", live: running, body: g.Group{
		problemBox(refused),
		g.If(running, html.Div(html.Class("actions"), v.act("Cancel", "quiet", "/resends/"+seg(r.ID)+"/cancel", "of", v.param("of")),
			html.Span(html.Class("soft"), g.Text("What is queued already is still sent.")))),
		live("progress", resendProgress(v, r, endpoints)),
		html.P(link(v.link("/resends"), "All bulk resends"), g.Text(" "), link(v.link("/deliveries", r.Filter.pairs()...), "Deliveries that are like this now")),
	}}
	if refused != nil {
		p.title, p.status = refusedTitle(p.title), refused.Status
	}
	return p, nil
}

// resendProgress shows how far it is. How many there are in all is known when
// they were counted just before, by "of" in the address.
func resendProgress(v *visit, r bulkResend, endpoints []option) g.Node {
	of, err := strconv.Atoi(v.param("of"))
	known := err == nil && of > 0
	running := r.State == string(webhook.ResendRunning)
	looked := number(r.Looked)
	if known {
		looked += " of " + number(max(of, r.Looked))
	}
	return html.Div(html.Class("card"),
		g.If(running, html.Progress(html.Aria("label", "Progress"), g.If(known, g.Group{html.Max(strconv.Itoa(max(of, r.Looked))), html.Value(strconv.Itoa(r.Looked))}))),
		facts(
			fact{"State", g.Group{badge(r.State), g.Text(" " + words()[r.State].means)}},
			fact{"What", r.Filter.words(endpoints)},
			fact{"Looked at", g.Text(looked)},
			fact{"Sent again", g.Text(number(r.Resent))},
			fact{"Skipped", g.Group{g.Text(number(r.Skipped)), html.Small(g.Text(" had nowhere to go, or an attempt was under way"))}},
			fact{"Rate", g.Textf("at most %d a second", r.Rate)},
			fact{"Started", when(r.CreatedAt)},
			fact{"Ended", optionalTime(r.EndedAt)},
		),
	)
}
