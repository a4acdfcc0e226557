package webhook_test

import (
	"testing"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

func TestABucketHoldsLatenciesUpToItsBound(t *testing.T) {
	const last = webhook.HistogramBuckets - 1
	for i := range last {
		var h webhook.Histogram
		h.Observe(webhook.Bound(i))
		h.Observe(webhook.Bound(i) + 1)
		if h[i] != 1 || h[i+1] != 1 {
			t.Errorf("bound %d, %v: got %v, want one on either side", i, webhook.Bound(i), h)
		}
	}
	var h webhook.Histogram
	h.Observe(0)
	h.Observe(time.Hour)
	if h[0] != 1 || h[last] != 1 {
		t.Errorf("the extremes: got %v, want one in the first and one in the last bucket", h)
	}
}

func TestQuantile(t *testing.T) {
	var h webhook.Histogram
	if got := h.Quantile(0.5); got != 0 {
		t.Errorf("nothing observed: got %v, want 0", got)
	}
	for range 98 {
		h.Observe(webhook.Bound(2))
	}
	h.Observe(webhook.Bound(5))
	h.Observe(time.Hour)
	for q, want := range map[float64]time.Duration{
		0: webhook.Bound(2), 0.5: webhook.Bound(2), 0.9: webhook.Bound(2), 0.99: webhook.Bound(5), 1: webhook.Bound(webhook.HistogramBuckets - 1),
	} {
		if got := h.Quantile(q); got != want {
			t.Errorf("%v: got %v, want %v", q, got, want)
		}
	}
}

func TestStatsAddUp(t *testing.T) {
	var a, b webhook.Stats
	a.Delivered, a.Failed, a.GivenUp = 1, 2, 3
	b.Delivered, b.Failed, b.GivenUp = 10, 20, 30
	a.Latency.Observe(0)
	b.Latency.Observe(0)
	b.Lag.Observe(webhook.Bound(3))
	a.Add(b)
	want := webhook.Stats{Delivered: 11, Failed: 22, GivenUp: 33}
	want.Latency[0], want.Lag[3] = 2, 1
	if a != want {
		t.Errorf("got %+v, want %+v", a, want)
	}
}
