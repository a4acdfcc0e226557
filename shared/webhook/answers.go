package webhook

import "time"

// Answers are what an endpoint answered lately, as far as it tells whether it
// is called too often. The zero value is no answer. It changes with With.
type Answers struct {
	begun  time.Time // of the present span
	now    share     // of the present span
	before share     // of the span before
	last   time.Time // when it last asked to be called less often
}

// share is how many answers of all asked to be called less often.
type share struct{ all, throttled int }

const (
	// answersSpan is half of the time that Answers go back.
	answersSpan = 10 * time.Second
	// minThrottled answers, and one of throttledShare, make an endpoint throttled.
	minThrottled   = 3
	throttledShare = 10
)

// With adds the result of an attempt. What is no answer tells nothing.
func (a Answers) With(r Result, now time.Time) Answers {
	if r.Failure != "" {
		return a
	}
	a = a.at(now)
	a.now.all++
	if r.Throttles() {
		a.now.throttled++
		a.last = now
	}
	return a
}

// at forgets what is too long ago.
func (a Answers) at(now time.Time) Answers {
	switch passed := now.Sub(a.begun); {
	case passed < 0, passed >= 2*answersSpan:
		a.begun, a.now, a.before = now, share{}, share{}
	case passed >= answersSpan:
		a.begun, a.now, a.before = a.begun.Add(answersSpan), share{}, a.now
	}
	return a
}

// Throttled tells whether the endpoint asks to be called less often: a tenth of
// its answers of the last 10 to 20 seconds did, three at least, and one of them
// in the last five seconds. Single ones are what every busy receiver gives.
func (a Answers) Throttled(now time.Time) bool {
	a = a.at(now)
	all, throttled := a.now.all+a.before.all, a.now.throttled+a.before.throttled
	return throttled >= minThrottled && throttled*throttledShare >= all && now.Sub(a.last) < slowFor
}
