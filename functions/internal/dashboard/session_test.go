package dashboard_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/jobhook/jobhook/functions/internal/dashboard"
)

func TestWhoOpensALinkWhileSignedInIsToldAndHisSessionEnds(t *testing.T) {
	s := newSite(t)
	var link struct{ URL string }
	decode(t, s.call(s.platform, "POST", "/v1/accounts/other/portal-links", "").body, &link)
	_, token, _ := strings.Cut(link.URL, "token=")
	b := s.signIn(s.acme)
	before := b.cookie.Value
	page := b.open("/portal?token=" + token)
	page.wants(t, "You are signed in already", "another account")
	if strings.Contains(page.body, token) {
		t.Error("the page has the token in it")
	}
	if got := b.post("/portal?token=" + token); got.status != http.StatusSeeOther {
		t.Fatalf("got %d %s", got.status, got.text())
	}
	b.open("/settings").wants(t, "other")
	if got := s.call(before, "GET", "/v1/session", ""); got.status != http.StatusUnauthorized {
		t.Errorf("the session before still answers %d", got.status)
	}
	(&browser{s: s}).open("/portal?token="+token).lacks(t, "You are signed in already")
}

func TestAnAddressThatIsNoPageSaysSoToReadersAndToProgramsInTheirWords(t *testing.T) {
	s := newSite(t)
	read := func(path, accept string) shown {
		r := httptest.NewRequest("GET", path, nil)
		r.Header.Set("Accept", accept)
		return s.serve(r)
	}
	for _, tt := range []struct{ path, accept, contentType string }{
		{"/nope", "text/html,*/*", "text/html; charset=utf-8"},
		{"/nope", "application/json", "application/problem+json"},
		{"/v1/nope", "text/html,*/*", "application/problem+json"},
	} {
		got := read(tt.path, tt.accept)
		if got.status != http.StatusNotFound || got.header.Get("Content-Type") != tt.contentType {
			t.Errorf("%s for %s: got %d %s", tt.path, tt.accept, got.status, got.header.Get("Content-Type"))
		}
	}
	if got := s.signIn(s.acme).get("/job/revoke?id=1"); got.status != http.StatusSeeOther || got.location() != "/job?id=1" {
		t.Errorf("the address of a form leads to %d %s", got.status, got.location())
	}
}

func TestAPageThatPanicsIsAnsweredAndLogged(t *testing.T) {
	var log bytes.Buffer
	d := dashboard.New(dashboard.Config{
		API: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("a defect") }),
		Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	r := httptest.NewRequest("GET", "/jobs", nil)
	r.AddCookie(&http.Cookie{Name: "__Host-jobhook_session", Value: "jh_live_a_b"})
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	if w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), "Something went wrong") || strings.Contains(w.Body.String(), "a defect") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if !strings.Contains(log.String(), "page.panicked") || !strings.Contains(log.String(), "a defect") {
		t.Errorf("logged: %s", log.String())
	}
}
