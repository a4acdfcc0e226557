package dashboard

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	g "maragu.dev/gomponents"
	"maragu.dev/gomponents/html"
)

// trial is a test webhook and what came of it.
type trial struct {
	Request   sentRequest   `json:"request"`
	Delivered bool          `json:"delivered"`
	Status    int           `json:"status"`
	Failure   string        `json:"failure"`
	Code      string        `json:"code"`
	Detail    string        `json:"detail"`
	Response  *response     `json:"response"`
	Timing    attemptTiming `json:"timing_ms"`
}

// verb asks the API to do something to the endpoint of the address.
func (v *visit) verb(name string, c apiCall) error {
	c.key, c.method, c.query = v.key, http.MethodPost, v.query()
	c.path = "/v1" + endpointPath(v.r.PathValue("id")) + ":" + name
	_, err := v.send(c)
	return err
}

// done shows the endpoint's page, which says so; or, below why not.
func (v *visit) done(err error, said, notDone string) (page, error) {
	id := v.r.PathValue("id")
	if p := refusalOf(err); p != nil {
		p.Title = notDone
		return showEndpoint(v, id, problemBox(p.named(formLabels())), p.Status)
	}
	return page{next: v.link(endpointPath(id), "said", said)}, err
}

func pauseEndpoint(v *visit) (page, error) {
	return v.done(v.verb("pause", apiCall{in: map[string]string{"reason": v.form("reason")}}), "paused", "It was not paused")
}

func resumeEndpoint(v *visit) (page, error) {
	return v.done(v.verb("resume", apiCall{}), "resumed", "It was not resumed")
}

func deleteEndpoint(v *visit) (page, error) {
	path := endpointPath(v.r.PathValue("id"))
	if err := v.call(http.MethodDelete, "/v1"+path, v.query(), nil, nil); err != nil {
		return v.done(err, "", "It was not deleted")
	}
	return page{next: v.link("/endpoints", "said", "deleted")}, nil
}

// rotateSecret shows the new secret, which no other page does.
func rotateSecret(v *visit) (page, error) {
	overlap, err := strconv.Atoi(v.form("overlap"))
	if err != nil {
		return v.done(&problem{Status: http.StatusUnprocessableEntity, Errors: []fieldProblem{{"overlap", "it is no number of seconds", "choose one of the list"}}}, "", "No secret was made")
	}
	var e endpoint
	err = v.verb("rotate-secret", apiCall{ifMatch: v.form("etag"), in: map[string]int{"overlap_seconds": overlap}, out: &e})
	var p *problem
	if errors.As(err, &p) && p.Status == http.StatusPreconditionFailed {
		p.Detail, p.Errors = "The endpoint was changed since you opened its page, or you have sent this form twice. Its secret is as it was left; look at the page below, and rotate it if that is still wanted.", nil
	}
	if err != nil {
		return v.done(err, "", "No secret was made")
	}
	return showEndpoint(v, e.ID, secretSection(e), 0)
}

// testEndpoint shows a test webhook and its answer. It is recorded nowhere.
func testEndpoint(v *visit) (page, error) {
	id := v.r.PathValue("id")
	var t trial
	if err := v.verb("test", apiCall{out: &t}); err != nil {
		return v.done(err, "", "The test was not sent")
	}
	met := deliveryAttempt{Status: t.Status, Failure: t.Failure, Code: t.Code, Detail: t.Detail}
	why := failure{}
	if !t.Delivered {
		why = explainAnswer(t.Status, t.Failure)
	}
	return page{title: "Test of an endpoint", in: "/endpoints", body: g.Group{
		html.Div(html.Class("card"), facts(
			fact{"Result", g.Group{t.badge(), g.Text(" "), text(answeredWhole(met))}},
			fact{"What it means", text(why.means)},
			fact{"What to do", text(why.todo)},
			fact{"Time", timingBar(t.Timing)},
		), html.Div(html.Class("actions"), v.act("Send another test", "", endpointPath(id)+"/test"), link(v.link(endpointPath(id)), "Back to the endpoint"))),
		section("What was sent",
			html.P(g.Text("POST "), code(t.Request.URL)),
			html.P(html.Class("soft"), g.Text("A test is in the standard format whatever the endpoint's own, signed as every webhook, and recorded nowhere. Headers of the endpoint's own are masked.")),
			html.Details(html.ID("request-headers"), g.Attr("open"), html.Summary(g.Text("Headers")), long("Headers of the request", visible(strings.Join(t.Request.lines(), "\n")))),
			html.Details(html.ID("request-body"), g.Attr("open"), html.Summary(g.Text("Body")), bodyText("Body of the request", t.Request.Body, ""))),
		section("What came back", t.answer()),
	}}, nil
}

func (t trial) badge() g.Node {
	if t.Delivered {
		return html.Span(html.Class("badge good"), g.Text("it arrived"))
	}
	return html.Span(html.Class("badge bad"), g.Text("it failed"))
}

// answer shows what the receiver answered.
func (t trial) answer() g.Node {
	if t.Response == nil {
		if t.Failure != "" {
			return html.P(g.Text("No answer came."))
		}
		return html.P(g.Text("An answer without headers or body."))
	}
	headers := strings.Join(sentRequest{Headers: t.Response.Headers}.lines(), "\n")
	return g.Group{
		g.If(headers != "", html.Details(html.ID("answer-headers"), g.Attr("open"), html.Summary(g.Text("Headers")), long("Headers of the answer", visible(headers)))),
		html.Details(html.ID("answer-body"), g.Attr("open"), html.Summary(g.Text("Body")), bodyText("Body of the answer", t.Response.Body, t.Response.BodyBase64)),
	}
}
