package dashboard

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed" // the style sheet and the script
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strings"

	g "maragu.dev/gomponents"
	"maragu.dev/gomponents/html"
)

//go:embed assets/style.css
var style string

//go:embed assets/live.js
var script string

// page is what a request is answered with.
type page struct {
	title  string
	in     string // the address of the part of the navigation that it belongs to
	status int    // 0: 200
	live   bool   // it refreshes itself
	secret bool   // it holds what no browser should keep
	next   string // if not "", the browser is sent there, and nothing is shown
	body   g.Node
}

// policy is the Content-Security-Policy of every page: nothing of another host,
// no script within a page, and the one style sheet that every page carries, by
// its hash.
func policy() string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; script-src 'self'; connect-src 'self'; img-src data:; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
}

// scriptPath changes with the script, so that browsers may keep it for ever.
func scriptPath() string {
	sum := sha256.Sum256([]byte(script))
	return "/assets/" + hex.EncodeToString(sum[:6]) + ".js"
}

func (d *Dashboard) addAssets() {
	d.mux.HandleFunc("GET "+d.script, func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "text/javascript; charset=utf-8")
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
		h.Set("X-Content-Type-Options", "nosniff")
		w.Write([]byte(script)) // the client is gone if this fails
	})
}

// write answers with a page. One that is as the browser has it already is 304.
func (d *Dashboard) write(w http.ResponseWriter, v *visit, p page) {
	if p.next != "" {
		redirect(w, v.r, p.next)
		return
	}
	p.live = p.live && v.r.Method == http.MethodGet // else the address shows another page, or none
	var b bytes.Buffer
	_ = d.document(v, p).Render(&b) // a buffer takes everything
	h := w.Header()
	guard(h)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", d.policy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	status := cmp.Or(p.status, http.StatusOK)
	if status != http.StatusOK || v.r.Method == http.MethodPost || p.secret {
		h.Set("Cache-Control", "no-store")
		w.WriteHeader(status)
		w.Write(b.Bytes()) // the client is gone if this fails
		return
	}
	sum := sha256.Sum256(b.Bytes())
	tag := `"` + hex.EncodeToString(sum[:12]) + `"`
	h.Set("Cache-Control", "private, no-cache")
	h.Add("Vary", "Cookie") // else browsers show it again to who goes back, also after a sign-out
	h.Set("ETag", tag)
	if strings.Contains(v.r.Header.Get("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Write(b.Bytes())
}

// guard sets what every answer has, also one that leads elsewhere.
func guard(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
}

// redirect sends the browser to another page of ours.
func redirect(w http.ResponseWriter, r *http.Request, to string) {
	guard(w.Header())
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// icon is the site's, in the page itself.
const icon = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Crect width='16' height='16' rx='4' fill='%230b5cad'/%3E%3Cpath d='M9 3v6a2.5 2.5 0 1 1-5 0' fill='none' stroke='%23fff' stroke-width='2' stroke-linecap='round'/%3E%3Ccircle cx='11.5' cy='11.5' r='1.5' fill='%23fff'/%3E%3C/svg%3E"

// document puts the frame of all pages round one.
func (d *Dashboard) document(v *visit, p page) g.Node {
	return html.Doctype(html.HTML(html.Lang("en"),
		html.Head(
			html.Meta(html.Charset("utf-8")), html.Meta(html.Name("viewport"), html.Content("width=device-width,initial-scale=1")),
			html.Meta(html.Name("color-scheme"), html.Content("light dark")),
			html.TitleEl(g.Text(p.title+" - Jobhook")), html.Link(html.Rel("icon"), html.Href(icon)),
			html.StyleEl(g.Raw(style)), html.Script(html.Src(d.script), html.Defer()),
		),
		html.Body(
			html.A(html.Class("skip"), html.Href("#main"), g.Text("Skip to the content")),
			v.header(p.in),
			html.Main(html.ID("main"), html.TabIndex("-1"), g.If(p.live, g.Attr("data-live")),
				html.H1(g.Text(p.title)), v.said(), p.body),
			html.Footer(
				html.P(g.Text("Jobhook "+d.Version+". "), html.Span(html.ID("zone"), g.Text("Times are UTC.")), g.Text(" "), html.A(html.Href(v.link("/help")), g.Text("What the words mean")),
					g.If(v.who.ExpiresAt != "", g.Group{g.Text(". This session ends at "), when(v.who.ExpiresAt), g.Text(".")})),
				html.P(html.ID("news"), html.Role("status"), html.Aria("live", "polite")),
			),
		)))
}

// header is the navigation; who has not signed in sees the name only.
func (v *visit) header(in string) g.Node {
	brand := html.A(html.Class("brand"), html.Href(v.link("/")), g.Text("Jobhook"))
	if v.who.Scope == "" {
		return html.Header(html.Class("top"), brand)
	}
	var items g.Group
	add := func(path, name, address string) {
		items = append(items, html.Li(html.A(html.Href(address), g.If(path == in, html.Aria("current", "page")), g.Text(name))))
	}
	if v.account() != "" {
		add("/", "Overview", v.link("/"))
		add("/jobs", "Jobs", v.link("/jobs"))
		add("/events", "Events", v.link("/events"))
		add("/deliveries", "Deliveries", v.link("/deliveries"))
		add("/endpoints", "Endpoints", v.link("/endpoints"))
		add("/settings", "Settings", v.link("/settings"))
	}
	if v.isPlatform() {
		add("/accounts", "Accounts", "/accounts")
	}
	if v.isOperator() {
		add("/operator", "Operator", "/operator")
	}
	return html.Header(html.Class("top"), brand,
		html.Nav(html.Aria("label", "Main"), html.Ul(items)),
		html.Div(html.Class("session"),
			g.If(v.account() != "", html.Span(html.Class("account"), g.Text(v.account()))),
			html.Form(html.Method("post"), html.Action("/sign-out"), html.Button(html.Class("quiet"), g.Text("Sign out")))))
}

// said confirms what a form has just done: a page is named ?said= and one of
// these, so that nobody can make it say anything else by a link.
func (v *visit) said() g.Node {
	text := confirmations()[v.param("said")]
	if text == "" {
		return nil
	}
	return saidBox(text)
}

// saidBox confirms what has been done.
func saidBox(text string) g.Node {
	return html.P(html.Class("said"), html.Role("status"), g.Text(text))
}
