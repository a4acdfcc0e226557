package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// ErrKey refuses a key that package files does not make.
var ErrKey = errors.New("a key is made of names of letters, digits, dots, dashes and underscores, which begin with no dot, between slashes")

// Bounds of keys, by what file systems take: a name has 255 bytes, some of
// which are for what is kept beside its file.
const (
	maxKey  = 1024
	maxName = 240
)

// Path returns where a file is kept, whether or not it is there. A bad key is
// ErrKey: no key leads out of the folder.
func (f *Files) Path(key string) (string, error) {
	if err := checkKey(key); err != nil {
		return "", err
	}
	return filepath.Join(f.dir, filepath.FromSlash(key)), nil
}

func checkKey(key string) error {
	if len(key) > maxKey {
		return fmt.Errorf("%w: this one has %d bytes, at most %d are taken", ErrKey, len(key), maxKey)
	}
	for name := range strings.SplitSeq(key, "/") {
		if !isName(name) {
			return fmt.Errorf("%w: %.40q is no such name", ErrKey, name)
		}
	}
	return nil
}

func isName(name string) bool {
	if name == "" || len(name) > maxName || name[0] == '.' {
		return false
	}
	for _, c := range []byte(name) {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '.' && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// makeFolder makes a folder, and those above it, so that they outlive a crash.
func makeFolder(folder string) error {
	if info, err := os.Stat(folder); err == nil && info.IsDir() {
		return nil
	}
	above := filepath.Dir(folder)
	if above != folder {
		if err := makeFolder(above); err != nil {
			return err
		}
	}
	if err := os.Mkdir(folder, ownerOnly); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return syncFolder(above)
}

// syncFolder makes the names in a folder durable.
func syncFolder(folder string) error {
	f, err := os.Open(folder)
	if err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}
