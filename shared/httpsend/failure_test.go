package httpsend

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/shared/webhook"
)

const (
	// short is the timeout of requests that are meant to run into it, at any step.
	short = 80 * time.Millisecond
	// unhurried is that of requests that must have come to a step by then, on a
	// loaded machine too.
	unhurried = time.Second
)

// conn is a connection as a raw receiver sees it.
type conn struct {
	*net.TCPConn
	in *bufio.Reader
}

func (c conn) write(s string) bool {
	_, err := io.WriteString(c.TCPConn, s)
	return err == nil
}

// readHead reads up to the empty line after the headers.
func (c conn) readHead() {
	for line := "-"; strings.TrimSpace(line) != ""; {
		var err error
		if line, err = c.in.ReadString('\n'); err != nil {
			return
		}
	}
}

// readRequest reads the headers and the body that post sends.
func (c conn) readRequest() {
	c.readHead()
	io.CopyN(io.Discard, c.in, int64(len(`{"a":1}`)))
}

// waitForClient returns when the client has closed.
func (c conn) waitForClient() { io.Copy(io.Discard, c.in) }

// drip writes s every few milliseconds until the client has closed.
func (c conn) drip(s string) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for c.write(s) {
		<-tick.C
	}
}

// listen returns the URL of a receiver that treats each connection by behave
// and then closes it.
func listen(t *testing.T, behave func(conn)) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer c.Close()
				behave(conn{c.(*net.TCPConn), bufio.NewReader(c)})
			})
		}
	})
	t.Cleanup(func() { l.Close(); running.Wait() })
	return "http://" + l.Addr().String()
}

func refusedPort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

func untrusted(t *testing.T) string {
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = discardLog()
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL
}

func TestFailuresAreNamed(t *testing.T) {
	silent := func(c conn) { c.waitForClient() }
	tests := []struct {
		name    string
		url     string
		timeout time.Duration
		want    webhook.Result
	}{
		{"refused port", refusedPort(t), long,
			failed(webhook.FailureConnect, "ECONNREFUSED", "connection refused")},
		{"untrusted certificate", untrusted(t), long,
			failed(webhook.FailureTLS, "UNABLE_TO_VERIFY_LEAF_SIGNATURE", "the certificate's issuer is not trusted, or its chain is incomplete")},
		{"no TLS at all", "https" + strings.TrimPrefix(listen(t, func(c conn) { c.write("HTTP/1.1 400 Bad Request\r\n\r\n") }), "http"), long,
			failed(webhook.FailureTLS, "EPROTO", "the port does not speak TLS")},
		{"closed in the handshake", "https" + strings.TrimPrefix(listen(t, func(c conn) { c.in.Peek(1); c.in.Discard(c.in.Buffered()) }), "http"), long,
			failed(webhook.FailureTLS, "EPROTO", "the TLS handshake failed")},
		{"silent in the handshake", "https" + strings.TrimPrefix(listen(t, silent), "http"), unhurried,
			failed(webhook.FailureTimeout, "ETIMEDOUT", "no TLS handshake within 1s")},
		{"hanging", listen(t, silent), unhurried,
			failed(webhook.FailureTimeout, "ETIMEDOUT", "no answer within 1s")},
		{"dripping headers", listen(t, func(c conn) { c.readRequest(); c.write("HTTP/1.1 200 OK\r\n"); c.drip("X: y\r\n") }), unhurried,
			failed(webhook.FailureTimeout, "ETIMEDOUT", "the answer's headers did not end within 1s")},
		{"dripping body", listen(t, func(c conn) {
			c.readRequest()
			c.write("HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n")
			c.drip("x")
		}), unhurried,
			failed(webhook.FailureTimeout, "ETIMEDOUT", "the answer's body did not end within 1s")},
		{"body that never comes", listen(t, func(c conn) {
			c.readRequest()
			c.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
			c.waitForClient()
		}), unhurried,
			failed(webhook.FailureTimeout, "ETIMEDOUT", "the answer's body did not end within 1s")},
		{"reset", listen(t, func(c conn) { c.readRequest(); c.SetLinger(0) }), long,
			failed(webhook.FailureReset, "ECONNRESET", "connection reset by the receiver")},
		{"closed without an answer", listen(t, func(c conn) { c.readRequest() }), long,
			failed(webhook.FailureReset, "ECONNRESET", "the connection closed before the answer ended")},
		{"closed within the body", listen(t, func(c conn) { c.readRequest(); c.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab") }), long,
			failed(webhook.FailureReset, "ECONNRESET", "the connection closed before the answer ended")},
		{"garbage", listen(t, func(c conn) { c.readRequest(); c.write("SSH-2.0-OpenSSH_9.6\r\n") }), long,
			failed(webhook.FailureProtocol, "EPROTO", "the answer is no valid HTTP, or its headers exceed 64 KiB")},
		{"bad chunk", listen(t, func(c conn) {
			c.readRequest()
			c.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
		}), long,
			failed(webhook.FailureProtocol, "EPROTO", "the answer is no valid HTTP, or its headers exceed 64 KiB")},
		{"huge headers", listen(t, func(c conn) {
			c.readRequest()
			c.write("HTTP/1.1 200 OK\r\n" + strings.Repeat("X-Padding: "+strings.Repeat("x", 1000)+"\r\n", 100) + "\r\n")
			c.waitForClient()
		}), long,
			failed(webhook.FailureProtocol, "EPROTO", "the answer is no valid HTTP, or its headers exceed 64 KiB")},
		{"protocol switch", listen(t, func(c conn) {
			c.readRequest()
			c.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
			c.waitForClient()
		}), long,
			failed(webhook.FailureProtocol, "EPROTO", "the receiver switched protocols unasked")},
		{"bad URL", "http://%zz/", long, failed(webhook.FailureUnsendable, "", "the URL or a header cannot be sent")},
		{"no host", "http:///path", long, failed(webhook.FailureUnsendable, "", "the URL or a header cannot be sent")},
		{"scheme", "ftp://127.0.0.1/", long, failed(webhook.FailureUnsendable, "", "the URL or a header cannot be sent")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, Options{})
			got, timing := c.Post(t.Context(), webhook.Request{URL: tt.url, Body: []byte(`{"a":1}`), Timeout: tt.timeout})
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
			if timing.Total <= 0 {
				t.Errorf("timing = %+v, want a total", timing)
			}
		})
	}
}

