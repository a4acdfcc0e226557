package disk_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/shared/disk"
	"github.com/jobhook/jobhook/shared/files"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// open returns the files of a folder that is not there yet.
func open(t *testing.T) (*disk.Files, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "new", "files")
	return disk.New(dir), dir
}

func put(t *testing.T, f *disk.Files, key, body string, m files.Meta) {
	t.Helper()
	if err := f.Put(t.Context(), key, strings.NewReader(body), m); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, f *disk.Files, key string) string {
	t.Helper()
	body, size, err := f.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	b, err := io.ReadAll(body)
	if err != nil || int64(len(b)) != size {
		t.Fatalf("%s: %d bytes of %d, %v", key, len(b), size, err)
	}
	return string(b)
}

func keys(t *testing.T, f *disk.Files, prefix string, limit int) (list []string) {
	t.Helper()
	found, err := f.List(t.Context(), prefix, limit)
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range found {
		list = append(list, info.Key)
	}
	return list
}

// kept are the paths of all that lies in a folder.
func kept(t *testing.T, dir string) (list []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(at string, _ fs.DirEntry, err error) error {
		if at != dir {
			list = append(list, strings.TrimPrefix(filepath.ToSlash(at), filepath.ToSlash(dir)+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestAFileIsReadAsItWasPutLast(t *testing.T) {
	f, dir := open(t)
	key := files.ResultsFolder("acme", job.KindBatch, "b 1", 2) + "Batch_Results_b_1_2_Page_1.json"
	put(t, f, key, "[\n]\n", files.Meta{})
	put(t, f, key, "", files.Meta{})
	if got := read(t, f, key); got != "" {
		t.Errorf("got %q, want the second", got)
	}
	if got, want := len(kept(t, dir)), len(strings.Split(key, "/")); got != want {
		t.Errorf("%v are kept, want the file and its folders", kept(t, dir))
	}
	path, err := f.Path(key)
	if info, err2 := os.Stat(path); err != nil || err2 != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%s: %v, %v, %v; want a file of its owner", path, info, err, err2)
	}
}

func TestAFileIsServedAsItWasPutInPartsToo(t *testing.T) {
	f, dir := open(t)
	put(t, f, "a/r.csv", "0123456789", files.Meta{})
	put(t, f, "a/x.bin", "0123456789", files.Meta{ContentType: "text/plain", FileName: "Größe.txt"})
	for key, want := range map[string]files.Meta{
		"a/r.csv": {ContentType: "text/csv; charset=utf-8", FileName: "r.csv"},
		"a/x.bin": {ContentType: "text/plain", FileName: "Größe.txt"},
	} {
		file, m, err := f.OpenFile(key)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if m != want {
			t.Errorf("%s: got %+v, want %+v", key, m, want)
		}
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Range", "bytes=2-4")
		w := httptest.NewRecorder()
		http.ServeContent(w, r, m.FileName, time.Time{}, file)
		if w.Code != http.StatusPartialContent || w.Body.String() != "234" {
			t.Errorf("%s: got %d %q", key, w.Code, w.Body)
		}
	}
	put(t, f, "a/x.bin", "1", files.Meta{})
	if diff := cmp.Diff(kept(t, dir), []string{"a", "a/r.csv", "a/x.bin"}); diff != "" {
		t.Errorf("put without a name of its own (-got +want):\n%s", diff)
	}
}

func TestAFileIsThereWholeOrNotAtAll(t *testing.T) {
	broken := errors.New("the source broke")
	f, dir := open(t)
	put(t, f, "a/b", "before", files.Meta{})
	err := f.Put(t.Context(), "a/b", io.MultiReader(bytes.NewReader(make([]byte, 1<<20)), failing{broken}), files.Meta{FileName: "x"})
	if !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Put(ctx, "a/c", strings.NewReader("1"), files.Meta{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	if diff := cmp.Diff(kept(t, dir), []string{"a", "a/b"}); diff != "" || read(t, f, "a/b") != "before" {
		t.Errorf("%q is kept (-got +want):\n%s", read(t, f, "a/b"), diff)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestWhatIsAbsentIsNotFoundAndMayBeRemoved(t *testing.T) {
	f, _ := open(t)
	check := func() {
		t.Helper()
		for _, key := range []string{"a", "a/b", "a/b/c", "", "..", "../x", "/etc/passwd", "a//b", ".a", "a/.b.meta", "a b", "a\x00"} {
			if _, _, err := f.Open(t.Context(), key); !errors.Is(err, webhook.ErrNotFound) {
				t.Errorf("%q: got %v, want %v", key, err, webhook.ErrNotFound)
			}
			if _, _, err := f.OpenFile(key); !errors.Is(err, webhook.ErrNotFound) {
				t.Errorf("%q: got %v, want %v", key, err, webhook.ErrNotFound)
			}
			if err := errors.Join(f.Remove(t.Context(), key), f.RemoveFolder(t.Context(), key+"/")); err != nil {
				t.Errorf("%q: %v", key, err)
			}
		}
		if list := keys(t, f, "", 10); len(list) > 1 {
			t.Errorf("got %v", list)
		}
	}
	check()
	put(t, f, "b", "1", files.Meta{}) // below a file there is nothing either
	check()
	put(t, f, "a2/b", "1", files.Meta{})
	if _, _, err := f.Open(t.Context(), "a2"); !errors.Is(err, webhook.ErrNotFound) {
		t.Errorf("a folder: got %v, want %v", err, webhook.ErrNotFound)
	}
	if err := f.Remove(t.Context(), "a2"); err != nil || read(t, f, "a2/b") != "1" {
		t.Errorf("a folder removed as a file: %v", err)
	}
	if _, _, err := f.Open(t.Context(), "b/c"); !errors.Is(err, webhook.ErrNotFound) {
		t.Errorf("below a file: got %v, want %v", err, webhook.ErrNotFound)
	}
}

func TestFilesAreListedInTheOrderOfKeys(t *testing.T) {
	f, _ := open(t)
	all := []string{"a-b", "a.b", "a/000001.jsonl", "a/000002.jsonl", "a/b/c", "a0", "b/1"}
	for i := range all {
		put(t, f, all[(i*3)%len(all)], "12", files.Meta{FileName: "has its name beside it"})
	}
	for _, test := range []struct {
		prefix string
		limit  int
		want   []string
	}{
		{"", 100, all},
		{"", 3, all[:3]},
		{"a/", 100, all[2:5]},
		{"a", 100, all[:6]},
		{"a/0", 1, all[2:3]},
		{"c/", 100, nil},
		{"../", 100, nil},
	} {
		if diff := cmp.Diff(keys(t, f, test.prefix, test.limit), test.want); diff != "" {
			t.Errorf("%q, at most %d (-got +want):\n%s", test.prefix, test.limit, diff)
		}
	}
	list, err := f.List(t.Context(), "b/", 1)
	if err != nil || list[0].Size != 2 || time.Since(list[0].Modified).Abs() > time.Minute {
		t.Errorf("got %+v, %v, want 2 bytes of just now", list, err)
	}
}

func TestAFolderIsRemovedAndNothingElse(t *testing.T) {
	f, _ := open(t)
	for _, key := range []string{"a/1/x", "a/1/y/z", "a/10/x", "b"} {
		put(t, f, key, "1", files.Meta{FileName: "n"})
	}
	if err := f.RemoveFolder(t.Context(), "a/1/"); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", "a"} {
		if err := f.RemoveFolder(t.Context(), bad); err == nil {
			t.Errorf("%q was removed", bad)
		}
	}
	if diff := cmp.Diff(keys(t, f, "", 10), []string{"a/10/x", "b"}); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
}

func TestWhatIsOldIsRemovedWithItsFolders(t *testing.T) {
	f, dir := open(t)
	for _, key := range []string{"results/1/1/old", "results/1/2/old", "results/1/2/new", "inputs/1/old"} {
		put(t, f, key, "1", files.Meta{FileName: "n"})
	}
	for _, crashed := range []string{"results/1/1/.put-1", "results/1/1/.gone.meta"} {
		if err := os.WriteFile(filepath.Join(dir, crashed), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	limit := time.Now().Add(-24 * time.Hour)
	for _, at := range kept(t, dir) {
		if strings.Contains(at, "new") && !strings.HasSuffix(at, ".meta") {
			continue
		}
		if err := os.Chtimes(filepath.Join(dir, at), limit, limit.Add(-time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.RemoveBefore(t.Context(), "results/", limit); err != nil {
		t.Fatal(err)
	}
	want := []string{"inputs", "inputs/1", "inputs/1/.old.meta", "inputs/1/old", "results", "results/1", "results/1/2", "results/1/2/.new.meta", "results/1/2/new"}
	if diff := cmp.Diff(kept(t, dir), want); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
	if err := f.RemoveBefore(t.Context(), "", limit.Add(48*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if got := kept(t, dir); len(got) > 0 {
		t.Errorf("%v is left of everything", got)
	}
}

func TestPutsSucceedWhileEmptyFoldersAreRemoved(t *testing.T) {
	f, _ := open(t)
	done := make(chan struct{})
	var removing sync.WaitGroup
	removing.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				if err := f.RemoveBefore(t.Context(), "", time.Now().Add(-time.Hour)); err != nil {
					t.Error(err)
				}
				if err := f.RemoveFolder(t.Context(), "b/"); err != nil {
					t.Error(err)
				}
			}
		}
	})
	for i := range 200 {
		put(t, f, fmt.Sprintf("a/%d/%d", i%3, i), "1", files.Meta{})
	}
	close(done)
	removing.Wait()
	if got := keys(t, f, "", 1000); len(got) != 200 {
		t.Errorf("%d files, want 200", len(got))
	}
}

func TestThereAreNoLinksToADisk(t *testing.T) {
	f, _ := open(t)
	link, err := f.Link(t.Context(), "a", files.LinkOptions{})
	upload, err2 := f.UploadLink(t.Context(), "a", time.Minute)
	if link != "" || upload != "" || err != nil || err2 != nil {
		t.Errorf("got %q, %v, %q, %v", link, err, upload, err2)
	}
}

func FuzzNoKeyLeadsOut(f *testing.F) {
	for _, key := range []string{
		"results/0a/1/Page_1.json", "a", "", ".", "..", "../a", "a/../../b", "/etc/passwd", "a//b", "a/", `a\..\b`, "a\x00b", "C:a", "ä", strings.Repeat("a/", 600),
		files.RecordsFolder("acme", job.KindAsync, "1", 1) + files.Part(1),
	} {
		f.Add(key)
	}
	dir := f.TempDir()
	store := disk.New(filepath.Join(dir, "files"))
	f.Fuzz(func(t *testing.T, key string) {
		path, err := store.Path(key)
		if err != nil {
			if !errors.Is(err, disk.ErrKey) {
				t.Errorf("%q: got %v, want %v", key, err, disk.ErrKey)
			}
			if err := store.Put(t.Context(), key, strings.NewReader("1"), files.Meta{}); !errors.Is(err, disk.ErrKey) {
				t.Errorf("%q was put: %v", key, err)
			}
			return
		}
		if back, err := filepath.Rel(filepath.Join(dir, "files"), path); err != nil || !filepath.IsLocal(back) || filepath.ToSlash(back) != key {
			t.Errorf("%q is kept at %q", key, back)
		}
	})
}
