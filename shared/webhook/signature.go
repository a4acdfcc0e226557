package webhook

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Headers of a signed webhook, Standard Webhooks 1.0.0. Their canonical form
// in net/http is the same as any other case on the wire.
const (
	HeaderID        = "Webhook-Id"
	HeaderTimestamp = "Webhook-Timestamp"
	HeaderSignature = "Webhook-Signature"
)

// Prefixes of secrets and keys.
const (
	PrefixHMAC    = "whsec_" // 24 to 64 bytes, shared with the receiver
	PrefixPrivate = "whsk_"  // ed25519 private key: stays here
	PrefixPublic  = "whpk_"  // ed25519 public key: the receiver's
)

// Bounds of an HMAC secret, in bytes.
const (
	minSecretBytes = 24
	maxSecretBytes = 64
)

// Tolerance is how far a receiver lets the timestamp be from its own clock.
const Tolerance = 5 * time.Minute

// MaxSecrets is how many secrets of an endpoint are live at once: the new one
// and, while it is being rotated, the old one.
const MaxSecrets = 2

// ErrSignature is what Verify returns for a webhook that must not be trusted.
var ErrSignature = errors.New("the signature does not match")

// Secret is a signing secret in its written form, "whsec_..." or "whsk_...".
type Secret string

// String hides the secret from logs.
func (Secret) String() string { return "whsec_***" }

// GoString hides the secret from %#v.
func (s Secret) GoString() string { return s.String() }

// LogValue hides the secret from slog, whose JSON handler would otherwise write
// what encoding/json does: the real value, which stores need. It does not reach
// a secret inside another logged value.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// NewSecret makes an HMAC secret of 32 random bytes.
func NewSecret() Secret {
	var b [32]byte
	rand.Read(b[:]) // never fails, see crypto/rand
	return Secret(PrefixHMAC + base64.StdEncoding.EncodeToString(b[:]))
}

// NewKeyPair makes an ed25519 key: the secret to sign with, and the public key
// ("whpk_...") that receivers verify with.
func NewKeyPair() (Secret, string) {
	public, private, _ := ed25519.GenerateKey(nil) // never fails with the default reader
	return Secret(PrefixPrivate + base64.StdEncoding.EncodeToString(private)),
		PrefixPublic + base64.StdEncoding.EncodeToString(public)
}

// Check tells why a secret cannot be signed with.
func (s Secret) Check() error {
	_, err := s.signer()
	return err
}

// signer returns the function that signs, with its version tag.
func (s Secret) signer() (func(content []byte) string, error) {
	if rest, ok := strings.CutPrefix(string(s), PrefixHMAC); ok {
		key, err := base64.StdEncoding.DecodeString(rest)
		if err != nil || len(key) < minSecretBytes || len(key) > maxSecretBytes {
			return nil, fmt.Errorf("a %s secret is %d to %d bytes in base64", PrefixHMAC, minSecretBytes, maxSecretBytes)
		}
		return func(content []byte) string { return "v1," + encodedHMAC(key, content) }, nil
	}
	rest, ok := strings.CutPrefix(string(s), PrefixPrivate)
	if !ok {
		return nil, fmt.Errorf("a secret begins with %s or %s", PrefixHMAC, PrefixPrivate)
	}
	key, err := base64.StdEncoding.DecodeString(rest)
	switch {
	case err == nil && len(key) == ed25519.SeedSize:
		key = ed25519.NewKeyFromSeed(key)
	case err != nil || len(key) != ed25519.PrivateKeySize:
		return nil, fmt.Errorf("a %s key is an ed25519 private key (64 bytes) or seed (32 bytes) in base64", PrefixPrivate)
	}
	return func(content []byte) string {
		return "v1a," + base64.StdEncoding.EncodeToString(ed25519.Sign(key, content))
	}, nil
}

// Public returns the public key ("whpk_...") of an ed25519 secret, and "" for
// an HMAC secret.
func (s Secret) Public() string {
	rest, ok := strings.CutPrefix(string(s), PrefixPrivate)
	if !ok {
		return ""
	}
	key, err := base64.StdEncoding.DecodeString(rest)
	if err == nil && len(key) == ed25519.SeedSize {
		key = ed25519.NewKeyFromSeed(key)
	}
	if err != nil || len(key) != ed25519.PrivateKeySize {
		return ""
	}
	return PrefixPublic + base64.StdEncoding.EncodeToString(key[ed25519.SeedSize:])
}

// Sign sets the three headers of a signed webhook: id is the message's and
// stays, at is the attempt's. With two secrets the header carries both
// signatures, so that a receiver can change over at leisure. Without a secret
// only id and timestamp are set.
func Sign(h http.Header, secrets []Secret, id string, at time.Time, body []byte) error {
	timestamp := strconv.FormatInt(at.Unix(), 10)
	h.Set(HeaderID, id)
	h.Set(HeaderTimestamp, timestamp)
	content := signedContent(id, timestamp, body)
	var signatures []string
	for i, s := range secrets {
		sign, err := s.signer()
		if err != nil {
			return fmt.Errorf("secret %d: %w", i+1, err)
		}
		signatures = append(signatures, sign(content))
	}
	if len(signatures) > 0 {
		h.Set(HeaderSignature, strings.Join(signatures, " "))
	}
	return nil
}

// Verify checks a received webhook against keys, each a "whsec_" secret or a
// "whpk_" public key. It returns an error that wraps ErrSignature when no
// signature matches a key, a header is missing, or the timestamp is further
// than Tolerance from now.
func Verify(h http.Header, keys []string, now time.Time, body []byte) error {
	id, timestamp := h.Get(HeaderID), h.Get(HeaderTimestamp)
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if id == "" || err != nil {
		return fmt.Errorf("headers webhook-id and webhook-timestamp: missing or malformed: %w", ErrSignature)
	}
	if now.Sub(time.Unix(seconds, 0)).Abs() > Tolerance {
		return fmt.Errorf("webhook-timestamp: too far from now: %w", ErrSignature)
	}
	content := signedContent(id, timestamp, body)
	for signature := range strings.FieldsSeq(h.Get(HeaderSignature)) {
		for _, key := range keys {
			if matches(signature, key, content) {
				return nil
			}
		}
	}
	return ErrSignature
}

func matches(signature, key string, content []byte) bool {
	version, encoded, _ := strings.Cut(signature, ",")
	if rest, ok := strings.CutPrefix(key, PrefixHMAC); ok && version == "v1" {
		secret, err := base64.StdEncoding.DecodeString(rest)
		return err == nil && len(secret) >= minSecretBytes && subtle.ConstantTimeCompare([]byte(encoded), []byte(encodedHMAC(secret, content))) == 1
	}
	rest, ok := strings.CutPrefix(key, PrefixPublic)
	if !ok || version != "v1a" {
		return false
	}
	public, err := base64.StdEncoding.DecodeString(rest)
	signed, err2 := base64.StdEncoding.DecodeString(encoded)
	return err == nil && err2 == nil && len(public) == ed25519.PublicKeySize && ed25519.Verify(public, content, signed)
}

func signedContent(id, timestamp string, body []byte) []byte {
	b := make([]byte, 0, len(id)+len(timestamp)+len(body)+2)
	b = append(append(b, id...), '.')
	b = append(append(b, timestamp...), '.')
	return append(b, body...)
}

func encodedHMAC(key, content []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write(content)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
