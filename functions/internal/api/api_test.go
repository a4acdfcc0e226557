package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jobhook/jobhook/functions/internal/api"
	"github.com/jobhook/jobhook/shared/sqlite"
	"github.com/jobhook/jobhook/shared/webhook"
)

// plain keeps secrets as they are.
type plain struct{}

func (plain) Seal(b []byte, _ string) ([]byte, error) { return b, nil }
func (plain) Open(b []byte, _ string) ([]byte, error) { return b, nil }

// bells remembers what was rung for.
type bells struct {
	lock sync.Mutex
	rung []webhook.Doorbell
	err  error
}

func (b *bells) Ring(_ context.Context, list []webhook.Doorbell) error {
	b.lock.Lock()
	defer b.lock.Unlock()
	b.rung = append(b.rung, list...)
	return b.err
}

// clock stands still unless it is moved.
type clock struct {
	lock sync.Mutex
	at   time.Time
}

func (c *clock) now() time.Time {
	c.lock.Lock()
	defer c.lock.Unlock()
	return c.at
}

func (c *clock) move(d time.Duration) {
	c.lock.Lock()
	defer c.lock.Unlock()
	c.at = c.at.Add(d)
}

// receiver answers test webhooks, and remembers the last.
type receiver struct {
	result webhook.Result
	got    webhook.Request
}

func (r *receiver) Post(_ context.Context, request webhook.Request) (webhook.Result, webhook.Timing) {
	r.got = request
	return r.result, webhook.Timing{Connect: 1500 * time.Microsecond, Total: 20 * time.Millisecond}
}

// site is an API over an empty store, with a key of every scope: acme and
// other are accounts.
type site struct {
	*api.API
	store  *sqlite.Store
	bells  *bells
	target *receiver
	clock  *clock
	log    *bytes.Buffer
	config api.Config

	operator, platform, acme, other string
}

func newSite(t testing.TB) *site {
	t.Helper()
	store, err := sqlite.Open(t.Context(), t.TempDir(), sqlite.Options{Sealer: plain{}, Durability: sqlite.DurableProcess})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	s := &site{store: store, bells: &bells{}, target: &receiver{result: webhook.Result{Status: 200}}, log: &bytes.Buffer{},
		clock: &clock{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}}
	s.config = api.Config{
		Store: store, Retry: s.bells, Sender: s.target, RefusedHost: refuseTens, PublicURL: "https://jobhook.example", Version: "test",
		Now: s.clock.now, Log: slog.New(slog.NewTextHandler(s.log, nil)),
	}
	s.API = api.New(s.config)
	for _, id := range []string{"acme", "other"} {
		if err := store.PutAccount(t.Context(), webhook.Account{ID: id, Name: id, CreatedAt: s.clock.now(), UpdatedAt: s.clock.now()}); err != nil {
			t.Fatal(err)
		}
	}
	s.operator = s.mint(t, webhook.ScopeOperator, "")
	s.platform = s.mint(t, webhook.ScopePlatform, "")
	s.acme, s.other = s.mint(t, webhook.ScopeAccount, "acme"), s.mint(t, webhook.ScopeAccount, "other")
	return s
}

// refuseTens stands for the address policy.
func refuseTens(url string) error {
	if strings.Contains(url, "//10.") {
		return errors.New("the address is private or reserved")
	}
	return nil
}

// with is the site with another configuration.
func (s *site) with(change func(*api.Config)) *site {
	other := *s
	change(&other.config)
	other.API = api.New(other.config)
	return &other
}

