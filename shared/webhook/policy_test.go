package webhook_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/jobhook/jobhook/shared/webhook"
)

var start = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

func answered(status int) webhook.Result { return webhook.Result{Status: status} }

func askedToWait(status int, wait time.Duration) webhook.Result {
	return webhook.Result{Status: status, RetryAfter: wait}
}

func TestOutcome(t *testing.T) {
	var (
		// Like serpwow, webscraper, hkube, socialdata and standard, each with
		// what matters here.
		silent    = webhook.Policy{Schedule: webhook.Fixed(2, 30*time.Second), Silence: 5 * time.Minute}
		fixed     = webhook.Policy{Schedule: webhook.Fixed(2, 30*time.Second)}
		transient = webhook.Policy{Success: webhook.SuccessBelow400, RetryOn: webhook.RetryTransient, Schedule: webhook.Fixed(2, 5*time.Second)}
		never     = webhook.Policy{Success: webhook.Success200}
		polite    = webhook.Policy{Schedule: webhook.Fixed(2, 30*time.Second), HonourRetryAfter: true, GoneDisables: true}
		spread    = webhook.Policy{Schedule: webhook.Schedule{Waits: []time.Duration{100 * time.Second}, Jitter: 0.2}}
		quiet     = webhook.Policy{Schedule: webhook.Fixed(2, 30*time.Second), HonourRetryAfter: true, Silence: 5 * time.Minute}
	)
	politeNever := webhook.Policy{HonourRetryAfter: true, GoneDisables: true}
	timeout := webhook.Result{Failure: webhook.FailureTimeout, Detail: "no answer in 5s"}
	type outcome = webhook.Outcome
	for _, tt := range []struct {
		name   string
		policy webhook.Policy
		spent  webhook.Delivery // Attempts and Postponed before this attempt
		result webhook.Result
		want   outcome
	}{
		{"2xx", fixed, webhook.Delivery{}, answered(204), outcome{Verdict: webhook.Done, Spends: true}},
		{"2xx on the last attempt", fixed, webhook.Delivery{Attempts: 2}, answered(200), outcome{Verdict: webhook.Done, Spends: true}},
		{"a status that came before the connection broke is no success", fixed, webhook.Delivery{},
			webhook.Result{Status: 200, Failure: webhook.FailureReset},
			outcome{Verdict: webhook.Retry, After: 30 * time.Second, Reason: "reset", Spends: true}},
		{"an error", fixed, webhook.Delivery{}, answered(500),
			outcome{Verdict: webhook.Retry, After: 30 * time.Second, Reason: "the receiver answered 500", Spends: true}},
		{"the attempt before the last", fixed, webhook.Delivery{Attempts: 1}, answered(500),
			outcome{Verdict: webhook.Retry, After: 30 * time.Second, Reason: "the receiver answered 500", Spends: true}},
		{"the last attempt", fixed, webhook.Delivery{Attempts: 2}, answered(500),
			outcome{Verdict: webhook.Dead, Reason: "the receiver answered 500; attempt 3 of 3", Exhausted: true, Spends: true}},
		{"jitter spreads the wait", spread, webhook.Delivery{}, answered(500),
			outcome{Verdict: webhook.Retry, After: 110 * time.Second, Reason: "the receiver answered 500", Spends: true}},

		{"never retried: an answer", never, webhook.Delivery{}, answered(204),
			outcome{Verdict: webhook.Dead, Reason: "the receiver answered 204; attempt 1 of 1", Exhausted: true, Spends: true}},
		{"never retried: a timeout", never, webhook.Delivery{}, timeout,
			outcome{Verdict: webhook.Dead, Reason: "timeout: no answer in 5s; attempt 1 of 1", Exhausted: true, Spends: true}},
		{"never retried: not even when asked to wait", politeNever, webhook.Delivery{}, askedToWait(503, time.Minute),
			outcome{Verdict: webhook.Dead, Reason: "the receiver answered 503; attempt 1 of 1", Exhausted: true, Spends: true, Pause: time.Minute}},

		{"429_5xx: 404", transient, webhook.Delivery{}, answered(404),
			outcome{Verdict: webhook.Dead, Reason: "the receiver answered 404: not retried by this policy", Spends: true}},
		{"429_5xx: 429", transient, webhook.Delivery{}, answered(429),
			outcome{Verdict: webhook.Retry, After: 5 * time.Second, Reason: "the receiver answered 429", Spends: true}},
		{"429_5xx: 503", transient, webhook.Delivery{}, answered(503),
			outcome{Verdict: webhook.Retry, After: 5 * time.Second, Reason: "the receiver answered 503", Spends: true}},
		{"429_5xx: no answer", transient, webhook.Delivery{}, webhook.Result{Failure: webhook.FailureConnect, Code: "ECONNREFUSED"},
			outcome{Verdict: webhook.Retry, After: 5 * time.Second, Reason: "connect", Spends: true}},
		{"429_5xx: a timeout", transient, webhook.Delivery{}, timeout,
			outcome{Verdict: webhook.Retry, After: 5 * time.Second, Reason: "timeout: no answer in 5s", Spends: true}},
		{"429_5xx: a redirect is a success below 400", transient, webhook.Delivery{}, answered(302),
			outcome{Verdict: webhook.Done, Spends: true}},

		{"410 disables", polite, webhook.Delivery{}, answered(410),
			outcome{Verdict: webhook.Dead, Reason: "the receiver answered 410: the receiver is gone and the endpoint is disabled", Spends: true, Disable: true}},
		{"410 disables, whatever Retry-After asks", polite, webhook.Delivery{}, askedToWait(410, time.Minute),
			outcome{Verdict: webhook.Dead, Reason: "the receiver answered 410: the receiver is gone and the endpoint is disabled", Spends: true, Disable: true}},
		{"410 disables where nothing is retried", politeNever, webhook.Delivery{}, answered(410),
			outcome{Verdict: webhook.Dead, Reason: "the receiver answered 410: the receiver is gone and the endpoint is disabled", Spends: true, Disable: true}},
		{"410 is an error like any other", fixed, webhook.Delivery{}, answered(410),
			outcome{Verdict: webhook.Retry, After: 30 * time.Second, Reason: "the receiver answered 410", Spends: true}},
		{"429_5xx: 410", transient, webhook.Delivery{}, answered(410),
			outcome{Verdict: webhook.Dead, Reason: "the receiver answered 410: not retried by this policy", Spends: true}},

		{"a refused address", polite, webhook.Delivery{}, webhook.Result{Failure: webhook.FailureRefusedAddress, Detail: "10.0.0.1 is private"},
			outcome{Verdict: webhook.Dead, Reason: "refused_address: 10.0.0.1 is private", Spends: true}},
		{"nothing to send", polite, webhook.Delivery{}, webhook.Result{Failure: webhook.FailureUnsendable},
			outcome{Verdict: webhook.Dead, Reason: "unsendable", Spends: true}},

		{"a timeout with silence waits it out", silent, webhook.Delivery{}, timeout,
			outcome{Verdict: webhook.Retry, After: 5 * time.Minute, Reason: "timeout: no answer in 5s", Spends: true, Silence: 5 * time.Minute}},
		{"the last timeout still silences", silent, webhook.Delivery{Attempts: 2}, timeout,
			outcome{Verdict: webhook.Dead, Reason: "timeout: no answer in 5s; attempt 3 of 3", Exhausted: true, Spends: true, Silence: 5 * time.Minute}},
		{"only a timeout silences", silent, webhook.Delivery{}, webhook.Result{Failure: webhook.FailureReset},
			outcome{Verdict: webhook.Retry, After: 30 * time.Second, Reason: "reset", Spends: true}},
		{"Retry-After does not cut silence short", quiet, webhook.Delivery{}, webhook.Result{Failure: webhook.FailureTimeout, RetryAfter: time.Minute},
			outcome{Verdict: webhook.Retry, After: 5 * time.Minute, Reason: "timeout; the receiver asked to wait 1m0s", Silence: 5 * time.Minute, Pause: time.Minute}},

		{"Retry-After below the wait", polite, webhook.Delivery{}, askedToWait(503, 29*time.Second),
			outcome{Verdict: webhook.Retry, After: 30 * time.Second, Reason: "the receiver answered 503", Spends: true, Pause: 29 * time.Second}},
		{"Retry-After as long as the wait", polite, webhook.Delivery{}, askedToWait(503, 30*time.Second),
			outcome{Verdict: webhook.Retry, After: 30 * time.Second, Reason: "the receiver answered 503", Spends: true, Pause: 30 * time.Second}},
		{"Retry-After above the wait spends nothing", polite, webhook.Delivery{}, askedToWait(503, 31*time.Second),
			outcome{Verdict: webhook.Retry, After: 31 * time.Second, Reason: "the receiver answered 503; the receiver asked to wait 31s", Pause: 31 * time.Second}},
		{"Retry-After that nobody honours", fixed, webhook.Delivery{}, askedToWait(503, time.Hour),
			outcome{Verdict: webhook.Retry, After: 30 * time.Second, Reason: "the receiver answered 503", Spends: true}},
		{"Retry-After is cut to a day", polite, webhook.Delivery{}, askedToWait(503, 48*time.Hour),
			outcome{Verdict: webhook.Retry, After: 24 * time.Hour, Reason: "the receiver answered 503; the receiver asked to wait 24h0m0s", Pause: 24 * time.Hour}},
		{"Retry-After on the last attempt leaves it unspent", polite, webhook.Delivery{Attempts: 2}, askedToWait(503, time.Second),
			outcome{Verdict: webhook.Retry, After: time.Second, Reason: "the receiver answered 503; the receiver asked to wait 1s", Pause: time.Second}},
		{"a negative Retry-After", polite, webhook.Delivery{}, askedToWait(503, -time.Hour),
			outcome{Verdict: webhook.Retry, After: 30 * time.Second, Reason: "the receiver answered 503", Spends: true}},
		{"the last postponement", polite, webhook.Delivery{Postponed: webhook.MaxPostponed - 1}, askedToWait(503, time.Hour),
			outcome{Verdict: webhook.Retry, After: time.Hour, Reason: "the receiver answered 503; the receiver asked to wait 1h0m0s", Pause: time.Hour}},
		{"one postponement too many", polite, webhook.Delivery{Postponed: webhook.MaxPostponed}, askedToWait(503, time.Hour),
			outcome{Verdict: webhook.Retry, After: time.Hour, Reason: "the receiver answered 503", Spends: true, Pause: time.Hour}},
		{"one postponement too many on the last attempt", polite, webhook.Delivery{Attempts: 2, Postponed: webhook.MaxPostponed}, askedToWait(503, time.Hour),
			outcome{Verdict: webhook.Dead, Reason: "the receiver answered 503; attempt 3 of 3", Exhausted: true, Spends: true, Pause: time.Hour}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.spent.Deadline = tt.policy.Deadline(start)
			got := tt.policy.Outcome(tt.spent, tt.result, start, 0.5)
			if diff := cmp.Diff(got, tt.want); diff != "" {
				t.Errorf("outcome (-got +want):\n%s", diff)
			}
		})
	}
}

