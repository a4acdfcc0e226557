package api

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

// keyPrefix begins every key.
const keyPrefix = "jh_live_"

// Sizes of a key's parts, in characters.
const (
	keyIDChars     = 16 // 80 bits
	keySecretChars = 52 // 260 bits
	minSecretChars = 24 // of a key that was made elsewhere
	maxPartChars   = 128
)

// MintKey makes a key. The full key is shown to its owner and kept nowhere.
func MintKey(now time.Time, scope webhook.Scope, account, name string) (full string, k webhook.Key) {
	id := randomText(keyIDChars)
	secret := randomText(keySecretChars)
	return keyPrefix + id + "_" + secret, newKey(id, secret, now, scope, account, name)
}

// ImportKey is the key of a full key that was made elsewhere, such as an
// operator's in the configuration of a new host.
func ImportKey(full string, now time.Time, scope webhook.Scope, account, name string) (webhook.Key, error) {
	id, secret, err := ParseKey(full)
	if err != nil {
		return webhook.Key{}, err
	}
	return newKey(id, secret, now, scope, account, name), nil
}

func newKey(id, secret string, now time.Time, scope webhook.Scope, account, name string) webhook.Key {
	hash := sha256.Sum256([]byte(secret))
	return webhook.Key{ID: id, Account: account, Scope: scope, Name: name, Hash: hash[:], CreatedAt: now.UTC()}
}

// ParseKey splits a full key: jh_live_, an id, _ and a secret of at least 24
// characters, both letters and digits.
func ParseKey(full string) (id, secret string, err error) {
	rest, ok := strings.CutPrefix(full, keyPrefix)
	if ok {
		id, secret, ok = strings.Cut(rest, "_")
	}
	if !ok || !isPart(id, 1) || !isPart(secret, minSecretChars) {
		return "", "", errors.New("a key is jh_live_<id>_<secret>, of letters and digits, the secret at least 24 of them")
	}
	return id, secret, nil
}

