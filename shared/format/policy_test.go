package format_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jobhook/jobhook/shared/format"
	"github.com/jobhook/jobhook/shared/webhook"
)

func TestSuccessRuleOfEachFormat(t *testing.T) {
	statuses := []int{199, 200, 201, 202, 204, 299, 300, 301, 302, 304, 399, 400, 401, 404, 408, 410, 429, 499, 500, 502, 503, 599}
	want := map[string][]int{
		format.SerpWow:    {200, 201, 202, 204, 299},
		format.WebScraper: {200, 201, 202, 204, 299},
		format.HKube:      {199, 200, 201, 202, 204, 299, 300, 301, 302, 304, 399},
		format.SocialData: {200},
		format.Standard:   {200, 201, 202, 204, 299},
	}
	got := map[string][]int{}
	for _, f := range format.All() {
		for _, s := range statuses {
			o := f.Policy.Outcome(webhook.Delivery{}, webhook.Result{Status: s}, time.Time{}, 0)
			if o.Verdict == webhook.Done != f.Policy.Success.Accepts(s) {
				t.Errorf("%s: %d is %s, yet accepted %t", f.Name, s, o.Verdict, f.Policy.Success.Accepts(s))
			}
			if o.Verdict == webhook.Done {
				got[f.Name] = append(got[f.Name], s)
			}
		}
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("statuses that succeed (-got +want):\n%s", diff)
	}
}

func TestTimeoutAndSilenceOfEachFormat(t *testing.T) {
	type times struct{ Timeout, Silence time.Duration }
	want := map[string]times{
		format.SerpWow:    {5 * time.Second, 5 * time.Minute},
		format.WebScraper: {10 * time.Second, 0},
		format.HKube:      {30 * time.Second, 0},
		format.SocialData: {10 * time.Second, 0},
		format.Standard:   {15 * time.Second, 0},
	}
	got := map[string]times{}
	for _, f := range format.All() {
		got[f.Name] = times{f.Policy.Timeout, f.Policy.Silence}
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("times (-got +want):\n%s", diff)
	}
}

// course is what becomes of a delivery whose every attempt fails alike.
type course struct {
	Waits   []string
	End     webhook.State
	Disable bool
	Silence time.Duration
}

func follow(t *testing.T, p webhook.Policy, r webhook.Result, jitter float64) course {
	t.Helper()
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	d := webhook.Delivery{Deadline: p.Deadline(start)}
	now, c := start, course{}
	for range 100 {
		o := p.Outcome(d, r, now, jitter)
		c.Disable, c.Silence = o.Disable, o.Silence
		if o.Verdict != webhook.Retry {
			c.End = o.State()
			return c
		}
		c.Waits = append(c.Waits, o.After.Round(time.Millisecond).String())
		now = now.Add(o.After)
		if o.Spends {
			d.Attempts++
		}
	}
	t.Fatal("100 attempts and no end")
	return c
}

