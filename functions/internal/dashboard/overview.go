package dashboard

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"

	g "maragu.dev/gomponents"
	"maragu.dev/gomponents/html"

	"github.com/jobhook/jobhook/shared/webhook"
)

// counts are what was counted in a span of time.
type counts struct {
	Delivered int        `json:"delivered"`
	Failed    int        `json:"failed"`
	GivenUp   int        `json:"given_up"`
	Answer    *latencies `json:"answer_ms"`
	Lag       *latencies `json:"event_to_delivery_ms"`
}

// hourCounts are those of one hour.
type hourCounts struct {
	Hour string `json:"hour"`
	counts
}

// endpointCounts are those of one endpoint, or with "" of the URLs on jobs.
type endpointCounts struct {
	Endpoint string       `json:"endpoint"`
	Total    counts       `json:"total"`
	Hours    []hourCounts `json:"hours"` // those in which something was counted
}

// statistics are the attempts of the last day.
type statistics struct {
	Since     string           `json:"since"`
	Total     counts           `json:"total"`
	Hours     []hourCounts     `json:"hours"` // all
	Endpoints []endpointCounts `json:"endpoints"`
}

// overview is what the page is made of.
type overview struct {
	statistics statistics
	endpoints  []endpoint
	newest     []delivery
	ledger     ledger
	lost       map[string]lost // by endpoint, "" for the URLs on jobs
}

func (d *Dashboard) addOverview() { d.show("/{$}", ofAnAccount(overviewPage)) }

func overviewPage(v *visit) (page, error) {
	o, err := readOverview(v)
	if err != nil {
		return page{}, err
	}
	return page{title: "Overview", in: "/", live: true, body: g.Group{
		live("steps", o.firstSteps(v)),
		live("needs", o.needs(v)),
		live("day", o.day(v)),
		live("endpoints", o.endpointList(v)),
		live("newest", o.newestList(v)),
		live("ledger", section("Is everything there?", o.ledger.words(), o.ledger.named(v), o.ledger.states(v))),
	}}, nil
}

func readOverview(v *visit) (overview, error) {
	var o overview
	var endpoints list[endpoint]
	var newest list[delivery]
	err := v.getAll(
		reading{"/v1/ledger", v.query(), &o.ledger},
		reading{"/v1/statistics", v.query(), &o.statistics},
		reading{"/v1/endpoints", v.query(), &endpoints},
		reading{"/v1/deliveries", v.query("limit", "10"), &newest},
	)
	if err != nil {
		return o, err
	}
	o.endpoints, o.newest = endpoints.Items, newest.Items
	o.lost, err = readLost(v, o.statistics)
	return o, err
}

// reading is a part of what a page is made of.
type reading struct {
	path  string
	query url.Values
	out   any
}

// getAll reads until the first that is refused.
func (v *visit) getAll(list ...reading) error {
	for _, r := range list {
		if err := v.get(r.path, r.query, r.out); err != nil {
			return err
		}
	}
	return nil
}

// firstSteps teaches who has sent nothing yet. Jobs may name their own URLs, so
// that nobody needs an endpoint.
func (o overview) firstSteps(v *visit) g.Node {
	sent := slices.ContainsFunc(o.newest, func(d delivery) bool { return d.State != string(webhook.StateDeclined) })
	if sent || len(o.endpoints) > 0 && len(o.newest) > 0 {
		return nil
	}
	done := func(is bool) g.Node { return g.If(is, g.Group{g.Text(" "), html.Strong(g.Text("Done."))}) }
	return section("First steps", html.Ol(html.Class("card steps"),
		html.Li(link(v.link("/endpoints/new"), "Make an endpoint"), g.Text(": the URL at which your server takes webhooks."), done(len(o.endpoints) > 0)),
		html.Li(g.Text("Send a test from the page of the "), link(v.link("/endpoints"), "endpoint"), g.Text(", and see what your server answers.")),
		html.Li(writeAJob(v), done(len(o.newest) > 0))))
}

