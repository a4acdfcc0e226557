package main

import (
	"os"
	"testing"
)

// TestHelpStartsNothing calls wire. That also links the whole product into this
// test binary, so that go test runs the end to end tests anew whenever any of
// it has changed: the binary that they build is not known to its cache.
func TestHelpStartsNothing(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := wire(t.Context(), []string{"--help"}); err != nil {
		t.Error(err)
	}
	files, err := os.ReadDir(".")
	if err != nil || len(files) != 0 {
		t.Errorf("%d files were made, %v; want none", len(files), err)
	}
}
