package dashboard

import (
	"encoding/base64"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// shellRuns lets a shell run the command with a curl that only tells what it was given:
// its arguments and, if it is to read, its input.
func shellRuns(t *testing.T, command string) (args []string, input string) {
	t.Helper()
	shell := exec.Command("sh", "-c", `curl() { for a; do printf '%s\0' "$a"; done; printf 'INPUT\0'; case " $* " in *" @- "*) cat;; esac; }`+"\n"+command)
	out, err := shell.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s\n%s", err, out, command)
	}
	before, after, found := strings.Cut(string(out), "INPUT\x00")
	if !found {
		t.Fatalf("curl was not called:\n%s\n%s", command, out)
	}
	return strings.Split(strings.TrimSuffix(before, "\x00"), "\x00"), after
}

func TestTheCurlCommandSendsTheRequestWhateverItHolds(t *testing.T) {
	evil := "it's \"$(touch /tmp/x)\" `id` \\ ! \n\n; rm -rf / #*?[a]{b}"
	for _, tt := range []struct {
		name  string
		in    sentRequest
		want  []string // without the flags that all have
		input string
	}{
		{"plain", sentRequest{URL: "https://x.example/a", Headers: map[string][]string{"B": {"2", "3"}, "A": {"1"}}, Body: `{"a":1}`},
			[]string{"-H", "A: 1", "-H", "B: 2", "-H", "B: 3", "--data-raw", `{"a":1}`, "--url", "https://x.example/a"}, ""},
		{"no body", sentRequest{URL: "https://x.example/a"}, []string{"--data-raw", "", "--url", "https://x.example/a"}, ""},
		{"an empty header", sentRequest{Headers: map[string][]string{"A": {""}}}, []string{"-H", "A;", "--data-raw", "", "--url", ""}, ""},
		{"all that shells act on", sentRequest{URL: "https://x.example/" + evil, Headers: map[string][]string{"A": {evil}}, Body: evil},
			[]string{"-H", "A: " + evil, "--data-raw", evil, "--url", "https://x.example/" + evil}, ""},
		{"a body like a file's name", sentRequest{Body: "@/etc/passwd"}, []string{"--data-raw", "@/etc/passwd", "--url", ""}, ""},
		{"bytes", sentRequest{BodyBase64: base64.StdEncoding.EncodeToString([]byte{0xff, 0, '\n'})}, []string{"--data-binary", "@-", "--url", ""}, "\xff\x00\n"},
		{"what a terminal acts on when it is pasted", sentRequest{Body: "a\x7f\x7f'\x1b[201~\n\rb\u009b"}, []string{"--data-binary", "@-", "--url", ""}, "a\x7f\x7f'\x1b[201~\n\rb\u009b"},
		{"a zero byte in text", sentRequest{Body: "a\x00'b"}, []string{"--data-binary", "@-", "--url", ""}, "a\x00'b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			args, input := shellRuns(t, tt.in.curl())
			if diff := cmp.Diff(args, append([]string{"--globoff", "--path-as-is", "--include"}, tt.want...)); diff != "" {
				t.Errorf("arguments (-got +want):\n%s", diff)
			}
			if input != tt.input {
				t.Errorf("input %q, want %q", input, tt.input)
			}
		})
	}
}
