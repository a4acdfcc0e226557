package dashboard_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/jobhook/jobhook/functions/internal/api"
	"github.com/jobhook/jobhook/functions/internal/site"
	"github.com/jobhook/jobhook/shared/disk"
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
}

func (b *bells) Ring(_ context.Context, list []webhook.Doorbell) error {
	b.lock.Lock()
	defer b.lock.Unlock()
	b.rung = append(b.rung, list...)
	return nil
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

// noon is when all tests happen.
func noon() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// tested is the whole site over an empty store: acme and other are accounts.
type tested struct {
	http.Handler
	t      testing.TB
	store  *sqlite.Store
	bells  *bells
	target *receiver
	log    *bytes.Buffer
	now    time.Time
	files  *disk.Files
	folder string // of the store
	config api.Config

	operator, platform, acme, other string // keys
}

func newSite(t testing.TB) *tested {
	t.Helper()
	folder := t.TempDir()
	store, err := sqlite.Open(t.Context(), folder, sqlite.Options{Sealer: plain{}, Durability: sqlite.DurableProcess})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	s := &tested{t: t, store: store, bells: &bells{}, target: &receiver{result: webhook.Result{Status: 200}}, log: &bytes.Buffer{}, now: noon(), folder: folder}
	s.files = disk.New(t.TempDir())
	s.config = api.Config{
		Retry: s.bells, Sender: s.target, Local: s.files, PublicURL: "https://jobhook.example", Version: "test",
		Now: func() time.Time { return s.now }, Log: slog.New(slog.NewTextHandler(s.log, nil)),
	}
	s.over(store)
	for _, id := range []string{"acme", "other"} {
		if err := store.PutAccount(t.Context(), webhook.Account{ID: id, Name: id, CreatedAt: s.now, UpdatedAt: s.now}); err != nil {
			t.Fatal(err)
		}
	}
	s.operator, s.platform = s.mint(webhook.ScopeOperator, ""), s.mint(webhook.ScopePlatform, "")
	s.acme, s.other = s.mint(webhook.ScopeAccount, "acme"), s.mint(webhook.ScopeAccount, "other")
	return s
}

// over puts the site over a store, with what the config says now.
func (s *tested) over(store site.Store) { s.Handler = site.New(store, s.files, s.config) }

func (s *tested) mint(scope webhook.Scope, account string) string {
	s.t.Helper()
	full, k := api.MintKey(s.now, scope, account, "test")
	if err := s.store.PutKey(s.t.Context(), k); err != nil {
		s.t.Fatal(err)
	}
	return full
}

// call is a request to the API with a key.
func (s *tested) call(key, method, target, body string) shown {
	s.t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+key)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return s.serve(r)
}

func (s *tested) serve(r *http.Request) shown {
	s.t.Helper()
	r.Host = "jobhook.example"
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	body, _ := io.ReadAll(w.Body)
	return shown{status: w.Code, header: w.Header(), body: string(body)}
}

// signIn opens a session with a key.
func (s *tested) signIn(key string) *browser {
	s.t.Helper()
	b := &browser{s: s}
	got := b.post("/sign-in", "key", key)
	if got.status != http.StatusSeeOther || b.cookie == nil {
		s.t.Fatalf("sign in: got %d %s", got.status, got.text())
	}
	return b
}

// browser keeps the session's cookie.
type browser struct {
	s      *tested
	cookie *http.Cookie
}

func (b *browser) do(r *http.Request) shown {
	b.s.t.Helper()
	r.Header.Set("Accept", "text/html")
	if b.cookie != nil {
		r.AddCookie(b.cookie)
	}
	got := b.s.serve(r)
	for _, c := range (&http.Response{Header: got.header}).Cookies() {
		if b.cookie = c; c.MaxAge < 0 {
			b.cookie = nil
		}
	}
	return got
}

// get opens a page.
func (b *browser) get(target string) shown {
	b.s.t.Helper()
	return b.do(httptest.NewRequest("GET", target, nil))
}

// open opens a page that must be there.
func (b *browser) open(target string) shown {
	b.s.t.Helper()
	got := b.get(target)
	if got.status != http.StatusOK {
		b.s.t.Fatalf("GET %s: got %d %s", target, got.status, got.text())
	}
	return got
}

// post sends a form of names and values, as this site's own.
func (b *browser) post(target string, pairs ...string) shown {
	b.s.t.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	r := httptest.NewRequest("POST", target, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.do(r)
}

// shown is an answer.
type shown struct {
	status int
	header http.Header
	body   string
}

// location is where the browser is sent.
func (s shown) location() string { return s.header.Get("Location") }

// text is what a reader reads of a page: no tags, and spaces as one.
func (s shown) text() string {
	var b strings.Builder
	skip := false
	for tokens := html.NewTokenizer(strings.NewReader(s.body)); ; {
		switch kind := tokens.Next(); kind {
		case html.ErrorToken:
			return strings.TrimSpace(regexp.MustCompile(`\s+`).ReplaceAllString(b.String(), " "))
		case html.TextToken:
			if !skip {
				b.Write(tokens.Text())
			}
		case html.StartTagToken, html.EndTagToken, html.SelfClosingTagToken:
			name, _ := tokens.TagName()
			skip = kind == html.StartTagToken && (string(name) == "style" || string(name) == "script")
			b.WriteByte(' ')
		}
	}
}

// wants complains of what is not to be read on the page.
func (s shown) wants(t testing.TB, texts ...string) {
	t.Helper()
	got := s.text()
	for _, want := range texts {
		if !strings.Contains(got, want) {
			t.Errorf("the page does not say %q:\n%s", want, got)
		}
	}
}

// lacks complains of what is to be read.
func (s shown) lacks(t testing.TB, texts ...string) {
	t.Helper()
	got := s.text()
	for _, not := range texts {
		if strings.Contains(got, not) {
			t.Errorf("the page says %q:\n%s", not, got)
		}
	}
}
