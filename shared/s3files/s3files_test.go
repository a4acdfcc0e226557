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

	"github.com/jobhook/jobhook/shared/awstest"
	"github.com/jobhook/jobhook/shared/s3files"
	"github.com/jobhook/jobhook/shared/webhook"
)

func TestMain(m *testing.M) { os.Exit(awstest.Main(m)) }

// files are those of a bucket, and the way to put some there.
type files struct {
	*s3files.Files
	*s3files.Uploads
}

// open returns the files of a new bucket on a real server.
func open(t *testing.T) (files, *s3.Client, string) {
	t.Helper()
	client := awstest.S3(t).S3()
	bucket := awstest.Bucket(t, client)
	return files{s3files.New(client, bucket), s3files.NewUploads(client, bucket)}, client, bucket
}

func put(t *testing.T, f files, key, body string, m s3files.Meta) {
	t.Helper()
	if err := f.Put(t.Context(), key, strings.NewReader(body), m); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, f files, key string, o s3files.LinkOptions) string {
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
	put(t, f, key, "a,b\n", s3files.Meta{})
	got, err := f.Read(t.Context(), key, 4)
	if err != nil || string(got) != "a,b\n" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := f.Read(t.Context(), key, 3); !errors.Is(err, s3files.ErrTooLarge) {
		t.Errorf("of more than may be read: got %v, want %v", err, s3files.ErrTooLarge)
	}
	put(t, f, key, "", s3files.Meta{})
	if got, err := f.Read(t.Context(), key, 0); err != nil || len(got) != 0 {
		t.Errorf("replaced by an empty one: got %q, %v", got, err)
	}
}

func TestAnAbsentFileIsNotFoundAndMayBeRemoved(t *testing.T) {
	f, client, _ := open(t)
	if _, err := f.Read(t.Context(), "a", 10); !errors.Is(err, webhook.ErrNotFound) {
		t.Errorf("read: got %v, want %v", err, webhook.ErrNotFound)
	}
	put(t, f, "a", "1", s3files.Meta{})
	for range 2 {
		if err := f.Remove(t.Context(), "a"); err != nil {
			t.Errorf("remove: %v", err)
		}
	}
	if _, err := f.Read(t.Context(), "a", 10); !errors.Is(err, webhook.ErrNotFound) {
		t.Errorf("read of a removed one: got %v, want %v", err, webhook.ErrNotFound)
	}
	nowhere := files{s3files.New(client, "no-such-bucket"), s3files.NewUploads(client, "no-such-bucket")}
	if _, err := nowhere.Read(t.Context(), "a", 10); err == nil || errors.Is(err, webhook.ErrNotFound) {
		t.Errorf("read of an absent bucket: got %v, want another error", err)
	}
	if answer, _ := fetch(t, http.MethodGet, link(t, f, "a", s3files.LinkOptions{}), nil); answer.StatusCode != http.StatusNotFound {
		t.Errorf("link: got %s, want 404", answer.Status)
	}
}

func TestListHasTheOldestOfAPrefixFirst(t *testing.T) {
	t.Parallel()
	f, _, _ := open(t)
	if keys, err := f.List(t.Context(), "", 5); err != nil || len(keys) != 0 {
		t.Errorf("of an empty bucket: got %v, %v", keys, err)
	}
	put(t, f, "failed/b", "1", s3files.Meta{})
	put(t, f, "other", "1", s3files.Meta{})
	<-time.After(1100 * time.Millisecond) // files have whole seconds
	put(t, f, "failed/a", "1", s3files.Meta{})
	for _, test := range []struct {
		prefix string
		limit  int
		want   []string
	}{
		{"failed/", 10, []string{"failed/b", "failed/a"}},
		{"failed/", 1, []string{"failed/a"}}, // the first in the order of keys
		{"", 10, []string{"failed/b", "other", "failed/a"}},
		{"absent/", 10, []string{}},
	} {
		got, err := f.List(t.Context(), test.prefix, test.limit)
		if err != nil || !cmp.Equal(got, test.want) {
			t.Errorf("%q, at most %d: got %v, %v, want %v", test.prefix, test.limit, got, err, test.want)
		}
	}
	folder := f.Folder("failed/", 1)
	keys, err := folder.List(t.Context(), 10)
	if err != nil || len(keys) != 2 {
		t.Fatalf("folder: got %v, %v", keys, err)
	}
	if b, err := folder.Read(t.Context(), keys[0]); err != nil || string(b) != "1" {
		t.Errorf("folder: got %q, %v", b, err)
	}
	if err := folder.Remove(t.Context(), keys[0]); err != nil {
		t.Error(err)
	}
	if keys, err := folder.List(t.Context(), 10); err != nil || len(keys) != 1 {
		t.Errorf("after a removal: got %v, %v", keys, err)
	}
}

