package webhook_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

// answering is an endpoint that gets answers, as one process that makes all its
// attempts sees it.
type answering struct {
	answers webhook.Answers
	health  webhook.Health
	slowest int
}

func (a *answering) gets(r webhook.Result, now time.Time) {
	o := delivered
	if r.Status != 200 {
		o = failed(r, 1, 1)
	}
	a.answers = a.answers.With(r, now)
	o.Throttled = a.answers.Throttled(now)
	a.health, _ = a.health.After(o, now, webhook.HealthRules{}, 0)
	a.slowest = max(a.slowest, a.health.Slow)
}

func TestABusyEndpointIsSlowedOnlyWhenATenthOfItsAnswersAskForIt(t *testing.T) {
	for _, tt := range []struct {
		name   string
		share  float64 // of 502s
		slowed bool
	}{
		{"one in a thousand", 0.001, false},
		{"one in a hundred", 0.01, false},
		{"one in twenty", 0.05, false},
		{"every fifth", 0.2, true},
		{"half", 0.5, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			chance := rand.New(rand.NewPCG(1, 2))
			var e answering
			for i := range 500 * 120 { // two minutes
				r := webhook.Result{Status: 200}
				if chance.Float64() < tt.share {
					r.Status = 502
				}
				e.gets(r, noon.Add(time.Duration(i)*time.Second/500))
			}
			if (e.slowest > 0) != tt.slowed {
				t.Errorf("it was slowed to level %d at 500 a second, want slowed: %t", e.slowest, tt.slowed)
			}
		})
	}
}

func TestOneOrTwoThrottledAnswersSlowNobody(t *testing.T) {
	var e answering
	for i, status := range []int{429, 429, 500, 500, 500} {
		e.gets(webhook.Result{Status: status}, noon.Add(time.Duration(i)*time.Second))
	}
	e.gets(webhook.Result{Failure: webhook.FailureTimeout}, noon.Add(time.Second))
	e.gets(webhook.Result{Status: 429}, noon.Add(30*time.Second)) // those before are forgotten
	if e.slowest != 0 {
		t.Errorf("it was slowed to level %d", e.slowest)
	}
}

func TestADeployOfAMinuteIsOverInHalfAMinute(t *testing.T) {
	var e answering
	now := noon
	rate := func() time.Duration {
		return time.Second / time.Duration(max(webhook.RateOf(webhook.Policy{Rate: 100}, e.health), 1))
	}
	for now.Sub(noon) < time.Minute {
		e.gets(webhook.Result{Status: 502}, now)
		now = now.Add(rate())
	}
	if e.health.Slow < 5 {
		t.Fatalf("it was slowed to level %d within a minute, want 5 at least", e.health.Slow)
	}
	over := now
	for e.health.Slow > 0 && now.Sub(over) < time.Hour {
		e.gets(webhook.Result{Status: 200}, now)
		now = now.Add(rate())
	}
	if got := now.Sub(over); got > 35*time.Second {
		t.Errorf("it was slowed for %s after the deploy, want about half a minute", got)
	}
}

func TestAnEndpointWhoseCircuitClosesGetsTwiceAsMuchEveryFiveSeconds(t *testing.T) {
	e := answering{health: webhook.Health{Circuit: webhook.Circuit{Opens: 4, OpenUntil: noon.Add(-time.Second)}}}
	for i, want := range []int{8, 16, 32, 0} {
		e.gets(webhook.Result{Status: 200}, noon.Add(time.Duration(i)*5*time.Second))
		if got := webhook.RateOf(webhook.Policy{}, e.health); got != want {
			t.Errorf("%d a second after %d s, want %d", got, i*5, want)
		}
	}
}
