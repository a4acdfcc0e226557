// Package s3files keeps files in an S3 bucket: results that customers download
// by links, and what Lambda leaves behind when it gives up.
package s3files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/jobhook/jobhook/shared/files"
	"github.com/jobhook/jobhook/shared/webhook"
)

// Bounds of how long a link works.
const (
	defaultExpiry = 5 * time.Minute
	maxExpiry     = 7 * 24 * time.Hour
)

// maxRemoved is how many files S3 deletes, and lists, by one request.
const maxRemoved = 1000

// ErrTooLarge: a file is larger than the caller wants to read.
var ErrTooLarge = errors.New("file is too large")

// Files are the objects of a bucket.
type Files struct {
	client  *s3.Client
	presign *s3.PresignClient
	bucket  string
}

// Client returns a client of S3. It names the bucket in the path where a server
// of one's own takes the place of S3, as that has no further names below its own.
func Client(config aws.Config) *s3.Client {
	return s3.NewFromConfig(config, func(o *s3.Options) { o.UsePathStyle = o.BaseEndpoint != nil })
}

// New returns the files of a bucket. The bucket is not looked at.
func New(client *s3.Client, bucket string) *Files {
	return &Files{client: client, presign: s3.NewPresignClient(client), bucket: bucket}
}

// Link returns a URL by which anybody gets the file until it expires. It ends
// earlier when the credentials that signed it do: within hours for a Lambda. No
// request is made: a link to a file that is not there answers 404.
func (f *Files) Link(ctx context.Context, key string, o files.LinkOptions) (string, error) {
	link, err := f.sign(ctx, key, o)
	if err != nil {
		return "", fmt.Errorf("file %s: link: %w", key, err)
	}
	return link.URL, nil
}

func (f *Files) sign(ctx context.Context, key string, o files.LinkOptions) (*v4.PresignedHTTPRequest, error) {
	name, contentType, expires := optional(files.Disposition(o.FileName)), optional(o.ContentType), s3.WithPresignExpires(expiry(o.Expires))
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

// UploadLink returns a URL that takes one file by PUT until it expires, whole
// seconds and at most 7 days; 0 is 5 minutes. As with Link, no request is made.
func (f *Files) UploadLink(ctx context.Context, key string, expires time.Duration) (string, error) {
	link, err := f.presign.PresignPutObject(ctx, &s3.PutObjectInput{Bucket: &f.bucket, Key: &key}, s3.WithPresignExpires(expiry(expires)))
	if err != nil {
		return "", fmt.Errorf("file %s: upload link: %w", key, err)
	}
	return link.URL, nil
}

// List returns the first files, in the order of keys, whose keys begin with
// prefix, at most limit.
func (f *Files) List(ctx context.Context, prefix string, limit int) ([]files.Info, error) {
	var found []files.Info
	pages := s3.NewListObjectsV2Paginator(f.client, &s3.ListObjectsV2Input{
		Bucket: &f.bucket, Prefix: optional(prefix), MaxKeys: aws.Int32(int32(min(limit, 1000))),
	})
	for len(found) < limit && pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("files %s: list: %w", prefix, err)
		}
		for _, o := range page.Contents {
			found = append(found, files.Info{Key: aws.ToString(o.Key), Size: aws.ToInt64(o.Size), Modified: aws.ToTime(o.LastModified)})
		}
	}
	return found[:min(limit, len(found))], nil
}

// Open returns a file, to be read as it comes and to be closed, and its size in
// bytes. It is webhook.ErrNotFound when there is none, see Read.
func (f *Files) Open(ctx context.Context, key string) (io.ReadCloser, int64, error) {
	out, err := f.get(ctx, key)
	if err != nil {
		return nil, 0, fmt.Errorf("file %s: open: %w", key, err)
	}
	return out.Body, aws.ToInt64(out.ContentLength), nil
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
	out, err := f.get(ctx, key)
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

func (f *Files) get(ctx context.Context, key string) (*s3.GetObjectOutput, error) {
	out, err := f.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &f.bucket, Key: &key})
	if isAbsent(err) {
		return nil, webhook.ErrNotFound
	}
	return out, err
}

// Remove deletes a file. That there is none is no error.
func (f *Files) Remove(ctx context.Context, key string) error {
	_, err := f.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &f.bucket, Key: &key})
	if err != nil && !isAbsent(err) {
		return fmt.Errorf("file %s: remove: %w", key, err)
	}
	return nil
}

// RemoveFolder deletes all files whose keys begin with prefix, which ends with
// a slash, so that nobody empties a bucket by an empty name. After an error some
// may be gone.
func (f *Files) RemoveFolder(ctx context.Context, prefix string) error {
	if !strings.HasSuffix(prefix, "/") {
		return fmt.Errorf("folder %q: remove: a folder ends with a slash", prefix)
	}
	for {
		list, err := f.List(ctx, prefix, maxRemoved)
		if err == nil && len(list) > 0 {
			err = f.removeAll(ctx, list)
		}
		if err != nil {
			return fmt.Errorf("folder %s: remove: %w", prefix, err)
		}
		if len(list) < maxRemoved {
			return nil
		}
	}
}

func (f *Files) removeAll(ctx context.Context, list []files.Info) error {
	objects := make([]types.ObjectIdentifier, len(list))
	for i, info := range list {
		objects[i].Key = &info.Key
	}
	out, err := f.client.DeleteObjects(ctx, &s3.DeleteObjectsInput{
		Bucket: &f.bucket, Delete: &types.Delete{Objects: objects, Quiet: aws.Bool(true)},
	})
	if err != nil {
		return err
	}
	if len(out.Errors) > 0 {
		e := out.Errors[0]
		return fmt.Errorf("%d files stay, the first %s: %s: %s", len(out.Errors), aws.ToString(e.Key), aws.ToString(e.Code), aws.ToString(e.Message))
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
