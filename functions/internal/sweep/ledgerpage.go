package sweep

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jobhook/jobhook/functions/internal/crew"
	"github.com/jobhook/jobhook/shared/webhook"
)

const (
	// ledgerGrace is how long dispatch has for a change before its events are
	// missed: a stream that was held up for some minutes is no loss.
	ledgerGrace = time.Hour
	// rungAgainFor is when sweep rings once more for what the ledger rang for, as
	// long as nobody attends to it.
	rungAgainFor = 15 * time.Minute
)

// settledBefore is how long before a job an endpoint must have been as it is, for
// dispatch to have seen it so: its memory of endpoints is seconds old.
const settledBefore = time.Minute

// bookPage is a part of an account's books: what must be there of some jobs, and
// what is.
type bookPage struct {
	jobs []webhook.WrittenJob

	ids      map[string]bool // of the derivable deliveries that are there, and of their events
	toJob    map[string]bool // events of which one is to a URL on the job
	rows     int             // derivable deliveries
	found    int             // the others
	stuck    []webhook.Delivery
	deviates []deviation
	webhook.Ledger
}

// deviation is a job of which deliveries are missing.
type deviation struct {
	job     webhook.WrittenJob
	missing []webhook.Planned // with those only
}

func (d deviation) ids() (ids []string) {
	for _, p := range d.missing {
		for _, delivery := range p.Deliveries {
			ids = append(ids, delivery.ID)
		}
	}
	return ids
}

// compare looks at the next part of an hour. What it finds counts once it was
// repaired: else the next run finds it again.
func (a *audit) compare(ctx context.Context, hour time.Time) error {
	end := hour.Add(time.Hour)
	p := &bookPage{ids: map[string]bool{}, toJob: map[string]bool{}}
	next, err := a.readJobs(ctx, p, end)
	if err != nil {
		return err
	}
	if len(p.jobs) > 0 || a.Counted > 0 || p.WithoutJobs || a.From.After(hour) {
		if next, err = a.Ledger.Books.Booked(ctx, a.Account, a.From, next, maxLedgerRows, func(d webhook.Delivery) { p.see(d, a.now()) }); err != nil {
			return fmt.Errorf("deliveries: %w", err)
		}
	}
	matched := 0
	for _, j := range p.jobs {
		if j.CreatedAt.Before(next) {
			matched += a.match(p, j)
		}
	}
	p.Uncounted = p.rows - matched
	err = a.repair(ctx, p)
	a.run.stuck += p.Stuck
	if err != nil {
		// What was repaired will be there when the page is looked at again: this is
		// the last time to tell of it. It is accepted twice then, so that the sums agree.
		a.Books.Add(webhook.Ledger{Accepted: p.Difference, Difference: p.Difference, Repaired: p.Repaired, Missing: p.Missing, Stuck: p.Stuck})
		return err
	}
	a.Found += p.found
	a.Books.Add(p.Ledger)
	if a.From = next; !next.Before(end) {
		a.settle(ctx, hour)
	}
	return nil
}

// revive rings for what is stuck of the next part of an hour of which nobody
// knows what must be there. None of it counts as accepted, nor as there.
func (a *audit) revive(ctx context.Context, hour time.Time) error {
	end, p, now := hour.Add(time.Hour), &bookPage{}, a.now()
	if a.From.IsZero() {
		a.From = hour
	}
	next, err := a.Ledger.Books.Booked(ctx, a.Account, a.From, end, maxLedgerRows, func(d webhook.Delivery) { p.find(d, now) })
	if err != nil {
		return fmt.Errorf("deliveries: %w", err)
	}
	err = a.repair(ctx, p)
	a.run.stuck += p.Stuck
	a.Books.Add(p.Ledger)
	if err != nil {
		return err
	}
	if a.From = next; !next.Before(end) {
		a.abandonHour()
	}
	return nil
}

// readJobs reads the jobs of the page, and where it ends.
func (a *audit) readJobs(ctx context.Context, p *bookPage, end time.Time) (next time.Time, err error) {
	next, err = a.Ledger.Books.JobsCreated(ctx, a.Account, a.From, end, maxLedgerJobs, func(j webhook.WrittenJob) { p.jobs = append(p.jobs, j) })
	if errors.Is(err, webhook.ErrNotFound) {
		p.WithoutJobs = true
		return end, nil
	}
	if err != nil {
		return next, fmt.Errorf("jobs: %w", err)
	}
	return next, nil
}

