package compat_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"pgregory.net/rapid"

	"github.com/jobhook/jobhook/functions/internal/compat"
	"github.com/jobhook/jobhook/functions/internal/lambdahost"
)

// routes are all routes, with %s for the id of a job of their system.
func routes() []string {
	return []string{
		"/serpwow/batches/%s",
		"/serpwow/batches/%s/searches/1",
		"/serpwow/batches/%s/results",
		"/serpwow/batches/%s/results/1",
		"/serpwow/batches/%s/results/1/jsonlines",
		"/serpwow/batches/%s/results/1/csv",
		"/serpwow/batches/%s/results/1/resendwebhook",
		"/webscraper/scraping-job/%s",
		"/webscraper/scraping-job/%s/json",
		"/webscraper/scraping-job/%s/csv",
		"/hkube/api/v1/exec/status/%s",
		"/hkube/api/v1/exec/results/%s",
		"/hkube/api/v1/webhooks/status/%s",
		"/hkube/api/v1/webhooks/results/%s",
		"/hkube/api/v1/webhooks/list/%s",
		"/socialdata/jobs/%s",
	}
}

func systems() []string { return []string{"/serpwow", "/webscraper", "/hkube/api/v1", "/socialdata"} }

func TestAnotherAccountsObjectsLookLikeNone(t *testing.T) {
	s := newSite(t)
	theirs := map[string]string{"/serpwow": "THEIRS", "/webscraper": "77", "/hkube": "theirs:1"}
	for _, route := range routes() {
		base, _, _ := strings.Cut(route[1:], "/")
		id, ok := theirs["/"+base]
		if !ok {
			continue // SocialData tells them apart; its golden files have both
		}
		got, absent := s.get(acme, strings.Replace(route, "%s", id, 1)), s.get(acme, strings.Replace(route, "%s", "absent", 1))
		if got.status != 404 || absent.status != 404 || strings.ReplaceAll(got.body, id, "absent") != absent.body {
			t.Errorf("%s: got %s, an absent one %s", route, got, absent)
		}
		if owner := s.get(other, strings.Replace(route, "%s", id, 1)); owner.body == got.body && !strings.Contains(route, "/results/1") &&
			!strings.Contains(route, "webhooks") && !strings.HasSuffix(route, "json") && !strings.HasSuffix(route, "csv") {
			t.Errorf("%s: its owner does not see it either: %s", route, owner)
		}
	}
	if got := s.get(acme, "/webscraper/scraping-jobs"); strings.Contains(got.body, `"id":77`) {
		t.Errorf("the list has another account's job: %s", got.body)
	}
}

func TestAnIDOfAnotherKindIsUnknown(t *testing.T) {
	s := newSite(t)
	for _, target := range []string{
		"/serpwow/batches/1234", "/webscraper/scraping-job/9E867FAA", "/webscraper/scraping-job/42/csv",
		"/hkube/api/v1/exec/status/9E867FAA", "/hkube/api/v1/webhooks/list/9E867FAA", "/socialdata/jobs/1234",
	} {
		if got := s.get(acme, target); got.status != 404 {
			t.Errorf("%s: got %s", target, got)
		}
	}
}

func TestAPlatformsKeySeesTheAccountThatItNames(t *testing.T) {
	s := newSite(t)
	for _, key := range []string{platform, operator} {
		for _, target := range []string{"/serpwow/batches/9E867FAA", "/webscraper/scraping-jobs", "/hkube/api/v1/exec/status/batch:2", "/socialdata/jobs/42"} {
			if got := s.get(key, target+"?account=acme"); got.status != 200 {
				t.Errorf("%s, %s: got %s", key, target, got)
			}
			if got := s.get(key, target); got.status != 401 {
				t.Errorf("%s, %s without an account: got %s", key, target, got)
			}
		}
		if got := s.get(key, "/serpwow/batches/9E867FAA?account=other"); got.status != 404 {
			t.Errorf("%s in the name of another: got %s", key, got)
		}
	}
	if got := s.get(acme, "/serpwow/batches/THEIRS?account=other"); got.status != 404 {
		t.Errorf("an account's key names another account: got %s", got)
	}
}

