package job_test

import (
	"strings"
	"testing"

	"github.com/jobhook/jobhook/shared/job"
)

// BenchmarkDecode reads a record of 1 KB.
func BenchmarkDecode(b *testing.B) {
	record := []byte(`{"account":"acme","kind":"async","id":"3f2b8c1e-0001","status":"success","run":1,"created_at":"2026-01-01T00:00:00.000Z","result":{"datafile_url":"https://example.com/x"},"message":"` +
		strings.Repeat("m", 800) + `","updated_at":"2026-01-01T00:00:00.000Z"}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := job.Decode(record); err != nil {
			b.Fatal(err)
		}
	}
}
