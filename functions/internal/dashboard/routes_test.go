package dashboard_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	store "github.com/jobhook/jobhook/shared/sqlite"
	"github.com/jobhook/jobhook/shared/webhook"
)

// route is an address of the dashboard, and what its form sends.
type route struct {
	method string
	path   string   // ids stand for those of the world
	query  string   // with them too
	form   []string // names and values that are right
}

// routes are all of the dashboard. TestEveryRouteIsKnown keeps them so.
func routes() []route {
	endpoint := []string{"url", "https://new.example/hook", "format", "standard", "signing", "hmac", "types", "job.failed", "timeout", "7", "retries", "5 s",
		"rate", "20", "parallel", "8", "headers", "X-Team: 7", "replace", "1", "once", "", "etag", ""}
	return []route{
		{"GET", "/sign-in", "", nil}, {"POST", "/sign-in", "", []string{"key", "jh_live_nonsense", "next", "/"}},
		{"GET", "/portal", "token=pl_nonsense", nil}, {"POST", "/portal", "", []string{"token", "pl_nonsense"}},
		{"POST", "/sign-out", "", nil}, {"GET", "/help", "", nil},
		{"GET", "/", "", nil},
		{"GET", "/jobs", "", nil}, {"GET", "/job", "id={job}&kind=batch", nil}, {"GET", "/job/files", "id={job}&kind=batch&run=1", nil},
		{"POST", "/job/revoke", "id={job}&kind=batch&run=1", nil},
		{"GET", "/events", "", nil}, {"GET", "/events/{event}", "", nil},
		{"GET", "/deliveries", "", nil}, {"GET", "/deliveries/{delivery}", "attempts=all", nil}, {"GET", "/deliveries/{delivery}/request", "", nil}, {"GET", "/deliveries/{delivery}/request", "", nil}, {"POST", "/deliveries/{delivery}/resend", "", nil},
		{"GET", "/resends", "", nil}, {"GET", "/resends/new", "count=1&state=dead", nil}, {"GET", "/resends/{resend}", "of=3", nil},
		{"POST", "/resends", "", []string{"state", "dead", "endpoint", "", "type", "job.finished", "status_class", "", "job", "", "event", "", "since", "2026-03-01T00:00", "until", "", "rate", "5", "once", "", "of", "1"}},
		{"POST", "/resends/{resend}/cancel", "of=3", nil},
		{"GET", "/endpoints", "", nil}, {"GET", "/endpoints/new", "", nil}, {"POST", "/endpoints", "", endpoint},
		{"GET", "/endpoints/{endpoint}", "", nil}, {"GET", "/endpoints/{endpoint}/edit", "", nil}, {"POST", "/endpoints/{endpoint}/edit", "", endpoint},
		{"GET", "/endpoints/{endpoint}/test", "", nil}, {"GET", "/endpoints/{endpoint}/pause", "", nil}, {"GET", "/endpoints/{endpoint}/resume", "", nil},
		{"GET", "/endpoints/{endpoint}/rotate", "", nil}, {"GET", "/endpoints/{endpoint}/delete", "", nil},
		{"POST", "/endpoints/{endpoint}/test", "", nil}, {"POST", "/endpoints/{endpoint}/pause", "", []string{"reason", "maintenance"}}, {"POST", "/endpoints/{endpoint}/resume", "", nil},
		{"POST", "/endpoints/{endpoint}/rotate", "", []string{"overlap", "3600", "etag", ""}}, {"POST", "/endpoints/{endpoint}/delete", "", nil},
		{"GET", "/settings", "", nil}, {"GET", "/settings/remove", "", nil}, {"GET", "/settings/keys", "", nil}, {"GET", "/settings/keys/{key}/revoke", "", nil},
		{"POST", "/settings", "", []string{"webhook_url", "https://new.example/hook", "webhook_format", "auto", "signing", "hmac"}}, {"POST", "/settings/remove", "", nil},
		{"POST", "/settings/keys", "", []string{"name", "n", "present", "jh_live_nonsense", "once", ""}}, {"POST", "/settings/keys/{key}/revoke", "", []string{"present", "jh_live_nonsense"}},
		{"GET", "/accounts", "", nil}, {"POST", "/accounts/portal-links", "account={account}", nil},
		{"GET", "/operator", "", nil}, {"GET", "/operator/queues/{queue}", "", nil}, {"POST", "/operator/queues/{queue}/redrive", "", nil},
	}
}

