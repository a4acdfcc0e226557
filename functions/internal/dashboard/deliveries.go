package dashboard

import (
	g "maragu.dev/gomponents"
	"maragu.dev/gomponents/html"

	"github.com/jobhook/jobhook/shared/webhook"
)

// delivery is a row of a list of deliveries.
type delivery struct {
	ID            string `json:"id"`
	EventID       string `json:"event_id"`
	EventType     string `json:"event_type"`
	Kind          string `json:"kind"`
	JobID         string `json:"job_id"`
	Run           int    `json:"run"`
	Endpoint      string `json:"endpoint"`
	URL           string `json:"url"`
	Format        string `json:"format"`
	State         string `json:"state"`
	Hold          string `json:"hold"`
	Reason        string `json:"reason"`
	Generation    int    `json:"generation"`
	AttemptCount  int    `json:"attempt_count"`
	NextAttemptAt string `json:"next_attempt_at"`
	LastStatus    int    `json:"last_status"`
	LastFailure   string `json:"last_failure"`
	CreatedAt     string `json:"created_at"`
	UpdatedAt     string `json:"updated_at"`
	DeliveredAt   string `json:"delivered_at"`
	ExpiresAt     string `json:"expires_at"`
}

// list is a page of a list.
type list[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next"`
}

// pageSize is how many rows a list shows.
const pageSize = "50"

func (d *Dashboard) addDeliveries() {
	d.show("/deliveries", ofAnAccount(deliveriesPage))
	d.show("/deliveries/{id}", ofAnAccount(deliveryPage))
	d.show("/deliveries/{id}/request", ofAnAccount(requestPage))
	d.do("/deliveries/{id}/resend", resendDelivery)
}

// deliveryPath is the path of a delivery's page, and below /v1 of what it shows.
func deliveryPath(id string) string { return "/deliveries/" + seg(id) }

func deliveriesPage(v *visit) (page, error) {
	chosen := selectionOf(v.param)
	endpoints, err := endpointOptions(v, chosen["endpoint"])
	if err != nil {
		return page{}, err
	}
	var found list[delivery]
	err = v.get("/v1/deliveries", v.query(chosen.pairs("limit", pageSize, "after", v.param("after"))...), &found)
	p := page{title: "Deliveries", in: "/deliveries"}
	if refused := refusalOf(err); refused != nil {
		refused = refused.titled("The list cannot be filtered like this").named(filterLabels())
		p.title, p.status, p.body = refusedTitle(p.title), refused.Status, g.Group{problemBox(refused), deliveryFilters(v, chosen, endpoints)}
		return p, nil
	}
	p.live, p.body = v.param("after") == "", g.Group{
		deliveryFilters(v, chosen, endpoints),
		live("list", deliveryTable(v, found.Items, noDeliveries(v, chosen, found.Next, len(endpoints) > 0)), v.pager(found.Next)),
	}
	return p, err
}

// deliveryFilters is the form that selects deliveries, and what else can be done
// with those that it selects.
func deliveryFilters(v *visit, chosen selection, endpoints []option) g.Node {
	return g.Group{
		v.filters("/deliveries", chosen.fields(webhook.States(), endpoints)),
		html.Div(html.Class("actions"),
			g.If(len(chosen) > 0, link(v.link("/deliveries"), "Clear the filters")),
			g.If(chosen["state"] != string(webhook.StateQueued), // these are on their way
				link(v.link("/resends/new", chosen.pairs()...), "Resend these...")),
			link(v.link("/resends"), "Bulk resends")),
	}
}

// noDeliveries says what to do where a page has none.
func noDeliveries(v *visit, chosen selection, next string, hasEndpoint bool) g.Node {
	switch {
	case next != "":
		return html.P(g.Text("Nothing on this page; there is more. A page looks at a bounded number of deliveries: go on to the next."))
	case len(chosen) > 0 || v.param("after") != "":
		return html.P(g.Text("No delivery is like this. "), link(v.link("/deliveries"), "Clear the filters"), g.Text(" to see all."))
	case !hasEndpoint:
		return html.P(g.Text("Nothing was sent yet, and there is no endpoint to send to. "),
			link(v.link("/endpoints"), "Make an endpoint"), g.Text(": it is told of every job from then on."))
	}
	return html.P(g.Text("Nothing was sent yet. A delivery is made when a job ends, for each endpoint. "),
		link(v.link("/endpoints"), "Send a test"), g.Text(" to see that your receiver takes them."))
}

// deliveryTable lists deliveries, or shows what empty says.
func deliveryTable(v *visit, list []delivery, empty g.Node) g.Node {
	return table("Deliveries", []string{"State", "Event", "Created", "Job", "Last answer", "Attempts", "To"}, g.Map(list, func(d delivery) g.Node {
		return row(badge(d.State), deliveryLink(v, d), when(d.CreatedAt), idCell(d.JobID, jobLink(v, d.Kind, d.JobID)),
			text(answered(d.LastStatus, d.LastFailure)), g.Text(number(d.AttemptCount)), targetURL(d.URL))
	}), empty)
}

// deliveryLink leads to a delivery. Who hears the link alone, without the row
// that it stands in, is told which it is.
func deliveryLink(v *visit, d delivery) g.Node {
	name := d.EventType
	if d.JobID != "" {
		name += " of " + d.JobID
	}
	if d.URL != "" {
		name += " to " + d.URL
	}
	return html.A(html.Href(v.link(deliveryPath(d.ID))), html.Aria("label", visible(name)), text(d.EventType))
}

// targetURL is a cell that shows a URL, "-" where there is none. It breaks
// anywhere, so it needs a width of its own.
func targetURL(s string) g.Node {
	if s == "" {
		return g.Text("-")
	}
	return html.Div(html.Class("wide"), code(s))
}

// jobLink leads to a job; "-" where no job is behind it.
func jobLink(v *visit, kind, id string) g.Node {
	if id == "" {
		return g.Text("-")
	}
	return link(v.link("/job", "id", id, "kind", kind), id)
}
