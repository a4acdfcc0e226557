package webhook

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The example of the recommendation, section 3.2.
const (
	traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
	parent  = "00-" + traceID + "-00f067aa0ba902b7-01"
)

func TestATraceIsReadFromTheRecord(t *testing.T) {
	tests := []struct {
		name, record string
		want         Trace
	}{
		{"both", `{"id":"1","traceparent":"` + parent + `","tracestate":"congo=t61rcWkgMzE"}`, Trace{parent, "congo=t61rcWkgMzE"}},
		{"blanks", "{ \"traceparent\" :\n\t\"" + parent + `" , "n" : {"a":[1]}}`, Trace{Parent: parent}},
		{"none", `{"id":"1"}`, Trace{}},
		{"no record", ``, Trace{}},
		{"state alone", `{"tracestate":"congo=t61rcWkgMzE"}`, Trace{}},
		{"invalid parent takes the state with it", `{"traceparent":"00-1-2-3","tracestate":"a=b"}`, Trace{}},
		{"invalid state goes alone", `{"traceparent":"` + parent + `","tracestate":"a"}`, Trace{Parent: parent}},
		{"of a nested object", `{"options":{"traceparent":"` + parent + `"}}`, Trace{}},
		{"in a text", `{"name":"\"traceparent\""}`, Trace{}},
		{"a number", `{"traceparent":7}`, Trace{}},
		{"null", `{"traceparent":null}`, Trace{}},
		{"no object", `["traceparent"]`, Trace{}},
	}
	for _, test := range tests {
		if got := (Event{Record: []byte(test.record)}).Trace(); got != test.want {
			t.Errorf("%s: %+v, want %+v", test.name, got, test.want)
		}
	}
}

func TestATraceparentMustKeepVersion00(t *testing.T) {
	for s, want := range map[string]bool{
		parent:                                   true,
		"00-" + traceID + "-00f067aa0ba902b7-00": true,
		"00-" + traceID + "-00f067aa0ba902b7-ff": true, // unknown flags are for the receiver to ignore
		"":                                       false,
		"01-" + traceID + "-00f067aa0ba902b7-01": false, // a version to come
		"ff-" + traceID + "-00f067aa0ba902b7-01": false, // never a version
		parent + "-00":                           false,
		parent[:54]:                              false,
		strings.ToUpper(parent):                  false,
		"00-" + strings.Repeat("0", 32) + "-00f067aa0ba902b7-01":           false,
		"00-" + traceID + "-0000000000000000-01":                           false,
		"00-" + traceID + "-00f067aa0ba902b7-0g":                           false,
		"00_" + traceID + "-00f067aa0ba902b7-01":                           false,
		"00-" + traceID + "_00f067aa0ba902b7-01":                           false,
		"00-" + traceID + "-00f067aa0ba902b7_01":                           false,
		"00-" + traceID[:30] + "\r\n-00f067aa0ba902b7-01":                  false,
		"00-" + traceID[:15] + "x" + traceID[16:] + "-00f067aa0ba902b7-01": false,
	} {
		if got := ValidTraceparent(s); got != want {
			t.Errorf("%q is valid: %t, want %t", s, got, want)
		}
	}
}

func TestATracestateMustBeAListOfMembers(t *testing.T) {
	many := func(n int) string {
		var list []string
		for i := range n {
			list = append(list, fmt.Sprintf("k%d=v", i))
		}
		return strings.Join(list, ",")
	}
	for s, want := range map[string]bool{
		"":                                  true,
		"rojo=00f067aa0ba902b7":             true,
		"rojo=00f067aa0ba902b7,congo=t61 x": true,
		"fw529a3039@dt=FfFfFf;a:b/c":        true,
		"a=b,,c=d , \te=f,":                 true, // empty members and blanks between are allowed
		"a_-*/=!":                           true,
		"1a=b":                              true,
		many(32):                            true,
		many(33):                            false,
		"a=b,a=c":                           false,
		"a":                                 false,
		"=b":                                false,
		"a=":                                false,
		"A=b":                               false,
		"_a=b":                              false,
		"a b=c":                             false,
		"a=b=c":                             false,
		"a=b\nc":                            false,
		"a=\u00e4":                          false,
		"a=" + strings.Repeat("x", 256):     true,
		"a=" + strings.Repeat("x", 257):     false,
		strings.Repeat("a", 257) + "=b":     false,
		"a=" + strings.Repeat("x", 256) + ",b=" + strings.Repeat("x", 256): false, // more than 512 bytes
	} {
		if got := ValidTracestate(s); got != want {
			t.Errorf("%q is valid: %t, want %t", s, got, want)
		}
	}
}

func TestATraceIsSentUnchanged(t *testing.T) {
	h := http.Header{}
	Trace{Parent: parent, State: "a=b"}.SetHeader(h)
	want := http.Header{"Traceparent": {parent}, "Tracestate": {"a=b"}}
	if diff := cmp.Diff(h, want); diff != "" {
		t.Errorf("headers (-got +want):\n%s", diff)
	}
	if got := (Trace{Parent: parent}).ID(); got != traceID {
		t.Errorf("id %s, want %s", got, traceID)
	}
	h = http.Header{}
	Trace{}.SetHeader(h)
	if len(h) != 0 || (Trace{}).ID() != "" {
		t.Errorf("no trace set %v and has the id %q", h, Trace{}.ID())
	}
}

func BenchmarkARecordWithoutATrace(b *testing.B) {
	e := Event{Record: []byte(`{"id":"1","name":"` + strings.Repeat("x", 1000) + `"}`)}
	for b.Loop() {
		if e.Trace() != (Trace{}) {
			b.Fatal("there is a trace")
		}
	}
}
