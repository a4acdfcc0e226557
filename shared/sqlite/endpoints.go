package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

const endpointColumns = `id, account, url, format, is_default, types, policy, secrets, old_until, status, status_reason, created_at, updated_at`

// Endpoints returns all endpoints of an account, the oldest id first. The
// caller must not change what the list holds.
func (s *Store) Endpoints(ctx context.Context, account string) ([]webhook.Endpoint, error) {
	list, writes, ok := s.endpoints.get(account)
	if ok {
		return list, nil
	}
	err := s.read(ctx, func(c conn) error {
		return prepare(c, `SELECT `+endpointColumns+` FROM endpoints WHERE account = ? ORDER BY id`).text(account).
			each(func(r *row) error {
				e, err := s.scanEndpoint(r)
				list = append(list, e)
				return err
			})
	})
	if err != nil {
		return nil, wrap(err, "endpoints of account %s", account)
	}
	s.endpoints.put(account, list, writes)
	return list, nil
}

// Endpoint returns an endpoint of the account, or webhook.ErrNotFound.
func (s *Store) Endpoint(ctx context.Context, account, id string) (webhook.Endpoint, error) {
	list, err := s.Endpoints(ctx, account)
	if err != nil {
		return webhook.Endpoint{}, err
	}
	for _, e := range list {
		if e.ID == id {
			return e, nil
		}
	}
	return webhook.Endpoint{}, fmt.Errorf("endpoint %s: %w", id, webhook.ErrNotFound)
}

// PutEndpoint creates or replaces an endpoint. It returns webhook.ErrTaken
// when the id is another account's. An account has at most one default
// endpoint: a second one is an error.
func (s *Store) PutEndpoint(ctx context.Context, e webhook.Endpoint) error {
	_, err := s.changeEndpoint(ctx, e.Account, e.ID, func(webhook.Endpoint, bool) (webhook.Endpoint, error) { return e, nil })
	return wrap(err, "endpoint %s: put", e.ID)
}

// UpdateEndpoint changes an endpoint by f, which sees it as it is and may run
// more than once. It returns webhook.ErrNotFound, or the error of f.
func (s *Store) UpdateEndpoint(ctx context.Context, account, id string, f func(webhook.Endpoint) (webhook.Endpoint, error)) (webhook.Endpoint, error) {
	e, err := s.changeEndpoint(ctx, account, id, func(old webhook.Endpoint, found bool) (webhook.Endpoint, error) {
		if !found || old.Account != account {
			return old, webhook.ErrNotFound
		}
		return f(old)
	})
	return e, wrap(err, "endpoint %s: update", id)
}

// Disable disables an endpoint, with the reason, if its URL is still url: an
// answer of the URL before says nothing of the new one.
func (s *Store) Disable(ctx context.Context, account, endpoint, url, reason string) error {
	_, err := s.UpdateEndpoint(ctx, account, endpoint, func(e webhook.Endpoint) (webhook.Endpoint, error) {
		if e.URL != url {
			return e, nil
		}
		e.Status, e.StatusReason = webhook.EndpointDisabled, reason
		return e, nil
	})
	return err
}

// DeleteEndpoint removes an endpoint of the account, or returns webhook.ErrNotFound.
func (s *Store) DeleteEndpoint(ctx context.Context, account, id string) error {
	found := false
	err := s.write(ctx, func(t *tx) error {
		err := prepare(t.Conn, `DELETE FROM endpoints WHERE id = ? AND account = ?`).text(id).text(account).exec()
		if found = t.Changes() > 0; err == nil && found {
			err = prepare(t.Conn, `DELETE FROM health WHERE endpoint = ?`).text(id).exec()
		}
		t.afterCommit(func() { s.endpoints.forget(account); s.failing.set(id, webhook.Healthy) })
		return err
	})
	return wrap(notFound(found, err), "endpoint %s: delete", id)
}

// changeEndpoint reads, changes and writes in one transaction. What f refuses
// is the caller's error, not the transaction's.
func (s *Store) changeEndpoint(ctx context.Context, account, id string, f func(old webhook.Endpoint, found bool) (webhook.Endpoint, error)) (e webhook.Endpoint, refused error) {
	err := s.write(ctx, func(t *tx) error {
		var old webhook.Endpoint
		found, err := prepare(t.Conn, `SELECT `+endpointColumns+` FROM endpoints WHERE id = ?`).text(id).
			one(func(r *row) (err error) {
				old, err = s.scanEndpoint(r)
				return err
			})
		if err != nil {
			return err
		}
		if e, refused = f(old, found); refused == nil && found && old.Account != e.Account {
			refused = webhook.ErrTaken
		}
		if refused != nil {
			return nil
		}
		t.afterCommit(func() { s.endpoints.forget(account) })
		return s.insertEndpoint(t, e)
	})
	if err == nil {
		err = refused
	}
	return e, err
}

