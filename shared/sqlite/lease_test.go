package sqlite

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

var leaseStart = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

func TestALeasedEndpointGetsItsRateToTheAttempt(t *testing.T) {
	for _, rate := range []int{1, 3, 7, 100, 9_999} {
		var l leases
		source := rand.New(rand.NewPCG(1, uint64(rate)))
		passed, granted := time.Duration(0), 0
		for range 10_000 {
			granted += l.take(leaseKey{"acme", "ep_1"}, rate, 1_000_000, leaseStart.Add(passed))
			if most := int(int64(passed)*int64(rate)/int64(time.Second)) + rate; granted != most {
				t.Fatalf("rate %d: got %d after %s, want %d", rate, granted, passed, most)
			}
			passed += time.Duration(source.Int64N(int64(time.Second) / 3))
		}
	}
}

func TestALeaseGathersASecondsWorthAndOneAtMost(t *testing.T) {
	var l leases
	key := leaseKey{"acme", "ep_1"}
	for _, row := range []struct {
		after time.Duration
		rate  int
		n     int
		want  int
	}{
		{0, 10, 4, 4}, {0, 10, 100, 6}, {0, 10, 1, 0},
		{time.Hour, 10, 100, 11},
		{time.Hour + 50*time.Millisecond, 10, 100, 0}, // half an attempt
		{time.Hour + 100*time.Millisecond, 10, 100, 1},
		{2 * time.Hour, 10, 1, 1}, {2 * time.Hour, 3, 100, 4}, // a lower rate takes away what was gathered
		{time.Hour, 3, 100, 0}, // the clock was put back
		{2 * time.Hour, 3, -1, 0},
	} {
		if got := l.take(key, row.rate, row.n, leaseStart.Add(row.after)); got != row.want {
			t.Errorf("%d at rate %d after %s: got %d, want %d", row.n, row.rate, row.after, got, row.want)
		}
	}
}

func TestLeasesOfManyEndpointsTakeBoundedMemory(t *testing.T) {
	var l leases
	for i := range 100_000 { // 5,000 a second
		l.take(leaseKey{"acme", fmt.Sprint(i)}, 1, 1, leaseStart.Add(time.Duration(i)*200*time.Microsecond))
	}
	if n := len(l.buckets); n > 4*5_000 {
		t.Errorf("%d buckets are kept of 100,000", n)
	}
}
