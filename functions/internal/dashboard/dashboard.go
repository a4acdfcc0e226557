// Package dashboard is what customers and operators look at: pages rendered on
// the server, which need no script but to refresh themselves. It has no store.
// It is a client of the native API in this process, so that what somebody may
// see and do is decided there and only there.
package dashboard

import (
	"cmp"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/klauspost/compress/gzhttp"
)

// Config is what the dashboard needs.
type Config struct {
	API       http.Handler     // the native API
	PublicURL string           // where browsers find this server; http:// there, but for localhost, makes cookies that need no TLS
	Version   string           // of this build, shown at the foot of every page
	Now       func() time.Time // nil is time.Now
	Log       *slog.Logger     // nil is slog.Default
}

// Dashboard serves the pages. It is an http.Handler.
type Dashboard struct {
	Config
	mux     *http.ServeMux
	handler http.Handler // mux behind compression and the check of origins
}

// New returns the dashboard.
func New(c Config) *Dashboard {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	d := &Dashboard{Config: c, mux: http.NewServeMux()}
	d.addAssets()
	d.addSessions()
	d.addHelp()
	d.addOverview()
	d.addJobs()
	d.addEvents()
	d.addDeliveries()
	d.addResends()
	d.addEndpoints()
	d.addSettings()
	d.addOperator()
	origins := http.NewCrossOriginProtection()
	origins.SetDenyHandler(http.HandlerFunc(d.refuseOrigin))
	d.handler = gzhttp.GzipHandler(origins.Handler(d.mux))
	return d
}

// ServeHTTP answers with a page.
func (d *Dashboard) ServeHTTP(w http.ResponseWriter, r *http.Request) { d.handler.ServeHTTP(w, r) }

// Serves tells whether a request is for the dashboard.
func (d *Dashboard) Serves(r *http.Request) bool {
	_, pattern := d.mux.Handler(r)
	return pattern != ""
}

// show serves a page to whoever has signed in.
func (d *Dashboard) show(path string, f func(*visit) (page, error)) {
	d.mux.HandleFunc("GET "+path, d.signedIn(f))
}

// do serves what a form asks for: f acts, and says which page comes next.
func (d *Dashboard) do(path string, f func(*visit) (page, error)) {
	d.mux.HandleFunc("POST "+path, d.signedIn(f))
}

// maxForm bounds what a form may send, in bytes.
const maxForm = 256 << 10

// signedIn asks who has no session to sign in, and shows what f returns.
func (d *Dashboard) signedIn(f func(*visit) (page, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		v := &visit{d: d, r: r, key: sessionKey(r)}
		if err := v.begin(); err != nil {
			d.fail(w, v, err)
			return
		}
		p, err := f(v)
		if err != nil {
			d.fail(w, v, err)
			return
		}
		d.write(w, v, p)
	}
}

// signedOutOrIn shows what f returns to everybody, with the navigation of whoever
// has a session.
func (d *Dashboard) signedOutOrIn(f func(*visit) (page, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v := &visit{d: d, r: r, key: sessionKey(r)}
		if v.begin() != nil {
			v.who = who{}
		}
		p, err := f(v)
		if err != nil {
			d.fail(w, v, err)
			return
		}
		d.write(w, v, p)
	}
}

// fail shows what went wrong. Who has no session, or one that has ended, is
// asked to sign in and comes back.
func (d *Dashboard) fail(w http.ResponseWriter, v *visit, err error) {
	var p *problem
	if !errors.As(err, &p) {
		d.Log.ErrorContext(v.r.Context(), "page.failed", "path", v.r.URL.Path, "error", err)
		p = &problem{Status: http.StatusInternalServerError, Title: "Something went wrong on our side", Detail: "Try again. If it stays so, tell your platform the time and this page's address."}
	}
	if p.Status == http.StatusUnauthorized {
		d.askIn(w, v.r)
		return
	}
	title := cmp.Or(map[int]string{http.StatusNotFound: "Nothing here", http.StatusForbidden: "Not for this session"}[p.Status], p.Title)
	d.write(w, v, page{title: title, status: p.Status, body: problemBox(p)})
}

// askIn sends the browser to the sign-in page, and from there back.
func (d *Dashboard) askIn(w http.ResponseWriter, r *http.Request) {
	target := url.URL{Path: "/sign-in"}
	if r.Method == http.MethodGet && r.URL.Path != "/" {
		target.RawQuery = url.Values{"next": {r.URL.RequestURI()}}.Encode()
	}
	if r.URL.Query().Has("welcome") { // it was signed in a moment ago
		target.RawQuery = "no-cookie"
	}
	redirect(w, r, target.String())
}

// refuseOrigin answers a form that another site has sent.
func (d *Dashboard) refuseOrigin(w http.ResponseWriter, r *http.Request) {
	v := &visit{d: d, r: r}
	d.write(w, v, page{title: "Refused", status: http.StatusForbidden, body: problemBox(&problem{
		Status: http.StatusForbidden, Title: "Refused", Detail: "Another site sent this form. Nothing was done. Open the dashboard and do it there.",
	})})
}