func TestKeysComeOnlyAsTheSystemSendsThem(t *testing.T) {
	s := newSite(t)
	for _, target := range []string{
		"/hkube/api/v1/exec/status/batch:2?api_key=acme", "/socialdata/jobs/42?api_key=acme&api_token=acme",
		"/serpwow/batches/9E867FAA?api_token=acme", "/webscraper/scraping-jobs?api_key=acme",
	} {
		if got := s.get("", target); got.status != 401 {
			t.Errorf("%s: got %s", target, got)
		}
	}
	r := httptest.NewRequest("GET", "/socialdata/jobs/42", nil)
	r.Header.Set("Authorization", "Basic acme")
	w := httptest.NewRecorder()
	if s.ServeHTTP(w, r); w.Code != 401 {
		t.Errorf("Basic: got %d", w.Code)
	}
}

func TestHeadAnswersAsGetWithoutABody(t *testing.T) {
	s := newSite(t)
	for _, p := range pairs() {
		if p.method != http.MethodGet {
			continue
		}
		head, get := s.do(p.key, http.MethodHead, p.target), s.do(p.key, http.MethodGet, p.target)
		if head.status != get.status || head.body != "" || head.header.Get("Content-Type") != get.header.Get("Content-Type") && get.status != 302 ||
			head.header.Get("Content-Length") != get.header.Get("Content-Length") {
			t.Errorf("HEAD %s: got %d %v %q; GET %d %v", p.target, head.status, head.header, head.body, get.status, get.header)
		}
	}
}

func TestPathsThatAreNoneAreAnsweredInTheSystemsWords(t *testing.T) {
	s := newSite(t)
	words := map[string]string{"/serpwow": "request_info", "/webscraper": `"success":false`, "/hkube/api/v1": `"code":404`, "/socialdata": `"status":"error"`}
	for _, base := range systems() {
		for _, path := range []string{"", "/", "/x", "//batches/9E867FAA", "/batches/../jobs", "/batches/9E867FAA/", "/%2e%2e/x", "/jobs//42", "/%00"} {
			if got := s.get("", base+path); got.status != 404 || !strings.Contains(got.body, words[base]) {
				t.Errorf("%s: got %s", base+path, got)
			}
		}
	}
	for _, path := range []string{"/", "/v1/jobs", "/serpwowx/batches/1", "/hkube/api/v2/exec/status/x"} {
		if got := s.get("", path); got.status != 404 {
			t.Errorf("%s: got %s", path, got)
		}
	}
}

func TestNoAnswerIsGuessedAt(t *testing.T) {
	s := newSite(t)
	for _, base := range systems() {
		for _, key := range []string{"", acme} {
			if got := s.get(key, base+"/x"); got.header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s: header %v, want nosniff", base, got.header)
			}
		}
	}
	for _, route := range routes() {
		for _, id := range []string{"1", "no such"} {
			if got := s.get(acme, strings.Replace(route, "%s", url.PathEscape(id), 1)); got.header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s: header %v, want nosniff", route, got.header)
			}
		}
	}
}

func TestOtherMethodsAreRefusedOnEveryRoute(t *testing.T) {
	s := newSite(t)
	for _, route := range append(routes(), "/webscraper/scraping-jobs") {
		for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"} {
			got := s.do(acme, method, strings.Replace(route, "%s", "1", 1))
			if got.status != 405 || got.header.Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: got %s", method, route, got)
			}
		}
	}
}

func TestOurOwnFailuresAreLoggedButNotExplained(t *testing.T) {
	s := newSite(t)
	s.with(func(c *compat.Config) { c.Store = broken{c.Store} })
	for _, target := range []string{"/serpwow/batches/", "/webscraper/scraping-job/", "/hkube/api/v1/exec/status/", "/socialdata/jobs/"} {
		for _, id := range []string{"panic", "fail"} {
			s.log.Reset()
			got := s.get(acme, target+id)
			got.mustUnmarshal(t)
			if got.status != 500 || got.header.Get("Content-Type") != "application/json" {
				t.Errorf("%s: got %s", target+id, got)
			}
			if strings.Contains(got.body, "secret") || strings.Contains(got.body, "roof") {
				t.Errorf("%s: the answer tells too much: %s", target+id, got.body)
			}
			logged := s.log.String()
			if !strings.Contains(logged, "level=ERROR") || strings.Contains(logged, "api_key") || strings.Contains(logged, "=acme") {
				t.Errorf("%s: logged %s", target+id, logged)
			}
		}
	}
}

