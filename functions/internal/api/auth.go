package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/jobhook/jobhook/shared/webhook"
)

// caller is who makes a request.
type caller struct {
	key     string // its id
	name    string // the key's
	scope   webhook.Scope
	account string    // for webhook.ScopeAccount
	ends    time.Time // when the key does; zero: never
	session bool      // the key is that of a session
	opener  string    // id of the key that opened the session; empty: a portal link did
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
	if err != nil || ctx.Operation().OperationID == signOutID {
		return c, err
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
			return caller{key: key.ID, name: key.Name, scope: key.Scope, account: key.Account, ends: key.RevokedAt, session: key.Session, opener: key.Opener}, nil
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
