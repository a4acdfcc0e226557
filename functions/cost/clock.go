package main

import (
	"sync"
	"time"
)

// clock is the time of a scenario. It stands still while a handler works, and
// leaps over the days between two attempts.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

// start is when every scenario begins, the same each time so that the counts
// are too.
func start() time.Time { return time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC) }

func newClock() *clock { return &clock{now: start()} }

func (c *clock) time() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// reach moves the clock to t; it never goes back.
func (c *clock) reach(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.After(c.now) {
		c.now = t
	}
}
