package webhook

import "time"

// Schedule is the list of waits between the attempts of a delivery. Its zero
// value never retries.
type Schedule struct {
	Waits  []time.Duration // after the first failed attempt, after the second, ...
	Jitter float64         // each wait is spread over [w, (1+Jitter) w); 0 is exact
}

// Next returns the wait after the given failed attempt (1-based), spread by
// jitter in [0, 1). It reports false when the attempts are used up.
func (s Schedule) Next(attempt int, jitter float64) (wait time.Duration, ok bool) {
	if attempt < 1 || attempt > len(s.Waits) {
		return 0, false
	}
	w := s.Waits[attempt-1]
	return w + time.Duration(float64(w)*s.Jitter*jitter), true
}

// MaxAttempts is the number of attempts the schedule allows.
func (s Schedule) MaxAttempts() int { return len(s.Waits) + 1 }

// Total is the longest time from the first attempt to the last.
func (s Schedule) Total() time.Duration {
	var total time.Duration
	for _, w := range s.Waits {
		total += w + time.Duration(float64(w)*s.Jitter)
	}
	return total
}

// Fixed returns a schedule of n equal waits.
func Fixed(n int, wait time.Duration) Schedule {
	s := Schedule{}
	for range n {
		s.Waits = append(s.Waits, wait)
	}
	return s
}

// Exponential returns a schedule of n waits, each twice the one before.
func Exponential(n int, first time.Duration) Schedule {
	s := Schedule{}
	for i := range n {
		s.Waits = append(s.Waits, first<<i)
	}
	return s
}
