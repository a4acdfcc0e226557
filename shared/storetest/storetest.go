// Package storetest is the conformance suite of stores and queues: what the
// handlers and the API rely on, written as promises that every adapter keeps.
package storetest

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// StoreUnderTest is all that handlers and API ask of a store. Its methods are
// documented where they are used.
type StoreUnderTest interface {
	Accounts
	Endpoints
	Jobs
	Deliveries
	Sweeps
}

// Accounts keeps accounts and API keys.
type Accounts interface {
	PutAccount(ctx context.Context, a webhook.Account) error
	Account(ctx context.Context, id string) (webhook.Account, error)
	PutKey(ctx context.Context, k webhook.Key) error
	Key(ctx context.Context, id string) (webhook.Key, error)
	Keys(ctx context.Context, account string) ([]webhook.Key, error)
	RevokeKey(ctx context.Context, account, id string, at time.Time) error
}

// Endpoints keeps endpoints, how they have been answering, and silences.
type Endpoints interface {
	PutEndpoint(ctx context.Context, e webhook.Endpoint) error
	UpdateEndpoint(ctx context.Context, account, id string, f func(webhook.Endpoint) (webhook.Endpoint, error)) (webhook.Endpoint, error)
	DeleteEndpoint(ctx context.Context, account, id string) error
	Endpoint(ctx context.Context, account, id string) (webhook.Endpoint, error)
	Endpoints(ctx context.Context, account string) ([]webhook.Endpoint, error)
	Disable(ctx context.Context, account, endpoint, url, reason string) error
	SetHealth(ctx context.Context, account string, h webhook.Health) error
	Health(ctx context.Context, account string) ([]webhook.Health, error)
	Silence(ctx context.Context, url string, until time.Time) error
	AddStats(ctx context.Context, stats []webhook.Stats) error
	Stats(ctx context.Context, account, endpoint string, from, to time.Time) ([]webhook.Stats, error)
}

// Jobs keeps job records.
type Jobs interface {
	WriteJob(ctx context.Context, id string, kind job.Kind, f func(old *job.Job) (job.Job, error)) (written job.Job, created bool, err error)
	JobsByID(ctx context.Context, id string) ([]job.Job, error)
	Jobs(ctx context.Context, f webhook.JobFilter) (jobs []job.Job, next string, err error)
}

// Deliveries keeps events, deliveries and attempts.
type Deliveries interface {
	Put(ctx context.Context, planned []webhook.Planned) ([]webhook.Doorbell, error)
	Load(ctx context.Context, refs []webhook.Ref) ([]webhook.Work, error)
	Record(ctx context.Context, read, next webhook.Delivery, attempt *webhook.Attempt) error
	Overtaken(ctx context.Context, d webhook.Delivery) (bool, error)
	Deliveries(ctx context.Context, f webhook.Filter) ([]webhook.Delivery, error)
	Delivery(ctx context.Context, ref webhook.Ref) (webhook.Delivery, error)
	Attempts(ctx context.Context, ref webhook.Ref) ([]webhook.Attempt, error)
	Event(ctx context.Context, account, id string) (webhook.Event, error)
}

// Sweeps does what is due.
type Sweeps interface {
	Due(ctx context.Context, before time.Time, limit int) ([]webhook.Delivery, error)
	Defer(ctx context.Context, read []webhook.Delivery, dueAt time.Time) error
	Release(ctx context.Context, now, dueAt time.Time, limit int) ([]webhook.Doorbell, error)
	Shelve(ctx context.Context, before time.Time, limit int) (int, error)
	Expire(ctx context.Context, now time.Time, limit int) (int, error)
}

// QueueUnderTest is a queue with the semantics of an SQS standard queue.
type QueueUnderTest interface {
	Ring(ctx context.Context, bells []webhook.Doorbell) error
	Send(ctx context.Context, group, body string, delay time.Duration) error
	Receive(ctx context.Context, max int, wait time.Duration) []webhook.Message
	Delete(ctx context.Context, receipts []string) error
	Hide(ctx context.Context, receipt string, d time.Duration) error
	DeadLetters(ctx context.Context, limit int) ([]webhook.Message, error)
	Redrive(ctx context.Context) (int, error)
}

// QueueOptions configure a queue under test.
type QueueOptions struct {
	Visibility  time.Duration // whole seconds
	MaxReceives int
}

// Clock says how time passes for what is under test.
type Clock struct {
	// Run runs one promise.
	Run func(t *testing.T, promise func(t *testing.T))
	// Advance lets d pass.
	Advance func(d time.Duration)
}

// Bubble is the clock of what lives wholly in this process: each promise is
// run, and its store or queue opened and closed, in a testing/synctest bubble,
// where waiting takes no time.
func Bubble() Clock { return Clock{Run: synctest.Test, Advance: time.Sleep} }

// RealTime is the clock of what is reached over a network, as network I/O does
// not work in a bubble. Waits are a few seconds in all, so the promises of one
// suite run in parallel.
func RealTime() Clock {
	return Clock{
		Run: func(t *testing.T, promise func(t *testing.T)) {
			t.Parallel()
			promise(t)
		},
		Advance: func(d time.Duration) { <-time.After(d) },
	}
}

// Store proves a store's promises, each on a store of its own.
func Store(t *testing.T, clock Clock, open func(t *testing.T) StoreUnderTest) {
	var all []promise
	for _, group := range [][]promise{
		accountPromises(), endpointPromises(), jobPromises(), putPromises(), recordPromises(), listPromises(), sweepPromises(),
	} {
		all = append(all, group...)
	}
	for _, p := range all {
		t.Run(p.name, func(t *testing.T) {
			clock.Run(t, func(t *testing.T) { p.holds(store{StoreUnderTest: open(t), T: t, clock: clock}) })
		})
	}
}

// Broken is a promise of a queue that what it is tested on does not keep, and
// the proof of that.
type Broken struct {
	Promise string // its name
	Why     string // what is wrong, and which test shows it
}

// Queue proves a queue's promises, each on a queue of its own, but those that
// are known to be broken by what it is tested on.
func Queue(t *testing.T, clock Clock, open func(t *testing.T, o QueueOptions) QueueUnderTest, broken ...Broken) {
	promises := queuePromises()
	for _, b := range broken {
		at := slices.IndexFunc(promises, func(p queuePromise) bool { return p.name == b.Promise })
		if at < 0 {
			t.Errorf("there is no promise %q to leave out", b.Promise)
			continue
		}
		t.Logf("left out: %s: %s", b.Promise, b.Why)
		promises = slices.Delete(promises, at, at+1)
	}
	for _, p := range promises {
		t.Run(p.name, func(t *testing.T) {
			clock.Run(t, func(t *testing.T) {
				o := QueueOptions{Visibility: visibility, MaxReceives: maxReceives}
				p.holds(queue{QueueUnderTest: open(t, o), T: t, clock: clock})
			})
		})
	}
}

// promise is one thing that callers rely on.
type promise struct {
	name  string
	holds func(s store)
}
