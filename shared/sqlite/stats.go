package sqlite

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

// statsEvery is how often gathered statistics are written; a crash loses at
// most so much of them.
const statsEvery = time.Second

// pendingStats gathers statistics between two writes.
type pendingStats struct {
	mu  sync.Mutex
	all map[statsKey]*webhook.Stats
}

type statsKey struct {
	account, endpoint string
	hour              int64
}

func (p *pendingStats) add(list []webhook.Stats) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all == nil {
		p.all = map[statsKey]*webhook.Stats{}
	}
	for _, s := range list {
		key := statsKey{s.Account, s.Endpoint, micros(s.Hour)}
		if have := p.all[key]; have != nil {
			have.Add(s)
		} else {
			p.all[key] = &s
		}
	}
}

func (p *pendingStats) take() map[statsKey]*webhook.Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.all
	p.all = nil
	return all
}

// AddStats adds to the hourly statistics. They are written once a second.
func (s *Store) AddStats(_ context.Context, list []webhook.Stats) error {
	s.stats.add(list)
	return nil
}

// Stats returns the statistics of an endpoint, or with "" those of the URLs on
// jobs, from one time to before another, the oldest hour first.
func (s *Store) Stats(ctx context.Context, account, endpoint string, from, to time.Time) ([]webhook.Stats, error) {
	var list []webhook.Stats
	err := s.read(ctx, func(c conn) error {
		return prepare(c, `SELECT hour, delivered, failed, latency FROM stats
			WHERE endpoint = ? AND account = ? AND hour >= ? AND hour < ? ORDER BY hour`).
			text(endpoint).text(account).time(from).time(to).each(func(r *row) error {
			st := webhook.Stats{Account: account, Endpoint: endpoint, Hour: r.time(), Delivered: r.int(), Failed: r.int()}
			err := json.Unmarshal(r.blob(), &st.Latency)
			list = append(list, st)
			return err
		})
	})
	return list, wrap(err, "statistics of endpoint %s", endpoint)
}

// flushStats writes what was gathered, until ctx ends, and then once more.
func (s *Store) flushStats(ctx context.Context) {
	tick := time.NewTicker(statsEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.writeStats()
		case <-ctx.Done():
			s.writeStats()
			return
		}
	}
}

func (s *Store) writeStats() {
	all := s.stats.take()
	if len(all) == 0 {
		return
	}
	s.writer.later(func(t *tx) error {
		for _, st := range all {
			if err := addStats(t.Conn, *st); err != nil {
				return err
			}
		}
		return nil
	})
}

func addStats(c conn, st webhook.Stats) error {
	_, err := prepare(c, `SELECT delivered, failed, latency FROM stats WHERE endpoint = ? AND account = ? AND hour = ?`).
		text(st.Endpoint).text(st.Account).time(st.Hour).one(func(r *row) error {
		have := webhook.Stats{Delivered: r.int(), Failed: r.int()}
		if err := json.Unmarshal(r.blob(), &have.Latency); err != nil {
			return err
		}
		st.Add(have)
		return nil
	})
	if err != nil {
		return err
	}
	latency, err := json.Marshal(st.Latency)
	if err != nil {
		return err
	}
	return prepare(c, `INSERT OR REPLACE INTO stats (endpoint, hour, account, delivered, failed, latency) VALUES (?, ?, ?, ?, ?, ?)`).
		text(st.Endpoint).time(st.Hour).text(st.Account).int(st.Delivered).int(st.Failed).text(string(latency)).exec()
}
