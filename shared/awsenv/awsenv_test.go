package awsenv

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
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
