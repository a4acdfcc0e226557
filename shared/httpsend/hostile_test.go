package httpsend

import (
	"compress/gzip"
	"context"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/net/http2"

	"github.com/jobhook/jobhook/shared/webhook"
)

// tight is a timeout that is met after a TLS handshake.
const tight = 200 * time.Millisecond

// hostile is a row: a receiver, and what is to come of a request to it.
type hostile struct {
	name    string
	url     string
	timeout time.Duration
	want    webhook.Result
}

var (
	notHTTP    = failed(webhook.FailureProtocol, "EPROTO", "the answer is no valid HTTP, or its headers exceed 64 KiB")
	brokeOf    = failed(webhook.FailureReset, "ECONNRESET", "the connection closed before the answer ended")
	late       = failed(webhook.FailureTimeout, "ETIMEDOUT", "") // at any step: the machine may be slow
	resetBy    = failed(webhook.FailureReset, "ECONNRESET", "connection reset by the receiver")
	turnedAway = failed(webhook.FailureReset, "ECONNRESET", "the receiver took no request on the connections it accepted")
	notTaken   = failed(webhook.FailureTimeout, "ETIMEDOUT", "the request was not taken within 1s")
)

// Each request ends with the wanted result, in its timeout at the latest, and
// leaves neither a socket nor a goroutine.
func TestHostileReceiversGetTheirTimeoutAndNothingElse(t *testing.T) {
	a := newAuthority(t)
	rows := append(hostileHTTP1(t), hostileTLS(t, a)...)
	rows = append(rows, hostileHTTP2(t, a)...)
	goroutines := runtime.NumGoroutine()
	for _, tt := range rows {
		t.Run(tt.name, func(t *testing.T) {
			c := New(Options{AllowPrivate: true, MaxSockets: 4})
			c.trust(a.cert)
			got, _ := c.Post(t.Context(), webhook.Request{URL: tt.url, Body: []byte(`{"a":1}`), Timeout: tt.timeout})
			if tt.want.Detail == "" {
				got.Detail = ""
			}
			if diff := cmp.Diff(tt.want, got, cmpopts.IgnoreFields(webhook.Result{}, "Header")); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
			c.closeAll(t)
		})
	}
	waitUntil(t, "all goroutines have ended", func() bool { return runtime.NumGoroutine() <= goroutines })
}

// closeAll waits until a client with MaxSockets has closed them all. HTTP/2
// connections become idle a moment after their request.
func (c *Client) closeAll(t *testing.T) {
	t.Helper()
	waitUntil(t, "all sockets are closed", func() bool { c.CloseIdle(); return len(c.dialer.sockets) == 0 })
}

