// Package awstest starts servers that speak AWS for tests: DynamoDB Local,
// moto and versitygw, as .ci/tools installs them. Each is started at most once
// in a test process, on a free loopback port, and ends with it.
package awstest

import (
	"context"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// What all servers are told and expect. DynamoDB Local allows letters and
// digits only.
const (
	Region    = "us-east-1"
	AccessKey = "JOBHOOKTEST"
	SecretKey = "jobhooksecret"
)

// requireAll makes a server that is not installed a failure.
const requireAll = "JOBHOOK_REQUIRE_ALL"

// errMissing: a server, or what it runs on, is not installed.
var errMissing = errors.New("not installed")

// Server is a server that answers.
type Server struct {
	// URL has no path and names localhost, so that the queue URLs that moto
	// makes of it lead to it.
	URL string
}

// DynamoDB returns AWS's DynamoDB Local, with its streams; in memory, one
// database for all.
func DynamoDB(t testing.TB) Server {
	t.Helper()
	return need(t, dynamoDB)
}

// Moto returns moto's server: SQS, KMS, CloudFormation and what it creates.
func Moto(t testing.TB) Server {
	t.Helper()
	return need(t, moto)
}

// S3 returns versitygw on an empty folder. It verifies signatures and expiry.
func S3(t testing.TB) Server {
	t.Helper()
	return need(t, gateway)
}

// CfnLint returns a command that checks templates: cfn-lint with arguments.
func CfnLint(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	tools, err := toolsDir()
	if err != nil {
		t.Fatal(err)
	}
	found(t, installed("cfn-lint", filepath.Join(tools, "venv.version")))
	script := filepath.Join(filepath.Dir(python(tools)), "cfn-lint")
	return exec.CommandContext(t.Context(), python(tools), append([]string{script}, args...)...)
}

// OpenAPIValidator returns a command that checks OpenAPI documents, 3.1 too:
// openapi-spec-validator with arguments. It ends with an error for invalid ones.
func OpenAPIValidator(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	tools, err := toolsDir()
	if err != nil {
		t.Fatal(err)
	}
	found(t, installed("openapi-spec-validator", filepath.Join(tools, "venv.version")))
	return exec.CommandContext(t.Context(), python(tools), append([]string{"-m", "openapi_spec_validator"}, args...)...)
}

// Main runs a package's tests and ends the servers that they started:
//
//	func TestMain(m *testing.M) { os.Exit(awstest.Main(m)) }
//
// On Linux they also end with the process that started them, however it dies;
// Main is needed elsewhere, and to remove S3's folder.
func Main(m *testing.M) int {
	defer stopAll()
	return m.Run()
}

// Config returns the SDK's configuration for the server.
func (s Server) Config() aws.Config {
	creds := aws.Credentials{AccessKeyID: AccessKey, SecretAccessKey: SecretKey, Source: "awstest"}
	return aws.Config{
		Region:       Region,
		BaseEndpoint: aws.String(s.URL),
		Credentials:  aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return creds, nil }),
		HTTPClient:   NewHTTP(),
	}
}

// Env returns the environment that leads a function, or any program that uses
// an SDK, to the server, as NAME=value.
func (s Server) Env() []string {
	return []string{
		"AWS_REGION=" + Region, "AWS_DEFAULT_REGION=" + Region,
		"AWS_ACCESS_KEY_ID=" + AccessKey, "AWS_SECRET_ACCESS_KEY=" + SecretKey,
		"AWS_ENDPOINT_URL=" + s.URL,
	}
}

// S3 returns a client of the server. Buckets are in the path, as the server
// has one name only.
func (s Server) S3() *s3.Client {
	return s3.NewFromConfig(s.Config(), func(o *s3.Options) { o.UsePathStyle = true })
}

// NewHTTP returns a client for many requests at once to one server.
func NewHTTP() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = 0, 100
	return &http.Client{Transport: Buffered(transport)}
}

// need returns a server or ends the test.
func need(t testing.TB, start func() (Server, error)) Server {
	t.Helper()
	s, err := start()
	found(t, err)
	return s
}

// found ends the test on an error: skipped when something is not installed,
// failed when it does not work or must be there.
func found(t testing.TB, err error) {
	t.Helper()
	switch {
	case err == nil:
	case errors.Is(err, errMissing) && os.Getenv(requireAll) == "":
		t.Skipf("%v; run `make tools` (.ci/tools)", err)
	case errors.Is(err, errMissing):
		t.Fatalf("%v; run `make tools` (.ci/tools), as %s is set", err, requireAll)
	default:
		t.Fatal(err)
	}
}

var (
	dynamoDB = sync.OnceValues(func() (Server, error) { return start(dynamoDBLocal) })
	moto     = sync.OnceValues(func() (Server, error) { return start(motoServer) })
	gateway  = sync.OnceValues(func() (Server, error) { return start(versitygw) })
)
