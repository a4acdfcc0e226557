package dashboard_test

import (
	"slices"
	"testing"
)

// Browsers go back to what they have kept without asking, unless its cookie has
// changed since.
func TestAPageIsKeptForTheSessionThatItWasShownTo(t *testing.T) {
	s := newSite(t)
	got := s.signIn(s.acme).open("/deliveries")
	if vary := got.header.Values("Vary"); !slices.Contains(vary, "Cookie") {
		t.Errorf("Vary: got %q", vary)
	}
}
