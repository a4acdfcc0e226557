// Package snstopic publishes notices to an SNS topic.
//
// It signs its one request itself, by the SDK's signer: the SDK's client for SNS
// would add 260 KB to a function that has just started.
package snstopic

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/jobhook/jobhook/shared/webhook"
)

const (
	service    = "sns"
	apiVersion = "2010-03-31"
	// timeout of a request.
	timeout = 10 * time.Second
	// maxSubject is what SNS takes, of ASCII.
	maxSubject = 100
	// maxAnswer is how much of an answer is read.
	maxAnswer = 64 << 10
)

// ParseARN checks the ARN of a topic and returns it; empty stays empty.
func ParseARN(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	a, err := arn.Parse(text)
	if err != nil || a.Service != service || a.Region == "" || a.Resource == "" || strings.Contains(a.Resource, ":") || strings.HasSuffix(a.Resource, ".fifo") {
		return "", fmt.Errorf("%.120q is no ARN of a standard topic; write it like arn:aws:sns:eu-central-1:111122223333:notices", text)
	}
	return text, nil
}

// Topic is a standard topic. A message may arrive twice, as SNS may deliver it
// twice anyway.
type Topic struct {
	config aws.Config
	arn    arn.ARN
	url    string
}

// New returns the topic of an ARN that ParseARN takes.
func New(config aws.Config, topic string) *Topic {
	a, _ := arn.Parse(topic)
	return &Topic{config: config, arn: a, url: endpoint(config, a)}
}

// endpoint is where the topic's region takes requests, or where the
// configuration says that SNS is.
func endpoint(config aws.Config, a arn.ARN) string {
	if config.BaseEndpoint != nil {
		return *config.BaseEndpoint
	}
	for _, source := range config.ConfigSources {
		if s, ok := source.(interface {
			GetServiceBaseEndpoint(ctx context.Context, service string) (string, bool, error)
		}); ok {
			if url, found, err := s.GetServiceBaseEndpoint(context.Background(), "SNS"); err == nil && found {
				return url
			}
		}
	}
	suffix := "amazonaws.com"
	if a.Partition == "aws-cn" {
		suffix = "amazonaws.com.cn"
	}
	return "https://" + service + "." + a.Region + "." + suffix
}

// message is what subscribers get.
type message struct {
	ID         string     `json:"id"` // the same when the message comes twice
	Type       string     `json:"type"`
	Account    string     `json:"account"`
	Endpoint   string     `json:"endpoint"`
	URL        string     `json:"url"`
	At         time.Time  `json:"at"`
	Since      time.Time  `json:"since"` // when the failures began
	Reason     string     `json:"reason,omitempty"`
	DisabledAt *time.Time `json:"disabled_at,omitempty"` // when it will be disabled
}

// Publish sends a notice to the topic's subscribers, once: whoever keeps the
// notice calls again. Its type and its account are attributes, which the filter
// policies of subscriptions can ask for.
func (t *Topic) Publish(ctx context.Context, n webhook.Notice) error {
	if err := t.publish(ctx, n); err != nil {
		return fmt.Errorf("topic %s: publish: %w", t.arn.Resource, err)
	}
	return nil
}

func (t *Topic) publish(ctx context.Context, n webhook.Notice) error {
	m := message{
		ID: n.ID(), Type: string(n.Type), Account: n.Account, Endpoint: n.Endpoint, URL: n.URL,
		At: n.At.UTC(), Since: n.Since.UTC(), Reason: n.Reason,
	}
	if !n.DisabledAt.IsZero() {
		at := n.DisabledAt.UTC()
		m.DisabledAt = &at
	}
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	form := url.Values{
		"Action": {"Publish"}, "Version": {apiVersion}, "TopicArn": {t.arn.String()}, "Subject": {subject(n)}, "Message": {string(text)},
	}
	setAttribute(form, 1, "type", m.Type)
	setAttribute(form, 2, "account", m.Account)
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return t.post(ctx, form.Encode())
}

func setAttribute(form url.Values, n int, name, value string) {
	entry := "MessageAttributes.entry." + strconv.Itoa(n)
	form.Set(entry+".Name", name)
	form.Set(entry+".Value.DataType", "String")
	form.Set(entry+".Value.StringValue", value)
}

// subject is a line of at most 100 characters of ASCII, as SNS takes no other.
func subject(n webhook.Notice) string {
	_, what, _ := strings.Cut(string(n.Type), ".")
	text := strings.Map(func(r rune) rune {
		if r > unicode.MaxASCII || unicode.IsControl(r) {
			return '?'
		}
		return r
	}, fmt.Sprintf("Jobhook: endpoint %s of %s: %s", n.Endpoint, n.Account, what))
	return text[:min(len(text), maxSubject)]
}

// post signs and sends a request of the query protocol.
// https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
func (t *Topic) post(ctx context.Context, body string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url+"/", strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	credentials, err := t.config.Credentials.Retrieve(ctx)
	if err != nil {
		return fmt.Errorf("credentials: %w", err)
	}
	sum := sha256.Sum256([]byte(body))
	if err := v4.NewSigner().SignHTTP(ctx, credentials, r, hex.EncodeToString(sum[:]), service, t.arn.Region, time.Now()); err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	answer, err := t.config.HTTPClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	return check(answer.StatusCode, string(text))
}

// errNoReceipt: whoever answered was not SNS, or was cut off.
var errNoReceipt = errors.New("the answer names no message")

// check reads an answer of SNS. Its XML is simple enough to be searched.
func check(status int, answer string) error {
	if status == http.StatusOK {
		if element(answer, "MessageId") == "" {
			return errNoReceipt
		}
		return nil
	}
	return fmt.Errorf("status %d: %s %s", status, element(answer, "Code"), element(answer, "Message"))
}

// element returns the text of the first element of a name, "" without.
func element(answer, name string) string {
	_, rest, _ := strings.Cut(answer, "<"+name+">")
	text, _, ok := strings.Cut(rest, "</"+name+">")
	if !ok {
		return ""
	}
	return text
}
