package main

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/jobhook/jobhook/shared/webhook"
)

const (
	sweepEvery   = time.Minute
	dispatchLag  = 200 * time.Millisecond // from the change until the stream's batch
	deliverLag   = 50 * time.Millisecond  // from the doorbell until the queue's batch
	warmUp       = 5 * time.Second        // until the caches of all environments are filled
	bigWindow    = time.Second            // Lambda gathers so long for batches above ten
	longestFirst = 5 * 24 * time.Hour     // a run that lasts longer will not end
	openFor      = 30 * time.Second       // a tripped endpoint stays so, after the last delivery
)

// outcome is what a scenario was counted to need.
type outcome struct {
	Scenario    string           `json:"-"`
	About       string           `json:"about"`
	Deliveries  int              `json:"deliveries"`
	Delivered   int              `json:"delivered"`
	Exhausted   int              `json:"exhausted"`
	DynamoDB    map[string]int   `json:"dynamodb_requests"`
	Consumed    map[string]units `json:"consumed_capacity"` // by table or index
	SQS         map[string]int   `json:"sqs_requests"`      // those of Lambda's poller included
	Lambda      lambda           `json:"lambda"`
	LogLines    int              `json:"log_lines"`
	LogBytes    int              `json:"log_bytes"`
	EgressBytes int              `json:"egress_bytes"`
	Items       map[string]sizes `json:"items"` // of the deliveries table at the end, the warm-up's included
}

// run plays a scenario: n deliveries at a steady rate a second, then their
// retries until all have ended, days later by the clock of the scenario.
func run(ctx context.Context, s scenario, server aws.Config, n, rate int) (outcome, error) {
	w, err := newWorld(ctx, s, server, rate)
	if err != nil {
		return outcome{}, err
	}
	defer w.close()
	warm := roundUp(rate*int(warmUp/time.Second), s.batch)
	steps := []func() error{
		func() error { return w.load(ctx, warmFrom, warm, rate) },
		func() error { return w.flush(ctx) },
		func() error { return w.trip(ctx, time.Duration(n)*time.Second/time.Duration(rate)+openFor) },
		func() error { w.reset(); return nil },
		func() error { return w.load(ctx, 0, n, rate) },
		func() error { return w.settle(ctx) },
		func() error { return w.flush(ctx) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return outcome{}, err
		}
	}
	return w.outcome(ctx, n, warm)
}

// warmFrom is the first number of the jobs of the warm-up, all of which are
// delivered at once.
const warmFrom = 1 << 40

func roundUp(n, to int) int { return (n + to - 1) / to * to }

// load changes jobs at the rate, and lets the functions follow.
func (w *world) load(ctx context.Context, from, n, rate int) error {
	begin := w.clock.time()
	for first := 0; first < n; first += w.scenario.batch {
		last := min(first+w.scenario.batch, n)
		records := make([]events.DynamoDBEventRecord, 0, last-first)
		var at time.Time
		for i := first; i < last; i++ {
			at = begin.Add(time.Duration(i+1) * time.Second / time.Duration(rate))
			records = append(records, w.workload.change(from+i, at))
		}
		if err := w.advance(ctx, at.Add(dispatchLag)); err != nil {
			return err
		}
		if err := w.runDispatch(ctx, records); err != nil {
			return err
		}
		if err := w.advance(ctx, at.Add(dispatchLag+deliverLag)); err != nil {
			return err
		}
		if err := w.drain(ctx, firstQueue); err != nil {
			return err
		}
	}
	return nil
}

// drain attempts all that is visible of a queue now.
func (w *world) drain(ctx context.Context, queue string) error {
	for {
		more, err := w.runDeliver(ctx, queue)
		if err != nil || !more {
			return err
		}
	}
}

// advance lets the time pass until t, and attempts what is rung for on the way.
func (w *world) advance(ctx context.Context, t time.Time) error {
	for {
		at, ok := w.queues.next(retryQueue)
		at = at.Add(w.window())
		if !ok || at.After(t) {
			w.clock.reach(t)
			return nil
		}
		w.clock.reach(at)
		if err := w.drain(ctx, retryQueue); err != nil {
			return err
		}
	}
}

// window is how long Lambda gathers messages for a batch.
func (w *world) window() time.Duration {
	if w.scenario.batch > 10 {
		return bigWindow
	}
	return 0
}

