// Package awsenv makes the AWS SDK's configuration of what Lambda puts into the
// environment: region, credentials, and endpoints where tests have servers of
// their own. It does without the SDK's config module, whose profiles, SSO and
// metadata clients no function needs: a smaller binary, a faster start.
package awsenv

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

const (
	// maxPerHost connections serve a whole batch that calls at once, and leave
	// the rest of Lambda's 1,024 file descriptors to the receivers.
	maxPerHost = 60
	// maxTries of a request, the first included. What still fails is the
	// caller's: its message returns to the queue.
	maxTries = 5
	// maxBackoff between them keeps all of them well within a function's time.
	maxBackoff = 2 * time.Second
	// bufferBytes of a connection, for writing and for reading each, are a record
	// of TLS, the most that one system call sends or gets.
	bufferBytes = 16 << 10
	// inMemory is up to what size, in bytes, a body is sent with its header.
	inMemory = 64 << 10
)

// HTTP is the client of all services. CloseIdle gives up the connections that
// a freeze of the function may have broken.
type HTTP struct {
	client    *http.Client
	transport *http.Transport
}

// NewHTTP returns a client for many requests at once to few hosts.
func NewHTTP() HTTP {
	t := awshttp.NewBuildableClient().GetTransport() // the SDK's timeouts
	t.MaxIdleConns, t.MaxIdleConnsPerHost, t.MaxConnsPerHost = 0, maxPerHost, maxPerHost
	t.ReadBufferSize, t.WriteBufferSize = bufferBytes, bufferBytes
	t.TLSClientConfig.DynamicRecordSizingDisabled = true // small records show a page sooner; no part of these is of use alone
	return HTTP{transport: t, client: &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}}
}

// Do sends a request of the SDK. A body that net/http does not know to be in
// memory follows its header by a write of its own, as it might be long in
// coming; those that the SDK makes are in memory, but wrapped.
func (h HTTP) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.ContentLength > 0 && r.ContentLength <= inMemory {
		body, err := readAll(r.Body, int(r.ContentLength))
		if err != nil {
			return nil, fmt.Errorf("body of a request: %w", err)
		}
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		r.Body, _ = r.GetBody()
	}
	return h.client.Do(r)
}

// readAll reads a body that has n bytes, and closes it.
func readAll(from io.ReadCloser, n int) ([]byte, error) {
	defer from.Close()
	body := make([]byte, n+1)
	switch got, err := io.ReadFull(from, body); {
	case got > n:
		return nil, fmt.Errorf("it is longer than the %d bytes that were announced", n)
	case got < n && errors.Is(err, io.EOF):
		return nil, io.ErrUnexpectedEOF
	case got < n:
		return nil, err
	}
	return body[:n], nil
}

// CloseIdle closes the connections that no request uses.
func (h HTTP) CloseIdle() { h.transport.CloseIdleConnections() }

// Config returns the SDK's configuration. Getenv reads AWS_REGION,
// AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, as Lambda
// sets them for the life of an execution environment. Where tests have servers
// of their own, AWS_ENDPOINT_URL_<SERVICE>, such as AWS_ENDPOINT_URL_DYNAMODB,
// and for all others AWS_ENDPOINT_URL say where they are.
func Config(getenv func(string) string, client aws.HTTPClient) aws.Config {
	creds := aws.Credentials{
		AccessKeyID: getenv("AWS_ACCESS_KEY_ID"), SecretAccessKey: getenv("AWS_SECRET_ACCESS_KEY"),
		SessionToken: getenv("AWS_SESSION_TOKEN"), Source: "environment",
	}
	return aws.Config{
		Region:        getenv("AWS_REGION"),
		Credentials:   aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return creds, nil }),
		HTTPClient:    client,
		ConfigSources: []any{endpoints{getenv}},
		Retryer: func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.MaxAttempts, o.MaxBackoff = maxTries, maxBackoff
				o.RateLimiter = noLimit{} // the batch is bounded; a token bucket would fail calls of one delivery for those of another
			})
		},
	}
}

// endpoints tells the SDK's clients where their services are.
type endpoints struct{ getenv func(string) string }

// GetServiceBaseEndpoint is what each client asks its configuration's sources
// for, by the id of its service, such as "DynamoDB".
func (e endpoints) GetServiceBaseEndpoint(_ context.Context, service string) (url string, found bool, err error) {
	url = cmp.Or(e.getenv("AWS_ENDPOINT_URL_"+strings.ToUpper(service)), e.getenv("AWS_ENDPOINT_URL"))
	return url, url != "", nil
}

// noLimit lets every retry through.
type noLimit struct{}

// GetToken gives a token at once.
func (noLimit) GetToken(context.Context, uint) (func() error, error) {
	return func() error { return nil }, nil
}

// AddTokens has nothing to add to.
func (noLimit) AddTokens(uint) error { return nil }