// see takes down a delivery that is there.
func (p *bookPage) see(d webhook.Delivery, now time.Time) {
	p.Count(d.State, 1)
	p.find(d, now)
	if !d.EventType.Derivable(d.Run) {
		p.found++
		return
	}
	p.rows++
	p.ids[d.ID], p.ids[d.EventID] = true, true
	if d.Target.Endpoint == "" && d.Target.URL != "" {
		p.toJob[d.EventID] = true
	}
}

// find takes down a delivery that is stuck.
func (p *bookPage) find(d webhook.Delivery, now time.Time) {
	if d.Stuck(now) {
		p.stuck = append(p.stuck, d)
	}
}

// match derives what a job must have led to, and looks for it. It returns how
// many of these deliveries are there. What need not be there is accepted if it
// is: that is no use to the difference, and no harm.
func (a *audit) match(p *bookPage, j webhook.WrittenJob) (matched int) {
	planned := a.Ledger.Ends.EndOf(j.Job, j.ChangedAt, targetsOf(a.targets, j), a.settings.Quotas)
	young, heard, lost := a.isYoung(j), p.hears(j), deviation{job: j}
	for _, e := range planned {
		missing := e.Deliveries[:0]
		for _, d := range e.Deliveries {
			switch {
			case p.has(d):
				matched++
			case !young && (!heard || a.mustBe(p, j, d)):
				missing = append(missing, d)
			}
		}
		if p.Accepted += len(missing); len(missing) > 0 {
			lost.missing = append(lost.missing, webhook.Planned{Event: e.Event, Deliveries: missing})
		}
	}
	if p.Accepted += matched; len(lost.missing) > 0 {
		p.deviates = append(p.deviates, lost)
	}
	return matched
}

// isYoung tells whether dispatch may still be at the job's last change. Where
// nothing tells when that was, the job must be some hours old.
func (a *audit) isYoung(j webhook.WrittenJob) bool {
	if j.ChangedAt.IsZero() {
		return a.At.Sub(j.CreatedAt) < ledgerYoung
	}
	return a.now().Sub(j.ChangedAt) < ledgerGrace
}

// targetsOf are the endpoints that were there when the job changed last.
func targetsOf(all []webhook.Endpoint, j webhook.WrittenJob) (then []webhook.Endpoint) {
	for _, e := range all {
		if j.ChangedAt.IsZero() || e.CreatedAt.Before(j.ChangedAt) {
			then = append(then, e)
		}
	}
	return then
}

// hears tells whether there is any event of the job's present run: somebody is
// told of each end, be it by a declined delivery.
func (p *bookPage) hears(j webhook.WrittenJob) bool {
	for _, t := range []webhook.EventType{webhook.JobFinished, webhook.JobFailed, webhook.JobStopped, webhook.ResultSetReady} {
		if p.ids[webhook.EventID(j.Job, t, "")] {
			return true
		}
	}
	return false
}

// mustBe tells whether a planned delivery of a run that was heard of must have
// been planned then. An endpoint must have been as it is since before the job; an
// end must be told as it was: a stopped job that was shelved looks as if it had
// succeeded. That nobody heard of an end depends on who was there.
func (a *audit) mustBe(p *bookPage, j webhook.WrittenJob, d webhook.Delivery) bool {
	if d.EventType != webhook.ResultSetReady && !p.ids[d.EventID] {
		for _, t := range []webhook.EventType{webhook.JobFinished, webhook.JobFailed, webhook.JobStopped} {
			if p.ids[webhook.EventID(j.Job, t, "")] {
				return false
			}
		}
	}
	if d.Target.Endpoint == "" {
		return d.Target.URL != ""
	}
	for _, e := range a.targets {
		if e.ID == d.Target.Endpoint {
			settled := j.CreatedAt.Add(-settledBefore)
			return e.CreatedAt.Before(settled) && e.UpdatedAt.Before(settled)
		}
	}
	return false
}

// has tells whether a delivery is there. The URL on the job may have been
// another one.
func (p *bookPage) has(d webhook.Delivery) bool {
	return p.ids[d.ID] || d.Target.Endpoint == "" && d.Target.URL != "" && p.toJob[d.EventID]
}

