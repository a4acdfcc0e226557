package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

const resendColumns = `id, account, filter, state, cursor, rate, looked, resent, skipped, version, created_at, updated_at, ended_at`

// storedFilter is the filter of a bulk resend as its row holds it.
type storedFilter struct {
	State       webhook.State       `json:"state,omitempty"`
	Endpoint    string              `json:"endpoint,omitempty"`
	JobID       string              `json:"job_id,omitempty"`
	EventID     string              `json:"event_id,omitempty"`
	Type        webhook.EventType   `json:"type,omitempty"`
	Since       time.Time           `json:"since,omitzero"`
	Until       time.Time           `json:"until,omitzero"`
	StatusClass webhook.StatusClass `json:"status_class,omitempty"`
}

func storeFilter(f webhook.Filter) (string, error) {
	b, err := json.Marshal(storedFilter{
		State: f.State, Endpoint: f.Endpoint, JobID: f.JobID, EventID: f.EventID, Type: f.Type,
		Since: f.Since.UTC(), Until: f.Until.UTC(), StatusClass: f.StatusClass,
	})
	return string(b), err
}

func (f storedFilter) filter() webhook.Filter {
	return webhook.Filter{
		State: f.State, Endpoint: f.Endpoint, JobID: f.JobID, EventID: f.EventID, Type: f.Type,
		Since: f.Since, Until: f.Until, StatusClass: f.StatusClass,
	}
}

// PutResend stores a new bulk resend.
func (s *Store) PutResend(ctx context.Context, r webhook.Resend) error {
	filter, err := storeFilter(r.Filter)
	if err == nil {
		err = s.write(ctx, func(t *tx) error {
			return prepare(t.Conn, `INSERT INTO resends (`+resendColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`).
				text(r.ID).text(r.Account).text(filter).text(string(r.State)).text(r.Cursor).int(r.Rate).int(r.Looked).int(r.Resent).
				int(r.Skipped).int(r.Version).time(r.CreatedAt).time(r.UpdatedAt).time(r.EndedAt).exec()
		})
	}
	return wrap(err, "resend %s: put", r.ID)
}

func scanResend(r *row) (webhook.Resend, error) {
	var filter storedFilter
	bulk := webhook.Resend{ID: r.text(), Account: r.text()}
	err := json.Unmarshal(r.blob(), &filter)
	bulk.Filter, bulk.State, bulk.Cursor, bulk.Rate = filter.filter(), webhook.ResendState(r.text()), r.text(), r.int()
	bulk.Looked, bulk.Resent, bulk.Skipped, bulk.Version = r.int(), r.int(), r.int(), r.int()
	bulk.CreatedAt, bulk.UpdatedAt, bulk.EndedAt = r.time(), r.time(), r.time()
	return bulk, wrap(err, "resend %s", bulk.ID)
}

// Resend returns a bulk resend of the account, or webhook.ErrNotFound.
func (s *Store) Resend(ctx context.Context, account, id string) (bulk webhook.Resend, err error) {
	err = s.readOne(ctx, func(c conn) (bool, error) {
		return prepare(c, `SELECT `+resendColumns+` FROM resends WHERE account = ? AND id = ?`).text(account).text(id).
			one(func(r *row) (err error) {
				bulk, err = scanResend(r)
				return err
			})
	})
	return bulk, wrap(err, "resend %s", id)
}

const (
	resendsQuery = `SELECT ` + resendColumns + ` FROM resends WHERE account = ? ORDER BY id DESC LIMIT ?`
	runningQuery = `SELECT ` + resendColumns + ` FROM resends INDEXED BY resends_running WHERE state = 'running' ORDER BY id LIMIT ?`
)

// Resends returns the bulk resends of an account, the newest first, at most
// webhook.MaxPage.
func (s *Store) Resends(ctx context.Context, account string) ([]webhook.Resend, error) {
	var list []webhook.Resend
	err := s.list(ctx, func(c conn) (err error) {
		list, err = scanResends(prepare(c, resendsQuery).text(account).int(webhook.MaxPage))
		return err
	})
	return list, wrap(err, "resends of account %s", account)
}

// RunningResends returns the bulk resends of all accounts that are running, the
// oldest first.
func (s *Store) RunningResends(ctx context.Context, limit int) ([]webhook.Resend, error) {
	var list []webhook.Resend
	err := s.read(ctx, func(c conn) (err error) {
		list, err = scanResends(prepare(c, runningQuery).int(limit))
		return err
	})
	return list, wrap(err, "running resends")
}

func scanResends(b *binder) (list []webhook.Resend, err error) {
	err = b.each(func(r *row) error {
		bulk, err := scanResend(r)
		list = append(list, bulk)
		return err
	})
	return list, err
}

// UpdateResend replaces a bulk resend that was read, but for its account,
// filter and creation. It returns webhook.ErrStale when it has changed since,
// or is no more.
func (s *Store) UpdateResend(ctx context.Context, read, next webhook.Resend) error {
	err := s.changeOne(ctx, func(c conn) *binder {
		return prepare(c, `UPDATE resends SET state = ?, cursor = ?, rate = ?, looked = ?, resent = ?, skipped = ?, version = ?, updated_at = ?, ended_at = ?
			WHERE account = ? AND id = ? AND version = ?`).
			text(string(next.State)).text(next.Cursor).int(next.Rate).int(next.Looked).int(next.Resent).int(next.Skipped).int(next.Version).
			time(next.UpdatedAt).time(next.EndedAt).text(read.Account).text(read.ID).int(read.Version)
	})
	if errors.Is(err, webhook.ErrNotFound) {
		err = webhook.ErrStale
	}
	return wrap(err, "resend %s: update", read.ID)
}
