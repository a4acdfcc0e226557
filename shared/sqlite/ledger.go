package sqlite

import (
	"context"
	"errors"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

// keepCounts is how long counts are kept: longer than a check looks back.
const keepCounts = 15 * 24 * time.Hour

const ledgerAccountQuery = `SELECT min(a) FROM (
	SELECT min(account) AS a FROM jobs INDEXED BY jobs_created WHERE account > CAST(?1 AS TEXT)
	UNION ALL SELECT min(account) FROM deliveries INDEXED BY deliveries_id WHERE account > CAST(?1 AS TEXT)
	UNION ALL SELECT min(account) FROM ledger_counts WHERE account > CAST(?1 AS TEXT))`

// LedgerAccounts returns the accounts after the given one, in order, that have
// jobs, deliveries or counts, whether anybody wrote them or not.
func (s *Store) LedgerAccounts(ctx context.Context, after string, limit int) (list []string, err error) {
	err = s.list(ctx, func(c conn) error {
		for len(list) < limit {
			found := false
			_, err := prepare(c, ledgerAccountQuery).text(after).one(func(r *row) error {
				after = r.text() // no account is ""
				found = after != ""
				return nil
			})
			if err != nil || !found {
				return err
			}
			list = append(list, after)
		}
		return nil
	})
	return list, wrap(err, "accounts of the ledger")
}

const jobsCreatedQuery = `SELECT created_at, updated_at, record FROM jobs INDEXED BY jobs_created
	WHERE account = CAST(?1 AS TEXT) AND created_at >= CAST(?2 AS INTEGER) AND created_at < CAST(?3 AS INTEGER) ORDER BY created_at`

// JobsCreated calls f for an account's jobs that were created from one time to
// before another, whole seconds. After about limit of them, or of 4 MB, it stops
// at the next second, which it returns; at the end it returns to. F must not use
// the store.
func (s *Store) JobsCreated(ctx context.Context, account string, from, to time.Time, limit int, f func(webhook.WrittenJob)) (next time.Time, err error) {
	next = to
	page := seconds{limit: limit}
	err = s.list(ctx, func(c conn) error {
		return prepare(c, jobsCreatedQuery).text(account).time(from).time(to).each(func(r *row) error {
			if at := r.time(); page.ends(at) {
				next = page.second
				return errEnough
			}
			changed := r.time()
			record := r.blob()
			page.n, page.bytes = page.n+1, page.bytes+len(record)
			j, err := decodeStored(record)
			if err != nil { // the others do not wait for it
				s.log.WarnContext(ctx, "job.unreadable", "error", err)
				return nil
			}
			f(webhook.WrittenJob{Job: j, ChangedAt: changed})
			return nil
		})
	})
	return next, wrap(err, "jobs of account %s", account)
}

// seconds ends a page between two seconds of creation.
type seconds struct {
	limit, n, bytes int
	second          time.Time // of the row before; after the end, that of the next
}

// ends tells whether the page is full before a row of the given creation.
func (p *seconds) ends(created time.Time) bool {
	second := created.Truncate(time.Second)
	full := (p.n >= p.limit || p.bytes > maxPageBytes) && second.After(p.second)
	p.second = second
	return full
}

const bookedQuery = `SELECT ` + deliveryColumns + ` ` + deliveriesByID + ` ORDER BY d.id`

// Booked calls f for an account's deliveries of jobs created so, as JobsCreated
// does. F must not use the store.
func (s *Store) Booked(ctx context.Context, account string, from, to time.Time, limit int, f func(webhook.Delivery)) (next time.Time, err error) {
	next = to
	page := seconds{limit: limit}
	err = s.list(ctx, func(c conn) error {
		return prepare(c, bookedQuery).text(account).text(webhook.DeliveryPrefix(from)).text(webhook.DeliveryPrefix(to)).each(func(r *row) error {
			d := scanDelivery(r)
			if at, ok := webhook.CreatedOf(d.ID); ok && page.ends(at) {
				next = page.second
				return errEnough
			}
			page.n++
			f(d)
			return nil
		})
	})
	return next, wrap(err, "deliveries of account %s", account)
}

// count counts new deliveries of an event that no job record tells of, in the
// transaction that stores them.
func count(c conn, e webhook.Event, deliveries int) error {
	created, ok := webhook.CreatedOf(e.ID)
	if deliveries == 0 || !ok || e.Type.Derivable(e.Run) {
		return nil
	}
	return prepare(c, `INSERT INTO ledger_counts (account, hour, deliveries) VALUES (?, ?, ?)
		ON CONFLICT (account, hour) DO UPDATE SET deliveries = deliveries + excluded.deliveries`).
		text(e.Account).time(created.Truncate(time.Hour)).int(deliveries).exec()
}

// Counted returns how many deliveries were counted of jobs created in an hour.
func (s *Store) Counted(ctx context.Context, account string, hour time.Time) (n int, err error) {
	err = s.read(ctx, func(c conn) error {
		_, err := prepare(c, `SELECT deliveries FROM ledger_counts WHERE account = ? AND hour = ?`).text(account).time(hour).
			one(func(r *row) error {
				n = r.int()
				return nil
			})
		return err
	})
	return n, wrap(err, "counts of account %s", account)
}

// PutLedger keeps the last ledger of an account, or of all, and forgets the
// account's counts that no check looks at any more.
func (s *Store) PutLedger(ctx context.Context, l webhook.Ledger) error {
	data, err := storeLedger(l)
	if err == nil {
		err = s.write(ctx, func(t *tx) error {
			err := prepare(t.Conn, `INSERT OR REPLACE INTO ledgers (account, checked_at, data) VALUES (?, ?, ?)`).
				text(l.Account).time(l.CheckedAt).text(data).exec()
			if err != nil {
				return err
			}
			return prepare(t.Conn, `DELETE FROM ledger_counts WHERE account = ? AND hour < ?`).
				text(l.Account).time(l.CheckedAt.Add(-keepCounts)).exec()
		})
	}
	return wrap(err, "ledger of account %q: put", l.Account)
}

// Ledger returns the last ledger of an account, or with "" that of all. It
// returns webhook.ErrNotFound when there is none.
func (s *Store) Ledger(ctx context.Context, account string) (l webhook.Ledger, err error) {
	err = s.readOne(ctx, func(c conn) (bool, error) {
		return prepare(c, `SELECT account, checked_at, data FROM ledgers WHERE account = ?`).text(account).one(func(r *row) (err error) {
			l, err = scanLedger(r)
			return err
		})
	})
	return l, wrap(err, "ledger of account %q", account)
}

// Ledgers returns the last ledgers of accounts after the given one, in the order
// of the accounts.
func (s *Store) Ledgers(ctx context.Context, after string, limit int) (list []webhook.Ledger, err error) {
	err = s.list(ctx, func(c conn) error {
		return prepare(c, `SELECT account, checked_at, data FROM ledgers WHERE account > ? ORDER BY account LIMIT ?`).text(after).int(limit).
			each(func(r *row) error {
				l, err := scanLedger(r)
				list = append(list, l)
				return err
			})
	})
	return list, wrap(err, "ledgers")
}

// LedgerCheck returns the last check, a zero one before the first.
func (s *Store) LedgerCheck(ctx context.Context) (check webhook.LedgerCheck, err error) {
	err = s.read(ctx, func(c conn) error {
		_, err := prepare(c, `SELECT version, data FROM ledger_check`).one(func(r *row) (err error) {
			check, err = scanCheck(r)
			return err
		})
		return err
	})
	return check, wrap(err, "check of the ledger")
}

// SetLedgerCheck replaces the check that was read. It returns webhook.ErrStale
// when it has changed since.
func (s *Store) SetLedgerCheck(ctx context.Context, read, next webhook.LedgerCheck) error {
	data, err := storeCheck(next)
	if err == nil {
		err = s.changeOne(ctx, func(c conn) *binder {
			if read.Version == 0 {
				return prepare(c, `INSERT OR IGNORE INTO ledger_check (one, version, data) VALUES (1, ?, ?)`).int(next.Version).text(data)
			}
			return prepare(c, `UPDATE ledger_check SET version = ?, data = ? WHERE version = ?`).int(next.Version).text(data).int(read.Version)
		})
	}
	if errors.Is(err, webhook.ErrNotFound) {
		err = webhook.ErrStale
	}
	return wrap(err, "check of the ledger: set")
}