func (s *site) mint(t testing.TB, scope webhook.Scope, account string) string {
	t.Helper()
	full, k := api.MintKey(s.clock.now(), scope, account, "test")
	if err := s.store.PutKey(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	return full
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// do sends a request; body is JSON, or "" for none.
func (s *site) do(key, method, target, body string) answer {
	r := httptest.NewRequest(method, target, nil)
	if body != "" {
		r = httptest.NewRequest(method, target, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	return s.send(r)
}

func (s *site) send(r *http.Request) answer {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	body, _ := io.ReadAll(w.Body)
	return answer{status: w.Code, header: w.Header(), body: string(body)}
}

// must is do for a request that succeeds; it returns the body.
func (s *site) must(t testing.TB, status int, key, method, target, body string) map[string]any {
	t.Helper()
	a := s.do(key, method, target, body)
	if a.status != status {
		t.Fatalf("%s %s: got %d, want %d\n%s", method, target, a.status, status, a.body)
	}
	if a.body == "" {
		return nil
	}
	return object(t, a.body)
}

func object(t testing.TB, body string) map[string]any {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(body))
	dec.UseNumber()
	var m map[string]any
	if err := dec.Decode(&m); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return m
}

// problemOf reads a problem, which must be a whole one.
func (a answer) problem(t testing.TB) api.Problem {
	t.Helper()
	var p api.Problem
	if got := a.header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("content type: got %q, want a problem's; body %s", got, a.body)
	}
	if err := json.Unmarshal([]byte(a.body), &p); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
	if p.Status != a.status || p.Title == "" || !strings.HasPrefix(p.Type, "/problems/") {
		t.Errorf("problem %+v of an answer with status %d", p, a.status)
	}
	for _, e := range p.Errors {
		if e.Problem == "" || e.Cure == "" {
			t.Errorf("field %q: problem %q, cure %q: want both", e.Field, e.Problem, e.Cure)
		}
	}
	return p
}

func TestUnknownRoutesAreProblems(t *testing.T) {
	s := newSite(t)
	for _, tt := range []struct {
		method, target string
		status         int
		allow          string
	}{
		{"GET", "/", 404, ""},
		{"GET", "/v1", 404, ""},
		{"GET", "/v2/jobs", 404, ""},
		{"GET", "/v1/jobs/", 404, ""},
		{"GET", "/v1//jobs", 404, ""},
		{"GET", "/v1/jobs/../keys", 404, ""},
		{"GET", "/problems/none", 404, ""},
		{"POST", "/v1/deliveries/d:explode", 405, "GET"}, // an id, as far as anybody knows
		{"POST", "/:resend/v1/deliveries/d", 404, ""},    // known to the mux alone
		{"POST", "/v1/deliveries/..:resend", 405, "GET"}, // no way up
		{"POST", "/v1/deliveries/.:resend", 405, "GET"},
		{"POST", "/v1/deliveries/:resend", 405, "GET"},
		{"POST", "/v1/accounts/a/keys/..:rotate", 405, "DELETE"},
		{"DELETE", "/v1/jobs/1", 405, "GET, PUT, PATCH"},
		{"PUT", "/v1/deliveries", 405, "GET"},
		{"BREW", "/v1/jobs", 405, "GET"},
		{"PUT", "/v1/deliveries/d:resend", 405, "GET, POST"},
		{"POST", "/healthz", 405, "GET"},
	} {
		t.Run(tt.method+tt.target, func(t *testing.T) {
			got := s.do(s.operator, tt.method, tt.target, "")
			if got.status != tt.status || got.header.Get("Allow") != tt.allow {
				t.Errorf("got %d, Allow %q, want %d, %q", got.status, got.header.Get("Allow"), tt.status, tt.allow)
			}
			got.problem(t)
		})
	}
}

func TestHealthNeedsNoKey(t *testing.T) {
	s := newSite(t)
	if got := s.must(t, 200, "", "GET", "/healthz", ""); got["status"] != "ok" {
		t.Errorf("got %v", got)
	}
}

func TestTheOpenAPIDocumentRefersToWhatItHas(t *testing.T) {
	s := newSite(t)
	doc := s.must(t, 200, "", "GET", "/openapi.json", "")
	if got := doc["openapi"]; got != "3.1.0" {
		t.Errorf("openapi %v, want 3.1.0", got)
	}
	for _, reference := range references(doc) {
		name := strings.TrimPrefix(reference, "#/components/schemas/")
		if _, found := doc["components"].(map[string]any)["schemas"].(map[string]any)[name]; !found {
			t.Errorf("%s refers to nothing", reference)
		}
	}
}

// references are all $ref of a document.
func references(node any) []string {
	var list []string
	switch node := node.(type) {
	case map[string]any:
		for key, value := range node {
			if text, ok := value.(string); ok && key == "$ref" {
				list = append(list, text)
			}
			list = append(list, references(value)...)
		}
	case []any:
		for _, value := range node {
			list = append(list, references(value)...)
		}
	}
	return list
}

func TestSchemasCoverWhatTheQueryAndTheListsNeed(t *testing.T) {
	s := newSite(t)
	doc := string(s.OpenAPI())
	for _, want := range []string{`"name":"account"`, `"name":"limit"`, `"name":"after"`, `"attempt_count"`, `"JobRecord"`, `"waiting-to-be-scheduled"`} {
		if !strings.Contains(doc, want) {
			t.Errorf("the document lacks %s", want)
		}
	}
}

// broken is a store that panics or fails where it is told to.
type broken struct{ api.Store }

func (broken) Account(context.Context, string) (webhook.Account, error) { panic("the roof is on fire") }
func (broken) Endpoints(context.Context, string) ([]webhook.Endpoint, error) {
	return nil, errors.New("disk full at /secret/path")
}

func TestOurOwnFailuresAreLoggedAndNamedButNotExplained(t *testing.T) {
	s := newSite(t)
	config := s.config
	config.Store = broken{s.store}
	s.API = api.New(config)
	for _, target := range []string{"/v1/accounts/acme", "/v1/endpoints?account=acme"} {
		got := s.do(s.platform, "GET", target, "")
		p := got.problem(t)
		if got.status != 500 || p.RequestID == "" || !strings.Contains(s.log.String(), p.RequestID) {
			t.Errorf("%s: got %s; the log says %s", target, got.body, s.log)
		}
		if strings.Contains(got.body, "secret") || strings.Contains(got.body, "roof") {
			t.Errorf("%s: the answer tells too much: %s", target, got.body)
		}
	}
	if !strings.Contains(s.log.String(), "api_test.go") {
		t.Errorf("no stack in the log: %s", s.log)
	}
}

// breaking is a body that ends with an error.
type breaking struct{}

func (breaking) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestABodyThatBreaksOffIsTheCallersMistake(t *testing.T) {
	s := newSite(t)
	for _, target := range []string{"/v1/jobs/1", "/v1/accounts/acme"} {
		r := httptest.NewRequest("PUT", target, breaking{})
		r.Header.Set("Authorization", "Bearer "+s.platform)
		if got := s.send(r); got.status != 400 {
			t.Errorf("%s: got %d %s, want 400", target, got.status, got.body)
		}
	}
}