// settle lets the time pass until every delivery has ended. Of the runs of
// sweep only those that find something are made: idle ones cost the same
// whatever is sent.
func (w *world) settle(ctx context.Context) error {
	for {
		sweepAt, parked, err := w.nextSweep(ctx)
		if err != nil {
			return err
		}
		retryAt, waiting := w.queues.next(retryQueue)
		if !parked && !waiting {
			return nil
		}
		if w.clock.time().After(start().Add(longestFirst)) {
			return fmt.Errorf("deliveries have not ended after %s", longestFirst)
		}
		if waiting && (!parked || !retryAt.After(sweepAt)) {
			err = w.advance(ctx, retryAt.Add(w.window()))
		} else if err = w.advance(ctx, sweepAt); err == nil {
			err = w.runSweep(ctx)
		}
		if err != nil {
			return err
		}
	}
}

// nextSweep is the next run of sweep that rings for a delivery or releases one;
// false when none waits for any.
func (w *world) nextSweep(ctx context.Context) (at time.Time, ok bool, err error) {
	parked, err := w.probe.Due(ctx, w.clock.time().Add(longestFirst), 1)
	if err != nil {
		return at, false, err
	}
	for _, d := range parked {
		at, ok = sweepFor(d), true
	}
	holders, err := w.probe.Holders(ctx)
	for _, h := range holders {
		if opens := w.releaseFor(h); !ok || opens.Before(at) {
			at, ok = opens, true
		}
	}
	return at, ok, err
}

// sweepFor is the run of sweep that rings for a delivery: the last one before
// it is due, or the one at that very time.
func sweepFor(d webhook.Delivery) time.Time { return d.DueAt.Truncate(sweepEvery) }

// releaseFor is the run of sweep that releases deliveries of an endpoint: the
// first one after its gate opens.
func (w *world) releaseFor(h webhook.Holder) time.Time {
	now := w.clock.time()
	if gate := h.Health.Gate(now); gate.Pass == webhook.PassNone {
		now = gate.Until
	}
	return now.Truncate(sweepEvery).Add(sweepEvery)
}

// outcome gathers what was counted, if all went as it should.
func (w *world) outcome(ctx context.Context, n, warm int) (outcome, error) {
	if err := w.faults(); err != nil {
		return outcome{}, err
	}
	requests, consumed, err := w.meter.result()
	if err != nil {
		return outcome{}, err
	}
	o := outcome{
		Scenario: w.scenario.name, About: w.scenario.about(), Deliveries: n, DynamoDB: requests, Consumed: named(consumed, w.table),
		SQS: w.queues.snapshot(), Lambda: *w.lambda, LogLines: w.logs.lines, LogBytes: w.logs.bytes, EgressBytes: w.receiver.bytes,
	}
	if o.Delivered, o.Exhausted, err = w.ends(ctx, n, warm); err != nil {
		return outcome{}, err
	}
	o.Items, err = measureItems(ctx, w.plain, w.table)
	return o, err
}

func (w *world) faults() error {
	for _, fault := range []error{w.logs.fault, w.receiver.fault} {
		if fault != nil {
			return fault
		}
	}
	return nil
}

// named gives the table the name that it has in every run.
func named(consumed map[string]units, table string) map[string]units {
	all := map[string]units{}
	for name, u := range consumed {
		if len(name) >= len(table) && name[:len(table)] == table {
			name = "deliveries" + name[len(table):]
		}
		all[name] = u
	}
	return all
}

// ends reads what came of every delivery. Each must have ended as the scenario
// says, and have arrived once if it was delivered.
func (w *world) ends(ctx context.Context, n, warm int) (delivered, exhausted int, err error) {
	states := map[webhook.State]int{}
	for i := range accounts + 1 {
		account := accountName(i)
		if i == accounts {
			account = deadAccount
		}
		if err := w.countStates(ctx, account, states); err != nil {
			return 0, 0, err
		}
	}
	dead := 0
	for i := range n {
		want := 1
		if w.scenario.dead(i) {
			dead, want = dead+1, 0
		}
		if got := w.receiver.arrived[i]; got != want {
			return 0, 0, fmt.Errorf("the webhook of job %d arrived %d times instead of %d", i, got, want)
		}
	}
	delivered, exhausted = states[webhook.StateDelivered]-warm, states[webhook.StateExhausted]
	if delivered != n-dead || exhausted != dead || len(states) > 2 {
		return 0, 0, fmt.Errorf("of %d deliveries and %d of the warm-up, which were to be delivered but for %d, came: %v", n, warm, dead, states)
	}
	return delivered, exhausted, nil
}

func (w *world) countStates(ctx context.Context, account string, states map[webhook.State]int) error {
	for after := ""; ; {
		page, next, err := w.probe.Deliveries(ctx, webhook.Filter{Account: account, After: after, Limit: webhook.MaxPage})
		if err != nil {
			return err
		}
		for _, d := range page {
			states[d.State]++
		}
		if after = next; after == "" {
			return nil
		}
	}
}
