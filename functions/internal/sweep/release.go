package sweep

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/jobhook/jobhook/functions/internal/crew"
	"github.com/jobhook/jobhook/functions/internal/deadline"
	"github.com/jobhook/jobhook/shared/webhook"
)

const (
	// maxRelease is how many held deliveries one run releases at most, of all
	// endpoints together, and releasePage how many of one endpoint in one turn.
	maxRelease  = 10_000
	releasePage = 1_000
	// drainsAtOnce is how many endpoints have their turn at the same time.
	drainsAtOnce = 8
	// drainRate is how many a second an endpoint gets at most that nothing bounds.
	drainRate = 1_000
	// maxHosts is how many hosts that fail a run knows of. What is released to one
	// beyond them is held once more.
	maxHosts = 10_000
	// hostProbes is how many endpoints of a host get one back when it is to be
	// tried: more than one, as what was released may be held for another reason.
	hostProbes = 3
)

// drain is what one run does for one endpoint that holds deliveries.
type drain struct {
	webhook.Holder
	rate     int // deliveries a second; 0: its one is a probe
	left     int // deliveries that it may still get back in this run
	released int
	turn     int // how many it may get in this turn
	more     bool
	seen     map[webhook.Ref]bool
}

// release queues deliveries whose hold has ended, the oldest first. It looks at
// every endpoint that holds some, at every run, so that a hold which was written
// after the others had gone, by somebody who did not know better, is found by
// the next. Endpoints take turns, so that one which holds a million leaves the
// others their part; who begins is left to chance, as time may run out.
func (h *Handler) release(ctx context.Context, r *run) error {
	holders, err := h.Store.Holders(ctx)
	if err != nil {
		return fmt.Errorf("endpoints that hold deliveries: %w", err)
	}
	hosts, err := h.hosts(ctx, holders)
	if err != nil {
		return err
	}
	rand.Shuffle(len(holders), func(i, j int) { holders[i], holders[j] = holders[j], holders[i] })
	drains := h.drains(holders, hosts)
	var errs []error
	left, begun := maxRelease, false
	for len(drains) > 0 {
		turn := min(max(left/len(drains), 1), releasePage)
		for chunk := range slices.Chunk(drains, drainsAtOnce) {
			if left == 0 || begun && !deadline.Allows(ctx, pageTime) {
				return errors.Join(errs...)
			}
			begun = true
			released, err := h.turn(ctx, chunk, turn, left)
			errs = append(errs, err)
			left -= released
			r.released += released
		}
		drains = slices.DeleteFunc(drains, func(d *drain) bool { return !d.more || d.left == 0 })
	}
	return errors.Join(errs...)
}

// hosts returns the hosts that fail by their names, if anything is held at all.
func (h *Handler) hosts(ctx context.Context, holders []webhook.Holder) (map[string]webhook.HostHealth, error) {
	if len(holders) == 0 {
		return nil, nil
	}
	list, err := h.Store.Hosts(ctx, maxHosts)
	if err != nil {
		return nil, fmt.Errorf("hosts that fail: %w", err)
	}
	hosts := make(map[string]webhook.HostHealth, len(list))
	for _, host := range list {
		hosts[host.Host] = host
	}
	return hosts, nil
}

// drains tells what each endpoint may get back by now. Of a host that is to be
// tried only some endpoints get their one.
func (h *Handler) drains(holders []webhook.Holder, hosts map[string]webhook.HostHealth) []*drain {
	now := h.now()
	from := h.lastRelease(now)
	probed := map[string]int{} // endpoints by host
	var list []*drain
	for _, holder := range holders {
		host := hosts[webhook.HostOf(holder.Endpoint.URL)]
		n, rate := quota(holder, host, from, now)
		if n <= 0 {
			continue
		}
		if host.Gate(now).Pass == webhook.PassProbe {
			if probed[host.Host]++; probed[host.Host] > hostProbes {
				continue
			}
		}
		list = append(list, &drain{Holder: holder, rate: rate, left: n, seen: map[webhook.Ref]bool{}})
	}
	return list
}