func TestUnknownHostIsADNSFailure(t *testing.T) {
	c := newClient(t, Options{})
	result, _ := c.Post(t.Context(), webhook.Request{URL: "http://nonexistent.invalid/", Timeout: webhook.MaxTimeout})
	// Without a network the resolver cannot tell that there is no such host.
	if result.Failure != webhook.FailureDNS || (result.Code != "ENOTFOUND" && result.Code != "EAI_AGAIN") {
		t.Errorf("result = %+v, want a dns failure", result)
	}
}

func TestHeaderThatCannotBeSentIsUnsendable(t *testing.T) {
	c := newClient(t, Options{})
	for _, h := range []http.Header{{"X-A": {"a\r\nX-B: b"}}, {"X A": {"a"}}} {
		result, _ := c.Post(t.Context(), webhook.Request{URL: "http://127.0.0.1:1/", Header: h, Timeout: long})
		if result.Failure != webhook.FailureUnsendable {
			t.Errorf("%q: result = %+v, want unsendable", h, result)
		}
	}
}

func TestPrivateAddressesAreRefusedWhenDialled(t *testing.T) {
	called := make(chan struct{}, 2)
	url := serve(t, func(http.ResponseWriter, *http.Request) { called <- struct{}{} })
	c := New(Options{})
	defer c.CloseIdle()
	for _, url := range []string{url, strings.Replace(url, "127.0.0.1", "localhost", 1)} {
		result, _ := c.Post(t.Context(), webhook.Request{URL: url, Timeout: long})
		want := failed(webhook.FailureRefusedAddress, "", "the address is private or reserved")
		if diff := cmp.Diff(want, result); diff != "" {
			t.Errorf("%s (-want +got):\n%s", url, diff)
		}
	}
	if len(called) != 0 {
		t.Error("the receiver was called")
	}
}

func TestCancellationIsNotTheReceiversFault(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	url := listen(t, func(c conn) { c.readRequest(); cancel(); c.waitForClient() })
	c := newClient(t, Options{})
	got, _ := c.Post(ctx, webhook.Request{URL: url, Body: []byte(`{"a":1}`), Timeout: long})
	if want := failed(webhook.FailureReset, "ECANCELED", "cancelled on our side"); !cmp.Equal(got, want) {
		t.Errorf("result = %+v, want %+v", got, want)
	}
}