// waitUntil waits for what happens in the background, for at most 10 seconds.
func waitUntil(t *testing.T, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			stacks := make([]byte, 1<<20)
			t.Fatalf("not within 10 seconds: %s\n%s", what, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

// says answers the request with a text and then does as it is told.
func says(t *testing.T, text string, then func(conn)) string {
	return listen(t, func(c conn) {
		c.readRequest()
		if c.write(text) && then != nil {
			then(c)
		}
	})
}

// forEver writes a text until the client has closed.
func forEver(text string) func(conn) {
	text = strings.Repeat(text, 1+4000/len(text))
	return func(c conn) {
		for c.write(text) {
		}
	}
}

func hostileHTTP1(t *testing.T) []hostile {
	wait := func(c conn) { c.waitForClient() }
	ok := func(body string) webhook.Result { return webhook.Result{Status: 200, Body: []byte(body)} }
	full := strings.Repeat("x", webhook.MaxBodyRead)
	return []hostile{
		{"headers a byte at a time", says(t, "", func(c conn) { c.drip("H") }), short, late},
		{"header lines at a time", says(t, "HTTP/1.1 200 OK\r\n", func(c conn) { c.drip("X: y\r\n") }), short, late},
		{"headers without end", says(t, "HTTP/1.1 200 OK\r\n", forEver("X-A: b\r\n")), long, notHTTP},
		{"a header of 10 MB", says(t, "HTTP/1.1 200 OK\r\nX-A: "+strings.Repeat("b", 10<<20)+"\r\n\r\n", wait), long, notHTTP},
		{"a status line without end", says(t, "HTTP/1.1 200 ", forEver("OK")), long, notHTTP},
		{"informational answers without end", says(t, "", forEver("HTTP/1.1 100 Continue\r\n\r\n")), long, notHTTP},
		{"informational answers one at a time", says(t, "", func(c conn) { c.drip("HTTP/1.1 103 Early Hints\r\n\r\n") }), short, late},
		{"a body a byte at a time", says(t, "HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", func(c conn) { c.drip("x") }), short, late},
		{"chunks of a byte", says(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", func(c conn) { c.drip("1\r\nx\r\n") }), short, late},
		{"a body without end", says(t, "HTTP/1.1 200 OK\r\n\r\n", forEver("x")), long, ok(full)},
		{"chunks without end", says(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", forEver("1\r\nx\r\n")), long, ok(full)},
		{"a chunk with an endless extension", says(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", forEver("a")), long, notHTTP},
		{"trailers without end", says(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n0\r\n", forEver("A: b\r\n")), long, notHTTP},
		{"a gzip bomb", says(t, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: "+fmt.Sprint(len(bomb()))+"\r\n\r\n"+bomb(), wait), long, ok(bomb()[:webhook.MaxBodyRead])},
		{"a length that is too long", says(t, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort", nil), long, brokeOf},
		{"a length that is too short", says(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 500 No\r\n\r\n", wait), long, ok("ok")},
		{"two lengths", says(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc", wait), long, notHTTP},
		{"a negative length", says(t, "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nab", wait), long, notHTTP},
		{"an encoding that is none", says(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity, chunked, x\r\n\r\nab", wait), long, notHTTP},
		{"closed at once", listen(t, func(c conn) { c.CloseWrite(); c.waitForClient() }), long, brokeOf},
		{"closed within the headers", says(t, "HTTP/1.1 200 OK\r\nX-A: b\r\n", nil), long, brokeOf},
		{"reset within the body", says(t, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\na", func(c conn) { c.SetLinger(0) }), long, resetBy},
		{"HTTP/0.9", says(t, "<p>hello", nil), long, notHTTP},
		{"a version that is none", says(t, "HTTP/one 200 OK\r\n\r\n", nil), long, notHTTP},
		{"a status of four digits", says(t, "HTTP/1.1 2000 OK\r\n\r\n", nil), long, notHTTP},
		{"a redirect to itself", says(t, "HTTP/1.1 307 Again\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", wait), long, webhook.Result{Status: 307}},
		{"an upgrade", says(t, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", wait), long,
			failed(webhook.FailureProtocol, "EPROTO", "the receiver switched protocols unasked")},
	}
}

// bomb is 16 MiB of zeros, packed.
var bomb = sync.OnceValue(func() string {
	var b strings.Builder
	z := gzip.NewWriter(&b)
	z.Write(make([]byte, 16<<20))
	z.Close()
	return b.String()
})

// What a receiver sends unasked must be no answer to the next request.
func TestConnectionWithAnAnswerThatNobodyAskedForIsNotUsedAgain(t *testing.T) {
	var connections atomic.Int32
	closed := make(chan struct{}, 2)
	url := listen(t, func(c conn) {
		defer func() { closed <- struct{}{} }()
		n := connections.Add(1)
		c.readRequest()
		c.write(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d", n))
		if n == 1 {
			c.write("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled")
		}
		c.waitForClient()
	})
	c := newClient(t, Options{})
	if first, _ := post(t, c, url); string(first.Body) != "1" {
		t.Errorf("first answer %q, want 1", first.Body)
	}
	<-closed
	if second, _ := post(t, c, url); string(second.Body) != "2" {
		t.Errorf("second answer %q, want 2, over a new connection", second.Body)
	}
}

func TestUserInformationOfAURLIsNotSent(t *testing.T) {
	got := make(chan http.Header, 1)
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) { got <- r.Header })
	result, _ := post(t, newClient(t, Options{}), strings.Replace(url, "http://", "http://user:password@", 1))
	if h := <-got; result.Status != 200 || h.Get("Authorization") != "" {
		t.Errorf("status %d, Authorization %q; want 200 and none", result.Status, h.Get("Authorization"))
	}
}

func TestRequestThatWouldBeTwoIsNotSent(t *testing.T) {
	var calls atomic.Int32
	url := serve(t, func(http.ResponseWriter, *http.Request) { calls.Add(1) })
	c := newClient(t, Options{})
	for name, r := range map[string]webhook.Request{
		"CRLF in a value":       {URL: url, Header: http.Header{"X-A": {"a\r\n\r\nPOST / HTTP/1.1"}}},
		"LF in a value":         {URL: url, Header: http.Header{"X-A": {"a\nX-B: b"}}},
		"NUL in a value":        {URL: url, Header: http.Header{"X-A": {"a\x00b"}}},
		"colon in a name":       {URL: url, Header: http.Header{"X-A: b\r\nX-B": {"a"}}},
		"space in a name":       {URL: url, Header: http.Header{"X A": {"a"}}},
		"empty name":            {URL: url, Header: http.Header{"": {"a"}}},
		"CRLF in the type":      {URL: url, ContentType: "text/plain\r\nX-B: b"},
		"CRLF in the path":      {URL: url + "/a\r\nX-B: b"},
		"CRLF in the host":      {URL: "http://127.0.0.1\r\nX-B: b/"},
		"CRLF in the query":     {URL: url + "/?a\r\nX-B: b"},
		"a space in the host":   {URL: "http://127.0.0.1 x/"},
		"encoded CRLF, in host": {URL: "http://a%0d%0a.example/"},
	} {
		r.Timeout = long
		if result, _ := c.Post(t.Context(), r); result.Failure != webhook.FailureUnsendable {
			t.Errorf("%s: result = %+v, want unsendable", name, result)
		}
	}
	if n := calls.Load(); n != 0 {
		t.Errorf("the receiver was called %d times", n)
	}
}

func TestEncodedLineBreaksOfAURLStayEncoded(t *testing.T) {
	got := make(chan string, 1)
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) { got <- r.RequestURI })
	if result, _ := post(t, newClient(t, Options{}), url+"/a%0d%0aX-B:%20b?c%0d%0a"); result.Status != 200 {
		t.Fatalf("result = %+v, want 200", result)
	}
	if uri := <-got; uri != "/a%0d%0aX-B:%20b?c%0d%0a" {
		t.Errorf("the receiver saw %q", uri)
	}
}

func TestVeryLongURLIsTheReceiversToRefuse(t *testing.T) {
	url := serve(t, func(http.ResponseWriter, *http.Request) {})
	result, _ := post(t, newClient(t, Options{}), url+"/?"+strings.Repeat("a", 2<<20))
	if result.Status != http.StatusRequestHeaderFieldsTooLarge && result.Failure != webhook.FailureReset {
		t.Errorf("result = %+v, want 431 or a reset", result)
	}
}

func TestBodyThatNobodyTakesEndsWithTheTimeout(t *testing.T) {
	a := newAuthority(t)
	for name, url := range map[string]string{
		"HTTP/1.1": listen(t, func(conn) { <-t.Context().Done() }),
		"HTTP/2": http2Receiver(t, a, []http2.Setting{{ID: http2.SettingInitialWindowSize, Val: 0}},
			func(f frames, _ uint32) { f.waitForClient() }),
	} {
		c := newClient(t, Options{MaxSockets: 1})
		c.trust(a.cert)
		got, _ := c.Post(t.Context(), webhook.Request{URL: url, Body: make([]byte, 32<<20), Timeout: unhurried})
		if !cmp.Equal(got, notTaken) {
			t.Errorf("%s: result = %+v, want %+v", name, got, notTaken)
		}
		c.closeAll(t)
	}
}
