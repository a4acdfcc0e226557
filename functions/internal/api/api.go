// Package api is the native HTTP API: platforms write accounts and jobs,
// customers read deliveries and have them sent again. It is huma over net/http,
// the same handler behind API Gateway and in the standalone host.
package api

import (
	"context"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/jobhook/jobhook/functions/internal/deliver"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// Version of the product, for its OpenAPI document and its logs.
const Version = "0.1.0"

// Store keeps all that the API shows and writes. Another account's object is
// webhook.ErrNotFound, just as one that does not exist.
type Store interface {
	AccountStore
	KeyStore
	RequestStore
	PortalStore
	StatsReader
	EndpointReader
	EndpointWriter
	HealthWriter
	HostReader
	HolderReader
	JobStore
	DeliveryReader
	DeliveryWriter
	EventReader
	ResendStore
	ResultSetStore
	LedgerReader
	ErasureStore
}

// AccountStore keeps accounts.
type AccountStore interface {
	PutAccount(ctx context.Context, a webhook.Account) error
	Account(ctx context.Context, id string) (webhook.Account, error)
	// Accounts returns those after the given id, in the order of their ids, at
	// most limit. It looks at a bounded number of rows: a page may be short, or
	// empty, and still have a next to go on after, which is "" only at the end.
	Accounts(ctx context.Context, after string, limit int) (list []webhook.Account, next string, err error)
	// Quotas is served from memory, at most a minute old; zero for an unknown account.
	Quotas(ctx context.Context, account string) (webhook.Quotas, error)
}

// RequestStore keeps the answers of requests that carry an Idempotency-Key.
type RequestStore interface {
	// BeginOnce keeps o, whose Status is 0, unless one of its ID is there that
	// has not expired (by o.StartedAt). It returns what is kept, and whether
	// that is o.
	BeginOnce(ctx context.Context, o webhook.Once) (kept webhook.Once, begun bool, err error)
	// EndOnce keeps the answer of what was begun.
	EndOnce(ctx context.Context, o webhook.Once) error
	// ForgetOnce makes room for another try of what was begun at o.StartedAt and
	// has no answer. That there is none is no error.
	ForgetOnce(ctx context.Context, o webhook.Once) error
}

// PortalStore keeps the links that let a customer in without a key.
type PortalStore interface {
	PutPortalLink(ctx context.Context, l webhook.PortalLink) error
	// UsePortalLink spends a link and returns it. webhook.ErrNotFound when there
	// is none of that id and hash, or it has expired or was used.
	UsePortalLink(ctx context.Context, id string, hash []byte, now time.Time) (webhook.PortalLink, error)
}

// KeyStore keeps API keys. The account "" has those that belong to none.
type KeyStore interface {
	PutKey(ctx context.Context, k webhook.Key) error
	// Key is read now, from no memory. webhook.ErrNotFound.
	Key(ctx context.Context, id string) (webhook.Key, error)
	// Keys leaves out those of sessions.
	Keys(ctx context.Context, account string) ([]webhook.Key, error)
	// RevokeKey ends a key of the account, or lets it end earlier: a time later
	// than the present one changes nothing. webhook.ErrNotFound.
	RevokeKey(ctx context.Context, account, id string, at time.Time) error
}

// EndpointReader reads endpoints and how they have been answering.
type EndpointReader interface {
	Endpoint(ctx context.Context, account, id string) (webhook.Endpoint, error)
	Endpoints(ctx context.Context, account string) ([]webhook.Endpoint, error)
	Health(ctx context.Context, account string) ([]webhook.Health, error)
}

// EndpointWriter writes endpoints. The health of one that is enabled again, or
// gets another URL, is forgotten.
type EndpointWriter interface {
	PutEndpoint(ctx context.Context, e webhook.Endpoint) error
	// UpdateEndpoint reads, changes and writes in one step. An error of f is
	// returned as it is, and nothing is written.
	UpdateEndpoint(ctx context.Context, account, id string, f func(webhook.Endpoint) (webhook.Endpoint, error)) (webhook.Endpoint, error)
	DeleteEndpoint(ctx context.Context, account, id string) error
}

// HealthWriter forgets how an endpoint has been answering.
type HealthWriter interface {
	// HealthOf is read now, from no memory; webhook.ErrNotFound when there is no
	// such endpoint.
	HealthOf(ctx context.Context, account, endpoint string) (webhook.Health, error)
	// SetHealth replaces what was read, next.Version being read.Version + 1.
	// webhook.ErrStale when it has changed since.
	SetHealth(ctx context.Context, account string, read, next webhook.Health, told ...webhook.Notice) error
}

// HostReader reads how the hosts of receivers have been failing.
type HostReader interface {
	// Hosts returns those whose circuit is open, or was within the hour, at most limit.
	Hosts(ctx context.Context, limit int) ([]webhook.HostHealth, error)
}

// JobStore keeps job records and feeds their changes to dispatch.
type JobStore interface {
	// WriteJob reads, changes and writes in one step. f gets nil when there is
	// no such job, and may run more than once. An error of f is returned as it
	// is and nothing is written; nor is a record that stays as it was.
	WriteJob(ctx context.Context, id string, kind job.Kind, f func(old *job.Job) (job.Job, error)) (written job.Job, created bool, err error)
	// JobsByID returns the jobs of that id, at most one of each kind.
	JobsByID(ctx context.Context, id string) ([]job.Job, error)
	// Jobs returns a page of jobs and the cursor of the next, "" at the end.
	Jobs(ctx context.Context, f webhook.JobFilter) (jobs []job.Job, next string, err error)
}

// DeliveryReader reads deliveries and what they are made of.
type DeliveryReader interface {
	// Deliveries looks at a bounded number of rows: a page may be short, or
	// empty, and still have a next cursor, which is "" only at the end.
	Deliveries(ctx context.Context, f webhook.Filter) (list []webhook.Delivery, next string, err error)
	Delivery(ctx context.Context, r webhook.Ref) (webhook.Delivery, error)
	Attempts(ctx context.Context, r webhook.Ref) ([]webhook.Attempt, error)
}

// DeliveryWriter changes deliveries.
type DeliveryWriter interface {
	// Record replaces a delivery's row if nobody changed it since it was read,
	// else it returns webhook.ErrStale.
	Record(ctx context.Context, read, next webhook.Delivery, attempt *webhook.Attempt) error
}

// Queue takes the doorbells of deliveries that are sent again.
type Queue interface {
	Ring(ctx context.Context, bells []webhook.Doorbell) error
}

// Config is what the API needs.
type Config struct {
	Store       Store
	Retry       Queue
	Queues      Queues                    // those that operators look into
	RefusedHost func(rawURL string) error // why a URL's host may not be called; nil: all may
	Sender      deliver.Sender            // makes test webhooks; nil: they are refused
	PublicURL   string                    // begins the links of webhooks; "" leaves them out
	Rate        int                       // requests a second of a key, or of an account's keys together; 0: 100 of an account's and of sessions, any number of others
	CORSOrigins []string                  // exactly these may call from a browser, such as https://app.example.com; nil: none
	Version     string                    // of this build, for the OpenAPI document
	Files       Files                     // uploads and results; nil: this server keeps none
	Local       Local                     // serves the files that Files has no links to; nil: it has for all
	MaxUpload   int64                     // bytes of an upload through the API; 0: 64 MiB
	Rules       webhook.HealthRules       // those of whoever delivers; they tell when an endpoint will be disabled
	Now         func() time.Time          // nil is time.Now
	Log         *slog.Logger              // nil is slog.Default
}

// API serves the routes. It is an http.Handler.
type API struct {
	Config
	mux     *http.ServeMux
	verbs   *verbs
	huma    huma.API
	openAPI func() []byte // made when it is first asked for
	limits  limits
	account sync.Mutex // one default endpoint is set at a time
	erasing *erasing
}

// New returns the API. Its OpenAPI document is at /openapi.json.
func New(c Config) *API {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	speakProblems()
	a := &API{Config: c, mux: http.NewServeMux(), erasing: &erasing{store: c.Store, now: c.Now, log: c.Log}}
	a.Store = declining{c.Store, a.erasing}
	a.verbs = newVerbs(a.mux)
	a.huma = huma.NewAPI(openAPIConfig(c.Version), a.verbs)
	a.mux.HandleFunc("/", a.noRoute)
	a.addHealth()
	a.addAccounts()
	a.addKeys()
	a.addPortal()
	a.addSessions()
	a.addJobs()
	a.addEndpoints()
	a.addHosts()
	a.addHolders()
	a.addQueues()
	a.addDeliveries()
	a.addRequests()
	a.addStatistics()
	a.addEvents()
	a.addResends()
	a.addLedger()
	a.addErasures()
	a.addUploads()
	a.addResultSets()
	a.addDownloads()
	a.openAPI = sync.OnceValue(func() []byte { return document(a.huma.OpenAPI()) })
	a.mux.HandleFunc("GET /openapi.json", a.serveOpenAPI)
	a.addPages()
	return a
}

// ServeHTTP answers a request. Whatever goes wrong is answered by a problem.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	watched := &response{ResponseWriter: w}
	defer a.recovered(watched, r)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if a.crossOrigin(watched, r) {
		return
	}
	p := r.URL.EscapedPath()
	if !strings.HasPrefix(p, "/") || path.Clean(p) != p || strings.HasPrefix(p, verbRoot) {
		notFound().write(watched)
		return
	}
	a.mux.ServeHTTP(watched, a.verbs.rewrite(r, p))
}

// OpenAPI returns the OpenAPI 3.1 document, as JSON.
func (a *API) OpenAPI() []byte { return a.openAPI() }

func (a *API) serveOpenAPI(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", contentJSON)
	w.Write(a.openAPI())
}

func healthy(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", contentJSON)
	w.Write([]byte(`{"status":"ok"}` + "\n"))
}

// noRoute answers what no route matches: 405 when another method would have
// been served, else 404.
func (a *API) noRoute(w http.ResponseWriter, r *http.Request) {
	var allowed []string
	for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
		probe := *r
		probe.Method = method
		again := a.verbs.rewrite(&probe, r.URL.EscapedPath())
		if _, pattern := a.mux.Handler(again); pattern != "/" {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) == 0 {
		notFound().write(w)
		return
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	problem(http.StatusMethodNotAllowed, "Use "+strings.Join(allowed, " or ")+".").write(w)
}
