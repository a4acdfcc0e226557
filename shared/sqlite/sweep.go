package sqlite

import (
	"context"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

// Due returns deliveries whose DueAt is before the given time, the most
// overdue first.
func (s *Store) Due(ctx context.Context, before time.Time, limit int) (list []webhook.Delivery, err error) {
	err = s.read(ctx, func(c conn) error {
		return prepare(c, `SELECT `+deliveryColumns+` FROM deliveries d INDEXED BY deliveries_due
			WHERE d.due_at > 0 AND d.due_at < ? ORDER BY d.due_at LIMIT ?`).time(before).int(limit).each(func(r *row) error {
			list = append(list, scanDelivery(r))
			return nil
		})
	})
	return list, wrap(err, "due deliveries")
}

// Defer moves DueAt of the deliveries, unless it has changed since they were read.
func (s *Store) Defer(ctx context.Context, read []webhook.Delivery, dueAt time.Time) error {
	err := s.write(ctx, func(t *tx) error {
		for _, d := range read {
			err := prepare(t.Conn, `UPDATE deliveries SET due_at = ? WHERE account = ? AND id = ? AND due_at = ?`).
				time(dueAt).text(d.Account).text(d.ID).time(d.DueAt).exec()
			if err != nil {
				return wrap(err, "delivery %s", d.ID)
			}
		}
		return nil
	})
	return wrap(err, "defer deliveries")
}

// Release queues held deliveries whose endpoint is enabled again or was
// deleted, the oldest first, and returns their doorbells. Until they are
// attended to they are due at dueAt.
func (s *Store) Release(ctx context.Context, now, dueAt time.Time, limit int) (bells []webhook.Doorbell, err error) {
	held, err := s.releasable(ctx, limit)
	if err != nil || len(held) == 0 {
		return nil, wrap(err, "held deliveries")
	}
	err = s.write(ctx, func(t *tx) error {
		bells = bells[:0]
		for _, d := range held {
			err := prepare(t.Conn, `UPDATE deliveries SET state = 'queued', reason = 'released', due_at = ?, updated_at = ?
				WHERE account = ? AND id = ? AND state = 'held' AND generation = ?`).
				time(dueAt).time(now).text(d.Account).text(d.ID).int(d.Generation).exec()
			if err != nil {
				return wrap(err, "delivery %s", d.ID)
			}
			if t.Changes() > 0 {
				bells = append(bells, d.Doorbell())
			}
		}
		return nil
	})
	return bells, wrap(err, "release held deliveries")
}

func (s *Store) releasable(ctx context.Context, limit int) (held []webhook.Delivery, err error) {
	err = s.read(ctx, func(c conn) error {
		return prepare(c, `SELECT `+deliveryColumns+` FROM
				(SELECT DISTINCT endpoint AS held FROM deliveries INDEXED BY deliveries_held WHERE state = 'held' AND due_at = 0) h
			JOIN deliveries d INDEXED BY deliveries_held ON d.endpoint = h.held AND d.state = 'held' AND d.due_at = 0
			WHERE coalesce((SELECT status FROM endpoints e WHERE e.id = h.held), 'enabled') = 'enabled'
			ORDER BY d.seq LIMIT ?`).int(limit).each(func(r *row) error {
			held = append(held, scanDelivery(r))
			return nil
		})
	})
	return held, err
}

// expireChunk bounds how much one transaction removes.
const expireChunk = 500

// keepUnsent is how much longer a delivery stays that expired before it ended,
// so that its end can be seen.
const keepUnsent = 7 * 24 * time.Hour

// Expire removes deliveries that have expired with their attempts, events that
// no delivery needs any more, and silences that are over. A delivery that has
// not ended is declined instead, and removed a week later. It returns how many
// deliveries it saw to.
func (s *Store) Expire(ctx context.Context, now time.Time, limit int) (done int, err error) {
	for done < limit {
		n, err := s.expireSome(ctx, now)
		if done += n; err != nil || n < expireChunk {
			return done, wrap(err, "remove expired deliveries")
		}
	}
	return done, nil
}

// expired is a delivery that is to go.
type expired struct {
	seq   int
	state webhook.State
}

func (s *Store) expireSome(ctx context.Context, now time.Time) (int, error) {
	list, err := s.findExpired(ctx, now)
	if err != nil || len(list) == 0 {
		return 0, err
	}
	err = s.write(ctx, func(t *tx) error {
		for _, d := range list {
			if err := expireDelivery(t.Conn, d, now); err != nil {
				return err
			}
		}
		t.afterCommit(func() { s.silences.forget(now) })
		return prepare(t.Conn, `DELETE FROM silences WHERE until < ?`).time(now).exec()
	})
	return len(list), err
}

func (s *Store) findExpired(ctx context.Context, now time.Time) (list []expired, err error) {
	err = s.read(ctx, func(c conn) error {
		return prepare(c, `SELECT seq, state FROM deliveries INDEXED BY deliveries_expires WHERE expires_at < ? ORDER BY expires_at LIMIT ?`).
			time(now).int(expireChunk).each(func(r *row) error {
			list = append(list, expired{seq: r.int(), state: webhook.State(r.text())})
			return nil
		})
	})
	return list, err
}

func expireDelivery(c conn, d expired, now time.Time) error {
	if d.state.Final() {
		return removeDelivery(c, d.seq)
	}
	return prepare(c, `UPDATE deliveries SET state = 'declined', reason = 'expired before it could be sent',
		next_at = 0, due_at = 0, updated_at = ?, expires_at = ? WHERE seq = ?`).
		time(now).time(now.Add(keepUnsent)).int(d.seq).exec()
}

// eventSpan is how far apart, in row numbers, the deliveries of one event can be.
const eventSpan = 1000

func removeDelivery(c conn, seq int) error {
	err := prepare(c, `DELETE FROM attempts WHERE id >= ? AND id < ?`).
		int(seq * attemptsPerDelivery).int((seq + 1) * attemptsPerDelivery).exec()
	if err != nil {
		return err
	}
	event := 0
	_, err = prepare(c, `DELETE FROM deliveries WHERE seq = ? RETURNING event_seq`).int(seq).one(func(r *row) error {
		event = r.int()
		return nil
	})
	if err != nil {
		return err
	}
	return prepare(c, `DELETE FROM events WHERE seq = ?1 AND NOT EXISTS
		(SELECT 1 FROM deliveries WHERE seq > ?2 AND seq < ?3 AND event_seq = ?1)`).
		int(event).int(seq - eventSpan).int(seq + eventSpan).exec()
}
