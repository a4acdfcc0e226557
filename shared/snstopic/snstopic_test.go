package snstopic_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/shared/awsenv"
	"github.com/jobhook/jobhook/shared/awstest"
	"github.com/jobhook/jobhook/shared/snstopic"
	"github.com/jobhook/jobhook/shared/webhook"
)

func TestMain(m *testing.M) { os.Exit(awstest.Main(m)) }

const topicARN = "arn:aws:sns:eu-central-1:111122223333:notices"

func notice() webhook.Notice {
	return webhook.Notice{
		Type: webhook.EndpointFailingEvent, Account: "acme", Endpoint: "ep_1", URL: "https://receiver.example/hook",
		At: at(10), Since: at(9), Reason: "the receiver answered 500", DisabledAt: at(14),
	}
}

func at(day int) time.Time { return time.Date(2026, 1, day, 0, 0, 0, 0, time.UTC) }

func TestSubscribersHearOfTheNoticesThatTheyFilterFor(t *testing.T) {
	moto := awstest.Moto(t)
	topic := awstest.Topic(t, moto)
	messages := sqs.NewFromConfig(moto.Config())
	queue := awstest.Subscribe(t, moto, topic, `{"type":["endpoint.failing"],"account":["acme"]}`)
	published := snstopic.New(moto.Config(), topic)
	disabled, others := notice(), notice()
	disabled.Type, others.Account = webhook.EndpointDisabledEvent, "other"
	for _, n := range []webhook.Notice{disabled, others, notice()} {
		if err := published.Publish(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	out, err := messages.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &queue, MaxNumberOfMessages: 10, WaitTimeSeconds: 5})
	if err != nil || len(out.Messages) != 1 {
		t.Fatalf("%d messages, %v; want the one that was filtered for", len(out.Messages), err)
	}
	var got struct{ Subject, Message string }
	if err := json.Unmarshal([]byte(*out.Messages[0].Body), &got); err != nil {
		t.Fatal(err)
	}
	if want := "Jobhook: endpoint ep_1 of acme: failing"; got.Subject != want {
		t.Errorf("subject %q, want %q", got.Subject, want)
	}
	want := `{"id":"` + notice().ID() + `","type":"endpoint.failing","account":"acme","endpoint":"ep_1","url":"https://receiver.example/hook",` +
		`"at":"2026-01-10T00:00:00Z","since":"2026-01-09T00:00:00Z","reason":"the receiver answered 500","disabled_at":"2026-01-14T00:00:00Z"}`
	if diff := cmp.Diff(got.Message, want); diff != "" {
		t.Errorf("message (-got +want):\n%s", diff)
	}
}

func TestATopicThatIsGoneIsAnErrorWithItsCode(t *testing.T) {
	moto := awstest.Moto(t)
	err := snstopic.New(moto.Config(), strings.Replace(topicARN, "eu-central-1", awstest.Region, 1)).Publish(t.Context(), notice())
	if err == nil || !strings.Contains(err.Error(), "topic notices: publish: status 404: NotFound") {
		t.Errorf("got %v, want the answer's code", err)
	}
}

