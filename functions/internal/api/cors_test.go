package api_test

import (
	"net/http/httptest"
	"testing"

	"github.com/jobhook/jobhook/functions/internal/api"
)

func TestBrowsersOfChosenOriginsOnlyMayCall(t *testing.T) {
	s := newSite(t)
	chosen := s.with(func(c *api.Config) { c.CORSOrigins = []string{"https://app.example.com"} })
	for _, tt := range []struct {
		name   string
		site   *site
		origin string
		want   string
	}{
		{"off by default", s, "https://app.example.com", ""},
		{"chosen", chosen, "https://app.example.com", "https://app.example.com"},
		{"another scheme", chosen, "http://app.example.com", ""},
		{"another port", chosen, "https://app.example.com:8443", ""},
		{"a longer name", chosen, "https://app.example.com.evil.example", ""},
		{"null", chosen, "null", ""},
		{"no browser", chosen, "", ""},
	} {
		r := httptest.NewRequest("GET", "/v1/endpoints", nil)
		r.Header.Set("Authorization", "Bearer "+s.acme)
		r.Header.Set("Origin", tt.origin)
		got := tt.site.send(r)
		if got.status != 200 || got.header.Get("Access-Control-Allow-Origin") != tt.want || (got.header.Get("Access-Control-Expose-Headers") != "") != (tt.want != "") {
			t.Errorf("%s: got %d, headers %v, want origin %q", tt.name, got.status, got.header, tt.want)
		}
		if varies := got.header.Get("Vary") == "Origin"; varies != (tt.site == chosen) {
			t.Errorf("%s: Vary %q", tt.name, got.header.Get("Vary"))
		}
		preflight := httptest.NewRequest("OPTIONS", "/v1/endpoints/ep_1:test", nil)
		preflight.Header.Set("Origin", tt.origin)
		preflight.Header.Set("Access-Control-Request-Method", "POST")
		got = tt.site.send(preflight)
		if allowed := got.status == 204 && got.header.Get("Access-Control-Allow-Methods") != ""; allowed != (tt.want != "") {
			t.Errorf("%s, preflight: got %d, headers %v", tt.name, got.status, got.header)
		}
		if got.header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: cookies are let in", tt.name)
		}
	}
}