// routesOf are those of a method.
func routesOf(method string) []route {
	return slices.DeleteFunc(routes(), func(r route) bool { return r.method != method })
}

// public tells whether the route is for who has no session too.
func (r route) public() bool {
	return slices.Contains([]string{"/sign-in", "/sign-out", "/portal", "/help"}, r.path)
}

// ofAll tells whether the route is about no single account.
func (r route) ofAll() bool {
	return r.public() || strings.HasPrefix(r.path, "/accounts") || strings.HasPrefix(r.path, "/operator")
}

func TestEveryRouteIsKnown(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{"/{$}": true}
	for _, r := range routes() {
		plain := r.path
		for _, name := range []string{"event", "delivery", "endpoint", "resend"} {
			plain = strings.ReplaceAll(plain, "{"+name+"}", "{id}")
		}
		known[plain] = true
	}
	found := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		for _, path := range served(t, name) {
			found++
			if !known[path] {
				t.Errorf("%s: %s is not among the routes that are attacked: add it", name, path)
			}
		}
	}
	if found < 30 {
		t.Errorf("found only %d routes in the sources", found)
	}
}

// served are the paths that are written in the functions of a file which add
// routes.
func served(t *testing.T, file string) []string {
	t.Helper()
	tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, d := range tree.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || !strings.HasPrefix(f.Name.Name, "add") || f.Body == nil || f.Recv == nil {
			continue
		}
		ast.Inspect(f.Body, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				path, _ := strconv.Unquote(lit.Value)
				path = strings.TrimPrefix(strings.TrimPrefix(path, "GET "), "POST ")
				if len(path) > 1 && path[0] == '/' && !strings.HasSuffix(path, "/") {
					paths = append(paths, path)
				}
			}
			return true
		})
	}
	return paths
}

// world is a site on which acme has one of everything, under words that nobody
// else has.
type world struct {
	*tested
	ids *strings.Replacer // writes them into routes
}

// mine is in all that acme has.
const mine = "acmes-own"

func newWorld(t testing.TB) world {
	t.Helper()
	s := newSite(t)
	s.poison(s.queued(), `{"account":"acme","delivery":"dlv_1","note":"`+mine+`"}`)
	endpoint := s.made(s.acme, `{"url":"https://`+mine+`.example/hook","headers":{"X-Own":"`+mine+`-header"}}`)
	s.putJob(mine, `{"account":"acme","kind":"batch","status":"running","run":1,"name":"`+mine+`"}`)
	s.exported(mine, 1, 2)
	d := s.putDelivery("acme", func(d *webhook.Delivery) {
		as(webhook.StateDead, 410, "")(d)
		d.Target.Endpoint, d.Target.URL = endpoint, "https://"+mine+".example/hook"
	})
	s.attempts(d, webhook.Attempt{Result: webhook.Result{Status: 410, Header: http.Header{"X-Own": {mine}}, Body: []byte(mine)}})
	r := s.putResend(nil)
	key := strings.Split(s.mint(webhook.ScopeAccount, "acme"), "_")[2]
	return world{s, strings.NewReplacer("{event}", d.EventID, "{delivery}", d.ID, "{endpoint}", endpoint, "{resend}", r.ID, "{key}", key,
		"{job}", url.QueryEscape(mine), "{account}", "acme", "{queue}", "retry")}
}

// at is the address of a route for a session with a key: those that see all
// accounts name acme.
func (w world) at(r route, key string) string {
	query := w.ids.Replace(r.query)
	if key != w.acme && key != w.other && !r.ofAll() {
		query = strings.TrimPrefix(query+"&account=acme", "&")
	}
	if query != "" {
		query = "?" + query
	}
	return w.ids.Replace(r.path) + query
}

// later lets the buckets of requests fill.
func (s *tested) later() { s.now = s.now.Add(5 * time.Second) }

// commits is a number that changes with everything that is written to the store.
func (s *tested) commits() func() int64 {
	s.t.Helper()
	c, err := sqlite.OpenConn(filepath.Join(s.folder, store.FileName), sqlite.OpenReadWrite)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	return func() int64 {
		version, err := sqlitex.ResultInt64(c.Prep("PRAGMA data_version"))
		if err != nil {
			s.t.Fatal(err)
		}
		return version
	}
}

// decode reads an answer of the API.
func decode(t testing.TB, body string, out any) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), out); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
}
