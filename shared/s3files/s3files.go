// Package s3files keeps files in an S3 bucket: results that customers download
// by links, and what Lambda leaves behind when it gives up.
package s3files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/jobhook/jobhook/shared/webhook"
)

// An upload holds (concurrency + 1) parts in memory, and at its beginning one
// more: 32 MiB at most. S3 takes 10,000 parts, so a file has at most 78 GiB.
const (
	partSize    = 8 << 20
	concurrency = 2
	// abortTime is what giving up an upload may take after its context ended.
	// What is left all the same costs storage until the bucket's lifecycle
	// removes it.
	abortTime = 10 * time.Second
)

// Bounds of how long a link works.
const (
	defaultExpiry = 5 * time.Minute
	maxExpiry     = 7 * 24 * time.Hour
)

// ErrTooLarge: a file is larger than the caller wants to read.
var ErrTooLarge = errors.New("file is too large")

// Files are the objects of a bucket.
type Files struct {
	client   *s3.Client
	presign  *s3.PresignClient
	transfer *transfermanager.Client
	bucket   string
}

// New returns the files of a bucket. The bucket is not looked at.
func New(client *s3.Client, bucket string) *Files {
	return &Files{
		client: client, presign: s3.NewPresignClient(client), bucket: bucket,
		transfer: transfermanager.New(client, func(o *transfermanager.Options) {
			o.PartSizeBytes, o.MultipartUploadThreshold = partSize, partSize
			o.Concurrency, o.FailTimeout = concurrency, abortTime
		}),
	}
}

// Meta is what a file is served with, when a link says nothing else.
type Meta struct {
	ContentType string // empty: S3 says application/octet-stream
	FileName    string // under which browsers save it; empty: the end of its key
}

// Put streams a file to S3, holding 32 MiB of it at most. The file is there
// when all of it was read and taken, replacing one of the same key, and not at
// all after an error.
func (f *Files) Put(ctx context.Context, key string, body io.Reader, m Meta) error {
	in := &transfermanager.UploadObjectInput{
		Bucket: &f.bucket, Key: &key,
		Body:               struct{ io.Reader }{body}, // a pipe has Seek too, and fails at it
		ContentType:        optional(m.ContentType),
		ContentDisposition: optional(disposition(m.FileName)),
	}
	if _, err := f.transfer.UploadObject(ctx, in); err != nil {
		return fmt.Errorf("file %s: put: %w", key, err)
	}
	return nil
}

// LinkOptions say what a link does.
type LinkOptions struct {
	Method      string        // GET or HEAD; empty: GET. A link works for one of them.
	FileName    string        // under which browsers save it; empty: as it was put
	ContentType string        // empty: as it was put
	Expires     time.Duration // whole seconds, rounded up, at most 7 days; 0: 5 minutes
}

// Link returns a URL by which anybody gets the file until it expires. It ends
// earlier when the credentials that signed it do: within hours for a Lambda. No
// request is made: a link to a file that is not there answers 404.
func (f *Files) Link(ctx context.Context, key string, o LinkOptions) (string, error) {
	link, err := f.sign(ctx, key, o)
	if err != nil {
		return "", fmt.Errorf("file %s: link: %w", key, err)
	}
	return link.URL, nil
}

func (f *Files) sign(ctx context.Context, key string, o LinkOptions) (*v4.PresignedHTTPRequest, error) {
	name, contentType, expires := optional(disposition(o.FileName)), optional(o.ContentType), s3.WithPresignExpires(expiry(o.Expires))
	switch o.Method {
	case http.MethodGet, "":
		return f.presign.PresignGetObject(ctx, &s3.GetObjectInput{
			Bucket: &f.bucket, Key: &key, ResponseContentDisposition: name, ResponseContentType: contentType,
		}, expires)
	case http.MethodHead:
		return f.presign.PresignHeadObject(ctx, &s3.HeadObjectInput{
			Bucket: &f.bucket, Key: &key, ResponseContentDisposition: name, ResponseContentType: contentType,
		}, expires)
	}
	return nil, fmt.Errorf("method %.20q is neither GET nor HEAD", o.Method)
}

// expiry is how long a link works: whole seconds, as its URL has no others.
func expiry(d time.Duration) time.Duration {
	if d <= 0 {
		return defaultExpiry
	}
	return min((d + time.Second - 1).Truncate(time.Second), maxExpiry)
}

// List returns the keys that begin with prefix, of up to limit files: the first
// in the order of keys, and of those the oldest first.
func (f *Files) List(ctx context.Context, prefix string, limit int) ([]string, error) {
	var found []types.Object
	pages := s3.NewListObjectsV2Paginator(f.client, &s3.ListObjectsV2Input{
		Bucket: &f.bucket, Prefix: optional(prefix), MaxKeys: aws.Int32(int32(min(limit, 1000))),
	})
	for len(found) < limit && pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("files %s: list: %w", prefix, err)
		}
		found = append(found, page.Contents...)
	}
	found = found[:min(limit, len(found))]
	slices.SortStableFunc(found, func(a, b types.Object) int { return aws.ToTime(a.LastModified).Compare(aws.ToTime(b.LastModified)) })
	keys := make([]string, len(found))
	for i, o := range found {
		keys[i] = aws.ToString(o.Key)
	}
	return keys, nil
}

// Read returns a whole file, webhook.ErrNotFound when there is none, and
// ErrTooLarge when it has more than most bytes. S3 says that a file is absent
// only to who may list the bucket; others get its 403.
func (f *Files) Read(ctx context.Context, key string, most int64) ([]byte, error) {
	b, err := f.read(ctx, key, most)
	if err != nil {
		return nil, fmt.Errorf("file %s: read: %w", key, err)
	}
	return b, nil
}

func (f *Files) read(ctx context.Context, key string, most int64) ([]byte, error) {
	out, err := f.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &f.bucket, Key: &key})
	if isAbsent(err) {
		return nil, webhook.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	defer out.Body.Close()
	b, err := io.ReadAll(io.LimitReader(out.Body, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > most {
		return nil, fmt.Errorf("%w: it has %d bytes, at most %d are read", ErrTooLarge, aws.ToInt64(out.ContentLength), most)
	}
	return b, nil
}

// Remove deletes a file. That there is none is no error.
func (f *Files) Remove(ctx context.Context, key string) error {
	_, err := f.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &f.bucket, Key: &key})
	if err != nil && !isAbsent(err) {
		return fmt.Errorf("file %s: remove: %w", key, err)
	}
	return nil
}

// isAbsent tells whether it is the file, not the bucket, that is not there.
func isAbsent(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && (api.ErrorCode() == "NoSuchKey" || api.ErrorCode() == "NotFound")
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
