package main

import (
	"testing"
	"time"

	"github.com/jobhook/jobhook/functions/internal/child"
)

func TestAMomentIsQuietWhenNothingWasStolenAroundIt(t *testing.T) {
	at := func(d time.Duration) int64 { return int64(time.Minute + d) }
	s := &stolen{times: []int64{at(0), at(10 * time.Second)}}
	for _, test := range []struct {
		at   time.Duration
		want bool
	}{
		{-time.Second, true},
		{-stolenAfter - time.Millisecond, true},
		{-stolenAfter + time.Millisecond, false},
		{stolenBefore - time.Millisecond, false},
		{stolenBefore + time.Millisecond, true},
		{10 * time.Second, false},
		{time.Hour, true},
	} {
		if got := s.quiet(at(test.at)); got != test.want {
			t.Errorf("%s after the first theft: quiet is %t, want %t", test.at, got, test.want)
		}
	}
}

func TestAnUndisturbedFigureLeavesOutTheStolenMoments(t *testing.T) {
	trial := &trial{plan: plan{endpoints: 1, rate: 1, capacity: 100}, child: &child.Child{}}
	trial.ledger = newLedger(trial.plan)
	trial.stolen = &stolen{times: []int64{int64(50 * time.Second)}}
	for i := range 100 {
		c, at := &trial.ledger.changes[i], int64(i)*int64(time.Second)+1
		took := int64(time.Millisecond)
		if i == 50 { // its processor was taken
			took = int64(time.Second)
		}
		c.sent.Store(at)
		c.acked.Store(at)
		c.arrived.Store(at + took)
	}
	trial.latencies(100)
	r := trial.result
	if r.MaxMs < 999 || r.QuietP99ms < 0.9 || r.QuietP99ms > 1.1 || r.QuietShare != 0.99 {
		t.Errorf("max %v, quiet p99 %v of %v, want 1000, 1 and 0.99", r.MaxMs, r.QuietP99ms, r.QuietShare)
	}
}

func TestTheRatioOfQuietMomentsIsTold(t *testing.T) {
	f := figures{P99ms: 30, QuietP99ms: 3, QuietShare: 0.8, DeliveriesPerS: 90}
	f.compare("open", figures{P99ms: 2, QuietP99ms: 2, QuietShare: 0.9, DeliveriesPerS: 100}, plan{endpoints: 10, hanging: 1})
	const want = "healthy ones beside open: p99 15.00 x, 1.50 x where the host took no processor (80 and 90 % of the changes), speed 1.00 x"
	if got := f.notes(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	f.QuietShare = 0.4
	if got := f.notes(); got != "healthy ones beside open: p99 15.00 x, speed 1.00 x" {
		t.Errorf("with too few of them: %q", got)
	}
}
