package dashboard

import (
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	g "maragu.dev/gomponents"
	"maragu.dev/gomponents/html"

	"github.com/jobhook/jobhook/shared/webhook"
)

// requestOf is the request of the delivery at a path as it would be sent now;
// nil, and why, where there is nowhere to send it.
func requestOf(v *visit, path string) (*sentRequest, *problem, error) {
	var r sentRequest
	err := v.get("/v1"+path+"/request", v.query(), &r)
	if p := refusalOf(err); p != nil && p.Status == http.StatusConflict {
		return nil, p, nil
	}
	return &r, nil, err
}

// requestPage shows the request as it would be sent now, also as a command. It
// is a page of its own, as it is another at every moment: it is signed anew.
func requestPage(v *visit) (page, error) {
	path := deliveryPath(v.r.PathValue("id"))
	r, none, err := requestOf(v, path)
	if err != nil {
		return page{}, err
	}
	p := page{title: "The request of a delivery", in: "/deliveries"}
	back := html.P(link(v.link(path), "Back to the delivery"))
	if none != nil {
		p.body = g.Group{noRequest(none), back}
		return p, nil
	}
	p.body = g.Group{
		html.P(g.Text("As it would be sent now, to "), code(r.URL), g.Text(". Headers of the endpoint's own are masked.")), back,
		section("As a curl command",
			html.P(html.Class("soft"), signature(*r), g.Text(" Write the values of masked headers yourself.")),
			copyable("curl", "The request as a curl command", r.curl())),
		section("Headers", long("Headers of the request", visible(strings.Join(r.lines(), "\n")))),
		section("Body", bodyText("Body of the request", r.Body, r.BodyBase64)),
	}
	return p, nil
}

// noRequest says why there is no request.
func noRequest(why *problem) g.Node {
	return html.P(g.Text("There is none: "+why.Detail), g.Map(why.Errors, func(e fieldProblem) g.Node {
		return text(" Reason: " + e.Problem + ". " + sentence(e.Cure))
	}))
}

// signature says how long the request can be used.
func signature(r sentRequest) g.Node {
	if !r.signed() {
		return g.Text("It is not signed, as its target has no secret.")
	}
	return g.Group{g.Text("Signed at "), when(r.SignedAt), g.Text(": receivers refuse a signature that is older than five minutes, so load this page anew for a new one.")}
}

// bodySection shows what all attempts of a delivery send. It takes nothing of
// the request that changes with the time, so that the page stays as it is.
func bodySection(r *sentRequest, none *problem) g.Node {
	if r == nil {
		return section("What is sent", noRequest(none))
	}
	return section("What is sent",
		html.Details(html.ID("request-body"), html.Summary(g.Text("Body of the request")),
			html.P(html.Class("soft"), g.Text("Every attempt sends this: it is made of the event, which does not change, in the format that the delivery has had from the beginning.")),
			bodyText("Body of the request", r.Body, r.BodyBase64)))
}

// shownBody is how many bytes a body may have that is shown with each attempt.
const shownBody = 4 << 10

// requestDetails shows the request of an attempt, as far as it is known: what is
// the same each time by the request r, which is nil where none can be made any more.
func requestDetails(id string, d delivery, a deliveryAttempt, r *sentRequest) g.Node {
	if a.unmade() {
		return nil
	}
	shown := sentRequest{URL: a.URL, Headers: map[string][]string{webhook.HeaderID: {d.EventID}}}
	if r != nil {
		shown.Headers, shown.Body, shown.BodyBase64 = r.constant(), r.Body, r.BodyBase64
	}
	if at, err := time.Parse(stampLayout, a.At); err == nil {
		shown.Headers[webhook.HeaderTimestamp] = []string{strconv.FormatInt(at.Unix(), 10)}
	}
	return html.Details(html.ID(id+"-request"), html.Summary(g.Text("Request")),
		g.If(a.unsent(), html.P(html.Strong(g.Text("It did not get as far as the receiver.")))),
		html.P(g.Text("POST "), code(a.URL)),
		long("Headers of the request of "+a.At, visible(strings.Join(shown.lines(), "\n"))),
		html.P(html.Class("soft"), g.Text("A signature is made for each attempt and not kept. Headers of the endpoint's own are shown as it has them now, masked.")),
		attemptBody(a, shown, r != nil))
}

// attemptBody shows the body of an attempt's request; of a long one, where it is.
func attemptBody(a deliveryAttempt, r sentRequest, known bool) g.Node {
	switch {
	case !known:
		return html.P(html.Class("soft"), g.Text("The body cannot be made any more: the delivery has nowhere to go now."))
	case len(r.Body)+len(r.BodyBase64) > shownBody:
		return html.P(html.A(html.Href("#request-body"), g.Text("The body")), g.Text(" is the same as that of every attempt."))
	}
	return bodyText("Body of the request of "+a.At, r.Body, r.BodyBase64)
}

// constant are the headers that are the same for every attempt.
func (r sentRequest) constant() map[string][]string {
	kept := maps.Clone(r.Headers)
	maps.DeleteFunc(kept, func(name string, _ []string) bool {
		return strings.EqualFold(name, webhook.HeaderSignature) || strings.EqualFold(name, webhook.HeaderTimestamp)
	})
	return kept
}

// unmade tells whether the attempt ended before there was a request.
func (a deliveryAttempt) unmade() bool { return a.Failure == string(webhook.FailureUnsendable) }

// unsent tells whether the attempt ended before its request was on its way.
func (a deliveryAttempt) unsent() bool {
	switch webhook.Failure(a.Failure) {
	case webhook.FailureDNS, webhook.FailureConnect, webhook.FailureTLS, webhook.FailureRefusedAddress, webhook.FailureOurs:
		return true
	}
	return false
}
