package sqlite

import (
	"context"
	"sync"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

// keepHosts is how long a host's circuit is remembered after it was open.
const keepHosts = time.Hour

const hostColumns = `host, opens, open_until, probe_until, version`

func scanHost(r *row) webhook.HostHealth {
	return webhook.HostHealth{
		Host: r.text(), Circuit: webhook.Circuit{Opens: r.int(), OpenUntil: r.time(), ProbeUntil: r.time()}, Version: r.int(),
	}
}

// hosts keeps in memory what is known of hosts.
type hosts struct {
	mu     sync.RWMutex
	byName map[string]webhook.HostHealth
}

func (h *hosts) load(c conn) error {
	h.byName = map[string]webhook.HostHealth{}
	return prepare(c, `SELECT `+hostColumns+` FROM hosts`).each(func(r *row) error {
		host := scanHost(r)
		h.byName[host.Host] = host
		return nil
	})
}

// of returns what is known of the host of a URL, which is read only if
// anything is known of any host.
func (h *hosts) of(url string, now time.Time) webhook.HostHealth {
	if h.none() {
		return webhook.HostHealth{}
	}
	name := webhook.HostOf(url)
	h.mu.RLock()
	defer h.mu.RUnlock()
	if host := h.byName[name]; !isOver(host, now) {
		return host
	}
	return webhook.HostHealth{}
}

func (h *hosts) none() bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return len(h.byName) == 0
}

func (h *hosts) set(host webhook.HostHealth) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.byName[host.Host] = host
}

// forget drops what is over, and reports whether there was any.
func (h *hosts) forget(now time.Time) (any bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, host := range h.byName {
		if isClosed(host) || isOver(host, now) {
			delete(h.byName, name)
			any = true
		}
	}
	return any
}

// isOver tells whether a host's circuit was open too long ago to be known.
func isOver(host webhook.HostHealth, now time.Time) bool {
	return !isClosed(host) && host.OpenUntil.Before(now.Add(-keepHosts))
}

// isClosed tells whether only the version is left of what was known: until
// Expire comes, it keeps those who read it before from writing.
func isClosed(host webhook.HostHealth) bool { return host.Circuit == webhook.Circuit{} }

// SetHost replaces what is known of a host, next.Version being
// read.Version + 1. It returns webhook.ErrStale when that has changed since it
// was read.
func (s *Store) SetHost(ctx context.Context, read, next webhook.HostHealth) error {
	var refused error // the caller's, not the transaction's: it would undo the whole group
	err := s.writeSoon(ctx, func(t *tx) error {
		refused = nil
		now, err := readHost(t.Conn, next.Host)
		if err == nil && now.Version != read.Version && !(read.Version == 0 && isOver(now, time.Now())) {
			refused = webhook.ErrStale
		}
		if err != nil || refused != nil {
			return err
		}
		return s.putHost(t, next)
	})
	if err == nil {
		err = refused
	}
	return wrap(err, "host %s", next.Host)
}

func (s *Store) putHost(t *tx, host webhook.HostHealth) error {
	err := prepare(t.Conn, `INSERT OR REPLACE INTO hosts (`+hostColumns+`) VALUES (?, ?, ?, ?, ?)`).
		text(host.Host).int(host.Opens).time(host.OpenUntil).time(host.ProbeUntil).int(host.Version).exec()
	if err != nil {
		return err
	}
	kept, err := readHost(t.Conn, host.Host) // with its times as the file keeps them
	t.afterCommit(func() { s.hosts.set(kept) })
	return err
}

const hostQuery = `SELECT ` + hostColumns + ` FROM hosts WHERE host = ?`

func readHost(c conn, name string) (host webhook.HostHealth, err error) {
	_, err = prepare(c, hostQuery).text(name).one(func(r *row) error {
		host = scanHost(r)
		return nil
	})
	return host, err
}

// Hosts returns those whose circuit is open, or was within the last hour, in
// the order of their names.
func (s *Store) Hosts(ctx context.Context, limit int) (list []webhook.HostHealth, err error) {
	now := time.Now()
	err = s.read(ctx, func(c conn) error {
		return prepare(c, `SELECT `+hostColumns+` FROM hosts ORDER BY host`).each(func(r *row) error {
			if len(list) >= limit {
				return errEnough
			}
			if host := scanHost(r); !isClosed(host) && !isOver(host, now) {
				list = append(list, host)
			}
			return nil
		})
	})
	return list, wrap(err, "hosts")
}

func (s *Store) expireHosts(ctx context.Context, now time.Time) error {
	if !s.hosts.forget(now) {
		return nil
	}
	return s.write(ctx, func(t *tx) error {
		return prepare(t.Conn, `DELETE FROM hosts WHERE open_until < ?`).time(now.Add(-keepHosts)).exec()
	})
}
