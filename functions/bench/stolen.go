package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/jobhook/jobhook/functions/internal/child"
)

// A virtual machine's host may take its processors for tens of milliseconds. What
// was under way then, or right before or after, tells nothing of the product: a
// change counts as quiet when its request was due at another time. That does not
// depend on how long its webhook took, so slow ones are not sorted out. The kernel
// counts what is stolen of a processor that has work to do, in steps of 10 ms.
const (
	stolenBefore = 50 * time.Millisecond  // the theft to the change
	stolenAfter  = 100 * time.Millisecond // the change to the theft
	stolenEvery  = 20 * time.Millisecond  // how often it is looked for
)

// quietEnough is the share of the changes below which their figures say nothing.
const quietEnough = 0.5

// stolen are the times at which the host had taken processors, in order.
type stolen struct{ times []int64 }

// watch notes what is stolen until its end.
type watch struct {
	clock   clock
	last    time.Duration
	found   stolen
	stop    context.CancelFunc
	stopped sync.WaitGroup
}

func watchStolen(c clock) *watch {
	ctx, stop := context.WithCancel(context.Background())
	w := &watch{clock: c, stop: stop}
	_, w.last, _ = child.MachineCPU()
	w.stopped.Go(func() {
		tick := time.NewTicker(stolenEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				w.look()
			case <-ctx.Done():
				w.look()
				return
			}
		}
	})
	return w
}

func (w *watch) look() {
	if _, now, err := child.MachineCPU(); err == nil && now > w.last {
		w.found.times, w.last = append(w.found.times, w.clock.now()), now
	}
}

// end returns what was found. It may be called again.
func (w *watch) end() *stolen {
	w.stop()
	w.stopped.Wait()
	return &w.found
}

// quiet tells whether nothing was stolen around a time.
func (s *stolen) quiet(at int64) bool {
	next, _ := slices.BinarySearch(s.times, at-int64(stolenBefore))
	return next == len(s.times) || s.times[next] > at+int64(stolenAfter)
}
