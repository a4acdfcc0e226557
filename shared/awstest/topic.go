package awstest

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// Topic creates a topic on moto and returns its ARN.
func Topic(t testing.TB, moto Server) string {
	t.Helper()
	answer := moto.sns(t, url.Values{"Action": {"CreateTopic"}, "Name": {Name("topic")}})
	_, rest, _ := strings.Cut(answer, "<TopicArn>")
	arn, _, ok := strings.Cut(rest, "</TopicArn>")
	if !ok {
		t.Fatalf("create topic: %s", answer)
	}
	return arn
}

// Subscribe creates a queue that hears of what is published to a topic on moto,
// and returns its URL. The filter, a JSON object, says of what; empty is all.
func Subscribe(t testing.TB, moto Server, topic, filter string) string {
	t.Helper()
	client := sqs.NewFromConfig(moto.Config())
	queue, _ := Queue(t, client, time.Minute, 10)
	got, err := client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: aws.String(queue), AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameQueueArn},
	})
	if err != nil {
		t.Fatalf("arn of the queue: %v", err)
	}
	form := url.Values{
		"Action": {"Subscribe"}, "TopicArn": {topic}, "Protocol": {"sqs"}, "Endpoint": {got.Attributes[string(types.QueueAttributeNameQueueArn)]},
	}
	if filter != "" {
		form.Set("Attributes.entry.1.key", "FilterPolicy")
		form.Set("Attributes.entry.1.value", filter)
	}
	moto.sns(t, form)
	return queue
}

// sns makes a request of SNS's query protocol, as no function carries the SDK's
// client. Moto reads the service from the signature, and does not check it.
func (s Server) sns(t testing.TB, form url.Values) string {
	t.Helper()
	form.Set("Version", "2010-03-31")
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+AccessKey+"/20260101/"+Region+"/sns/aws4_request, SignedHeaders=host, Signature=0")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: status %d, %v: %s", form.Get("Action"), answer.StatusCode, err, body)
	}
	return string(body)
}
