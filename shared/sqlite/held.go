package sqlite

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

const (
	// holderQuery finds the oldest held row of the first endpoint not before
	// one. Holders leaps by it: an endpoint may have a million rows. CAST: see lists.go.
	holderQuery = `SELECT d.endpoint, d.account, d.reason FROM deliveries d INDEXED BY deliveries_held
	WHERE d.endpoint >= CAST(? AS TEXT) AND d.state = 'held' AND d.due_at = 0 ORDER BY d.endpoint, d.seq LIMIT 1`
	releaseStatement = `UPDATE deliveries SET state = 'queued', reason = 'released', due_at = ?, updated_at = ?
	WHERE account = ? AND id = ? AND state = 'held' AND due_at = 0 AND generation = ? AND updated_at = ?`
	heldQuery = `SELECT ` + deliveryColumns + ` FROM deliveries d INDEXED BY deliveries_held
	WHERE d.endpoint = ? AND d.state = 'held' AND d.due_at = 0 AND d.account = ? ORDER BY d.seq LIMIT ?`
)

// Holders returns the endpoints with held deliveries that no due time brings
// back, in the order of their ids. The endpoints of an account that cannot be
// read are left out: they must not keep others from being released.
func (s *Store) Holders(ctx context.Context) ([]webhook.Holder, error) {
	return s.FirstHolders(ctx, math.MaxInt)
}

// FirstHolders returns those of the first ids, at most limit. It looks at no others.
func (s *Store) FirstHolders(ctx context.Context, limit int) ([]webhook.Holder, error) {
	var list []webhook.Holder
	err := s.read(ctx, func(c conn) error {
		return snapshot(c, func() (err error) {
			list, err = findHolders(c, limit)
			return err
		})
	})
	if err != nil {
		return nil, wrap(err, "endpoints that hold deliveries")
	}
	kept := list[:0]
	for _, h := range list {
		known, err := s.Endpoints(ctx, h.Account)
		if ctx.Err() != nil {
			return nil, wrap(ctx.Err(), "endpoints that hold deliveries")
		}
		if err != nil {
			s.log.Error("holder.unreadable", "account", h.Account, "endpoint", h.Endpoint.ID, "error", err)
			continue
		}
		if i, ok := find(known, h.Endpoint.ID); ok {
			h.Endpoint, h.Exists, h.Health = known[i], true, s.health.of(h.Endpoint.ID)
		}
		kept = append(kept, h)
	}
	return kept, nil
}

// findHolders tells of each only what its oldest held delivery does.
func findHolders(c conn, limit int) (list []webhook.Holder, err error) {
	from := ""
	for len(list) < limit {
		var h webhook.Holder
		found, err := prepare(c, holderQuery).text(from).one(func(r *row) error {
			h.Endpoint.ID, h.Account, h.Why = r.text(), r.text(), r.text()
			return nil
		})
		if err != nil || !found {
			return list, err
		}
		list = append(list, h)
		from = h.Endpoint.ID + "\x00" // the text that comes next
	}
	return list, nil
}

// Held returns held deliveries of an endpoint that no due time brings back, the
// oldest first.
func (s *Store) Held(ctx context.Context, account, endpoint string, limit int) (list []webhook.Delivery, err error) {
	err = s.read(ctx, func(c conn) error {
		return prepare(c, heldQuery).text(endpoint).text(account).int(limit).each(func(r *row) error {
			list = append(list, scanDelivery(r))
			return nil
		})
	})
	return list, wrap(err, "held deliveries of endpoint %s", endpoint)
}

// releaseChunk bounds how long one transaction holds up the others.
const releaseChunk = 500

// Release queues the deliveries that are still held as they were read, and
// returns their doorbells. Until they are attended to they are due at dueAt. It
// is an error only if none was queued: the others are found again.
func (s *Store) Release(ctx context.Context, held []webhook.Delivery, now, dueAt time.Time) ([]webhook.Doorbell, error) {
	bells := make([]webhook.Doorbell, 0, len(held))
	for chunk := range slices.Chunk(held, releaseChunk) {
		some, err := s.releaseSome(ctx, chunk, now, dueAt)
		if err != nil && len(bells) == 0 {
			return nil, wrap(err, "release held deliveries")
		}
		if err != nil {
			s.log.Warn("release.unfinished", "error", err)
			break
		}
		bells = append(bells, some...)
	}
	return bells, nil
}

func (s *Store) releaseSome(ctx context.Context, held []webhook.Delivery, now, dueAt time.Time) (bells []webhook.Doorbell, err error) {
	err = s.write(ctx, func(t *tx) error {
		bells = nil
		for _, d := range held {
			err := prepare(t.Conn, releaseStatement).
				time(dueAt).time(now).text(d.Account).text(d.ID).int(d.Generation).time(d.UpdatedAt).exec()
			if err != nil {
				return wrap(err, "delivery %s", d.ID)
			}
			if t.Changes() > 0 {
				bells = append(bells, d.Doorbell())
			}
		}
		return nil
	})
	if err != nil {
		return nil, err // undone
	}
	return bells, nil
}
