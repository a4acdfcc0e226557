package sqlite

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

// storedNotice is a notice as its row holds it.
type storedNotice struct {
	Type       webhook.EventType `json:"type"`
	Account    string            `json:"account"`
	Endpoint   string            `json:"endpoint"`
	URL        string            `json:"url"`
	At         time.Time         `json:"at"`
	Since      time.Time         `json:"since,omitzero"`
	Reason     string            `json:"reason,omitempty"`
	DisabledAt time.Time         `json:"disabled_at,omitzero"`
}

// putNotices keeps notices that are to be told. One that is kept already stays
// as it is.
func putNotices(c conn, list []webhook.Notice) error {
	for _, n := range list {
		b, err := json.Marshal(storedNotice(n))
		if err != nil {
			return wrap(err, "notice %s", n.ID())
		}
		err = prepare(c, `INSERT INTO notices (id, notice) VALUES (?, ?) ON CONFLICT (id) DO NOTHING`).text(n.ID()).text(string(b)).exec()
		if err != nil {
			return wrap(err, "notice %s", n.ID())
		}
	}
	return nil
}

const noticesQuery = `SELECT id, notice FROM notices ORDER BY id`

// Notices returns those that were not told yet, the oldest first. One that cannot
// be read is passed over: the others do not wait for it.
func (s *Store) Notices(ctx context.Context, limit int) (list []webhook.Notice, err error) {
	err = s.read(ctx, func(c conn) error {
		return prepare(c, noticesQuery).each(func(r *row) error {
			if len(list) >= limit {
				return errEnough
			}
			var n storedNotice
			id := r.text()
			if err := json.Unmarshal(r.blob(), &n); err != nil {
				s.log.ErrorContext(ctx, "notice.unreadable", "notice", id, "error", err)
				return nil
			}
			list = append(list, webhook.Notice(n))
			return nil
		})
	})
	return list, wrap(err, "notices")
}

// RemoveNotice removes one that was told, if it is still there.
func (s *Store) RemoveNotice(ctx context.Context, id string) error {
	err := s.writeSoon(ctx, func(t *tx) error {
		return prepare(t.Conn, `DELETE FROM notices WHERE id = ?`).text(id).exec()
	})
	return wrap(err, "notice %s: remove", id)
}
