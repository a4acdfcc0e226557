package s3files

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/jobhook/jobhook/shared/files"
)

// slow is an S3 that takes a second for each part, and counts bytes.
type slow struct{ taken atomic.Int64 }

func (s *slow) Do(r *http.Request) (*http.Response, error) {
	body := ""
	switch query := r.URL.Query(); {
	case r.Method == http.MethodPut && query.Has("partNumber"):
		<-time.After(time.Second)
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			return nil, err
		}
		s.taken.Add(n)
	case r.Method == http.MethodPost && query.Has("uploads"):
		body = "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
	case r.Method == http.MethodPost:
		body = "<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>"
	default:
		return nil, fmt.Errorf("unexpected %s %s", r.Method, r.URL)
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Etag": {`"e"`}}, Body: io.NopCloser(strings.NewReader(body))}, nil
}

// source counts how far it is ahead of what was taken.
type source struct {
	slow  *slow
	left  int64
	read  int64
	ahead int64
}

func (s *source) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), s.left)
	s.left -= n
	s.read += n
	s.ahead = max(s.ahead, s.read-s.slow.taken.Load())
	return int(n), nil
}

func TestAnUploadReadsNoFurtherAheadThanItSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &slow{}
		uploads := NewUploads(clientOf(server), "bucket")
		const parts = 12
		body := &source{slow: server, left: parts * partSize}
		if err := uploads.Put(t.Context(), "a", body, files.Meta{}); err != nil {
			t.Fatal(err)
		}
		if got := server.taken.Load(); got < parts*partSize {
			t.Errorf("%d bytes were taken, want %d", got, parts*partSize)
		}
		// The parts of its pool, and the first one, which is read before there is a pool.
		if most := int64(concurrency+2) * partSize; body.ahead > most {
			t.Errorf("it was %d bytes ahead, want at most %d", body.ahead, most)
		}
	})
}

// clientOf returns a client that reaches a fake.
func clientOf(h aws.HTTPClient) *s3.Client {
	return s3.New(s3.Options{
		Region: "us-east-1", HTTPClient: h, BaseEndpoint: aws.String("http://s3.test"), UsePathStyle: true,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "a", SecretAccessKey: "b"}, nil
		}),
	})
}

// clientFunc is a fake S3.
type clientFunc func(*http.Request) (*http.Response, error)

func (f clientFunc) Do(r *http.Request) (*http.Response, error) { return f(r) }

func TestAThrottledRequestIsMadeAgainUntilTheDeadline(t *testing.T) {
	for _, test := range []struct {
		name     string
		throttle int // requests
		ok       bool
	}{
		{"it is taken in time", 2, true},
		{"it is not", 1000, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked := 0
				bucket := New(clientOf(clientFunc(func(*http.Request) (*http.Response, error) {
					if asked++; asked <= test.throttle {
						return &http.Response{StatusCode: http.StatusServiceUnavailable, Body: io.NopCloser(strings.NewReader("<Error><Code>SlowDown</Code></Error>"))}, nil
					}
					return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("1")), ContentLength: 1}, nil
				})), "bucket")
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				begun := time.Now()
				_, err := bucket.Read(ctx, "a", 10)
				if (err == nil) != test.ok || asked < 3 || time.Since(begun) > time.Minute {
					t.Errorf("got %v after %d requests and %v", err, asked, time.Since(begun))
				}
			})
		})
	}
}
