package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// store is the store under test in the hands of one promise.
type store struct {
	StoreUnderTest
	*testing.T
	clock Clock
}

func (s store) ctx() context.Context { return s.Context() }

// ok ends the promise if there is an error.
func (s store) ok(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s store) want(err, target error) {
	s.Helper()
	if !errors.Is(err, target) {
		s.Errorf("got error %v, want %v", err, target)
	}
}

// same compares values; nothing and an empty list are the same, and times are
// the same when they are the same instant.
func same[T any](t testing.TB, what string, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// now is a time as stores keep it, to the microsecond.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// makeJob returns a job with the status and more attributes, as JSON members.
func (s store) makeJob(account, id string, kind job.Kind, status job.Status, more string) job.Job {
	s.Helper()
	if more != "" {
		more = "," + more
	}
	j, err := job.Decode(fmt.Appendf(nil, `{"id":%q,"account":%q,"kind":%q,"status":%q,"run":1,"created_at":"2026-03-01T10:00:00.123Z"%s}`,
		id, account, kind, status, more))
	s.ok(err)
	return j
}

func (s store) write(j job.Job) {
	s.Helper()
	_, _, err := s.WriteJob(s.ctx(), j.ID, j.Kind, func(*job.Job) (job.Job, error) { return j, nil })
	s.ok(err)
}

// plan returns an event of the job with a queued delivery to each target.
func (s store) plan(j job.Job, typ webhook.EventType, sequence string, targets ...webhook.Target) webhook.Planned {
	at := now()
	e := webhook.Event{
		ID: webhook.EventID(j, typ, sequence), Type: typ, Account: j.Account, Kind: j.Kind, JobID: j.ID, Run: j.Run,
		At: at, Level: job.LevelInfo, Sequence: sequence, Record: j.Record,
	}
	p := webhook.Planned{Event: e}
	for _, t := range targets {
		p.Deliveries = append(p.Deliveries, webhook.Delivery{
			ID: webhook.DeliveryID(e.ID, t), Account: e.Account, EventID: e.ID, EventType: e.Type, Kind: e.Kind,
			JobID: e.JobID, Run: e.Run, Sequence: e.Sequence, Target: t, State: webhook.StateQueued, Generation: 1,
			Deadline: at.Add(24 * time.Hour), CreatedAt: at, UpdatedAt: at, ExpiresAt: at.Add(30 * 24 * time.Hour),
		})
	}
	return p
}

func toURL(url string) webhook.Target { return webhook.Target{URL: url, Format: "socialdata"} }

func toEndpoint(id string) webhook.Target {
	return webhook.Target{Endpoint: id, URL: "https://example.com/" + id, Format: "standard"}
}

// finished puts the end of a new job, to one URL, and returns its delivery.
func (s store) finished(account, id string) webhook.Delivery {
	s.Helper()
	return s.putOne(s.plan(s.makeJob(account, id, job.KindAsync, "success", ""), webhook.JobFinished, "1", toURL("https://example.com/hook")))
}

func (s store) putOne(p webhook.Planned) webhook.Delivery {
	s.Helper()
	_, err := s.Put(s.ctx(), []webhook.Planned{p})
	s.ok(err)
	return p.Deliveries[0]
}

// endpoint puts an enabled endpoint.
func (s store) endpoint(account, id string) webhook.Endpoint {
	s.Helper()
	e := webhook.Endpoint{
		ID: id, Account: account, URL: "https://example.com/" + id, Format: "standard",
		Status: webhook.EndpointEnabled, CreatedAt: now(), UpdatedAt: now(),
	}
	s.ok(s.PutEndpoint(s.ctx(), e))
	return e
}

// row reads a delivery.
func (s store) row(ref webhook.Ref) webhook.Delivery {
	s.Helper()
	d, err := s.Delivery(s.ctx(), ref)
	s.ok(err)
	return d
}

func (s store) attempts(ref webhook.Ref) []webhook.Attempt {
	s.Helper()
	list, err := s.Attempts(s.ctx(), ref)
	s.ok(err)
	return list
}

func (s store) load(ref webhook.Ref) webhook.Work {
	s.Helper()
	works, err := s.Load(s.ctx(), []webhook.Ref{ref})
	s.ok(err)
	if len(works) != 1 {
		s.Fatalf("loaded %d works, want 1", len(works))
	}
	return works[0]
}

// after returns the row after an attempt that counts.
func after(d webhook.Delivery, state webhook.State) webhook.Delivery {
	at := now()
	d.State, d.Attempts, d.UpdatedAt, d.LeaseUntil, d.DueAt, d.NextAt = state, d.Attempts+1, at, time.Time{}, time.Time{}, time.Time{}
	switch state {
	case webhook.StateDelivered:
		d.LastStatus, d.DeliveredAt = 200, at
	case webhook.StateWaiting:
		d.LastStatus, d.NextAt, d.Reason = 500, at.Add(time.Minute), "the receiver answered 500"
	default:
		d.LastStatus, d.Reason = 500, "the receiver answered 500"
	}
	return d
}

// attemptOf is the attempt that led from one row to the next.
func attemptOf(read, next webhook.Delivery) *webhook.Attempt {
	return &webhook.Attempt{
		Account: read.Account, Delivery: read.ID, Generation: read.Generation, At: now(), URL: read.Target.URL,
		Result: webhook.Result{Status: next.LastStatus}, State: next.State, Reason: next.Reason,
	}
}

// attempt records an attempt that was made of the row as it was read.
func (s store) attempt(read webhook.Delivery, state webhook.State) (webhook.Delivery, error) {
	next := after(read, state)
	return next, s.Record(s.ctx(), read, next, attemptOf(read, next))
}

// mustAttempt is attempt where it cannot be stale.
func (s store) mustAttempt(read webhook.Delivery, state webhook.State) webhook.Delivery {
	s.Helper()
	next, err := s.attempt(read, state)
	s.ok(err)
	return next
}

// change records a row that no attempt led to.
func (s store) change(read webhook.Delivery, f func(*webhook.Delivery)) webhook.Delivery {
	s.Helper()
	next := read
	f(&next)
	s.ok(s.Record(s.ctx(), read, next, nil))
	return next
}

// resend opens the next generation.
func (s store) resend(d webhook.Delivery) webhook.Delivery {
	s.Helper()
	next, err := d.Resend(webhook.Policy{Timeout: time.Second}, now())
	s.ok(err)
	s.ok(s.Record(s.ctx(), d, next, nil))
	return next
}

// together runs f n times at once and returns the errors.
func together(n int, f func(i int) error) []error {
	errs := make([]error, n)
	var wait sync.WaitGroup
	for i := range n {
		wait.Go(func() { errs[i] = f(i) })
	}
	wait.Wait()
	return errs
}

// eventually waits up to five seconds for what may be written with a delay.
func (s store) eventually(what string, holds func() bool) {
	s.Helper()
	for range 25 {
		if holds() {
			return
		}
		s.clock.Advance(200 * time.Millisecond)
	}
	s.Errorf("after five seconds still not: %s", what)
}
