package disk

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Remove deletes a file. That there is none is no error.
func (f *Files) Remove(_ context.Context, key string) error {
	at, err := f.Path(key)
	if err != nil {
		return nil // no such file can be
	}
	if err := removeFile(at); err != nil {
		return fmt.Errorf("file %s: remove: %w", key, err)
	}
	return nil
}

// removeFile removes a file and what it is served with.
func removeFile(at string) error {
	if info, err := os.Lstat(at); err == nil && info.IsDir() {
		return nil // a folder of that name is no file
	}
	if err := ignoreAbsent(os.Remove(at)); err != nil {
		return err
	}
	return ignoreAbsent(os.Remove(metaPath(at)))
}

// RemoveFolder deletes all files whose keys begin with prefix, which ends with
// a slash, so that nobody empties everything by an empty name.
func (f *Files) RemoveFolder(_ context.Context, prefix string) error {
	name, isFolder := strings.CutSuffix(prefix, "/")
	if !isFolder {
		return fmt.Errorf("folder %q: remove: a folder ends with a slash", prefix)
	}
	at, err := f.Path(name)
	if err != nil {
		return nil // no key begins so
	}
	f.making.Lock()
	defer f.making.Unlock()
	if info, err := os.Lstat(at); err != nil || !info.IsDir() {
		return ignoreAbsent(err)
	}
	if err := os.RemoveAll(at); err != nil {
		return fmt.Errorf("folder %s: remove: %w", prefix, err)
	}
	return nil
}

// RemoveBefore deletes the files whose keys begin with prefix and that were put
// before then, what a crash has left of files that old, and the folders that are
// empty after it.
func (f *Files) RemoveBefore(ctx context.Context, prefix string, before time.Time) error {
	folders := map[string]bool{}
	err := f.walk(ctx, prefix, func(at string, info fs.FileInfo) error {
		if !info.ModTime().Before(before) || !strings.HasPrefix(f.key(at), prefix) && isFile(at) {
			return nil
		}
		folders[filepath.Dir(at)] = true
		return f.removeOld(at)
	})
	if err != nil {
		return fmt.Errorf("files %s: remove those before %s: %w", prefix, before.UTC().Format(time.RFC3339), err)
	}
	for folder := range folders {
		f.removeEmpty(folder)
	}
	return nil
}

// removeOld removes an old file, but of our own only what belongs to no other.
func (f *Files) removeOld(at string) error {
	if isFile(at) {
		return removeFile(at)
	}
	if name, isMeta := strings.CutSuffix(filepath.Base(at), metaSuffix); isMeta {
		if _, err := os.Lstat(filepath.Join(filepath.Dir(at), name[1:])); err == nil {
			return nil // it goes with its file
		}
	}
	return ignoreAbsent(os.Remove(at))
}

// removeEmpty removes a folder, and those above it, as far as nothing is in
// them. That the system refuses is how we learn that something is.
func (f *Files) removeEmpty(folder string) {
	f.making.Lock()
	defer f.making.Unlock()
	for folder != f.dir && strings.HasPrefix(folder, f.dir) && os.Remove(folder) == nil {
		folder = filepath.Dir(folder)
	}
}
