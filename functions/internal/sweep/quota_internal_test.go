package sweep

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/jobhook/jobhook/shared/webhook"
)

func TestWhatAnEndpointGetsBackOfARun(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 1, 0, 0, time.UTC)
	enabled := func(change func(h *webhook.Holder)) webhook.Holder {
		h := webhook.Holder{Exists: true, Endpoint: webhook.Endpoint{ID: "ep_1", Status: webhook.EndpointEnabled}}
		change(&h)
		return h
	}
	allows := func(rate, inFlight int) webhook.PolicyPatch {
		return webhook.PolicyPatch{Rate: &rate, MaxInFlight: &inFlight}
	}
	busy := webhook.HoldBusy.Because("as many as allowed are under way")
	for _, tt := range []struct {
		name    string
		holder  webhook.Holder
		every   time.Duration
		n, rate int
	}{
		{"nothing bounds it", enabled(func(h *webhook.Holder) {}), time.Second, 1_000, 1_000},
		{"nothing bounds it, in a minute", enabled(func(h *webhook.Holder) {}), time.Minute, 9_960, 166}, // a run releases 10,000
		{"its rate", enabled(func(h *webhook.Holder) { h.Endpoint.Policy = allows(7, 5) }), time.Second, 7, 7},
		{"its rate, in a minute", enabled(func(h *webhook.Holder) { h.Endpoint.Policy = allows(7, 5) }), time.Minute, 420, 7},
		{"slowed", enabled(func(h *webhook.Holder) { h.Health.Slow = 2 }), time.Second, 16, 16},
		{"slowed below its rate", enabled(func(h *webhook.Holder) { h.Health.Slow, h.Endpoint.Policy = 6, allows(7, 5) }), time.Second, 1, 1},
		{"busy", enabled(func(h *webhook.Holder) { h.Why = busy }), time.Second, 64, 64},
		{"busy, and may have few under way", enabled(func(h *webhook.Holder) { h.Why, h.Endpoint.Policy = busy, allows(0, 5) }), time.Second, 5, 5},
		{"busy, but has a rate", enabled(func(h *webhook.Holder) { h.Why, h.Endpoint.Policy = busy, allows(7, 5) }), time.Second, 7, 7},
		{"paused", enabled(func(h *webhook.Holder) { h.Endpoint.Status = webhook.EndpointPaused }), time.Second, 0, 0},
		{"disabled", enabled(func(h *webhook.Holder) { h.Endpoint.Status = webhook.EndpointDisabled }), time.Second, 0, 0},
		{"deleted", webhook.Holder{Endpoint: webhook.Endpoint{ID: "ep_1"}}, time.Second, 1_000, 1_000},
		{"asked to wait", enabled(func(h *webhook.Holder) { h.Health.PausedUntil = now.Add(1) }), time.Second, 0, 0},
		{"has waited", enabled(func(h *webhook.Holder) { h.Health.PausedUntil = now }), time.Second, 1_000, 1_000},
		{"tripped", enabled(func(h *webhook.Holder) { h.Health.Circuit = webhook.Circuit{Opens: 1, OpenUntil: now.Add(1)} }), time.Second, 0, 0},
		{"half-open", enabled(func(h *webhook.Holder) { h.Health.Circuit = webhook.Circuit{Opens: 1, OpenUntil: now} }), time.Minute, 1, 0},
		{"half-open, and somebody probes", enabled(func(h *webhook.Holder) {
			h.Health.Circuit = webhook.Circuit{Opens: 1, OpenUntil: now, ProbeUntil: now.Add(1)}
		}), time.Minute, 0, 0},
		{"a clock that went back", enabled(func(h *webhook.Holder) {}), -time.Hour, -3_600_000, 1_000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if n, rate := quota(tt.holder, webhook.HostHealth{}, now.Add(-tt.every), now); n != tt.n || rate != tt.rate {
				t.Errorf("got %d at %d a second, want %d at %d", n, rate, tt.n, tt.rate)
			}
		})
	}
}

func TestTheStricterOfTheGatesOfEndpointAndHostDecides(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 1, 0, 0, time.UTC)
	closed, open := webhook.Circuit{}, webhook.Circuit{Opens: 1, OpenUntil: now.Add(1)}
	halfOpen, probed := webhook.Circuit{Opens: 1, OpenUntil: now}, webhook.Circuit{Opens: 1, OpenUntil: now, ProbeUntil: now.Add(1)}
	for _, tt := range []struct {
		name      string
		own, host webhook.Circuit
		want      int
	}{
		{"both closed", closed, closed, 1_000},
		{"the host's open", closed, open, 0},
		{"the host's half-open", closed, halfOpen, 1},
		{"the host's half-open, and somebody probes", closed, probed, 0},
		{"both half-open", halfOpen, halfOpen, 1},
		{"the host's half-open, its own open", open, halfOpen, 0},
		{"its own half-open, the host's open", halfOpen, open, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := webhook.Holder{Exists: true, Endpoint: webhook.Endpoint{Status: webhook.EndpointEnabled}, Health: webhook.Health{Circuit: tt.own}}
			if n, _ := quota(h, webhook.HostHealth{Circuit: tt.host}, now.Add(-time.Second), now); n != tt.want {
				t.Errorf("got %d, want %d", n, tt.want)
			}
		})
	}
}

// TestNoFractionOfARateIsLost: runs come when they come.
func TestNoFractionOfARateIsLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.IntRange(1, webhook.MaxRate).Draw(t, "rate")
		h := webhook.Holder{Exists: true, Endpoint: webhook.Endpoint{Status: webhook.EndpointEnabled, Policy: webhook.PolicyPatch{Rate: &rate}}}
		start := time.UnixMilli(rapid.Int64Range(0, 1<<42).Draw(t, "start"))
		now, sum := start, 0
		for _, ms := range rapid.SliceOfN(rapid.IntRange(1, 75_000), 1, 100).Draw(t, "runs") {
			next := now.Add(time.Duration(ms) * time.Millisecond)
			n, _ := quota(h, webhook.HostHealth{}, now, next)
			now, sum = next, sum+n
		}
		if want := float64(rate) * now.Sub(start).Seconds(); float64(sum) < want-1 || float64(sum) > want+1 {
			t.Fatalf("%d in %s at %d a second", sum, now.Sub(start), rate)
		}
	})
}
