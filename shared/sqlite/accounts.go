package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

// PutAccount creates an account or replaces its settings.
func (s *Store) PutAccount(ctx context.Context, a webhook.Account) error {
	quotas, err := json.Marshal(storedQuotas(a.Quotas))
	if err == nil {
		err = s.write(ctx, func(t *tx) error {
			t.afterCommit(func() { s.quotas.forget(a.ID) })
			return prepare(t.Conn, `INSERT INTO accounts (id, name, quotas, created_at, updated_at) VALUES (?, ?, ?, ?, ?)
				ON CONFLICT (id) DO UPDATE SET name = excluded.name, quotas = excluded.quotas, updated_at = excluded.updated_at`).
				text(a.ID).text(a.Name).text(string(quotas)).time(a.CreatedAt).time(a.UpdatedAt).exec()
		})
	}
	return wrap(err, "account %s: put", a.ID)
}

// Account returns an account, or webhook.ErrNotFound.
func (s *Store) Account(ctx context.Context, id string) (webhook.Account, error) {
	var a webhook.Account
	err := s.readOne(ctx, func(c conn) (bool, error) {
		return prepare(c, `SELECT `+accountColumns+` FROM accounts WHERE id = ?`).text(id).
			one(func(r *row) (err error) {
				a, err = scanAccount(r)
				return err
			})
	})
	return a, wrap(err, "account %s", id)
}

const accountsQuery = `SELECT ` + accountColumns + ` FROM accounts WHERE id > ? ORDER BY id LIMIT ?`

// Accounts returns the accounts after the given one, in the order of their ids,
// and the one to go on after, "" at the end.
func (s *Store) Accounts(ctx context.Context, after string, limit int) (list []webhook.Account, next string, err error) {
	err = s.list(ctx, func(c conn) error {
		return prepare(c, accountsQuery).text(after).int(limit + 1).each(func(r *row) error {
			a, err := scanAccount(r)
			list = append(list, a)
			return err
		})
	})
	if len(list) > limit {
		list, next = list[:limit], list[limit-1].ID
	}
	return list, next, wrap(err, "accounts")
}

const accountColumns = `id, name, quotas, created_at, updated_at`

func scanAccount(r *row) (webhook.Account, error) {
	var quotas storedQuotas
	a := webhook.Account{ID: r.text(), Name: r.text()}
	err := json.Unmarshal(r.blob(), &quotas)
	a.Quotas, a.CreatedAt, a.UpdatedAt = webhook.Quotas(quotas), r.time(), r.time()
	return a, err
}

// storedQuotas are quotas as an account's row holds them.
type storedQuotas struct {
	Endpoints       int  `json:"endpoints,omitempty"`
	RequestRate     int  `json:"request_rate,omitempty"`
	EventsPerMinute int  `json:"events_per_minute,omitempty"`
	RetentionDays   int  `json:"retention_days,omitempty"`
	Retries         *int `json:"retries,omitempty"`
}

// Quotas returns the quotas of an account, zero for one that does not exist.
// They are kept in memory, and never stale.
func (s *Store) Quotas(ctx context.Context, account string) (webhook.Quotas, error) {
	kept, writes, ok := s.quotas.get(account)
	if ok {
		return kept, nil
	}
	a, err := s.Account(ctx, account)
	if err != nil && !errors.Is(err, webhook.ErrNotFound) {
		return webhook.Quotas{}, err
	}
	s.quotas.put(account, a.Quotas, writes)
	return a.Quotas, nil
}

const keyColumns = `id, account, scope, name, hash, created_at, revoked_at, session, opener`

// PutKey stores an API key.
func (s *Store) PutKey(ctx context.Context, k webhook.Key) error {
	err := s.write(ctx, func(t *tx) error {
		return prepare(t.Conn, `INSERT OR REPLACE INTO keys (`+keyColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`).
			text(k.ID).text(k.Account).text(string(k.Scope)).text(k.Name).blob(k.Hash).
			time(k.CreatedAt).time(k.RevokedAt).bool(k.Session).text(k.Opener).exec()
	})
	return wrap(err, "key %s: put", k.ID)
}

// Key returns a key, valid or not, or webhook.ErrNotFound.
func (s *Store) Key(ctx context.Context, id string) (webhook.Key, error) {
	var k webhook.Key
	err := s.readOne(ctx, func(c conn) (bool, error) {
		return prepare(c, `SELECT `+keyColumns+` FROM keys WHERE id = ?`).text(id).
			one(func(r *row) error {
				k = scanKey(r)
				return nil
			})
	})
	return k, wrap(err, "key %s", id)
}

const keysQuery = `SELECT ` + keyColumns + ` FROM keys INDEXED BY keys_account WHERE account = ? AND session = 0 ORDER BY created_at, id`

// Keys returns the keys of an account, or with "" those that belong to none,
// but none of sessions.
func (s *Store) Keys(ctx context.Context, account string) ([]webhook.Key, error) {
	var list []webhook.Key
	err := s.read(ctx, func(c conn) error {
		return prepare(c, keysQuery).text(account).
			each(func(r *row) error {
				list = append(list, scanKey(r))
				return nil
			})
	})
	return list, wrap(err, "keys of account %s", account)
}

// RevokeKey makes a key of the account invalid from the given time on, unless
// it already is from an earlier one. It returns webhook.ErrNotFound for a key
// that is none of the account's.
func (s *Store) RevokeKey(ctx context.Context, account, id string, at time.Time) error {
	found := false
	err := s.write(ctx, func(t *tx) error {
		err := prepare(t.Conn, `UPDATE keys SET revoked_at = CASE WHEN revoked_at = 0 THEN ?1 ELSE min(revoked_at, ?1) END WHERE id = ?2 AND account = ?3`).
			time(at).text(id).text(account).exec()
		found = t.Changes() > 0
		return err
	})
	return wrap(notFound(found, err), "key %s: revoke", id)
}

func scanKey(r *row) webhook.Key {
	return webhook.Key{
		ID: r.text(), Account: r.text(), Scope: webhook.Scope(r.text()), Name: r.text(), Hash: r.blob(),
		CreatedAt: r.time(), RevokedAt: r.time(), Session: r.bool(), Opener: r.text(),
	}
}

// wrap says what was being done when an error occurred.
func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}
