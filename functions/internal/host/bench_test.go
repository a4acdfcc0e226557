package host

import (
	"strings"
	"testing"
	"time"

	"github.com/jobhook/jobhook/shared/job"
)

// BenchmarkStreamRecord turns a record of 1 KB into attribute values.
func BenchmarkStreamRecord(b *testing.B) {
	record := []byte(`{"account":"acme","kind":"async","id":"3f2b8c1e-0001","status":"success","run":1,"created_at":"2026-01-01T00:00:00.000Z","result":{"datafile_url":"https://example.com/x"},"message":"` +
		strings.Repeat("m", 800) + `","updated_at":"2026-01-01T00:00:00.000Z"}`)
	b.ReportAllocs()
	r := &recorder{}
	for b.Loop() {
		r.record(job.Written{Seq: 1, At: time.Unix(1, 0), New: record})
	}
}
