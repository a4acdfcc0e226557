package dynamo

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

const (
	// flushEvery is how long statistics are gathered before they are written:
	// what is lost when the process ends without Flush.
	flushEvery = 30 * time.Second
	// maxGathered endpoints and hours are written earlier.
	maxGathered = 200
	// keepStats is how long statistics are kept.
	keepStats = 90 * 24 * time.Hour
)

// Attributes of statistics.
const (
	attrSucceeded = "delivered"
	attrFailed    = "failed"
	attrGivenUp   = "given_up"
	latencyPrefix = "b" // and the number of a bucket
	lagPrefix     = "l" // and the number of a bucket
)

type statsKey struct {
	account, endpoint string
	hour              int64
}

// pendingStats gathers statistics between two writes.
type pendingStats struct {
	mu      sync.Mutex
	all     map[statsKey]*webhook.Stats
	flushed time.Time
}

// add gathers, and tells whether it is time to write.
func (p *pendingStats) add(list []webhook.Stats, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all == nil {
		p.all = map[statsKey]*webhook.Stats{}
	}
	for _, s := range list {
		k := statsKey{s.Account, s.Endpoint, s.Hour.Unix()}
		if have := p.all[k]; have != nil {
			have.Add(s)
		} else {
			p.all[k] = &s
		}
	}
	return len(p.all) > maxGathered || now.Sub(p.flushed) >= flushEvery
}

func (p *pendingStats) take(now time.Time) []webhook.Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]webhook.Stats, 0, len(p.all))
	for _, s := range p.all {
		list = append(list, *s)
	}
	p.all, p.flushed = nil, now
	return list
}

// AddStats adds to the hourly statistics. They are gathered for half a minute,
// so that a busy endpoint costs a write in that time and not one per batch;
// who ends the process calls Flush.
func (s *Store) AddStats(ctx context.Context, list []webhook.Stats) error {
	if len(list) == 0 || !s.stats.add(list, s.now()) {
		return nil
	}
	return s.Flush(ctx)
}

// Flush writes the statistics that were gathered. What cannot be written is
// gathered again. A write whose answer was lost may count twice.
func (s *Store) Flush(ctx context.Context) error {
	now := s.now()
	list := s.stats.take(now)
	failed := make([]error, len(list))
	_ = inParallel(ctx, len(list), func(ctx context.Context, i int) error {
		if failed[i] = s.addStats(ctx, list[i]); failed[i] != nil {
			s.stats.add(list[i:i+1], now)
		}
		return nil
	})
	return wrap(errors.Join(failed...), "write statistics")
}

func statsRow(account, endpoint string, hour time.Time) key {
	return key{prefixStats + account, endpoint + "#" + sortable(hour)}
}

func (s *Store) addStats(ctx context.Context, st webhook.Stats) error {
	c := newChange()
	c.to(attrTTL, item{}.ttl(st.Hour.Add(keepStats)))
	c.plus(attrSucceeded, st.Delivered)
	c.plus(attrFailed, st.Failed)
	c.plus(attrGivenUp, st.GivenUp)
	for i := range webhook.HistogramBuckets {
		c.plus(latencyPrefix+strconv.Itoa(i), st.Latency[i])
		c.plus(lagPrefix+strconv.Itoa(i), st.Lag[i])
	}
	_, err := s.db.UpdateItem(ctx, s.update(statsRow(st.Account, st.Endpoint, st.Hour), c, ""))
	return wrap(err, "endpoint %q", st.Endpoint)
}

// Stats returns the statistics of an endpoint, or with "" those of the URLs on
// jobs, from one time to before another, the oldest hour first. Those of the
// last half minute may be missing, and what was written just now: they are read
// eventually consistent, at half the price.
func (s *Store) Stats(ctx context.Context, account, endpoint string, from, to time.Time) ([]webhook.Stats, error) {
	if err := s.Flush(ctx); err != nil {
		return nil, err
	}
	first, end := statsRow(account, endpoint, from), statsRow(account, endpoint, to)
	items, err := s.queryRange(ctx, first.pk, first.sk, end.sk, false)
	if err != nil {
		return nil, wrap(err, "statistics of endpoint %q", endpoint)
	}
	var list []webhook.Stats
	for _, i := range items {
		if i.getText(attrSK) != end.sk {
			list = append(list, decodeStats(account, endpoint, i))
		}
	}
	return list, nil
}

func decodeStats(account, endpoint string, i item) webhook.Stats {
	st := webhook.Stats{
		Account: account, Endpoint: endpoint, Hour: hourOf(i.getText(attrSK)),
		Delivered: i.getInt(attrSucceeded), Failed: i.getInt(attrFailed), GivenUp: i.getInt(attrGivenUp),
	}
	for b := range webhook.HistogramBuckets {
		st.Latency[b], st.Lag[b] = i.getInt(latencyPrefix+strconv.Itoa(b)), i.getInt(lagPrefix+strconv.Itoa(b))
	}
	return st
}

// hourOf reads the end of a sort key.
func hourOf(sk string) time.Time {
	n, _ := strconv.ParseInt(sk[len(sk)-16:], 16, 64) // we wrote it
	return fromMicros(int(n))
}