// lastRelease returns when the run before this one released, and remembers this
// one. Time in which no run came is lost but for one horizon.
func (h *Handler) lastRelease(now time.Time) time.Time {
	h.lock.Lock()
	defer h.lock.Unlock()
	last := h.releasedAt
	h.releasedAt = now
	if earliest := now.Add(-min(cmp.Or(h.Horizon, time.Second), maxAfter)); last.Before(earliest) {
		return earliest
	}
	return last
}

// quota tells how many of its held deliveries an endpoint gets back for the time
// between two runs, and how many that are a second. Its own gate and that of its
// host must let them through: a closed one lets through none, a half-open one the
// probe. Those of an endpoint that was deleted go to be declined.
func quota(h webhook.Holder, host webhook.HostHealth, from, to time.Time) (n, rate int) {
	if h.Exists && h.Endpoint.Status != webhook.EndpointEnabled {
		return 0, 0
	}
	switch own, hosts := h.Health.Gate(to).Pass, host.Gate(to).Pass; {
	case own == webhook.PassNone, hosts == webhook.PassNone:
		return 0, 0
	case own == webhook.PassProbe, hosts == webhook.PassProbe:
		return 1, 0
	}
	rate = releaseRate(h, to.Sub(from))
	return int(ticks(to, rate) - ticks(from, rate)), rate
}

// releaseRate is the endpoint's own. One without, which had as many attempts
// under way as it may, gets as many a second; what still finds it busy is held
// once more. Else it is what a run every so often can release.
func releaseRate(h webhook.Holder, every time.Duration) int {
	policy := webhook.Policy{}.With(h.Endpoint.Policy) // no format bounds it
	rate := webhook.RateOf(policy, h.Health)
	switch {
	case rate > 0:
		return rate
	case webhook.HoldOf(h.Why) == webhook.HoldBusy:
		return cmp.Or(policy.MaxInFlight, webhook.DefaultMaxInFlight)
	}
	return min(int(maxRelease*time.Second/max(every, time.Second)), drainRate)
}

// ticks counts the ticks of a clock that ticks at a rate. Those between two runs
// are their difference: no fraction is lost, however unevenly the runs come.
func ticks(at time.Time, rate int) int64 { return at.UnixMilli() * int64(rate) / 1000 }

// turn gives each endpoint of a chunk its turn, all at once, of what is left to
// the run. One that fails keeps nobody back, and gets no other in this run.
func (h *Handler) turn(ctx context.Context, chunk []*drain, turn, left int) (released int, err error) {
	before := 0
	errs := make([]error, len(chunk))
	var all sync.WaitGroup
	for i, d := range chunk {
		before += d.released
		d.turn = min(d.left, turn, left)
		left -= d.turn
		all.Go(func() { errs[i] = crew.Guarded(func() error { return h.releaseSome(ctx, d) }) })
	}
	all.Wait()
	for i, d := range chunk {
		released += d.released
		if errs[i] != nil {
			d.more = false
			errs[i] = fmt.Errorf("account %s: endpoint %s: %w", d.Account, d.Endpoint.ID, errs[i])
		}
	}
	return released - before, errors.Join(errs...)
}

// releaseSome releases what an endpoint gets in this turn. Until their bells
// have rung the deliveries are due a while later: should bells be lost, others
// follow.
func (h *Handler) releaseSome(ctx context.Context, d *drain) error {
	if d.turn == 0 {
		return nil
	}
	held, err := h.Store.Held(ctx, d.Account, d.Endpoint.ID, d.turn)
	if err != nil {
		return fmt.Errorf("held deliveries: %w", err)
	}
	held = unseen(held, d.seen)
	if d.more = len(held) > 0; !d.more {
		return nil
	}
	now := h.now()
	bells, err := h.Store.Release(ctx, held, now, now.Add(h.Horizon+ringAgainAfter))
	if err != nil {
		return fmt.Errorf("release %d held deliveries: %w", len(held), err)
	}
	d.spread(bells)
	if err := h.Queue.Ring(ctx, bells); err != nil {
		return fmt.Errorf("ring for %d released deliveries: %w", len(bells), err)
	}
	d.left -= len(bells)
	d.released += len(bells)
	return nil
}

// spread lets the bells ring one after the other, at the endpoint's rate.
func (d *drain) spread(bells []webhook.Doorbell) {
	for i := range bells {
		if d.rate > 0 {
			bells[i].After = spread(d.released+i, d.rate)
		}
	}
}
