package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

// PutAccount creates an account or replaces its settings.
func (s *Store) PutAccount(ctx context.Context, a webhook.Account) error {
	err := s.write(ctx, func(t *tx) error {
		return prepare(t.Conn, `INSERT INTO accounts (id, name, created_at, updated_at) VALUES (?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET name = excluded.name, updated_at = excluded.updated_at`).
			text(a.ID).text(a.Name).time(a.CreatedAt).time(a.UpdatedAt).exec()
	})
	return wrap(err, "account %s: put", a.ID)
}

// Account returns an account, or webhook.ErrNotFound.
func (s *Store) Account(ctx context.Context, id string) (webhook.Account, error) {
	var a webhook.Account
	err := s.readOne(ctx, func(c conn) (bool, error) {
		return prepare(c, `SELECT id, name, created_at, updated_at FROM accounts WHERE id = ?`).text(id).
			one(func(r *row) error {
				a = webhook.Account{ID: r.text(), Name: r.text(), CreatedAt: r.time(), UpdatedAt: r.time()}
				return nil
			})
	})
	return a, wrap(err, "account %s", id)
}

const keyColumns = `id, account, scope, name, hash, created_at, revoked_at`

// PutKey stores an API key.
func (s *Store) PutKey(ctx context.Context, k webhook.Key) error {
	err := s.write(ctx, func(t *tx) error {
		return prepare(t.Conn, `INSERT OR REPLACE INTO keys (`+keyColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?)`).
			text(k.ID).text(k.Account).text(string(k.Scope)).text(k.Name).blob(k.Hash).
			time(k.CreatedAt).time(k.RevokedAt).exec()
	})
	return wrap(err, "key %s: put", k.ID)
}

// Key returns a key, revoked or not, or webhook.ErrNotFound.
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

// Keys returns the keys of an account, or with "" those that belong to none.
func (s *Store) Keys(ctx context.Context, account string) ([]webhook.Key, error) {
	var list []webhook.Key
	err := s.read(ctx, func(c conn) error {
		return prepare(c, `SELECT `+keyColumns+` FROM keys WHERE account = ? ORDER BY created_at, id`).text(account).
			each(func(r *row) error {
				list = append(list, scanKey(r))
				return nil
			})
	})
	return list, wrap(err, "keys of account %s", account)
}

// RevokeKey makes a key of the account invalid from the given time on. It
// returns webhook.ErrNotFound for a key that is none of the account's.
func (s *Store) RevokeKey(ctx context.Context, account, id string, at time.Time) error {
	found := false
	err := s.write(ctx, func(t *tx) error {
		err := prepare(t.Conn, `UPDATE keys SET revoked_at = ? WHERE id = ? AND account = ?`).
			time(at).text(id).text(account).exec()
		found = t.Changes() > 0
		return err
	})
	return wrap(notFound(found, err), "key %s: revoke", id)
}

func scanKey(r *row) webhook.Key {
	return webhook.Key{
		ID: r.text(), Account: r.text(), Scope: webhook.Scope(r.text()), Name: r.text(), Hash: r.blob(),
		CreatedAt: r.time(), RevokedAt: r.time(),
	}
}

// wrap says what was being done when an error occurred.
func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}
