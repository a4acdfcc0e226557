package sweep

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/jobhook/jobhook/functions/internal/deadline"
	"github.com/jobhook/jobhook/functions/internal/dispatch"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

const (
	// ledgerSlice is how much of a second a run of the standalone host, which has
	// one each second, gives to a check; a Lambda gives it what time it has.
	ledgerSlice = 100 * time.Millisecond
	// ledgerLease is how long a run that ended halfway keeps others from going on.
	ledgerLease = 2 * time.Minute
	// ledgerYoung is the age up to which jobs are looked at in every check, see
	// webhook.LedgerHours, and some more.
	ledgerYoung = 4 * time.Hour
	// ledgerTries is how often a place of the books is tried before its account is
	// passed over, as the others must not wait for it.
	ledgerTries = 5
	// noteReserve is kept of a run's time to note how far it came.
	noteReserve = 3 * time.Second
	// maxLedgerJobs and maxLedgerRows are about how many jobs and deliveries are
	// compared at a time.
	maxLedgerJobs = 250
	maxLedgerRows = 2_000
	// maxLedgerAccounts is how many accounts are read at a time.
	maxLedgerAccounts = 250
)

// Books keeps what the ledger compares, and what came of it.
type Books interface {
	// Account returns webhook.ErrNotFound for an account that nobody wrote.
	Account(ctx context.Context, id string) (webhook.Account, error)
	Endpoints(ctx context.Context, account string) ([]webhook.Endpoint, error)
	// LedgerAccounts returns accounts after the given one, in order.
	LedgerAccounts(ctx context.Context, after string, limit int) ([]string, error)
	// JobsCreated calls f for an account's jobs that were created from one time to
	// before another, whole seconds. After about limit of them it stops at the
	// next second, which it returns; at the end it returns to. It returns
	// webhook.ErrNotFound where the platform keeps the records.
	JobsCreated(ctx context.Context, account string, from, to time.Time, limit int, f func(webhook.WrittenJob)) (next time.Time, err error)
	// Booked calls f for an account's deliveries of jobs that were created so, in
	// any order, as JobsCreated does. It may pass over limit.
	Booked(ctx context.Context, account string, from, to time.Time, limit int, f func(webhook.Delivery)) (next time.Time, err error)
	// Counted returns how many deliveries of events that are not
	// EventType.Derivable were stored for jobs created in an hour. It may be too
	// few, never too many.
	Counted(ctx context.Context, account string, hour time.Time) (int, error)
	// Record replaces a delivery's row if nobody changed it since it was read: else
	// it returns webhook.ErrStale, or webhook.ErrNotFound.
	Record(ctx context.Context, read, next webhook.Delivery, attempt *webhook.Attempt) error
	// Erasures returns a page, the newest first, and the cursor of the next, "" at
	// the end.
	Erasures(ctx context.Context, after string, limit int) (list []webhook.Erasure, next string, err error)
	// PutLedger keeps the last ledger of an account, or of all.
	PutLedger(ctx context.Context, l webhook.Ledger) error
	// LedgerCheck returns the last check, a zero one before the first.
	LedgerCheck(ctx context.Context) (webhook.LedgerCheck, error)
	// SetLedgerCheck replaces the one that was read, next.Version being
	// read.Version + 1. webhook.ErrStale when it has changed since.
	SetLedgerCheck(ctx context.Context, read, next webhook.LedgerCheck) error
}

// Ends plans and dispatches ends of runs once more.
type Ends interface {
	// EndOf returns the events that an ended job must have led to, with their
	// deliveries; none where its record does not tell.
	EndOf(j job.Job, at time.Time, endpoints []webhook.Endpoint, q webhook.Quotas) []webhook.Planned
	// Again stores and rings for what is not there.
	Again(ctx context.Context, j job.Job, planned []webhook.Planned) error
}

// Ledger checks every hour whether all that was accepted is there.
type Ledger struct {
	Books     Books
	Ends      Ends
	Retention time.Duration // how long deliveries are kept; 0 is dispatch.DefaultRetention
	First     time.Duration // when the first check is made, after the process began; 0: with the hour

	lock    sync.Mutex
	started time.Time
	asleep  time.Time // there is nothing to do until then
}

// audit is one run's part of a check.
type audit struct {
	*Handler
	webhook.LedgerCheck
	run      *run
	erased   erased
	accounts []string // that come after Account
	known    string   // the account that the rest is known of
	settings webhook.Account
	targets  []webhook.Endpoint
}

