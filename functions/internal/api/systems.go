package api

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

// Authenticate returns the key that a caller shows whole. It returns
// webhook.ErrNotFound for one that is malformed, unknown or no longer valid. Each
// time it is read anew: whichever process revoked it, it is refused at once.
func (a *API) Authenticate(ctx context.Context, full string) (webhook.Key, error) {
	id, secret, err := ParseKey(full)
	if err != nil {
		return webhook.Key{}, webhook.ErrNotFound
	}
	key, err := a.Store.Key(ctx, id)
	if err != nil {
		return webhook.Key{}, err
	}
	if sum := sha256.Sum256([]byte(secret)); subtle.ConstantTimeCompare(sum[:], key.Hash) != 1 || !key.Valid(a.Now()) {
		return webhook.Key{}, webhook.ErrNotFound
	}
	return key, a.checkOpener(ctx, key)
}

// checkOpener refuses the key of a session as one that is not there when the key
// that opened it is gone or no longer valid: who revokes a key shuts out all
// that came in by it. A session of the portal has no such key.
func (a *API) checkOpener(ctx context.Context, k webhook.Key) error {
	if k.Opener == "" {
		return nil
	}
	opener, err := a.Store.Key(ctx, k.Opener)
	if err == nil && !opener.Valid(a.Now()) {
		err = webhook.ErrNotFound
	}
	return err
}

// Allow counts a request of an account against its rate: how many may follow at
// once, of how many, and how long until there is room for more. It reports false
// when this one is too many. An account whose quota cannot be read has that of
// all others.
func (a *API) Allow(account string) (remaining, limit int, reset time.Duration, ok bool) {
	q, _ := a.Store.Quotas(context.Background(), account)
	all := a.limits.take("account "+account, firstPositive(q.RequestRate, a.Rate, accountRate), a.Now())
	if all.wait > 0 {
		return 0, all.perSecond * burstSeconds, all.wait, false
	}
	return all.left, all.perSecond * burstSeconds, all.full, true
}
