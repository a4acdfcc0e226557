package sqlite

import (
	"context"
	"sync"

	"github.com/jobhook/jobhook/shared/webhook"
)

// healthColumns are those of scanHealth and bindHealth.
const healthColumns = `endpoint, state, since, reason, warned, opens, open_until, probe_until, paused_until, slow, slow_at, version`

func scanHealth(r *row) webhook.Health {
	return webhook.Health{
		Endpoint: r.text(), State: webhook.HealthState(r.text()), Since: r.time(), Reason: r.text(), Warned: r.int(),
		Circuit:     webhook.Circuit{Opens: r.int(), OpenUntil: r.time(), ProbeUntil: r.time()},
		PausedUntil: r.time(), Slow: r.int(), SlowAt: r.time(), Version: r.int(),
	}
}

func bindHealth(b *binder, h webhook.Health) *binder {
	return b.text(h.Endpoint).text(string(h.State)).time(h.Since).text(h.Reason).int(h.Warned).
		int(h.Opens).time(h.OpenUntil).time(h.ProbeUntil).time(h.PausedUntil).int(h.Slow).time(h.SlowAt).int(h.Version)
}

// healthMemory is the health of all endpoints that have one. All writes pass
// through this process, so it is exact.
type healthMemory struct {
	mu        sync.RWMutex
	endpoints map[string]webhook.Health
}

func (m *healthMemory) load(c conn) error {
	m.endpoints = map[string]webhook.Health{}
	return prepare(c, `SELECT `+healthColumns+` FROM health`).each(func(r *row) error {
		h := scanHealth(r)
		m.endpoints[h.Endpoint] = h
		return nil
	})
}

// of returns an endpoint's health, of which nothing may be known.
func (m *healthMemory) of(endpoint string) webhook.Health {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if h, ok := m.endpoints[endpoint]; ok {
		return h
	}
	return webhook.Health{Endpoint: endpoint}
}

func (m *healthMemory) set(h webhook.Health) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.endpoints[h.Endpoint] = h
}

func (m *healthMemory) remove(endpoint string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.endpoints, endpoint)
}

const (
	healthQuery = `SELECT ` + healthColumns + ` FROM endpoints e INDEXED BY endpoints_account CROSS JOIN health h ON h.endpoint = e.id
	WHERE e.account = CAST(? AS TEXT) ORDER BY e.id` // CAST: see lists.go
	oneHealthQuery = `SELECT ` + healthColumns + ` FROM health WHERE endpoint = ?`
	ownerQuery     = `SELECT 1 FROM endpoints WHERE id = ? AND account = ?`
)

// Health returns what is known of the account's endpoints, in the order of
// their ids. Of one that is not listed nothing is known.
func (s *Store) Health(ctx context.Context, account string) ([]webhook.Health, error) {
	var list []webhook.Health
	err := s.read(ctx, func(c conn) error {
		return prepare(c, healthQuery).text(account).each(func(r *row) error {
			if h := scanHealth(r); h != forgotten(h) {
				list = append(list, h)
			}
			return nil
		})
	})
	return list, wrap(err, "health of account %s", account)
}

// forgotten is what is left of health when it is forgotten: its version.
func forgotten(h webhook.Health) webhook.Health {
	return webhook.Health{Endpoint: h.Endpoint, Version: h.Version}
}

// HealthOf returns what is known of one endpoint of the account, read from the
// file, or webhook.ErrNotFound when there is no such endpoint.
func (s *Store) HealthOf(ctx context.Context, account, endpoint string) (h webhook.Health, err error) {
	err = s.readOne(ctx, func(c conn) (found bool, err error) {
		err = snapshot(c, func() error {
			if found, err = isOwner(c, account, endpoint); err != nil || !found {
				return err
			}
			h, err = readHealth(c, endpoint)
			return err
		})
		return found, err
	})
	return h, wrap(err, "endpoint %s: health", endpoint)
}

func isOwner(c conn, account, endpoint string) (bool, error) {
	return prepare(c, ownerQuery).text(endpoint).text(account).one(func(*row) error { return nil })
}

func readHealth(c conn, endpoint string) (webhook.Health, error) {
	h := webhook.Health{Endpoint: endpoint}
	_, err := prepare(c, oneHealthQuery).text(endpoint).one(func(r *row) error {
		h = scanHealth(r)
		return nil
	})
	return h, err
}

// SetHealth replaces what is known of the endpoint, next.Version being
// read.Version + 1, and keeps the notices in the same write. It returns
// webhook.ErrStale when that has changed since it was read, and
// webhook.ErrNotFound when the account has no such endpoint.
func (s *Store) SetHealth(ctx context.Context, account string, read, next webhook.Health, told ...webhook.Notice) error {
	var refused error // the caller's, not the transaction's: it would undo the whole group
	err := s.writeSoon(ctx, func(t *tx) error {
		refused = nil
		found, err := isOwner(t.Conn, account, next.Endpoint)
		if err != nil || !found {
			refused = webhook.ErrNotFound
			return err
		}
		now, err := readHealth(t.Conn, next.Endpoint)
		if err != nil || now.Version != read.Version {
			refused = webhook.ErrStale
			return err
		}
		if err := s.putHealth(t, next); err != nil {
			return err
		}
		return putNotices(t.Conn, told)
	})
	if err == nil {
		err = refused
	}
	return wrap(err, "endpoint %s: health", next.Endpoint)
}

func (s *Store) putHealth(t *tx, h webhook.Health) error {
	err := bindHealth(prepare(t.Conn, `INSERT OR REPLACE INTO health (`+healthColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`), h).exec()
	if err != nil {
		return err
	}
	kept, err := readHealth(t.Conn, h.Endpoint) // with its times as the file keeps them
	t.afterCommit(func() { s.health.set(kept) })
	return err
}

// forgetHealth forgets what is known of an endpoint, and makes everybody who
// has read it stale.
func (s *Store) forgetHealth(t *tx, endpoint string) error {
	h, err := readHealth(t.Conn, endpoint)
	if err != nil {
		return err
	}
	h.Version++
	return s.putHealth(t, forgotten(h))
}

func (s *Store) removeHealth(t *tx, endpoint string) error {
	t.afterCommit(func() { s.health.remove(endpoint) })
	return prepare(t.Conn, `DELETE FROM health WHERE endpoint = ?`).text(endpoint).exec()
}
