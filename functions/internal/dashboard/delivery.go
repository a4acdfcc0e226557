package dashboard

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	g "maragu.dev/gomponents"
	"maragu.dev/gomponents/html"

	"github.com/jobhook/jobhook/shared/webhook"
)

// deliveryDetail is a delivery with its attempts, the oldest first.
type deliveryDetail struct {
	delivery
	Attempts []deliveryAttempt `json:"attempts"`
}

func deliveryPage(v *visit) (page, error) { return showDelivery(v, nil) }

// resendDelivery sends a delivery once more. Why it cannot be is said on its page.
func resendDelivery(v *visit) (page, error) {
	id := v.r.PathValue("id")
	err := v.post("/v1/deliveries/"+seg(id)+":resend", v.query(), nil, nil)
	var p *problem
	if errors.As(err, &p) && p.Status == http.StatusConflict {
		p.Title = "It was not sent again"
		return showDelivery(v, p)
	}
	return page{next: v.link("/deliveries/"+seg(id), "said", "resent")}, err
}

// showDelivery shows a delivery, below what was refused just now, if anything was.
func showDelivery(v *visit, refused *problem) (page, error) {
	id := v.r.PathValue("id")
	var d deliveryDetail
	if err := v.get("/v1/deliveries/"+seg(id), v.query(), &d); err != nil {
		return page{}, err
	}
	decision, err := decisionOn(v, d.delivery)
	if err != nil {
		return page{}, err
	}
	request, err := requestSection(v, d.delivery)
	if err != nil {
		return page{}, err
	}
	p := page{title: "Delivery of " + d.EventType, in: "/deliveries", live: !webhook.State(d.State).Final(), body: g.Group{
		problemBox(refused),
		live("state", stateOf(d.delivery, decision)),
		html.Div(html.Class("actions"), v.act("Resend", "", "/deliveries/"+seg(id)+"/resend"),
			html.Span(html.Class("soft"), g.Text("sends the same event once more, with the same webhook-id and all its attempts."))),
		section("What it is", originOf(v, d.delivery)),
		live("attempts", attemptsSection(v, d)),
		request,
	}}
	if refused != nil {
		p.status = refused.Status
	}
	return p, nil
}

// decisionOn is what the API says has become of a delivery, and why.
func decisionOn(v *visit, d delivery) (string, error) {
	var e struct {
		Targets []struct {
			Delivery string `json:"delivery"`
			Decision string `json:"decision"`
		} `json:"targets"`
	}
	if err := v.get("/v1/events/"+seg(d.EventID), v.query(), &e); err != nil {
		return "", err
	}
	for _, t := range e.Targets {
		if t.Delivery == d.ID {
			return t.Decision, nil
		}
	}
	return d.Reason, nil
}

// stateOf says where a delivery stands, what that means and what to do.
func stateOf(d delivery, decision string) g.Node {
	w, met := words()[d.State], failure{}
	next, state := g.Node(nil), webhook.State(d.State)
	switch state {
	case webhook.StateWaiting, webhook.StateHeld, webhook.StateExhausted, webhook.StateDead:
		met = explainAnswer(d.LastStatus, d.LastFailure)
	}
	if d.NextAttemptAt != "" && !state.Final() {
		next = countdown(d.NextAttemptAt)
	}
	return html.Div(html.Class("card"), facts(
		fact{"State", g.Group{badge(d.State), g.Text(" " + w.means)}},
		fact{"Why", sentenceTimes(decision)},
		fact{"Last answer", lastAnswer(d, met)},
		fact{"What to do", g.Group{g.Text(cmp.Or(met.todo, w.todo)), g.If(met.todo != "", g.Text(" "+w.todo)),
			g.If(w.see != "", g.Group{g.Text(" "), html.A(html.Href(readme+w.see), html.Rel("noopener noreferrer"), g.Text("More in the README"))})}},
		fact{"Next attempt", next},
		fact{"Attempts", text(attemptsMade(d))},
		fact{"Delivered", optionalTime(d.DeliveredAt)},
	))
}

// sentenceTimes shows a sentence of the API with its times as all others are shown.
func sentenceTimes(s string) g.Node {
	var list g.Group
	for i, w := range strings.Split(s, " ") {
		stamp := strings.TrimRight(w, ".,;")
		if i > 0 {
			list = append(list, g.Text(" "))
		}
		if _, err := time.Parse(stampLayout, stamp); err == nil {
			list = append(list, when(stamp), g.Text(w[len(stamp):]))
			continue
		}
		list = append(list, g.Text(w))
	}
	return list
}

// lastAnswer is a fact's value, nil where no attempt was made.
func lastAnswer(d delivery, met failure) g.Node {
	if d.LastStatus == 0 && d.LastFailure == "" {
		return nil
	}
	said := answered(d.LastStatus, d.LastFailure)
	if met.means != "" {
		said += ": " + met.means
	}
	return g.Text(said)
}

