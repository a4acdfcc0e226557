package dashboard

import (
	"encoding/base64"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/jobhook/jobhook/shared/webhook"
)

// sentRequest is a request as the API shows it.
type sentRequest struct {
	Method     string              `json:"method"`
	URL        string              `json:"url"`
	Headers    map[string][]string `json:"headers"`
	Body       string              `json:"body"`
	BodyBase64 string              `json:"body_base64"` // of a body that is no text
	SignedAt   string              `json:"signed_at"`
}

// lines are the headers as they are sent, one a line, in the order of their names.
func (r sentRequest) lines() []string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(r.Headers)) {
		for _, value := range r.Headers[name] {
			list = append(list, name+": "+value)
		}
	}
	return list
}

// signed tells whether there is a signature among the headers.
func (r sentRequest) signed() bool {
	for name := range r.Headers {
		if strings.EqualFold(name, webhook.HeaderSignature) {
			return true
		}
	}
	return false
}

// curl is the command that sends the request, byte for byte, for a POSIX shell.
func (r sentRequest) curl() string {
	// Neither braces nor dots in the path are curl's to interpret.
	args := []string{"curl --globoff --path-as-is --include"}
	for _, line := range r.lines() {
		if name, value, _ := strings.Cut(line, ": "); value == "" {
			line = name + ";" // so curl writes a header without a value
		}
		args = append(args, "-H "+quoted(line))
	}
	before := ""
	if body, binary := r.Body, r.BodyBase64 != ""; binary || strings.ContainsFunc(body, unpasted) {
		if !binary {
			r.BodyBase64 = base64.StdEncoding.EncodeToString([]byte(body))
		}
		before = "printf %s " + quoted(r.BodyBase64) + " | base64 -d | "
		args = append(args, "--data-binary @-")
	} else {
		args = append(args, "--data-raw "+quoted(body))
	}
	return before + strings.Join(append(args, "--url "+quoted(r.URL)), " \\\n  ")
}

// unpasted tells the characters that do not come through as they are when a
// command is copied from a page and pasted into a terminal: a page has no zero
// byte and no carriage return, and a terminal acts on the others, such as DEL,
// which takes back the quote before it.
func unpasted(r rune) bool { return unicode.IsControl(r) && r != '\n' }

// quoted makes one argument of s, whatever it holds, for a POSIX shell.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
