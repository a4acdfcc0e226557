package api_test

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// FuzzEveryRoute sends anything as an id, a query and a body to any route: the
// answer is what was asked for or a problem of the caller's, never ours, and
// leads nowhere else.
func FuzzEveryRoute(f *testing.F) {
	for i := range routes() {
		f.Add(uint(i), "k", "account=acme", `{}`, "")
		f.Add(uint(i), "\x00/..:rotate%2f", "account=acme&limit=250&after=dlv_0", `{"url":"https://a.example","status":"paused","filter":{}}`, "k")
		f.Add(uint(i), "..", "account=acme", `{"url":"https://a.example","types":[[],{}],"filter":[{}]}`, "")
		f.Add(uint(i), "ä", "after=\xff&since=9999-12-31T23:59:59Z&limit=-1", "\xff[", `"`)
	}
	s := newSite(f)
	keys := []string{s.operator, s.platform, s.acme}
	f.Fuzz(func(t *testing.T, which uint, id, query, body, tag string) {
		all := routes()
		r := all[which%uint(len(all))]
		path, _, _ := strings.Cut(r.target, "?")
		parts := strings.Split(path, "/")
		last, verb, isVerb := strings.Cut(parts[len(parts)-1], ":")
		if len(parts) > 3 && len(last) <= 4 { // an id, rather than a word
			last = url.PathEscape(id)
		}
		if parts[len(parts)-1] = last; isVerb {
			parts[len(parts)-1] += ":" + verb
		}
		u, err := url.ParseRequestURI(strings.Join(parts, "/"))
		if err != nil {
			t.Skip("no path")
		}
		request := httptest.NewRequest(r.method, "/", strings.NewReader(body))
		request.URL.Path, request.URL.RawPath, request.URL.RawQuery = u.Path, u.RawPath, query
		request.Header.Set("Authorization", "Bearer "+keys[which%3])
		if tag != "" {
			request.Header["Idempotency-Key"], request.Header["If-Match"], request.Header["If-None-Match"] = []string{tag}, []string{tag}, []string{tag}
		}
		if got := s.send(request); got.status >= 500 || got.status >= 300 && got.status < 400 && got.status != 304 {
			t.Errorf("%s %s?%s %q: got %d %s", r.method, u.EscapedPath(), query, body, got.status, got.body)
		}
	})
}