func TestWaitsThatEndPastTheDeadlineSpendAttempts(t *testing.T) {
	p := webhook.Policy{Schedule: webhook.Fixed(2, 30*time.Second), HonourRetryAfter: true}
	deadline := p.Deadline(start)
	if want := start.Add(time.Minute + 24*time.Hour); !deadline.Equal(want) {
		t.Fatalf("deadline: got %v, want %v", deadline, want)
	}
	const asked = "the receiver answered 503; the receiver asked to wait 1h0m0s"
	for _, tt := range []struct {
		name     string
		now      time.Time
		attempts int
		want     webhook.Outcome
	}{
		{"up to it", deadline.Add(-time.Hour), 0, webhook.Outcome{Verdict: webhook.Retry, After: time.Hour, Reason: asked, Pause: time.Hour}},
		{"up to it, on the last attempt", deadline.Add(-time.Hour), 2, webhook.Outcome{Verdict: webhook.Retry, After: time.Hour, Reason: asked, Pause: time.Hour}},
		{"past it", deadline.Add(-time.Hour + 1), 0, webhook.Outcome{Verdict: webhook.Retry, After: time.Hour, Reason: "the receiver answered 503", Pause: time.Hour, Spends: true}},
		{"days past it, for which it was held", deadline.Add(72 * time.Hour), 1,
			webhook.Outcome{Verdict: webhook.Retry, After: time.Hour, Reason: "the receiver answered 503", Pause: time.Hour, Spends: true}},
		{"past it, on the last attempt", deadline.Add(72 * time.Hour), 2,
			webhook.Outcome{Verdict: webhook.Dead, Exhausted: true, Reason: "the receiver answered 503; attempt 3 of 3", Pause: time.Hour, Spends: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := webhook.Delivery{Deadline: deadline, Attempts: tt.attempts}
			if diff := cmp.Diff(p.Outcome(d, askedToWait(503, time.Hour), tt.now, 0), tt.want); diff != "" {
				t.Errorf("outcome (-got +want):\n%s", diff)
			}
		})
	}
}

