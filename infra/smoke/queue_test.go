package smoke

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/jobhook/jobhook/shared/awstest"
)

// queueFeed polls a queue, as Lambda does.
type queueFeed struct {
	mapping
	invoke invoke
	client *sqs.Client
	url    string
}

func newQueueFeed(t *testing.T, m mapping, f invoke, moto awstest.Server) *queueFeed {
	t.Helper()
	client, name := sqs.NewFromConfig(moto.Config()), resourceOf(m.EventSourceArn)
	got, err := client.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: &name})
	if err != nil {
		t.Fatalf("queue of the mapping: %v", err)
	}
	return &queueFeed{mapping: m, invoke: f, client: client, url: *got.QueueUrl}
}

// run polls until the context ends. It asks often instead of waiting long: moto
// is one process of Python.
func (f *queueFeed) run(ctx context.Context) error {
	for pause(ctx, 2*pollPause) {
		got, err := f.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: &f.url, MaxNumberOfMessages: int32(min(f.BatchSize, 10)), WaitTimeSeconds: 0,
			MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
		})
		if err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		if len(got.Messages) == 0 {
			continue
		}
		if err := f.deliver(ctx, got.Messages); err != nil {
			return err
		}
	}
	return nil
}

// deliver hands over a batch and deletes what did not fail. What failed stays
// hidden for as long as the queue or the function said.
func (f *queueFeed) deliver(ctx context.Context, batch []types.Message) error {
	var e events.SQSEvent
	for _, m := range batch {
		e.Records = append(e.Records, events.SQSMessage{
			MessageId: *m.MessageId, ReceiptHandle: *m.ReceiptHandle, Body: *m.Body, Md5OfBody: aws.ToString(m.MD5OfBody),
			Attributes: m.Attributes, EventSourceARN: f.EventSourceArn, EventSource: "aws:sqs", AWSRegion: awstest.Region,
		})
	}
	failed, err := hand(ctx, f.mapping, f.invoke, e)
	if err != nil {
		return err
	}
	for _, m := range batch {
		if slices.Contains(failed, *m.MessageId) {
			continue
		}
		if _, err := f.client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &f.url, ReceiptHandle: m.ReceiptHandle}); err != nil {
			return fmt.Errorf("delete: %w", err)
		}
	}
	return nil
}

// left is how many messages a queue still has, hidden and delayed ones too.
func left(t testing.TB, client *sqs.Client, url string) (sum int) {
	t.Helper()
	names := []types.QueueAttributeName{
		types.QueueAttributeNameApproximateNumberOfMessages, types.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
		types.QueueAttributeNameApproximateNumberOfMessagesDelayed,
	}
	got, err := client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: names})
	if err != nil {
		t.Fatalf("messages of %s: %v", url, err)
	}
	for _, name := range names {
		n, err := strconv.Atoi(got.Attributes[string(name)])
		if err != nil {
			t.Fatalf("%s of %s: %v", name, url, err)
		}
		sum += n
	}
	return sum
}
