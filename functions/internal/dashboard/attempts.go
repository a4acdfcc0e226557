package dashboard

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	g "maragu.dev/gomponents"
	"maragu.dev/gomponents/html"

	"github.com/jobhook/jobhook/shared/webhook"
)

// deliveryAttempt is one request of a delivery, and what came of it.
type deliveryAttempt struct {
	At         string        `json:"at"`
	Generation int           `json:"generation"`
	URL        string        `json:"url"`
	Status     int           `json:"status"`
	Failure    string        `json:"failure"`
	Code       string        `json:"code"`
	Detail     string        `json:"detail"`
	RetryAfter int           `json:"retry_after_seconds"`
	Response   *response     `json:"response"`
	Timing     attemptTiming `json:"timing_ms"`
	State      string        `json:"state"`
	Reason     string        `json:"reason"`
	Late       bool          `json:"late"`
}

// response is what a receiver answered.
type response struct {
	Headers    map[string][]string `json:"headers"`
	Body       string              `json:"body"`
	BodyBase64 string              `json:"body_base64"`
}

// attemptTiming splits the time of an attempt, in milliseconds.
type attemptTiming struct {
	DNS       float64 `json:"dns"`
	Connect   float64 `json:"connect"`
	TLS       float64 `json:"tls"`
	FirstByte float64 `json:"first_byte"`
	Total     float64 `json:"total"`
}

// shownAttempts is how many attempts are shown unless somebody asks for all.
const shownAttempts = 10

// attemptsSection shows the attempts of all sendings, the newest first, each
// with its request as far as r tells.
func attemptsSection(v *visit, d deliveryDetail, r *sentRequest) g.Node {
	if len(d.Attempts) == 0 {
		return section("Attempts", html.Div(html.Class("empty card"), html.P(g.Text("None was made."))))
	}
	var cards g.Group
	for i, a := range slices.Backward(d.Attempts) {
		if len(cards) == shownAttempts && v.param("attempts") == "" {
			more := fmt.Sprintf("Show all %d attempts", len(d.Attempts))
			cards = append(cards, html.P(link(v.link(deliveryPath(d.ID), "attempts", "all"), more)))
			break
		}
		id := "attempt-" + strconv.Itoa(i)
		cards = append(cards, attemptCard(id, a, requestDetails(id, d.delivery, a, r), i == len(d.Attempts)-1))
	}
	return section("Attempts", cards)
}

// attemptCard shows an attempt under an id, with its request.
func attemptCard(id string, a deliveryAttempt, request g.Node, newest bool) g.Node {
	taken, met := a.State == string(webhook.StateDelivered), failure{}
	if !taken {
		met = explainAnswer(a.Status, a.Failure)
	}
	sending := ""
	if a.Generation > 1 {
		sending = "resend " + strconv.Itoa(a.Generation-1)
	}
	asked := ""
	if a.RetryAfter > 0 {
		asked = fmt.Sprintf("to wait %s s (Retry-After)", number(a.RetryAfter))
	}
	late := ""
	if a.Late {
		late = "another attempt had decided already, so this one changed nothing"
	}
	return html.Article(html.Class("card"),
		html.H3(when(a.At), g.Text(": "), text(answeredWhole(a))),
		facts(
			fact{"URL", code(a.URL)},
			fact{"Sent as", text(sending)},
			fact{"State after it", g.Group{badge(a.State), g.Text(" "), text(a.Reason)}},
			fact{"What it means", text(met.means)},
			fact{"What to do", text(met.todo)},
			fact{"It asked", text(asked)},
			fact{"Late", text(late)},
			fact{"Time", timingBar(a.Timing)},
		),
		request, responseDetails(id, a, newest),
		g.If(taken && a.Response != nil, html.P(html.Class("soft"), g.Text("Of a success no headers and at most 256 bytes of the body are kept."))),
	)
}

// answeredWhole says what an attempt was answered with: the status by its name
// as well, a failure with its details.
func answeredWhole(a deliveryAttempt) string {
	if a.Failure == "" {
		return strings.TrimSpace(strconv.Itoa(a.Status) + " " + http.StatusText(a.Status))
	}
	s := answered(a.Status, a.Failure)
	if a.Detail != "" {
		s += ": " + a.Detail
	}
	if a.Code != "" {
		s += " (" + a.Code + ")"
	}
	return s
}

// responseDetails shows what is kept of an answer; nothing where there was none.
func responseDetails(id string, a deliveryAttempt, open bool) g.Node {
	r := a.Response
	if r == nil {
		return nil
	}
	headers := strings.Join(sentRequest{Headers: r.Headers}.lines(), "\n")
	return g.Group{
		g.If(headers != "", html.Details(html.ID(id+"-headers"), html.Summary(g.Text("Headers of the answer")), long("Headers of the answer of "+a.At, visible(headers)))),
		html.Details(html.ID(id+"-body"), g.If(open, g.Attr("open")), html.Summary(g.Text("Body of the answer")), bodyText("Body of the answer of "+a.At, r.Body, r.BodyBase64)),
	}
}

// step is a part of an attempt's time.
type step struct {
	name  string
	class string // its colour
	ms    float64
}

// steps are the parts of the whole, in the order in which they come. The rest is
// what is written, read and waited for besides.
func (t attemptTiming) steps() []step {
	known := t.DNS + t.Connect + t.TLS + t.FirstByte
	return []step{{"DNS", "c1", t.DNS}, {"connect", "c2", t.Connect}, {"TLS", "c3", t.TLS}, {"first byte", "c4", t.FirstByte}, {"rest", "c5", max(0, t.Total-known)}}
}

// timingBar shows where the time of an attempt went, as a bar and in words; nil
// when it took none.
func timingBar(t attemptTiming) g.Node {
	if t.Total <= 0 {
		return nil
	}
	var bars, words g.Group
	x, whole := 0.0, max(t.Total, t.DNS+t.Connect+t.TLS+t.FirstByte)
	for _, s := range t.steps() {
		if s.ms <= 0 {
			continue
		}
		width := s.ms / whole * 100
		bars = append(bars, g.El("rect", html.Class(s.class), g.Attr("x", decimal(x)), g.Attr("y", "0"), g.Attr("width", decimal(width)), g.Attr("height", "10")))
		words = append(words, html.Span(html.Class("nowrap"), g.El("i", html.Class(s.class)), g.Text(s.name+" "+ms(s.ms))), g.Text(" "))
		x += width
	}
	reused := t.DNS+t.Connect+t.TLS == 0 && t.FirstByte > 0
	return g.Group{
		html.SVG(g.Attr("viewBox", "0 0 100 10"), g.Attr("width", "100%"), g.Attr("height", "12"), g.Attr("preserveAspectRatio", "none"), html.Aria("hidden", "true"), bars),
		html.Span(html.Class("key"), g.Text(ms(t.Total)+" in all:"), words, g.If(reused, g.Text(" on a connection that was open already"))),
	}
}

// decimal writes a length of a drawing.
func decimal(f float64) string { return strconv.FormatFloat(f, 'f', 2, 64) }
