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
	ResultSets
	Resends
	Requests
	Ledgers
	Erasures
}

// Accounts keeps accounts and API keys.
type Accounts interface {
	PutAccount(ctx context.Context, a webhook.Account) error
	Account(ctx context.Context, id string) (webhook.Account, error)
	// Accounts returns those that were put, after the given id, in the order of
	// their ids. It looks at a bounded number of rows: there may be fewer than
	// limit, even none, and still a next to go on after, which is "" only at the end.
	Accounts(ctx context.Context, after string, limit int) (list []webhook.Account, next string, err error)
	// Quotas is served from memory, at most a minute old; zero for an unknown account.
	Quotas(ctx context.Context, account string) (webhook.Quotas, error)
	// PutKey keeps a key. That of a session is forgotten a day after its end.
	PutKey(ctx context.Context, k webhook.Key) error
	Key(ctx context.Context, id string) (webhook.Key, error)
	// Keys returns those of an account, or with "" of none, without those of
	// sessions, however many there are.
	Keys(ctx context.Context, account string) ([]webhook.Key, error)
	// RevokeKey ends a key of the account, or lets it end earlier: a time later
	// than the present one changes nothing. ErrNotFound.
	RevokeKey(ctx context.Context, account, id string, at time.Time) error
}

// Endpoints keeps endpoints, how they have been answering, and silences.
type Endpoints interface {
	PutEndpoint(ctx context.Context, e webhook.Endpoint) error
	UpdateEndpoint(ctx context.Context, account, id string, f func(webhook.Endpoint) (webhook.Endpoint, error)) (webhook.Endpoint, error)
	DeleteEndpoint(ctx context.Context, account, id string) error
	Endpoint(ctx context.Context, account, id string) (webhook.Endpoint, error)
	Endpoints(ctx context.Context, account string) ([]webhook.Endpoint, error)
	// Disable keeps the notices with it, if it disables; one that is not
	// enabled stays as it is.
	Disable(ctx context.Context, account, endpoint, url, reason string, told ...webhook.Notice) error
	// SetHealth replaces what is known of an endpoint, next.Version being
	// read.Version + 1, and keeps the notices in the same write. ErrStale when it
	// has changed since; ErrNotFound when there is no such endpoint.
	SetHealth(ctx context.Context, account string, read, next webhook.Health, told ...webhook.Notice) error
	// Health is empty for endpoints nothing is known of. A changed URL, and an
	// endpoint that is enabled again, forget what was known.
	Health(ctx context.Context, account string) ([]webhook.Health, error)
	// HealthOf is one endpoint's, read now, from no memory; ErrNotFound when
	// there is no such endpoint, a zero Health with its Endpoint when nothing is known.
	HealthOf(ctx context.Context, account, endpoint string) (webhook.Health, error)
	// SetHost replaces what is known of a host, next.Version being read.Version + 1.
	// ErrStale when it has changed since. It is forgotten an hour after OpenUntil.
	SetHost(ctx context.Context, read, next webhook.HostHealth) error
	// Hosts returns what is known of hosts that are not forgotten, at most limit.
	Hosts(ctx context.Context, limit int) ([]webhook.HostHealth, error)
	// Lease grants up to n attempts of an endpoint that may have rate a second,
	// and returns how many. Over any time t it grants at most rate x (t + 2 x
	// LeaseWindow).
	Lease(ctx context.Context, account, endpoint string, rate, n int) (granted int, err error)
	// Notices returns those that were not told yet, the oldest first.
	Notices(ctx context.Context, limit int) ([]webhook.Notice, error)
	// RemoveNotice removes one that was told. That it is gone already is no error.
	RemoveNotice(ctx context.Context, id string) error
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
	// Deliveries and Events look at a bounded number of rows: a page may have
	// fewer than were asked for, even none, and still a next cursor, which is ""
	// only at the end.
	Deliveries(ctx context.Context, f webhook.Filter) (list []webhook.Delivery, next string, err error)
	Events(ctx context.Context, f webhook.EventFilter) (list []webhook.Event, next string, err error)
	Delivery(ctx context.Context, ref webhook.Ref) (webhook.Delivery, error)
	Attempts(ctx context.Context, ref webhook.Ref) ([]webhook.Attempt, error)
	Event(ctx context.Context, account, id string) (webhook.Event, error)
}

// Sweeps does what is due.
type Sweeps interface {
	Due(ctx context.Context, before time.Time, limit int) ([]webhook.Delivery, error)
	Defer(ctx context.Context, read []webhook.Delivery, dueAt time.Time) error
	// Holders returns the endpoints with held deliveries that no due time brings back.
	Holders(ctx context.Context) ([]webhook.Holder, error)
	// FirstHolders returns at most limit of them, any, and looks at no more.
	FirstHolders(ctx context.Context, limit int) ([]webhook.Holder, error)
	// Held returns such deliveries of an endpoint, the oldest first.
	Held(ctx context.Context, account, endpoint string, limit int) ([]webhook.Delivery, error)
	// Release queues those that are still held as they were read, and returns
	// their doorbells. Until they are attended to they are due at dueAt.
	Release(ctx context.Context, held []webhook.Delivery, now, dueAt time.Time) ([]webhook.Doorbell, error)
	Shelve(ctx context.Context, before time.Time, limit int) (int, error)
	Expire(ctx context.Context, now time.Time, limit int) (int, error)
}

