package download_test

import (
	"testing"

	"github.com/jobhook/jobhook/functions/internal/download"
)

func TestOnlyWhatBeginsAboveTheStartContinuesADownload(t *testing.T) {
	tests := []struct {
		status int
		ranges string
		want   bool
	}{
		{206, "bytes=14-", true},
		{206, "bytes=14-20, 30-", true},
		{206, "bytes=0-", false},
		{206, "bytes=00-", false},
		{206, "bytes=-500", false}, // may be all of it
		{206, "bytes=14-, -5", false},
		{206, "", false},
		{200, "bytes=14-", false}, // the whole, as the file has changed
	}
	for _, test := range tests {
		if got := download.Continues(test.status, test.ranges); got != test.want {
			t.Errorf("%d %q: %t, want %t", test.status, test.ranges, got, test.want)
		}
	}
}
