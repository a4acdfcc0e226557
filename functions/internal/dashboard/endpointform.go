package dashboard

import (
	"cmp"
	"crypto/rand"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	g "maragu.dev/gomponents"
	"maragu.dev/gomponents/html"

	"github.com/jobhook/jobhook/shared/format"
	"github.com/jobhook/jobhook/shared/webhook"
)

func newEndpointPage(v *visit) (page, error) {
	return showEndpointForm(v, newEndpoint(), endpointForm{format: format.Standard, signing: signHMAC}, nil), nil
}

// formTarget is where a form of an endpoint goes, and what it is about.
type formTarget struct {
	title, path, submit string
	hidden              g.Node // fields that are not shown
	headers             string // that the endpoint has, masked
}

func newEndpoint() formTarget {
	return formTarget{title: "New endpoint", path: "/endpoints", submit: "Make the endpoint", hidden: onceField()}
}

// onceField makes whoever sends a form twice get the first answer again.
func onceField() g.Node { return hiddenField("once", rand.Text()) }

// makeEndpoint shows the new endpoint with its secret, which no other page does.
func makeEndpoint(v *visit) (page, error) {
	f := endpointFormOf(v)
	body, own := f.body(endpointPolicy{})
	var e endpoint
	_, err := v.send(apiCall{key: v.key, method: http.MethodPost, path: "/v1/endpoints", query: v.query(), once: v.form("once"), in: body, out: &e})
	if p := refusalOf(alsoWrong(err, own)); p != nil {
		return showEndpointForm(v, newEndpoint(), f, p.titled("The endpoint was not made")), nil
	}
	if err != nil {
		return page{}, err
	}
	return showEndpoint(v, e.ID, g.Group{saidBox(confirmations()["created"]), secretSection(e)}, 0)
}

func editEndpointPage(v *visit) (page, error) {
	e, etag, err := readEndpoint(v, v.r.PathValue("id"))
	if err != nil {
		return page{}, err
	}
	return showEndpointForm(v, oldEndpoint(e, etag), endpointFormFrom(e), nil), nil
}

// readEndpoint reads an endpoint without the time of a secret that signs no more.
func readEndpoint(v *visit, id string) (e endpoint, etag string, err error) {
	etag, err = v.send(apiCall{key: v.key, method: http.MethodGet, path: "/v1" + endpointPath(id), query: v.query(), out: &e})
	if until, bad := time.Parse(stampLayout, e.OldUntil); bad == nil && !until.After(v.d.Now()) {
		e.OldUntil = ""
	}
	return e, etag, err
}

func oldEndpoint(e endpoint, etag string) formTarget {
	return formTarget{title: "Edit endpoint", path: endpointPath(e.ID) + "/edit", submit: "Save", hidden: hiddenField("etag", etag), headers: e.headerLines()}
}

// saveEndpoint changes an endpoint that is still as the form showed it. Rules of
// its policy that no field shows stay as they are.
func saveEndpoint(v *visit) (page, error) {
	old, etag, err := readEndpoint(v, v.r.PathValue("id"))
	if err != nil {
		return page{}, err
	}
	f := endpointFormOf(v)
	f.keeping = len(old.Headers) > 0
	body, own := f.body(old.Policy)
	var e endpoint
	_, err = v.send(apiCall{key: v.key, method: http.MethodPatch, path: "/v1" + endpointPath(old.ID), query: v.query(), ifMatch: v.form("etag"), in: body, out: &e})
	if p := refusalOf(alsoWrong(err, own)); p != nil {
		if p.Status != http.StatusPreconditionFailed { // else who saves once more has read of the other change
			etag = v.form("etag")
		}
		if f.keeping && !f.replaceHeaders {
			p.cure("headers", "tick the box there, and write them again below it; or tick it alone to remove them")
		}
		return showEndpointForm(v, oldEndpoint(old, etag), f, p.titled("Nothing was saved")), nil
	}
	if err != nil {
		return page{}, err
	}
	if e.Secret != "" { // it is signed in another way now
		return showEndpoint(v, e.ID, secretSection(e), 0)
	}
	return page{next: v.link(endpointPath(e.ID), "said", "saved")}, nil
}

// refusalOf is what the API says is wrong with a request, which is shown with the
// form; nil for what no form can mend.
func refusalOf(err error) *problem {
	var p *problem
	if !errors.As(err, &p) || p.Status >= http.StatusInternalServerError || p.Status == http.StatusUnauthorized || p.Status == http.StatusNotFound {
		return nil
	}
	return p
}

// alsoWrong adds what a form itself has found wrong to what the API refuses of
// it, in place of what the API says of the same fields.
func alsoWrong(err error, own []fieldProblem) error {
	p := refusalOf(err)
	if p == nil || len(own) == 0 {
		return err
	}
	mine := &problem{Errors: own}
	list := slices.Clone(own)
	for _, e := range p.Errors {
		if name, _, _ := strings.Cut(e.Field, "["); mine.at(name) == "" {
			list = append(list, e)
		}
	}
	p.Errors = list
	return p
}

