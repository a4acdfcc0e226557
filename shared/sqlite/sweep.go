package sqlite

import (
	"context"
	"strings"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

const dueQuery = `SELECT ` + deliveryColumns + ` FROM deliveries d INDEXED BY deliveries_due
	WHERE d.due_at > 0 AND d.due_at < ? ORDER BY d.due_at LIMIT ?`

// Due returns deliveries whose DueAt is before the given time, the most
// overdue first.
func (s *Store) Due(ctx context.Context, before time.Time, limit int) (list []webhook.Delivery, err error) {
	err = s.read(ctx, func(c conn) error {
		return prepare(c, dueQuery).time(before).int(limit).each(func(r *row) error {
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

// expireChunk bounds how much one transaction removes.
const expireChunk = 500

// keepUnsent is how much longer a delivery stays that expired before it ended,
// so that its end can be seen.
const keepUnsent = 7 * 24 * time.Hour

// Expire removes deliveries that have expired with their attempts, events that
// no delivery needs any more, and whatever else is over: silences, hosts, requests,
// portal links, keys of sessions, bulk resends, result sets. A delivery that has not ended ends
// instead, declined if it was never sent and dead if it was, and is removed a
// week later. It returns how many deliveries it saw to.
func (s *Store) Expire(ctx context.Context, now time.Time, limit int) (done int, err error) {
	if err := s.expireSilences(ctx, now); err != nil {
		return 0, wrap(err, "remove silences that are over")
	}
	if err := s.expireHosts(ctx, now); err != nil {
		return 0, wrap(err, "remove hosts that are forgotten")
	}
	if err := s.expireRest(ctx, now, limit); err != nil {
		return 0, wrap(err, "remove what is over")
	}
	for done < limit {
		chunk := min(expireChunk, limit-done)
		n, err := s.expireSome(ctx, now, chunk)
		if done += n; err != nil || n < chunk {
			return done, wrap(err, "remove expired deliveries")
		}
	}
	return done, nil
}

func (s *Store) expireSilences(ctx context.Context, now time.Time) error {
	if !s.silences.forget(now) {
		return nil
	}
	return s.write(ctx, func(t *tx) error {
		return prepare(t.Conn, `DELETE FROM silences WHERE until < ?`).time(now).exec()
	})
}

// expired is a delivery that is to go.
type expired struct {
	seq   int
	state webhook.State
}

// expireSome looks and acts in one transaction: what it finds ended could be
// resent in between.
func (s *Store) expireSome(ctx context.Context, now time.Time, limit int) (n int, err error) {
	err = s.write(ctx, func(t *tx) error {
		list, err := findExpired(t.Conn, now, limit)
		n = len(list)
		for _, d := range list {
			if err == nil {
				err = expireDelivery(t.Conn, d, now)
			}
		}
		return err
	})
	return n, err
}

const expiredQuery = `SELECT seq, state FROM deliveries INDEXED BY deliveries_expires
	WHERE expires_at < ? ORDER BY expires_at LIMIT ?`

func findExpired(c conn, now time.Time, limit int) (list []expired, err error) {
	err = prepare(c, expiredQuery).
		time(now).int(limit).each(func(r *row) error {
		list = append(list, expired{seq: r.int(), state: webhook.State(r.text())})
		return nil
	})
	return list, err
}

func expireDelivery(c conn, d expired, now time.Time) error {
	if d.state.Final() {
		return removeDelivery(c, d.seq)
	}
	return prepare(c, `UPDATE deliveries SET state = iif(delivered_at > 0, 'delivered', iif(recorded > 0, 'dead', 'declined')),
		reason = iif(delivered_at > 0, 'delivered before; the resend expired', 'expired before it could be delivered'),
		next_at = 0, due_at = 0, updated_at = ?, expires_at = ? WHERE seq = ?`).
		time(now).time(now.Add(keepUnsent)).int(d.seq).exec()
}

func removeDelivery(c conn, seq int) error {
	err := prepare(c, `DELETE FROM attempts WHERE id >= ? AND id < ?`).
		int(seq * attemptsPerDelivery).int((seq + 1) * attemptsPerDelivery).exec()
	if err != nil {
		return err
	}
	account, eventID := "", ""
	_, err = prepare(c, `DELETE FROM deliveries WHERE seq = ? RETURNING account, event_id`).int(seq).one(func(r *row) error {
		account, eventID = r.text(), r.text()
		return nil
	})
	if err != nil {
		return err
	}
	siblings := siblingPrefix(eventID)
	needed, err := prepare(c, `SELECT 1 FROM deliveries WHERE account = ? AND id >= ? AND id < ? LIMIT 1`).
		text(account).text(siblings).text(siblings + "\x7f").one(func(*row) error { return nil })
	if err != nil || needed {
		return err
	}
	return prepare(c, `DELETE FROM events WHERE id = ?`).text(eventID).exec()
}

// siblingPrefix begins the ids of all deliveries of an event, see webhook.DeliveryID.
func siblingPrefix(eventID string) string { return "dlv_" + strings.TrimPrefix(eventID, "evt_") }
