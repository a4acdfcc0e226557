package api_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jobhook/jobhook/functions/internal/api"
)

// answered are the answers of all sites, so that TestMain can tell which of the
// documented ones no test has seen.
var answered = exercise{seen: map[string]bool{}, problems: map[string]bool{}}

type exercise struct {
	lock     sync.Mutex
	seen     map[string]bool // "METHOD path status"
	problems map[string]bool // their types
}

func (e *exercise) add(method, path string, w *watched) {
	e.lock.Lock()
	defer e.lock.Unlock()
	e.seen[fmt.Sprintf("%s %s %d", method, path, w.status)] = true
	var p api.Problem
	if json.Unmarshal(w.problem, &p) == nil {
		e.problems[p.Type] = true
	}
}

// watched remembers an answer's status, and the problem if it is one.
type watched struct {
	http.ResponseWriter
	status  int
	problem []byte
}

func (w *watched) Write(b []byte) (int, error) {
	if w.Header().Get("Content-Type") == "application/problem+json" {
		w.problem = append(w.problem, b...)
	}
	return w.ResponseWriter.Write(b)
}

func (w *watched) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *watched) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// ServeHTTP answers as the API does, and remembers the answer.
func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	one := &watched{ResponseWriter: w, status: http.StatusOK}
	s.API.ServeHTTP(one, r)
	answered.add(r.Method, r.URL.EscapedPath(), one)
}

// TestMain fails when all tests have run and one of the answers that the
// OpenAPI document promises was never given.
func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 && ranAll() {
		for _, missing := range unexercised() {
			code = 1
			fmt.Println("no test has got the documented answer", missing)
		}
	}
	for _, unknown := range uncatalogued() {
		code = 1
		fmt.Println("a problem that was answered is not in the catalogue:", unknown)
	}
	os.Exit(code)
}

func uncatalogued() (unknown []string) {
	w := httptest.NewRecorder()
	api.New(api.Config{Version: api.Version}).ServeHTTP(w, httptest.NewRequest("GET", "/problems", nil))
	for name := range answered.problems {
		if !strings.Contains(w.Body.String(), `href="`+name+`"`) {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	return unknown
}

func ranAll() bool {
	for _, name := range []string{"test.run", "test.skip", "test.list", "test.bench", "test.fuzz"} {
		if flag.Lookup(name).Value.String() != "" {
			return false
		}
	}
	return true
}

// documented is what the document says of a route.
type documented struct {
	id, method, path string
	statuses         []string // "default" is a problem
}

func documentedRoutes() []documented {
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
			Responses   map[string]any
		}
	}
	if err := json.Unmarshal(api.New(api.Config{Version: api.Version}).OpenAPI(), &doc); err != nil {
		panic(err)
	}
	var list []documented
	for path, item := range doc.Paths {
		for method, op := range item {
			d := documented{id: op.OperationID, method: strings.ToUpper(method), path: path}
			for status := range op.Responses {
				d.statuses = append(d.statuses, status)
			}
			list = append(list, d)
		}
	}
	// A parameter can be what another route has for a word: the longest first.
	slices.SortFunc(list, func(a, b documented) int {
		if n := len(b.literal()) - len(a.literal()); n != 0 {
			return n
		}
		return strings.Compare(a.path+a.method, b.path+b.method)
	})
	return list
}

func (d documented) literal() string {
	return regexp.MustCompile(`\{[^}]*\}`).ReplaceAllString(d.path, "")
}

// matches tells whether a path, as it is sent, leads to the route.
func (d documented) matches(method, path string) bool {
	path, _, _ = strings.Cut(path, "?")
	parts := regexp.MustCompile(`\{[^}]*\}`).Split(d.path, -1)
	for i, p := range parts {
		parts[i] = regexp.QuoteMeta(p)
	}
	return d.method == method && regexp.MustCompile("^"+strings.Join(parts, "[^/]+")+"$").MatchString(path)
}

func unexercised() (missing []string) {
	routes, seen := documentedRoutes(), map[string]bool{}
	for line := range answered.seen {
		method, rest, _ := strings.Cut(line, " ")
		path, status, _ := strings.Cut(rest, " ")
		at := slices.IndexFunc(routes, func(d documented) bool { return d.matches(method, path) })
		if at < 0 {
			continue
		}
		if !slices.Contains(routes[at].statuses, status) && status >= "400" {
			status = "default"
		}
		seen[routes[at].id+" "+status] = true
	}
	for _, d := range routes {
		for _, status := range d.statuses {
			if !seen[d.id+" "+status] {
				missing = append(missing, fmt.Sprintf("%s of %s (%s %s)", status, d.id, d.method, d.path))
			}
		}
	}
	slices.Sort(missing)
	return missing
}

func TestTheTableOfRoutesIsWhole(t *testing.T) {
	for _, d := range documentedRoutes() {
		if !strings.HasPrefix(d.path, "/v1/") || d.id == "create-portal-session" { // those need no key
			continue
		}
		if !slices.ContainsFunc(routes(), func(r route) bool { return d.matches(r.method, r.target) }) {
			t.Errorf("%s %s is not among the routes whose scopes are tried; add it", d.method, d.path)
		}
	}
}
