package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

const endpointColumns = `id, account, url, format, is_default, types, policy, secrets, headers, old_until, status, status_reason, created_at, updated_at`

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
	if i, ok := find(list, id); ok {
		return list[i], nil
	}
	return webhook.Endpoint{}, fmt.Errorf("endpoint %s: %w", id, webhook.ErrNotFound)
}

// PutEndpoint creates or replaces an endpoint. It returns webhook.ErrTaken
// when the id is another account's. An account has at most one default
// endpoint: a second one is an error.
func (s *Store) PutEndpoint(ctx context.Context, e webhook.Endpoint) error {
	_, err := s.changeEndpoint(ctx, e.Account, e.ID, func(webhook.Endpoint, bool) (changed, error) { return changed{endpoint: e}, nil })
	return wrap(err, "endpoint %s: put", e.ID)
}

// UpdateEndpoint changes an endpoint by f, which sees it as it is and may run
// more than once. It returns webhook.ErrNotFound, or the error of f.
func (s *Store) UpdateEndpoint(ctx context.Context, account, id string, f func(webhook.Endpoint) (webhook.Endpoint, error)) (webhook.Endpoint, error) {
	e, err := s.changeEndpoint(ctx, account, id, func(old webhook.Endpoint, found bool) (changed, error) {
		if !found || old.Account != account {
			return changed{endpoint: old}, webhook.ErrNotFound
		}
		next, err := f(old)
		return changed{endpoint: next}, err
	})
	return e, wrap(err, "endpoint %s: update", id)
}

// Disable disables an endpoint, with the reason, if its URL is still url: an
// answer of the URL before says nothing of the new one. The notices are kept in
// the same write. One that is disabled already, or that somebody paused, stays as
// it is, and nothing is told.
func (s *Store) Disable(ctx context.Context, account, endpoint, url, reason string, told ...webhook.Notice) error {
	_, err := s.changeEndpoint(ctx, account, endpoint, func(e webhook.Endpoint, found bool) (changed, error) {
		if !found || e.Account != account {
			return changed{endpoint: e}, webhook.ErrNotFound
		}
		if e.URL != url || e.Status != webhook.EndpointEnabled {
			return changed{endpoint: e}, nil
		}
		e.Status, e.StatusReason, e.UpdatedAt = webhook.EndpointDisabled, reason, time.Now()
		return changed{e, told}, nil
	})
	return wrap(err, "endpoint %s: disable", endpoint)
}

// DeleteEndpoint removes an endpoint of the account, or returns webhook.ErrNotFound.
func (s *Store) DeleteEndpoint(ctx context.Context, account, id string) error {
	found := false
	err := s.write(ctx, func(t *tx) error {
		err := prepare(t.Conn, `DELETE FROM endpoints WHERE id = ? AND account = ?`).text(id).text(account).exec()
		if found = t.Changes() > 0; err != nil || !found {
			return err
		}
		t.afterCommit(func() { s.endpoints.forget(account) })
		return s.removeHealth(t, id)
	})
	return wrap(notFound(found, err), "endpoint %s: delete", id)
}

// changed is what becomes of an endpoint, and what is told of it.
type changed struct {
	endpoint webhook.Endpoint
	told     []webhook.Notice
}

// changeEndpoint reads, changes and writes in one transaction. What f refuses
// is the caller's error, not the transaction's.
func (s *Store) changeEndpoint(ctx context.Context, account, id string, f func(old webhook.Endpoint, found bool) (changed, error)) (e webhook.Endpoint, refused error) {
	err := s.write(ctx, func(t *tx) error {
		old, found, err := s.readEndpoint(t.Conn, id)
		if err != nil {
			return err
		}
		next, err := f(old, found)
		e, refused = next.endpoint, err
		if refused == nil && found && old.Account != e.Account {
			refused = webhook.ErrTaken
		}
		if refused != nil {
			return nil
		}
		t.afterCommit(func() { s.endpoints.forget(account) })
		if found && forgets(old, e) {
			if err := s.forgetHealth(t, id); err != nil {
				return err
			}
		}
		if err := s.insertEndpoint(t, e); err != nil {
			return err
		}
		return putNotices(t.Conn, next.told)
	})
	if err == nil {
		err = refused
	}
	return e, err
}

