package sqsqueue

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// fake answers as SQS does, without a network, so that it can be used where
// waiting takes no time. It takes every entry, unless told otherwise.
type fake struct {
	// refuse returns why an entry is not taken this time, or nil.
	refuse func(call int, e entry) *refusal
	// answer replaces the whole answer, if it returns one.
	answer func(r *http.Request, c call) *http.Response

	mu    sync.Mutex
	calls []call
}

// call is a request as SQS gets it.
type call struct {
	Action   string
	QueueURL string `json:"QueueUrl"`
	Entries  []entry
}

type entry struct {
	ID             string `json:"Id"`
	MessageBody    string
	MessageGroupID string `json:"MessageGroupId"`
	DelaySeconds   int

	ReceiptHandle     string
	VisibilityTimeout int
}

// refusal is why an entry was not taken.
type refusal struct {
	Id, Code, Message string
	SenderFault       bool
}

// queue returns a queue that reaches the fake, with dead letters.
func (f *fake) queue(t *testing.T) *Queue {
	t.Helper()
	client := sqs.New(sqs.Options{
		Region: "us-east-1", HTTPClient: f, BaseEndpoint: aws.String("http://sqs.test"),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "a", SecretAccessKey: "b"}, nil
		}),
	})
	return New(client, "http://sqs.test/1/first").WithDeadLetters("http://sqs.test/1/first-dead")
}

func (f *fake) Do(r *http.Request) (*http.Response, error) {
	var c call
	if err := json.NewDecoder(r.Body).Decode(&c); err != nil {
		return nil, fmt.Errorf("fake: %w", err)
	}
	c.Action = strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AmazonSQS.")
	f.mu.Lock()
	f.calls = append(f.calls, c)
	number := len(f.calls)
	f.mu.Unlock()
	if f.answer != nil {
		if answer := f.answer(r, c); answer != nil || r.Context().Err() != nil {
			return answer, r.Context().Err()
		}
	}
	return f.take(number, c), nil
}

func (f *fake) take(number int, c call) *http.Response {
	type taken struct{ Id, MessageId, MD5OfMessageBody string }
	var out struct {
		Successful []taken
		Failed     []refusal
	}
	for _, e := range c.Entries {
		if f.refuse != nil {
			if r := f.refuse(number, e); r != nil {
				r.Id = e.ID
				out.Failed = append(out.Failed, *r)
				continue
			}
		}
		sum := md5.Sum([]byte(e.MessageBody))
		out.Successful = append(out.Successful, taken{e.ID, "m", hex.EncodeToString(sum[:])})
	}
	return respond(http.StatusOK, out)
}

// made returns the calls of an action.
func (f *fake) made(action string) (list []call) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.calls {
		if c.Action == action {
			list = append(list, c)
		}
	}
	return list
}

func respond(status int, body any) *http.Response {
	b, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}}, Body: io.NopCloser(strings.NewReader(string(b)))}
}

// throttled is how SQS refuses a whole request.
func throttled() *http.Response {
	return respond(http.StatusBadRequest, map[string]string{"__type": "com.amazonaws.sqs#RequestThrottled", "message": "slow down"})
}
