package awstest

import (
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// made counts the names of this process.
var made atomic.Int64

// Name returns a name that is new on this process's servers and allowed for
// tables, queues and buckets: what, a hyphen and a number.
func Name(what string) string { return what + "-" + strconv.FormatInt(made.Add(1), 10) }

// Bucket creates a bucket and returns its name.
func Bucket(t testing.TB, client *s3.Client) string {
	t.Helper()
	name := Name("bucket")
	if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name}); err != nil {
		t.Fatalf("create bucket: %v", err)
	}
	return name
}

// Queue creates a standard queue and its dead letter queue and returns the URLs
// of both. Visibility is in whole seconds; after maxReceives a message is a dead
// letter.
func Queue(t testing.TB, client *sqs.Client, visibility time.Duration, maxReceives int) (url, deadLetters string) {
	t.Helper()
	name := Name("queue")
	deadLetters, arn := createQueue(t, client, name+"-dead", nil)
	url, _ = createQueue(t, client, name, map[string]string{
		string(types.QueueAttributeNameVisibilityTimeout): strconv.Itoa(int(visibility.Seconds())),
		string(types.QueueAttributeNameRedrivePolicy):     fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":%d}`, arn, maxReceives),
	})
	return url, deadLetters
}

func createQueue(t testing.TB, client *sqs.Client, name string, attributes map[string]string) (url, arn string) {
	t.Helper()
	created, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
	if err != nil {
		t.Fatalf("create queue: %v", err)
	}
	got, err := client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: created.QueueUrl, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameQueueArn},
	})
	if err != nil {
		t.Fatalf("arn of the queue: %v", err)
	}
	return aws.ToString(created.QueueUrl), got.Attributes[string(types.QueueAttributeNameQueueArn)]
}
