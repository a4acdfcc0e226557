package api

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzSplit holds split against encoding/json: what it takes apart and puts
// together again is the same object, and no valid object is refused, but for
// doubles.
func FuzzSplit(f *testing.F) {
	for _, seed := range []string{
		`{}`, ` { "a" : 1 , "b" : [ 1 , {"c":"}"} ] } `, `{"a":"\\\""}`, `{"a\u0062":null}`, `{"a":1.10e+5}`,
		`{"a":1,}`, `{,}`, `{"a":}`, `{"a"}`, `{"a":1}}`, `{"a":[}`, `{"a":1 2}`, `{"a":tru}`, `{"a":1,"a":2}`, `[]`, ``,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var want map[string]json.RawMessage
		valid := json.Unmarshal([]byte(text), &want) == nil && want != nil
		list, err := split([]byte(text))
		if err != nil {
			if p := err.(*Problem); valid && p.Status != 422 && json.Valid([]byte(text)) && isUTF8(text) {
				t.Errorf("%q was refused: %v", text, p)
			}
			return
		}
		b := append(attributes{rest: list}.appendRest([]byte(`{"":0`)), '}')
		if json.Valid(b) != json.Valid([]byte(text)) {
			t.Fatalf("%q became %q", text, b)
		}
		if !valid {
			return
		}
		got := map[string]json.RawMessage{}
		for _, m := range list {
			got[string(m.Name)] = m.Value
		}
		if diff := cmp.Diff(got, want); diff != "" {
			t.Errorf("%q (-got +want):\n%s", text, diff)
		}
	})
}

func isUTF8(s string) bool {
	for _, r := range s {
		if r == '\uFFFD' {
			return false
		}
	}
	return true
}

// The examples of RFC 7386, appendix A, whose target is an object.
func TestMergeIsThatOfTheRFC(t *testing.T) {
	for _, tt := range []struct{ target, patch, want string }{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`{"a":"foo"}`, `null`, `null`},
		{`{"a":"foo"}`, `"bar"`, `"bar"`},
		{`{"e":null}`, `{"a":1}`, `{"e":null,"a":1}`},
		{`[1,2]`, `{"a":"b","c":null}`, `{"a":"b"}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
		{`{"n":1.10}`, `{"m":12345678901234567890}`, `{"n":1.10,"m":12345678901234567890}`},
	} {
		got, err := merge([]byte(tt.target), []byte(tt.patch))
		if err != nil || string(got) != tt.want {
			t.Errorf("%s with %s: got %s, %v, want %s", tt.target, tt.patch, got, err, tt.want)
		}
	}
}
