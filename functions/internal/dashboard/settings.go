package dashboard

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"

	g "maragu.dev/gomponents"
	"maragu.dev/gomponents/html"

	"github.com/jobhook/jobhook/shared/format"
	"github.com/jobhook/jobhook/shared/webhook"
)

// settings are an account's, as the API shows them.
type settings struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Default   *endpoint `json:"default_endpoint"` // nil: the account has no URL
	Quotas    quotas    `json:"quotas"`
	CreatedAt string    `json:"created_at"`
}

// quotas bound what an account may use; what is absent is as the host has it.
type quotas struct {
	Endpoints       int  `json:"endpoints"`
	RequestRate     int  `json:"request_rate"`
	EventsPerMinute int  `json:"events_per_minute"`
	RetentionDays   int  `json:"retention_days"`
	Retries         *int `json:"retries"`
}

func (d *Dashboard) addSettings() {
	d.show("/settings", ofAnAccount(func(v *visit) (page, error) { return showSettings(v, settingsNews{}) }))
	d.do("/settings", saveURL)
	for path, f := range map[string]func(*visit) (page, error){
		"/settings/remove": removeURL, "/settings/keys": makeKey, "/settings/keys/{key}/revoke": revokeKey,
	} {
		d.do(path, f)
	}
}

// settingsNews is what a form of the settings has led to.
type settingsNews struct {
	top     g.Node   // what was made
	urlForm *urlForm // what was typed, and refused
	keyForm *keyForm
}

// status is that of what was refused; 0 where nothing was.
func (n settingsNews) status() int {
	switch {
	case n.urlForm != nil:
		return n.urlForm.refused.Status
	case n.keyForm != nil:
		return n.keyForm.refused.Status
	}
	return 0
}

// accountPath is an account's own in the API, which knows it by its path.
func (v *visit) accountPath() string { return "/v1/accounts/" + seg(v.account()) }

// chosen refuses the settings of no account.
func (v *visit) chosen() error {
	if v.account() != "" {
		return nil
	}
	return &problem{Status: http.StatusUnprocessableEntity, Title: "Whose settings?", Detail: "Choose an account first, on the page of all accounts."}
}

func showSettings(v *visit, n settingsNews) (page, error) {
	if err := v.chosen(); err != nil {
		return page{}, err
	}
	var s settings
	if err := v.get(v.accountPath(), nil, &s); err != nil {
		return page{}, err
	}
	keys, err := keysSection(v, n.keyForm)
	if err != nil {
		return page{}, err
	}
	title := "Settings"
	if n.status() != 0 {
		title = refusedTitle(title)
	}
	return page{title: title, in: "/settings", status: n.status(), body: g.Group{
		n.top, s.urlSection(v, n.urlForm), s.limitsSection(), keys,
	}}, nil
}

// urlForm is what is typed into the form of the account's URL.
type urlForm struct {
	url, format, signing string
	refused              *problem
}

// saveURL sets the account's URL. A secret that this makes is shown here alone.
func saveURL(v *visit) (page, error) {
	if err := v.chosen(); err != nil {
		return page{}, err
	}
	f := urlForm{url: v.form("webhook_url"), format: v.form("webhook_format"), signing: v.form("signing")}
	var err error
	if f.url == "" { // which would remove the URL
		err = &problem{Status: http.StatusUnprocessableEntity, Errors: []fieldProblem{{"webhook_url", "it is missing", "write one such as https://example.com/hook"}}}
	}
	var s settings
	if err == nil {
		err = v.call(http.MethodPatch, v.accountPath(), nil, map[string]string{"webhook_url": f.url, "webhook_format": f.format, "signing": f.signing}, &s)
	}
	if f.refused = refusalOf(err); f.refused != nil {
		f.refused = f.refused.titled("The URL was not saved")
		return showSettings(v, settingsNews{urlForm: &f})
	}
	if err != nil {
		return page{}, err
	}
	if s.Default != nil && s.Default.Secret != "" {
		return showSettings(v, settingsNews{top: g.Group{saidBox("The URL is saved. From now on, jobs that name no URL of their own are told to it."), secretSection(*s.Default)}})
	}
	return page{next: v.link("/settings", "said", "saved")}, nil
}

