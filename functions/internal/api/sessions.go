package api

import (
	"context"
	"net/http"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

// sessionLasts is how long a session goes on at most. It is not made longer:
// who has signed in signs in again.
const sessionLasts = 12 * time.Hour

// signOutID is the operation that ends a session. It is not held to a rate: who
// wants to leave is let go.
const signOutID = "delete-session"

// sessionName is the name of the keys of sessions.
const sessionName = "dashboard session"

type sessionView struct {
	Key       string        `json:"key" doc:"A key of the same scope and account, for the length of the session."`
	Scope     webhook.Scope `json:"scope"`
	Account   string        `json:"account,omitempty" doc:"Absent for platforms and operators."`
	ExpiresAt string        `json:"expires_at" format:"date-time"`
}

// callerView shows the key that a request was made with.
type callerView struct {
	Scope     webhook.Scope `json:"scope"`
	Account   string        `json:"account,omitempty" doc:"Absent for platforms and operators."`
	Session   bool          `json:"session" doc:"The key was made by signing in, or with a portal link."`
	Name      string        `json:"name,omitempty"`
	ExpiresAt string        `json:"expires_at,omitempty" format:"date-time" doc:"When the key ends; absent for one without an end."`
}

func (a *API) addSessions() {
	everybody := scopes(webhook.ScopePlatform, webhook.ScopeAccount)
	tag := func(id, method, path, summary string, status int) operation {
		return operation{id: id, method: method, path: path, summary: summary, status: status, tag: "Sessions"}
	}
	open := tag("create-session", "POST", "/v1/sessions", "Trade a key for one that ends by itself", 201)
	open.details = "For browsers, which should not keep a key that has no end. It lasts 12 hours, or until the key that opened it ends or is revoked, if that is sooner. A session opens no other, and makes and revokes no keys. The sessions of one key have a rate of requests of their own, which they share."
	open.anew = true
	register(a, open, everybody, a.createSession)
	register(a, tag("get-session", "GET", "/v1/session", "Tell whose key this is", 200), everybody, a.getSession)
	register(a, tag(signOutID, "DELETE", "/v1/session", "End the session whose key this is", 204), everybody, a.deleteSession)
}

func (a *API) createSession(ctx context.Context, _ *struct{}) (*result[sessionView], error) {
	c := callerOf(ctx)
	if c.session {
		return nil, keyEnds("The key is that of a session, which opens no other.")
	}
	ends := a.Now().UTC().Add(sessionLasts)
	if !c.ends.IsZero() && c.ends.Before(ends) {
		ends = c.ends
	}
	full, err := a.openSession(ctx, webhook.Key{Scope: c.scope, Account: c.account, Name: sessionName, Opener: c.key, RevokedAt: ends})
	if err != nil {
		return nil, err
	}
	return &result[sessionView]{Body: sessionView{Key: full, Scope: c.scope, Account: c.account, ExpiresAt: stamp(ends)}}, nil
}

// openSession makes a key like this one, which ends, and returns the whole of it.
func (a *API) openSession(ctx context.Context, like webhook.Key) (string, error) {
	full, k := MintKey(a.Now(), like.Scope, like.Account, like.Name)
	k.Session, k.Opener, k.RevokedAt = true, like.Opener, like.RevokedAt
	return full, a.Store.PutKey(ctx, k)
}

func (a *API) getSession(ctx context.Context, _ *struct{}) (*result[callerView], error) {
	c := callerOf(ctx)
	return &result[callerView]{Body: callerView{Scope: c.scope, Account: c.account, Session: c.session, Name: c.name, ExpiresAt: stamp(c.ends)}}, nil
}

// deleteSession ends the session that asks for it, and nothing else: nobody
// loses a key of his server by signing out with it.
func (a *API) deleteSession(ctx context.Context, _ *struct{}) (*struct{}, error) {
	c := callerOf(ctx)
	if !c.session {
		return nil, conflict("not-session", "The key is not that of a session.")
	}
	return nil, a.revoke(ctx, c.account, c.key)
}

// mayMint refuses a key that ends where a key is to be made, which could outlive
// it. That of a platform or an operator which is being rotated has a successor
// that may, so that it may too.
func mayMint(c caller) error {
	switch {
	case c.session:
		return keyEnds("The key is that of a session, which makes no keys; use the key that it was opened with.")
	case c.scope == webhook.ScopeAccount && !c.ends.IsZero():
		return keyEnds("The key is about to end, so that it makes no other; use its successor.")
	}
	return nil
}

// mayRevoke refuses a session where a key is to be revoked: whoever has it for an
// hour must not cut off the customer's servers, which he could give no other key.
func mayRevoke(c caller) error {
	if c.session {
		return keyEnds("The key is that of a session, which revokes no keys; use the key that it was opened with.")
	}
	return nil
}

func keyEnds(detail string) error { return problem(http.StatusForbidden, detail).as("key-ends") }
