package main

import (
	"context"
	"slices"
	"time"

	"github.com/jobhook/jobhook/functions/internal/child"
)

// A virtual machine's host may take its processors for tens of milliseconds. What
// was under way then, or right before or after, tells nothing of the product: a
// change counts as quiet when its request was due at another time. That does not
// depend on how long its webhook took, so slow ones are not sorted out.
const (
	stolenBefore = 50 * time.Millisecond  // the theft to the change
	stolenAfter  = 100 * time.Millisecond // the change to the theft
	stolenEvery  = 20 * time.Millisecond  // how often it is looked for
)

// quietEnough is the share of the changes below which their figures say nothing.
const quietEnough = 0.5

// stolen are the times at which the host had taken processors, in order.
type stolen struct{ times []int64 }

// watchStolen looks until ctx ends. Wait for it before the times are used.
func watchStolen(ctx context.Context, c clock) (s *stolen, wait func()) {
	s = &stolen{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(stolenEvery)
		defer tick.Stop()
		_, last, _ := child.MachineCPU()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			if _, now, err := child.MachineCPU(); err == nil && now > last {
				s.times, last = append(s.times, c.now()), now
			}
		}
	}()
	return s, func() { <-done }
}

// quiet tells whether nothing was stolen around a time.
func (s *stolen) quiet(at int64) bool {
	next, _ := slices.BinarySearch(s.times, at-int64(stolenBefore))
	return next == len(s.times) || s.times[next] > at+int64(stolenAfter)
}
