package dashboard

import (
	g "maragu.dev/gomponents"
	"maragu.dev/gomponents/html"
)

// word explains a state.
type word struct {
	tone  string // good, wait, bad or calm; the colour of its badge
	means string
	todo  string
	see   string // the heading of the README, as its anchor
}

const readme = "https://github.com/jobhook/jobhook#"

// words explains every state of a delivery, by its name, and those of endpoints,
// circuits, jobs and bulk resends.
func words() map[string]word {
	return map[string]word{
		"queued":     {"wait", "Its attempt is due and is made as soon as there is room.", "Nothing: it is a matter of moments. What stays queued for half an hour is sent again by itself.", "what-we-promise-and-how-it-is-tested"},
		"waiting":    {"wait", "The last attempt failed; the next one is scheduled.", "Look at the answer of the last attempt and mend the receiver; resend it if you do not want to wait.", "when-receivers-fail"},
		"held":       {"wait", "It may not be sent now; the reason says why.", "Nothing is lost: it is sent once the reason is gone. Resume the endpoint to try at once.", "when-receivers-fail"},
		"delivered":  {"good", "The receiver took it.", "Nothing.", "receiving-webhooks"},
		"exhausted":  {"bad", "Every attempt of its schedule failed.", "Mend the receiver, then resend it, or all that failed since, in bulk.", "when-receivers-fail"},
		"dead":       {"bad", "It failed in a way that is not tried again, such as an answer that its format takes for final.", "Mend the cause that its last attempt names, then resend it.", "when-receivers-fail"},
		"superseded": {"calm", "A newer progress event of the same job made it pointless.", "Nothing. It can be resent.", "the-five-formats"},
		"declined":   {"calm", "It was never sent; the reason says why: a filter, no URL, a disabled endpoint, a quota.", "If it should have been sent, change what the reason names, then resend it.", "when-receivers-fail"},

		"enabled":  {"good", "It is called.", "Nothing.", "when-receivers-fail"},
		"paused":   {"wait", "Its owner has paused it; what comes is held.", "Resume it: what is held is sent, the oldest first.", "when-receivers-fail"},
		"disabled": {"bad", "It is not called: its owner, an answer of 410, or days of failures have disabled it.", "Mend the receiver, resume it, then recover what was missed.", "when-receivers-fail"},
		"healthy":  {"good", "Nothing is known against it.", "Nothing.", "when-receivers-fail"},
		"failing":  {"bad", "It has been failing for a while, and will be disabled if it goes on.", "Mend the receiver: the attempts of its deliveries say what is wrong.", "when-receivers-fail"},

		"closed":    {"good", "It is called as ever.", "Nothing.", "when-receivers-fail"},
		"open":      {"bad", "It failed so often that it is left alone for a while.", "Mend the receiver; resume the endpoint to try at once.", "when-receivers-fail"},
		"half_open": {"wait", "It failed often; one attempt finds out whether it works again.", "Wait for that attempt. If it fails, mend the receiver: its answer says what is wrong.", "when-receivers-fail"},

		"running":   {"wait", "It is under way.", "Nothing: its counts rise by themselves. Cancel it if it was a mistake.", "why-did-i-get-no-webhook"},
		"done":      {"good", "It went to its end.", "Nothing, or look at the deliveries: that they were sent again does not mean that they arrived.", "why-did-i-get-no-webhook"},
		"cancelled": {"calm", "It was stopped; what was queued before is still sent.", "Start another one for the rest, if it is still wanted.", "why-did-i-get-no-webhook"},
		"exporting": {"wait", "Its files are being written.", "Nothing: a webhook tells when they are there.", "results-from-records-to-files"},
		"ready":     {"good", "Its files can be downloaded.", "Nothing.", "results-from-records-to-files"},
		"failed":    {"bad", "Its files could not be made, and nobody was told of them; the reason says why.", "Mend what the reason names, then run the job again.", "results-from-records-to-files"},
	}
}

// confirmations are what a page says after a form, by the name in its address.
func confirmations() map[string]string {
	return map[string]string{
		"resent":        "It is on its way once more.",
		"paused":        "The endpoint is paused. What comes is held, and nothing is lost.",
		"resumed":       "The endpoint is called again. What was held is sent, the oldest first.",
		"created":       "The endpoint is made.",
		"saved":         "It is saved.",
		"deleted":       "It is deleted.",
		"cancelled":     "The bulk resend is stopped. What it had queued is still sent.",
		"started":       "The bulk resend is under way.",
		"revoked":       "The key no longer works.",
		"links-ended":   "The links no longer work.",
		"redriven":      "The dead letters are queued again.",
		"redriven-some": "Some of the dead letters are queued again; there was no time for all. Do it once more for the rest.",
		"redriven-none": "There were no dead letters to queue again.",
	}
}

func (d *Dashboard) addHelp() {
	d.mux.HandleFunc("GET /help", d.signedOutOrIn(func(v *visit) (page, error) {
		return page{title: "What the words mean", body: g.Group{
			glossary("Deliveries", "queued", "waiting", "held", "delivered", "exhausted", "dead", "superseded", "declined"),
			glossary("Endpoints", "enabled", "paused", "disabled", "healthy", "failing"),
			glossary("Circuits of endpoints and hosts", "closed", "half_open", "open"),
			glossary("Files and bulk resends", "exporting", "ready", "running", "done", "cancelled", "failed"),
		}}, nil
	}))
}

func glossary(title string, names ...string) g.Node {
	return section(title, html.Dl(html.Class("glossary"), g.Map(names, func(name string) g.Node {
		w := words()[name]
		return html.Div(html.Dt(html.ID(name), html.Span(html.Class("badge "+w.tone), g.Text(name))),
			html.Dd(g.Text(w.means+" "), html.Strong(g.Text("What to do: ")), g.Text(w.todo),
				g.If(w.see != "", g.Group{g.Text(" "), html.A(html.Href(readme+w.see), html.Rel("noopener noreferrer"), g.Text("More in the README"))})))
	})))
}
