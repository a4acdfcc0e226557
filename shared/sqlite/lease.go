package sqlite

import (
	"context"
	"sync"
	"time"
)

// leases are the token buckets of limited endpoints: one process makes all
// attempts, so they are in memory only.
type leases struct {
	mu      sync.Mutex
	buckets map[leaseKey]bucket
	tidyAt  int // the number of buckets at which full ones are thrown away
}

type leaseKey struct{ account, endpoint string }

// bucket holds what an endpoint may be sent at once. A token is the billionth
// part of an attempt, so that any time at any rate brings a whole number of them.
type bucket struct {
	tokens int64
	at     time.Time
}

const (
	// leaseBurst is how long an endpoint gathers attempts that it is not sent.
	leaseBurst = time.Second
	// tokensPerAttempt is one attempt.
	tokensPerAttempt = int64(time.Second)
	// fullAfter is when any bucket is full: at the lowest rate, of one a second,
	// the attempt beyond the burst takes as long as the burst.
	fullAfter = 2 * leaseBurst
	// minTidy is the number of buckets that are not worth tidying.
	minTidy = 1024
)

// Lease grants up to n attempts of an endpoint that may have rate a second:
// over any time t at most rate x (t + one second) + 1. A rate of 0 is no bound.
func (s *Store) Lease(_ context.Context, account, endpoint string, rate, n int) (granted int, err error) {
	if rate <= 0 {
		return max(n, 0), nil
	}
	return s.leases.take(leaseKey{account, endpoint}, rate, n, time.Now()), nil
}

func (l *leases) take(key leaseKey, rate, n int, now time.Time) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ok := l.buckets[key]
	if !ok {
		l.makeRoom(now)
		b = bucket{tokens: burst(rate), at: now}
	}
	b = b.filled(rate, now)
	granted := min(max(n, 0), int(b.tokens/tokensPerAttempt))
	b.tokens -= int64(granted) * tokensPerAttempt
	l.buckets[key] = b
	return granted
}

func burst(rate int) int64 { return int64(rate) * int64(leaseBurst) }

// filled is the bucket with what has come since, even if the clock was put
// back. It has room for one attempt beyond the burst: part of one that has come
// when the burst is there is not lost.
func (b bucket) filled(rate int, now time.Time) bucket {
	if passed := min(now.Sub(b.at), fullAfter); passed > 0 {
		b.tokens, b.at = b.tokens+int64(passed)*int64(rate), now
	}
	b.tokens = min(b.tokens, burst(rate)+tokensPerAttempt)
	return b
}

// makeRoom throws away the buckets that have filled up since, which are as good
// as none: what is left was leased from within the last moment.
func (l *leases) makeRoom(now time.Time) {
	if l.buckets == nil {
		l.buckets, l.tidyAt = map[leaseKey]bucket{}, minTidy
	}
	if len(l.buckets) < l.tidyAt {
		return
	}
	for key, b := range l.buckets {
		if now.Sub(b.at) >= fullAfter {
			delete(l.buckets, key)
		}
	}
	l.tidyAt = max(2*len(l.buckets), minTidy)
}
