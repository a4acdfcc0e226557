package httpsend

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
)

// errTurnedAway: the receiver accepts connections and takes no request on them.
var errTurnedAway = errors.New("turned away on every connection")

// dialer opens connections to permitted addresses, at most a given number.
type dialer struct {
	net       net.Dialer
	tls       *tls.Config
	checkHost func(host string) error             // before DNS; nil: anything goes
	check     func(network, address string) error // after DNS; nil: anything goes
	sockets   chan struct{}                       // holds one for each open connection; nil: unlimited
	waiting   atomic.Int64                        // dials that wait for one
	closeIdle func()
}

func newDialer(o Options, closeIdle func()) *dialer {
	d := &dialer{tls: tlsConfig(), closeIdle: closeIdle}
	if !o.AllowPrivate {
		g := newGuard()
		d.checkHost, d.check = g.checkHost, g.check
	}
	if o.MaxSockets > 0 {
		d.sockets = make(chan struct{}, o.MaxSockets)
	}
	d.net.Resolver = o.Resolver
	d.net.ControlContext = d.control
	return d
}

// control runs when an address is known and before it is called, once for
// each address of the host.
func (d *dialer) control(ctx context.Context, network, address string, _ syscall.RawConn) error {
	exchangeOf(ctx).enter(stepConnect)
	if d.check == nil {
		return nil
	}
	return d.check(network, address)
}

// dial connects for a request. Transport lets a dial outlive its request; here
// it ends with the request's deadline, so that a host which swallows packets
// does not gather dials.
func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	x := exchangeOf(ctx)
	ctx, cancel := context.WithDeadline(ctx, x.deadline)
	defer cancel()

	if !x.mayDial() {
		return nil, errTurnedAway
	}
	if err := d.permit(x, address); err != nil {
		return nil, err
	}
	if err := d.acquire(ctx, x); err != nil {
		return nil, err
	}
	if _, err := netip.ParseAddrPort(address); err == nil {
		x.enter(stepConnect)
	} else {
		x.enter(stepResolve)
	}
	conn, err := d.net.DialContext(ctx, network, address)
	if err != nil {
		d.release()
		return nil, err
	}
	if d.sockets == nil {
		return conn, nil
	}
	return &countedConn{Conn: conn, release: d.release}, nil
}

// permit refuses a host that no answer of DNS could make good.
func (d *dialer) permit(x *exchange, address string) error {
	if d.checkHost == nil {
		return nil
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if err := d.checkHost(host); err != nil {
		x.enter(stepResolve) // the request itself could be sent
		return err
	}
	return nil
}

func (d *dialer) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	raw, err := d.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	x := exchangeOf(ctx)
	x.enter(stepHandshake)
	ctx, cancel := context.WithDeadline(ctx, x.deadline)
	defer cancel()

	config := d.tls.Clone()
	if config.ServerName, _, err = net.SplitHostPort(address); err != nil {
		raw.Close()
		return nil, err
	}
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, handshakeError{err}
	}
	return conn, nil
}

// handshakeError marks what went wrong between connect and request.
type handshakeError struct{ error }

func (e handshakeError) Unwrap() error { return e.error }

// acquire waits for one of MaxSockets. Idle connections give way to the dial:
// those there are now, and in makeRoom those that requests leave while it
// waits. HTTP/2 connections may become idle a moment after makeRoom, and then
// hold their place until idleTimeout or the end of the next request.
//
// A dial to a host with both IPv4 and IPv6 may hold two sockets for an instant
// and counts as one.
func (d *dialer) acquire(ctx context.Context, x *exchange) error {
	if d.sockets == nil {
		return nil
	}
	select {
	case d.sockets <- struct{}{}:
		return nil
	default:
	}
	x.enter(stepSocket)
	d.waiting.Add(1)
	defer d.waiting.Add(-1)
	d.closeIdle()
	select {
	case d.sockets <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for a free socket: %w", ctx.Err())
	}
}

func (d *dialer) release() {
	if d.sockets != nil {
		<-d.sockets
	}
}

// makeRoom closes idle connections if a dial waits for one of MaxSockets.
func (d *dialer) makeRoom() {
	if d.waiting.Load() > 0 {
		d.closeIdle()
	}
}

// countedConn gives its place back when it is closed.
type countedConn struct {
	net.Conn
	once    sync.Once
	release func()
}

func (c *countedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.release)
	return err
}

// exchangeOf returns the exchange on whose behalf Transport dials.
func exchangeOf(ctx context.Context) *exchange {
	return ctx.Value(exchangeKey{}).(*exchange)
}
