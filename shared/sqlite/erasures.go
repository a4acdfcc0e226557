package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

const erasureColumns = `id, account, state, version, data`

// storedErasure is an erasure as its row holds it, beside what has a column.
type storedErasure struct {
	Subject     string               `json:"subject,omitempty"`
	SubjectHash string               `json:"subject_hash,omitempty"`
	Stage       webhook.ErasureStage `json:"stage,omitempty"`
	Again       bool                 `json:"again,omitempty"`
	Cursor      string               `json:"cursor,omitempty"`
	JobHashes   []string             `json:"job_hashes,omitempty"`
	Counted     bool                 `json:"counted,omitempty"`
	SettledAt   time.Time            `json:"settled_at,omitzero"`
	Counts      webhook.Erased       `json:"counts"`
	RequestedBy string               `json:"requested_by"`
	RequestedAt time.Time            `json:"requested_at"`
	UpdatedAt   time.Time            `json:"updated_at"`
	DoneAt      time.Time            `json:"done_at,omitzero"`
	Digest      string               `json:"digest,omitempty"`
}

func storeErasure(e webhook.Erasure) (string, error) {
	b, err := json.Marshal(storedErasure{
		Subject: e.Subject, SubjectHash: e.SubjectHash, Stage: e.Stage, Again: e.Again, Cursor: e.Cursor, JobHashes: e.JobHashes,
		Counted: e.Counted, SettledAt: e.SettledAt.UTC(), Counts: e.Counts, RequestedBy: e.RequestedBy, RequestedAt: e.RequestedAt.UTC(),
		UpdatedAt: e.UpdatedAt.UTC(), DoneAt: e.DoneAt.UTC(), Digest: e.Digest,
	})
	return string(b), err
}

func scanErasure(r *row) (webhook.Erasure, error) {
	e := webhook.Erasure{ID: r.text(), Account: r.text(), State: webhook.ErasureState(r.text()), Version: r.int()}
	var s storedErasure
	err := json.Unmarshal(r.blob(), &s)
	e.Subject, e.SubjectHash, e.Stage, e.Again, e.Cursor, e.JobHashes = s.Subject, s.SubjectHash, s.Stage, s.Again, s.Cursor, s.JobHashes
	e.Counted, e.SettledAt, e.Counts, e.RequestedBy, e.RequestedAt = s.Counted, s.SettledAt, s.Counts, s.RequestedBy, s.RequestedAt
	e.UpdatedAt, e.DoneAt, e.Digest = s.UpdatedAt, s.DoneAt, s.Digest
	return e, wrap(err, "erasure %s", e.ID)
}

// PutErasure stores a new erasure.
func (s *Store) PutErasure(ctx context.Context, e webhook.Erasure) error {
	data, err := storeErasure(e)
	if err == nil {
		err = s.write(ctx, func(t *tx) error {
			return prepare(t.Conn, `INSERT INTO erasures (`+erasureColumns+`) VALUES (?, ?, ?, ?, ?)`).
				text(e.ID).text(e.Account).text(string(e.State)).int(e.Version).text(data).exec()
		})
	}
	return wrap(err, "erasure %s: put", e.ID)
}

// Erasure returns an erasure, or webhook.ErrNotFound.
func (s *Store) Erasure(ctx context.Context, id string) (e webhook.Erasure, err error) {
	err = s.readOne(ctx, func(c conn) (bool, error) {
		return prepare(c, `SELECT `+erasureColumns+` FROM erasures WHERE id = ?`).text(id).one(func(r *row) (err error) {
			e, err = scanErasure(r)
			return err
		})
	})
	return e, wrap(err, "erasure %s", id)
}

const (
	erasuresQuery        = `SELECT ` + erasureColumns + ` FROM erasures WHERE id < ? ORDER BY id DESC LIMIT ?`
	runningErasuresQuery = `SELECT ` + erasureColumns + ` FROM erasures INDEXED BY erasures_running WHERE state = 'running' ORDER BY id LIMIT ?`
)

// afterErasures sorts behind all ids of erasures.
const afterErasures = "~"

// Erasures returns a page of erasures, the newest first, and the cursor of the
// next, "" at the end.
func (s *Store) Erasures(ctx context.Context, after string, limit int) (list []webhook.Erasure, next string, err error) {
	if after == "" {
		after = afterErasures
	}
	err = s.list(ctx, func(c conn) (err error) {
		list, err = scanErasures(prepare(c, erasuresQuery).text(after).int(limit + 1))
		return err
	})
	if len(list) > limit {
		list = list[:limit]
		next = list[limit-1].ID
	}
	return list, next, wrap(err, "erasures")
}

// RunningErasures returns those that are not done, the oldest first.
func (s *Store) RunningErasures(ctx context.Context, limit int) (list []webhook.Erasure, err error) {
	err = s.read(ctx, func(c conn) (err error) {
		list, err = scanErasures(prepare(c, runningErasuresQuery).int(limit))
		return err
	})
	return list, wrap(err, "running erasures")
}

func scanErasures(b *binder) (list []webhook.Erasure, err error) {
	err = b.each(func(r *row) error {
		e, err := scanErasure(r)
		list = append(list, e)
		return err
	})
	return list, err
}

// UpdateErasure replaces an erasure that was read, but for its account. It
// returns webhook.ErrStale when it has changed since, or is no more.
func (s *Store) UpdateErasure(ctx context.Context, read, next webhook.Erasure) error {
	var refused error // the caller's, not the transaction's: it would undo the whole group
	err := s.write(ctx, func(t *tx) (err error) {
		refused, err = updateErasure(t.Conn, read, next)
		return err
	})
	return wrap(errors.Join(err, refused), "erasure %s: update", read.ID)
}

// updateErasure overwrites what was there, so that a subject that is forgotten
// is not kept by the file.
func updateErasure(c conn, read, next webhook.Erasure) (refused, err error) {
	data, err := storeErasure(next)
	if err != nil {
		return nil, err
	}
	err = overwriting(c, func() error {
		return prepare(c, `UPDATE erasures SET state = ?, version = ?, data = ? WHERE id = ? AND version = ?`).
			text(string(next.State)).int(next.Version).text(data).text(read.ID).int(read.Version).exec()
	})
	if err == nil && c.Changes() == 0 {
		refused = webhook.ErrStale
	}
	return refused, err
}
