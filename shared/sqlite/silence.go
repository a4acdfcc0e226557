package sqlite

import (
	"context"
	"sync"
	"time"
)

// silences keeps in memory which URLs nobody calls, and until when.
type silences struct {
	mu    sync.RWMutex
	until map[string]time.Time
}

func (s *silences) load(c conn) error {
	s.until = map[string]time.Time{}
	return prepare(c, `SELECT url, until FROM silences`).each(func(r *row) error {
		s.until[r.text()] = r.time()
		return nil
	})
}

func (s *silences) get(url string) time.Time {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.until[url]
}

// extend keeps the later end, and reports whether that is a change.
func (s *silences) extend(url string, until time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !until.After(s.until[url]) {
		return false
	}
	s.until[url] = until
	return true
}

// forget drops what was over before then, and reports whether there was any.
func (s *silences) forget(before time.Time) (any bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for url, until := range s.until {
		if until.Before(before) {
			delete(s.until, url)
			any = true
		}
	}
	return any
}

// Silence keeps everybody from calling the exact URL until then. It holds in
// this process at once, and is kept for the next one.
func (s *Store) Silence(ctx context.Context, url string, until time.Time) error {
	if !s.silences.extend(url, until) {
		return nil
	}
	err := s.write(ctx, func(t *tx) error {
		return prepare(t.Conn, `INSERT INTO silences (url, until) VALUES (?, ?)
			ON CONFLICT (url) DO UPDATE SET until = max(until, excluded.until)`).text(url).time(until).exec()
	})
	return wrap(err, "silence a URL")
}
