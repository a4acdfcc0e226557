package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/jobhook/jobhook/functions/internal/child"
)

// figures are the results of a scenario, as they stand in bench.json. Healthy
// endpoints only are counted.
type figures struct {
	DeliveriesPerS  float64 `json:"deliveries_per_s"`
	CPUsPer1000     float64 `json:"cpu_s_per_1000"`
	P50ms           float64 `json:"p50_ms"` // from the acknowledged change to the first byte of the webhook
	P99ms           float64 `json:"p99_ms"`
	MaxMs           float64 `json:"max_ms"`
	QuietP99ms      float64 `json:"quiet_p99_ms,omitempty"` // of the changes of an open loop around which the host took no processor
	QuietShare      float64 `json:"quiet_share,omitempty"`  // of all that led to a webhook
	RSSMiB          float64 `json:"rss_mib"`
	AckP50ms        float64 `json:"ack_p50_ms"` // from the request's due time to its answer
	AckP99ms        float64 `json:"ack_p99_ms"`
	FsyncP99ms      float64 `json:"fsync_p99_ms"` // of the disk, right before
	Seconds         float64 `json:"seconds"`
	Changes         int     `json:"changes"`
	Delivered       int     `json:"delivered"`
	Errors          int     `json:"errors"` // changes that were not acknowledged
	Lost            int     `json:"lost"`   // changes that were, and led to no webhook
	Duplicates      int     `json:"duplicates"`
	LoadCPUsPer1000 float64 `json:"load_cpu_s_per_1000"` // of generator and receivers
	OtherCPUs       float64 `json:"other_cpus"`          // processors that others on this machine kept busy

	Backlog       int     `json:"backlog,omitempty"`                  // changes not yet delivered when the load ended
	AckedPerS     float64 `json:"acked_per_s,omitempty"`              // changes acknowledged
	Refused       int     `json:"refused,omitempty"`                  // attempts that were answered 500
	AttemptsRatio float64 `json:"attempts_to_least,omitempty"`        // attempts to the least possible number
	RetryLateP99  float64 `json:"retry_late_p99_ms,omitempty"`        // arrival of a retry after its due time
	Stored        int     `json:"stored,omitempty"`                   // deliveries in the store before
	EmptyCPUs     float64 `json:"empty_cpu_s_per_1000,omitempty"`     // the same load on an empty store
	CPURatio      float64 `json:"cpu_to_empty,omitempty"`             // CPU per delivery, to that
	PrefillS      float64 `json:"prefill_s,omitempty"`                // time it took to store them
	Calm          string  `json:"calm,omitempty"`                     // the same scenario of this run without hanging endpoints
	P99Ratio      float64 `json:"p99_to_calm,omitempty"`              // of the healthy endpoints
	QuietRatio    float64 `json:"quiet_p99_to_calm,omitempty"`        // of what was quiet in both
	CalmShare     float64 `json:"quiet_share_of_calm,omitempty"`      // what of the other was quiet
	SpeedRatio    float64 `json:"speed_to_calm,omitempty"`            // deliveries a second to a healthy endpoint
	LogLines      int     `json:"log_lines_of_level_error,omitempty"` // should be none
}

// trial is one run of a plan.
type trial struct {
	plan     plan
	options  options
	binary   string
	folder   string
	ledger   *ledger
	child    *child.Child
	platform *platform
	stolen   *stolen
	fsync    *histogram
	result   figures
}

// drainLimit is how long the webhooks may take to arrive once the load ended.
const drainLimit = 90 * time.Second

// settleTime is for what a delivery costs after its webhook has arrived.
const settleTime = 250 * time.Millisecond

