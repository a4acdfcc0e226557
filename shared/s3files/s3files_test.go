package s3files_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/jobhook/jobhook/shared/awstest"
	"github.com/jobhook/jobhook/shared/files"
	"github.com/jobhook/jobhook/shared/s3files"
	"github.com/jobhook/jobhook/shared/webhook"
)

func TestMain(m *testing.M) { os.Exit(awstest.Main(m)) }

// bucketFiles are those of a bucket, and the way to put some there.
type bucketFiles struct {
	*s3files.Files
	*s3files.Uploads
}

// open returns the files of a new bucket on a real server.
func open(t *testing.T) (bucketFiles, *s3.Client, string) {
	t.Helper()
	client := awstest.S3(t).S3()
	bucket := awstest.Bucket(t, client)
	return bucketFiles{s3files.New(client, bucket), s3files.NewUploads(client, bucket)}, client, bucket
}

func put(t *testing.T, f bucketFiles, key, body string, m files.Meta) {
	t.Helper()
	if err := f.Put(t.Context(), key, strings.NewReader(body), m); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, f bucketFiles, key string, o files.LinkOptions) string {
	t.Helper()
	url, err := f.Link(t.Context(), key, o)
	if err != nil {
		t.Fatal(err)
	}
	return url
}

// fetch asks as a customer does: without credentials.
func fetch(t *testing.T, method, url string, header http.Header) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		r.Header[name] = values
	}
	answer, err := awstest.NewHTTP().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(body)
}

func TestAFileIsReadAsItWasPut(t *testing.T) {
	f, _, _ := open(t)
	const key = "acme/job 1/Größe +&?#%.csv"
	put(t, f, key, "a,b\n", files.Meta{})
	got, err := f.Read(t.Context(), key, 4)
	if err != nil || string(got) != "a,b\n" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := f.Read(t.Context(), key, 3); !errors.Is(err, s3files.ErrTooLarge) {
		t.Errorf("of more than may be read: got %v, want %v", err, s3files.ErrTooLarge)
	}
	put(t, f, key, "", files.Meta{})
	if got, err := f.Read(t.Context(), key, 0); err != nil || len(got) != 0 {
		t.Errorf("replaced by an empty one: got %q, %v", got, err)
	}
}

func TestAnAbsentFileIsNotFoundAndMayBeRemoved(t *testing.T) {
	f, client, _ := open(t)
	if _, err := f.Read(t.Context(), "a", 10); !errors.Is(err, webhook.ErrNotFound) {
		t.Errorf("read: got %v, want %v", err, webhook.ErrNotFound)
	}
	put(t, f, "a", "1", files.Meta{})
	for range 2 {
		if err := f.Remove(t.Context(), "a"); err != nil {
			t.Errorf("remove: %v", err)
		}
	}
	if _, err := f.Read(t.Context(), "a", 10); !errors.Is(err, webhook.ErrNotFound) {
		t.Errorf("read of a removed one: got %v, want %v", err, webhook.ErrNotFound)
	}
	nowhere := bucketFiles{s3files.New(client, "no-such-bucket"), s3files.NewUploads(client, "no-such-bucket")}
	if _, err := nowhere.Read(t.Context(), "a", 10); err == nil || errors.Is(err, webhook.ErrNotFound) {
		t.Errorf("read of an absent bucket: got %v, want another error", err)
	}
	if answer, _ := fetch(t, http.MethodGet, link(t, f, "a", files.LinkOptions{}), nil); answer.StatusCode != http.StatusNotFound {
		t.Errorf("link: got %s, want 404", answer.Status)
	}
}

