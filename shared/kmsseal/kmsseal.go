// Package kmsseal encrypts secrets at rest with data keys of AWS KMS: a key
// that never leaves KMS encrypts a data key for each account, and that one the
// account's secrets. The account is KMS's encryption context, so that who may
// use the key can be told by CloudTrail, and restricted by a policy, by account.
package kmsseal

import (
	"cmp"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

// ContextKey is the name of the account in KMS's encryption context.
const ContextKey = "jobhook:account"

// ErrSealed is returned for what was not sealed by this package for this account.
var ErrSealed = errors.New("cannot be opened for this account")

const (
	// keepFor is how long a data key is kept in memory: so long a revoked
	// permission goes on to work, and so often KMS is called per account.
	keepFor = 5 * time.Minute
	// maxKept data keys are kept; then the memory starts anew.
	maxKept = 2_000
	version = 1 // first byte of what is sealed
)

// Sealer seals with AES-256-GCM under data keys. It is safe for concurrent use.
type Sealer struct {
	kms   *kms.Client
	keyID string
	now   func() time.Time

	mu     sync.Mutex
	fresh  map[string]dataKey // to seal with, by account
	opened map[string]dataKey // to open with, by account and wrapped key
}

// dataKey is a data key in plain, and as KMS wrapped it.
type dataKey struct {
	aead    cipher.AEAD
	wrapped []byte
	until   time.Time
}

// New returns a sealer with the KMS key of that id or ARN.
func New(client *kms.Client, keyID string) *Sealer {
	return &Sealer{kms: client, keyID: keyID, now: time.Now, fresh: map[string]dataKey{}, opened: map[string]dataKey{}}
}

// Seal encrypts a secret of the account.
func (s *Sealer) Seal(ctx context.Context, plain []byte, account string) ([]byte, error) {
	k, ok := s.kept(func() map[string]dataKey { return s.fresh }, account)
	if !ok {
		var err error
		if k, err = s.generate(ctx, account); err != nil {
			return nil, fmt.Errorf("data key of account %s: %w", account, err)
		}
	}
	sealed := append([]byte{version}, binary.BigEndian.AppendUint16(nil, uint16(len(k.wrapped)))...)
	sealed = append(sealed, k.wrapped...)
	return k.aead.Seal(sealed, nil, plain, []byte(account)), nil
}

// Open decrypts what Seal made for the same account, else returns ErrSealed.
// When KMS cannot be asked, the error is KMS's.
func (s *Sealer) Open(ctx context.Context, sealed []byte, account string) ([]byte, error) {
	wrapped, secret, ok := split(sealed)
	if !ok {
		return nil, fmt.Errorf("secret of account %s: %w", account, ErrSealed)
	}
	k, ok := s.kept(func() map[string]dataKey { return s.opened }, account+" "+string(wrapped))
	if !ok {
		var err error
		if k, err = s.unwrap(ctx, account, wrapped); err != nil {
			return nil, fmt.Errorf("data key of account %s: %w", account, err)
		}
	}
	plain, err := k.aead.Open(nil, nil, secret, []byte(account))
	if err != nil {
		return nil, fmt.Errorf("secret of account %s: %w", account, ErrSealed)
	}
	return plain, nil
}

// split takes apart version, length of the wrapped key, wrapped key, secret.
func split(sealed []byte) (wrapped, secret []byte, ok bool) {
	if len(sealed) < 3 || sealed[0] != version {
		return nil, nil, false
	}
	n := int(binary.BigEndian.Uint16(sealed[1:]))
	if len(sealed) < 3+n {
		return nil, nil, false
	}
	return sealed[3 : 3+n], sealed[3+n:], true
}

// kept looks into one of the maps, which are replaced when they are full.
func (s *Sealer) kept(keys func() map[string]dataKey, name string) (dataKey, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := keys()[name]
	return k, ok && s.now().Before(k.until)
}

func (s *Sealer) generate(ctx context.Context, account string) (dataKey, error) {
	out, err := s.kms.GenerateDataKey(ctx, &kms.GenerateDataKeyInput{
		KeyId: &s.keyID, KeySpec: types.DataKeySpecAes256, EncryptionContext: contextOf(account),
	})
	if err != nil {
		return dataKey{}, err
	}
	return s.keep(account, out.Plaintext, out.CiphertextBlob, true)
}

// contextOf is KMS's encryption context. Where there is no account it still has
// a value, one that is no account's id: KMS documents no empty ones.
func contextOf(account string) map[string]string {
	return map[string]string{ContextKey: cmp.Or(account, "no account")}
}

func (s *Sealer) unwrap(ctx context.Context, account string, wrapped []byte) (dataKey, error) {
	out, err := s.kms.Decrypt(ctx, &kms.DecryptInput{
		KeyId: &s.keyID, CiphertextBlob: wrapped, EncryptionContext: contextOf(account),
	})
	var invalid *types.InvalidCiphertextException
	var other *types.IncorrectKeyException
	if errors.As(err, &invalid) || errors.As(err, &other) {
		return dataKey{}, fmt.Errorf("%w: %w", ErrSealed, err)
	}
	if err != nil {
		return dataKey{}, err
	}
	return s.keep(account, out.Plaintext, wrapped, false)
}

// keep remembers a data key: all of them to open with, a new one to seal with.
func (s *Sealer) keep(account string, plain, wrapped []byte, isNew bool) (dataKey, error) {
	block, err := aes.NewCipher(plain)
	if err != nil {
		return dataKey{}, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return dataKey{}, err
	}
	k := dataKey{aead: aead, wrapped: wrapped, until: s.now().Add(keepFor)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.opened) >= maxKept {
		s.fresh, s.opened = map[string]dataKey{}, map[string]dataKey{}
	}
	s.opened[account+" "+string(wrapped)] = k
	if isNew {
		s.fresh[account] = k
	}
	return k, nil
}
