package httpsend

import (
	"bytes"
	"io"
	"log"
	"strings"
	"sync"
	"testing"

	"github.com/jobhook/jobhook/shared/webhook"
)

// lines is a log that can be read while it is written.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func TestWhatReceiversSendUnaskedIsNotLogged(t *testing.T) {
	before := log.Writer()
	defer log.SetOutput(before)
	var said, logged lines // what net/http says, and what of that is logged
	log.SetOutput(&logged)
	a := newAuthority(t)
	c := newClient(t, Options{})
	c.trust(a.cert)
	log.SetOutput(io.MultiWriter(&said, log.Writer()))

	for _, row := range unasked(t, a) {
		c.Post(t.Context(), webhook.Request{URL: row.url, Body: make([]byte, row.body), Timeout: long})
		waitUntil(t, "net/http says: "+row.words, func() bool { return strings.Contains(said.String(), row.words) })
	}
	c.CloseIdle()
	log.Print("something else")
	if got := logged.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "something else") {
		t.Errorf("the log holds %q, want something else only", got)
	}
}

// unaskedRow is a receiver of a request with so large a body, and what net/http
// says of it.
type unaskedRow struct {
	words string
	url   string
	body  int
}

func unasked(t *testing.T, a *authority) []unaskedRow {
	const untaken = 1 << 20 // more than a receiver takes that opens no window
	receiver := func(behave func(f frames, stream uint32)) string {
		return http2Receiver(t, a, nil, func(f frames, stream uint32) { behave(f, stream); f.waitForClient() })
	}
	secret := []byte("secret")
	return []unaskedRow{
		{"Unsolicited response received on idle HTTP channel", listen(t, func(c conn) {
			c.readHead()
			c.write("HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\n\r\nsecret")
			c.waitForClient()
		}), 0},
		{"Transport: unhandled response frame type", receiver(func(f frames, stream uint32) {
			f.WriteRawFrame(0xee, 0, 0, secret)
			f.answer(stream, true, status("204"))
		}), 0},
		{"Transport received unsolicited DATA frame", receiver(func(f frames, stream uint32) { f.WriteData(stream+2, true, secret) }), 0},
		{"received DATA before a HEADERS frame", receiver(func(f frames, stream uint32) { f.WriteData(stream, true, secret) }), 0},
		{"received DATA after END_STREAM", receiver(func(f frames, stream uint32) {
			f.answer(stream, true, status("200"))
			f.WriteData(stream, true, secret)
		}), untaken},
		{"before a SETTINGS frame", rudeHTTP2Receiver(t, a, func(f frames) {
			f.WritePing(false, [8]byte([]byte("a secret")))
			f.waitForClient()
		}), 0},
	}
}
