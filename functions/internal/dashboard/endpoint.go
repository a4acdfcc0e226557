package dashboard

import (
	"cmp"
	"net/http"
	"strconv"
	"strings"

	g "maragu.dev/gomponents"
	"maragu.dev/gomponents/html"

	"github.com/jobhook/jobhook/shared/webhook"
)

// lastDeliveries is how many an endpoint's page shows.
const lastDeliveries = "10"

func endpointPage(v *visit) (page, error) { return showEndpoint(v, v.r.PathValue("id"), nil, 0) }

// showEndpoint shows an endpoint below what has just been done or refused. What
// was answered to a form does not refresh itself: its address is the form's.
func showEndpoint(v *visit, id string, news g.Node, status int) (page, error) {
	e, etag, err := readEndpoint(v, id)
	if err != nil {
		return page{}, err
	}
	var last list[delivery]
	if err := v.get("/v1/deliveries", v.query("endpoint", e.ID, "limit", lastDeliveries), &last); err != nil {
		return page{}, err
	}
	held, err := heldFor(v, e)
	if err != nil {
		return page{}, err
	}
	var n statistics
	if err := v.get("/v1/statistics", v.query("endpoint", e.ID), &n); err != nil {
		return page{}, err
	}
	title := visible(e.URL)
	if status != 0 {
		title = refusedTitle(title)
	}
	return page{title: title, in: "/endpoints", status: status, live: v.r.Method == http.MethodGet, body: g.Group{
		news,
		e.actions(v, etag, n.Since),
		live("status", e.standing(v, held, n.Total)),
		live("numbers", daySection(n)),
		live("last", section("Last deliveries",
			deliveryTable(v, last.Items, g.Text("None yet. Send a test to see that the receiver answers; a delivery is made when a job ends.")),
			g.If(last.Next != "", html.P(link(v.link("/deliveries", "endpoint", e.ID), "All deliveries to this endpoint"))))),
		section("What it is", e.about()),
		section("How it is called", html.Div(html.Class("card"), policyIn(e.Format, e.Policy, e.Types))),
	}}, nil
}

// heldFor is a page of what waits for the endpoint; nil where it is called as
// ever, as looking for the few that are held for a moment costs much.
func heldFor(v *visit, e endpoint) (*list[delivery], error) {
	if e.Status == statusEnabled && e.Health.Circuit.State == circuitClosed && e.Health.PausedUntil == "" {
		return nil, nil
	}
	var held list[delivery]
	err := v.get("/v1/deliveries", v.query("endpoint", e.ID, "state", string(webhook.StateHeld), "limit", pageSize), &held)
	return &held, err
}

// standing says whether the endpoint is called, how it answers, and what to do.
func (e endpoint) standing(v *visit, held *list[delivery], day counts) g.Node {
	h := e.Health
	return section("How it stands", html.Div(html.Class("card"),
		facts(
			fact{"Status", explained(e.Status, words()[e.Status].means, e.StatusReason)},
			fact{"Health", g.Group{explained(h.State, e.healthWords(), h.Reason), g.If(h.Since != "", g.Group{g.Text(" Since "), when(h.Since), g.Text(".")})}},
			fact{"Circuit", g.Group{explained(h.Circuit.State, words()[h.Circuit.State].means, ""), g.If(h.Circuit.Until != "", g.Group{g.Text(" It is tried next: "), countdown(h.Circuit.Until)})}},
			fact{"Asked to wait until", optionalCountdown(h.PausedUntil, " by Retry-After: it is not called before")},
			fact{"Slowed down", text(h.slowedWords())},
			fact{"Will be disabled", optionalCountdown(h.DisabledAt, " if no attempt succeeds until then")},
			fact{"Held", heldCount(v, e, held)},
			fact{"What to do", e.todo(day)},
		)))
}

// explained shows a state, what it means, and its reason.
func explained(state, means, reason string) g.Node {
	if reason != "" {
		means += " Reason: " + strings.TrimRight(reason, ".") + "."
	}
	return g.Group{badge(state), g.Text(" "), text(means)}
}

// healthWords say what the health means. One that is not called is not disabled
// for what it answered before.
func (e endpoint) healthWords() string {
	if e.Status != statusEnabled && e.Health.State == string(webhook.Failing) {
		return "It was failing when it was last called."
	}
	return words()[e.Health.State].means
}

func optionalCountdown(stamp, means string) g.Node {
	if stamp == "" {
		return nil
	}
	return g.Group{countdown(stamp), g.Text(means)}
}

func (h endpointHealth) slowedWords() string {
	if h.SlowedTo == 0 {
		return ""
	}
	return "to " + number(h.SlowedTo) + " attempts a second, since it answered 429, 502 or 504; more again as it recovers"
}

// heldCount says how many deliveries wait for the endpoint, as far as one look
// tells; nil where nobody has looked.
func heldCount(v *visit, e endpoint, held *list[delivery]) g.Node {
	switch {
	case held == nil:
		return nil
	case len(held.Items) == 0 && held.Next == "":
		return g.Text("nothing")
	}
	size := deliveries(len(held.Items))
	if held.Next != "" {
		size = "at least " + size
	}
	return link(v.link("/deliveries", "endpoint", e.ID, "state", string(webhook.StateHeld)), size)
}

