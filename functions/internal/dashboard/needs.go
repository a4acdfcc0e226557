package dashboard

import (
	"cmp"
	"strconv"

	g "maragu.dev/gomponents"
	"maragu.dev/gomponents/html"

	"github.com/jobhook/jobhook/shared/webhook"
)

// lost are the deliveries of an endpoint, or of the URLs on jobs, that were given
// up in the last day and have not been sent again since.
type lost struct {
	count map[string]int // by state
	since string         // when the oldest was made
	more  bool           // than these
}

// mostLost is how many given up deliveries of a state are looked at.
const mostLost = 250

// readLost finds what was given up, by endpoint. Where the statistics tell of
// nothing given up there is nothing to read.
func readLost(v *visit, s statistics) (map[string]lost, error) {
	all := map[string]lost{}
	if s.Total.GivenUp == 0 {
		return all, nil
	}
	for _, state := range givenUp() {
		var found list[delivery]
		if err := v.get("/v1/deliveries", v.query("state", state, "limit", strconv.Itoa(mostLost)), &found); err != nil {
			return nil, err
		}
		for _, d := range found.Items {
			if d.UpdatedAt < s.Since {
				continue
			}
			l, ok := all[d.Endpoint]
			if !ok {
				l.count = map[string]int{}
			}
			l.count[state]++
			l.more = l.more || found.Next != ""
			if l.since == "" || d.CreatedAt < l.since {
				l.since = d.CreatedAt
			}
			all[d.Endpoint] = l
		}
	}
	return all, nil
}

// givenUp are the states of deliveries that failed for good.
func givenUp() []string {
	return []string{string(webhook.StateExhausted), string(webhook.StateDead)}
}

// need is something that does not go away by itself.
type need struct {
	state string // of an endpoint or a circuit; else plain says it
	plain string
	name  g.Node
	why   g.Node
	todo  g.Node // nil: as the words of the state say
}

func (n need) item() g.Node {
	todo := n.todo
	if todo == nil {
		todo = g.Text(words()[n.state].todo)
	}
	return html.Li(html.Class("card"), n.mark(), g.Text(" "), n.name, html.P(n.why, g.Text(" "), html.Strong(g.Text("What to do: ")), todo))
}

// mark is its badge.
func (n need) mark() g.Node {
	if n.state != "" {
		return badge(n.state)
	}
	return html.Span(html.Class("badge bad"), g.Text(n.plain))
}

// needs are what somebody has to look after, and how.
func (o overview) needs(v *visit) g.Node {
	list := o.allNeeds(v)
	switch {
	case len(list) > 0:
		return section("What needs you", html.Ul(html.Class("needs"), g.Map(list, need.item)))
	case len(o.endpoints) == 0 && len(o.newest) == 0:
		return nil // the first steps say what to do
	}
	return section("What needs you", html.P(g.Text(o.calm())))
}

// calm says that nothing is known against anything, and no more than that.
func (o overview) calm() string {
	switch t := o.statistics.Total; {
	case t.GivenUp > 0:
		return "Nothing any more. What was given up in the last 24 hours has been sent again since, or is no longer kept."
	case t.Delivered > 0:
		return "Nothing. Every endpoint is called, and answers."
	}
	return "Nothing is known that does. Nothing was delivered in the last 24 hours, so nobody knows whether your endpoints answer: send them a test."
}

func (o overview) allNeeds(v *visit) []need {
	var all []need
	if !o.ledger.agrees() {
		all = append(all, o.ledger.need())
	}
	byID := o.byEndpoint()
	for _, e := range o.endpoints {
		name := link(v.link(endpointPath(e.ID)), e.URL)
		if n, ok := e.need(); ok {
			n.name = name
			all = append(all, n)
		} else if n, ok := byID[e.ID].need(); ok {
			n.name = name
			all = append(all, n)
		}
		all = append(all, o.lost[e.ID].needs(v, e.ID, name)...)
	}
	onJobs := g.Text("URLs that jobs themselves name")
	if n, ok := byID[""].need(); ok {
		n.name = onJobs
		all = append(all, n)
	}
	return append(all, o.lost[""].needs(v, "", onJobs)...)
}