// forgets tells whether what is known of an endpoint's health says nothing of
// what it becomes.
func forgets(old, next webhook.Endpoint) bool {
	resumed := old.Status != webhook.EndpointEnabled && next.Status == webhook.EndpointEnabled
	return resumed || old.URL != next.URL
}

func (s *Store) readEndpoint(c conn, id string) (e webhook.Endpoint, found bool, err error) {
	found, err = prepare(c, `SELECT `+endpointColumns+` FROM endpoints WHERE id = ?`).text(id).
		one(func(r *row) (err error) {
			e, err = s.scanEndpoint(r)
			return err
		})
	return e, found, err
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
	secrets, err := s.sealList(e.Secrets, e.Account)
	if err != nil {
		return fmt.Errorf("seal secrets: %w", err)
	}
	var headers []byte
	if len(e.Headers) > 0 {
		if headers, err = s.sealList(e.Headers, e.Account); err != nil {
			return fmt.Errorf("seal headers: %w", err)
		}
	}
	return prepare(t.Conn, `INSERT INTO endpoints (`+endpointColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET (url, format, is_default, types, policy, secrets, headers, old_until, status, status_reason, created_at, updated_at) =
			(excluded.url, excluded.format, excluded.is_default, excluded.types, excluded.policy, excluded.secrets, excluded.headers,
			excluded.old_until, excluded.status, excluded.status_reason, excluded.created_at, excluded.updated_at)`).
		text(e.ID).text(e.Account).text(e.URL).text(e.Format).bool(e.Default).text(string(types)).text(string(policy)).
		blob(secrets).blob(headers).time(e.OldUntil).text(string(e.Status)).text(e.StatusReason).time(e.CreatedAt).time(e.UpdatedAt).exec()
}

func (s *Store) scanEndpoint(r *row) (webhook.Endpoint, error) {
	e := webhook.Endpoint{ID: r.text(), Account: r.text(), URL: r.text(), Format: r.text(), Default: r.bool()}
	types, policy, secrets, headers := r.text(), r.text(), r.blob(), r.blob()
	e.OldUntil, e.Status, e.StatusReason = r.time(), webhook.EndpointStatus(r.text()), r.text()
	e.CreatedAt, e.UpdatedAt = r.time(), r.time()
	if err := s.openList(secrets, e.Account, &e.Secrets); err != nil {
		return e, fmt.Errorf("endpoint %s: open secrets: %w", e.ID, err)
	}
	if len(headers) > 0 {
		if err := s.openList(headers, e.Account, &e.Headers); err != nil {
			return e, fmt.Errorf("endpoint %s: open headers: %w", e.ID, err)
		}
	}
	err := errors.Join(json.Unmarshal([]byte(types), &e.Types), json.Unmarshal([]byte(policy), &e.Policy))
	return e, wrap(err, "endpoint %s", e.ID)
}

// sealList seals a list as JSON.
func (s *Store) sealList(list any, account string) ([]byte, error) {
	plain, err := json.Marshal(list)
	if err != nil {
		return nil, err
	}
	return s.seal.Seal(plain, account)
}

// openList opens what sealList sealed.
func (s *Store) openList(sealed []byte, account string, list any) error {
	plain, err := s.seal.Open(sealed, account)
	if err != nil {
		return err
	}
	return json.Unmarshal(plain, list)
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

// defaultSecrets are those that the account's default endpoint signs with.
func defaultSecrets(list []webhook.Endpoint, now time.Time) []webhook.Secret {
	i := slices.IndexFunc(list, func(e webhook.Endpoint) bool { return e.Default })
	if i < 0 {
		return nil
	}
	return list[i].Signing(now)
}

// find returns the place of an endpoint in a list in the order of their ids.
func find(list []webhook.Endpoint, id string) (i int, ok bool) {
	return slices.BinarySearchFunc(list, id, func(e webhook.Endpoint, id string) int { return strings.Compare(e.ID, id) })
}