func TestFilesAreListedInTheOrderOfKeysAndAFolderByAge(t *testing.T) {
	t.Parallel()
	f, _, _ := open(t)
	if list, err := f.List(t.Context(), "", 5); err != nil || len(list) != 0 {
		t.Errorf("of an empty bucket: got %v, %v", list, err)
	}
	put(t, f, "failed/b", "22", files.Meta{})
	put(t, f, "other", "1", files.Meta{})
	<-time.After(1100 * time.Millisecond) // files have whole seconds
	put(t, f, "failed/a", "1", files.Meta{})
	for _, test := range []struct {
		prefix string
		limit  int
		want   []string
		byAge  []string
	}{
		{"failed/", 10, []string{"failed/a", "failed/b"}, []string{"failed/b", "failed/a"}},
		{"failed/", 1, []string{"failed/a"}, []string{"failed/a"}},
		{"", 10, []string{"failed/a", "failed/b", "other"}, []string{"failed/b", "other", "failed/a"}},
		{"absent/", 10, nil, nil},
	} {
		list, err := f.List(t.Context(), test.prefix, test.limit)
		if diff := cmp.Diff(keysOf(list), test.want); err != nil || diff != "" {
			t.Errorf("%q, at most %d: %v (-got +want):\n%s", test.prefix, test.limit, err, diff)
		}
		got, err := f.Folder(test.prefix, 1).List(t.Context(), test.limit)
		if diff := cmp.Diff(got, test.byAge, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Errorf("folder %q, at most %d: %v (-got +want):\n%s", test.prefix, test.limit, err, diff)
		}
	}
	list, err := f.List(t.Context(), "failed/b", 1)
	if err != nil || len(list) != 1 || list[0].Size != 2 || time.Since(list[0].Modified).Abs() > time.Minute {
		t.Errorf("got %+v, %v, want a file of 2 bytes of just now", list, err)
	}
	readsAFolder(t, f.Folder("failed/", 1))
}

func keysOf(list []files.Info) (keys []string) {
	for _, info := range list {
		keys = append(keys, info.Key)
	}
	return keys
}

// readsAFolder reads and removes files of one that has a and b.
func readsAFolder(t *testing.T, folder s3files.Folder) {
	t.Helper()
	if b, err := folder.Read(t.Context(), "failed/a"); err != nil || string(b) != "1" {
		t.Errorf("folder: got %q, %v", b, err)
	}
	if err := folder.Remove(t.Context(), "failed/a"); err != nil {
		t.Error(err)
	}
	if keys, err := folder.List(t.Context(), 10); err != nil || len(keys) != 1 {
		t.Errorf("after a removal: got %v, %v", keys, err)
	}
}

func TestAFileIsOpenedWithItsSize(t *testing.T) {
	f, _, _ := open(t)
	put(t, f, "a", "0123456789", files.Meta{})
	body, size, err := f.Open(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if b, err := io.ReadAll(body); err != nil || size != 10 || string(b) != "0123456789" {
		t.Errorf("got %q of %d bytes, %v", b, size, err)
	}
	if _, _, err := f.Open(t.Context(), "b"); !errors.Is(err, webhook.ErrNotFound) {
		t.Errorf("an absent file: got %v, want %v", err, webhook.ErrNotFound)
	}
}

func TestAnUploadLinkTakesItsOneFile(t *testing.T) {
	f, _, _ := open(t)
	url, err := f.UploadLink(t.Context(), "records/1/000001.jsonl", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, url string
		status    int
	}{
		{"itself", url, http.StatusOK},
		{"another file", strings.Replace(url, "000001", "000002", 1), http.StatusForbidden},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, test.url, strings.NewReader("{}\n"))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := awstest.NewHTTP().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != test.status {
			t.Errorf("%s: got %s, want %d", test.name, answer.Status, test.status)
		}
	}
	if b, err := f.Read(t.Context(), "records/1/000001.jsonl", 10); err != nil || string(b) != "{}\n" {
		t.Errorf("got %q, %v", b, err)
	}
}

func TestAFolderIsRemovedAndNothingElse(t *testing.T) {
	t.Parallel()
	f, _, _ := open(t)
	for i := range 1001 { // S3 removes 1,000 at once
		put(t, f, fmt.Sprintf("a/1/%04d", i), "1", files.Meta{})
	}
	put(t, f, "a/10/0", "1", files.Meta{})
	for range 2 {
		if err := f.RemoveFolder(t.Context(), "a/1/"); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", "a"} {
		if err := f.RemoveFolder(t.Context(), bad); err == nil {
			t.Errorf("%q was removed", bad)
		}
	}
	list, err := f.List(t.Context(), "", 10)
	if diff := cmp.Diff(keysOf(list), []string{"a/10/0"}); err != nil || diff != "" {
		t.Errorf("%v (-got +want):\n%s", err, diff)
	}
}

