package dashboard

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	g "maragu.dev/gomponents"
	"maragu.dev/gomponents/html"
)

// The cookie that holds the key of a session. Where there is TLS its name begins
// with what keeps neighbours in the domain from planting one:
// https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis
const (
	cookieName = "__Host-jobhook_session"
	plainName  = "jobhook_session"
)

// sessionKey reads the one cookie that this server sets: a neighbour can plant
// the other.
func (d *Dashboard) sessionKey(r *http.Request) string {
	c, err := r.Cookie(d.cookie("").Name)
	if err != nil {
		return ""
	}
	return c.Value
}

func (d *Dashboard) addSessions() {
	d.mux.HandleFunc("GET /sign-in", d.signInPage)
	d.mux.HandleFunc("POST /sign-in", d.signIn)
	d.mux.HandleFunc("GET /portal", d.portalPage)
	d.mux.HandleFunc("POST /portal", d.portal)
	d.mux.HandleFunc("POST /sign-out", d.signOut)
}

func (d *Dashboard) signInPage(w http.ResponseWriter, r *http.Request) {
	var why *problem
	if r.URL.Query().Has("no-cookie") {
		why = &problem{Title: "Your browser did not keep the session", Detail: "It keeps no cookies for this site, or the dashboard was opened by another address than its own: over http where its own is https. Allow cookies, or open it by its own address."}
	}
	d.writeSignIn(w, r, http.StatusOK, why)
}

func (d *Dashboard) writeSignIn(w http.ResponseWriter, r *http.Request, status int, why *problem) {
	d.write(w, &visit{d: d, r: r}, page{title: "Sign in", status: status, body: g.Group{
		problemBox(why),
		html.P(g.Text("See every webhook, understand it, and send it again.")),
		html.Form(html.Method("post"), html.Action("/sign-in"), html.Class("card stack"),
			html.Input(html.Type("hidden"), html.Name("next"), html.Value(localPath(cmp.Or(r.FormValue("next"), "/")))),
			field("API key", html.Input(html.ID("key"), html.Name("key"), html.Type("password"), html.AutoComplete("current-password"), html.Required(), html.AutoFocus(), html.MaxLength("300")),
				"Begins with jh_live_. It is traded for a session of twelve hours and not kept in the browser."),
			submit("Sign in"),
		),
		html.P(html.Class("soft"), g.Text("No key? Ask your platform for a link to the dashboard, or for a key. On your own machine, "), html.Code(g.Text("make run")), g.Text(" prints one.")),
	}})
}

func (d *Dashboard) signIn(w http.ResponseWriter, r *http.Request) {
	v := &visit{d: d, r: r}
	var opened opened
	err := v.callAs(v.form("key"), http.MethodPost, "/v1/sessions", nil, nil, &opened)
	if err != nil {
		d.refuseSignIn(w, r, err)
		return
	}
	d.let(w, r, opened, localPath(v.form("next")))
}

// refuseSignIn shows the form again.
func (d *Dashboard) refuseSignIn(w http.ResponseWriter, r *http.Request, err error) {
	var p *problem
	if !errors.As(err, &p) || p.Status >= http.StatusInternalServerError {
		d.fail(w, &visit{d: d, r: r}, err)
		return
	}
	if p.Status == http.StatusUnauthorized {
		p.Title, p.Detail = "This key does not work", "It is mistyped, was revoked, or has ended. Copy it whole, from jh_live_ on."
	}
	d.writeSignIn(w, r, p.Status, p)
}

// opened is a session as the API opens it.
type opened struct {
	Key       string    `json:"key"`
	ExpiresAt time.Time `json:"expires_at"`
}

// let lets somebody in.
func (d *Dashboard) let(w http.ResponseWriter, r *http.Request, o opened, next string) {
	c := d.cookie(o.Key)
	c.Expires = o.ExpiresAt
	http.SetCookie(w, c)
	if before := d.sessionKey(r); before != "" { // it is nobody's any more; that it has ended is no error
		_ = (&visit{d: d, r: r, key: before}).call(http.MethodDelete, "/v1/session", nil, nil, nil)
	}
	target, err := url.Parse(next)
	if err != nil {
		target = &url.URL{Path: "/"}
	}
	q := target.Query()
	q.Set(welcome, "1")
	target.RawQuery = q.Encode()
	redirect(w, r, target.String())
}

// cookie needs TLS, but where the server says of itself that it has none: on a
// laptop, or in a network of one's own.
func (d *Dashboard) cookie(value string) *http.Cookie {
	c := &http.Cookie{Name: cookieName, Value: value, Path: "/", HttpOnly: true, Secure: true, SameSite: http.SameSiteLaxMode}
	if strings.HasPrefix(d.PublicURL, "http://") {
		c.Name, c.Secure = plainName, false
	}
	return c
}

// portalPage asks for a click, as programs that look at the links of messages
// would else use up the link.
func (d *Dashboard) portalPage(w http.ResponseWriter, r *http.Request) {
	d.write(w, &visit{d: d, r: r}, page{title: "Your dashboard", secret: true, body: g.Group{
		html.P(g.Text("This link works once, and opens the dashboard for one hour.")),
		g.If(d.sessionKey(r) != "", html.P(g.Text("You are signed in already. Opening the link ends that session, and may lead to another account."))),
		html.Form(html.Method("post"), html.Class("card stack"), submit("Open the dashboard")), // to the same address, so that no page has the token
	}})
}

func (d *Dashboard) portal(w http.ResponseWriter, r *http.Request) {
	v := &visit{d: d, r: r}
	var o opened
	err := v.callAs("", http.MethodPost, "/v1/portal-sessions", nil, map[string]string{"token": cmp.Or(v.form("token"), v.param("token"))}, &o)
	var p *problem
	switch {
	case err == nil:
		d.let(w, r, o, "/")
	case errors.As(err, &p) && p.Status == http.StatusUnauthorized:
		d.write(w, v, page{title: "This link does not work", status: p.Status, body: problemBox(&problem{
			Title: "This link does not work", Detail: "It was used, has expired, or never was one. Ask your platform for another.",
		})})
	default:
		d.fail(w, v, err)
	}
}

// signOut ends the session, here and on the server.
func (d *Dashboard) signOut(w http.ResponseWriter, r *http.Request) {
	v := &visit{d: d, r: r, key: d.sessionKey(r)}
	var p *problem
	err := v.call(http.MethodDelete, "/v1/session", nil, nil, nil)
	over := errors.As(err, &p) && (p.Status == http.StatusUnauthorized || p.Status == http.StatusConflict) // already, or it is none
	if err != nil && !over {
		d.fail(w, v, err)
		return
	}
	c := d.cookie("")
	c.MaxAge = -1
	http.SetCookie(w, c)
	redirect(w, r, "/sign-in")
}

// localPath returns where to go next, if that is on this server.
func localPath(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") {
		return "/"
	}
	return u.RequestURI()
}
