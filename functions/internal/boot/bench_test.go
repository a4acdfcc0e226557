package boot_test

import (
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"

	"github.com/jobhook/jobhook/shared/awstest"
	"github.com/jobhook/jobhook/shared/dynamo"
	"github.com/jobhook/jobhook/shared/setting"
)

// perBatch is how many messages a batch of SQS has by default.
const perBatch = 10

// BenchmarkDeliverBinary feeds the shipped binary batches of first attempts of
// 1 KB, each its own delivery, with a stand-in for DynamoDB and a receiver here,
// and tells the CPU that the binary's own process used. An operation is one
// batch: run it with -benchtime 500x or more. What this machine makes of it at
// this moment tells BenchmarkBarePutItem.
func BenchmarkDeliverBinary(b *testing.B) {
	for _, messages := range []int{perBatch, 100} {
		b.Run(strconv.Itoa(messages), func(b *testing.B) { benchmarkDeliver(b, messages) })
	}
}

func benchmarkDeliver(b *testing.B, messages int) {
	s := newSite(b)
	bells := s.deliveries(b.N * messages)
	database := newStandIn(b, s.env[setting.Deliveries])
	f := s.start("deliver", map[string]string{"AWS_ENDPOINT_URL_DYNAMODB": database.URL})
	var batches [][]byte
	for part := range slices.Chunk(bells, messages) {
		batches = append(batches, batch(b, part))
	}
	before := f.CPU()
	b.ResetTimer()
	for _, payload := range batches {
		if answer := invoke[events.SQSEventResponse](b, f, payload); len(answer.BatchItemFailures) > 0 {
			b.Fatalf("failed %+v", answer.BatchItemFailures)
		}
	}
	b.StopTimer()
	used := f.CPU() - before
	if arrived, recorded := len(s.receiver.all()), int(database.inserted.Load()); arrived != len(bells) || recorded != len(bells) {
		b.Fatalf("%d of %d webhooks arrived, %d are recorded", arrived, len(bells), recorded)
	}
	b.ReportMetric(used.Seconds()*1000/float64(len(bells)), "cpu-s/1000")
}

// BenchmarkBarePutItem writes items of 1 KB, ten at once, and tells the CPU that
// the SDK uses for it in this process: the one write of a delivery, without
// anything of ours. It is the measure of what BenchmarkDeliverBinary shows.
func BenchmarkBarePutItem(b *testing.B) {
	client, table := dynamodb.NewFromConfig(awstest.DynamoDB(b).Config()), awstest.Name("bare")
	if err := dynamo.CreateTables(b.Context(), client, table, ""); err != nil {
		b.Fatal(err)
	}
	body := &types.AttributeValueMemberS{Value: strings.Repeat("x", 1000)}
	put := func(i int) error {
		_, err := client.PutItem(b.Context(), &dynamodb.PutItemInput{TableName: &table, Item: map[string]types.AttributeValue{
			"pk": &types.AttributeValueMemberS{Value: strconv.Itoa(i)}, "sk": &types.AttributeValueMemberS{Value: "bare"}, "body": body,
		}})
		return err
	}
	before := ownCPU(b)
	for i := range b.N {
		var group errgroup.Group
		for j := range perBatch {
			group.Go(func() error { return put(i*perBatch + j) })
		}
		if err := group.Wait(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric((ownCPU(b)-before).Seconds()*1000/float64(b.N*perBatch), "cpu-s/1000")
}

// ownCPU is the processor time of this process so far.
func ownCPU(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
