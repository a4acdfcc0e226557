package s3files

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/jobhook/jobhook/shared/files"
)

// An upload holds (concurrency + 1) parts in memory, and at its beginning one
// more: 20 MiB at most, so that an export can write two files at once beside all
// else it needs. Parts are as small as S3 takes them; it takes 10,000, so a file
// has at most 48 GiB.
const (
	partSize    = 5 << 20
	concurrency = 2
	// An upload whose context ended may take this long to end what it is sending,
	// and as long again to remove what it has sent. What is left all the same
	// costs storage until the bucket's lifecycle removes it.
	abortTime = 5 * time.Second
)

// Uploads put files into a bucket. They are a type of their own, so that a
// function which only reads does not carry the transfer manager.
type Uploads struct {
	transfer *transfermanager.Client
	bucket   string
}

// NewUploads returns the uploads to a bucket. The bucket is not looked at.
func NewUploads(client *s3.Client, bucket string) *Uploads {
	return &Uploads{bucket: bucket, transfer: transfermanager.New(client, func(o *transfermanager.Options) {
		o.PartSizeBytes, o.MultipartUploadThreshold = partSize, partSize
		o.Concurrency, o.FailTimeout = concurrency, abortTime
	})}
}

// Put streams a file to S3, holding 20 MiB of it at most. The file is there
// when all of it was read and taken, replacing one of the same key, and not at
// all after an error. When ctx ends before the body does, what was sent is
// removed, for which Put takes 10 s at most.
func (u *Uploads) Put(ctx context.Context, key string, body io.Reader, m files.Meta) error {
	work, cancel := outlive(ctx, abortTime)
	defer cancel()
	in := &transfermanager.UploadObjectInput{
		Bucket: &u.bucket, Key: &key,
		Body:               files.While(ctx, body), // it has no Seek, as a pipe only pretends to
		ContentType:        optional(m.ContentType),
		ContentDisposition: optional(files.Disposition(m.FileName)),
	}
	if _, err := u.transfer.UploadObject(work, in); err != nil {
		return fmt.Errorf("file %s: put: %w", key, err)
	}
	return nil
}

// outlive returns a context that ends so long after ctx, and not before: S3 may
// have begun the upload whose request was cancelled, and only the answer names it.
func outlive(ctx context.Context, by time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	unhook := context.AfterFunc(ctx, func() {
		select {
		case <-time.After(by):
			cancel()
		case <-longer.Done():
		}
	})
	return longer, func() { unhook(); cancel() }
}