// balance goes on with the check of the books, or begins it.
func (h *Handler) balance(ctx context.Context, r *run) error {
	if h.Ledger == nil || h.Ledger.sleeps(h.now()) {
		return nil
	}
	read, err := h.claimCheck(ctx)
	if err != nil || read.Version == 0 {
		return err
	}
	a := audit{Handler: h, LedgerCheck: read, run: r}
	work, cancel := deadline.Keep(ctx, noteReserve)
	defer cancel()
	failed := a.advance(work)
	a.Version++
	a.LeaseUntil = time.Time{}
	if err := h.Ledger.Books.SetLedgerCheck(ctx, read, a.LedgerCheck); err != nil {
		return errors.Join(failed, fmt.Errorf("ledger: note progress: %w", err))
	}
	return failed
}

// sleeps tells whether this process knows that there is nothing to do.
func (l *Ledger) sleeps(now time.Time) bool {
	l.lock.Lock()
	defer l.lock.Unlock()
	if l.started.IsZero() {
		l.started, l.asleep = now, now.Add(l.First)
	}
	return now.Before(l.asleep)
}

// claimCheck takes the check that is under way, or due. A zero one: there is
// none, or another run has it.
func (h *Handler) claimCheck(ctx context.Context) (none webhook.LedgerCheck, err error) {
	l, now := h.Ledger, h.now()
	read, err := l.Books.LedgerCheck(ctx)
	if err != nil {
		return none, fmt.Errorf("ledger: %w", err)
	}
	next := read
	if l.isDue(read, now) {
		next = webhook.LedgerCheck{At: now, Begun: read.Begun, Retention: l.retention(), Version: read.Version}
		if read.Version == 0 {
			next.Begun = now.Add(-ledgerYoung)
		} else if read.Retention != next.Retention {
			next.Begun = now
		}
		next.All.CheckedAt = now
	}
	if next.Done {
		l.rest(now.Truncate(time.Hour).Add(time.Hour))
		return none, nil
	}
	if read.LeaseUntil.After(now) {
		return none, nil
	}
	next.Version++
	next.LeaseUntil = now.Add(ledgerLease)
	if err := l.Books.SetLedgerCheck(ctx, read, next); err != nil {
		if errors.Is(err, webhook.ErrStale) {
			return none, nil
		}
		return none, fmt.Errorf("ledger: claim: %w", err)
	}
	return next, nil
}

func (l *Ledger) rest(until time.Time) {
	l.lock.Lock()
	defer l.lock.Unlock()
	l.asleep = until
}

// isDue tells whether a new check begins: with the hour, once the last one is
// done, and after the process began, so that what it lost before shows at once.
func (l *Ledger) isDue(last webhook.LedgerCheck, now time.Time) bool {
	l.lock.Lock()
	defer l.lock.Unlock()
	return last.Version == 0 || last.Done && last.At.Truncate(time.Hour).Before(now.Truncate(time.Hour)) ||
		l.First > 0 && last.At.Before(l.started)
}

func (l *Ledger) retention() time.Duration { return cmp.Or(l.Retention, dispatch.DefaultRetention) }

// advance goes on until there is no time left, or the check is done.
func (a *audit) advance(ctx context.Context) (err error) {
	began := time.Now()
	if a.erased, err = a.readErased(ctx); err != nil {
		return err
	}
	for step := 0; !a.Done; step++ {
		_, bounded := ctx.Deadline()
		if step > 0 && (!deadline.Allows(ctx, pageTime) || !bounded && time.Since(began) > ledgerSlice) {
			return nil
		}
		err := a.step(ctx)
		if err == nil {
			a.Tries = 0
			continue
		}
		if skipped, err := a.failed(ctx, step == 0, err); !skipped {
			return err
		}
	}
	return nil
}

// failed notes that this place of the books cannot be looked at, or not within
// the time of a whole run. When that stays so its account is passed over, which
// is no error any more: the others go on.
func (a *audit) failed(ctx context.Context, first bool, err error) (skipped bool, _ error) {
	over := deadline.Over(ctx)
	if over && (!first || errors.Is(ctx.Err(), context.Canceled)) {
		return false, nil // it goes on with the next run
	}
	err = fmt.Errorf("ledger: account %s: %w", a.Account, err)
	if a.Tries++; a.Tries >= ledgerTries && a.Account != "" {
		a.log().ErrorContext(ctx, "ledger.skipped", "account", a.Account, "error", err)
		a.skipAccount()
		return true, nil
	}
	if over {
		return false, nil
	}
	return false, err
}

