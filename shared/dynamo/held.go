package dynamo

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

// leap is how many positions of the index are read at once when the endpoints
// that hold deliveries are looked for: many hold one or two, and one that holds
// a million is passed over.
const leap = 25

// holder is what begins the place of a held row in the index: account, endpoint
// and a space after each.
func (i item) holder() string {
	account, rest, _ := strings.Cut(i.getText(attrDueAt), " ")
	endpoint, _, _ := strings.Cut(rest, " ")
	return heldBy(account, endpoint)
}

// heldSince is when the job of a held row in the index was created.
func (i item) heldSince() string { return i.getText(attrDueAt)[len(i.holder()):] }

// Holders returns the endpoints with held deliveries that no due time brings
// back, the one first whose deliveries have waited longest. As the index may be
// late, one may be named that holds nothing any more.
func (s *Store) Holders(ctx context.Context) ([]webhook.Holder, error) {
	return s.FirstHolders(ctx, math.MaxInt)
}

// FirstHolders returns at most limit of them, and looks at no more in each shard
// of the index. Which these are is open when there are more.
func (s *Store) FirstHolders(ctx context.Context, limit int) ([]webhook.Holder, error) {
	all, err := allShards(ctx, heldPrefix, func(ctx context.Context, shard string) ([]item, error) { return s.heldOf(ctx, shard, limit) })
	if err != nil {
		return nil, wrap(err, "endpoints that hold deliveries")
	}
	all = inOrder(all, func(a, b *item) int {
		return cmp.Or(cmp.Compare(a.heldSince(), b.heldSince()), cmp.Compare(a.holder(), b.holder()))
	})
	list, err := s.readHolders(ctx, all[:min(limit, len(all))])
	return list, wrap(err, "endpoints that hold deliveries")
}

// heldOf leaps over one shard of the index from endpoint to endpoint, until it
// has found limit of them: the row of each that has been held longest.
func (s *Store) heldOf(ctx context.Context, shard string, limit int) (all []item, err error) {
	for from := " "; len(all) < limit; {
		index, err := s.indexed(ctx, shard, from, afterAll, leap)
		if err != nil || len(index) == 0 {
			return all, err
		}
		for _, i := range index {
			if len(all) == 0 || all[len(all)-1].holder() != i.holder() {
				all = append(all, i)
			}
		}
		if len(index) < leap {
			return all, nil
		}
		from = all[len(all)-1].holder() + afterAll
	}
	return all, nil
}

// readHolders reads the endpoints as they are now, and why each holds its oldest
// delivery. One that cannot be understood is left out: it must not keep others
// from being released.
func (s *Store) readHolders(ctx context.Context, all []item) ([]webhook.Holder, error) {
	keys := make([]key, 0, 2*len(all))
	for _, i := range all {
		keys = append(keys, i.key())
		if d := namedBy(i.holder()); d.Target.Endpoint != "" {
			keys = append(keys, endpointKey(d.Account, d.Target.Endpoint))
		}
	}
	items, err := s.getAll(ctx, keys, true)
	if err != nil {
		return nil, err
	}
	list := make([]webhook.Holder, 0, len(all))
	for _, held := range all {
		d := namedBy(held.holder())
		of := webhook.Holder{Account: d.Account, Endpoint: webhook.Endpoint{ID: d.Target.Endpoint}}
		if row := items[held.key()]; row.getText(attrState) == string(webhook.StateHeld) {
			of.Why = row.getText(attrReason)
		}
		if i, ok := items[endpointKey(d.Account, d.Target.Endpoint)]; ok {
			e, err := s.decodeEndpoint(ctx, d.Account, i)
			if err != nil {
				s.log.ErrorContext(ctx, "holder.unreadable", "account", d.Account, "endpoint", d.Target.Endpoint, "error", err)
				continue
			}
			of.Endpoint, of.Health, of.Exists = e.Endpoint, e.health, true
		}
		list = append(list, of)
	}
	return list, nil
}

// namedBy is a delivery of which only the endpoint is known.
func namedBy(by string) webhook.Delivery {
	account, rest, _ := strings.Cut(by, " ")
	return webhook.Delivery{Account: account, Target: webhook.Target{Endpoint: strings.TrimSuffix(rest, " ")}}
}

