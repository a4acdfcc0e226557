package awsenv

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

func env(all map[string]string) func(string) string {
	return func(name string) string { return all[name] }
}

func TestTheCredentialsOfLambdaAreUsed(t *testing.T) {
	var request *http.Request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request = r
		io.WriteString(w, "{}")
	}))
	defer server.Close()
	getenv := env(map[string]string{
		"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "token",
		"AWS_ENDPOINT_URL_DYNAMODB": server.URL,
	})
	client := dynamodb.NewFromConfig(Config(getenv, NewHTTP()))
	if _, err := client.ListTables(t.Context(), &dynamodb.ListTablesInput{}); err != nil {
		t.Fatal(err)
	}
	if got := request.Header.Get("Authorization"); !strings.Contains(got, "Credential=AKID/") || !strings.Contains(got, "/eu-central-1/dynamodb/") {
		t.Errorf("authorization %q, want that of AKID in eu-central-1", got)
	}
	if got := request.Header.Get("X-Amz-Security-Token"); got != "token" {
		t.Errorf("session token %q, want token", got)
	}
}

func TestAnEndpointIsOfItsServiceElseOfAll(t *testing.T) {
	all := map[string]string{"AWS_REGION": "eu-central-1", "AWS_ENDPOINT_URL_SQS": "http://sqs", "AWS_ENDPOINT_URL": "http://all"}
	config := Config(env(all), NewHTTP())
	if got := aws.ToString(sqs.NewFromConfig(config).Options().BaseEndpoint); got != "http://sqs" {
		t.Errorf("sqs: got %q", got)
	}
	if got := aws.ToString(s3.NewFromConfig(config).Options().BaseEndpoint); got != "http://all" {
		t.Errorf("s3: got %q", got)
	}
	if got := s3.NewFromConfig(Config(env(nil), NewHTTP())).Options().BaseEndpoint; got != nil {
		t.Errorf("without variables: got %q, want AWS's own", *got)
	}
}

// TestARequestLeavesInOneWrite: the header alone, and the body after it, are two
// system calls, two records of TLS, and wake the other end twice.
func TestARequestLeavesInOneWrite(t *testing.T) {
	var got []byte
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, _ = io.ReadAll(r.Body)
		io.WriteString(w, "{}")
	}))
	defer server.Close()
	var writes atomic.Int64
	calls := NewHTTP()
	calls.transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, address)
		return counted{c, &writes}, err
	}
	calls.transport.TLSClientConfig.RootCAs = x509.NewCertPool()
	calls.transport.TLSClientConfig.RootCAs.AddCert(server.Certificate())
	client := dynamodb.NewFromConfig(Config(env(map[string]string{
		"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_ENDPOINT_URL": server.URL,
	}), calls))
	if _, err := client.ListTables(t.Context(), &dynamodb.ListTablesInput{}); err != nil { // connects
		t.Fatal(err)
	}
	for size, want := range map[int]int64{1_000: 1, 14_000: 1, 25_000: 2} {
		before, statement := writes.Load(), strings.Repeat("x", size)
		if _, err := client.ExecuteStatement(t.Context(), &dynamodb.ExecuteStatementInput{Statement: &statement}); err != nil {
			t.Fatal(err)
		}
		if n := writes.Load() - before; n != want {
			t.Errorf("%d bytes: %d writes, want %d", size, n, want)
		}
		if want := `{"Statement":"` + statement + `"}`; string(got) != want {
			t.Errorf("got a body of %d bytes, want the %d of the statement", len(got), len(want))
		}
	}
}

// counted counts what is written to a connection.
type counted struct {
	net.Conn
	writes *atomic.Int64
}

func (c counted) Write(b []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(b)
}

func TestABodyOfAnotherLengthThanAnnouncedIsAnError(t *testing.T) {
	for body, want := range map[string]string{
		"":                 "body of a request: unexpected EOF",
		"short":            "body of a request: unexpected EOF",
		"longer than that": "body of a request: it is longer than the 10 bytes that were announced",
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://127.0.0.1:1/", io.NopCloser(strings.NewReader(body)))
		if err != nil {
			t.Fatal(err)
		}
		r.ContentLength = 10
		if _, err := NewHTTP().Do(r); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", body, err, want)
		}
	}
}

// TestManyThrottledCallsEachHaveTheirTries: with the SDK's own bucket of retry
// tokens, some calls would give up at once for what others had used.
func TestManyThrottledCallsEachHaveTheirTries(t *testing.T) {
	retryer := Config(env(nil), NewHTTP()).Retryer()
	for range 1000 {
		release, err := retryer.GetRetryToken(t.Context(), errors.New("throttled"))
		if err != nil {
			t.Fatal(err)
		}
		if err := release(errors.New("again")); err != nil {
			t.Fatal(err)
		}
	}
	if retryer.MaxAttempts() != maxTries {
		t.Errorf("%d tries, want %d", retryer.MaxAttempts(), maxTries)
	}
}
