package dashboard

import (
	"cmp"
	"fmt"
	"net/http"

	g "maragu.dev/gomponents"
	"maragu.dev/gomponents/html"
)

func (d *Dashboard) addOperator() {
	d.addAccounts()
	d.show("/operator", operatorPage)
	d.show("/operator/queues/{queue}", deadLettersPage)
	d.do("/operator/queues/{queue}/redrive", redrive)
}

// mustOperate refuses who is no operator.
func (v *visit) mustOperate() error {
	if v.isOperator() {
		return nil
	}
	return &problem{Status: http.StatusForbidden, Title: "Not for this session", Detail: "These pages are the operator's. Sign in with the operator's key."}
}

// host is one that receivers have in common, with its circuit.
type host struct {
	Host  string `json:"host"`
	State string `json:"state"`
	Opens int    `json:"opens"`
	Until string `json:"until"`
}

// holder is an endpoint that holds deliveries.
type holder struct {
	Account  string          `json:"account"`
	Endpoint string          `json:"endpoint"`
	URL      string          `json:"url"`
	Status   string          `json:"status"`
	Deleted  bool            `json:"deleted"`
	Reason   string          `json:"reason"`
	Health   *endpointHealth `json:"health"`
}

// bounded is a list without pages.
type bounded[T any] struct {
	Items     []T  `json:"items"`
	Truncated bool `json:"truncated"`
}

func operatorPage(v *visit) (page, error) {
	if err := v.mustOperate(); err != nil {
		return page{}, err
	}
	var (
		queues  bounded[queue]
		hosts   bounded[host]
		holders bounded[holder]
		all     ledger
	)
	err := v.getAll(reading{"/v1/queues", nil, &queues}, reading{"/v1/hosts", nil, &hosts}, reading{"/v1/holders", nil, &holders}, reading{"/v1/ledger", nil, &all})
	if err != nil {
		return page{}, err
	}
	differing, err := readDiffering(v, all)
	if err != nil {
		return page{}, err
	}
	return page{title: "Operator", in: "/operator", live: true, body: g.Group{
		live("queues", section("Queues", queueTable(queues.Items))),
		live("ledger", section("Is everything there?", all.words(), all.named(v), all.states(v), differing)),
		live("hosts", section("Hosts out of reach", hostTable(hosts))),
		live("holders", section("Endpoints that hold deliveries", holderTable(holders))),
	}}, nil
}

// readDiffering shows the accounts of which something is missing. They are
// looked for only where something is missing of all together.
func readDiffering(v *visit, all ledger) (g.Node, error) {
	if all.agrees() {
		return nil, nil
	}
	var found list[ledger]
	q := v.listQuery(v.param("after"))
	q.Set("limit", "250")
	if err := v.get("/v1/ledgers", q, &found); err != nil {
		return nil, err
	}
	var rows []g.Node
	for _, l := range found.Items {
		if !l.agrees() {
			rows = append(rows, row(link(lookAt(l.Account, "/"), l.Account), g.Text(number(l.Difference)), g.Text(number(l.Repaired)), g.Text(number(l.Stuck)), when(l.CheckedAt)))
		}
	}
	return g.Group{
		html.P(html.Strong(g.Text("What to do: ")), g.Text("look in the log of sweep for ledger.missing and ledger.lost. What has a name was sent again; progress is only counted. What stood still was rung for again; if it comes back, deliver cannot keep up, or messages are lost. "), more("operate")),
		table("Accounts of which something is missing", []string{"Account", "Missing", "Sent again", "Stood still", "Checked"}, rows,
			html.P(g.Text("Of the accounts on this page nothing is missing."))),
		v.pager(found.Next),
	}, nil
}

// more leads to a heading of the README.
func more(heading string) g.Node {
	return html.A(html.Href(readme+heading), html.Rel("noopener noreferrer"), g.Text("More in the README"))
}

func hostTable(hosts bounded[host]) g.Node {
	return g.Group{
		html.P(g.Text("A host is left alone when the attempts of three accounts or more found no address, no connection or no valid certificate. Nothing is lost: it is tried by itself, and what is held goes out then. If many are here that others reach, look at your own network and DNS. "), more("when-receivers-fail")),
		table("Hosts out of reach", []string{"State", "Host", "Tried next", "Opened"}, g.Map(hosts.Items, func(h host) g.Node {
			return row(badge(h.State), html.Code(html.Class("nowrap"), g.Text(visible(h.Host))), countdown(h.Until), g.Text(times(h.Opens)))
		}), html.P(g.Text("None. Every host can be reached, or could be within the last hour."))),
		truncated(hosts.Truncated),
	}
}

func holderTable(holders bounded[holder]) g.Node {
	return g.Group{
		html.P(g.Text("Of all accounts, those endpoints that hold something now; one that merely fails is on the overview of its account. Their deliveries wait for something to end: a pause, a circuit that is open, a disabled endpoint. What is held loses no attempt, and expires when its time of keeping ends. It is the customer's to mend or resume; tell those that are here for long. "), more("when-receivers-fail")),
		table("Endpoints that hold deliveries", []string{"State", "Account", "Why", "Endpoint"}, g.Map(holders.Items, func(h holder) g.Node {
			return row(h.state(), link(lookAt(h.Account, "/"), h.Account), text(cmp.Or(h.Reason, "-")), h.name())
		}), html.P(g.Text("None. Nothing waits for an endpoint."))),
		truncated(holders.Truncated),
	}
}

// name leads to the endpoint, if it is there.
func (h holder) name() g.Node {
	switch {
	case h.Endpoint == "":
		return g.Text("URLs that jobs themselves name")
	case h.Deleted:
		return g.Group{code(h.Endpoint), g.Text(" (deleted; what it holds is declined within minutes)")}
	}
	return link(lookAt(h.Account, endpointPath(h.Endpoint)), h.URL)
}

// state is the state that makes it hold, as far as one does.
func (h holder) state() g.Node {
	if h.Health == nil {
		return g.Text("-")
	}
	return endpoint{Status: h.Status, Health: *h.Health}.badges()
}

func truncated(is bool) g.Node {
	return g.If(is, html.P(g.Text("There are more than these.")))
}

// times says how often.
func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}
