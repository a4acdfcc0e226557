// Package disk keeps files in a folder, where the standalone host has no bucket.
package disk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jobhook/jobhook/shared/files"
	"github.com/jobhook/jobhook/shared/webhook"
)

// Names that no key has, as they begin with a dot.
const (
	unfinished = ".put-" // begins the name of a file that is being written
	metaSuffix = ".meta" // ends the name, after a dot and the file's, of what a file is served with
	ownerOnly  = 0o700   // folders: results are nobody else's business
)

// Files are the files of a folder, each where its key says.
type Files struct {
	dir string
	// making is held while a folder is made and gets its first file, and wholly
	// while empty ones are removed.
	making sync.RWMutex
}

// New returns the files of a folder, which is made with the first of them.
func New(dir string) *Files { return &Files{dir: filepath.Clean(dir)} }

// Put writes a file durably. It is there when all of it was read, replacing one
// of the same key, and not at all after an error. A bad key is ErrKey.
func (f *Files) Put(ctx context.Context, key string, body io.Reader, m files.Meta) error {
	if err := f.put(ctx, key, body, m); err != nil {
		return fmt.Errorf("file %s: put: %w", key, err)
	}
	return nil
}

func (f *Files) put(ctx context.Context, key string, body io.Reader, m files.Meta) error {
	to, err := f.Path(key)
	if err != nil {
		return err
	}
	temporary, err := f.begin(filepath.Dir(to))
	if err != nil {
		return err
	}
	_, err = io.Copy(temporary, files.While(ctx, body))
	if err = finish(temporary, err); err != nil {
		return err
	}
	if err := f.putMeta(to, m); err != nil {
		_ = os.Remove(temporary.Name())
		return err
	}
	if err := os.Rename(temporary.Name(), to); err != nil {
		_ = os.Remove(temporary.Name())
		return err
	}
	return syncFolder(filepath.Dir(to))
}

// begin makes a file that has no name yet, in a folder that may be new.
func (f *Files) begin(folder string) (*os.File, error) {
	f.making.RLock()
	defer f.making.RUnlock()
	if err := makeFolder(folder); err != nil {
		return nil, err
	}
	return os.CreateTemp(folder, unfinished+"*")
}

// finish closes a file whose bytes have reached the disk, or removes it.
func finish(temporary *os.File, err error) error {
	if err == nil {
		err = temporary.Sync()
	}
	if err2 := temporary.Close(); err == nil {
		err = err2
	}
	if err != nil {
		_ = os.Remove(temporary.Name())
	}
	return err
}

// putMeta keeps what a file is served with, unless its name says that. It is
// written first: at worst an older file is served as the newer one would be.
func (f *Files) putMeta(to string, m files.Meta) error {
	beside := metaPath(to)
	if m = whole(m, to); m == whole(files.Meta{}, to) {
		return ignoreAbsent(os.Remove(beside))
	}
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	temporary, err := f.begin(filepath.Dir(to))
	if err != nil {
		return err
	}
	_, err = temporary.Write(text)
	if err = finish(temporary, err); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), beside)
}

// whole adds to m what the name of a file says.
func whole(m files.Meta, at string) files.Meta {
	if m.ContentType == "" {
		m.ContentType = files.ContentType(at)
	}
	if m.FileName == "" {
		m.FileName = filepath.Base(at)
	}
	return m
}

func metaPath(at string) string {
	return filepath.Join(filepath.Dir(at), "."+filepath.Base(at)+metaSuffix)
}

// Open returns a file, to be closed, and its size in bytes; webhook.ErrNotFound
// when there is none, as there is none of a bad key.
func (f *Files) Open(_ context.Context, key string) (io.ReadCloser, int64, error) {
	file, size, err := f.open(key)
	if err != nil {
		return nil, 0, err
	}
	return file, size, nil
}

// OpenFile returns a file, to be closed, and what it is served with, so that
// its parts can be served too; webhook.ErrNotFound as Open does.
func (f *Files) OpenFile(key string) (*os.File, files.Meta, error) {
	file, _, err := f.open(key)
	if err != nil {
		return nil, files.Meta{}, err
	}
	var m files.Meta
	text, err := os.ReadFile(metaPath(file.Name()))
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	if ignoreAbsent(err) != nil {
		_ = file.Close()
		return nil, files.Meta{}, fmt.Errorf("file %s: what it is served with: %w", key, err)
	}
	return file, whole(m, file.Name()), nil
}

func (f *Files) open(key string) (*os.File, int64, error) {
	absent := fmt.Errorf("file %s: %w", key, webhook.ErrNotFound)
	at, err := f.Path(key)
	if err != nil {
		return nil, 0, absent
	}
	file, err := os.Open(at)
	if ignoreAbsent(err) != nil {
		return nil, 0, fmt.Errorf("file %s: open: %w", key, err)
	}
	if err != nil {
		return nil, 0, absent
	}
	info, err := file.Stat()
	if err == nil && info.Mode().IsRegular() {
		return file, info.Size(), nil
	}
	_ = file.Close()
	return nil, 0, absent
}

// List returns the first files, in the order of keys, whose keys begin with
// prefix, at most limit. It walks all of the folder that the prefix names.
func (f *Files) List(ctx context.Context, prefix string, limit int) ([]files.Info, error) {
	var found []files.Info
	err := f.walk(ctx, prefix, func(at string, info fs.FileInfo) error {
		if key := f.key(at); isFile(at) && strings.HasPrefix(key, prefix) {
			found = append(found, files.Info{Key: key, Size: info.Size(), Modified: info.ModTime()})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("files %s: list: %w", prefix, err)
	}
	slices.SortFunc(found, func(a, b files.Info) int { return strings.Compare(a.Key, b.Key) })
	return found[:min(limit, len(found))], nil
}

// walk visits all that is kept in the folder that a prefix names, the own files
// of this package included. What disappears meanwhile is left out.
func (f *Files) walk(ctx context.Context, prefix string, visit func(at string, info fs.FileInfo) error) error {
	folder, _ := path.Split(prefix)
	if folder != "" && checkKey(strings.TrimSuffix(folder, "/")) != nil {
		return nil // no key begins so
	}
	return filepath.WalkDir(filepath.Join(f.dir, filepath.FromSlash(folder)), func(at string, entry fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil || !entry.Type().IsRegular() {
			return ignoreAbsent(err)
		}
		info, err := entry.Info()
		if err != nil {
			return ignoreAbsent(err)
		}
		return visit(at, info)
	})
}

// isFile tells a file of ours from what this package keeps beside them.
func isFile(at string) bool { return !strings.HasPrefix(filepath.Base(at), ".") }

func (f *Files) key(at string) string {
	relative, err := filepath.Rel(f.dir, at)
	if err != nil {
		return ""
	}
	return filepath.ToSlash(relative)
}

// Link returns "": whoever has the files on disk serves them.
func (*Files) Link(context.Context, string, files.LinkOptions) (string, error) { return "", nil }

// UploadLink returns "": whoever has the files on disk takes them.
func (*Files) UploadLink(context.Context, string, time.Duration) (string, error) { return "", nil }

// ignoreAbsent takes it for absent, too, what would lie below a file.
func ignoreAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	return err
}