// attemptsMade counts the attempts of the present sending.
func attemptsMade(d delivery) string {
	if d.Generation == 1 {
		return number(d.AttemptCount)
	}
	return fmt.Sprintf("%s since it was resent, which it was %s", number(d.AttemptCount), timesOver(d.Generation-1))
}

func timesOver(n int) string {
	if n == 1 {
		return "once"
	}
	return number(n) + " times"
}

// optionalTime is a fact's value, nil when there is none.
func optionalTime(stamp string) g.Node {
	if stamp == "" {
		return nil
	}
	return when(stamp)
}

// originOf says what is delivered, and where to.
func originOf(v *visit, d delivery) g.Node {
	var endpoint, job g.Node
	if d.Endpoint != "" {
		endpoint = link(v.link("/endpoints/"+seg(d.Endpoint)), d.Endpoint)
	} else if d.URL != "" {
		endpoint = g.Text("none: the job itself names the URL")
	}
	if d.JobID != "" {
		job = g.Group{jobLink(v, d.Kind, d.JobID), g.Textf(" (%s, run %d)", d.Kind, d.Run)}
	}
	return html.Div(html.Class("card"), facts(
		fact{"Event", link(v.link("/events/"+seg(d.EventID)), d.EventType)},
		fact{"Job", job},
		fact{"Endpoint", endpoint},
		fact{"URL", code(d.URL)},
		fact{"Format", text(d.Format)},
		fact{"webhook-id", g.Group{code(d.EventID), html.Small(g.Text(" stays the same over retries and resends: drop by it what comes twice"))}},
		fact{"Delivery id", code(d.ID)},
		fact{"Created", when(d.CreatedAt)},
		fact{"Kept until", optionalTime(d.ExpiresAt)},
	))
}

// requestSection shows the request as it would be sent now, or why there is none.
func requestSection(v *visit, d delivery) (g.Node, error) {
	var r sentRequest
	err := v.get("/v1/deliveries/"+seg(d.ID)+"/request", v.query(), &r)
	var p *problem
	if errors.As(err, &p) && p.Status == http.StatusConflict {
		return section("The request", html.P(g.Text("There is none: "+p.Detail),
			g.Map(p.Errors, func(e fieldProblem) g.Node { return g.Text(" " + sentence(e.Problem) + " " + sentence(e.Cure)) }))), nil
	}
	if err != nil {
		return nil, err
	}
	return section("The request",
		html.P(g.Text("As it would be sent now, to "), html.Code(g.Text(r.URL)), g.Text(". Headers of the endpoint's own are masked.")),
		html.Details(html.ID("request-headers"), html.Summary(g.Text("Headers")), long("Headers of the request", strings.Join(r.lines(), "\n"))),
		html.Details(html.ID("request-body"), g.Attr("open"), html.Summary(g.Text("Body")), bodyText("Body of the request", r.Body, r.BodyBase64)),
		html.Details(html.ID("request-curl"), html.Summary(g.Text("As a curl command")),
			html.P(html.Class("soft"), signature(r), g.Text(" Write the values of masked headers yourself.")),
			copyable("curl", "The request as a curl command", r.curl())),
	), nil
}

// signature says how long the request can be used.
func signature(r sentRequest) g.Node {
	if !r.signed() {
		return g.Text("It is not signed, as its target has no secret.")
	}
	return g.Group{g.Text("Signed at "), when(r.SignedAt), g.Text(": receivers refuse a signature that is older than five minutes, so load this page anew for a new one.")}
}

// sentence makes a sentence of a part of one.
func sentence(s string) string {
	s = strings.TrimRight(s, ".")
	if s == "" {
		return ""
	}
	first, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(first)) + s[size:] + "."
}

// shownBinary is how many bytes are shown of what is no text.
const shownBinary = 256

// bodyText shows a body: JSON in its lines, other text as it is, and bytes that
// are no text as such.
func bodyText(label, body, base64Body string) g.Node {
	if base64Body != "" {
		raw, err := base64.StdEncoding.DecodeString(base64Body)
		if err != nil {
			return long(label, base64Body)
		}
		return g.Group{html.P(g.Textf("Binary, %s bytes%s.", number(len(raw)), onlyFirst(len(raw)))), long(label, hex.Dump(raw[:min(len(raw), shownBinary)]))}
	}
	if body == "" {
		return html.P(html.Class("soft"), g.Text("Empty."))
	}
	var pretty bytes.Buffer
	if json.Indent(&pretty, []byte(body), "", "  ") == nil {
		body = pretty.String()
	}
	return long(label, visible(body))
}

func onlyFirst(size int) string {
	if size <= shownBinary {
		return ""
	}
	return fmt.Sprintf("; the first %d are", shownBinary)
}

// visible shows control characters, which browsers would swallow, by the
// pictures that Unicode has for them.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r < ' ':
			return '\u2400' + r
		case r == 0x7f:
			return '\u2421'
		}
		return r
	}, strings.ReplaceAll(s, "\r\n", "\n"))
}
