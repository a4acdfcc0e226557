package keyfile_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/jobhook/jobhook/shared/keyfile"
)

func TestWhatIsSealedOpensAfterARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	sealed, err := open(t, path).Seal([]byte("whsec_abc"), "acme")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("whsec_abc")) {
		t.Error("the secret stands in what was sealed")
	}
	plain, err := open(t, path).Open(sealed, "acme")
	if err != nil || string(plain) != "whsec_abc" {
		t.Errorf("Open = %q, %v", plain, err)
	}
}

func TestASecretOpensForItsAccountAndKeyOnly(t *testing.T) {
	dir := t.TempDir()
	key := open(t, filepath.Join(dir, "a"))
	sealed, err := key.Seal([]byte("whsec_abc"), "acme")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := key.Open(sealed, "other"); !errors.Is(err, keyfile.ErrSealed) {
		t.Errorf("another account: got %v, want ErrSealed", err)
	}
	if _, err := open(t, filepath.Join(dir, "b")).Open(sealed, "acme"); !errors.Is(err, keyfile.ErrSealed) {
		t.Errorf("another key: got %v, want ErrSealed", err)
	}
	sealed[len(sealed)-1] ^= 1
	if _, err := key.Open(sealed, "acme"); !errors.Is(err, keyfile.ErrSealed) {
		t.Errorf("a changed byte: got %v, want ErrSealed", err)
	}
}

func TestTheKeyFileIsItsOwnersOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	open(t, path)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("mode %o, want 600", got)
	}
}

func TestATruncatedKeyFileIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := keyfile.Open(path); err == nil {
		t.Error("a key of 5 bytes was accepted")
	}
}

func open(t *testing.T, path string) *keyfile.Key {
	t.Helper()
	key, err := keyfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
