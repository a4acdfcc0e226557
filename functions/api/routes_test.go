package main

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"github.com/jobhook/jobhook/functions/internal/api"
	"github.com/jobhook/jobhook/functions/internal/compat"
)

// TestEveryRouteWithAnIDOfThePlatformMayHaveASlashInIt compares slashedIDs with
// the OpenAPI document, so that a new route is not forgotten.
func TestEveryRouteWithAnIDOfThePlatformMayHaveASlashInIt(t *testing.T) {
	var document struct{ Paths map[string]any }
	if err := json.Unmarshal(api.New(api.Config{Version: api.Version}).OpenAPI(), &document); err != nil {
		t.Fatal(err)
	}
	var want []string
	for path := range document.Paths {
		if strings.HasPrefix(path, "/v1/accounts/{") || strings.HasPrefix(path, "/v1/jobs/{") {
			want = append(want, path)
		}
	}
	got := slices.Sorted(slices.Values(slashedIDs()))
	slices.Sort(want)
	if !slices.Equal(got, want) || len(want) == 0 {
		t.Errorf("routes %q, want %q", got, want)
	}
}

// TestTheMostSpecificRouteComesFirst: a parameter may hold slashes, so that
// /v1/accounts/{account} matches what belongs to a longer route.
func TestTheMostSpecificRouteComesFirst(t *testing.T) {
	all := patterns()
	for i := range all[1:] {
		if strings.HasPrefix(all[i+1], all[i]) {
			t.Errorf("%s comes after %s, which matches its paths", all[i+1], all[i])
		}
	}
}

// TestIDsOfTheFourSystemsMayHaveSlashes asks for each of their routes as API
// Gateway hands it on: decoded.
func TestIDsOfTheFourSystemsMayHaveSlashes(t *testing.T) {
	var got string
	handler := httpOf(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.URL.EscapedPath() }))
	routes := compat.Patterns()
	if len(routes) == 0 {
		t.Fatal("the four systems have no routes")
	}
	for _, route := range routes {
		var e events.APIGatewayV2HTTPRequest
		e.RequestContext.HTTP.Method = "GET"
		e.RawPath = strings.NewReplacer("{id}", "a/b", "{page}", "1", "{rs}", "2").Replace(route)
		want := strings.Replace(e.RawPath, "a/b", "a%2Fb", 1)
		if _, err := handler(t.Context(), e); err != nil || got != want || strings.Contains(e.RawPath, "{") {
			t.Errorf("%s: got %s, %v, want %s", route, got, err, want)
		}
	}
}
