package webhook_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/jobhook/jobhook/shared/webhook"
)

// noon is when the tests of health take place.
var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func TestACircuitLetsThroughAllThenNoneThenOneProbe(t *testing.T) {
	open := webhook.Circuit{Opens: 1, OpenUntil: noon}
	claimed := webhook.Circuit{Opens: 1, OpenUntil: noon, ProbeUntil: noon.Add(time.Minute)}
	for _, tt := range []struct {
		name    string
		circuit webhook.Circuit
		at      time.Time
		want    webhook.Pass
		until   time.Time
	}{
		{"closed", webhook.Circuit{}, noon, webhook.PassAll, time.Time{}},
		{"open", open, noon.Add(-time.Second), webhook.PassNone, noon},
		{"half-open at its very end", open, noon, webhook.PassProbe, time.Time{}},
		{"half-open long after", open, noon.Add(time.Hour), webhook.PassProbe, time.Time{}},
		{"its probe is under way", claimed, noon.Add(59 * time.Second), webhook.PassNone, noon.Add(time.Minute)},
		{"its probe never came back", claimed, noon.Add(time.Minute), webhook.PassProbe, time.Time{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.circuit.At(tt.at, webhook.HoldTripped, "the endpoint")
			if got.Pass != tt.want || !got.Until.Equal(tt.until) {
				t.Errorf("got %s until %s, want %s until %s", got.Pass, got.Until, tt.want, tt.until)
			}
			if hold := webhook.HoldOf(got.Why); got.Pass == webhook.PassNone && hold != webhook.HoldTripped {
				t.Errorf("reason %q is of the hold %q, want tripped", got.Why, hold)
			}
		})
	}
}

func TestACircuitStaysOpenTwiceAsLongEachTimeUpToTheMaximum(t *testing.T) {
	var c webhook.Circuit
	for i, want := range []time.Duration{30e9, 60e9, 120e9, 240e9, 480e9, 900e9, 900e9} {
		c = c.Open(noon, webhook.HealthRules{}.Defaults(), 0)
		if got := c.OpenUntil.Sub(noon); got != want || c.Opens != i+1 {
			t.Errorf("opening %d is for %s, want opening %d for %s", c.Opens, got, i+1, want)
		}
	}
}

func TestTheTimesOfCircuitsAreSpreadAndBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := webhook.HealthRules{
			OpenFor: time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "open for")),
			MaxOpen: time.Duration(rapid.Int64Range(1, int64(24*time.Hour)).Draw(t, "at most")),
		}
		c := webhook.Circuit{Opens: rapid.IntRange(0, 1000).Draw(t, "opens"), ProbeUntil: noon.Add(time.Hour)}
		calm, spread := c.Open(noon, r, 0), c.Open(noon, r, rapid.Float64Range(0, 0.999).Draw(t, "jitter"))
		least, got := calm.OpenUntil.Sub(noon), spread.OpenUntil.Sub(noon)
		if least > r.MaxOpen || least < min(r.OpenFor, r.MaxOpen) || got < least || got > least+least/5 {
			t.Fatalf("open for %s, spread %s; want %s to %s, and a fifth more", least, got, r.OpenFor, r.MaxOpen)
		}
		if c.Opens > 0 && least < min(2*r.OpenFor, r.MaxOpen) {
			t.Fatalf("opened again for %s, want it doubled", least)
		}
		if !spread.ProbeUntil.IsZero() {
			t.Fatal("an old claim survives the opening")
		}
	})
}

func TestAPauseOfTheReceiversComesBeforeTheCircuit(t *testing.T) {
	h := webhook.Health{PausedUntil: noon.Add(time.Minute), Circuit: webhook.Circuit{Opens: 1, OpenUntil: noon.Add(15 * time.Minute)}}
	for _, tt := range []struct {
		at   time.Time
		pass webhook.Pass
		hold webhook.Hold
	}{
		{noon, webhook.PassNone, webhook.HoldRetryAfter},
		{noon.Add(time.Minute), webhook.PassNone, webhook.HoldTripped},
		{noon.Add(15 * time.Minute), webhook.PassProbe, ""},
	} {
		if got := h.Gate(tt.at); got.Pass != tt.pass || webhook.HoldOf(got.Why) != tt.hold {
			t.Errorf("at %s: got %+v, want %s %s", tt.at, got, tt.pass, tt.hold)
		}
	}
}

// Results and outcomes of attempts, as a policy decides them.
var (
	delivered = webhook.Observation{Result: webhook.Result{Status: 200}, Outcome: webhook.Outcome{Verdict: webhook.Done, Spends: true}}
	status500 = webhook.Result{Status: 500}
	asked     = webhook.Observation{Result: webhook.Result{Status: 429},
		Outcome: webhook.Outcome{Verdict: webhook.Retry, Reason: "429", Pause: time.Minute}}
)