// Held returns held deliveries of an endpoint that no due time brings back, the
// oldest first. It may return fewer than there are.
func (s *Store) Held(ctx context.Context, account, endpoint string, limit int) ([]webhook.Delivery, error) {
	by := heldBy(account, endpoint)
	list, err := s.heldBetween(ctx, heldShard(account, endpoint), by, limit)
	return list, wrap(err, "held deliveries of endpoint %q", endpoint)
}

// heldBetween reads the rows that the index has of one endpoint, and leaves out
// those that are not held any more.
func (s *Store) heldBetween(ctx context.Context, shard, by string, limit int) ([]webhook.Delivery, error) {
	index, err := s.indexed(ctx, shard, by, by+afterAll, limit)
	if err != nil {
		return nil, err
	}
	rows, err := s.rows(ctx, index)
	return slices.DeleteFunc(rows, func(d webhook.Delivery) bool {
		return d.State != webhook.StateHeld || !d.DueAt.IsZero()
	}), err
}

// Release queues deliveries that are still held as they were read, and returns
// their doorbells. Until they are attended to they are due at dueAt.
func (s *Store) Release(ctx context.Context, held []webhook.Delivery, now, dueAt time.Time) ([]webhook.Doorbell, error) {
	released := make([]bool, len(held))
	err := inParallel(ctx, len(held), func(ctx context.Context, i int) error {
		err := s.release(ctx, held[i], now, dueAt)
		released[i] = err == nil
		return ignore(err, webhook.ErrStale, webhook.ErrNotFound)
	})
	bells := make([]webhook.Doorbell, 0, len(held))
	for i, d := range held {
		if released[i] {
			bells = append(bells, d.Doorbell())
		}
	}
	if len(bells) > 0 {
		err = nil // those that were released must be rung for; the others are found again
	}
	return bells, wrap(err, "release held deliveries")
}

// release queues one delivery if its row is the one that was read: that may
// since have been held anew for another reason, which its fence does not tell.
func (s *Store) release(ctx context.Context, read webhook.Delivery, now, dueAt time.Time) error {
	k, ok := rowKey(read.Ref())
	if !ok {
		return webhook.ErrNotFound
	}
	next := read
	next.State, next.Reason, next.DueAt, next.UpdatedAt = webhook.StateQueued, "released", dueAt, now
	c, row := newChange(), item{}.mutable(next)
	for _, name := range []string{attrState, attrReason, attrDue, attrUpdated, attrFence, attrDueShard, attrDueAt} {
		c.to(name, row)
	}
	condition := c.name(attrFence) + " = " + c.value(text(fence(read))) + " AND " +
		c.name(attrUpdated) + " = " + c.value(number(micros(read.UpdatedAt)))
	_, err := s.db.UpdateItem(ctx, s.update(k, c, condition))
	old, ok := refused(err)
	if ok && len(old) > 0 && isOwn(decodeRow(read.Account, old), next) {
		return nil
	}
	if ok {
		return webhook.ErrStale
	}
	return wrap(err, "delivery %s", read.ID)
}

func ignore(err error, harmless ...error) error {
	for _, h := range harmless {
		if errors.Is(err, h) {
			return nil
		}
	}
	return err
}

// expiredHeld returns held deliveries that have expired, up to limit of each
// endpoint whose oldest one has: a paused one may have a million that have not.
func (s *Store) expiredHeld(ctx context.Context, now time.Time, limit int) ([]webhook.Delivery, error) {
	first, err := allShards(ctx, heldPrefix, func(ctx context.Context, shard string) ([]item, error) { return s.heldOf(ctx, shard, math.MaxInt) })
	if err != nil {
		return nil, err
	}
	rows, err := s.rows(ctx, first)
	if err != nil {
		return nil, err
	}
	var list []webhook.Delivery
	for _, d := range rows {
		if !isExpired(d, now) {
			continue
		}
		of, err := s.Held(ctx, d.Account, d.Target.Endpoint, limit)
		if err != nil {
			return nil, err
		}
		list = append(list, of...)
	}
	return slices.DeleteFunc(list, func(d webhook.Delivery) bool { return !isExpired(d, now) }), nil
}
