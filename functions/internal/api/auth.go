package api

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/jobhook/jobhook/shared/webhook"
)

// keyTTL is how long a key is served from memory: a key revoked by another
// process works for so long.
const keyTTL = 3 * time.Second

// caller is who makes a request.
type caller struct {
	key     string // its id
	scope   webhook.Scope
	account string // for webhook.ScopeAccount
}

type callerKey struct{}

func callerOf(ctx context.Context) caller {
	c, _ := ctx.Value(callerKey{}).(caller)
	return c
}

// require lets pass whoever holds a key of one of the scopes and has requests
// left, and a JSON body only where there is one. Without scopes it asks for no
// key.
func (a *API) require(scopes []webhook.Scope) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		_, w := humago.Unwrap(ctx)
		c, err := a.admitted(ctx, scopes, w.Header())
		if err == nil {
			err = checkContentType(ctx)
		}
		if err != nil {
			a.problemOf(ctx.Context(), err).write(w)
			return
		}
		next(huma.WithValue(ctx, callerKey{}, c))
	}
}

// admitted returns the caller, if it may call now.
func (a *API) admitted(ctx huma.Context, scopes []webhook.Scope, answer http.Header) (caller, error) {
	if scopes == nil {
		return caller{}, nil
	}
	c, err := a.authenticate(ctx, scopes)
	if err != nil {
		return caller{}, err
	}
	return c, a.admit(ctx.Context(), c, answer)
}

func (a *API) authenticate(ctx huma.Context, scopes []webhook.Scope) (caller, error) {
	full, found := strings.CutPrefix(ctx.Header("Authorization"), "Bearer ")
	if !found {
		return caller{}, unauthorized("There is no key; send Authorization: Bearer jh_live_...")
	}
	key, err := a.Authenticate(ctx.Context(), strings.TrimSpace(full))
	if errors.Is(err, webhook.ErrNotFound) {
		return caller{}, unauthorized("The key is not valid.")
	}
	if err != nil {
		return caller{}, err
	}
	for _, s := range scopes {
		if s == key.Scope {
			return caller{key: key.ID, scope: key.Scope, account: key.Account}, nil
		}
	}
	return caller{}, problem(http.StatusForbidden, "A key of scope "+string(key.Scope)+" may not do this.")
}

func unauthorized(detail string) *Problem {
	return problem(http.StatusUnauthorized, detail).with("WWW-Authenticate", "Bearer")
}

// checkContentType refuses a body that says it is something else than JSON.
func checkContentType(ctx huma.Context) error {
	if ctx.Operation().RequestBody == nil {
		return nil
	}
	whole := ctx.Header("Content-Type")
	kind, _, _ := strings.Cut(whole, ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	if kind == "" || kind == contentJSON || strings.HasSuffix(kind, "+json") {
		return nil
	}
	return problem(http.StatusUnsupportedMediaType, "The body must be JSON; send Content-Type: application/json.")
}

// accountFor returns the account that a request is about: an account's own key
// needs not name it, and can name no other.
func accountFor(ctx context.Context, asked string) (string, error) {
	c := callerOf(ctx)
	if c.scope != webhook.ScopeAccount {
		if asked == "" {
			return "", invalid("account", "it is missing", "add ?account= with the account's id")
		}
		return asked, nil
	}
	if asked != "" && asked != c.account {
		return "", webhook.ErrNotFound
	}
	return c.account, nil
}

// keyCache keeps keys in memory for a moment, so that a busy caller costs no
// read. Only keys that exist are kept, and those of the last minute alone.
type keyCache struct {
	lock    sync.RWMutex
	entries map[string]keyEntry
	swept   time.Time
	changes int // a key read before the last change is not kept
}

// keySweep is how often keys that nobody uses are dropped.
const keySweep = time.Minute

type keyEntry struct {
	key   webhook.Key
	until time.Time
}

func (c *keyCache) get(ctx context.Context, from KeyStore, id string, now time.Time) (webhook.Key, error) {
	c.lock.RLock()
	entry, changes := c.entries[id], c.changes
	c.lock.RUnlock()
	if now.Before(entry.until) {
		return entry.key, nil
	}
	key, err := from.Key(ctx, id)
	if err != nil {
		return webhook.Key{}, err
	}
	c.lock.Lock()
	defer c.lock.Unlock()
	if c.changes == changes {
		if c.entries == nil {
			c.entries = map[string]keyEntry{}
		}
		c.sweep(now)
		c.entries[id] = keyEntry{key, now.Add(keyTTL)}
	}
	return key, nil
}

func (c *keyCache) sweep(now time.Time) {
	if now.Sub(c.swept) < keySweep {
		return
	}
	maps.DeleteFunc(c.entries, func(_ string, e keyEntry) bool { return !now.Before(e.until) })
	c.swept = now
}

// forget drops a key, and whatever is being read of it at this moment.
func (c *keyCache) forget(id string) {
	c.lock.Lock()
	defer c.lock.Unlock()
	c.changes++
	delete(c.entries, id)
}
