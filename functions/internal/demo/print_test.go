package demo

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestWebhookIsPrintedWhole(t *testing.T) {
	var out bytes.Buffer
	q := webhookRequest{path: "/standard", body: []byte(`{"type":"job.finished","data":{"n":1}}`), header: http.Header{
		"Content-Type": {"application/json"}, "User-Agent": {"Jobhook/1.0"}, "Accept": {"*/*"}, "Webhook-Id": {"evt_1"},
		"Webhook-Timestamp": {"1700000000"}, "Webhook-Signature": {"v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4="},
	}}
	v := verdict{format: "standard", status: 503, checks: "all is well", note: "on purpose"}
	newPrinter(&out).webhook(8, 1500*time.Millisecond, q, v)
	want := `
#8 standard after 1.50 s
   POST /standard
   content-type: application/json
   user-agent: Jobhook/1.0
   webhook-id: evt_1
   webhook-timestamp: 1700000000
   webhook-signature: v1,K5oZfzN95Z9UVu1Esf...

   {
     "type": "job.finished",
     "data": {
       "n": 1
     }
   }

   checked: all is well
   <- 503, on purpose
`
	if got := out.String(); got != want {
		t.Errorf("printed %s, want %s", got, want)
	}
}

func TestClosingShowsTheReason(t *testing.T) {
	var out bytes.Buffer
	newPrinter(&out).closing([]total{{"serpwow", 1, 1}, {"standard", 0, 12}}, errors.New("demo: standard: 0 of 1 webhooks arrived"))
	want := `
format       webhooks attempts
serpwow             1        1
standard            0       12

NOT as expected: demo: standard: 0 of 1 webhooks arrived
`
	if got := out.String(); got != want {
		t.Errorf("printed %s, want %s", got, want)
	}
}

func TestBodyIsShownForPeople(t *testing.T) {
	long := "[" + strings.Repeat("1234567,", 300) + "1]"
	rows := []struct {
		name, contentType, body string
		first, last             string
	}{
		{"form", "application/x-www-form-urlencoded", "status=finished&sitemap_name=Preise+%26+Gr%C3%B6%C3%9Fen", "   status = finished", "   sitemap_name = Preise & Größen"},
		{"text", "text/plain", "hello", "   hello", "   hello"},
		{"steers the terminal", "text/plain", "a\x1b[2Jb\r", "   a?[2Jb?", "   a?[2Jb?"},
		{"long", "application/json", long, "   [", "   ... 1711 bytes more"},
		{"long line", "text/plain", strings.Repeat("x", 2000), "   ", "   ... 2000 bytes more"},
	}
	for _, row := range rows {
		got := bodyLines(row.contentType, []byte(row.body))
		if got[0] != row.first || got[len(got)-1] != row.last {
			t.Errorf("%s: shown from %q to %q, want from %q to %q", row.name, got[0], got[len(got)-1], row.first, row.last)
		}
	}
}

func TestColourIsForTerminalsOnly(t *testing.T) {
	p := newPrinter(&bytes.Buffer{})
	if got := p.paint(red, "x"); got != "x" {
		t.Errorf("paint = %q, want it plain", got)
	}
	p.colour = true
	if got, want := p.paint(red, "x"), "\x1b[31mx\x1b[0m"; got != want {
		t.Errorf("paint = %q, want %q", got, want)
	}
}