// need tells the worst of what is wrong with an endpoint by its own state.
func (e endpoint) need() (need, bool) {
	h := e.Health
	switch {
	case e.Status != statusEnabled:
		return need{state: e.Status, why: text(cmp.Or(sentence(e.StatusReason), words()[e.Status].means))}, true
	case h.State == string(webhook.Failing):
		return need{state: h.State, why: g.Group{text(sentence(h.Reason)), g.Text(" Failing since "), when(h.Since),
			g.If(h.DisabledAt != "", g.Group{g.Text("; it will be disabled at "), when(h.DisabledAt)}), g.Text(".")}}, true
	case h.Circuit.State == circuitOpen:
		return need{state: h.Circuit.State, why: g.Group{g.Text(words()[h.Circuit.State].means + " It is tried again at "), countdown(h.Circuit.Until), g.Text(".")}}, true
	case h.Circuit.State == circuitHalfOpen:
		return need{state: h.Circuit.State, why: g.Text(words()[h.Circuit.State].means)}, true
	}
	return need{}, false
}

// isUnsuspected tells whether nothing is known against an endpoint.
func (e endpoint) isUnsuspected() bool {
	_, is := e.need()
	return !is
}

// The circuits that are not closed, as the API writes them.
const (
	circuitOpen     = "open"
	circuitHalfOpen = "half_open"
)

// need tells of an endpoint that answers nothing well, though nothing is known
// against it yet: health judges by time, and by failures in a row.
func (c endpointCounts) need() (need, bool) {
	if c.Total.Delivered > 0 || c.Total.Failed == 0 {
		return need{}, false
	}
	tried := "The only attempt of the last 24 hours failed."
	if c.Total.Failed > 1 {
		tried = "All " + number(c.Total.Failed) + " attempts of the last 24 hours failed."
	}
	return need{plain: "no success", why: g.Text(tried), todo: g.Text("Mend the receiver: the attempts of its deliveries say what is wrong.")}, true
}

// needs tell of what is sent again only if somebody says so.
func (l lost) needs(v *visit, endpoint string, name g.Node) []need {
	if len(l.count) == 0 {
		return nil
	}
	var said, ways g.Group
	total := 0
	for _, state := range givenUp() {
		n := l.count[state]
		if n == 0 {
			continue
		}
		total += n
		said = append(said, g.If(len(said) > 0, g.Text(", ")), g.Text(number(n)+" "), badge(state))
		ways = append(ways, g.If(len(ways) > 0, g.Text(", ")),
			link(v.link("/resends/new", "state", state, "endpoint", endpoint, "since", l.since), "send again what is "+state))
	}
	many := deliveries(total)
	if l.more {
		many = "At least " + many
	}
	return []need{{plain: "given up", name: name,
		why:  g.Group{g.Text(many + " given up in the last 24 hours: "), said, g.Text(".")},
		todo: g.Group{g.Text("Mend the receiver, then "), ways, g.Text(".")}}}
}

// need tells of a ledger that does not add up.
func (l ledger) need() need {
	why := g.Group{g.If(l.Difference != 0, g.Text(deliveries(l.Difference)+" missing when it was last checked; "+number(l.Repaired)+" sent again. ")),
		g.If(l.Stuck != 0, g.Text(deliveries(l.Stuck)+" stood still, and were queued again."))}
	todo := g.Text("Nothing but to look here again in an hour: it is our fault, and is checked every hour.")
	if l.Repaired < l.Difference {
		todo = g.Text("Tell your platform: the operator of this server has to look into what was not sent again.")
	}
	return need{plain: "not all there", name: html.A(html.Href("#ledger"), g.Text("Is everything there?")), why: why, todo: todo}
}