// TestTheRequestIsSignedAsItIsSent signs what arrived once more.
func TestTheRequestIsSignedAsItIsSent(t *testing.T) {
	credentials := aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: "secret", SessionToken: "token"}
	var arrived *http.Request
	var body []byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived = r
		body, _ = io.ReadAll(r.Body)
		fmt.Fprint(w, taken)
	}))
	defer server.Close()
	config := awsenv.Config(func(name string) string {
		return map[string]string{
			"AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL_SNS": server.URL, "AWS_ACCESS_KEY_ID": credentials.AccessKeyID,
			"AWS_SECRET_ACCESS_KEY": credentials.SecretAccessKey, "AWS_SESSION_TOKEN": credentials.SessionToken,
		}[name]
	}, awsenv.NewHTTP())
	if err := snstopic.New(config, topicARN).Publish(t.Context(), notice()); err != nil {
		t.Fatal(err)
	}
	if form, err := url.ParseQuery(string(body)); err != nil || form.Get("Action") != "Publish" || form.Get("TopicArn") != topicARN {
		t.Errorf("form %v, %v", form, err)
	}
	when, err := time.Parse("20060102T150405Z", arrived.Header.Get("X-Amz-Date"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := http.NewRequest(http.MethodPost, server.URL+"/", strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	again.Header.Set("Content-Type", arrived.Header.Get("Content-Type"))
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(t.Context(), credentials, again, hex.EncodeToString(sum[:]), "sns", "eu-central-1", when); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(arrived.Header.Get("Authorization"), again.Header.Get("Authorization")); diff != "" {
		t.Errorf("signature (-got +want):\n%s", diff)
	}
	if got := arrived.Header.Get("X-Amz-Security-Token"); got != credentials.SessionToken {
		t.Errorf("session token %q", got)
	}
}

func TestTheTopicsRegionTakesTheRequest(t *testing.T) {
	for arn, want := range map[string]string{
		topicARN: "https://sns.eu-central-1.amazonaws.com/",
		"arn:aws-cn:sns:cn-north-1:111122223333:notices": "https://sns.cn-north-1.amazonaws.com.cn/",
	} {
		var got string
		config := wire(func(r *http.Request) (*http.Response, error) {
			got = r.URL.String()
			return answer(200, taken), nil
		})
		if err := snstopic.New(config, arn).Publish(t.Context(), notice()); err != nil || got != want {
			t.Errorf("%s: requested %s, %v, want %s", arn, got, err, want)
		}
	}
}

func TestEveryFaultOfTheWireIsAnError(t *testing.T) {
	broken := errors.New("connection reset")
	for name, tt := range map[string]struct {
		do   func(*http.Request) (*http.Response, error)
		want string
	}{
		"no connection":          {func(*http.Request) (*http.Response, error) { return nil, broken }, "connection reset"},
		"throttled":              {answers(400, `<ErrorResponse><Error><Code>Throttling</Code><Message>Rate exceeded</Message></Error></ErrorResponse>`), "status 400: Throttling Rate exceeded"},
		"denied":                 {answers(403, `<ErrorResponse><Error><Code>AuthorizationError</Code></Error></ErrorResponse>`), "status 403: AuthorizationError"},
		"a broken gateway":       {answers(502, `<html>`), "status 502"},
		"a redirect":             {answers(302, ``), "status 302"},
		"taken, but by whom":     {answers(200, `<html>Welcome</html>`), "names no message"},
		"an answer that is cut":  {answers(200, `<PublishResponse><PublishResult><MessageId>0a1b`), "names no message"},
		"a body that breaks off": {func(*http.Request) (*http.Response, error) { return cutOff(broken), nil }, "read the answer: connection reset"},
	} {
		t.Run(name, func(t *testing.T) {
			err := snstopic.New(wire(tt.do), topicARN).Publish(t.Context(), notice())
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestAHangingTopicIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := wire(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		start := time.Now()
		err := snstopic.New(config, topicARN).Publish(t.Context(), notice())
		if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || took != 10*time.Second {
			t.Errorf("after %s: %v", took, err)
		}
	})
}

func TestASubjectIsOneLineOfASCIIOfAtMostAHundred(t *testing.T) {
	var subject string
	config := wire(func(r *http.Request) (*http.Response, error) {
		if err := r.ParseForm(); err != nil {
			return nil, err
		}
		subject = r.PostForm.Get("Subject")
		return answer(200, taken), nil
	})
	n := notice()
	n.Account = "Zürich\nInc"
	if err := snstopic.New(config, topicARN).Publish(t.Context(), n); err != nil || subject != "Jobhook: endpoint ep_1 of Z?rich?Inc: failing" {
		t.Errorf("subject %q, %v", subject, err)
	}
	n.Account = strings.Repeat("a", 200)
	if err := snstopic.New(config, topicARN).Publish(t.Context(), n); err != nil || len(subject) != 100 {
		t.Errorf("subject of %d bytes, %v", len(subject), err)
	}
}

func TestOnlyStandardTopicsAreTaken(t *testing.T) {
	for _, good := range []string{"", topicARN, "arn:aws-cn:sns:cn-north-1:111122223333:notices"} {
		if got, err := snstopic.ParseARN(good); got != good || err != nil {
			t.Errorf("%q: got %q, %v", good, got, err)
		}
	}
	for _, bad := range []string{
		"notices", "https://sns.eu-central-1.amazonaws.com/notices", "arn:aws:sqs:eu-central-1:111122223333:notices", "arn:aws:sns::111122223333:notices",
		topicARN + ":0a1b2c3d", topicARN + ".fifo", "arn:aws:sns:eu-central-1:111122223333:",
	} {
		if _, err := snstopic.ParseARN(bad); err == nil || !strings.Contains(err.Error(), "arn:aws:sns:") {
			t.Errorf("%q: got %v, want how to write it", bad, err)
		}
	}
}

// taken is what SNS answers.
const taken = `<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult><MessageId>567910cd</MessageId></PublishResult></PublishResponse>`

func answer(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body))}
}

func answers(status int, body string) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) { return answer(status, body), nil }
}

// cutOff is an answer that breaks off in its body.
func cutOff(err error) *http.Response {
	r, w := io.Pipe()
	w.CloseWithError(err)
	return &http.Response{StatusCode: 200, Body: r}
}

// do is an HTTP client.
type do func(*http.Request) (*http.Response, error)

func (d do) Do(r *http.Request) (*http.Response, error) { return d(r) }

// wire is a configuration whose requests are answered here.
func wire(d do) aws.Config {
	return awsenv.Config(func(name string) string {
		return map[string]string{"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}[name]
	}, d)
}