func TestADeliveryBeganWhenItsDeadlineSays(t *testing.T) {
	p := webhook.Policy{Schedule: webhook.Fixed(2, 30*time.Second)}
	for _, tt := range []struct {
		name          string
		created, want time.Time
	}{
		{"held for an hour before", start.Add(-time.Hour), start},
		{"under another policy since", start.Add(time.Hour), start.Add(time.Hour)},
	} {
		if got := p.Begun(webhook.Delivery{CreatedAt: tt.created, Deadline: p.Deadline(start)}); !got.Equal(tt.want) {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestTheStateFollowsFromTheOutcome(t *testing.T) {
	for _, tt := range []struct {
		outcome webhook.Outcome
		want    webhook.State
	}{
		{webhook.Outcome{Verdict: webhook.Done}, webhook.StateDelivered},
		{webhook.Outcome{Verdict: webhook.Retry}, webhook.StateWaiting},
		{webhook.Outcome{Verdict: webhook.Dead, Exhausted: true}, webhook.StateExhausted},
		{webhook.Outcome{Verdict: webhook.Dead}, webhook.StateDead},
	} {
		if got := tt.outcome.State(); got != tt.want {
			t.Errorf("%+v: got %s, want %s", tt.outcome, got, tt.want)
		}
	}
}

func TestSuccessRules(t *testing.T) {
	statuses := []int{0, 99, 100, 199, 200, 201, 299, 300, 399, 400, 500}
	for rule, want := range map[webhook.Success][]int{
		"":                      {200, 201, 299},
		webhook.Success2xx:      {200, 201, 299},
		webhook.Success200:      {200},
		webhook.SuccessBelow400: {100, 199, 200, 201, 299, 300, 399},
	} {
		if diff := cmp.Diff(filter(statuses, rule.Accepts), want); diff != "" {
			t.Errorf("%q accepts (-got +want):\n%s", rule, diff)
		}
	}
}

func TestRetryRules(t *testing.T) {
	statuses := []int{302, 400, 404, 410, 428, 429, 430, 499, 500, 503, 599}
	for rule, want := range map[webhook.RetryOn][]int{
		"":                     statuses,
		webhook.RetryAnyError:  statuses,
		webhook.RetryTransient: {429, 500, 503, 599},
	} {
		if diff := cmp.Diff(filter(statuses, rule.Retries), want); diff != "" {
			t.Errorf("%q retries (-got +want):\n%s", rule, diff)
		}
	}
}

func filter(all []int, keep func(int) bool) []int {
	var kept []int
	for _, n := range all {
		if keep(n) {
			kept = append(kept, n)
		}
	}
	return kept
}

var (
	jitters   = rapid.Float64Range(0, 0.999999)
	durations = rapid.Custom(func(t *rapid.T) time.Duration {
		return time.Duration(rapid.Int64Range(0, int64(webhook.MaxWait)).Draw(t, "ns"))
	})
	schedules = rapid.Custom(func(t *rapid.T) webhook.Schedule {
		return webhook.Schedule{
			Waits:  rapid.SliceOfN(durations, 0, webhook.MaxRetries).Draw(t, "waits"),
			Jitter: rapid.Float64Range(0, 1).Draw(t, "spread"),
		}
	})
	policies = rapid.Custom(func(t *rapid.T) webhook.Policy {
		return webhook.Policy{
			Success:          rapid.SampledFrom([]webhook.Success{webhook.Success2xx, webhook.Success200, webhook.SuccessBelow400}).Draw(t, "success"),
			RetryOn:          rapid.SampledFrom([]webhook.RetryOn{webhook.RetryAnyError, webhook.RetryTransient}).Draw(t, "retry on"),
			Schedule:         schedules.Draw(t, "schedule"),
			Silence:          rapid.SampledFrom([]time.Duration{0, 0, time.Second, 5 * time.Minute, time.Hour}).Draw(t, "silence"),
			HonourRetryAfter: rapid.Bool().Draw(t, "honour"),
			GoneDisables:     rapid.Bool().Draw(t, "gone"),
		}
	})
	failures = []webhook.Failure{webhook.FailureDNS, webhook.FailureConnect, webhook.FailureTLS, webhook.FailureTimeout,
		webhook.FailureReset, webhook.FailureProtocol, webhook.FailureRefusedAddress, webhook.FailureUnsendable}
	results = rapid.Custom(func(t *rapid.T) webhook.Result {
		r := webhook.Result{RetryAfter: rapid.OneOf(
			rapid.SampledFrom([]time.Duration{0, time.Second, time.Minute, time.Hour, -time.Hour, 30 * time.Hour}), durations,
		).Draw(t, "retry after")}
		if rapid.Bool().Draw(t, "answered") {
			r.Status = rapid.OneOf(rapid.SampledFrom([]int{200, 302, 404, 410, 429, 503}), rapid.IntRange(100, 599)).Draw(t, "status")
			return r
		}
		r.Failure = rapid.SampledFrom(failures).Draw(t, "failure")
		return r
	})
	deliveries = func(p webhook.Policy) *rapid.Generator[webhook.Delivery] {
		return rapid.Custom(func(t *rapid.T) webhook.Delivery {
			return webhook.Delivery{
				Attempts:  rapid.IntRange(0, p.Schedule.MaxAttempts()-1).Draw(t, "attempts"),
				Postponed: rapid.IntRange(0, webhook.MaxPostponed).Draw(t, "postponed"),
				Deadline:  p.Deadline(start),
			}
		})
	}
)

func TestARetryIsNeverEarlierThanItsBaseDelay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := policies.Draw(t, "policy")
		d, r := deliveries(p).Draw(t, "delivery"), results.Draw(t, "result")
		o := p.Outcome(d, r, start, jitters.Draw(t, "jitter"))
		if o.Verdict != webhook.Retry {
			return
		}
		var base time.Duration // none after the last attempt, which only Retry-After repeats
		if d.Attempts < len(p.Schedule.Waits) {
			base = p.Schedule.Waits[d.Attempts]
		} else if o.Spends {
			t.Fatalf("attempt %d of %d is followed by another", d.Attempts+1, p.Schedule.MaxAttempts())
		}
		if o.After < max(base, o.Silence) {
			t.Fatalf("got a retry after %v, want at least %v and the silence of %v", o.After, base, o.Silence)
		}
		if o.After < 0 || o.After == 0 && !o.Spends {
			t.Fatalf("got a retry after %v that spends %v", o.After, o.Spends)
		}
	})
}

