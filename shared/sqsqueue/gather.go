package sqsqueue

import (
	"context"
	"sync"
	"time"
)

// linger is how long the first of a batch waits for others.
const linger = 5 * time.Millisecond

// gatherer lets concurrent callers share requests: what is asked for within a
// few milliseconds, 10 at most, goes together.
type gatherer[E any] struct {
	call func(context.Context, []E) []error

	mu   sync.Mutex
	open *gathering[E] // takes more; nil when there is none
}

// gathering is a batch in the making, or on its way.
type gathering[E any] struct {
	entries []E
	full    chan struct{} // closed when there is no room
	done    chan struct{} // closed when errs is there
	errs    []error

	waiting int // callers who have not left
	cancel  context.CancelFunc
}

// do returns what became of the caller's own entry. A caller whose context ends
// leaves; the request is given up only when all have left.
func (g *gatherer[E]) do(ctx context.Context, entry E) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	batch, i := g.join(ctx, entry)
	select {
	case <-batch.done:
		return batch.errs[i]
	case <-ctx.Done():
		g.leave(batch)
		return ctx.Err()
	}
}

// join adds an entry to the open batch, or begins one.
func (g *gatherer[E]) join(ctx context.Context, entry E) (batch *gathering[E], i int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open == nil {
		g.open = &gathering[E]{full: make(chan struct{}), done: make(chan struct{})}
		ctx, g.open.cancel = context.WithCancel(context.WithoutCancel(ctx))
		go g.run(ctx, g.open)
	}
	batch = g.open
	batch.entries = append(batch.entries, entry)
	batch.waiting++
	if len(batch.entries) == maxBatch {
		g.open = nil
		close(batch.full)
	}
	return batch, len(batch.entries) - 1
}

func (g *gatherer[E]) leave(batch *gathering[E]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if batch.waiting--; batch.waiting > 0 {
		return
	}
	batch.cancel()
	if g.open == batch {
		g.open = nil // who comes now needs a batch that is not given up
	}
}

// run waits for company and makes the request. It ends with it, or soon after
// all callers have left.
func (g *gatherer[E]) run(ctx context.Context, batch *gathering[E]) {
	defer close(batch.done)
	defer batch.cancel()
	timer := time.NewTimer(linger)
	defer timer.Stop()
	select {
	case <-batch.full:
	case <-timer.C:
	case <-ctx.Done():
	}
	g.mu.Lock()
	if g.open == batch {
		g.open = nil
	}
	g.mu.Unlock()
	batch.errs = guarded(ctx, batch.entries, g.call)
}
