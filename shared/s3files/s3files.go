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
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/jobhook/jobhook/shared/webhook"
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
	client  *s3.Client
	presign *s3.PresignClient
	bucket  string
}

// New returns the files of a bucket. The bucket is not looked at.
func New(client *s3.Client, bucket string) *Files {
	return &Files{client: client, presign: s3.NewPresignClient(client), bucket: bucket}
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