func TestARequestThatWasGivenUpIsNoFailureOfOurs(t *testing.T) {
	s := newSite(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequest("GET", "/serpwow/batches/9E867FAA?api_key=acme", nil).WithContext(ctx)
	w := httptest.NewRecorder()
	if s.ServeHTTP(w, r); w.Code != 503 || s.log.Len() > 0 {
		t.Errorf("got %d %s, logged %s", w.Code, w.Body, s.log)
	}
}

func TestIDsWithSlashesAreFoundWhereThePathComesDecoded(t *testing.T) {
	s := newSite(t)
	s.write(`{"account":"acme","kind":"scraping","id":"a/b","status":"scheduled"}`)
	s.write(`{"account":"acme","kind":"pipeline","id":"a/b:1","status":"pending"}`)
	s.write(`{"account":"acme","kind":"async","id":"a/b","status":"pending"}`)
	handle := lambdahost.HTTP(s, compat.Patterns()...)
	for path, want := range map[string]int{
		"/serpwow/batches/searches/1": 200, "/serpwow/batches/searches/1/searches/1": 200, "/serpwow/batches/searches/1/results": 200,
		"/serpwow/batches/9E867FAA/results/4/csv": 200, "/serpwow/batches/9E867FAA/results/4/resendwebhook": 200,
		"/webscraper/scraping-job/a/b": 200, "/webscraper/scraping-job/1234/json": 200, "/webscraper/scraping-jobs": 200,
		"/hkube/api/v1/exec/status/a/b:1": 200, "/hkube/api/v1/exec/results/a/b:1": 400, "/socialdata/jobs/a/b": 200,
	} {
		e := events.APIGatewayV2HTTPRequest{RawPath: path, RawQueryString: "api_key=acme&api_token=acme", Headers: map[string]string{"authorization": "Bearer acme"}}
		e.RequestContext.HTTP.Method = http.MethodGet
		got, err := handle(t.Context(), e)
		if err != nil || got.StatusCode != want {
			t.Errorf("%s: got %d %s, %v, want %d", path, got.StatusCode, got.Body, err, want)
		}
	}
}

// Whatever is asked for, the answer is one of the system's, and never 5xx.
func TestNoRequestLeadsToAServerError(t *testing.T) {
	s := newSite(t)
	ids := []string{"9E867FAA", "QUIET", "searches%2F1", "1234", "1235", "1236", "batch:2", "42", "043",
		"batch-pipeline:e51c8dd7-7a7b-4d65-ad36-d1a919a9dee1", "THEIRS", "theirs:1", "45", "absent"}
	rapid.Check(t, func(t *rapid.T) {
		escaped := rapid.Custom(func(t *rapid.T) string {
			var b strings.Builder
			for _, c := range rapid.SliceOfN(rapid.Byte(), 1, 400).Draw(t, "bytes") {
				b.WriteString("%" + string("0123456789ABCDEF"[c>>4]) + string("0123456789ABCDEF"[c&15]))
			}
			return b.String()
		})
		text := rapid.OneOf(rapid.SampledFrom(ids), escaped)
		number := rapid.OneOf(rapid.SampledFrom([]string{"1", "3", "4", "0", "-1", "1e3", "01", "999999999999999999999", "1000000000"}), text)
		target := strings.Replace(rapid.SampledFrom(append(routes(), "/webscraper/scraping-jobs", "%s")).Draw(t, "route"), "%s", text.Draw(t, "id"), 1)
		for _, part := range []string{"/searches/1", "/results/1"} {
			target = strings.Replace(target, part, part[:len(part)-1]+number.Draw(t, "number"), 1)
		}
		if !strings.HasPrefix(target, "/") {
			target = rapid.SampledFrom(systems()).Draw(t, "system") + "/" + target
		}
		target += "?page=" + number.Draw(t, "page") + "&sitemap_id=" + number.Draw(t, "sitemap") + "&account=" + text.Draw(t, "account")
		key := rapid.SampledFrom([]string{acme, other, platform, operator, "wrong", ""}).Draw(t, "key")
		method := rapid.SampledFrom([]string{"GET", "HEAD", "POST"}).Draw(t, "method")
		if got := s.do(key, method, target); got.status >= 500 || got.status < 200 {
			t.Errorf("%s %s: got %s\nlogged %s", method, target, got, s.log)
		}
	})
}
