package main

import (
	"strings"
	"testing"
)

func TestEveryBadFlagIsReported(t *testing.T) {
	_, err := parseOptions([]string{"-changes", "1", "-seconds", "0", "-connections", "5000"})
	if err == nil {
		t.Fatal("got no error")
	}
	for _, flag := range []string{"-changes", "-seconds", "-connections"} {
		if !strings.Contains(err.Error(), flag) {
			t.Errorf("got %q, want it to name %s", err, flag)
		}
	}
}

func TestPlansHaveRoomForTheirChanges(t *testing.T) {
	o, err := parseOptions(nil)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{bareName: true}
	for _, p := range plans(o) {
		if p.capacity < p.changes || p.changes == 0 || p.endpoints > 1000 || seen[p.name] {
			t.Errorf("%s: got %+v", p.name, p)
		}
		seen[p.name] = true
	}
	if !seen[storedName] {
		t.Errorf("got no %s", storedName)
	}
}

func TestSkippedPrefillLeavesOutItsScenario(t *testing.T) {
	o, err := parseOptions([]string{"-skip-prefill"})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range plans(o) {
		if p.stored > 0 {
			t.Errorf("got %s, want none that needs stored deliveries", p.name)
		}
	}
}
