package dashboard

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/jobhook/jobhook/shared/webhook"
)

// headingsOfReadme are the anchors of the headings of the README, by the rule of
// GitHub: small letters, spaces as hyphens, and of the rest letters, digits,
// hyphens and underscores only.
func headingsOfReadme(t *testing.T) map[string]bool {
	t.Helper()
	readme, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	anchors, inCode := map[string]bool{}, false
	for line := range strings.Lines(string(readme)) {
		if strings.HasPrefix(line, "```") {
			inCode = !inCode
		}
		title, isHeading := strings.CutPrefix(strings.TrimLeft(line, "#"), " ")
		if inCode || !isHeading || !strings.HasPrefix(line, "#") {
			continue
		}
		anchors[strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
				return unicode.ToLower(r)
			}
			return -1
		}, strings.TrimSpace(title))] = true
	}
	if !anchors["what-we-promise-and-how-it-is-tested"] {
		t.Fatalf("the headings were not read: %v", anchors)
	}
	return anchors
}

func TestEveryLinkIntoTheReadmeLeadsToAHeading(t *testing.T) {
	anchors := headingsOfReadme(t)
	for name, w := range words() {
		if !anchors[w.see] {
			t.Errorf("%s leads to #%s, which is no heading of the README", name, w.see)
		}
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, name := range files {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\b(?:more\(|readme ?\+ ?)"([^"]+)"`).FindAllSubmatch(source, -1) {
			found++
			if !anchors[string(m[1])] {
				t.Errorf("%s leads to #%s, which is no heading of the README", name, m[1])
			}
		}
	}
	if found < 3 {
		t.Errorf("found only %d links in the sources", found)
	}
}

func TestEveryWordSaysWhatItMeansAndWhatToDo(t *testing.T) {
	known := words()
	for name, w := range known {
		if !strings.HasSuffix(w.means, ".") || !strings.HasSuffix(w.todo, ".") {
			t.Errorf("%s: %+v", name, w)
		}
	}
	var states []string
	for _, s := range webhook.States() {
		states = append(states, string(s))
	}
	states = append(states, string(webhook.EndpointEnabled), string(webhook.EndpointPaused), string(webhook.EndpointDisabled), string(webhook.Healthy), string(webhook.Failing),
		circuitClosed, circuitOpen, circuitHalfOpen, string(webhook.ResultSetExporting), string(webhook.ResultSetExported), string(webhook.ResultSetFailed),
		string(webhook.ResendRunning), string(webhook.ResendDone), string(webhook.ResendCancelled))
	for _, s := range states {
		if _, ok := known[s]; !ok {
			t.Errorf("nothing is said of %s", s)
		}
	}
}