// measure runs a plan on an empty data folder, or one with stored deliveries.
func measure(ctx context.Context, o options, binary string, p plan) (figures, error) {
	t := &trial{plan: p, options: o, binary: binary, folder: filepath.Join(o.data, p.name)}
	if err := errors.Join(os.RemoveAll(t.folder), os.MkdirAll(t.folder, 0o700)); err != nil {
		return figures{}, err
	}
	if !o.keep {
		defer os.RemoveAll(t.folder)
	}
	if p.stored > 0 {
		begun := time.Now()
		if err := prefill(ctx, t.folder, p.stored, p.endpoints); err != nil {
			return figures{}, fmt.Errorf("prefill: %w", err)
		}
		syscall.Sync() // else the disk is still busy with it
		t.result.PrefillS, t.result.Stored = time.Since(begun).Seconds(), p.stored
	}
	err := t.run(ctx)
	return t.result, err
}

func (t *trial) run(ctx context.Context) (err error) {
	if t.fsync, err = fsyncs(t.folder); err != nil {
		return err
	}
	t.result.FsyncP99ms = t.fsync.ms(99)
	t.ledger = newLedger(t.plan)
	receivers, err := listen(t.ledger)
	if err != nil {
		return err
	}
	defer receivers.close()
	if t.child, err = child.Start(ctx, t.binary, t.folder, child.Options{}); err != nil {
		return err
	}
	defer t.child.Stop()
	if err := prepare(ctx, t.child, t.plan, receivers.urls); err != nil {
		return err
	}
	t.platform = &platform{addr: t.child.Addr, key: child.OperatorKey, ledger: t.ledger}
	if err := t.load(ctx); err != nil {
		return fmt.Errorf("%w\n%s", err, t.child.LogTail())
	}
	if n := t.ledger.errors.Load(); n > 0 {
		fmt.Fprintf(os.Stderr, "%s: %d changes were not acknowledged, the first one: %s\n", t.plan.name, n, t.ledger.firstError)
	}
	return t.integrity()
}

// load sends the changes and takes the figures.
func (t *trial) load(ctx context.Context) error {
	before, err := t.look()
	if err != nil {
		return err
	}
	thefts := watchStolen(t.ledger.clock)
	defer thefts.end()
	sent := t.send(ctx)
	after, err := t.look()
	if err != nil {
		return err
	}
	t.result.Backlog = int(t.ledger.behind())
	t.result.AckedPerS = float64(t.ledger.acked.Load()) / seconds(after.at-before.at)
	drained := t.drain(ctx)
	if !t.plan.timed() {
		t.result.Backlog = 0
		time.Sleep(settleTime)
		if after, err = t.look(); err != nil {
			return err
		}
	}
	t.window(before, after)
	t.stolen = thefts.end()
	t.latencies(sent)
	return drained
}

func (t *trial) send(ctx context.Context) int {
	if t.plan.rate > 0 {
		return t.platform.openLoop(ctx, t.plan.rate, t.plan.changes)
	}
	return t.platform.closedLoop(ctx, t.options.connections, t.plan.changes, t.plan.duration)
}

// moment is the state of things at one time.
type moment struct {
	at        int64
	child     child.Usage
	load      time.Duration // CPU time of this process
	all       time.Duration // CPU time of everybody
	delivered int64
}

func (t *trial) look() (moment, error) {
	used, err := t.child.Usage()
	all, _, err2 := child.MachineCPU()
	return moment{t.ledger.now(), used, ownCPU(), all, t.ledger.delivered.Load()}, errors.Join(err, err2)
}

// others is how many processors were busy with neither the child nor this
// process. Work of the kernel counts too, so it is never quite 0.
func (after moment) others(before moment) float64 {
	ours := after.child.CPU - before.child.CPU + after.load - before.load
	return max(0, (after.all-before.all-ours).Seconds()/seconds(after.at-before.at))
}

// errDrain is what drain returns when webhooks are missing.
var errDrain = errors.New("webhooks did not arrive in time")

// drain waits for the webhooks of all acknowledged changes to healthy endpoints.
func (t *trial) drain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, drainLimit)
	defer cancel()
	for t.ledger.behind() > 0 {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d %w", t.ledger.behind(), errDrain)
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}