// skipAccount goes to the end of an account's books. What was found of it counts
// for all; but its last ledger stays the one before, with its time.
func (a *audit) skipAccount() {
	a.abandonHour()
	a.All.Add(a.Books)
	a.Books = webhook.Ledger{Account: a.Account, CheckedAt: a.At}
	a.Tries, a.Hour = 0, len(webhook.LedgerHours(a.At))
}

// step does the next thing: a part of an hour, or the end of an account.
func (a *audit) step(ctx context.Context) error {
	hours := webhook.LedgerHours(a.At)
	if a.Account == "" || a.Hour >= len(hours) {
		return a.nextAccount(ctx)
	}
	if err := a.know(ctx); err != nil {
		return err
	}
	hour := hours[a.Hour]
	if a.isOver(hour) {
		a.abandonHour()
		return nil
	}
	if !a.covers(hour) {
		return a.revive(ctx, hour)
	}
	if a.From.IsZero() {
		// The count is read before the deliveries, which are written before it: so
		// it can be too small, but not too large.
		counted, err := a.Ledger.Books.Counted(ctx, a.Account, hour)
		if err != nil {
			return fmt.Errorf("counts: %w", err)
		}
		a.From, a.Counted, a.Found = hour, counted, 0
	}
	return a.compare(ctx, hour)
}

// keep is how long the account's deliveries are kept.
func (a *audit) keep() time.Duration {
	if days := a.settings.Quotas.RetentionDays; days > 0 {
		return time.Duration(days) * 24 * time.Hour
	}
	return a.Retention
}

// isOver tells whether no delivery of jobs created in an hour need be there.
func (a *audit) isOver(hour time.Time) bool { return a.now().Sub(hour)-time.Hour > a.keep() }

// covers tells whether all deliveries of jobs created in an hour must still be
// there. Before retention was changed they may have been kept for less, but an
// account's for a day at least.
func (a *audit) covers(hour time.Time) bool {
	if a.now().Sub(hour)+time.Hour > a.keep() || hour.Before(a.Begun) {
		return false
	}
	return a.At.Sub(hour) < ledgerYoung || !hour.Before(a.settings.UpdatedAt)
}

func (a *audit) nextHour() { a.Hour, a.From, a.Counted, a.Found = a.Hour+1, time.Time{}, 0, 0 }

// abandonHour goes on with the next hour without what dispatch counted of this
// one. What was found of it is there, and nobody could derive it.
func (a *audit) abandonHour() {
	a.Books.Uncounted += a.Found
	a.nextHour()
}

// know reads what deliveries are compared with.
func (a *audit) know(ctx context.Context) (err error) {
	if a.known == a.Account {
		return nil
	}
	if a.settings, err = a.Ledger.Books.Account(ctx, a.Account); err != nil && !errors.Is(err, webhook.ErrNotFound) {
		return err
	}
	if a.targets, err = a.Ledger.Books.Endpoints(ctx, a.Account); err != nil {
		return fmt.Errorf("endpoints: %w", err)
	}
	a.known = a.Account
	return nil
}

// nextAccount keeps the books of one account and opens those of the next. After
// the last the check is done.
func (a *audit) nextAccount(ctx context.Context) (err error) {
	if a.Account != "" && !a.Books.IsEmpty() {
		if err := a.Ledger.Books.PutLedger(ctx, a.Books); err != nil {
			return fmt.Errorf("keep the ledger: %w", err)
		}
	}
	if len(a.accounts) == 0 {
		if a.accounts, err = a.Ledger.Books.LedgerAccounts(ctx, a.Account, maxLedgerAccounts); err != nil {
			return fmt.Errorf("accounts: %w", err)
		}
	}
	if len(a.accounts) == 0 {
		return a.finish(ctx)
	}
	a.All.Add(a.Books)
	a.Account, a.accounts = a.accounts[0], a.accounts[1:]
	a.Books = webhook.Ledger{Account: a.Account, CheckedAt: a.At}
	a.Hour, a.From = 0, time.Time{}
	return nil
}

func (a *audit) finish(ctx context.Context) error {
	all := a.All
	all.States, all.Missing = maps.Clone(all.States), slices.Clone(all.Missing)
	all.Add(a.Books)
	if err := a.Ledger.Books.PutLedger(ctx, all); err != nil {
		return fmt.Errorf("keep the ledger of all: %w", err)
	}
	a.All, a.Books, a.Done = all, webhook.Ledger{}, true
	a.log().InfoContext(ctx, "ledger.checked", "accepted", all.Accepted, "difference", all.Difference, "repaired", all.Repaired,
		"stuck", all.Stuck, "uncounted", all.Uncounted)
	return nil
}