func TestRetriesOfEachFormatUntilTheLastAttempt(t *testing.T) {
	var (
		doubling        = []string{"30s", "1m0s", "2m0s", "4m0s", "8m0s"}
		silent          = []string{"5m0s", "5m0s", "5m0s", "5m0s", "8m0s"}
		everyHalfMinute = []string{"30s", "30s", "30s", "30s", "30s"}
		twice           = []string{"5s", "5s"}
		days            = []string{"5s", "5m0s", "30m0s", "2h0m0s", "5h0m0s", "10h0m0s", "14h0m0s", "20h0m0s", "24h0m0s"}
		later           = []string{"5.999s", "5m59.94s", "35m59.64s", "2h23m58.56s", "5h59m56.4s", "11h59m52.8s", "16h47m49.92s", "23h59m45.6s", "28h47m42.72s"}
	)
	status := func(s int) webhook.Result { return webhook.Result{Status: s} }
	failure := func(f webhook.Failure) webhook.Result { return webhook.Result{Failure: f} }
	tests := []struct {
		format string
		result webhook.Result
		jitter float64
		want   course
	}{
		{format.SerpWow, status(302), 0, course{Waits: doubling, End: webhook.StateExhausted}},
		{format.SerpWow, status(404), 0, course{Waits: doubling, End: webhook.StateExhausted}},
		{format.SerpWow, status(410), 0, course{Waits: doubling, End: webhook.StateExhausted}},
		{format.SerpWow, status(500), 0, course{Waits: doubling, End: webhook.StateExhausted}},
		{format.SerpWow, status(500), 0.999, course{Waits: doubling, End: webhook.StateExhausted}},
		{format.SerpWow, failure(webhook.FailureConnect), 0, course{Waits: doubling, End: webhook.StateExhausted}},
		{format.SerpWow, failure(webhook.FailureTimeout), 0, course{Waits: silent, End: webhook.StateExhausted, Silence: 5 * time.Minute}},

		{format.WebScraper, status(302), 0, course{Waits: everyHalfMinute, End: webhook.StateExhausted}},
		{format.WebScraper, status(404), 0, course{Waits: everyHalfMinute, End: webhook.StateExhausted}},
		{format.WebScraper, status(500), 0, course{Waits: everyHalfMinute, End: webhook.StateExhausted}},
		{format.WebScraper, status(500), 0.999, course{Waits: everyHalfMinute, End: webhook.StateExhausted}},
		{format.WebScraper, failure(webhook.FailureTimeout), 0, course{Waits: everyHalfMinute, End: webhook.StateExhausted}},
		{format.WebScraper, failure(webhook.FailureDNS), 0, course{Waits: everyHalfMinute, End: webhook.StateExhausted}},

		{format.HKube, status(400), 0, course{End: webhook.StateDead}},
		{format.HKube, status(404), 0, course{End: webhook.StateDead}},
		{format.HKube, status(408), 0, course{End: webhook.StateDead}},
		{format.HKube, status(410), 0, course{End: webhook.StateDead}},
		{format.HKube, status(429), 0, course{Waits: twice, End: webhook.StateExhausted}},
		{format.HKube, status(500), 0, course{Waits: twice, End: webhook.StateExhausted}},
		{format.HKube, status(503), 0.999, course{Waits: twice, End: webhook.StateExhausted}},
		{format.HKube, status(599), 0, course{Waits: twice, End: webhook.StateExhausted}},
		{format.HKube, failure(webhook.FailureConnect), 0, course{Waits: twice, End: webhook.StateExhausted}},
		{format.HKube, failure(webhook.FailureTimeout), 0, course{Waits: twice, End: webhook.StateExhausted}},

		{format.SocialData, status(201), 0, course{End: webhook.StateExhausted}},
		{format.SocialData, status(404), 0, course{End: webhook.StateExhausted}},
		{format.SocialData, status(500), 0.999, course{End: webhook.StateExhausted}},
		{format.SocialData, failure(webhook.FailureTimeout), 0, course{End: webhook.StateExhausted}},
		{format.SocialData, webhook.Result{Status: 429, RetryAfter: time.Minute}, 0, course{End: webhook.StateExhausted}},

		{format.Standard, status(302), 0, course{Waits: days, End: webhook.StateExhausted}},
		{format.Standard, status(404), 0, course{Waits: days, End: webhook.StateExhausted}},
		{format.Standard, status(500), 0, course{Waits: days, End: webhook.StateExhausted}},
		{format.Standard, status(500), 0.999, course{Waits: later, End: webhook.StateExhausted}},
		{format.Standard, failure(webhook.FailureTimeout), 0, course{Waits: days, End: webhook.StateExhausted}},
		{format.Standard, status(410), 0, course{End: webhook.StateDead, Disable: true}},
	}
	for _, tt := range tests {
		f, _ := format.Lookup(tt.format)
		got := follow(t, f.Policy, tt.result, tt.jitter)
		if diff := cmp.Diff(got, tt.want); diff != "" {
			t.Errorf("%s after %s, jitter %v (-got +want):\n%s", tt.format, tt.result.Summary(), tt.jitter, diff)
		}
	}
}

func TestOnlyTheStandardFormatHonoursRetryAfter(t *testing.T) {
	want := map[string]time.Duration{
		format.SerpWow: 30 * time.Second, format.WebScraper: 30 * time.Second,
		format.HKube: 5 * time.Second, format.SocialData: 0, format.Standard: time.Hour,
	}
	got := map[string]time.Duration{}
	for _, f := range format.All() {
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		d := webhook.Delivery{Deadline: f.Policy.Deadline(now)}
		got[f.Name] = f.Policy.Outcome(d, webhook.Result{Status: 429, RetryAfter: time.Hour}, now, 0).After
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("wait after Retry-After: 3600 (-got +want):\n%s", diff)
	}
}