// failed is a failed attempt, the n-th delivery in a row, of which the last down were Down.
func failed(r webhook.Result, n, down int) webhook.Observation {
	return webhook.Observation{Result: r, Outcome: webhook.Outcome{Verdict: webhook.Retry, Reason: r.Summary(), Spends: true},
		InARow: n, DownRow: down, DownOf: down, FirstAt: noon.Add(-time.Minute)}
}

// failedAlone is the n-th failed attempt of one delivery since then.
func failedAlone(n int, since time.Time) webhook.Observation {
	o := failed(status500, 1, 1)
	o.FirstAt, o.Tries, o.TriedSince = noon, n, since
	return o
}

// of is a row of failures that were Down, of so many deliveries.
func of(deliveries int, o webhook.Observation) webhook.Observation {
	o.InARow, o.DownOf = min(o.InARow, deliveries), deliveries
	return o
}

// throttled is a result that is not the only one of its kind.
func throttled(o webhook.Observation) webhook.Observation {
	o.Throttled = true
	return o
}

// sinceSuccess adds when the process saw a success.
func sinceSuccess(then time.Time, o webhook.Observation) webhook.Observation {
	o.SucceededAt = then
	return o
}

func probe(o webhook.Observation) webhook.Observation {
	o.Probe = true
	return o
}

