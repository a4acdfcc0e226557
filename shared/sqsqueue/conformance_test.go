package sqsqueue_test

import (
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/jobhook/jobhook/shared/awstest"
	"github.com/jobhook/jobhook/shared/sqsqueue"
	"github.com/jobhook/jobhook/shared/storetest"
)

// TestMain lets all promises run at once: they wait for time, not for a
// processor.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "32"); err != nil {
		panic(err)
	}
	os.Exit(awstest.Main(m))
}

// concurrent is the promise that needs a server that is safe for threads. Moto
// is not: it picks a message and marks it as received without a lock, and
// replaces the list of messages while others add to it. The promise is about
// the adapter too, so it is kept, with requests that reach moto one by one.
const concurrent = "nothing is lost or doubled under concurrent senders and receivers"

func TestQueueKeepsItsPromises(t *testing.T) {
	config := awstest.Moto(t).Config()
	client := sqs.NewFromConfig(config)
	lined := sqs.NewFromConfig(config, func(o *sqs.Options) { o.HTTPClient = &oneByOne{next: config.HTTPClient} })
	open := func(t *testing.T, o storetest.QueueOptions) storetest.QueueUnderTest {
		url, dead := awstest.Queue(t, client, o.Visibility, o.MaxReceives)
		if strings.HasSuffix(t.Name(), strings.ReplaceAll(concurrent, " ", "_")) {
			return sqsqueue.New(lined, url).WithDeadLetters(dead)
		}
		return sqsqueue.New(client, url).WithDeadLetters(dead)
	}
	storetest.Queue(t, storetest.RealTime(), open, storetest.Broken{
		Promise: "a receipt of an earlier receive does nothing",
		Why:     "to moto every receipt that a message ever had is as good as its last: TestMotoTakesOldReceipts",
	})
}

// TestMotoTakesOldReceipts shows by the plain SDK why a promise is left out.
// When it fails, moto has learned it: take the promise in.
func TestMotoTakesOldReceipts(t *testing.T) {
	t.Parallel()
	client := sqs.NewFromConfig(awstest.Moto(t).Config())
	url, _ := awstest.Queue(t, client, time.Second, 10)
	receive := func() *sqs.ReceiveMessageOutput {
		out, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url, WaitTimeSeconds: 3})
		if err != nil || len(out.Messages) != 1 {
			t.Fatalf("receive: got %v, %v, want one message", out, err)
		}
		return out
	}
	if _, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("1")}); err != nil {
		t.Fatal(err)
	}
	old := receive().Messages[0].ReceiptHandle
	if last := receive().Messages[0].ReceiptHandle; *last == *old {
		t.Fatal("both receives have one receipt")
	}
	if _, err := client.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: old}); err != nil {
		t.Fatal(err)
	}
	<-time.After(1500 * time.Millisecond) // until it is visible again
	out, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Messages) != 0 {
		t.Error("the message is still there: moto passes over old receipts now")
	}
}
