package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

const onceColumns = `id, fingerprint, status, header, body, account, started_at, expires_at`

// BeginOnce keeps o unless a request of its id is there that has not expired
// when o starts. It returns what is kept, and whether that is o.
func (s *Store) BeginOnce(ctx context.Context, o webhook.Once) (kept webhook.Once, begun bool, err error) {
	header, sealed, err := s.sealAnswer(o)
	if err != nil {
		return kept, false, wrap(err, "request %s: begin", o.ID)
	}
	err = s.write(ctx, func(t *tx) error {
		found, err := prepare(t.Conn, `SELECT `+onceColumns+` FROM once WHERE id = ? AND expires_at > ?`).text(o.ID).time(o.StartedAt).
			one(func(r *row) (err error) {
				kept, err = s.scanOnce(r)
				return err
			})
		if begun = !found; err != nil || found {
			return err
		}
		kept = o
		return prepare(t.Conn, `INSERT OR REPLACE INTO once (`+onceColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`).
			text(o.ID).text(o.Fingerprint).int(o.Status).text(header).blob(sealed).text(o.Account).time(o.StartedAt).time(o.ExpiresAt).exec()
	})
	return kept, begun, wrap(err, "request %s: begin", o.ID)
}

// EndOnce keeps the answer of what was begun. An answer that comes when the
// request has been forgotten, or begun anew, is dropped.
func (s *Store) EndOnce(ctx context.Context, o webhook.Once) error {
	header, sealed, err := s.sealAnswer(o)
	if err == nil {
		err = s.write(ctx, func(t *tx) error {
			return prepare(t.Conn, `UPDATE once SET status = ?, header = ?, body = ?, account = ?, expires_at = ? WHERE id = ? AND started_at = ?`).
				int(o.Status).text(header).blob(sealed).text(o.Account).time(o.ExpiresAt).text(o.ID).time(o.StartedAt).exec()
		})
	}
	return wrap(err, "request %s: end", o.ID)
}

// ForgetOnce makes room for another try of a request that was begun at
// o.StartedAt and has no answer. That there is none is no error.
func (s *Store) ForgetOnce(ctx context.Context, o webhook.Once) error {
	err := s.write(ctx, func(t *tx) error {
		return prepare(t.Conn, `DELETE FROM once WHERE id = ? AND started_at = ? AND status = 0`).text(o.ID).time(o.StartedAt).exec()
	})
	return wrap(err, "request %s: forget", o.ID)
}

func (s *Store) sealAnswer(o webhook.Once) (header string, sealed []byte, err error) {
	b, err := json.Marshal(o.Header)
	if err != nil {
		return "", nil, err
	}
	if len(o.Body) == 0 {
		return string(b), nil, nil
	}
	if sealed, err = s.seal.Seal(o.Body, o.Account); err != nil {
		return "", nil, fmt.Errorf("seal the answer: %w", err)
	}
	return string(b), sealed, nil
}

func (s *Store) scanOnce(r *row) (webhook.Once, error) {
	o := webhook.Once{ID: r.text(), Fingerprint: r.text(), Status: r.int()}
	if err := json.Unmarshal(r.blob(), &o.Header); err != nil {
		return o, err
	}
	sealed := r.blob()
	o.Account, o.StartedAt, o.ExpiresAt = r.text(), r.time(), r.time()
	if len(sealed) == 0 {
		return o, nil
	}
	body, err := s.seal.Open(sealed, o.Account)
	o.Body = body
	return o, wrap(err, "open the answer")
}

const portalLinkColumns = `id, account, hash, created_at, expires_at, used_at`

// PutPortalLink stores a link.
func (s *Store) PutPortalLink(ctx context.Context, l webhook.PortalLink) error {
	err := s.write(ctx, func(t *tx) error {
		return prepare(t.Conn, `INSERT INTO portal_links (`+portalLinkColumns+`) VALUES (?, ?, ?, ?, ?, ?)`).
			text(l.ID).text(l.Account).blob(l.Hash).time(l.CreatedAt).time(l.ExpiresAt).time(l.UsedAt).exec()
	})
	return wrap(err, "portal link %s: put", l.ID)
}

// UsePortalLink spends a link and returns it. It returns webhook.ErrNotFound
// when there is none of that id and hash, or it has expired or was used.
func (s *Store) UsePortalLink(ctx context.Context, id string, hash []byte, now time.Time) (l webhook.PortalLink, err error) {
	found := false
	err = s.write(ctx, func(t *tx) (err error) {
		found, err = prepare(t.Conn, `UPDATE portal_links SET used_at = ? WHERE id = ? AND hash = ? AND used_at = 0 AND expires_at > ?
			RETURNING `+portalLinkColumns).time(now).text(id).blob(hash).time(now).one(func(r *row) error {
			l = webhook.PortalLink{ID: r.text(), Account: r.text(), Hash: r.blob(), CreatedAt: r.time(), ExpiresAt: r.time(), UsedAt: r.time()}
			return nil
		})
		return err
	})
	return l, wrap(notFound(found, err), "portal link %s: use", id)
}