func TestAfterEveryKindOfResult(t *testing.T) {
	failing := webhook.Health{State: webhook.Failing, Since: noon.Add(-time.Minute), Reason: "the receiver answered 500"}
	told := failing
	told.Warned = 1
	slow := webhook.Health{Slow: 1, SlowAt: noon}
	half := webhook.Circuit{Opens: 2, OpenUntil: noon.Add(-time.Second), ProbeUntil: noon.Add(time.Second)}
	again := webhook.Circuit{Opens: 3, OpenUntil: noon.Add(2 * time.Minute)}
	once := webhook.Circuit{Opens: 1, OpenUntil: noon.Add(30 * time.Second)}
	with := func(h webhook.Health, c webhook.Circuit) webhook.Health {
		h.Circuit = c
		return h
	}
	starting := func(h webhook.Health) webhook.Health { // whose circuit has just closed
		h.Slow, h.SlowAt = 3, noon
		return h
	}
	recovered := webhook.Health{State: webhook.Healthy, Since: noon}
	before := func(d time.Duration) webhook.Health {
		return webhook.Health{State: webhook.Healthy, Since: noon.Add(-d)}
	}
	for _, tt := range []struct {
		name   string
		before webhook.Health
		o      webhook.Observation
		want   webhook.Health
		told   []webhook.EventType
	}{
		{"a success of a healthy one changes nothing", webhook.Health{}, delivered, webhook.Health{}, nil},
		{"four failures change nothing", webhook.Health{}, failed(status500, 4, 4), webhook.Health{}, nil},
		{"the fifth makes it failing, which is not told at once", webhook.Health{}, failed(status500, 5, 5), failing, nil},
		{"unless they are of fewer deliveries", webhook.Health{}, of(4, failed(status500, 9, 9)), webhook.Health{}, nil},
		{"or somebody saw a success meanwhile", before(30 * time.Second), failed(status500, 10, 10), before(30 * time.Second), nil},
		{"one delivery that fails five times over an hour makes it failing", webhook.Health{}, failedAlone(5, noon.Add(-time.Hour)),
			webhook.Health{State: webhook.Failing, Since: noon, Reason: "the receiver answered 500"}, nil},
		{"four times do not", webhook.Health{}, failedAlone(4, noon.Add(-time.Hour)), webhook.Health{}, nil},
		{"nor less than an hour", webhook.Health{}, failedAlone(5, noon.Add(-time.Hour+1)), webhook.Health{}, nil},
		{"nor when others arrived since", webhook.Health{}, sinceSuccess(noon.Add(-time.Minute), failedAlone(5, noon.Add(-time.Hour))), webhook.Health{}, nil},
		{"nor when another process saw that", before(time.Minute), failedAlone(5, noon.Add(-time.Hour)), before(time.Minute), nil},
		{"the sixth changes nothing", failing, failed(status500, 6, 6), failing, nil},
		{"so does the ninth", failing, failed(status500, 9, 9), failing, nil},
		{"the tenth trips it", failing, failed(status500, 10, 10), with(failing, once), nil},
		{"of three deliveries too", failing, of(3, failed(status500, 10, 10)), with(failing, once), nil},
		{"of two it does not", failing, of(2, failed(status500, 10, 10)), failing, nil},
		{"dislike does not trip it", failing, failed(webhook.Result{Status: 404}, 10, 0), failing, nil},
		{"nor do ten of both", failing, failed(status500, 10, 9), failing, nil},
		{"an attempt begun before it tripped does not open it again", with(failing, half), failed(status500, 11, 11), with(failing, half), nil},
		{"a probe that fails does", with(failing, half), probe(failed(status500, 11, 11)), with(failing, again), nil},
		{"a probe that is disliked closes it", with(failing, half), probe(failed(webhook.Result{Status: 404}, 11, 0)), starting(failing), nil},
		{"a probe that is to wait closes it", with(failing, half), probe(asked),
			webhook.Health{State: webhook.Failing, Since: failing.Since, Reason: failing.Reason, PausedUntil: noon.Add(time.Minute), Slow: 3, SlowAt: noon}, nil},
		{"a probe that fails after another's success opens nothing", webhook.Health{}, probe(failed(status500, 1, 1)), webhook.Health{}, nil},
		{"a success closes it and makes it healthy, to start slowly", with(failing, half), delivered, starting(recovered), nil},
		{"which is told if the failing was", with(told, half), delivered, starting(recovered), []webhook.EventType{webhook.EndpointRecoveredEvent}},
		{"one that was slower stays so", webhook.Health{Circuit: half, Slow: 5, SlowAt: noon}, delivered, webhook.Health{Slow: 5, SlowAt: noon}, nil},
		{"a success that was seen but not written counts before a failure", told, sinceSuccess(noon.Add(-time.Second), failed(status500, 1, 1)),
			before(time.Second), []webhook.EventType{webhook.EndpointRecoveredEvent}},
		{"one from before the failures does not", told, sinceSuccess(noon.Add(-time.Hour), failed(status500, 6, 6)), told, nil},
		{"a timeout counts as down", webhook.Health{}, failed(webhook.Result{Failure: webhook.FailureTimeout}, 10, 10),
			webhook.Health{State: webhook.Failing, Since: noon.Add(-time.Minute), Reason: "timeout", Circuit: once}, nil},
		{"Retry-After pauses, and is no failure", webhook.Health{}, asked, webhook.Health{PausedUntil: noon.Add(time.Minute)}, nil},
		{"and slows down when many ask", webhook.Health{}, throttled(asked), webhook.Health{PausedUntil: noon.Add(time.Minute), Slow: 1, SlowAt: noon}, nil},
		{"one 429 changes nothing", webhook.Health{}, failed(webhook.Result{Status: 429}, 1, 1), webhook.Health{}, nil},
		{"many slow it down", webhook.Health{}, throttled(failed(webhook.Result{Status: 429}, 1, 1)), slow, nil},
		{"502 too", webhook.Health{}, throttled(failed(webhook.Result{Status: 502}, 1, 1)), slow, nil},
		{"504 too", webhook.Health{}, throttled(failed(webhook.Result{Status: 504}, 1, 1)), slow, nil},
		{"503 does not", webhook.Health{}, throttled(failed(webhook.Result{Status: 503}, 1, 1)), webhook.Health{}, nil},
		{"a second 429 of the same moment neither", slow, throttled(failed(webhook.Result{Status: 429}, 2, 2)), slow, nil},
		{"a success among them speeds up nothing", webhook.Health{Slow: 2, SlowAt: noon.Add(-time.Minute)}, throttled(delivered), webhook.Health{Slow: 2, SlowAt: noon.Add(-time.Minute)}, nil},
		{"a level from a clock that was ahead does not stay", webhook.Health{Slow: 2, SlowAt: noon.Add(time.Hour)}, delivered, webhook.Health{Slow: 1, SlowAt: noon}, nil},
		{"a pause that is over is forgotten with a success", webhook.Health{PausedUntil: noon.Add(-time.Second)}, delivered, webhook.Health{}, nil},
		{"one that is not stays", webhook.Health{PausedUntil: noon.Add(time.Second)}, delivered, webhook.Health{PausedUntil: noon.Add(time.Second)}, nil},
		{"one of a clock that was ahead does not", webhook.Health{PausedUntil: noon.Add(25 * time.Hour)}, delivered, webhook.Health{}, nil},
		{"nor does it hide a new one", webhook.Health{PausedUntil: noon.Add(25 * time.Hour)}, asked, webhook.Health{PausedUntil: noon.Add(time.Minute)}, nil},
		{"a shorter pause does not end a longer one", webhook.Health{PausedUntil: noon.Add(time.Hour), Slow: 1, SlowAt: noon}, asked,
			webhook.Health{PausedUntil: noon.Add(time.Hour), Slow: 1, SlowAt: noon}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, told := tt.before.After(tt.o, noon, webhook.HealthRules{}, 0)
			if diff := cmp.Diff(got, tt.want); diff != "" {
				t.Errorf("health (-got +want):\n%s", diff)
			}
			if diff := cmp.Diff(told, tt.told); diff != "" {
				t.Errorf("told (-got +want):\n%s", diff)
			}
		})
	}
}

