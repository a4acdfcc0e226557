package dashboard

import "testing"

func TestABodyHidesNothing(t *testing.T) {
	for in, want := range map[string]string{
		"a\tb\nc\r\nd":         "a\tb\nc\nd",
		"\x00\x1b[31m\x7f":     "\u2400\u241b[31m\u2421",
		"a\rb":                 "a\u240db",
		"invoice\u202egpj.exe": "invoice[U+202E]gpj.exe",
		"\u2066a\u2069\u200f":  "[U+2066]a[U+2069][U+200F]",
		"pass\u200bword\ufeff": "pass[U+200B]word[U+FEFF]",
		"\u0085\u009b\u2028":   "[U+0085][U+009B][U+2028]",
		"日本 \u05e9\u05dc\u05d5\u05dd 👩\u200d💻": "日本 \u05e9\u05dc\u05d5\u05dd 👩\u200d💻",
	} {
		if got := visible(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
