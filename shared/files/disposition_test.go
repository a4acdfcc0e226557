package files

import (
	"mime"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestDispositionHasASafeFileName(t *testing.T) {
	for _, test := range []struct{ name, want string }{
		{"", ""},
		{"results.csv", `attachment; filename="results.csv"`},
		{"my results (1).csv", `attachment; filename="my results (1).csv"`},
		{`a"b\c/d.csv`, `attachment; filename="a_b_c_d.csv"`},
		{"../../etc/passwd", `attachment; filename="_.._etc_passwd"`},
		{"a\r\nSet-Cookie: b.csv", `attachment; filename="aSet-Cookie_ b.csv"`},
		{"rechnung_exe.\u202efdp", `attachment; filename="rechnung_exe.fdp"`},
		{"Größe 東京.csv", `attachment; filename="Gr__e __.csv"; filename*=UTF-8''Gr%C3%B6%C3%9Fe%20%E6%9D%B1%E4%BA%AC.csv`},
		{"100%.csv", `attachment; filename="100_.csv"; filename*=UTF-8''100%25.csv`},
		{"...", `attachment; filename="download"`},
		{"\x00\x01", `attachment; filename="download"`},
		{"a\xffb.csv", `attachment; filename="ab.csv"`},
		{strings.Repeat("x", 300) + ".jsonl", `attachment; filename="` + strings.Repeat("x", 194) + `.jsonl"`},
	} {
		if got := Disposition(test.name); got != test.want {
			t.Errorf("%q\ngot  %s\nwant %s", test.name, got, test.want)
		}
	}
}

func TestTheEndOfANameTellsTheContentType(t *testing.T) {
	for name, want := range map[string]string{
		"a.json": "application/json", "a.b.jsonl": "application/jsonl", "a.csv": "text/csv; charset=utf-8", "a.zip": "application/zip",
		"a.html": "application/octet-stream", "json": "application/octet-stream", "": "application/octet-stream",
	} {
		if got := ContentType(name); got != want {
			t.Errorf("%q: got %s, want %s", name, got, want)
		}
	}
}

// TestEveryNameMakesAHeaderThatReadsAsASafeName reads it as another program
// does.
func TestEveryNameMakesAHeaderThatReadsAsASafeName(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "name")
		header := Disposition(name)
		if name == "" {
			return
		}
		for _, c := range []byte(header) {
			if c < ' ' || c > '~' {
				t.Fatalf("%q has byte %x", header, c)
			}
		}
		kind, params, err := mime.ParseMediaType(header)
		if err != nil || kind != "attachment" {
			t.Fatalf("%q: %s, %v", header, kind, err)
		}
		got := params["filename"]
		if got == "" || len(got) > maxFileName || !utf8.ValidString(got) || strings.ContainsAny(got, "/\\\"\r\n\x00") || strings.Trim(got, ". ") != got {
			t.Fatalf("%q reads as %q", header, got)
		}
	})
}