// repair dispatches what is missing once more, and rings for what is stuck. Ids
// follow from the job, so what is there after all is not sent twice. While an
// account's are erased, nothing of it is missing.
func (a *audit) repair(ctx context.Context, p *bookPage) error {
	if len(p.deviates)+len(p.stuck) > 0 {
		now, err := a.readErased(ctx)
		if err != nil {
			return err
		}
		if a.erased = now; now.running[a.Account] {
			p.deviates, p.stuck, p.Ledger = nil, nil, webhook.Ledger{}
		}
	}
	for _, lost := range p.deviates {
		ids := lost.ids()
		a.log().ErrorContext(ctx, "ledger.missing", "account", a.Account, "job", lost.job.ID, "run", lost.job.Run, "deliveries", ids)
		a.run.missing += len(ids) // also if it cannot be repaired, and is found again
		if err := a.Ledger.Ends.Again(ctx, lost.job.Job, lost.missing); err != nil {
			return fmt.Errorf("send what is missing of job %s: %w", lost.job.ID, err)
		}
		p.Difference += len(ids)
		p.Repaired += len(ids)
		p.Name(ids...)
	}
	return a.ringAgain(ctx, p)
}

// ringAgain rings for what is stuck. Each is made due first, some time from now:
// so an attempt takes its lease, should the first message only be late, and sweep
// goes on to ring for it, and the next check does not find it stuck once more.
func (a *audit) ringAgain(ctx context.Context, p *bookPage) error {
	var bells []webhook.Doorbell
	var errs []error
	for chunk := range slices.Chunk(p.stuck, resendsAtOnce) {
		marked, err := a.makeDue(ctx, chunk)
		bells = append(bells, marked...)
		if err != nil {
			errs = append(errs, err)
			break
		}
	}
	if p.Stuck = len(bells); p.Stuck == 0 {
		return errors.Join(errs...)
	}
	var ids []string
	for _, b := range bells[:min(len(bells), webhook.MaxMissing)] {
		ids = append(ids, b.Delivery)
	}
	a.log().WarnContext(ctx, "ledger.stuck", "account", a.Account, "count", p.Stuck, "deliveries", ids)
	if err := a.Queue.Ring(ctx, bells); err != nil {
		errs = append(errs, fmt.Errorf("ring for %d stuck deliveries: %w", p.Stuck, err))
	}
	return errors.Join(errs...)
}

// makeDue returns the doorbells of those to which nobody attends even now.
func (a *audit) makeDue(ctx context.Context, stuck []webhook.Delivery) (bells []webhook.Doorbell, err error) {
	errs, now := make([]error, len(stuck)), a.now()
	var all sync.WaitGroup
	for i, d := range stuck {
		next := d
		next.DueAt, next.UpdatedAt = now.Add(rungAgainFor), now
		if d.State == webhook.StateQueued { // the others' reason tells more
			next.Reason = "rung for again"
		}
		all.Go(func() { errs[i] = crew.Guarded(func() error { return a.Ledger.Books.Record(ctx, d, next, nil) }) })
	}
	all.Wait()
	for i, d := range stuck {
		switch {
		case errs[i] == nil:
			bells = append(bells, d.Doorbell())
		case !errors.Is(errs[i], webhook.ErrStale) && !errors.Is(errs[i], webhook.ErrNotFound):
			err = fmt.Errorf("make a stuck delivery due: %w", errs[i])
		}
	}
	return bells, err
}

// settle ends an hour: as many deliveries must be there as dispatch counted. Of
// those that are not, nothing else is known. What was erased is in the count.
func (a *audit) settle(ctx context.Context, hour time.Time) {
	if hour.Before(a.erased.last[a.Account]) {
		a.Counted = min(a.Counted, a.Found)
	}
	lost := max(a.Counted-a.Found, 0)
	a.Books.Accepted += a.Counted
	a.Books.Uncounted += max(a.Found-a.Counted, 0)
	a.Books.Difference += lost
	a.Books.Unnamed += lost
	a.run.missing += lost
	if lost > 0 {
		a.log().ErrorContext(ctx, "ledger.lost", "account", a.Account, "hour", hour, "counted", a.Counted, "found", a.Found)
	}
	a.nextHour()
}
