package boot_test

import (
	"slices"
	"strconv"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"github.com/jobhook/jobhook/shared/setting"
)

// BenchmarkDeliverBinary feeds the shipped binary batches of first attempts of
// 1 KB, each its own delivery, with a stand-in for DynamoDB and a receiver here,
// and tells the CPU that the binary's own process used. An operation is one
// batch: run it with -benchtime 500x or more.
func BenchmarkDeliverBinary(b *testing.B) {
	for _, messages := range []int{10, 100} { // a batch of SQS by default, and one of a busy queue
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
	b.ReportMetric(float64(len(bells))/float64(database.writes.Load()), "rows/write")
}