// named is the problem with its fields called as the form calls them, where that
// is known.
func (p *problem) named(labels map[string]string) *problem {
	if p == nil {
		return nil
	}
	said := *p
	said.Errors = slices.Clone(p.Errors)
	for i, e := range said.Errors {
		name, position, _ := strings.Cut(e.Field, "[")
		label, known := labels[name]
		if n, err := strconv.Atoi(strings.TrimSuffix(position, "]")); err == nil && known {
			label += ", number " + strconv.Itoa(n+1)
		}
		if known {
			said.Errors[i].Field = label
		}
	}
	return &said
}

// refusedTitle is the title of a page whose form was refused.
func refusedTitle(title string) string { return "Refused: " + title }

// titled says what has not been done. Its fields say why, if it has any.
func (p *problem) titled(title string) *problem {
	p.Title = title
	switch {
	case p.Status == http.StatusPreconditionFailed:
		p.Detail = "Somebody has changed the endpoint since you opened the form. What you wrote is still below. Save it once more to put it in place of theirs, or open the form anew to see what they wrote."
		p.Errors = nil
	case len(p.Errors) > 0 && p.Status == http.StatusUnprocessableEntity:
		p.Detail = ""
	}
	return p
}

// at says what is wrong with a field, or with a part of it.
func (p *problem) at(field string) string {
	if p == nil {
		return ""
	}
	var list []string
	for _, e := range p.Errors {
		if rest, ok := strings.CutPrefix(e.Field, field); ok && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			list = append(list, sentence(e.Problem)+" "+sentence(e.Cure))
		}
	}
	return strings.Join(list, " ")
}

// cure says in the words of the page what to do about a field.
func (p *problem) cure(field, cure string) {
	for i := range p.Errors {
		if p.Errors[i].Field == field {
			p.Errors[i].Cure = cure
		}
	}
}

// asking is a field of a form, with what was refused of it. Control makes its
// control with what it is given besides.
func asking(p *problem, at, label string, control func(more g.Node) g.Node, hint string) g.Node {
	why := p.at(at)
	if why == "" {
		return field(label, control(nil), hint)
	}
	id := "refused-" + at
	return html.Div(field(label, control(g.Group{html.Aria("invalid", "true"), html.Aria("describedby", id)}), hint), html.P(html.ID(id), html.Class("wrong"), g.Text(why)))
}

// formLabels are what forms of endpoints call the fields that the API may refuse.
func formLabels() map[string]string {
	return map[string]string{
		"url": "URL", "webhook_url": "URL", "format": "Format", "webhook_format": "Format", "types": "Event types", "signing": "Signature", "headers": "Headers, one a line",
		"policy.timeout_seconds": "Timeout, in seconds", "policy.retry_seconds": "Retry after", "policy.rate": "Attempts a second", "policy.max_in_flight": "Attempts at a time",
		"reason": "Reason", "overlap": "The present secret signs on", "overlap_seconds": "The present secret signs on",
	}
}

// showEndpointForm shows the form with what was typed, below what was refused.
func showEndpointForm(v *visit, to formTarget, f endpointForm, p *problem) page {
	shown := page{title: to.title, in: "/endpoints", body: g.Group{
		problemBox(p.named(formLabels())),
		g.If(p != nil && p.Status == http.StatusPreconditionFailed, html.P(link(v.link(to.path), "Open the form anew"))),
		html.Form(html.Method("post"), html.Action(v.link(to.path)), html.Class("card stack"), to.hidden,
			asking(p, "url", "URL", func(more g.Node) g.Node {
				return html.Input(html.ID("url"), html.Name("url"), html.Type("url"), html.Value(f.url), html.Required(), html.MaxLength(strconv.Itoa(webhook.MaxURLBytes)), html.Placeholder("https://example.com/hook"), more)
			}, "Where your receiver takes webhooks, by POST."),
			f.formats(p), f.eventTypes(p),
			asking(p, "signing", "Signature", func(more g.Node) g.Node { return signingChoice("signing", f.signing, more) },
				"By it your receiver knows that a webhook is ours. The secret is shown once, when it is made. Another way to sign takes the place of the present one at once."),
			f.policy(p), f.ownHeaders(p, to.headers),
			html.Div(html.Class("actions"), submit(to.submit), link(v.link(strings.TrimSuffix(to.path, "/edit")), "Cancel")),
		),
	}}
	if p != nil {
		shown.title, shown.status = refusedTitle(to.title), p.Status
	}
	return shown
}

// formats are to choose from, each with its policy. The style sheet leaves the
// policies out that are not chosen, where the browser can.
func (f endpointForm) formats(p *problem) g.Node {
	return html.FieldSet(html.Legend(g.Text("Format")),
		html.Small(g.Text("The body, and the policy by which it is delivered unless you say otherwise below.")),
		g.Map(formatNames(), func(name string) g.Node {
			return html.Div(html.Class("pick"),
				html.Label(html.Class("check"), html.Input(html.Type("radio"), html.Name("format"), html.Value(name), g.If(f.format == name, html.Checked())),
					html.Span(html.Strong(g.Text(name)), g.Text(": "+formatWords()[name]))),
				html.Div(html.Class("preview"), policyIn(name, endpointPolicy{}, f.types)))
		}), wrongIn(p, "format"))
}

