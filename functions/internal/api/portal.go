package api

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

// portalPrefix begins the token of a portal link.
const portalPrefix = "pl_"

// How long a portal link waits for its one click, and the session that it
// opens lasts.
const (
	portalLinkLasts    = time.Hour
	portalSessionLasts = time.Hour
)

// portalName is the name of the keys of portal sessions.
const portalName = "portal session"

type portalLinkView struct {
	URL       string `json:"url" doc:"Works once; shown once."`
	ExpiresAt string `json:"expires_at" format:"date-time"`
}

type portalSessionBody struct {
	Token string `json:"token" doc:"The token of the link."`
}

type portalSessionView struct {
	Key       string `json:"key" doc:"A key of the account, for the length of the session."`
	Account   string `json:"account"`
	ExpiresAt string `json:"expires_at" format:"date-time"`
}

type portalSessionInput struct{ Body portalSessionBody }

func (a *API) addPortal() {
	register(a, operation{id: "create-portal-link", method: "POST", path: "/v1/accounts/{account}/portal-links", tag: "Portal", status: 201,
		summary: "Make a link that lets a customer in", details: "It works once, within an hour, and opens a session of an hour. One that a session makes ends no later than that."},
		scopes(webhook.ScopePlatform), a.createPortalLink)
	register(a, operation{id: "create-portal-session", method: "POST", path: "/v1/portal-sessions", tag: "Portal", status: 201,
		summary: "Trade the token of a portal link for a key", details: "Needs no key: the token is one. Used, expired and wrong ones are all refused alike."},
		nil, a.createPortalSession)
}

func (a *API) createPortalLink(ctx context.Context, in *accountPath) (*result[portalLinkView], error) {
	if _, err := a.Store.Account(ctx, in.Account); err != nil {
		return nil, err
	}
	now := a.Now().UTC()
	id, secret := randomText(keyIDChars), randomText(keySecretChars)
	hash, expires := sha256.Sum256([]byte(secret)), now.Add(portalLinkLasts)
	if c := callerOf(ctx); c.session && c.ends.Before(expires) {
		expires = c.ends
	}
	link := webhook.PortalLink{ID: id, Account: in.Account, Hash: hash[:], CreatedAt: now, ExpiresAt: expires}
	if err := a.Store.PutPortalLink(ctx, link); err != nil {
		return nil, err
	}
	token := portalPrefix + id + "_" + secret
	return &result[portalLinkView]{Body: portalLinkView{
		URL:       strings.TrimRight(a.PublicURL, "/") + "/portal?" + url.Values{"token": {token}}.Encode(),
		ExpiresAt: stamp(link.ExpiresAt),
	}}, nil
}

// createPortalSession spends a link. It is spent even if the key is not made
// after all: the customer asks for another.
func (a *API) createPortalSession(ctx context.Context, in *portalSessionInput) (*result[portalSessionView], error) {
	refused := unauthorized("The link is not valid: it was used, has expired, or never was one. Ask for another.")
	id, secret, ok := parsePortalToken(in.Body.Token)
	if !ok {
		return nil, refused
	}
	now, hash := a.Now().UTC(), sha256.Sum256([]byte(secret))
	link, err := a.Store.UsePortalLink(ctx, id, hash[:], now)
	if errors.Is(err, webhook.ErrNotFound) {
		return nil, refused
	}
	if err != nil {
		return nil, err
	}
	ends := now.Add(portalSessionLasts)
	full, err := a.openSession(ctx, webhook.Key{Scope: webhook.ScopeAccount, Account: link.Account, Name: portalName, RevokedAt: ends})
	if err != nil {
		return nil, err
	}
	return &result[portalSessionView]{Body: portalSessionView{Key: full, Account: link.Account, ExpiresAt: stamp(ends)}}, nil
}

func parsePortalToken(token string) (id, secret string, ok bool) {
	rest, ok := strings.CutPrefix(token, portalPrefix)
	if !ok {
		return "", "", false
	}
	id, secret, ok = strings.Cut(rest, "_")
	return id, secret, ok && isPart(id, 1) && isPart(secret, minSecretChars)
}