// window sets the figures of the time from before to after. Unless its length
// is given it ends with the last webhook.
func (t *trial) window(before, after moment) {
	end := after.at
	if !t.plan.timed() {
		end = t.lastDelivery()
	}
	delivered := float64(after.delivered - before.delivered)
	r := &t.result
	r.Seconds = seconds(end - before.at)
	r.RSSMiB = after.child.PeakMiB
	r.OtherCPUs = after.others(before)
	r.Delivered = int(t.ledger.delivered.Load())
	if delivered == 0 || end <= before.at {
		return
	}
	r.DeliveriesPerS = delivered / r.Seconds
	r.CPUsPer1000 = (after.child.CPU - before.child.CPU).Seconds() / delivered * 1000
	r.LoadCPUsPer1000 = (after.load - before.load).Seconds() / delivered * 1000
}

func (t *trial) lastDelivery() (last int64) {
	for i := range t.ledger.changes {
		last = max(last, t.ledger.changes[i].delivered.Load())
	}
	return last
}

// latencies sets the figures of the single changes to healthy endpoints. A
// webhook that is there before its change is acknowledged took no time.
func (t *trial) latencies(sent int) {
	arrival, quiet, ack := newHistogram(), newHistogram(), newHistogram()
	for i := range sent {
		c := &t.ledger.changes[i]
		acked := c.acked.Load()
		if acked == 0 || t.ledger.hangs(i) {
			continue
		}
		ack.add(acked - c.sent.Load())
		if at := c.arrived.Load(); at != 0 {
			arrival.add(at - acked)
			if t.stolen.quiet(c.sent.Load()) {
				quiet.add(at - acked)
			}
		}
	}
	l, r := t.ledger, &t.result
	r.Changes = sent
	r.P50ms, r.P99ms, r.MaxMs = arrival.ms(50), arrival.ms(99), arrival.ms(100)
	r.AckP50ms, r.AckP99ms = ack.ms(50), ack.ms(99)
	if t.plan.rate > 0 && arrival.count() > 0 {
		r.QuietP99ms, r.QuietShare = quiet.ms(99), float64(quiet.count())/float64(arrival.count())
	}
	r.Errors, r.Lost, r.Duplicates = int(l.errors.Load()), int(max(l.behind(), 0)), int(l.wrong.duplicates.Load())
	r.LogLines = t.child.LogLines()
	if t.plan.failing {
		r.Refused = int(l.refused.Load())
		r.AttemptsRatio = float64(l.attempts.Load()) / float64(l.delivered.Load()+l.refused.Load())
		l.mu.Lock()
		defer l.mu.Unlock()
		r.RetryLateP99 = l.late.ms(99)
	}
}

// integrity tells what must not have happened.
func (t *trial) integrity() error {
	l := t.ledger
	var all []error
	for _, w := range []struct {
		count int64
		what  string
	}{
		{max(l.behind(), 0), "acknowledged changes led to no webhook"},
		{l.wrong.duplicates.Load(), "webhooks came again after their success"},
		{l.wrong.strangers.Load(), "webhooks were nobody's, or at the wrong endpoint"},
		{l.wrong.renamed.Load(), "retries had another webhook-id"},
		{l.wrong.early.Load(), "retries came before their time"},
	} {
		if w.count > 0 {
			all = append(all, fmt.Errorf("%d %s", w.count, w.what))
		}
	}
	return errors.Join(all...)
}

// compare sets how hanging endpoints change what the healthy ones get. Fewer
// endpoints are healthy, so a burst has fewer webhooks for them.
func (f *figures) compare(name string, calm figures, p plan) {
	if calm.P99ms == 0 || calm.DeliveriesPerS == 0 {
		return
	}
	f.Calm, f.P99Ratio = name, f.P99ms/calm.P99ms
	if calm.QuietP99ms > 0 {
		f.QuietRatio, f.CalmShare = f.QuietP99ms/calm.QuietP99ms, calm.QuietShare
	}
	f.SpeedRatio = f.DeliveriesPerS / calm.DeliveriesPerS * float64(p.endpoints) / float64(p.endpoints-p.hanging)
}

func seconds(ns int64) float64 { return time.Duration(ns).Seconds() }