func isPart(s string, shortest int) bool {
	if len(s) < shortest || len(s) > maxPartChars {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}

// randomText returns n characters of base 32, 5 random bits each.
func randomText(n int) string {
	var b strings.Builder
	for b.Len() < n {
		b.WriteString(strings.ToLower(rand.Text()))
	}
	return b.String()[:n]
}

type keyInput struct {
	Scope webhook.Scope `json:"scope,omitempty" enum:"account,platform,operator" default:"account" doc:"What the key may do. Only an operator makes platform and operator keys, which belong to no account."`
	Name  string        `json:"name,omitempty" maxLength:"200" doc:"For people."`
}

type keyView struct {
	ID        string        `json:"id"`
	Account   string        `json:"account,omitempty" doc:"Empty for platform and operator keys."`
	Scope     webhook.Scope `json:"scope"`
	Name      string        `json:"name,omitempty"`
	Key       string        `json:"key,omitempty" doc:"The whole key, shown once: when it is made."`
	CreatedAt string        `json:"created_at" format:"date-time"`
	RevokedAt string        `json:"revoked_at,omitempty" format:"date-time" doc:"It works until then, which may be in the future."`
}

func viewKey(k webhook.Key) keyView {
	return keyView{ID: k.ID, Account: k.Account, Scope: k.Scope, Name: k.Name, CreatedAt: stamp(k.CreatedAt), RevokedAt: stamp(k.RevokedAt)}
}

type (
	mintInput struct {
		Account string `path:"account"`
		Body    keyInput
	}
	mintRootInput struct{ Body keyInput }
	keysInput     struct {
		Account string `path:"account"`
		Paging
	}
	keyPath struct {
		Account string `path:"account"`
		Key     string `path:"key"`
	}
	rootKeyPath struct {
		Key string `path:"key"`
	}
	rotateKeyInput struct {
		Account string `path:"account"`
		Key     string `path:"key"`
		Body    *overlapBody
	}
	rotateRootKeyInput struct {
		Key  string `path:"key"`
		Body *overlapBody
	}
)

// overlapBody says how long an old key works beside its new one.
type overlapBody struct {
	OverlapSeconds *int `json:"overlap_seconds,omitempty" minimum:"0" maximum:"2592000" default:"86400" doc:"How long the old key still works."`
}

// keyOverlap is how long an old key works where nothing is said.
const keyOverlap = 24 * time.Hour

func (a *API) addKeys() {
	tag := func(id, method, path, summary string, status int) operation {
		return operation{id: id, method: method, path: path, summary: summary, status: status, tag: "Keys"}
	}
	everybody, operator := scopes(webhook.ScopePlatform, webhook.ScopeAccount), scopes()
	create := tag("create-key", "POST", "/v1/accounts/{account}/keys", "Make a key", 201)
	create.details = mintNote
	register(a, create, everybody, a.mintKey)
	list := tag("list-keys", "GET", "/v1/accounts/{account}/keys", "List the keys of an account", 200)
	list.details = "Those of sessions are left out."
	register(a, list, everybody, a.listKeys)
	revoke := tag("revoke-key", "DELETE", "/v1/accounts/{account}/keys/{key}", "Revoke a key", 204)
	revoke.details = "It ends the sessions that were opened with it too. A session revokes none."
	register(a, revoke, everybody, a.revokeKey)
	register(a, tag("create-root-key", "POST", "/v1/keys", "Make a platform or operator key", 201), operator,
		func(ctx context.Context, in *mintRootInput) (*result[keyView], error) {
			return a.mint(ctx, "", in.Body)
		})
	register(a, tag("list-root-keys", "GET", "/v1/keys", "List the platform and operator keys", 200), operator,
		func(ctx context.Context, in *Paging) (*result[page[keyView]], error) { return a.keyList(ctx, "", *in) })
	register(a, tag("revoke-root-key", "DELETE", "/v1/keys/{key}", "Revoke a platform or operator key", 204), operator,
		func(ctx context.Context, in *rootKeyPath) (*struct{}, error) { return nil, a.revokeAs(ctx, "", in.Key) })
	rotate := tag("rotate-key", "POST", "/v1/accounts/{account}/keys/{key}:rotate", "Make a new key in place of an old one", 201)
	rotate.details = mintNote
	register(a, rotate, everybody, func(ctx context.Context, in *rotateKeyInput) (*result[keyView], error) {
		account, err := accountFor(ctx, in.Account)
		if err != nil {
			return nil, err
		}
		return a.rotateKey(ctx, account, in.Key, in.Body)
	})
	register(a, tag("rotate-root-key", "POST", "/v1/keys/{key}:rotate", "Make a new platform or operator key in place of an old one", 201), operator,
		func(ctx context.Context, in *rotateRootKeyInput) (*result[keyView], error) {
			return a.rotateKey(ctx, "", in.Key, in.Body)
		})
}

// mintNote describes the routes that make keys.
const mintNote = "An account's own key makes keys of that account alone, and only if it has no end itself. A session makes none."

func (a *API) mintKey(ctx context.Context, in *mintInput) (*result[keyView], error) {
	account, err := accountFor(ctx, in.Account)
	if err != nil {
		return nil, err
	}
	if in.Body.Scope != webhook.ScopeAccount && callerOf(ctx).scope != webhook.ScopeOperator {
		return nil, problem(http.StatusForbidden, "Only an operator makes platform and operator keys.")
	}
	if _, err := a.Store.Account(ctx, account); err != nil {
		return nil, err
	}
	return a.mint(ctx, account, in.Body)
}

func (a *API) mint(ctx context.Context, account string, in keyInput) (*result[keyView], error) {
	if err := mayMint(callerOf(ctx)); err != nil {
		return nil, err
	}
	if in.Scope != webhook.ScopeAccount {
		account = ""
	} else if account == "" {
		return nil, invalid("scope", "a key of an account is made under that account", "POST it to /v1/accounts/{account}/keys")
	}
	full, k := MintKey(a.Now(), in.Scope, account, in.Name)
	if err := a.Store.PutKey(ctx, k); err != nil {
		return nil, err
	}
	view := viewKey(k)
	view.Key = full
	return &result[keyView]{Body: view}, nil
}

// rotateKey makes a key like another, which still works for a while. A key that
// ends anyhow gets no successor: a customer's session must not become a key for
// ever.
func (a *API) rotateKey(ctx context.Context, account, id string, in *overlapBody) (*result[keyView], error) {
	if err := mayMint(callerOf(ctx)); err != nil {
		return nil, err
	}
	old, err := a.Store.Key(ctx, id)
	if err != nil {
		return nil, err
	}
	if old.Account != account {
		return nil, webhook.ErrNotFound
	}
	if !old.RevokedAt.IsZero() {
		return nil, conflict("key-ending", "The key is revoked, or about to end; make another.")
	}
	overlap := keyOverlap
	if in != nil && in.OverlapSeconds != nil {
		overlap = time.Duration(*in.OverlapSeconds) * time.Second
	}
	full, k := MintKey(a.Now(), old.Scope, old.Account, old.Name)
	if err := a.Store.PutKey(ctx, k); err != nil {
		return nil, err
	}
	if err := a.Store.RevokeKey(ctx, account, id, a.Now().UTC().Add(overlap)); err != nil {
		return nil, err
	}
	view := viewKey(k)
	view.Key = full
	return &result[keyView]{Body: view}, nil
}

func (a *API) listKeys(ctx context.Context, in *keysInput) (*result[page[keyView]], error) {
	account, err := accountFor(ctx, in.Account)
	if err != nil {
		return nil, err
	}
	if _, err := a.Store.Account(ctx, account); err != nil {
		return nil, err
	}
	return a.keyList(ctx, account, in.Paging)
}

// keyList is a page of keys, the oldest first. Its cursor is a key's id. The
// store gives all at once.
func (a *API) keyList(ctx context.Context, account string, in Paging) (*result[page[keyView]], error) {
	keys, err := a.Store.Keys(ctx, account)
	if err != nil {
		return nil, err
	}
	if in.After != "" {
		last := slices.IndexFunc(keys, func(k webhook.Key) bool { return k.ID == in.After })
		if last < 0 {
			return nil, webhook.ErrCursor
		}
		keys = keys[last+1:]
	}
	next := ""
	if len(keys) > in.Limit {
		keys, next = keys[:in.Limit], keys[in.Limit-1].ID
	}
	return pageOf(keys, viewKey, next), nil
}

func (a *API) revokeKey(ctx context.Context, in *keyPath) (*struct{}, error) {
	account, err := accountFor(ctx, in.Account)
	if err != nil {
		return nil, err
	}
	return nil, a.revokeAs(ctx, account, in.Key)
}

// revokeAs revokes a key if the caller may.
func (a *API) revokeAs(ctx context.Context, account, id string) error {
	if err := mayRevoke(callerOf(ctx)); err != nil {
		return err
	}
	return a.revoke(ctx, account, id)
}

func (a *API) revoke(ctx context.Context, account, id string) error {
	return a.Store.RevokeKey(ctx, account, id, a.Now().UTC())
}