func TestSlownessRisesAndFallsByLevels(t *testing.T) {
	var h webhook.Health
	many := throttled(failed(webhook.Result{Status: 429}, 1, 1))
	now := noon
	for level, rate := range []int{32, 16, 8, 4, 2, 1, 1} {
		h, _ = h.After(many, now, webhook.HealthRules{}, 0)
		if got := h.SlowRate(); h.Slow != min(level+1, 6) || got != rate {
			t.Errorf("level %d gives %d a second, want level %d with %d", h.Slow, got, min(level+1, 6), rate)
		}
		now = now.Add(10 * time.Second)
	}
	for h.Slow > 0 {
		before, at := h, h.SlowAt
		h, _ = h.After(delivered, at.Add(5*time.Second-time.Nanosecond), webhook.HealthRules{}, 0)
		if h != before {
			t.Fatalf("level %d was left in less than five seconds", before.Slow)
		}
		h, _ = h.After(delivered, at.Add(5*time.Second), webhook.HealthRules{}, 0)
		if h.Slow != before.Slow-1 {
			t.Fatalf("level %d after five seconds and a success at level %d, want one less", h.Slow, before.Slow)
		}
	}
}

func TestTheRateIsThatOfThePolicyUnlessItIsSlower(t *testing.T) {
	for _, tt := range []struct{ rate, slow, want int }{
		{0, 0, 0}, {5, 0, 5}, {0, 1, 32}, {5, 1, 5}, {100, 2, 16}, {100, 6, 1}, {0, 99, 1},
	} {
		if got := webhook.RateOf(webhook.Policy{Rate: tt.rate}, webhook.Health{Slow: tt.slow}); got != tt.want {
			t.Errorf("rate %d at level %d: got %d, want %d", tt.rate, tt.slow, got, tt.want)
		}
	}
}

func TestResultsAreOfTheReceiverOfTheHostOrOfUs(t *testing.T) {
	for _, tt := range []struct {
		result                       webhook.Result
		down, unreachable, throttles bool
	}{
		{result: webhook.Result{Status: 200}},
		{result: webhook.Result{Status: 404}},
		{result: webhook.Result{Status: 410}},
		{result: webhook.Result{Status: 429}, down: true, throttles: true},
		{result: webhook.Result{Status: 500}, down: true},
		{result: webhook.Result{Status: 502}, down: true, throttles: true},
		{result: webhook.Result{Status: 503}, down: true},
		{result: webhook.Result{Status: 504}, down: true, throttles: true},
		{result: webhook.Result{Failure: webhook.FailureDNS}, down: true, unreachable: true},
		{result: webhook.Result{Failure: webhook.FailureConnect}, down: true, unreachable: true},
		{result: webhook.Result{Failure: webhook.FailureTLS}, down: true, unreachable: true},
		{result: webhook.Result{Failure: webhook.FailureTimeout}, down: true}, // a slow application behind a host that works
		{result: webhook.Result{Failure: webhook.FailureReset}, down: true},
		{result: webhook.Result{Failure: webhook.FailureProtocol}, down: true},
		{result: webhook.Result{Failure: webhook.FailureRefusedAddress}},
		{result: webhook.Result{Failure: webhook.FailureUnsendable}},
		{result: webhook.Result{Failure: webhook.FailureOurs}},
	} {
		if r := tt.result; r.Down() != tt.down || r.Unreachable() != tt.unreachable || r.Throttles() != tt.throttles {
			t.Errorf("%s: down %t, unreachable %t, throttles %t; want %t, %t, %t",
				r.Summary(), r.Down(), r.Unreachable(), r.Throttles(), tt.down, tt.unreachable, tt.throttles)
		}
	}
}

