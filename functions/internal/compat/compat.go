// Package compat serves the routes of the four systems whose webhooks Jobhook
// repeats, so that a client written for one of them works by changing its base
// URL: SerpWow's batches, Web Scraper Cloud's scraping jobs, HKube's pipelines
// and SocialData's jobs. Each speaks its system's words: keys and their order,
// status codes, and errors.
//
// The systems' pages leave things open. Where one is silent, a comment says so
// and what we do instead.
package compat

import (
	"cmp"
	"context"
	"io"
	"log/slog"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/jobhook/jobhook/shared/files"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// Store keeps all that is shown. Another account's object is
// webhook.ErrNotFound, just as one that does not exist.
type Store interface {
	JobReader
	EventReader
	DeliveryReader
	ResultReader
}

// JobReader reads job records.
type JobReader interface {
	// JobsByID returns the jobs of that id, at most one of each kind, of
	// whatever account.
	JobsByID(ctx context.Context, id string) ([]job.Job, error)
	// Jobs returns a page of jobs, newest first, and the cursor of the next, ""
	// at the end.
	Jobs(ctx context.Context, f webhook.JobFilter) (jobs []job.Job, next string, err error)
}

// EventReader reads events.
type EventReader interface {
	// Events returns a page, which may be empty, and the cursor of the next, ""
	// at the end. Of a job's events it reads no others, as far as it can tell
	// them apart.
	Events(ctx context.Context, f webhook.EventFilter) (list []webhook.Event, next string, err error)
	// Event returns webhook.ErrNotFound when there is none.
	Event(ctx context.Context, account, id string) (webhook.Event, error)
}

// DeliveryReader reads deliveries and their attempts.
type DeliveryReader interface {
	// Deliveries returns a page, which may be empty, and the cursor of the next,
	// "" at the end.
	Deliveries(ctx context.Context, f webhook.Filter) (list []webhook.Delivery, next string, err error)
	// Attempts returns those of a delivery, the oldest first.
	Attempts(ctx context.Context, r webhook.Ref) ([]webhook.Attempt, error)
}

// ResultReader reads what is known of exported files.
type ResultReader interface {
	// ResultSets returns those of a job, the newest run first.
	ResultSets(ctx context.Context, account string, kind job.Kind, id string) ([]webhook.ResultSet, error)
	// AddDownload counts a download and keeps it.
	AddDownload(ctx context.Context, token string, d webhook.Download) error
}

// Files holds inputs and results.
type Files interface {
	// Open returns a file and its size in bytes, or webhook.ErrNotFound.
	Open(ctx context.Context, key string) (io.ReadCloser, int64, error)
	// List returns the files whose keys begin so, in the order of the keys.
	List(ctx context.Context, prefix string, limit int) ([]files.Info, error)
	// Link returns where a file can be had, "" when we serve it ourselves.
	Link(ctx context.Context, key string, o files.LinkOptions) (string, error)
}

// Resender sends a delivery again while the caller waits.
type Resender interface {
	// ResendNow returns the delivery after the attempt, and the attempt; none
	// when the delivery is held, or is queued since the attempt might outlast ctx.
	// Errors: webhook.ErrNotFound, ErrInFlight, ErrStale, *resend.NoTargetError.
	ResendNow(ctx context.Context, r webhook.Ref) (webhook.Delivery, *webhook.Attempt, error)
}

// Config is what the routes need.
type Config struct {
	Store  Store
	Files  Files // nil: nothing is uploaded, nor exported
	Resend Resender
	// Authenticate returns the key that a caller shows whole, or
	// webhook.ErrNotFound for one that is malformed, unknown or revoked.
	Authenticate func(ctx context.Context, fullKey string) (webhook.Key, error)
	// Limit counts a request of an account against its rate. Reset is when there
	// is room again. Nil: no limit.
	Limit     func(account string) (remaining, limit int, reset time.Duration, ok bool)
	PublicURL string           // begins the links to result files
	Now       func() time.Time // nil is time.Now
	Log       *slog.Logger     // nil is slog.Default
}

// New returns a handler of /serpwow, /webscraper, /hkube/api/v1 and
// /socialdata, and of everything below them.
func New(c Config) http.Handler {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	r := &routes{Config: c}
	for _, s := range r.all() {
		r.systems = append(r.systems, r.mount(s))
	}
	return r
}

// Patterns returns the routes with parameters, the most specific first, for
// hosts that are handed paths decoded: ids may hold slashes.
func Patterns() []string {
	var list []string
	for _, s := range new(routes).all() {
		for p := range s.gets {
			if strings.Contains(p, "{") {
				list = append(list, s.base+p)
			}
		}
	}
	slices.SortFunc(list, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	return list
}

// routes is the handler of all systems.
type routes struct {
	Config
	systems []mounted
}

func (c *routes) all() []system {
	return []system{c.serpWow(), c.webScraper(), c.hkube(), c.socialData()}
}

// system is what tells one system's routes from another's.
type system struct {
	base     string
	key      func(r *http.Request) string // the key that a caller shows, "" for none
	envelope func(f *refusal) any         // the body of an error
	headers  func(w http.ResponseWriter, rate rate)
	gets     map[string]handler // by what follows the base in their patterns
}

// handler answers a request of an account. It returns a *refusal for what the
// system has an answer to, webhook.ErrNotFound for what is not there.
type handler func(w http.ResponseWriter, r *http.Request, account string) error

// mounted is a system with its routes.
type mounted struct {
	system
	mux *http.ServeMux
}

// mount gives a system its routes. All of them are GET, which answers HEAD too.
func (c *routes) mount(s system) mounted {
	m := mounted{system: s, mux: http.NewServeMux()}
	for pattern, h := range s.gets {
		m.mux.HandleFunc("GET "+s.base+pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := c.answer(s, h, w, r); err != nil {
				c.refuse(s, w, r, err)
			}
		})
	}
	m.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { c.refuse(s, w, r, m.noRoute(w, r)) })
	return m
}

// ServeHTTP answers a request. Whatever goes wrong below a base is answered as
// its system would.
func (c *routes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p := r.URL.EscapedPath()
	for _, m := range c.systems {
		if p != m.base && !strings.HasPrefix(p, m.base+"/") {
			continue
		}
		watched := &response{ResponseWriter: w}
		defer c.recovered(m.system, watched, r)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if path.Clean(p) != p { // the mux would redirect, which no system does
			c.refuse(m.system, watched, r, noPath())
			return
		}
		m.mux.ServeHTTP(watched, r)
		return
	}
	http.NotFound(w, r)
}

// noRoute is the error of what no route matches: 405 when a GET would have
// been served, else 404.
func (m mounted) noRoute(w http.ResponseWriter, r *http.Request) error {
	probe := *r
	probe.Method = http.MethodGet
	if _, pattern := m.mux.Handler(&probe); pattern == "/" {
		return noPath()
	}
	w.Header().Set("Allow", "GET, HEAD")
	return refuse(http.StatusMethodNotAllowed, "Method Not Allowed")
}

func noPath() error { return refuse(http.StatusNotFound, "Not Found") }
