package boot_test

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/jobhook/jobhook/shared/setting"
	"github.com/jobhook/jobhook/shared/webhook"
)

// BenchmarkDeliverBinary feeds the shipped binary batches of first attempts of
// 1 KB, each its own delivery, with a receiver here, and tells the CPU that the
// binary's own process used. The database is DynamoDB Local or a stand-in for
// it, which answers at once, so that the binary always has work, or after about
// as long as AWS's. An operation is one batch: run it with -benchtime 500x or
// more.
func BenchmarkDeliverBinary(b *testing.B) {
	for _, database := range []struct {
		name     string
		standsIn bool
		wait     time.Duration
	}{{name: "local"}, {name: "stand-in", standsIn: true}, {name: "stand-in-4ms", standsIn: true, wait: 4 * time.Millisecond}} {
		for _, messages := range []int{10, 100} { // a batch of SQS by default, and one of a busy queue
			b.Run(database.name+"/"+strconv.Itoa(messages), func(b *testing.B) {
				s := newSite(b)
				bells := s.deliveries(b.N * messages)
				if database.standsIn {
					d := newStandIn(b, s.env[setting.Deliveries], database.wait)
					s.env["AWS_ENDPOINT_URL_DYNAMODB"] = d.URL
					defer d.report(b, len(bells))
				}
				benchmarkDeliver(b, s, bells, messages)
			})
		}
	}
}

func benchmarkDeliver(b *testing.B, s *site, bells []webhook.Doorbell, messages int) {
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