// Whatever happens to an endpoint, what is known of it stays in its bounds, and
// a success makes it as good as new, but for its pause and its speed.
func TestHealthStaysInItsBoundsWhateverHappens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h webhook.Health
		now, inARow, down, succeeded := noon, 0, 0, time.Time{}
		for range rapid.IntRange(1, 100).Draw(t, "attempts") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(12*time.Hour)).Draw(t, "pause")))
			o := attempts.Draw(t, "attempt")
			inARow, down = inARow+1, down+1
			if !o.Result.Down() {
				down = 0
			}
			o.InARow, o.DownRow, o.DownOf, o.FirstAt = inARow, down, down, now
			o.Tries, o.TriedSince, o.SucceededAt = inARow, noon, succeeded
			next, told := h.After(o, now, webhook.HealthRules{}, 0)
			if o.Outcome.Verdict == webhook.Done {
				inARow, down = 0, 0
				if rapid.Bool().Draw(t, "seen") {
					succeeded = now
				}
				if next.Opens != 0 || next.State == webhook.Failing || next.Warned != 0 {
					t.Fatalf("after a success %+v", next)
				}
			}
			if next.Slow < 0 || next.Slow > 6 || next.PausedUntil.Sub(now) > webhook.MaxRetryAfter || next.OpenUntil.Sub(now) > webhook.DefaultMaxOpen*6/5 ||
				len(told) > 1 || next.Warned > 3 || next.PausedUntil.Before(h.PausedUntil) && !next.PausedUntil.IsZero() || next.Since.After(now) {
				t.Fatalf("%+v then %+v, told %v", h, next, told)
			}
			if len(told) > 0 && next == h {
				t.Fatalf("%v is told of nothing that changed", told)
			}
			h = next
		}
	})
}

// attempts draws what can come of attempts.
var attempts = rapid.Custom(func(t *rapid.T) webhook.Observation {
	o := webhook.Observation{Probe: rapid.Bool().Draw(t, "probe"), Throttled: rapid.Bool().Draw(t, "throttled"), Outcome: webhook.Outcome{Verdict: webhook.Retry, Spends: true, Reason: "it failed"}}
	switch rapid.IntRange(0, 3).Draw(t, "kind") {
	case 0:
		return delivered
	case 1:
		o.Outcome.Spends = false
		o.Outcome.Pause = time.Duration(rapid.Int64Range(1, int64(webhook.MaxRetryAfter)).Draw(t, "asked"))
		o.Result.Status = 429
	case 2:
		o.Result.Status = rapid.SampledFrom([]int{404, 429, 500, 502, 503, 504}).Draw(t, "status")
	case 3:
		o.Result.Failure = rapid.SampledFrom([]webhook.Failure{webhook.FailureDNS, webhook.FailureTimeout, webhook.FailureRefusedAddress}).Draw(t, "failure")
	}
	return o
})

func TestTheHoldOfAReasonIsItsFirstWord(t *testing.T) {
	for _, tt := range []struct {
		reason string
		want   webhook.Hold
	}{
		{webhook.HoldPaused.Because("maintenance"), webhook.HoldPaused},
		{webhook.HoldDisabled.Because("410"), webhook.HoldDisabled},
		{webhook.HoldSilent.Because("a call timed out"), webhook.HoldSilent},
		{webhook.HoldTripped.Because("it failed: again"), webhook.HoldTripped},
		{webhook.HoldHost.Because("it failed"), webhook.HoldHost},
		{webhook.HoldRetryAfter.Because("until noon"), webhook.HoldRetryAfter},
		{webhook.HoldRate.Because("5 a second"), webhook.HoldRate},
		{webhook.HoldBusy.Because("64 under way"), webhook.HoldBusy},
		{"the endpoint is paused: maintenance", ""},
		{"tripped", ""},
		{"tripped:", ""},
		{"unknown: why", ""},
		{"", ""},
	} {
		if got := webhook.HoldOf(tt.reason); got != tt.want {
			t.Errorf("HoldOf(%q) = %q, want %q", tt.reason, got, tt.want)
		}
	}
}

func TestAHostIsItsNameAndPort(t *testing.T) {
	for _, tt := range []struct{ url, want string }{
		{"https://Hooks.Example.com/a?b", "hooks.example.com:443"},
		{"http://hooks.example.com/", "hooks.example.com:80"},
		{"https://hooks.example.com:8443/", "hooks.example.com:8443"},
		{"http://hooks.example.com:443/", "hooks.example.com:443"},
		{"https://[2001:DB8::1]:8443/", "[2001:db8::1]:8443"},
		{"https://[2001:db8::1]/", "[2001:db8::1]:443"},
		{"https://user@hooks.example.com/", "hooks.example.com:443"},
		{"https:///path", ""},
		{"hooks.example.com", ""},
		{"://", ""},
		{"", ""},
	} {
		if got := webhook.HostOf(tt.url); got != tt.want {
			t.Errorf("HostOf(%q) = %q, want %q", tt.url, got, tt.want)
		}
	}
}