// writeAJob says how there comes to be something to tell of.
func writeAJob(v *visit) g.Node {
	if !v.isPlatform() {
		return g.Group{g.Text("Let your platform run a job. When it ends, your endpoint is told, and you see it under "), link(v.link("/jobs"), "Jobs"), g.Text(".")}
	}
	return g.Group{g.Text("Write a job that has ended. The endpoint is told, and you see it under "), link(v.link("/jobs"), "Jobs"), g.Text("."),
		copyable("first-job", "Commands that write a job", firstJob(v))}
}

// day shows the last 24 hours.
func (o overview) day(v *visit) g.Node {
	t := o.statistics.Total
	if t.Delivered+t.Failed == 0 {
		return section("The last 24 hours", html.P(g.Text("Nothing was sent.")))
	}
	hours := hourNames(o.statistics.Hours)
	ended, retried := byHour(hours, o.statistics.Hours)
	answer, lag := make([]*latencies, len(hours)), make([]*latencies, len(hours))
	for i, h := range o.statistics.Hours {
		answer[i], lag[i] = h.Answer, h.Lag
	}
	return section("The last 24 hours",
		html.Div(html.Class("tiles"),
			figure("Success rate", rate(t), g.Text(number(t.Delivered)+" of "+number(t.Delivered+t.GivenUp)+" deliveries that ended")),
			figure("Delivered", number(t.Delivered), link(v.link("/deliveries", "state", string(webhook.StateDelivered)), "See them")),
			figure("Given up", number(t.GivenUp), g.Group{g.Text("See the "), link(v.link("/deliveries", "state", string(webhook.StateExhausted)), "exhausted"),
				g.Text(" and the "), link(v.link("/deliveries", "state", string(webhook.StateDead)), "dead")}),
			figure(triedAgain, number(t.retried()), link(v.link("/deliveries", "state", string(webhook.StateWaiting)), "See what waits"))),
		html.H3(g.Text("Deliveries that ended, by hour")),
		stackedBars("by-hour", "Deliveries that ended in each of the last 24 hours, and failed attempts that were tried again", hours, ended, retried),
		html.Div(html.Class("pair"),
			timing("answer", "How long your receivers take to answer", "From the request to the whole answer", t.Answer, hours, answer),
			timing("lag", "From the event to its delivery", "From the event to the receiver's answer, retries included; without what was resent", t.Lag, hours, lag)))
}

// triedAgain names the attempts that failed without being the last of their
// delivery. They say nothing of what was lost, and so are in no rate.
const triedAgain = "Failed attempts, tried again"

// retried is how many they are.
func (c counts) retried() int { return max(0, c.Failed-c.GivenUp) }

// hourNames are the hours of the span.
func hourNames(list []hourCounts) []string {
	names := make([]string, len(list))
	for i, h := range list {
		names[i] = h.Hour
	}
	return names
}

// byHour makes the series of the chart of deliveries, and that of the attempts
// beside them. Hours that the list leaves out have nothing.
func byHour(hours []string, list []hourCounts) (ended []series, retried series) {
	place := make(map[string]int, len(hours))
	for i, name := range hours {
		place[name] = i
	}
	delivered, given, again := make([]int, len(hours)), make([]int, len(hours)), make([]int, len(hours))
	for _, h := range list {
		if i, ok := place[h.Hour]; ok {
			delivered[i], given[i], again[i] = h.Delivered, h.GivenUp, h.retried()
		}
	}
	return []series{{"delivered", "c1", delivered}, {"given up", "c3", given}}, series{strings.ToLower(triedAgain), "line", again}
}