func (f endpointForm) eventTypes(p *problem) g.Node {
	return html.FieldSet(html.Legend(g.Text("Event types")),
		html.Small(g.Text("None chosen: all that the format sends; of the standard format, all of jobs but job.progress.")),
		g.Map(webhook.Subscribable(), func(t webhook.EventType) g.Node {
			return html.Label(html.Class("check"), html.Input(html.Type("checkbox"), html.Name("types"), html.Value(string(t)), g.If(slices.Contains(f.types, t), html.Checked())),
				html.Span(html.Code(g.Text(string(t))), g.Text(" "+typeWords()[t])))
		}), wrongIn(p, "types"))
}

// typeWords say when an event happens.
func typeWords() map[webhook.EventType]string {
	return map[webhook.EventType]string{
		webhook.JobProgress:            "a job has changed, and not ended",
		webhook.JobFinished:            "a run ended with success",
		webhook.JobFailed:              "a run failed",
		webhook.JobStopped:             "a run was stopped",
		webhook.ResultSetReady:         "the results of a run can be downloaded",
		webhook.EndpointFailingEvent:   "another endpoint of yours has been failing (formats standard and auto only)",
		webhook.EndpointDisabledEvent:  "another endpoint of yours was disabled (formats standard and auto only)",
		webhook.EndpointRecoveredEvent: "another endpoint of yours works again (formats standard and auto only)",
	}
}

// wrongIn says what was refused of a group of controls.
func wrongIn(p *problem, at string) g.Node {
	why := p.at(at)
	if why == "" {
		return nil
	}
	return html.P(html.Class("wrong"), g.Text(why))
}

// signingChoice is the list of the ways to sign.
func signingChoice(name, chosen string, more g.Node) g.Node {
	return html.Select(html.ID(name), html.Name(name), more, g.Map([]string{signHMAC, signEd25519, signNone}, func(s string) g.Node {
		return html.Option(html.Value(s), g.If(s == cmp.Or(chosen, signHMAC), html.Selected()), g.Text(signingWords(s)))
	}))
}

// policy are the fields of what the endpoint has otherwise than its format.
func (f endpointForm) policy(p *problem) g.Node {
	amount := func(name, value string, least, most int) func(g.Node) g.Node {
		return func(more g.Node) g.Node {
			return html.Input(html.ID(name), html.Name(name), html.Type("number"), html.Min(strconv.Itoa(least)), html.Max(strconv.Itoa(most)), html.Value(value), more)
		}
	}
	return html.FieldSet(html.Legend(g.Text("Another policy than the format's")), html.Class("stack"),
		html.Small(g.Text("What is left empty is as the format has it.")),
		asking(p, "policy.timeout_seconds", formLabels()["policy.timeout_seconds"], amount("timeout", f.timeout, 1, int(webhook.MaxTimeout/time.Second)), "1 to 30. What takes longer counts as failed."),
		asking(p, "policy.retry_seconds", formLabels()["policy.retry_seconds"], func(more g.Node) g.Node {
			return html.Input(html.ID("retries"), html.Name("retries"), html.Type("text"), html.Value(f.retries), html.Placeholder("5 s, 5 min, 1 h"), more)
		}, "The waits between the attempts, at most 20 of 1 s to 72 h each, with commas between: 5 s, 5 min, 1 h. Write none for no retries."),
		asking(p, "policy.rate", formLabels()["policy.rate"], amount("rate", f.rate, 0, webhook.MaxRate), "What is beyond waits. 0 is no bound."),
		asking(p, "policy.max_in_flight", formLabels()["policy.max_in_flight"], amount("parallel", f.parallel, 1, webhook.MaxParallel), "In each process that delivers; 64 unless you say otherwise."),
	)
}

// ownHeaders is the field of the endpoint's own headers. Those there are cannot
// be shown whole, so they are kept or replaced together.
func (f endpointForm) ownHeaders(p *problem, masked string) g.Node {
	return html.FieldSet(html.Legend(g.Text("Headers of your own")), html.Class("stack"),
		g.If(f.keeping, g.Group{
			html.Small(g.Text("Those there are, masked:")), long("The present headers, masked", visible(masked)),
			html.Label(html.Class("check"), html.Input(html.Type("checkbox"), html.Name("replace"), html.Value("1"), g.If(f.replaceHeaders, html.Checked())),
				html.Span(g.Text("Replace them all by those written below. With nothing below, they are removed."))),
		}),
		asking(p, "headers", formLabels()["headers"], func(more g.Node) g.Node {
			return html.Textarea(html.ID("headers"), html.Name("headers"), html.Placeholder("Authorization: Bearer abc"), html.AutoComplete("off"), more, g.Text(f.headers))
		}, "Every webhook carries them. At most ten. They are kept sealed, and no page shows a value again."),
	)
}