func removeURL(v *visit) (page, error) {
	if err := v.chosen(); err != nil {
		return page{}, err
	}
	err := v.call(http.MethodPatch, v.accountPath(), nil, map[string]string{"webhook_url": ""}, nil)
	return page{next: v.link("/settings", "said", "deleted")}, err
}

// urlSection is the form of the account's URL, with what was typed if that was
// refused.
func (s settings) urlSection(v *visit, typed *urlForm) g.Node {
	f := urlForm{format: format.Auto, signing: signHMAC}
	if s.Default != nil {
		f = urlForm{url: s.Default.URL, format: s.Default.Format, signing: s.Default.Signing}
	}
	if typed != nil {
		f = *typed
	}
	var formats []option
	for _, name := range slices.Backward(format.Names()) { // auto first
		formats = append(formats, option{name, name + ": " + formatWords()[name]})
	}
	p := f.refused
	return section("Webhook URL",
		problemBox(p.named(formLabels())),
		html.P(g.Text("The account's URL is told of every job that names no URL of its own, from the moment it is saved. Further URLs, with policies of their own, are "), link(v.link("/endpoints"), "endpoints"), g.Text(".")),
		html.Form(html.Method("post"), html.Action(v.link("/settings")), html.Class("card stack"),
			asking(p, "webhook_url", "URL", func(more g.Node) g.Node {
				return html.Input(html.ID("webhook_url"), html.Name("webhook_url"), html.Type("url"), html.Value(f.url), html.Required(), html.MaxLength(strconv.Itoa(webhook.MaxURLBytes)), html.Placeholder("https://example.com/hook"), more)
			}, "Where your receiver takes webhooks, by POST."),
			asking(p, "webhook_format", "Format", func(g.Node) g.Node { return choice("webhook_format", f.format, formats) },
				"The body. Use auto unless your receiver was written for one of the systems."),
			asking(p, "signing", "Signature", func(more g.Node) g.Node { return signingChoice("signing", f.signing, more) }, "The secret is shown once, when it is made."),
			html.Div(submit("Save the URL"))),
		s.present(v))
}

// present says how the account's URL does, and has what can be done to it.
func (s settings) present(v *visit) g.Node {
	if s.Default == nil {
		return html.P(html.Class("soft"), g.Text("No URL is set, so jobs without one of their own are told to endpoints only."))
	}
	path := endpointPath(s.Default.ID)
	return g.Group{
		html.Div(html.Class("actions"), badge(s.Default.Status), s.Default.Health.badges(), link(v.link(path), "Its page"), v.act("Send a test", "", path+"/test")),
		html.Details(html.ID("remove"), html.Summary(g.Text("Remove the URL")),
			html.Form(html.Method("post"), html.Action(v.link("/settings/remove")), html.Class("card stack"),
				html.P(g.Text("Jobs that name no URL of their own are told to endpoints only then. What is queued, waiting or held for it is not sent, and its secret is gone. This cannot be undone.")),
				html.Div(html.Button(html.Type("submit"), html.Class("danger"), g.Text("Remove the URL for good"))))),
	}
}

// asSet stands for a limit that is not the account's own, which the API does not
// tell.
const asSet = "as your platform has set it"

// limitsSection says what the account may use, which the platform decides.
func (s settings) limitsSection() g.Node {
	q := s.Quotas
	unless := func(n int, words, otherwise string) g.Node {
		if n == 0 {
			return g.Text(otherwise)
		}
		return g.Text(fmt.Sprintf(words, number(n)))
	}
	retries := "as formats and endpoints have them"
	if q.Retries != nil {
		retries = fmt.Sprintf("at most %d after the first attempt", *q.Retries)
	}
	return section("Retention and quotas",
		html.P(html.Class("soft"), g.Text("Your platform sets these; ask there for others.")),
		html.Div(html.Class("card"), facts(
			fact{"Account", g.Group{code(s.ID), g.Text(" "), text(s.Name)}},
			fact{"Deliveries are kept for", unless(q.RetentionDays, "%s days", asSet)},
			fact{"Result files are kept for", text(asSet)},
			fact{"Endpoints", unless(q.Endpoints, "at most %s", asSet)},
			fact{"Events", unless(q.EventsPerMinute, "at most %s a minute; those beyond are declined, and can be resent", asSet)},
			fact{"Requests to the API", unless(q.RequestRate, "at most %s a second", asSet)},
			fact{"Retries", text(retries)},
			fact{"Since", when(s.CreatedAt)},
		)))
}
