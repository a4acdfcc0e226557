package httpsend

import (
	"context"
	"net/http/httptrace"
	"sync"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

// step is how far a request has come. A request only moves forward; it may
// leave steps out.
type step int

const (
	stepStart     step = iota // no connection was asked for yet
	stepSocket                // waits for one of MaxSockets
	stepResolve               // looks up the host
	stepConnect               // connects
	stepHandshake             // shakes hands for TLS
	stepSend                  // writes the request
	stepAwait                 // has written it
	stepHead                  // has read a byte of the answer
	stepBody                  // has read the answer's head
	stepEnd
)

// exchange follows one request through its steps. It is itself the request's
// context, so that the dialer, which runs apart from the request and may
// outlive it, finds it there without another allocation.
type exchange struct {
	context.Context // ends with the request's timeout
	deadline        time.Time
	trace           httptrace.ClientTrace

	mu     sync.Mutex // hooks run in the connection's goroutines, even after the end
	start  time.Time
	step   step
	since  time.Time // when it was entered
	timing webhook.Timing
	dials  int
}

// maxDials is how many connections are opened for one request. One is the
// rule, a second when a receiver gave up an idle connection. Transport itself
// knows no bound: a receiver that says GOAWAY to every new HTTP/2 connection
// would have some hundred a second.
const maxDials = 3

type exchangeKey struct{}

// newExchange follows a request that started now and ends with ctx, which must
// have a deadline.
func newExchange(ctx context.Context, now time.Time) *exchange {
	x := &exchange{Context: ctx, start: now, since: now}
	x.deadline, _ = ctx.Deadline()
	x.trace = httptrace.ClientTrace{
		GotConn:              x.gotConn,
		WroteRequest:         x.wroteRequest,
		GotFirstResponseByte: func() { x.enter(stepHead) },
	}
	return x
}

// Value returns the exchange itself for exchangeKey.
func (x *exchange) Value(key any) any {
	if _, ok := key.(exchangeKey); ok {
		return x
	}
	return x.Context.Value(key)
}

// enter moves on to a later step and books the time of the one left.
func (x *exchange) enter(next step) {
	now := time.Now()
	x.mu.Lock()
	defer x.mu.Unlock()
	x.enterLocked(next, now)
}

func (x *exchange) enterLocked(next step, now time.Time) {
	if next <= x.step {
		return
	}
	spent := now.Sub(x.since)
	switch x.step {
	case stepResolve:
		x.timing.DNS = spent
	case stepConnect:
		x.timing.Connect = spent
	case stepHandshake:
		x.timing.TLS = spent
	case stepAwait:
		x.timing.FirstByte = spent
	}
	x.step, x.since = next, now
}

// gotConn forgets a dial of the request's own that an idle connection overtook.
func (x *exchange) gotConn(info httptrace.GotConnInfo) {
	now := time.Now()
	x.mu.Lock()
	defer x.mu.Unlock()
	x.enterLocked(stepSend, now)
	if info.Reused {
		x.timing.DNS, x.timing.Connect, x.timing.TLS = 0, 0, 0
	}
}

// wroteRequest moves on only if all was written: HTTP/2 calls it at the end of
// a write that was given up, too.
func (x *exchange) wroteRequest(info httptrace.WroteRequestInfo) {
	if info.Err == nil {
		x.enter(stepAwait)
	}
}

// mayDial counts the connections opened for the request.
func (x *exchange) mayDial() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.dials++
	return x.dials <= maxDials
}

func (x *exchange) reached() step {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.step
}

// finish ends the exchange. The step in which it ended gets its time too, so a
// timeout shows where it was spent.
func (x *exchange) finish() webhook.Timing {
	now := time.Now()
	x.mu.Lock()
	defer x.mu.Unlock()
	x.enterLocked(stepEnd, now)
	x.timing.Total = now.Sub(x.start)
	return x.timing
}
