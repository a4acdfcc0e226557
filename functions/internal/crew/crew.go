// Package crew runs short tasks on goroutines that stay for the next one. A
// delivery's goroutine grows its stack while it decodes, signs and posts; one
// that is used again has it grown already, which saved 7 % of the CPU.
package crew

import (
	"sync"
	"sync/atomic"
)

// maxIdle is how many goroutines wait for work; more of them end.
const maxIdle = 512

// Crew is a group of goroutines. Make one with New, and Close it.
type Crew struct {
	tasks chan func()
	idle  atomic.Int32
	wait  sync.WaitGroup
}

// New returns a crew without goroutines; they come with the work.
func New() *Crew { return &Crew{tasks: make(chan func())} }

// Go runs f on an idle goroutine, or on a new one. It never waits. f must not
// panic. A nil crew starts a goroutine for each f.
func (c *Crew) Go(f func()) {
	if c == nil {
		go f()
		return
	}
	select {
	case c.tasks <- f:
	default:
		c.wait.Go(func() { c.work(f) })
	}
}

func (c *Crew) work(f func()) {
	for ok := true; ok; {
		f()
		if c.idle.Add(1) > maxIdle {
			c.idle.Add(-1)
			return
		}
		f, ok = <-c.tasks
		c.idle.Add(-1)
	}
}

// Close waits until all tasks are done and the goroutines have ended. No Go
// may follow it.
func (c *Crew) Close() {
	close(c.tasks)
	c.wait.Wait()
}