func TestListGoesOnAfterAPage(t *testing.T) {
	t.Parallel()
	f, _, _ := open(t)
	const n = 1010 // S3 lists 1,000 at once
	for i := range n {
		put(t, f, fmt.Sprintf("%04d", i), "1", files.Meta{})
	}
	for _, limit := range []int{1005, 2000} {
		if keys, err := f.List(t.Context(), "", limit); err != nil || len(keys) != min(n, limit) {
			t.Errorf("at most %d: got %d keys, %v", limit, len(keys), err)
		}
	}
}

func TestALargeFileIsStreamedInParts(t *testing.T) {
	t.Parallel()
	f, client, bucket := open(t)
	const size = 20<<20 + 12345
	random := rand.NewChaCha8([32]byte{1})
	whole := sha256.New()
	body := io.TeeReader(io.LimitReader(random, size), whole)
	if err := f.Put(t.Context(), "large", body, files.Meta{ContentType: "text/csv"}); err != nil {
		t.Fatal(err)
	}
	answer, got := fetch(t, http.MethodGet, link(t, f, "large", files.LinkOptions{}), nil)
	if len(got) != size || sha256.Sum256([]byte(got)) != [32]byte(whole.Sum(nil)) || answer.Header.Get("Content-Type") != "text/csv" {
		t.Errorf("got %d bytes of %s, want %d others of text/csv", len(got), answer.Header.Get("Content-Type"), size)
	}
	attributes, err := client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &bucket, Key: ptr("large")})
	if err != nil || !strings.HasSuffix(strings.Trim(*attributes.ETag, `"`), "-5") {
		t.Errorf("got ETag %v, %v, want one of five parts", *attributes.ETag, err)
	}
}

func ptr(s string) *string { return &s }

func TestLinksServeTheFileUnderItsName(t *testing.T) {
	f, _, _ := open(t)
	put(t, f, "a", "0123456789", files.Meta{ContentType: "text/csv", FileName: "as put.csv"})
	asPut := link(t, f, "a", files.LinkOptions{})
	named := files.LinkOptions{FileName: `Größe "x"/y.jsonl`, ContentType: "application/jsonl"}
	byName := link(t, f, "a", named)
	named.Method = http.MethodHead
	byHead := link(t, f, "a", named)
	for _, test := range []struct {
		name, method, url string
		span              string
		status            int
		file, kind, body  string
	}{
		{"as it was put", "GET", asPut, "", 200, "as put.csv", "text/csv", "0123456789"},
		{"by another name and type", "GET", byName, "", 200, "Größe _x__y.jsonl", "application/jsonl", "0123456789"},
		{"a part of it", "GET", byName, "bytes=2-4", 206, "Größe _x__y.jsonl", "application/jsonl", "234"},
		{"its head", "HEAD", byHead, "", 200, "Größe _x__y.jsonl", "application/jsonl", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			header := http.Header{}
			if test.span != "" {
				header.Set("Range", test.span)
			}
			answer, body := fetch(t, test.method, test.url, header)
			_, params, err := mime.ParseMediaType(answer.Header.Get("Content-Disposition"))
			if err != nil || params["filename"] != test.file {
				t.Errorf("got file %q, %v, want %q", answer.Header.Get("Content-Disposition"), err, test.file)
			}
			if answer.StatusCode != test.status || answer.Header.Get("Content-Type") != test.kind || body != test.body {
				t.Errorf("got %d, %q, %q, want %d, %q, %q", answer.StatusCode, answer.Header.Get("Content-Type"), body, test.status, test.kind, test.body)
			}
			if test.method == "HEAD" && answer.ContentLength != 10 {
				t.Errorf("got length %d, want 10", answer.ContentLength)
			}
		})
	}
}

