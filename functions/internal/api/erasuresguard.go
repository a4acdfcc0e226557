package api

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// A list of the accounts that are being erased is taken for what it was for
// erasingTTL, and where the store cannot tell, for erasingMost. What is written
// meanwhile, an erasure finds the second time it looks.
const (
	erasingTTL   = 5 * time.Second
	erasingMost  = time.Minute
	erasingAgain = time.Second     // from a read that failed to the next
	erasingRead  = 5 * time.Second // for a read: several requests may wait for it
)

// erasing knows which accounts are being erased.
type erasing struct {
	store ErasureStore
	now   func() time.Time
	log   *slog.Logger
	reads singleflight.Group

	lock     sync.Mutex        // never held while the store is asked
	accounts map[string]string // the ids of their erasures
	readAt   time.Time         // zero: not yet
	dueAt    time.Time         // when to read them again
	reading  bool
	added    int // how often add was called
}

// add lets an erasure count at once.
func (e *erasing) add(started webhook.Erasure) {
	e.lock.Lock()
	defer e.lock.Unlock()
	if e.accounts == nil {
		e.accounts = map[string]string{}
	}
	e.accounts[started.Account] = started.ID
	e.added++
}

// refuse returns a Problem when the account is being erased.
func (e *erasing) refuse(ctx context.Context, account string) error {
	if err := e.refresh(ctx); err != nil {
		return err
	}
	return e.known(account)
}

// known is refuse by the list as it is.
func (e *erasing) known(account string) error {
	e.lock.Lock()
	defer e.lock.Unlock()
	if id, found := e.accounts[account]; found {
		return conflict("account-erasing", "The account is being erased, by "+id+"; write again when that is done.")
	}
	return nil
}

// refresh sees to it that the list is not too old. One request reads it again;
// all others go by the old one, or wait for the same read if that serves no more.
func (e *erasing) refresh(ctx context.Context) error {
	now := e.now()
	if !e.isDue(now) {
		return nil
	}
	_, err, _ := e.reads.Do("", func() (any, error) { return nil, e.read(ctx, now) })
	if err == nil || !e.serves(now) {
		return err
	}
	e.log.WarnContext(ctx, "erasures.not_read", "error", err)
	return nil
}

// isDue tells whether the caller is to read the list.
func (e *erasing) isDue(now time.Time) bool {
	e.lock.Lock()
	defer e.lock.Unlock()
	if now.Before(e.readAt.Add(erasingMost)) && (e.reading || now.Before(e.dueAt)) {
		return false
	}
	e.reading = true
	return true
}

// serves tells whether the list can still be gone by.
func (e *erasing) serves(now time.Time) bool {
	e.lock.Lock()
	defer e.lock.Unlock()
	return now.Before(e.readAt.Add(erasingMost))
}

// read reads the list, whether or not the request that happens to do it is
// given up.
func (e *erasing) read(ctx context.Context, now time.Time) error {
	e.lock.Lock()
	added := e.added
	e.lock.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), erasingRead)
	defer cancel()
	running, err := e.store.RunningErasures(ctx, erasuresRead)
	e.lock.Lock()
	defer e.lock.Unlock()
	if e.reading = false; err != nil {
		e.dueAt = now.Add(erasingAgain)
		return err
	}
	accounts := map[string]string{}
	if e.added != added { // what was read may lack it
		maps.Copy(accounts, e.accounts)
	}
	for _, r := range running {
		if r.OfAccount() {
			accounts[r.Account] = r.ID
		}
	}
	e.accounts, e.readAt, e.dueAt = accounts, now, now.Add(erasingTTL)
	return nil
}

// declining is a store that takes no writes of accounts that are being erased.
type declining struct {
	Store
	erasing *erasing
}

// PutAccount may be refused.
func (d declining) PutAccount(ctx context.Context, a webhook.Account) error {
	if err := d.erasing.refuse(ctx, a.ID); err != nil {
		return err
	}
	return d.Store.PutAccount(ctx, a)
}

// PutKey may be refused.
func (d declining) PutKey(ctx context.Context, k webhook.Key) error {
	if err := d.erasing.refuse(ctx, k.Account); err != nil {
		return err
	}
	return d.Store.PutKey(ctx, k)
}

// PutPortalLink may be refused.
func (d declining) PutPortalLink(ctx context.Context, l webhook.PortalLink) error {
	if err := d.erasing.refuse(ctx, l.Account); err != nil {
		return err
	}
	return d.Store.PutPortalLink(ctx, l)
}

// PutEndpoint may be refused.
func (d declining) PutEndpoint(ctx context.Context, e webhook.Endpoint) error {
	if err := d.erasing.refuse(ctx, e.Account); err != nil {
		return err
	}
	return d.Store.PutEndpoint(ctx, e)
}

// UpdateEndpoint may be refused.
func (d declining) UpdateEndpoint(ctx context.Context, account, id string, f func(webhook.Endpoint) (webhook.Endpoint, error)) (webhook.Endpoint, error) {
	if err := d.erasing.refuse(ctx, account); err != nil {
		return webhook.Endpoint{}, err
	}
	return d.Store.UpdateEndpoint(ctx, account, id, f)
}

// SetHealth may be refused.
func (d declining) SetHealth(ctx context.Context, account string, read, next webhook.Health, told ...webhook.Notice) error {
	if err := d.erasing.refuse(ctx, account); err != nil {
		return err
	}
	return d.Store.SetHealth(ctx, account, read, next, told...)
}

// PutResend may be refused.
func (d declining) PutResend(ctx context.Context, r webhook.Resend) error {
	if err := d.erasing.refuse(ctx, r.Account); err != nil {
		return err
	}
	return d.Store.PutResend(ctx, r)
}

// Record may be refused.
func (d declining) Record(ctx context.Context, read, next webhook.Delivery, attempt *webhook.Attempt) error {
	if err := d.erasing.refuse(ctx, read.Account); err != nil {
		return err
	}
	return d.Store.Record(ctx, read, next, attempt)
}

// WriteJob may be refused: whose job it is, its record says. The list is read
// before, as f may run within a transaction that all other writes wait for.
func (d declining) WriteJob(ctx context.Context, id string, kind job.Kind, f func(old *job.Job) (job.Job, error)) (job.Job, bool, error) {
	if err := d.erasing.refresh(ctx); err != nil {
		return job.Job{}, false, err
	}
	return d.Store.WriteJob(ctx, id, kind, func(old *job.Job) (job.Job, error) {
		next, err := f(old)
		if err == nil {
			err = d.erasing.known(next.Account)
		}
		return next, err
	})
}
