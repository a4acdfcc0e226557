package webhook_test

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/shared/webhook"
)

func TestPolicyPatchCheck(t *testing.T) {
	const wraps = 18446744074 // whose nanoseconds, in 64 bits, are 0.29 s
	for _, tt := range []struct {
		name  string
		patch webhook.PolicyPatch
		field string // "" when it is accepted
	}{
		{"empty", webhook.PolicyPatch{}, ""},
		{"2xx", webhook.PolicyPatch{Success: new(webhook.Success2xx)}, ""},
		{"200", webhook.PolicyPatch{Success: new(webhook.Success200)}, ""},
		{"lt_400", webhook.PolicyPatch{Success: new(webhook.SuccessBelow400)}, ""},
		{"unknown success rule", webhook.PolicyPatch{Success: new(webhook.Success("3xx"))}, "success"},
		{"empty success rule", webhook.PolicyPatch{Success: new(webhook.Success(""))}, "success"},
		{"any_error", webhook.PolicyPatch{RetryOn: new(webhook.RetryAnyError)}, ""},
		{"429_5xx", webhook.PolicyPatch{RetryOn: new(webhook.RetryTransient)}, ""},
		{"unknown retry rule", webhook.PolicyPatch{RetryOn: new(webhook.RetryOn("never"))}, "retry_on"},
		{"timeout 0", webhook.PolicyPatch{TimeoutSeconds: new(0)}, "timeout_seconds"},
		{"timeout 1", webhook.PolicyPatch{TimeoutSeconds: new(1)}, ""},
		{"timeout 30", webhook.PolicyPatch{TimeoutSeconds: new(30)}, ""},
		{"timeout 31", webhook.PolicyPatch{TimeoutSeconds: new(31)}, "timeout_seconds"},
		{"timeout that wraps around", webhook.PolicyPatch{TimeoutSeconds: new(wraps)}, "timeout_seconds"},
		{"silence below 0", webhook.PolicyPatch{SilenceSeconds: new(-1)}, "silence_seconds"},
		{"silence 0", webhook.PolicyPatch{SilenceSeconds: new(0)}, ""},
		{"silence of five minutes", webhook.PolicyPatch{SilenceSeconds: new(300)}, ""},
		{"silence above five minutes, which holds for other accounts too", webhook.PolicyPatch{SilenceSeconds: new(301)}, "silence_seconds"},
		{"silence that wraps around", webhook.PolicyPatch{SilenceSeconds: new(math.MaxInt)}, "silence_seconds"},
		{"no waits", webhook.PolicyPatch{RetrySeconds: &[]int{}}, ""},
		{"the shortest and longest waits", webhook.PolicyPatch{RetrySeconds: &[]int{1, 259200}}, ""},
		{"a wait of 0", webhook.PolicyPatch{RetrySeconds: &[]int{5, 0}}, "retry_seconds"},
		{"a wait too long", webhook.PolicyPatch{RetrySeconds: &[]int{259201}}, "retry_seconds"},
		{"a wait that wraps around", webhook.PolicyPatch{RetrySeconds: &[]int{wraps + 5}}, "retry_seconds"},
		{"20 waits", webhook.PolicyPatch{RetrySeconds: new(ones(20))}, ""},
		{"21 waits", webhook.PolicyPatch{RetrySeconds: new(ones(21))}, "retry_seconds"},
		{"flags", webhook.PolicyPatch{HonourRetryAfter: new(true), GoneDisables: new(false)}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			field, err := tt.patch.Check()
			if field != tt.field || (err == nil) != (tt.field == "") {
				t.Errorf("got field %q and error %v, want field %q", field, err, tt.field)
			}
		})
	}
}

func ones(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = 1
	}
	return list
}

func TestAPatchChangesOnlyWhatItNames(t *testing.T) {
	base := webhook.Policy{
		Success: webhook.Success2xx, RetryOn: webhook.RetryAnyError, Timeout: 15 * time.Second,
		Schedule: webhook.Schedule{Waits: []time.Duration{time.Minute}, Jitter: 0.2},
		Silence:  5 * time.Minute, HonourRetryAfter: true, GoneDisables: true,
	}
	with := func(change func(*webhook.Policy)) webhook.Policy {
		p := base
		change(&p)
		return p
	}
	for _, tt := range []struct {
		patch string
		want  webhook.Policy
	}{
		{`{}`, base},
		{`{"success":null,"retry_seconds":null}`, base},
		{`{"success":"200"}`, with(func(p *webhook.Policy) { p.Success = webhook.Success200 })},
		{`{"retry_on":"429_5xx"}`, with(func(p *webhook.Policy) { p.RetryOn = webhook.RetryTransient })},
		{`{"timeout_seconds":3}`, with(func(p *webhook.Policy) { p.Timeout = 3 * time.Second })},
		{`{"silence_seconds":0}`, with(func(p *webhook.Policy) { p.Silence = 0 })},
		{`{"honour_retry_after":false}`, with(func(p *webhook.Policy) { p.HonourRetryAfter = false })},
		{`{"gone_disables":false}`, with(func(p *webhook.Policy) { p.GoneDisables = false })},
		{`{"retry_seconds":[]}`, with(func(p *webhook.Policy) { p.Schedule = webhook.Schedule{} })},
		{`{"retry_seconds":[5,10]}`, with(func(p *webhook.Policy) {
			p.Schedule = webhook.Schedule{Waits: []time.Duration{5 * time.Second, 10 * time.Second}} // exact: no jitter
		})},
	} {
		t.Run(tt.patch, func(t *testing.T) {
			var patch webhook.PolicyPatch
			if err := json.Unmarshal([]byte(tt.patch), &patch); err != nil {
				t.Fatal(err)
			}
			before := base
			if diff := cmp.Diff(base.With(patch), tt.want); diff != "" {
				t.Errorf("policy (-got +want):\n%s", diff)
			}
			if diff := cmp.Diff(base, before); diff != "" {
				t.Errorf("the format's own policy changed (-got +want):\n%s", diff)
			}
		})
	}
}
