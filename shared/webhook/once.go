package webhook

import "time"

// Once is a request that is to be done once, however often it is sent, and the
// answer that repeats of it get (Idempotency-Key).
type Once struct {
	ID          string // a hash of the caller, the route and the caller's key
	Fingerprint string // a hash of the request; another under the same key is refused
	Status      int    // of the answer; 0 while the first request is under way
	Header      map[string]string
	Body        []byte // kept sealed: it may show a new secret
	Account     string // whose answer it is, for the seal; empty for what belongs to none
	StartedAt   time.Time
	ExpiresAt   time.Time
}

// PortalLink lets a customer in once, without a key.
type PortalLink struct {
	ID        string
	Account   string
	Hash      []byte // SHA-256 of its secret
	CreatedAt time.Time
	ExpiresAt time.Time
	UsedAt    time.Time // zero: not yet
}
