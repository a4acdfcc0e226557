// Package keyfile encrypts secrets at rest with a key that lies in a file: the
// standalone host's counterpart of a KMS data key.
package keyfile

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const keyBytes = 32 // AES-256

// ErrSealed is returned for what was not sealed with this key for this account.
var ErrSealed = errors.New("cannot be opened with this key")

// Key seals with AES-256-GCM. The account is bound to what is sealed: the
// secret of one cannot be moved to another.
type Key struct{ aead cipher.AEAD }

// Open reads the key in the file, or makes one if there is no file. The file
// is readable by its owner only. Who loses it loses all secrets.
func Open(path string) (*Key, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		raw, err = create(path)
	}
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	if len(raw) != keyBytes {
		return nil, fmt.Errorf("key file %s: it has %d bytes instead of %d; restore it from a backup", path, len(raw), keyBytes)
	}
	block, err := aes.NewCipher(raw)
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	return &Key{aead: aead}, nil
}

// create writes a new key durably, and whole or not at all: secrets sealed with
// a key that a power loss takes away would be lost.
func create(path string) ([]byte, error) {
	raw := make([]byte, keyBytes)
	rand.Read(raw)                                        // never fails, see crypto/rand
	f, err := os.CreateTemp(filepath.Dir(path), ".key-*") // mode 600
	if err != nil {
		return nil, err
	}
	_, err = f.Write(raw)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, errors.Join(err, os.Remove(f.Name()))
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return nil, errors.Join(err, os.Remove(f.Name()))
	}
	return raw, syncFolder(filepath.Dir(path))
}

// syncFolder makes a new name in the folder durable.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// Seal encrypts a secret of the account.
func (k *Key) Seal(plain []byte, account string) ([]byte, error) {
	return k.aead.Seal(nil, nil, plain, []byte(account)), nil
}

// Open decrypts what Seal made for the same account, else returns ErrSealed.
func (k *Key) Open(sealed []byte, account string) ([]byte, error) {
	plain, err := k.aead.Open(nil, nil, sealed, []byte(account))
	if err != nil {
		return nil, fmt.Errorf("secret of account %s: %w", account, ErrSealed)
	}
	return plain, nil
}
