package boot_test

import (
	"slices"
	"strconv"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"github.com/jobhook/jobhook/shared/setting"
)

// BenchmarkDeliverBinary feeds the shipped binary batches of first attempts of
// 1 KB, each its own delivery, with DynamoDB Local or a stand-in for it and a
// receiver here, and tells the CPU that the binary's own process used. An
// operation is one batch: run it with -benchtime 500x or more.
func BenchmarkDeliverBinary(b *testing.B) {
	for _, database := range []string{"local", "stand-in"} {
		for _, messages := range []int{10, 100} { // a batch of SQS by default, and one of a busy queue
			b.Run(database+"/"+strconv.Itoa(messages), func(b *testing.B) { benchmarkDeliver(b, messages, database == "stand-in") })
		}
	}
}

func benchmarkDeliver(b *testing.B, messages int, standsIn bool) {
	s := newSite(b)
	bells := s.deliveries(b.N * messages)
	if standsIn {
		database := newStandIn(b, s.env[setting.Deliveries])
		s.env["AWS_ENDPOINT_URL_DYNAMODB"] = database.URL
		defer database.report(b, len(bells))
	}
	f := s.start("deliver", nil)
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
	if got := len(s.receiver.all()); got != len(bells) {
		b.Fatalf("%d of %d webhooks arrived", got, len(bells))
	}
	b.ReportMetric(used.Seconds()*1000/float64(len(bells)), "cpu-s/1000")
}
