package dashboard

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
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

// resendDelivery sends a delivery once more, unless that has been done since its
// page was shown. Why it cannot be is said on its page.
func resendDelivery(v *visit) (page, error) {
	path, seen := deliveryPath(v.r.PathValue("id")), v.form("generation")
	var d delivery
	if err := v.get("/v1"+path, v.query(), &d); err != nil {
		return page{}, err
	}
	next := page{next: v.link(path, "said", "resent")}
	if seen != "" && seen != strconv.Itoa(d.Generation) {
		if !webhook.State(d.State).Final() { // somebody has pressed the button twice
			return next, nil
		}
		return showDelivery(v, &problem{Status: http.StatusConflict, Title: "It was not sent again",
			Detail: "It has been sent again since you opened this page; what came of that is below. Press Resend to send it once more."})
	}
	once := ""
	if seen != "" {
		once = "generation " + seen
	}
	_, err := v.send(apiCall{key: v.key, method: http.MethodPost, path: "/v1" + path + ":resend", query: v.query(), once: once})
	if p := refusalOf(err); p != nil && p.Status == http.StatusConflict {
		p.Title = "It was not sent again"
		return showDelivery(v, p)
	}
	return next, err
}

// showDelivery shows a delivery, below what was refused just now, if anything was.
func showDelivery(v *visit, refused *problem) (page, error) {
	path := deliveryPath(v.r.PathValue("id"))
	var d deliveryDetail
	if err := v.get("/v1"+path, v.query(), &d); err != nil {
		return page{}, err
	}
	decision, err := decisionOn(v, d.delivery)
	if err != nil {
		return page{}, err
	}
	request, none, err := requestOf(v, path)
	if err != nil {
		return page{}, err
	}
	p := page{title: "Delivery of " + visible(d.EventType), in: "/deliveries", live: !webhook.State(d.State).Final(), body: g.Group{
		problemBox(refused),
		live("resend", resendButton(v, d.delivery)),
		live("state", stateOf(d.delivery, decision)),
		section("What it is", originOf(v, d.delivery)),
		bodySection(request, none),
		live("attempts", attemptsSection(v, d, request)),
	}}
	if refused != nil {
		p.title, p.status = refusedTitle(p.title), refused.Status
	}
	return p, nil
}

// resendButton is the form that sends a delivery once more. It names the
// generation that is shown, so that who presses twice sends once.
func resendButton(v *visit, d delivery) g.Node {
	path := deliveryPath(d.ID)
	return html.Div(html.Class("actions"),
		html.Form(html.Method("post"), html.Action(v.link(path+"/resend")), html.Class("act"), hiddenField("generation", strconv.Itoa(d.Generation)), submit("Resend")),
		html.A(html.Class("button quiet"), html.Href(v.link(path+"/request")), g.Text("The request, and as curl")),
		html.Span(html.Class("soft"), g.Text("Resend sends the same event once more, with the same webhook-id and its whole retry schedule.")))
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
		list = append(list, text(w))
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
	return text(said)
}

// attemptsMade counts the attempts of the present sending.
func attemptsMade(d delivery) string {
	if d.Generation == 1 {
		return number(d.AttemptCount)
	}
	return fmt.Sprintf("%s since it was resent, which it was %s", number(d.AttemptCount), times(d.Generation-1))
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
		endpoint = link(v.link(endpointPath(d.Endpoint)), d.Endpoint)
	} else if d.URL != "" {
		endpoint = g.Text("none: the job itself names the URL")
	}
	if d.JobID != "" {
		job = g.Group{jobLink(v, d.Kind, d.JobID), text(fmt.Sprintf(" (%s, run %d)", d.Kind, d.Run))}
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

// visible shows the characters that browsers would swallow: ASCII's by the
// pictures that Unicode has for them, and others by their numbers, such as those
// that turn the order of what follows.
func visible(s string) string {
	var b strings.Builder
	for _, r := range strings.ReplaceAll(s, "\r\n", "\n") {
		switch {
		case r == '\n' || r == '\t':
			b.WriteRune(r)
		case r < ' ':
			b.WriteRune('\u2400' + r)
		case r == 0x7f:
			b.WriteRune('\u2421')
		case unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || strings.ContainsRune("\u200b\u2028\u2029\ufeff", r):
			fmt.Fprintf(&b, "[U+%04X]", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
