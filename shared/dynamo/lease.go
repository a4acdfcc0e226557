package dynamo

import (
	"context"
	"sync"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

// maxLeaseTries bounds how often one call asks for what others left.
const maxLeaseTries = 4

// Lease grants up to n attempts of an endpoint that may have rate a second, and
// returns how many. Attempts are counted in windows of webhook.LeaseWindow that
// lie on the clock, each as many as that time allows: any time t touches the
// windows within it and one more on either side.
//
// It costs one write, also one that is refused. A write whose answer was lost
// is counted once more when it is repeated: it grants rather too few.
func (s *Store) Lease(ctx context.Context, account, endpoint string, rate, n int) (granted int, err error) {
	if rate <= 0 {
		return n, nil
	}
	most := rate * int(webhook.LeaseWindow/time.Second)
	window := s.now().Truncate(webhook.LeaseWindow)
	k := leaseKey(account, endpoint, window)
	if s.spent.has(k) {
		return 0, nil
	}
	n = min(n, most)
	for range maxLeaseTries {
		if n <= 0 {
			break
		}
		left, err := s.lease(ctx, k, window, n, most)
		if err != nil {
			return 0, wrap(err, "endpoint %s: lease attempts", endpoint)
		}
		if left >= n {
			return n, nil
		}
		n = left
	}
	if n <= 0 {
		s.spent.add(k)
	}
	return 0, nil
}

// lease takes n of a window, or tells how many fewer there are.
func (s *Store) lease(ctx context.Context, k key, window time.Time, n, most int) (left int, err error) {
	c := newChange()
	c.plus(attrUsed, n)
	c.to(attrTTL, item{}.ttl(window.Add(2*webhook.LeaseWindow)))
	used := c.name(attrUsed)
	condition := "attribute_not_exists(" + used + ") OR " + used + " <= " + c.value(number(most-n))
	_, err = s.db.UpdateItem(ctx, s.update(k, c, condition))
	if old, ok := refused(err); ok {
		return most - old.getInt(attrUsed), nil
	}
	return n, err
}

// spentWindows remembers windows of which nothing is left, so that further
// batches need not ask. It is only a saving.
type spentWindows struct {
	mu  sync.Mutex
	all map[key]struct{}
}

// maxSpent bounds the set; when it is full it starts anew.
const maxSpent = 1_000

func (w *spentWindows) add(k key) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil || len(w.all) >= maxSpent {
		w.all = map[key]struct{}{}
	}
	w.all[k] = struct{}{}
}

func (w *spentWindows) has(k key) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, ok := w.all[k]
	return ok
}