func TestRetryAfterOnlyEverDelays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := policies.Draw(t, "policy")
		d, r := deliveries(p).Draw(t, "delivery"), results.Draw(t, "result")
		now := start.Add(rapid.SampledFrom([]time.Duration{0, time.Hour, 23 * time.Hour, 72 * time.Hour}).Draw(t, "age"))
		jitter := jitters.Draw(t, "jitter")
		got := p.Outcome(d, r, now, jitter)
		r.RetryAfter = 0
		without := p.Outcome(d, r, now, jitter)
		switch {
		case !p.HonourRetryAfter && got != without:
			t.Fatalf("got %+v, want %+v: the policy does not honour it", got, without)
		case got.Verdict == webhook.Retry && got.After < without.After:
			t.Fatalf("got a retry after %v, want at least the %v without Retry-After", got.After, without.After)
		case got.State() != without.State() && !without.Exhausted && !got.Exhausted:
			t.Fatalf("got %s, want %s: it may prolong or end what is retried, and nothing else", got.State(), without.State())
		case got.Silence != without.Silence, got.Disable != without.Disable:
			t.Fatalf("got %+v, want the silence and disabling of %+v", got, without)
		case !got.Spends && (got.Verdict != webhook.Retry || got.After > webhook.MaxRetryAfter):
			t.Fatalf("got %+v, want at most a day that spends no attempt", got)
		}
	})
}

