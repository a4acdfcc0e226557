package webhook_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/shared/webhook"
)

const day = 24 * time.Hour

// failsAt lets an endpoint fail at times after noon, and returns what is told.
func failsAt(h *webhook.Health, r webhook.HealthRules, times ...time.Duration) map[time.Duration]webhook.EventType {
	got := map[time.Duration]webhook.EventType{}
	for _, after := range times {
		o := failed(status500, 9, 9)
		o.FirstAt = noon
		var told []webhook.EventType
		*h, told = h.After(o, noon.Add(after), r, 0)
		for _, what := range told {
			got[after] = what
		}
	}
	return got
}

func hourly(until time.Duration) (times []time.Duration) {
	for at := time.Duration(0); at <= until; at += time.Hour {
		times = append(times, at)
	}
	return times
}

func TestDaysOfFailuresWarnTwiceAndThenDisable(t *testing.T) {
	failing, disabled := webhook.EndpointFailingEvent, webhook.EndpointDisabledEvent
	for _, tt := range []struct {
		name  string
		rules webhook.HealthRules
		want  map[time.Duration]webhook.EventType // by the time since the first failure
	}{
		{"five days", webhook.HealthRules{}, map[time.Duration]webhook.EventType{time.Hour: failing, 60 * time.Hour: failing, 4 * day: failing, 5 * day: disabled}},
		{"ten days warn two days before", webhook.HealthRules{DisableAfter: 10 * day},
			map[time.Duration]webhook.EventType{time.Hour: failing, 5 * day: failing, 8 * day: failing, 10 * day: disabled}},
		{"a day warns once", webhook.HealthRules{DisableAfter: day}, map[time.Duration]webhook.EventType{time.Hour: failing, 12 * time.Hour: failing, day: disabled}},
		{"never", webhook.HealthRules{DisableAfter: -1}, map[time.Duration]webhook.EventType{time.Hour: failing}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var h webhook.Health
			got := map[time.Duration]webhook.EventType{}
			for after, what := range failsAt(&h, tt.rules, hourly(11*day)...) {
				if _, over := got[after]; !over && (what != disabled || after <= tt.rules.Defaults().DisableAfter) {
					got[after] = what
				}
			}
			if diff := cmp.Diff(got, tt.want); diff != "" {
				t.Errorf("told (-got +want):\n%s", diff)
			}
		})
	}
}

func TestAnEndpointThatIsSeldomCalledHasTimeAfterItsLastWarning(t *testing.T) {
	failing, disabled := webhook.EndpointFailingEvent, webhook.EndpointDisabledEvent
	var h webhook.Health
	got := failsAt(&h, webhook.HealthRules{}, 0, 6*day, 6*day+1, 6*day+2, 6*day+3, 7*day+12*time.Hour, 7*day+12*time.Hour+1, 8*day+12*time.Hour)
	want := map[time.Duration]webhook.EventType{6 * day: failing, 6*day + 1: failing, 7*day + 12*time.Hour + 1: failing}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("told (-got +want):\n%s", diff)
	}
	end := 8*day + 12*time.Hour + 1
	if diff := cmp.Diff(failsAt(&h, webhook.HealthRules{}, end), map[time.Duration]webhook.EventType{end: disabled}); diff != "" {
		t.Errorf("a day after the last warning told (-got +want):\n%s", diff)
	}
	if got, want := h.Since, noon.Add(end-5*day); !got.Equal(want) {
		t.Errorf("it is disabled for failing since %s, want %s: the time that its warnings came late does not count", got, want)
	}
}

