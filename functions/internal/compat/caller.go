package compat

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// rate is how much of its rate an account has left.
type rate struct {
	limit, remaining int
	reset            time.Time // when there is room again; zero while there is
}

// answer serves a request of whoever shows a key.
func (c *routes) answer(s system, h handler, w http.ResponseWriter, r *http.Request) error {
	account, err := c.account(r.Context(), s.key(r), r.URL.Query().Get("account"))
	if err != nil {
		return err
	}
	if err := c.count(s, w, account); err != nil {
		return err
	}
	return h(w, r, account)
}

// account returns whose objects a key shows. A platform's or an operator's key
// belongs to no account and must name one, by ?account=, which no system has;
// an account's own key shows its own, whatever is named.
func (c *routes) account(ctx context.Context, fullKey, named string) (string, error) {
	if fullKey == "" {
		return "", refuse(http.StatusUnauthorized, "There is no API key in the request.")
	}
	key, err := c.Authenticate(ctx, fullKey)
	if errors.Is(err, webhook.ErrNotFound) {
		return "", refuse(http.StatusUnauthorized, "The API key is not valid.")
	}
	if err != nil {
		return "", err
	}
	if key.Scope == webhook.ScopeAccount {
		return key.Account, nil
	}
	if job.CheckID("account", named) != nil {
		return "", refuse(http.StatusUnauthorized, "The API key belongs to no account; add ?account= with an account's id, or use an account's own key.")
	}
	return named, nil
}

// count refuses a request beyond the account's rate.
func (c *routes) count(s system, w http.ResponseWriter, account string) error {
	if c.Limit == nil {
		return nil
	}
	remaining, limit, reset, ok := c.Limit(account)
	now := rate{limit: limit, remaining: remaining}
	if !ok {
		now.reset = c.Now().Add(reset)
	}
	if s.headers != nil {
		s.headers(w, now)
	}
	if ok {
		return nil
	}
	f := refuse(http.StatusTooManyRequests, "Too many requests; wait for %d seconds.", seconds(reset))
	f.wait = max(reset, time.Second)
	return f
}

// bearer is the key of those systems that take it in the Authorization header.
func bearer(r *http.Request) string {
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(key)
}

// inQuery is the key of those that take it as a query parameter.
func inQuery(name string) func(*http.Request) string {
	return func(r *http.Request) string { return r.URL.Query().Get(name) }
}
