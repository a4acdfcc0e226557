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
		return prepare(c, `SELECT hour, `+statsColumns+` FROM stats
			WHERE endpoint = CAST(? AS TEXT) AND account = CAST(? AS TEXT) AND hour >= CAST(? AS INTEGER) AND hour < CAST(? AS INTEGER)
			ORDER BY hour`). // CAST: see lists.go
			text(endpoint).text(account).time(from).time(to).each(func(r *row) error {
			hour := r.time()
			st, err := scanStats(r)
			st.Account, st.Endpoint, st.Hour = account, endpoint, hour
			list = append(list, st)
			return err
		})
	})
	return list, wrap(err, "statistics of endpoint %s", endpoint)
}

const statsColumns = `delivered, failed, given_up, latency, lag`

// scanStats reads what was counted.
func scanStats(r *row) (st webhook.Stats, err error) {
	st = webhook.Stats{Delivered: r.int(), Failed: r.int(), GivenUp: r.int()}
	for _, h := range []*webhook.Histogram{&st.Latency, &st.Lag} {
		if err == nil {
			err = readHistogram(r.blob(), h)
		}
	}
	return st, err
}

// readHistogram reads a JSON list of counts. A page of statistics has thousands
// of them, and json.Unmarshal takes ten times as long.
func readHistogram(list []byte, h *webhook.Histogram) error {
	n, digits, bucket := 0, 0, 0
	for _, c := range list[min(1, len(list)):] {
		switch {
		case c >= '0' && c <= '9' && digits < maxDigits:
			n, digits = 10*n+int(c-'0'), digits+1
		case (c == ',' || c == ']') && digits > 0 && bucket < len(h):
			h[bucket], n, digits, bucket = n, 0, 0, bucket+1
		default: // anything else than what is written here
			return json.Unmarshal(list, h)
		}
	}
	return nil
}

// maxDigits of a count are certain not to overflow.
const maxDigits = 15

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
	_, err := prepare(c, `SELECT `+statsColumns+` FROM stats WHERE endpoint = ? AND account = ? AND hour = ?`).
		text(st.Endpoint).text(st.Account).time(st.Hour).one(func(r *row) error {
		have, err := scanStats(r)
		st.Add(have)
		return err
	})
	if err != nil {
		return err
	}
	latency, err := json.Marshal(st.Latency)
	if err != nil {
		return err
	}
	lag, err := json.Marshal(st.Lag)
	if err != nil {
		return err
	}
	return prepare(c, `INSERT OR REPLACE INTO stats (endpoint, hour, account, `+statsColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`).
		text(st.Endpoint).time(st.Hour).text(st.Account).int(st.Delivered).int(st.Failed).int(st.GivenUp).text(string(latency)).text(string(lag)).exec()
}