func TestListGoesOnAfterAPage(t *testing.T) {
	t.Parallel()
	f, _, _ := open(t)
	const n = 1010 // S3 lists 1,000 at once
	for i := range n {
		put(t, f, fmt.Sprintf("%04d", i), "1", s3files.Meta{})
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
	if err := f.Put(t.Context(), "large", body, s3files.Meta{ContentType: "text/csv"}); err != nil {
		t.Fatal(err)
	}
	answer, got := fetch(t, http.MethodGet, link(t, f, "large", s3files.LinkOptions{}), nil)
	if len(got) != size || sha256.Sum256([]byte(got)) != [32]byte(whole.Sum(nil)) || answer.Header.Get("Content-Type") != "text/csv" {
		t.Errorf("got %d bytes of %s, want %d others of text/csv", len(got), answer.Header.Get("Content-Type"), size)
	}
	attributes, err := client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &bucket, Key: ptr("large")})
	if err != nil || !strings.HasSuffix(strings.Trim(*attributes.ETag, `"`), "-3") {
		t.Errorf("got ETag %v, %v, want one of three parts", *attributes.ETag, err)
	}
}

func ptr(s string) *string { return &s }

func TestLinksServeTheFileUnderItsName(t *testing.T) {
	f, _, _ := open(t)
	put(t, f, "a", "0123456789", s3files.Meta{ContentType: "text/csv", FileName: "as put.csv"})
	asPut := link(t, f, "a", s3files.LinkOptions{})
	named := s3files.LinkOptions{FileName: `Größe "x"/y.jsonl`, ContentType: "application/jsonl"}
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
	put(t, f, "a", "secret", s3files.Meta{})
	put(t, f, "b", "secret", s3files.Meta{})
	get := link(t, f, "a", s3files.LinkOptions{FileName: "a.csv"})
	if answer, _ := fetch(t, "GET", get, nil); answer.StatusCode != http.StatusOK {
		t.Fatalf("the link itself: got %s", answer.Status)
	}
	for _, test := range []struct{ name, method, url string }{
		{"another file", "GET", strings.Replace(get, "/a?", "/b?", 1)},
		{"another name", "GET", strings.Replace(get, "a.csv", "b.exe", 1)},
		{"a longer life", "GET", strings.Replace(get, "X-Amz-Expires=300", "X-Amz-Expires=3000", 1)},
		{"another signature", "GET", get[:len(get)-1] + "x"},
		{"HEAD by a link for GET", "HEAD", get},
		{"GET by a link for HEAD", "GET", link(t, f, "a", s3files.LinkOptions{Method: "HEAD"})},
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
	put(t, f, "a", "secret", s3files.Meta{})
	url := link(t, f, "a", s3files.LinkOptions{Expires: time.Millisecond}) // one second
	<-time.After(2500 * time.Millisecond)
	if answer, _ := fetch(t, "GET", url, nil); answer.StatusCode != http.StatusForbidden {
		t.Errorf("got %s, want 403", answer.Status)
	}
}

func TestALinkNeedsAMethodOfReading(t *testing.T) {
	f, _, _ := open(t)
	if url, err := f.Link(t.Context(), "a", s3files.LinkOptions{Method: "PUT"}); err == nil {
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
			err := f.Put(t.Context(), "a", &broken{test.bytes}, s3files.Meta{})
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
		if err := f.Put(ctx, "a", body, s3files.Meta{}); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want %v", err, context.Canceled)
		}
		leavesNothing(t, f, client, bucket)
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// leavesNothing looks for a file, and for parts that would cost storage.
func leavesNothing(t *testing.T, f files, client *s3.Client, bucket string) {
	t.Helper()
	if keys, err := f.List(t.Context(), "", 10); err != nil || len(keys) > 0 {
		t.Errorf("got files %v, %v", keys, err)
	}
	parts, err := client.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &bucket})
	if err != nil || len(parts.Uploads) > 0 {
		t.Errorf("got uploads %v, %v", parts, err)
	}
}
