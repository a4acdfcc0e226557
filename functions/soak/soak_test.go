package main

import (
	"net"
	"testing"
	"time"
)

func TestAWorldHasEveryNature(t *testing.T) {
	for _, n := range []int{20, 200, 333} {
		count := map[nature]int{}
		for _, x := range natures(n) {
			count[x]++
		}
		if len(natures(n)) != n {
			t.Errorf("%d endpoints: got %d", n, len(natures(n)))
		}
		for _, x := range []nature{healthy, dead, hanging, flapping, refusing, huge} {
			if count[x] == 0 {
				t.Errorf("%d endpoints: none is %s", n, x)
			}
		}
	}
}

func TestADuplicateIsExplainedByAKillOnly(t *testing.T) {
	start := time.Now()
	e := &endpoint{webhooks: map[string]*arrival{"a": {accepted: 2, acceptedAt: start}}}
	for _, tt := range []struct {
		name  string
		ended []ending
		kept  bool
	}{
		{"no restart", nil, false},
		{"a kill right after it", []ending{{start.Add(time.Second), true}}, true},
		{"a stop right after it", []ending{{start.Add(time.Second), false}}, false},
		{"a kill long after it", []ending{{start.Add(time.Minute), true}}, false},
		{"a kill long before it", []ending{{start.Add(-time.Minute), true}}, false},
	} {
		s := &soak{sent: []change{{job: "a", endpoint: e}}, ended: tt.ended}
		if got := s.duplicates(); got.Kept != tt.kept {
			t.Errorf("%s: kept %t, want %t (%s)", tt.name, got.Kept, tt.kept, got.Seen)
		}
	}
}

func TestALostWebhookBreaksThePromise(t *testing.T) {
	e := &endpoint{webhooks: map[string]*arrival{"a": {accepted: 1}, "b": {}}}
	s := &soak{sent: []change{{job: "a", endpoint: e}}}
	if got := s.nothingLost(); !got.Kept {
		t.Errorf("one that arrived: %s", got.Seen)
	}
	for _, job := range []string{"b", "c"} { // refused, never seen
		s := &soak{sent: []change{{job: job, endpoint: e}}}
		if got := s.nothingLost(); got.Kept {
			t.Errorf("%s: %s", job, got.Seen)
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for _, args := range [][]string{{"-duration", "5s"}, {"-endpoints", "3"}, {"-rate", "0"}, {"-restart", "1s"}, {"-nonsense"}} {
		if _, err := parseOptions(args); err == nil {
			t.Errorf("%v was accepted", args)
		}
	}
	if _, err := parseOptions(nil); err != nil {
		t.Error(err)
	}
}

func TestALedgerThatDoesNotBalanceBreaksThePromise(t *testing.T) {
	good := books{CheckedAt: time.Now(), Accepted: 5, Uncounted: 1, States: map[string]int{"delivered": 4, "declined": 2}}
	if got := good.balance(); !got.Kept {
		t.Errorf("one that balances: %s", got.Seen)
	}
	for name, change := range map[string]func(*books){
		"never checked":    func(b *books) { b.CheckedAt = time.Time{} },
		"a difference":     func(b *books) { b.Difference = 1 },
		"a sum that fails": func(b *books) { b.Accepted = 4 },
	} {
		bad := good
		change(&bad)
		if got := bad.balance(); got.Kept {
			t.Errorf("%s: %s", name, got.Seen)
		}
	}
}

func TestAReservedPortRefusesUntilItListens(t *testing.T) {
	port, err := reserve()
	if err != nil {
		t.Fatal(err)
	}
	if c, err := net.Dial("tcp", port.addr); err == nil {
		c.Close()
		t.Error("a connection was taken although nobody listens")
	}
	line, err := port.listen()
	if err != nil {
		t.Fatal(err)
	}
	defer line.Close()
	c, err := net.Dial("tcp", port.addr)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}