func TestLinksWorkForWhatTheyWereSignedForOnly(t *testing.T) {
	f, _, _ := open(t)
	put(t, f, "a", "secret", files.Meta{})
	put(t, f, "b", "secret", files.Meta{})
	get := link(t, f, "a", files.LinkOptions{FileName: "a.csv"})
	if answer, _ := fetch(t, "GET", get, nil); answer.StatusCode != http.StatusOK {
		t.Fatalf("the link itself: got %s", answer.Status)
	}
	for _, test := range []struct{ name, method, url string }{
		{"another file", "GET", strings.Replace(get, "/a?", "/b?", 1)},
		{"another name", "GET", strings.Replace(get, "a.csv", "b.exe", 1)},
		{"a longer life", "GET", strings.Replace(get, "X-Amz-Expires=300", "X-Amz-Expires=3000", 1)},
		{"another signature", "GET", get[:len(get)-1] + "x"},
		{"HEAD by a link for GET", "HEAD", get},
		{"GET by a link for HEAD", "GET", link(t, f, "a", files.LinkOptions{Method: "HEAD"})},
		{"deletion", "DELETE", get},
		{"no signature", "GET", get[:strings.Index(get, "?")]},
	} {
		if test.url == get && test.method == "GET" {
			t.Fatalf("%s: the link was not changed", test.name)
		}
		if answer, body := fetch(t, test.method, test.url, nil); answer.StatusCode != http.StatusForbidden || strings.Contains(body, "secret") {
			t.Errorf("%s: got %s and %q, want 403", test.name, answer.Status, body)
		}
	}
}

func TestALinkExpires(t *testing.T) {
	t.Parallel()
	f, _, _ := open(t)
	put(t, f, "a", "secret", files.Meta{})
	url := link(t, f, "a", files.LinkOptions{Expires: time.Millisecond}) // one second
	<-time.After(2500 * time.Millisecond)
	if answer, _ := fetch(t, "GET", url, nil); answer.StatusCode != http.StatusForbidden {
		t.Errorf("got %s, want 403", answer.Status)
	}
}

func TestALinkNeedsAMethodOfReading(t *testing.T) {
	f, _, _ := open(t)
	if url, err := f.Link(t.Context(), "a", files.LinkOptions{Method: "PUT"}); err == nil {
		t.Errorf("got %s", url)
	}
}

// broken fails after its first bytes.
type broken struct{ left int }

var errBroken = errors.New("the source broke")

func (b *broken) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, errBroken
	}
	n := min(len(p), b.left)
	b.left -= n
	return n, nil
}

func TestAnUploadThatFailsLeavesNothing(t *testing.T) {
	for _, test := range []struct {
		name  string
		bytes int
	}{
		{"at its first byte", 0},
		{"in its only part", 1 << 20},
		{"in its third part", 20 << 20},
	} {
		t.Run(test.name, func(t *testing.T) {
			f, client, bucket := open(t)
			err := f.Put(t.Context(), "a", &broken{test.bytes}, files.Meta{})
			if !errors.Is(err, errBroken) {
				t.Errorf("got %v, want %v", err, errBroken)
			}
			leavesNothing(t, f, client, bucket)
		})
	}
	t.Run("when its context ends", func(t *testing.T) {
		f, client, bucket := open(t)
		ctx, cancel := context.WithCancel(t.Context())
		body := io.MultiReader(bytes.NewReader(make([]byte, 20<<20)), readerFunc(func([]byte) (int, error) {
			cancel()
			return 0, io.EOF
		}))
		if err := f.Put(ctx, "a", body, files.Meta{}); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want %v", err, context.Canceled)
		}
		leavesNothing(t, f, client, bucket)
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// leavesNothing looks for a file, and for parts that would cost storage.
func leavesNothing(t *testing.T, f bucketFiles, client *s3.Client, bucket string) {
	t.Helper()
	if keys, err := f.List(t.Context(), "", 10); err != nil || len(keys) > 0 {
		t.Errorf("got files %v, %v", keys, err)
	}
	parts, err := client.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &bucket})
	if err != nil || len(parts.Uploads) > 0 {
		t.Errorf("got uploads %v, %v", parts, err)
	}
}
