// Package httpsend makes the HTTP requests of deliveries: one POST, no
// redirects, no proxies, no cookies, no hidden repetitions, and no way to an
// address inside our own network.
package httpsend

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

const (
	defaultUserAgent      = "Jobhook/1.0"
	defaultMaxIdlePerHost = 64

	maxHeaderBytes = 64 << 10

	// idleTimeout stays below the 5 s after which a Node.js server closes an
	// idle connection (server.keepAliveTimeout): a POST that meets such a close
	// is lost, since it is not repeated. Transport compares wall clocks before
	// it reuses a connection, so those that a frozen Lambda kept are not used.
	idleTimeout = 4 * time.Second

	// An HTTP/2 connection that says nothing for pingAfter is asked whether it
	// lives, and closed when it has not answered in pingTimeout.
	pingAfter   = 10 * time.Second
	pingTimeout = 5 * time.Second
)

// Options is what a Client can be told. The zero value is right for production.
type Options struct {
	AllowPrivate   bool   // for development: every address may be called, private ones too
	MaxIdlePerHost int    // idle connections kept for each host; 0: 64
	MaxSockets     int    // connections open at once, idle ones included; 0: unlimited
	UserAgent      string // empty: "Jobhook/1.0"

	// Resolver looks up hosts; nil: the system's. What it answers is checked
	// like any other's.
	Resolver *net.Resolver
}

// Client sends requests. It is safe for concurrent use.
type Client struct {
	transport *http.Transport
	dialer    *dialer
	userAgent string
	buffers   sync.Pool // of *[webhook.MaxBodyRead]byte
}

// New returns a client. CloseIdle gives up what it holds. From then on the log
// package leaves out what receivers make net/http say.
func New(o Options) *Client {
	keepQuiet()
	c := &Client{userAgent: o.UserAgent}
	if c.userAgent == "" {
		c.userAgent = defaultUserAgent
	}
	if o.MaxIdlePerHost == 0 {
		o.MaxIdlePerHost = defaultMaxIdlePerHost
	}
	c.buffers.New = func() any { return new([webhook.MaxBodyRead]byte) }
	c.dialer = newDialer(o, c.CloseIdle)
	c.transport = &http.Transport{
		// Proxy stays nil: a proxy would be dialled in place of the receiver,
		// and the address check with it.
		DialContext:            c.dialer.dial,
		DialTLSContext:         c.dialer.dialTLS,
		ForceAttemptHTTP2:      true, // not automatic with dial functions of one's own
		DisableCompression:     true,
		MaxIdleConnsPerHost:    o.MaxIdlePerHost,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
		WriteBufferSize:        bufferBytes,
		ReadBufferSize:         bufferBytes,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
	}
	return c
}

// bufferBytes is the size of a connection's two buffers: a usual request and
// answer fit, and thousands of connections to receivers that hang stay small.
const bufferBytes = 2 << 10

// Post sends the request and reads at most webhook.MaxBodyRead bytes of the
// answer. There is no error: everything that can happen is a result. When ctx
// itself ended, by shutdown, the result is a reset with code ECANCELED that
// says nothing about the receiver: the caller looks at ctx.Err() and drops it.
//
// The request is sent once. It is sent again only when a reused connection
// turned out closed before any byte was written, or when an HTTP/2 receiver
// declares it unprocessed. A receiver that closes a reused connection just as
// the request arrives costs the attempt.
func (c *Client) Post(ctx context.Context, r webhook.Request) (webhook.Result, webhook.Timing) {
	timeout := r.Timeout
	if timeout <= 0 {
		timeout = webhook.MaxTimeout
	}
	start := time.Now()
	limited, cancel := context.WithDeadline(ctx, start.Add(timeout))
	defer cancel()

	x := newExchange(limited, start)
	result, err := c.send(x, r)
	if err != nil {
		result = x.failure(ctx, err)
	}
	c.dialer.makeRoom()
	return result, x.finish()
}

// CloseIdle closes the connections that no request uses.
func (c *Client) CloseIdle() { c.transport.CloseIdleConnections() }

func (c *Client) send(x *exchange, r webhook.Request) (webhook.Result, error) {
	ctx := httptrace.WithClientTrace(x, &x.trace)
	// The bytes.Reader gives the request a GetBody, so that Transport can start
	// over when a reused connection turns out closed before the first byte.
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.URL, bytes.NewReader(r.Body))
	if err != nil {
		return webhook.Result{}, err
	}
	req.Header = c.header(r)

	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return webhook.Result{}, err
	}
	defer resp.Body.Close()
	x.enter(stepBody)

	if resp.StatusCode == http.StatusSwitchingProtocols {
		// Its body is the bare connection, which no context would end.
		return webhook.Result{}, errSwitched
	}
	body, err := c.readBody(resp.Body)
	if err != nil {
		return webhook.Result{}, err
	}
	result := webhook.Result{Status: resp.StatusCode, Header: resp.Header, Body: body}
	if after := resp.Header.Get("Retry-After"); after != "" {
		result.RetryAfter = webhook.ParseRetryAfter(after, time.Now())
	}
	return result, nil
}

// header shares the values of r.Header, which nobody changes.
func (c *Client) header(r webhook.Request) http.Header {
	h := make(http.Header, len(r.Header)+2)
	h["User-Agent"] = []string{c.userAgent}
	if r.ContentType != "" {
		h["Content-Type"] = []string{r.ContentType}
	}
	for name, values := range r.Header {
		h[name] = values
	}
	return h
}

// readBody returns the first webhook.MaxBodyRead bytes. A connection can be
// reused only if the body has ended by then.
func (c *Client) readBody(body io.Reader) ([]byte, error) {
	if body == http.NoBody {
		return nil, nil
	}
	buf := c.buffers.Get().(*[webhook.MaxBodyRead]byte)
	defer c.buffers.Put(buf)
	n, err := readFull(body, buf[:])
	if err != nil || n == 0 {
		return nil, err
	}
	return bytes.Clone(buf[:n]), nil
}

// readFull fills buf. Unlike io.ReadFull it tells a body that ended, which is
// no error, from one that broke off.
func readFull(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var m int
		m, err = r.Read(buf[n:])
		n += m
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// tlsConfig allows what is common since 2008 and remembers sessions, since
// idle connections are short-lived.
func tlsConfig() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		NextProtos:         []string{"h2", "http/1.1"},
		ClientSessionCache: tls.NewLRUClientSessionCache(1024),
	}
}
