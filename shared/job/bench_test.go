package job_test

import (
	"strings"
	"testing"

	"github.com/jobhook/jobhook/shared/job"
)

// BenchmarkDecode reads a record of 1 KB: one that may be no JSON, and one that is.
func BenchmarkDecode(b *testing.B) {
	record := []byte(`{"account":"acme","kind":"async","id":"3f2b8c1e-0001","status":"success","run":1,"created_at":"2026-01-01T00:00:00.000Z","result":{"datafile_url":"https://example.com/x"},"message":"` +
		strings.Repeat("m", 800) + `","updated_at":"2026-01-01T00:00:00.000Z"}`)
	for name, decode := range map[string]func([]byte) (job.Job, error){"any": job.Decode, "valid": job.DecodeValid} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := decode(record); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
