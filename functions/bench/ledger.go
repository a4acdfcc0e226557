package main

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"
)

// clock counts nanoseconds from its start; it is the same for both sides.
type clock struct{ start time.Time }

// now is never 0, which stands for "not yet".
func (c clock) now() int64 { return int64(time.Since(c.start)) + 1 }

// change is what is known of one job change and its webhook. All times are the
// clock's, 0 for not yet.
type change struct {
	sent      atomic.Int64 // the time the request was due
	acked     atomic.Int64
	arrived   atomic.Int64 // first byte of the first attempt
	delivered atomic.Int64 // first byte of the first attempt that was answered 200
	due       atomic.Int64 // the earliest time of the next attempt
	attempts  atomic.Int32
	webhookID atomic.Uint64 // its hash
}

// ledger follows every change of a scenario. Its methods may be called from
// any goroutine.
type ledger struct {
	clock
	plan    plan
	changes []change
	seed    maphash.Seed

	acked     atomic.Int64 // of healthy endpoints
	ackedHung atomic.Int64 // of hanging ones
	delivered atomic.Int64 // changes
	attempts  atomic.Int64
	refused   atomic.Int64 // attempts answered 500
	errors    atomic.Int64 // requests that were not acknowledged
	wrong     wrong

	mu         sync.Mutex
	late       *histogram // arrivals of retries after their due time
	firstError string
}

// wrong counts what must never happen.
type wrong struct {
	duplicates atomic.Int64 // a second webhook after a success
	strangers  atomic.Int64 // nobody's webhook, or at the wrong endpoint
	renamed    atomic.Int64 // a retry under another webhook-id
	early      atomic.Int64 // a retry before its time
}

func newLedger(p plan) *ledger {
	return &ledger{clock: clock{time.Now()}, plan: p, changes: make([]change, p.capacity), seed: maphash.MakeSeed(), late: newHistogram()}
}

// hangs tells whether change i goes to an endpoint that never answers.
func (l *ledger) hangs(i int) bool { return l.plan.account(i) < l.plan.hanging }

func (l *ledger) ack(i int) {
	l.changes[i].acked.Store(l.now())
	if l.hangs(i) {
		l.ackedHung.Add(1)
	} else {
		l.acked.Add(1)
	}
}

// fail notes a request that was not acknowledged.
func (l *ledger) fail(why string) {
	l.errors.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.firstError == "" {
		l.firstError = why
	}
}

// behind is how many changes are acknowledged and not delivered.
func (l *ledger) behind() int64 { return l.acked.Load() - l.delivered.Load() }

// arrive notes an attempt that reached an endpoint. It reports false for one
// that belongs to no change.
func (l *ledger) arrive(endpoint, i int, webhookID []byte, at int64) (c *change, ok bool) {
	l.attempts.Add(1)
	if i < 0 || i >= len(l.changes) || l.plan.account(i) != endpoint {
		l.wrong.strangers.Add(1)
		return nil, false
	}
	c = &l.changes[i]
	hash := maphash.Bytes(l.seed, webhookID) | 1
	if !c.webhookID.CompareAndSwap(0, hash) && c.webhookID.Load() != hash {
		l.wrong.renamed.Add(1)
	}
	c.arrived.CompareAndSwap(0, at)
	c.attempts.Add(1)
	if due := c.due.Swap(0); due != 0 {
		l.retried(at - due)
	}
	return c, true
}

func (l *ledger) retried(late int64) {
	if late < 0 {
		l.wrong.early.Add(1)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.late.add(late)
}

// accept notes an attempt that is answered 200.
func (l *ledger) accept(c *change, at int64) {
	if !c.delivered.CompareAndSwap(0, at) {
		l.wrong.duplicates.Add(1)
		return
	}
	l.delivered.Add(1)
}

// refuse notes an attempt that is answered 500, before it is: the next one is
// due after the wait that the policy says.
func (l *ledger) refuse(c *change) {
	l.refused.Add(1)
	n := int(c.attempts.Load())
	if n <= len(l.plan.waits) {
		c.due.Store(l.now() + int64(l.plan.waits[n-1])*int64(time.Second))
	}
}