// deliver feeds results to a delivery until it is final and returns the number
// of attempts it took.
func deliver(t *rapid.T, p webhook.Policy, answer func() webhook.Result) (steps int) {
	d := webhook.Delivery{State: webhook.StateQueued, Deadline: p.Deadline(start)}
	limit := p.Schedule.MaxAttempts() + webhook.MaxPostponed
	for now := start; !d.State.Final(); steps++ {
		if steps == limit {
			t.Fatalf("still %s after %d attempts", d.State, steps)
		}
		o := p.Outcome(d, answer(), now, jitters.Draw(t, "jitter"))
		d.State, d.Reason = o.State(), o.Reason
		if o.Spends {
			d.Attempts++
		} else {
			d.Postponed++
		}
		if (o.Verdict == webhook.Done) != (o.Reason == "") {
			t.Fatalf("%s for the reason %q", o.Verdict, o.Reason)
		}
		now = now.Add(o.After)
	}
	if d.Attempts > p.Schedule.MaxAttempts() || d.Postponed > webhook.MaxPostponed {
		t.Fatalf("spent %d of %d attempts and %d postponements", d.Attempts, p.Schedule.MaxAttempts(), d.Postponed)
	}
	return steps
}

func TestEveryDeliveryEndsWithinItsAttempts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := policies.Draw(t, "policy")
		deliver(t, p, func() webhook.Result { return results.Draw(t, "result") })
	})
}

func TestADeliveryToAReceiverThatNeverChangesEndsWithinItsAttempts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := policies.Draw(t, "policy")
		r := results.Draw(t, "result")
		deliver(t, p, func() webhook.Result { return r })
	})
}

func TestAReceiverThatAlwaysAsksToWaitUsesEveryPostponementAndAttempt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := webhook.Policy{HonourRetryAfter: true, Schedule: webhook.Fixed(rapid.IntRange(1, webhook.MaxRetries).Draw(t, "retries"), 5*time.Second)}
		got := deliver(t, p, func() webhook.Result { return askedToWait(503, 6*time.Second) })
		if want := p.Schedule.MaxAttempts() + webhook.MaxPostponed; got != want {
			t.Fatalf("got %d attempts, want %d", got, want)
		}
	})
}
