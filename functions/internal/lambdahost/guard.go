package lambdahost

import (
	"context"
	"sync"
	"time"
)

// frozenAfter is the pause between two invocations after which connections are
// not trusted. Lambda freezes a function between them; the other end, and every
// load balancer on the way, goes on and gives idle connections up meanwhile.
const frozenAfter = 5 * time.Second

// Guard returns a handler that first closes idle connections when the function
// has probably been frozen.
func Guard[In, Out any](handle func(context.Context, In) (Out, error), closeIdle ...func()) func(context.Context, In) (Out, error) {
	g := &guard{last: wall(), closeIdle: closeIdle}
	return func(ctx context.Context, in In) (Out, error) {
		g.begin()
		defer g.end()
		return handle(ctx, in)
	}
}

type guard struct {
	closeIdle []func()
	lock      sync.Mutex
	last      time.Time // when an invocation ended last
}

func (g *guard) begin() {
	g.lock.Lock()
	frozen := wall().Sub(g.last) > frozenAfter
	g.last = wall()
	g.lock.Unlock()
	if !frozen {
		return
	}
	for _, closeIdle := range g.closeIdle {
		closeIdle()
	}
}

func (g *guard) end() {
	g.lock.Lock()
	defer g.lock.Unlock()
	g.last = wall()
}

// wall is the time without its monotonic reading: that clock stands still
// while the function is frozen.
func wall() time.Time { return time.Now().Round(0) }