func TestDeadlineOfTheCallerIsNotTheReceiversFault(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), short)
	defer cancel()
	c := newClient(t, Options{})
	got, _ := c.Post(ctx, webhook.Request{URL: listen(t, func(c conn) { c.waitForClient() }), Timeout: long})
	if want := failed(webhook.FailureReset, "ECANCELED", "cancelled on our side"); !cmp.Equal(got, want) {
		t.Errorf("result = %+v, want %+v", got, want)
	}
}

// A receiver that closes without an answer may have done its work: the next
// attempt is the schedule's to decide, and must be recorded.
func TestRequestIsNotRepeatedOnAReusedConnection(t *testing.T) {
	var requests atomic.Int32
	url := listen(t, func(c conn) {
		for c.readRequest(); requests.Add(1) == 1; c.readRequest() {
			c.write("HTTP/1.1 204 No Content\r\n\r\n")
		}
	})
	c := newClient(t, Options{})
	if first, _ := post(t, c, url); first.Status != 204 {
		t.Fatalf("first = %+v, want 204", first)
	}
	second, timing := post(t, c, url)
	if want := failed(webhook.FailureReset, "ECONNRESET", "the connection closed before the answer ended"); !cmp.Equal(second, want) {
		t.Errorf("second = %+v, want %+v", second, want)
	}
	if timing.Connect != 0 || requests.Load() != 2 {
		t.Errorf("%d requests, connect %s; want 2 on one connection", requests.Load(), timing.Connect)
	}
}

func TestErrorsThatAreHardToProvokeAreNamedToo(t *testing.T) {
	dial := func(err error) error {
		return &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 7)}, Err: os.NewSyscallError("connect", err)}
	}
	tests := []struct {
		err     error
		failure webhook.Failure
		code    string
	}{
		{&net.DNSError{Err: "no such host", Name: "a.example", IsNotFound: true}, webhook.FailureDNS, "ENOTFOUND"},
		{&net.DNSError{Err: "server misbehaving", IsTemporary: true}, webhook.FailureDNS, "EAI_AGAIN"},
		{dial(syscall.EHOSTUNREACH), webhook.FailureConnect, "EHOSTUNREACH"},
		{dial(syscall.ENETUNREACH), webhook.FailureConnect, "ENETUNREACH"},
		{dial(syscall.ETIMEDOUT), webhook.FailureTimeout, "ETIMEDOUT"},
		{dial(os.ErrDeadlineExceeded), webhook.FailureTimeout, "ETIMEDOUT"}, // one of several addresses did not answer
		{dial(syscall.EMFILE), webhook.FailureOurs, "EMFILE"},               // our fault: must not trip the host
		{dial(syscall.EADDRNOTAVAIL), webhook.FailureOurs, "EADDRNOTAVAIL"},
		{dial(errors.New("odd")), webhook.FailureConnect, ""},
		{&net.OpError{Op: "write", Err: syscall.EPIPE}, webhook.FailureReset, "EPIPE"},
		{&net.OpError{Op: "remote error", Err: errors.New("tls: certificate required")}, webhook.FailureTLS, "EPROTO"},
		{handshakeError{io.EOF}, webhook.FailureTLS, "EPROTO"},
		{handshakeError{x509.HostnameError{Certificate: &x509.Certificate{}, Host: "a.example"}}, webhook.FailureTLS, "ERR_TLS_CERT_ALTNAME_INVALID"},
		{handshakeError{&tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.Expired}}}, webhook.FailureTLS, "CERT_HAS_EXPIRED"},
		{handshakeError{x509.CertificateInvalidError{Reason: x509.IncompatibleUsage}}, webhook.FailureTLS, "CERT_REJECTED"},
		{errors.New("stream error: stream ID 3; INTERNAL_ERROR; received from peer"), webhook.FailureReset, "ECONNRESET"},
		{errors.New(`http2: server sent GOAWAY and closed the connection; debug="secret"`), webhook.FailureReset, "ECONNRESET"},
		{errors.New("http2: response header list larger than advertised limit"), webhook.FailureProtocol, "EPROTO"},
	}
	for _, tt := range tests {
		got := explain(fmt.Errorf("wrapped: %w", tt.err))
		if got.Failure != tt.failure || got.Code != tt.code {
			t.Errorf("%v: %s %s, want %s %s", tt.err, got.Failure, got.Code, tt.failure, tt.code)
		}
		if got.Detail == "" || len(got.Detail) > 200 || strings.Contains(got.Detail, "10.0.0.7") || strings.ContainsAny(got.Detail, "\r\n") {
			t.Errorf("%v: detail %q is not one safe line", tt.err, got.Detail)
		}
	}
}
