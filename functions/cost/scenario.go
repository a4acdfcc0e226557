package main

import "fmt"

// scenario is what happens to the deliveries of a run.
type scenario struct {
	name           string
	batch          int // stream records of a dispatch invocation, and messages of a deliver invocation at most
	refused        bool
	unreachable    bool
	incompressible bool
	limited        bool // every endpoint has a rate that it does not reach
	tripped        bool // the circuit of one endpoint is open when the deliveries begin, and it works again later
}

// scenarios are those that are reported, in order.
func scenarios() []scenario {
	var list []scenario
	for _, batch := range []int{1, 10, 100} {
		list = append(list, scenario{name: fmt.Sprintf("happy-%d", batch), batch: batch})
	}
	for _, batch := range []int{1, 10, 100} {
		list = append(list, scenario{name: fmt.Sprintf("retried-%d", batch), batch: batch, refused: true})
	}
	for _, batch := range []int{1, 10, 100} {
		list = append(list, scenario{name: fmt.Sprintf("dead-%d", batch), batch: batch, unreachable: true})
	}
	return append(list,
		scenario{name: "limited-10", batch: 10, limited: true},
		scenario{name: "tripped-10", batch: 10, tripped: true},
		scenario{name: "random-10", batch: 10, incompressible: true})
}

// fails tells whether a job's first webhook is answered with 500.
func (s scenario) fails(number int) bool {
	return s.refused && number < warmFrom && number%failingJobs == 3
}

// aside tells whether a job's webhook goes to the one endpoint that fails, or
// has failed.
func (s scenario) aside(number int) bool {
	return (s.unreachable || s.tripped) && number < warmFrom && number%deadJobs == 42
}

// dead tells whether a job's webhook goes to the endpoint that refuses every
// connection for ever.
func (s scenario) dead(number int) bool { return s.unreachable && s.aside(number) }

// about says in a few words what happens.
func (s scenario) about() string {
	switch {
	case s.refused:
		return "10 % answered with 500 once"
	case s.unreachable:
		return "1 % to a dead endpoint, 10 attempts each"
	case s.limited:
		return fmt.Sprintf("all delivered at once, to endpoints that may have %d a second", limitedRate)
	case s.tripped:
		return "1 % held by an open circuit, released when it has closed"
	case s.incompressible:
		return "all delivered at once; a message of random base64"
	}
	return "all delivered at once"
}