// todo is what to do about the state that most needs it.
func (e endpoint) todo(day counts) g.Node {
	h := e.Health
	switch lost, fails := (endpointCounts{Total: day}).need(); {
	case e.Status != statusEnabled:
		return g.Text(words()[e.Status].todo)
	case h.Circuit.State == circuitOpen:
		return g.Text(words()[h.Circuit.State].todo)
	case h.State != string(webhook.Healthy):
		return g.Text(words()[h.State].todo)
	case fails:
		return g.Group{lost.why, g.Text(" "), lost.todo}
	case h.Circuit.State != circuitClosed:
		return g.Text("Wait for the attempt that tries it. If it fails too, mend the receiver: the attempts of its deliveries say what is wrong.")
	case h.PausedUntil != "":
		return g.Text("Wait: it is called again then. Resume it to call it at once.")
	case h.SlowedTo > 0:
		return g.Text("Let the receiver take more at a time, or give the endpoint a rate that it keeps up with.")
	case day.GivenUp > 0:
		return g.Text("Recover what it missed, if that was not done: the last attempts of some deliveries failed in the last 24 hours.")
	case day.Delivered == 0:
		return g.Text("Send a test: nothing was delivered in the last 24 hours, so nobody knows whether it answers.")
	}
	return g.Text("Nothing.")
}

// resumable tells whether there is anything that Resume would end.
func (e endpoint) resumable() bool {
	h := e.Health
	return e.Status != statusEnabled || h.Circuit.State != circuitClosed || h.State != string(webhook.Healthy) || h.PausedUntil != "" || h.SlowedTo > 0
}

// actions are what can be done to the endpoint; what is hard to undo asks again.
// They stand above all that changes by itself, so that none moves under a pointer.
func (e endpoint) actions(v *visit, etag, dayAgo string) g.Node {
	path := endpointPath(e.ID)
	return html.Section(html.H2(g.Text("What you can do")),
		html.Div(html.Class("actions"),
			v.act("Send a test", "", path+"/test"),
			html.A(html.Class("button quiet"), html.Href(v.link(path+"/edit")), g.Text("Edit"))),
		e.recover(v, dayAgo),
		g.If(e.Status == statusEnabled, html.Details(html.ID("pause"), html.Summary(g.Text("Pause")),
			html.Form(html.Method("post"), html.Action(v.link(path+"/pause")), html.Class("card stack"),
				html.P(g.Text("What comes from now on is held and sent when you resume it. Nothing is lost.")),
				field("Reason", input("reason", "", html.MaxLength("200")), "For the people who look at it later; may be left empty."),
				html.Div(submit("Pause the endpoint"))))),
		e.rotation(v, etag),
		html.Details(html.ID("delete"), html.Summary(g.Text("Delete")),
			html.Form(html.Method("post"), html.Action(v.link(path+"/delete")), html.Class("card stack"),
				html.P(g.Text("Its URL is told of nothing any more, and what is queued, waiting or held for it is not sent. Its secret is gone. This cannot be undone. To stop it for a while, pause it.")),
				g.If(e.Default, html.P(g.Text("It is the account's URL: jobs that name no URL of their own are told to nobody then, unless there are other endpoints."))),
				html.Div(html.Button(html.Type("submit"), html.Class("danger"), g.Text("Delete this endpoint for good"))))),
		live("resume", g.If(e.resumable(), html.Div(html.Class("actions"),
			v.act("Resume and drain", "", path+"/resume"),
			html.Span(html.Class("soft"), g.Text("calls it again at once, forgets what is known of its health, and sends what is held, the oldest first."))))),
	)
}

// rotation is the form that makes a new secret. By the ETag who sends it twice
// does not end the secret before.
func (e endpoint) rotation(v *visit, etag string) g.Node {
	if e.Signing == signNone {
		return nil
	}
	overlaps := []option{{"86400", "for a day"}, {"3600", "for an hour"}, {"604800", "for a week"}, {"0", "not at all: it has leaked"}}
	return html.Details(html.ID("rotate"), html.Summary(g.Text("Rotate the secret")),
		html.Form(html.Method("post"), html.Action(v.link(endpointPath(e.ID)+"/rotate")), html.Class("card stack"), hiddenField("etag", etag),
			html.P(g.Text("A new secret is made and shown once. So that no webhook is refused meanwhile, the present one can sign beside it for a while: give the new one to your receiver in that time.")),
			g.If(e.OldUntil != "", html.P(g.Text("The secret before the present one signs too until "), when(e.OldUntil), g.Text("; it ends with this."))),
			field("The present secret signs on", choice("overlap", "86400", overlaps), ""),
			html.Div(submit("Make a new secret"))))
}

