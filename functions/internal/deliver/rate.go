package deliver

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

// rate is how many attempts a second the task's endpoint gets; 0: no bound.
func (t *task) rate() int {
	if !t.w.HasEndpoint {
		return 0
	}
	return webhook.RateOf(t.policy, t.w.Health)
}

// runLeased asks once for as many attempts as a batch has for a limited
// endpoint. Those that are granted go to the oldest deliveries; the others are
// held, and sweep releases them at the endpoint's rate. First attempts leave some
// for those that were released, see mayLease.
func (h *Handler) runLeased(b *batch, group []*task) {
	slices.SortFunc(group, func(x, y *task) int {
		return cmp.Or(x.w.Delivery.CreatedAt.Compare(y.w.Delivery.CreatedAt), cmp.Compare(x.w.Delivery.ID, y.w.Delivery.ID))
	})
	first := group[0]
	h.run(b, first, func() error {
		granted := 0
		err := first.guarded(func() (err error) { // the others depend on it too
			granted, err = h.lease(b.ctx, first, len(group))
			return err
		})
		if err != nil {
			h.log().WarnContext(b.ctx, "lease.lost", "endpoint", first.w.Endpoint.ID, "error", err)
		}
		follow := func(i int) error {
			switch t := group[i]; {
			case err != nil:
				return h.notYet(b.ctx, t.m, t.w.Delivery, shortly)
			case i < granted:
				return h.attempt(b, t)
			default:
				return h.hold(b, t.w, noTime, webhook.HoldRate.Because(
					fmt.Sprintf("the endpoint takes %d attempts a second, and has had those of this moment", t.rate())))
			}
		}
		for i := 1; i < len(group); i++ {
			h.run(b, group[i], func() error { return follow(i) })
		}
		return follow(0)
	})
}

func (h *Handler) lease(ctx context.Context, t *task, n int) (granted int, err error) {
	firsts := h.Retry != nil && h.Health != nil
	if firsts {
		if n = h.Health.mayLease(t.w, n, h.now()); n == 0 {
			return 0, nil
		}
	}
	granted, err = h.Store.Lease(ctx, t.w.Delivery.Account, t.w.Endpoint.ID, t.rate(), n)
	if firsts && err == nil {
		h.Health.leased(t.w, granted == n, h.now())
	}
	return granted, err
}

// firstsPause is for how long first attempts lease nothing of an endpoint that
// did not grant what they asked for.
const firstsPause = time.Second

// mayLease tells how many of n first attempts may be leased. Those of an endpoint
// that did not grant all that others asked for are held for a moment, and then
// begin with one: what comes anew must not take every attempt, as it comes, from
// what was held before it. In a process, so, at least half of the rate is left to
// what sweep releases; many processes that call one endpoint at once may leave it less.
func (l *HealthLog) mayLease(w *webhook.Work, n int, now time.Time) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.endpoint(w, true)
	if e.refused.IsZero() {
		return n
	}
	if ago := now.Sub(e.refused); ago >= 0 && ago < firstsPause {
		return 0
	}
	return min(n, 1)
}

// leased remembers whether a lease of first attempts was granted in full.
func (l *HealthLog) leased(w *webhook.Work, full bool, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.endpoint(w, true)
	if e.refused = now; full {
		e.refused = time.Time{}
	}
}
