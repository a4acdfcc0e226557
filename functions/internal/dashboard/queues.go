package dashboard

import (
	"cmp"

	g "maragu.dev/gomponents"
	"maragu.dev/gomponents/html"
)

// queue is what a queue holds.
type queue struct {
	Name    string `json:"name"`
	Visible int    `json:"visible"`
	Hidden  int    `json:"hidden"`
	Delayed int    `json:"delayed"`
	Dead    int    `json:"dead"`
}

// deadLetter is a message that was received too often.
type deadLetter struct {
	ID       string `json:"id"`
	Account  string `json:"account"`
	Delivery string `json:"delivery"`
	Body     string `json:"body"`
	Receives int    `json:"receives"`
	SentAt   string `json:"sent_at"`
}

// queueNames say what each queue is for.
func queueNames() map[string]string {
	return map[string]string{
		"first":  "First attempts",
		"retry":  "Further attempts",
		"export": "Files of results, and erasures",
	}
}

// queueTable does not look at dead letters: on AWS looking takes them for a
// moment, and this page looks every few seconds.
func queueTable(queues []queue) g.Node {
	return g.Group{
		html.P(g.Text("What may be received now should be little; if it grows, attempts are made more slowly than they come. A dead letter is our fault, never a receiver's: look in the log, mend, and queue it again. "), more("operate")),
		table("Queues", []string{"Queue", "Dead letters", "To be received", "Under way, or waiting", "Sent for later"}, g.Map(queues, func(q queue) g.Node {
			return row(g.Group{code(q.Name), g.Text(" " + queueNames()[q.Name])}, q.dead(), g.Text(number(q.Visible)), g.Text(number(q.Hidden)), g.Text(number(q.Delayed)))
		}), html.P(g.Text("This server has no queues that can be looked into."))),
	}
}

// dead leads to the dead letters, if there are some.
func (q queue) dead() g.Node {
	if q.Dead == 0 {
		return g.Text("0")
	}
	return g.Group{html.Span(html.Class("badge bad"), g.Text(number(q.Dead)+" dead")), g.Text(" "),
		html.A(html.Href("/operator/queues/"+seg(q.Name)), html.Aria("label", "Look at the dead letters of "+q.Name), g.Text("Look at them"))}
}

func deadLettersPage(v *visit) (page, error) {
	if err := v.mustOperate(); err != nil {
		return page{}, err
	}
	name := v.r.PathValue("queue")
	var found bounded[deadLetter]
	if err := v.get("/v1/queues/"+seg(name)+"/dead-letters", nil, &found); err != nil {
		return page{}, err
	}
	return page{title: "Dead letters of the queue " + name, in: "/operator", body: g.Group{
		html.P(g.Text("Messages that were received too often and never finished. At most 100 are shown. On AWS those that somebody else looks at just now are missing.")),
		table("Dead letters", []string{"About", "Sent", "Received", "Message"}, g.Map(found.Items, deadLetterRow),
			html.P(g.Text("There is none. "), link("/operator", "Back to the queues"))),
		g.If(len(found.Items) > 0, redriveForm(name)),
	}}, nil
}

func deadLetterRow(l deadLetter) g.Node {
	about := text(cmp.Or(l.Account, "-"))
	if l.Account != "" && l.Delivery != "" {
		about = link(lookAt(l.Account, "/deliveries/"+seg(l.Delivery)), l.Delivery)
	}
	return row(about, when(l.SentAt), g.Text(times(l.Receives)), html.Code(html.Class("wide"), g.Text(visible(l.Body))))
}

// redriveForm asks once more.
func redriveForm(name string) g.Node {
	return html.Details(html.ID("redrive"), html.Summary(g.Text("Queue them again")),
		html.Div(html.Class("card"),
			html.P(g.Text("All dead letters of this queue are received as if they were new. If what made them is not mended, they come back here. A delivery that is done is not sent twice.")),
			html.Form(html.Method("post"), html.Action("/operator/queues/"+seg(name)+"/redrive"),
				html.Button(html.Type("submit"), html.Class("danger"), g.Text("Yes, queue them again")))))
}

func redrive(v *visit) (page, error) {
	if err := v.mustOperate(); err != nil {
		return page{}, err
	}
	name := v.r.PathValue("queue")
	var done struct {
		Redriven int  `json:"redriven"`
		More     bool `json:"more"`
	}
	if err := v.post("/v1/queues/"+seg(name)+":redrive", nil, nil, &done); err != nil {
		return page{}, err
	}
	switch {
	case done.More:
		return page{next: "/operator/queues/" + seg(name) + "?said=redriven-some"}, nil
	case done.Redriven == 0:
		return page{next: "/operator?said=redriven-none"}, nil
	}
	return page{next: "/operator?said=redriven"}, nil
}