// about are the facts that do not change by themselves.
func (e endpoint) about() g.Node {
	var own g.Node
	if len(e.Headers) > 0 {
		own = long("Headers of the endpoint's own, masked", visible(e.headerLines()))
	}
	return html.Div(html.Class("card"), facts(
		fact{"URL", code(e.URL)},
		fact{"Id", code(e.ID)},
		fact{"The account's URL", text(map[bool]string{true: "yes: used for jobs that name no URL of their own"}[e.Default])},
		fact{"Format", g.Group{html.Strong(text(e.Format)), g.Text(": " + formatWords()[e.Format])}},
		fact{"Event types", text(cmp.Or(typeNames(e.Types), "none chosen: all that the format sends; of the standard format, all of jobs but job.progress"))},
		fact{"Signature", text(signingWords(e.Signing))},
		fact{"Public key", code(e.PublicKey)},
		fact{"Old secret", optionalCountdown(e.OldUntil, ": until then it signs too")},
		fact{"Own headers", own},
		fact{"Made", when(e.CreatedAt)},
		fact{"Changed", when(e.UpdatedAt)},
	))
}

// secretSection shows the secret, or the public key, of an endpoint that has a
// new one, and what to do with it.
func secretSection(e endpoint) g.Node {
	how := html.P(g.Text("Your receiver verifies with it that a webhook is ours: "), html.A(html.Href(readme+"receiving-webhooks"), html.Rel("noopener noreferrer"), g.Text("how to verify, with receivers to copy")), g.Text(". Then send a test."))
	until := g.If(e.OldUntil != "", html.P(g.Text("The secret before signs too until "), countdown(e.OldUntil), g.Text(".")))
	switch {
	case e.Secret != "":
		return html.Section(html.Class("card"), html.H2(g.Text("The secret, shown this once")),
			html.P(g.Text("Keep it now: no page shows it again. If it gets lost, rotate it.")),
			copyable("secret", "The secret", e.Secret), until, how)
	case e.PublicKey != "":
		return html.Section(html.Class("card"), html.H2(g.Text("The public key")), copyable("public-key", "The public key", e.PublicKey), until, how)
	}
	return nil
}

// daySection shows the statistics of the last day.
func daySection(n statistics) g.Node {
	t := n.Total
	made := t.Delivered + t.Failed
	if made == 0 {
		return section("Last 24 hours", html.Div(html.Class("empty card"), html.P(g.Text("No attempt was made."))))
	}
	delivered, failed := make([]int, len(n.Hours)), make([]int, len(n.Hours))
	for i, h := range n.Hours {
		delivered[i], failed[i] = h.Delivered, h.Failed
	}
	spread := func(l *latencies) g.Group {
		return g.Map(percentileLines(), func(p percentile) g.Node { return html.Td(g.Text(atMost(l, p.of))) })
	}
	return section("Last 24 hours",
		html.Div(html.Class("card"), facts(
			fact{"Delivered", text(number(t.Delivered) + " of " + number(made) + " attempts, " + percentOf(t.Delivered, made))},
			fact{"Failed", text(number(t.Failed) + ", of these the last of their delivery: " + number(t.GivenUp))},
			fact{"By hour", sparkBars("Attempts by hour, those that delivered below those that failed", series{"delivered", "c1", delivered}, series{"failed", "c3", failed})},
		)),
		table("How long it took", []string{"What", "Half, at most", "95 %, at most", "99 %, at most"}, []g.Node{
			html.Tr(html.Th(html.Scope("row"), g.Text("The receiver's answer")), spread(t.Answer)),
			html.Tr(html.Th(html.Scope("row"), g.Text("From the event to its delivery")), spread(t.Lag)),
		}, nil))
}

// percentOf says a part; all and nothing are said only of all and nothing.
func percentOf(part, whole int) string {
	tenths := part * 1000 / whole
	if part > 0 && tenths == 0 {
		return "under 0.1 %"
	}
	return strings.TrimSuffix(strconv.FormatFloat(float64(tenths)/10, 'f', 1, 64), ".0") + " %"
}

// recover is the form that leads to a bulk resend of what the endpoint missed:
// since it has been failing, or for a day.
func (e endpoint) recover(v *visit, dayAgo string) g.Node {
	since := dayAgo
	if e.Health.State != string(webhook.Healthy) && e.Health.Since != "" {
		since = e.Health.Since
	}
	states := []option{
		{string(webhook.StateExhausted), "exhausted: every attempt failed"}, {string(webhook.StateDead), "dead: an answer was final"},
		{string(webhook.StateDeclined), "declined: it was disabled, or did not subscribe"}, {"", "all, also what was delivered"},
	}
	return html.Details(html.ID("recover"), html.Summary(g.Text("Recover what it missed")),
		html.P(g.Text("When the receiver was down, send once more what it did not get. It is counted first, and nothing is sent before you say so.")),
		html.Form(html.Method("get"), html.Action("/resends/new"), html.Class("bar card"), accountField(v), hiddenField("endpoint", e.ID), hiddenField("count", "1"),
			field("Since (UTC)", timeInput("since", since), ""), field("What", choice("state", string(webhook.StateExhausted), states), ""), submit("Count what it missed")))
}