// timing shows the percentiles of a day and their hours.
func timing(id, title, what string, total *latencies, hours []string, values []*latencies) g.Node {
	body := g.Node(html.P(html.Class("empty"), g.Text("Nothing was measured in the last 24 hours.")))
	if total != nil {
		body = g.Group{
			html.Dl(html.Class("trio"), g.Map(percentileLines(), func(p percentile) g.Node {
				return html.Div(html.Dt(g.Text(p.name)), html.Dd(html.Class("figure"), g.Text(atMost(total, p.of))))
			})),
			latencyLines("hours-"+id, title+", by hour", hours, values),
		}
	}
	return html.Div(html.H3(g.Text(title)), html.P(html.Class("soft"), g.Text(what+". 50, 95 and 99 of 100 took at most so long; rounded up.")), body)
}

// figure is a card with one number.
func figure(name, value string, below g.Node) g.Node {
	return html.Div(html.Class("card"), html.Div(g.Text(name)), html.Div(html.Class("figure"), g.Text(value)), html.Small(below))
}

// rate is the share of the deliveries that ended which were delivered: an attempt
// that failed and was tried again costs nobody anything.
func rate(c counts) string {
	ended := c.Delivered + c.GivenUp
	if ended == 0 {
		return "-"
	}
	return percentOf(c.Delivered, ended)
}

// maxWatched is how many endpoints the overview shows.
const maxWatched = 25

// endpointList shows the endpoints with their last 24 hours, the busiest first.
func (o overview) endpointList(v *visit) g.Node {
	byID, hours := o.byEndpoint(), hourNames(o.statistics.Hours)
	attempts := func(e endpoint) int { return byID[e.ID].Total.Delivered + byID[e.ID].Total.Failed }
	shown := slices.SortedStableFunc(slices.Values(o.endpoints), func(a, b endpoint) int { return cmp.Compare(attempts(b), attempts(a)) })
	var rows []g.Node
	for _, e := range shown[:min(len(shown), maxWatched)] {
		state := e.badges()
		if n, ok := byID[e.ID].need(); ok && e.isUnsuspected() {
			state = n.mark()
		}
		rows = append(rows, countsRow(state, html.Span(html.Class("wide"), link(v.link(endpointPath(e.ID)), e.URL)), byID[e.ID], hours))
	}
	if c, ok := byID[""]; ok {
		rows = append(rows, countsRow(g.Text("-"), g.Text("URLs that jobs themselves name"), c, hours))
	}
	return section("Endpoints",
		table("Endpoints and their last 24 hours", []string{"State", "Success rate", "Endpoint", "24 hours", "Delivered", "Given up", triedAgain}, rows,
			html.P(g.Text("There is no endpoint yet. "), link(v.link("/endpoints/new"), "Make one"), g.Text(": it is told of every job from then on."))),
		g.If(len(shown) > maxWatched, html.P(link(v.link("/endpoints"), fmt.Sprintf("All %d endpoints", len(shown))))))
}

// byEndpoint are the statistics of each endpoint, and with "" of the URLs on jobs.
func (o overview) byEndpoint() map[string]endpointCounts {
	byID := make(map[string]endpointCounts, len(o.statistics.Endpoints))
	for _, c := range o.statistics.Endpoints {
		byID[c.Endpoint] = c
	}
	return byID
}

// badges are the state of an endpoint: whether it is called, and how it answers.
func (e endpoint) badges() g.Node {
	if e.Status != statusEnabled {
		return badge(e.Status)
	}
	return e.Health.badges()
}

func countsRow(state, name g.Node, c endpointCounts, hours []string) g.Node {
	ended, _ := byHour(hours, c.Hours)
	label := fmt.Sprintf("%s delivered, %s given up in the last 24 hours", number(c.Total.Delivered), number(c.Total.GivenUp))
	return row(state, g.Text(rate(c.Total)), name, sparkBars(label, ended...), g.Text(number(c.Total.Delivered)), g.Text(number(c.Total.GivenUp)), g.Text(number(c.Total.retried())))
}

func (o overview) newestList(v *visit) g.Node {
	return section("Newest deliveries",
		deliveryTable(v, o.newest, html.P(g.Text("Nothing was sent yet. A delivery is made when a job ends, for each endpoint."))),
		g.If(len(o.newest) > 0, html.P(link(v.link("/deliveries"), "All deliveries"))))
}
