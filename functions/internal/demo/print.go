package demo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"
)

// Bounds of what is shown, in bytes.
const (
	maxShownBody  = 1600
	maxShownWrite = 120
	maxShownValue = 60
	maxShownProof = 24 // of a signature
)

// ANSI colours.
const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

// printer writes for people. Each of its methods writes a whole block at once,
// so that nothing interleaves.
type printer struct {
	lock   sync.Mutex
	out    io.Writer
	colour bool
}

func newPrinter(out io.Writer) *printer {
	return &printer{out: out, colour: os.Getenv("NO_COLOR") == "" && isTerminal(out)}
}

func isTerminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func (p *printer) paint(colour, text string) string {
	if !p.colour {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// print writes a block. There is nobody to tell when the terminal is gone.
func (p *printer) print(lines ...string) {
	p.lock.Lock()
	defer p.lock.Unlock()
	io.WriteString(p.out, strings.Join(lines, "\n")+"\n")
}

func (p *printer) opening(url string) {
	p.print("", "Five short jobs, one for each format. Their webhooks go to "+url+".")
}

func (p *printer) title(format, about string) {
	p.print("", p.paint(bold+";"+cyan, format)+": "+about)
}

// write shows what the platform writes to the API.
func (p *printer) write(method, path string, body fields) {
	text, _ := json.Marshal(body) // what is shown is sent next, and refused there
	line := "   " + method + " " + path + " "
	if status, ok := body["status"]; ok {
		line += fmt.Sprintf("status=%v ", status) // what matters, wherever the text is cut
	}
	p.print(p.paint(dim, shortened(line+string(text), maxShownWrite)))
}

// upload shows what the platform uploads.
func (p *printer) upload(path string, lines []byte) {
	text := fmt.Sprintf("   POST %s %d records: %s", path, bytes.Count(lines, []byte("\n")), lines)
	p.print(p.paint(dim, shortened(printable(text), maxShownWrite)))
}

// webhook shows a received webhook and its answer.
func (p *printer) webhook(n int, elapsed time.Duration, q webhookRequest, v verdict) {
	lines := []string{"", p.paint(bold, fmt.Sprintf("#%d %s", n, v.format)) + fmt.Sprintf(" after %.2f s", elapsed.Seconds())}
	lines = append(lines, "   POST "+printable(q.path))
	lines = append(lines, p.headerLines(q.header)...)
	lines = append(lines, "")
	lines = append(lines, bodyLines(q.header.Get("Content-Type"), q.body)...)
	p.print(append(lines, "", p.judged(v), p.answered(v))...)
}

func (p *printer) headerLines(h http.Header) []string {
	var lines []string
	for _, name := range []string{"content-type", "user-agent", "webhook-id", "webhook-timestamp", "webhook-signature"} {
		max := maxShownValue
		if name == "webhook-signature" {
			max = maxShownProof
		}
		if value := h.Get(name); value != "" {
			lines = append(lines, "   "+p.paint(dim, name+": ")+shortened(printable(value), max))
		}
	}
	return lines
}

func (p *printer) judged(v verdict) string {
	if v.wrong {
		return "   " + p.paint(red, "wrong: "+printable(v.checks))
	}
	return "   checked: " + printable(v.checks)
}

func (p *printer) answered(v verdict) string {
	colour := green
	switch {
	case v.wrong:
		colour = red
	case v.status >= 300:
		colour = yellow
	}
	line := fmt.Sprintf("<- %d", v.status)
	if v.note != "" {
		line += ", " + v.note
	}
	return "   " + p.paint(colour, line)
}

// bodyLines shows JSON indented, a form field by field, and whatever is
// neither as it is. Long ones are cut between two lines.
func bodyLines(contentType string, body []byte) []string {
	text := string(body)
	var indented bytes.Buffer
	switch {
	case strings.HasPrefix(contentType, "application/x-www-form-urlencoded"):
		text = formLines(text)
	case json.Indent(&indented, body, "", "  ") == nil:
		text = indented.String()
	}
	shown, rest := text, ""
	if len(text) > maxShownBody {
		end := max(strings.LastIndexByte(text[:maxShownBody], '\n'), 0)
		shown, rest = text[:end], fmt.Sprintf("... %d bytes more", len(text)-end)
	}
	var lines []string
	for line := range strings.SplitSeq(shown, "\n") {
		lines = append(lines, "   "+printable(line))
	}
	if rest != "" {
		lines = append(lines, "   "+rest)
	}
	return lines
}

func formLines(body string) string {
	var lines []string
	for field := range strings.SplitSeq(body, "&") {
		name, value, _ := strings.Cut(field, "=")
		lines = append(lines, unescaped(name)+" = "+unescaped(value))
	}
	return strings.Join(lines, "\n")
}

func unescaped(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	return s
}

// shortened cuts a text to at most max bytes, between two characters.
func shortened(s string, max int) string {
	if len(s) <= max {
		return s
	}
	return strings.ToValidUTF8(s[:max-3], "") + "..."
}

// printable replaces what could steer the terminal: whoever reaches the
// receiver's port can send anything.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}

// closing shows what came, and whether it was as expected.
func (p *printer) closing(totals []total, err error) {
	var b strings.Builder
	fmt.Fprintf(&b, "%-12s %8s %8s", "format", "webhooks", "attempts")
	for _, t := range totals {
		fmt.Fprintf(&b, "\n%-12s %8d %8d", t.format, t.webhooks, t.attempts)
	}
	verdict := p.paint(bold+";"+green, "All webhooks arrived as expected.")
	if err != nil {
		verdict = p.paint(bold+";"+red, "NOT as expected: "+printable(err.Error()))
	}
	p.print("", b.String(), "", verdict)
}

// next shows what to try; each command stands alone in its line. Table is a
// link to results, or empty.
func (p *printer) next(table string, commands ...string) {
	about := []string{"list the deliveries of " + accountStandard, "show one, with its attempts", "send it once more, and see it arrive here"}
	lines := []string{"", p.paint(bold, "Try next, in another terminal:")}
	for i, command := range commands {
		lines = append(lines, "", p.paint(dim, "# "+about[i]), command)
	}
	if table != "" {
		lines = append(lines, "", p.paint(dim, "# the batch's results, for a spreadsheet"), "curl -sL -o results.csv '"+printable(table)+"'")
	}
	p.print(lines...)
}

// dashboard shows where to look, last of all.
func (p *printer) dashboard(receiver, base, link, keyFile string) {
	lines := []string{"", p.paint(bold, "See it in your browser:")}
	if link != "" {
		lines = append(lines, "", p.paint(dim, "# a customer's dashboard; the link works once, for an hour"), p.paint(bold+";"+cyan, printable(link)))
	}
	if keyFile != "" {
		lines = append(lines, "", p.paint(dim, "# the operator's: sign in with the key in "+printable(keyFile)), base+"/sign-in")
	}
	p.print(append(lines, "", "The receiver stays at "+receiver+" and prints what arrives. Ctrl-C ends everything.")...)
}