func (s *Store) insertEndpoint(t *tx, e webhook.Endpoint) error {
	types, err := json.Marshal(e.Types)
	if err != nil {
		return err
	}
	policy, err := json.Marshal(e.Policy)
	if err != nil {
		return err
	}
	secrets, err := json.Marshal(e.Secrets)
	if err != nil {
		return err
	}
	sealed, err := s.seal.Seal(secrets, e.Account)
	if err != nil {
		return fmt.Errorf("seal secrets: %w", err)
	}
	return prepare(t.Conn, `INSERT INTO endpoints (`+endpointColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET (url, format, is_default, types, policy, secrets, old_until, status, status_reason, created_at, updated_at) =
			(excluded.url, excluded.format, excluded.is_default, excluded.types, excluded.policy, excluded.secrets,
			excluded.old_until, excluded.status, excluded.status_reason, excluded.created_at, excluded.updated_at)`).
		text(e.ID).text(e.Account).text(e.URL).text(e.Format).bool(e.Default).text(string(types)).text(string(policy)).
		blob(sealed).time(e.OldUntil).text(string(e.Status)).text(e.StatusReason).time(e.CreatedAt).time(e.UpdatedAt).exec()
}

func (s *Store) scanEndpoint(r *row) (webhook.Endpoint, error) {
	e := webhook.Endpoint{ID: r.text(), Account: r.text(), URL: r.text(), Format: r.text(), Default: r.bool()}
	types, policy, sealed := r.text(), r.text(), r.blob()
	e.OldUntil, e.Status, e.StatusReason = r.time(), webhook.EndpointStatus(r.text()), r.text()
	e.CreatedAt, e.UpdatedAt = r.time(), r.time()
	secrets, err := s.seal.Open(sealed, e.Account)
	if err != nil {
		return e, fmt.Errorf("endpoint %s: open secrets: %w", e.ID, err)
	}
	err = errors.Join(json.Unmarshal([]byte(types), &e.Types), json.Unmarshal([]byte(policy), &e.Policy),
		json.Unmarshal(secrets, &e.Secrets))
	return e, wrap(err, "endpoint %s", e.ID)
}

// checkSeal opens one endpoint's secrets: with the wrong key nobody's could be
// opened, and nothing be delivered.
func (s *Store) checkSeal(c conn) error {
	_, err := prepare(c, `SELECT `+endpointColumns+` FROM endpoints LIMIT 1`).one(func(r *row) error {
		_, err := s.scanEndpoint(r)
		return err
	})
	return wrap(err, "the endpoints' secrets were sealed with another key; restore its file from a backup")
}

// failing remembers which endpoints were last recorded as failing.
type failing struct {
	mu        sync.RWMutex
	endpoints map[string]bool
}

// Health returns the recorded health of the account's endpoints. One that is
// not listed has been healthy since it was created.
func (s *Store) Health(ctx context.Context, account string) ([]webhook.Health, error) {
	var list []webhook.Health
	err := s.read(ctx, func(c conn) error {
		return prepare(c, `SELECT h.endpoint, h.state, h.since, h.reason FROM health h
			JOIN endpoints e ON e.id = h.endpoint WHERE e.account = CAST(? AS TEXT) ORDER BY h.endpoint`).text(account). // CAST: see lists.go
			each(func(r *row) error {
				list = append(list, webhook.Health{Endpoint: r.text(), State: webhook.HealthState(r.text()), Since: r.time(), Reason: r.text()})
				return nil
			})
	})
	return list, wrap(err, "health of account %s", account)
}

// SetHealth records that an endpoint's health changed, if there still is one.
func (s *Store) SetHealth(ctx context.Context, account string, h webhook.Health) error {
	err := s.writeSoon(ctx, func(t *tx) error {
		err := prepare(t.Conn, `INSERT OR REPLACE INTO health (endpoint, state, since, reason)
			SELECT id, ?, ?, ? FROM endpoints WHERE id = ? AND account = ?`).
			text(string(h.State)).time(h.Since).text(h.Reason).text(h.Endpoint).text(account).exec()
		if t.Changes() > 0 {
			t.afterCommit(func() { s.failing.set(h.Endpoint, h.State) })
		}
		return err
	})
	return wrap(err, "endpoint %s: health", h.Endpoint)
}

func (f *failing) load(c conn) error {
	f.endpoints = map[string]bool{}
	return prepare(c, `SELECT endpoint FROM health WHERE state = ?`).text(string(webhook.Failing)).
		each(func(r *row) error {
			f.endpoints[r.text()] = true
			return nil
		})
}

func (f *failing) set(endpoint string, state webhook.HealthState) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if state == webhook.Failing {
		f.endpoints[endpoint] = true
	} else {
		delete(f.endpoints, endpoint)
	}
}

func (f *failing) has(endpoint string) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.endpoints[endpoint]
}

// defaultSecrets are those that the account's default endpoint signs with.
func defaultSecrets(list []webhook.Endpoint, now time.Time) []webhook.Secret {
	i := slices.IndexFunc(list, func(e webhook.Endpoint) bool { return e.Default })
	if i < 0 {
		return nil
	}
	return list[i].Signing(now)
}
