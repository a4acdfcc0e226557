package main

import (
	"strings"
	"time"
)

// requestSeconds is the timeout of the endpoints' requests.
const requestSeconds = 10

// plan is what a scenario does: how many endpoints there are, how they answer,
// and how the job changes come.
type plan struct {
	name      string
	endpoints int
	hanging   int   // the first so many never answer
	failing   bool  // a random tenth of the answers is 500
	waits     []int // seconds between attempts; nil: the format's
	changes   int   // for a burst: how many
	rate      int   // for an open loop: changes per second
	duration  time.Duration
	capacity  int // changes to make room for
	backlog   int // see options
	stored    int // deliveries in the store before
}

// account is the account of change i; they take turns.
func (p plan) account(i int) int { return i % p.endpoints }

// policy is what the plan's endpoints change of their format's policy.
func (p plan) policy() map[string]any {
	policy := map[string]any{"timeout_seconds": requestSeconds}
	if p.waits != nil {
		policy["retry_seconds"] = p.waits
	}
	return policy
}

// Names of the scenarios that are not plain plans.
const (
	bareName   = "bare"
	storedName = "stored-1m"
)

// fastest is more changes per second than a closed loop can make: room for so
// many is made.
const fastest = 15_000

// plans returns the scenarios in the order in which they run.
func plans(o options) []plan {
	list := []plan{
		{name: "burst-1", endpoints: 1},
		{name: "burst-100", endpoints: 100},
		{name: "burst-100-hang-1", endpoints: 100, hanging: 1},
		{name: "burst-100-hang-10", endpoints: 100, hanging: 10},
		{name: "burst-100-hang-30", endpoints: 100, hanging: 30},
		// Ten failures in a row, which nothing retries, are one in 10^10.
		{name: "burst-100-500s", endpoints: 100, failing: true, waits: []int{1, 2, 4, 4, 4, 4, 4, 4, 4}},
		{name: "sustained", endpoints: 100, duration: o.sustained()},
		{name: "open-500", endpoints: 100, rate: 500},
		{name: "open-500-hang-1", endpoints: 100, hanging: 1, rate: 500},
		{name: "open-500-hang-10", endpoints: 100, hanging: 10, rate: 500},
		{name: "open-500-hang-30", endpoints: 100, hanging: 30, rate: 500},
		{name: "open-100", endpoints: 100, rate: 100},
		{name: "open-100-hang-1", endpoints: 100, hanging: 1, rate: 100},
		{name: "open-100-hang-10", endpoints: 100, hanging: 10, rate: 100},
		{name: "open-100-hang-30", endpoints: 100, hanging: 30, rate: 100},
	}
	if !o.skipPrefill {
		list = append(list, plan{name: storedName, endpoints: 100, stored: o.prefill})
	}
	for i := range list {
		list[i].complete(o)
	}
	return list
}

// complete fills in what follows from the rest.
func (p *plan) complete(o options) {
	switch {
	case p.rate > 0:
		p.duration = o.open()
		p.changes = p.rate * int(p.duration/time.Second)
	case p.duration > 0:
		p.changes = fastest * int(p.duration/time.Second)
	default:
		p.changes = o.changes
	}
	p.capacity, p.backlog = p.changes, o.backlog
}

// calm is the name of the same scenario without hanging endpoints; "" for one
// that has none.
func (p plan) calm() string {
	name, _, hangs := strings.Cut(p.name, "-hang-")
	if !hangs {
		return ""
	}
	return name
}

// timed tells whether the plan is as much as can be done in a given time, so
// that only what is delivered by then counts.
func (p plan) timed() bool { return p.rate == 0 && p.duration > 0 }
