package sqlite

import (
	"context"
	"time"

	"github.com/jobhook/jobhook/shared/job"
)

// feed numbers the changes. Only the writer touches last.
type feed struct {
	last  int
	ready chan struct{}
}

func (f *feed) load(c conn) error {
	f.ready = make(chan struct{}, 1)
	f.signal() // there may be changes that nobody has dispatched
	_, err := prepare(c, `SELECT max(seq, coalesce((SELECT max(seq) FROM changes), 0)) FROM checkpoint`).
		one(func(r *row) error {
			f.last = r.int()
			return nil
		})
	return err
}

func (f *feed) signal() {
	select {
	case f.ready <- struct{}{}:
	default:
	}
}

func (f *feed) add(t *tx, at time.Time, old *job.Job, record string) error {
	f.last++
	before := ""
	if old != nil {
		before = string(old.Record)
	}
	t.afterCommit(f.signal)
	return prepare(t.Conn, `INSERT INTO changes (seq, at, old_record, new_record) VALUES (?, ?, ?, ?)`).
		int(f.last).time(at).text(before).text(record).exec()
}

// ChangesReady receives when there may be changes to dispatch. It is for one reader.
func (s *Store) ChangesReady() <-chan struct{} { return s.feed.ready }

// Changes returns the oldest changes after the given one, in order.
func (s *Store) Changes(ctx context.Context, after, limit int) ([]job.Written, error) {
	var list []job.Written
	err := s.read(ctx, func(c conn) error {
		return prepare(c, `SELECT seq, at, old_record, new_record FROM changes WHERE seq > ? ORDER BY seq LIMIT ?`).
			int(after).int(limit).each(func(r *row) error {
			list = append(list, job.Written{Seq: r.int(), At: r.time(), Old: r.blob(), New: r.blob()})
			return nil
		})
	})
	return list, wrap(err, "changes after %d", after)
}

// Dispatched forgets the changes up to seq. It does not wait: what is lost by
// a crash is dispatched again, to the same ids.
func (s *Store) Dispatched(seq int) {
	s.writer.later(func(t *tx) error {
		err := prepare(t.Conn, `UPDATE checkpoint SET seq = max(seq, ?)`).int(seq).exec()
		if err != nil {
			return err
		}
		return prepare(t.Conn, `DELETE FROM changes WHERE seq <= ?`).int(seq).exec()
	})
}
