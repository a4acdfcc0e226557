// Package dashboard is what customers and operators look at: pages rendered on
// the server, which need no script but to refresh themselves. It has no store.
// It is a client of the native API in this process, so that what somebody may
// see and do is decided there and only there.
package dashboard

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"runtime/debug"
	"strings"
	"time"

	"github.com/klauspost/compress/gzhttp"
	g "maragu.dev/gomponents"
	"maragu.dev/gomponents/html"
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
	policy  string       // of what pages may load
	script  string       // the address of the script
}

// New returns the dashboard.
func New(c Config) *Dashboard {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	d := &Dashboard{Config: c, mux: http.NewServeMux(), policy: policy(), script: scriptPath()}
	d.mux.HandleFunc("GET "+nowhere, d.nothingHere)
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
	d.handler = gzhttp.GzipHandler(d.recovered(origins.Handler(d.readable(d.mux))))
	return d
}

// ServeHTTP answers with a page.
func (d *Dashboard) ServeHTTP(w http.ResponseWriter, r *http.Request) { d.handler.ServeHTTP(w, r) }

// nowhere is the pattern of what is no page.
const nowhere = "/"

// Serves tells whether a request is for the dashboard. One that is for nobody is,
// where a reader waits for a page.
func (d *Dashboard) Serves(r *http.Request) bool {
	_, pattern := d.mux.Handler(r)
	return pattern != "" && (pattern != "GET "+nowhere || isForReaders(r))
}

// isForReaders tells whether a browser has been led to an address by somebody,
// and not by a program of the API's.
func isForReaders(r *http.Request) bool {
	for _, of := range []string{"/v1/", "/d/", "/problems", "/docs", "/openapi.json", "/healthz"} {
		if strings.HasPrefix(r.URL.Path, of) {
			return false
		}
	}
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}

// nothingHere answers an address that is no page. That of a form, which stays in
// the browser when the form was refused, leads to the page that has the form.
func (d *Dashboard) nothingHere(w http.ResponseWriter, r *http.Request) {
	if at := d.formsPage(r.URL.Path); at != "" {
		target := url.URL{Path: at, RawQuery: r.URL.RawQuery}
		d.signedIn(func(*visit) (page, error) { return page{next: target.String()}, nil })(w, r)
		return
	}
	d.signedOutOrIn(func(*visit) (page, error) {
		return page{}, &problem{Status: http.StatusNotFound, Detail: "There is no page of that address."}
	})(w, r)
}

// formsPage is the path of the page that a form stands on, which is the next one
// above the form's own; "" when that is of no form.
func (d *Dashboard) formsPage(form string) string {
	if d.matches(http.MethodPost, form) == "" {
		return ""
	}
	for at := path.Dir(form); at != nowhere; at = path.Dir(at) {
		if d.matches(http.MethodGet, at) != "GET "+nowhere {
			return at
		}
	}
	return ""
}

// matches is the pattern of what answers a request; "" for nothing.
func (d *Dashboard) matches(method, path string) string {
	_, pattern := d.mux.Handler(&http.Request{Method: method, URL: &url.URL{Path: path}})
	return pattern
}

// recovered answers a request whose page panicked. The dashboard shares its
// process with what delivers.
func (d *Dashboard) recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			cause := recover()
			if cause == nil {
				return
			}
			d.Log.ErrorContext(r.Context(), "page.panicked", "path", r.URL.Path, "panic", fmt.Sprint(cause), "stack", string(debug.Stack()))
			d.write(w, &visit{d: d, r: r}, page{title: "Something went wrong on our side", status: http.StatusInternalServerError, body: problemBox(broken())})
		}()
		next.ServeHTTP(w, r)
	})
}

// broken is what nobody can help but us.
func broken() *problem {
	return &problem{Status: http.StatusInternalServerError, Title: "Something went wrong on our side", Detail: "Try again. If it stays so, tell your platform the time and this page's address."}
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

// readable reads the form that was sent, and refuses one that is too long or
// broken: its fields would be missing, which may mean something else.
func (d *Dashboard) readable(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			r.Body = http.MaxBytesReader(w, r.Body, maxForm)
			if err := readForm(r); err != nil {
				d.refuseForm(w, r, err)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

func readForm(r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	if err := r.ParseMultipartForm(maxForm); !errors.Is(err, http.ErrNotMultipart) {
		return err
	}
	return nil
}

// refuseForm answers a form that cannot be read.
func (d *Dashboard) refuseForm(w http.ResponseWriter, r *http.Request, err error) {
	p := &problem{Status: http.StatusBadRequest, Title: "This form cannot be read", Detail: "Nothing was done. Go back, load the page anew, and send its form again."}
	var tooLong *http.MaxBytesError
	if errors.As(err, &tooLong) {
		p = &problem{Status: http.StatusRequestEntityTooLarge, Title: "This form is too long", Detail: "Nothing was done. A form may have 256 KiB. Go back and write less."}
	}
	d.write(w, &visit{d: d, r: r}, page{title: p.Title, status: p.Status, body: problemBox(p)})
}

// signedIn asks who has no session to sign in, and shows what f returns.
func (d *Dashboard) signedIn(f func(*visit) (page, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v := &visit{d: d, r: r, key: d.sessionKey(r)}
		if err := v.begin(); err != nil {
			d.fail(w, v, err)
			return
		}
		if r.Method == http.MethodGet && r.URL.Query().Has(welcome) {
			redirect(w, r, v.without(welcome))
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
		v := &visit{d: d, r: r, key: d.sessionKey(r)}
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
		p = broken()
	}
	if p.Status == http.StatusUnauthorized {
		d.askIn(w, v.r)
		return
	}
	title := cmp.Or(map[int]string{http.StatusNotFound: "Nothing here", http.StatusForbidden: "Not for this session"}[p.Status], p.Title)
	d.write(w, v, page{title: title, status: p.Status, body: g.Group{problemBox(p), html.P(link(v.link("/"), "To the overview"))}})
}

// welcome is in the address of the first page after a sign-in.
const welcome = "welcome"

// askIn sends the browser to the sign-in page, and from there back: to the page,
// or to that of the form that was sent. One that was signed in a moment ago, and
// shows no cookie, keeps none.
func (d *Dashboard) askIn(w http.ResponseWriter, r *http.Request) {
	back := *r.URL
	if from, err := url.Parse(r.Referer()); r.Method != http.MethodGet && err == nil && from.Host == r.Host {
		back = *from
	}
	q := back.Query()
	signed := q.Has(welcome)
	q.Del(welcome)
	back.RawQuery = q.Encode()
	ask := url.Values{}
	if next := back.RequestURI(); next != "/" && (r.Method == http.MethodGet || r.Referer() != "") {
		ask.Set("next", localPath(next))
	}
	if signed && d.sessionKey(r) == "" {
		ask.Set("no-cookie", "")
	}
	redirect(w, r, (&url.URL{Path: "/sign-in", RawQuery: ask.Encode()}).String())
}

// refuseOrigin answers a form that another site has sent.
func (d *Dashboard) refuseOrigin(w http.ResponseWriter, r *http.Request) {
	v := &visit{d: d, r: r}
	d.write(w, v, page{title: "Refused", status: http.StatusForbidden, body: problemBox(&problem{
		Status: http.StatusForbidden, Title: "Refused", Detail: "Another site sent this form. Nothing was done. Open the dashboard and do it there.",
	})})
}