func TestFewFailuresThatThisProcessSawDisableNothing(t *testing.T) {
	h := webhook.Health{State: webhook.Failing, Since: noon.Add(-9 * day), Warned: 3}
	for name, tt := range map[string]struct {
		o        webhook.Observation
		disabled bool
	}{
		"four deliveries in a row":            {failed(status500, 4, 4), false},
		"five":                                {failed(status500, 5, 5), true},
		"five failures of one in an hour":     {failedAlone(5, noon.Add(-time.Hour)), true},
		"five failures of one in less":        {failedAlone(5, noon.Add(-time.Hour+1)), false},
		"five in a row, of which one arrived": {sinceSuccess(noon.Add(-time.Hour), failed(status500, 5, 5)), false},
	} {
		t.Run(name, func(t *testing.T) {
			_, told := h.After(tt.o, noon, webhook.HealthRules{}, 0)
			if got := len(told) == 1 && told[0] == webhook.EndpointDisabledEvent; got != tt.disabled {
				t.Errorf("told %v, disabled: want %t", told, tt.disabled)
			}
		})
	}
}

func TestFailingIsToldAfterFiveMinutesAndRecoveringOnlyThen(t *testing.T) {
	for _, tt := range []struct {
		name  string
		until time.Duration
		want  []webhook.EventType
	}{
		{"a deploy is told to nobody", 5*time.Minute - 1, nil},
		{"longer is", 5 * time.Minute, []webhook.EventType{webhook.EndpointFailingEvent, webhook.EndpointRecoveredEvent}},
	} {
		var h webhook.Health
		var got []webhook.EventType
		for _, what := range failsAt(&h, webhook.HealthRules{}, 0, time.Minute, tt.until) {
			got = append(got, what)
		}
		_, told := h.After(delivered, noon.Add(tt.until), webhook.HealthRules{}, 0)
		if diff := cmp.Diff(append(got, told...), tt.want); diff != "" {
			t.Errorf("%s (-got +want):\n%s", tt.name, diff)
		}
	}
}

func TestAFlappingEndpointIsToldOfOnceAndNotWithEachFlap(t *testing.T) {
	var h webhook.Health
	var got []webhook.EventType
	down := failed(status500, 5, 5)
	for at := time.Duration(0); at < 6*time.Hour; at += time.Minute {
		now, told := noon.Add(at), []webhook.EventType(nil)
		if down.FirstAt = now.Truncate(20 * time.Minute); now.Sub(down.FirstAt) < 10*time.Minute {
			h, told = h.After(down, now, webhook.HealthRules{}, 0)
		} else {
			h, told = h.After(delivered, now, webhook.HealthRules{}, 0)
		}
		got = append(got, told...)
	}
	if diff := cmp.Diff(got, []webhook.EventType{webhook.EndpointFailingEvent, webhook.EndpointRecoveredEvent}); diff != "" {
		t.Errorf("told in six hours of ten minutes each (-got +want):\n%s", diff)
	}
	down.FirstAt = noon.Add(6 * time.Hour)
	for _, after := range []time.Duration{0, 59 * time.Minute, time.Hour} {
		var told []webhook.EventType
		if h, told = h.After(down, down.FirstAt.Add(after), webhook.HealthRules{}, 0); (len(told) == 1) != (after == time.Hour) {
			t.Errorf("told %v when it has failed for %s, want that it fails after an hour", told, after)
		}
	}
}

func TestAFailingEndpointSaysWhenItWillBeDisabled(t *testing.T) {
	failing := webhook.Health{State: webhook.Failing, Since: noon}
	for _, tt := range []struct {
		name  string
		h     webhook.Health
		rules webhook.HealthRules
		want  time.Time
	}{
		{"after five days", failing, webhook.HealthRules{}, noon.Add(5 * 24 * time.Hour)},
		{"as the rules say", failing, webhook.HealthRules{DisableAfter: time.Hour}, noon.Add(time.Hour)},
		{"never by the rules", failing, webhook.HealthRules{DisableAfter: -1}, time.Time{}},
		{"never while healthy", webhook.Health{Since: noon}, webhook.HealthRules{}, time.Time{}},
	} {
		if got := tt.h.DisabledAt(tt.rules); !got.Equal(tt.want) {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}
