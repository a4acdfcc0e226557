package awstest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// child makes this test binary start a server, say where it is, and wait.
const child = "AWSTEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(child) != "" {
		s, err := gateway()
		if err != nil {
			panic(err)
		}
		_, _ = io.WriteString(os.Stdout, s.URL+"\n")
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0) // without Main: nothing stops the server but its parent's end
	}
	os.Exit(Main(m))
}

func TestEveryServerAnswersTheSDK(t *testing.T) {
	t.Run("DynamoDB", func(t *testing.T) {
		client := dynamodb.NewFromConfig(DynamoDB(t).Config())
		if _, err := client.ListTables(t.Context(), &dynamodb.ListTablesInput{}); err != nil {
			t.Error(err)
		}
	})
	t.Run("Moto", func(t *testing.T) {
		client := sqs.NewFromConfig(Moto(t).Config())
		url, dead := Queue(t, client, time.Second, 3)
		if !strings.HasPrefix(url, Moto(t).URL+"/") || url == dead {
			t.Errorf("got queues %q and %q, want two on %s", url, dead, Moto(t).URL)
		}
		for _, u := range []string{url, dead} {
			if _, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &u, MessageBody: aws.String("1")}); err != nil {
				t.Error(err)
			}
		}
	})
	t.Run("S3", func(t *testing.T) {
		client := S3(t).S3()
		bucket := Bucket(t, client)
		_, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: aws.String("a"), Body: strings.NewReader("1")})
		if err != nil {
			t.Error(err)
		}
	})
	t.Run("cfn-lint", func(t *testing.T) {
		template := filepath.Join(t.TempDir(), "template.json")
		if err := os.WriteFile(template, []byte(`{"Resources":{"Q":{"Type":"AWS::SQS::Queue","Properties":{"Delay":1}}}}`), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := CfnLint(t, "--regions", Region, "--", template).Output()
		if err == nil || !strings.Contains(string(out), "E3002") {
			t.Errorf("got %v: %s, want E3002 for the unknown property", err, out)
		}
	})
}

func TestAServerIsStartedOnce(t *testing.T) {
	if first, second := S3(t), S3(t); first != second {
		t.Errorf("got %v and %v", first, second)
	}
}

func TestServersEndWithTheProcessThatStartedThem(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells a process that its parent is gone")
	}
	S3(t) // skips when it is not installed
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), child+"=1", "TMPDIR="+t.TempDir())
	cmd.Stderr = os.Stderr
	hold, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer hold.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 64)
	n, err := out.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	url := strings.TrimSpace(string(line[:n]))
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	if !answers(client, url) {
		t.Fatalf("%s does not answer", url)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	for range 100 {
		if !answers(client, url) {
			return
		}
		<-time.After(50 * time.Millisecond)
	}
	t.Errorf("%s still answers", url)
}

func TestAProgramThatEndsIsReportedWithItsOutput(t *testing.T) {
	_, err := start(func(string, int) (*exec.Cmd, func(), error) {
		return exec.Command("sh", "-c", "echo the port is taken; exit 1"), func() {}, nil
	})
	if err == nil || !strings.Contains(err.Error(), "the port is taken") {
		t.Errorf("got %v, want what the program said", err)
	}
}

func TestWhatIsNotInstalledIsNamed(t *testing.T) {
	for _, p := range []program{dynamoDBLocal, motoServer, versitygw} {
		_, _, err := p(t.TempDir(), 1)
		if err == nil || !strings.HasSuffix(err.Error(), ": not installed") {
			t.Errorf("got %v, want a name and that it is not installed", err)
		}
	}
}

func TestBufferedBodiesOutliveTheirClosing(t *testing.T) {
	var sent string
	transport := Buffered(roundTrip(func(r *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(r.Body)
		sent = string(body)
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, err
	}))
	body := &closing{Reader: bytes.NewReader([]byte("a body"))}
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://localhost", body)
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = int64(len("a body"))
	response, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil {
		t.Fatal(err)
	}
	if sent != "a body" || !body.closed {
		t.Errorf("sent %q, closed %v", sent, body.closed)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

type closing struct {
	io.Reader
	closed bool
}

func (c *closing) Close() error {
	c.closed = true
	return nil
}
