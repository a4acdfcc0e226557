package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/jobhook/jobhook/functions/internal/api"
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
	all := slashedIDs()
	for i := range all[1:] {
		if strings.HasPrefix(all[i+1], all[i]) {
			t.Errorf("%s comes after %s, which matches its paths", all[i+1], all[i])
		}
	}
}