// ResultSets keeps what is known of exported files, at most one set per run.
type ResultSets interface {
	// BeginResultSet keeps the set unless its run has one, and returns what is kept.
	BeginResultSet(ctx context.Context, s webhook.ResultSet) (webhook.ResultSet, error)
	// FinishResultSet replaces what an export found out: State, Reason, Pages,
	// Records, Bytes, CSVHash, UpdatedAt, ExpiresAt. ErrNotFound. A set that is
	// ready stays so: another state is ErrStale, and changes nothing.
	FinishResultSet(ctx context.Context, s webhook.ResultSet) error
	// ResultSet finds a set by its whole token, revoked and expired ones too. ErrNotFound.
	ResultSet(ctx context.Context, token string) (webhook.ResultSet, error)
	// ResultSets returns those of a job, the newest run first, at most MaxPage.
	ResultSets(ctx context.Context, account string, kind job.Kind, id string) ([]webhook.ResultSet, error)
	// RevokeResultSet ends the links of a run's set. ErrNotFound.
	RevokeResultSet(ctx context.Context, account string, kind job.Kind, id string, run int, at time.Time) error
	// AddDownload counts a download and keeps it. ErrNotFound.
	AddDownload(ctx context.Context, token string, d webhook.Download) error
	// Downloads returns the newest downloads of a set.
	Downloads(ctx context.Context, token string, limit int) ([]webhook.Download, error)
}

// Resends keeps bulk resends.
type Resends interface {
	PutResend(ctx context.Context, r webhook.Resend) error
	// Resend finds one of the account's. ErrNotFound.
	Resend(ctx context.Context, account, id string) (webhook.Resend, error)
	// Resends returns those of an account, the newest first, at most MaxPage.
	Resends(ctx context.Context, account string) ([]webhook.Resend, error)
	// RunningResends returns those of all accounts that are running, the oldest first.
	RunningResends(ctx context.Context, limit int) ([]webhook.Resend, error)
	// UpdateResend replaces one that was read; next.Version is read.Version + 1.
	// ErrStale when it has changed since.
	UpdateResend(ctx context.Context, read, next webhook.Resend) error
}

// Erasures keeps erasures, and erases what the store keeps.
type Erasures interface {
	PutErasure(ctx context.Context, e webhook.Erasure) error
	// Erasure finds one. ErrNotFound.
	Erasure(ctx context.Context, id string) (webhook.Erasure, error)
	// Erasures returns a page, the newest first, and the cursor of the next, ""
	// at the end. They stay for ever.
	Erasures(ctx context.Context, after string, limit int) (list []webhook.Erasure, next string, err error)
	// RunningErasures returns those that are not done, the oldest first.
	RunningErasures(ctx context.Context, limit int) ([]webhook.Erasure, error)
	// UpdateErasure replaces one that was read; next.Version is read.Version + 1.
	// ErrStale when it has changed since.
	UpdateErasure(ctx context.Context, read, next webhook.Erasure) error
	// EraseStep erases a bounded part of what read.Stage names, and returns the
	// erasure as it is kept after it, and whether the stage may have more.
	// ErrStale when it has changed since it was read.
	EraseStep(ctx context.Context, read webhook.Erasure, now time.Time) (next webhook.Erasure, more bool, err error)
	// PurgeErased removes what is left of rows that are gone.
	PurgeErased(ctx context.Context) error
}

// Requests keeps what must happen once.
type Requests interface {
	// BeginOnce keeps o, whose Status is 0, unless one of its ID is there that
	// has not expired (by o.StartedAt). It returns what is kept, and whether
	// that is o.
	BeginOnce(ctx context.Context, o webhook.Once) (kept webhook.Once, begun bool, err error)
	// EndOnce keeps the answer of what was begun.
	EndOnce(ctx context.Context, o webhook.Once) error
	// ForgetOnce makes room for another try of what was begun at o.StartedAt and
	// has no answer. That there is none is no error.
	ForgetOnce(ctx context.Context, o webhook.Once) error
	PutPortalLink(ctx context.Context, l webhook.PortalLink) error
	// UsePortalLink spends a link and returns it. ErrNotFound when there is
	// none of that id and hash, or it has expired or was used.
	UsePortalLink(ctx context.Context, id string, hash []byte, now time.Time) (webhook.PortalLink, error)
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
	// Depth counts messages, as they are now or were a moment ago.
	Depth(ctx context.Context) (webhook.QueueDepth, error)
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
		accountPromises(), endpointPromises(), healthPromises(), hostPromises(), leasePromises(), jobPromises(), putPromises(),
		recordPromises(), listPromises(), filterPromises(), eventPromises(), sweepPromises(), heldPromises(), resultSetPromises(),
		resendPromises(), requestPromises(), ledgerPromises(), erasurePromises(),
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
