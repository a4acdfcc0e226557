package webhook_test

import (
	"bytes"
	"net/http"
	"testing"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

func TestParseRetryAfter(t *testing.T) {
	now := time.Date(2015, 10, 21, 7, 28, 0, 0, time.UTC)
	for _, tt := range []struct {
		name, value string
		want        time.Duration
	}{
		{"absent", "", 0},
		{"seconds", "120", 2 * time.Minute},
		{"zero", "0", 0},
		{"leading zeros", "007", 7 * time.Second},
		{"negative", "-5", 0},
		{"a day", "86400", 24 * time.Hour},
		{"more than a day", "86401", 24 * time.Hour},
		{"seconds beyond durations", "9223372036854775807", 24 * time.Hour},
		{"seconds beyond integers", "99999999999999999999999", 24 * time.Hour},
		{"negative beyond integers", "-99999999999999999999999", 0},
		{"a fraction", "1.5", 0},
		{"a unit", "10s", 0},
		{"a word", "soon", 0},
		{"a date", "Wed, 21 Oct 2015 07:28:30 GMT", 30 * time.Second},
		{"a date in the RFC 850 spelling", "Wednesday, 21-Oct-15 07:28:30 GMT", 30 * time.Second},
		{"a date in the asctime spelling", "Wed Oct 21 07:28:30 2015", 30 * time.Second},
		{"now", "Wed, 21 Oct 2015 07:28:00 GMT", 0},
		{"a past date", "Wed, 21 Oct 2015 07:27:59 GMT", 0},
		{"a date far away", "Fri, 31 Dec 9999 23:59:59 GMT", 24 * time.Hour},
		{"a date that is none", "Wed, 41 Oct 2015 07:28:00 GMT", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := webhook.ParseRetryAfter(tt.value, now); got != tt.want {
				t.Errorf("%q: got %v, want %v", tt.value, got, tt.want)
			}
		})
	}
}

func TestSummary(t *testing.T) {
	for _, tt := range []struct {
		result webhook.Result
		want   string
	}{
		{webhook.Result{Status: 503}, "the receiver answered 503"},
		{webhook.Result{Failure: webhook.FailureTLS}, "tls"},
		{webhook.Result{Failure: webhook.FailureTLS, Detail: "expired"}, "tls: expired"},
	} {
		if got := tt.result.Summary(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestTrimKeepsMoreOfAFailure(t *testing.T) {
	full := webhook.Result{Status: 200, Header: http.Header{"A": {"b"}}, Body: bytes.Repeat([]byte("x"), webhook.MaxBodyRead+1)}
	if got := full.Trim(true); len(got.Body) != 256 || got.Header != nil {
		t.Errorf("a success keeps %d bytes and headers %v, want 256 and none", len(got.Body), got.Header)
	}
	if got := full.Trim(false); len(got.Body) != 4096 || got.Header.Get("A") != "b" {
		t.Errorf("a failure keeps %d bytes and headers %v, want 4096 and all", len(got.Body), got.Header)
	}
	for _, success := range []bool{true, false} {
		if got := (webhook.Result{}).Trim(success); len(got.Body) != 0 {
			t.Errorf("an empty answer keeps %d bytes", len(got.Body))
		}
	}
}
