package jsonl_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/functions/internal/jsonl"
)

// all reads to the end.
func all(r *jsonl.Reader) (records []string, err error) {
	for {
		line, err := r.Next()
		if err != nil {
			return records, err
		}
		records = append(records, string(line))
	}
}

func TestRecordsAreReadAsTheyAreWritten(t *testing.T) {
	big := `{"a":"` + strings.Repeat("x", jsonl.MaxLine-len(`{"a":""}`)) + `"}`
	for _, test := range []struct {
		name, text string
		want       []string
	}{
		{"nothing", "", nil},
		{"one without an end", `{"a":1}`, []string{`{"a":1}`}},
		{"several", "{\"a\":1.0e+2}\n{}\n", []string{`{"a":1.0e+2}`, `{}`}},
		{"CRLF", "{\"a\":1}\r\n{}\r\n", []string{`{"a":1}`, `{}`}},
		{"blank lines", "\n\n{} \n \t\r\n\n  {\"a\":1}\n\n", []string{`{}`, `{"a":1}`}},
		{"byte order mark", "\ufeff{}\n{}", []string{`{}`, `{}`}},
		{"byte order mark alone", "\ufeff", nil},
		{"unicode", "{\"ä\":\"東京\\u2028\"}\n", []string{`{"ä":"東京\u2028"}`}},
		{"larger than the buffer", big + "\n{}\n" + big + "\r\n", []string{big, `{}`, big}},
		{"byte order mark and as large as can be", "\ufeff" + big + "\r\n", []string{big}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for name, reader := range map[string]*jsonl.Reader{
				"at once": jsonl.NewReader(strings.NewReader(test.text)), "checked before": jsonl.NewCheckedReader(strings.NewReader(test.text)),
				"in halves": jsonl.NewReader(iotest.HalfReader(iotest.DataErrReader(strings.NewReader(test.text)))),
			} {
				got, err := all(reader)
				if diff := cmp.Diff(got, test.want); !errors.Is(err, io.EOF) || diff != "" {
					t.Errorf("%s: %v (-got +want):\n%.300s", name, err, diff)
				}
				if _, err := reader.Next(); !errors.Is(err, io.EOF) {
					t.Errorf("%s: after the end: %v", name, err)
				}
			}
		})
	}
}

func TestABadLineIsNamed(t *testing.T) {
	for _, test := range []struct {
		name, text string
		line       int
		want       string
	}{
		{"list", "[{}]", 1, "no JSON object"},
		{"text", "{}\n\n\"a\"\n", 3, "no JSON object"},
		{"CSV", "a,b\n1,2\n", 1, "no JSON object"},
		{"pretty", "{\n\"a\":1\n}\n", 1, "no valid JSON"},
		{"two on a line", "{}{}\n", 1, "no valid JSON"},
		{"comma", "{},\n{}\n", 1, "no valid JSON"},
		{"cut off", "{}\n{\"a\":", 2, "no valid JSON"},
		{"no number", `{"a":NaN}`, 1, "no valid JSON"},
		{"not UTF-8", "{}\n{\"a\":\"\xff\"}\n", 2, "not UTF-8"},
		{"byte order mark within", "{}\n\ufeff{}\n", 2, "no JSON object"},
		{"UTF-16", "\xff\xfe{\x00}\x00", 1, "not UTF-8"},
		{"long", "{}\n" + `{"a":"` + strings.Repeat("x", jsonl.MaxLine) + `"}`, 2, "more than 4 MiB"},
		{"one too long", `{"a":"` + strings.Repeat("x", jsonl.MaxLine-len(`{"a":""}`)+1) + "\"}\n", 1, "more than 4 MiB"},
		{"endless", strings.Repeat(" ", 3*jsonl.MaxLine), 1, "more than 4 MiB"},
		{"deep", strings.Repeat(`{"a":`, 100_000), 1, "no valid JSON"},
	} {
		t.Run(test.name, func(t *testing.T) {
			reader := jsonl.NewReader(strings.NewReader(test.text))
			_, err := all(reader)
			var bad *jsonl.LineError
			if !errors.As(err, &bad) || bad.Line != test.line || !strings.Contains(bad.Problem, test.want) || bad.Cure == "" {
				t.Errorf("got %v, want %q in line %d", err, test.want, test.line)
			}
			if _, again := reader.Next(); !errors.Is(again, err) {
				t.Errorf("it went on: %v", again)
			}
		})
	}
}

func TestASourceThatBreaksIsNoEnd(t *testing.T) {
	broken := errors.New("broken")
	got, err := all(jsonl.NewReader(io.MultiReader(strings.NewReader("{}\n{}"), iotest.ErrReader(broken))))
	if !errors.Is(err, broken) || len(got) != 1 {
		t.Errorf("got %v, %v, want one record and %v", got, err, broken)
	}
}

func FuzzReader(f *testing.F) {
	for _, text := range []string{
		"", "{}", "{}\n{\"a\":1}\r\n", "\ufeff{}\n\n", "[]", "{\n}", "{}{}", "\x00", "{\"a\":\"\xff\"}", "{\"a\":1e400}\n", " {} ", "\r\n\r{}",
		`{"a":{"b":[1,true,null,"x\"y"]}}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := all(jsonl.NewReader(bytes.NewReader(text)))
		if slow, err2 := all(jsonl.NewReader(iotest.OneByteReader(bytes.NewReader(text)))); !cmp.Equal(got, slow) || fmt.Sprint(err) != fmt.Sprint(err2) {
			t.Fatalf("at once %q, %v; byte by byte %q, %v", got, err, slow, err2)
		}
		var bad *jsonl.LineError
		if !errors.Is(err, io.EOF) && !errors.As(err, &bad) {
			t.Fatalf("it ended with %v", err)
		}
		for _, record := range got {
			if !json.Valid([]byte(record)) || record[0] != '{' || strings.ContainsRune(record, '\n') {
				t.Fatalf("%q is no record", record)
			}
		}
		if again, _ := all(jsonl.NewReader(strings.NewReader(strings.Join(got, "\n")))); !cmp.Equal(again, got) {
			t.Fatalf("read again: %q, want %q", again, got)
		}
	})
}

func BenchmarkReader(b *testing.B) {
	text := []byte(strings.Repeat(`{"a":"`+strings.Repeat("x", 500)+`","b":[1,2,3],"c":{"d":true}}`+"\n", 2000))
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := count(jsonl.NewReader(bytes.NewReader(text))); !errors.Is(err, io.EOF) {
			b.Fatal(err)
		}
	}
}

func count(r *jsonl.Reader) (n int, err error) {
	for ; err == nil; n++ {
		_, err = r.Next()
	}
	return n, err
}
