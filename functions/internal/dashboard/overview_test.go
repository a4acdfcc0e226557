package dashboard_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jobhook/jobhook/shared/sqlite"
	"github.com/jobhook/jobhook/shared/webhook"
)

// counted is a store that has counted what a test says.
type counted struct {
	*sqlite.Store
	list []webhook.Stats
}

func (c counted) Stats(_ context.Context, account, endpoint string, from, to time.Time) ([]webhook.Stats, error) {
	var list []webhook.Stats
	for _, s := range c.list {
		if s.Account == account && s.Endpoint == endpoint && !s.Hour.Before(from) && s.Hour.Before(to) {
			list = append(list, s)
		}
	}
	return list, nil
}

// counts makes the site one that has counted.
func (s *tested) counts(list ...webhook.Stats) { s.over(counted{s.store, list}) }

// all observes one latency so many times.
func all(n int, d time.Duration) (h webhook.Histogram) {
	for range n {
		h.Observe(d)
	}
	return h
}

// putLedger stores what a check of the books has found.
func (s *tested) putLedger(l webhook.Ledger) {
	s.t.Helper()
	if l.CheckedAt.IsZero() {
		l.CheckedAt = noon()
	}
	if err := s.store.PutLedger(s.t.Context(), l); err != nil {
		s.t.Fatal(err)
	}
}

// falls stores how an endpoint of acme has been answering.
func (s *tested) falls(next webhook.Health) {
	s.t.Helper()
	read, err := s.store.HealthOf(s.t.Context(), "acme", next.Endpoint)
	if err != nil {
		s.t.Fatal(err)
	}
	next.Version = read.Version + 1
	if err := s.store.SetHealth(s.t.Context(), "acme", read, next); err != nil {
		s.t.Fatal(err)
	}
}

func TestTheOverviewShowsTheLastDay(t *testing.T) {
	s := newSite(t)
	s.putEndpoint("acme", "ep_a", "https://a.example/hook")
	s.putEndpoint("acme", "ep_b", "https://b.example/hook")
	s.putEndpoint("other", "ep_c", "https://c.example/hook")
	s.counts(
		webhook.Stats{Account: "acme", Endpoint: "ep_a", Hour: noon(), Delivered: 1200, Latency: all(1200, 30*time.Millisecond), Lag: all(1200, 90*time.Millisecond)},
		webhook.Stats{Account: "acme", Endpoint: "ep_b", Hour: noon().Add(-3 * time.Hour), Delivered: 200, Failed: 400, GivenUp: 7, Latency: all(600, 40*time.Second)},
		webhook.Stats{Account: "acme", Hour: noon().Add(-time.Hour), Delivered: 3},
		webhook.Stats{Account: "acme", Endpoint: "ep_a", Hour: noon().Add(-24 * time.Hour), Delivered: 99_999},
		webhook.Stats{Account: "other", Endpoint: "ep_c", Hour: noon(), Delivered: 88_888},
	)
	got := s.signIn(s.acme).open("/")
	got.wants(t,
		"Success rate 77.8 % 1,403 of 1,803 attempts", "Delivered 1,403", "Failed attempts 400", "Given up 7",
		"Hour from delivered failed, tried again failed and given up 2026-03-01 12:00:00 1,200 0 0 2026-03-01 11:00:00 3 0 0 2026-03-01 10:00:00 0 0 0 2026-03-01 09:00:00 200 393 7",
		"p50 43 ms p95 over 31 s p99 over 31 s", "p50 110 ms p95 110 ms p99 110 ms",
		"healthy https://a.example/hook 100 % 1,200 0", "healthy https://b.example/hook 33.3 % 600 7", "- URLs that jobs themselves name 100 % 3 0",
	)
	got.lacks(t, "99,999", "88,888", "c.example")
	got.holds(t, `aria-label="1,200 delivered, 0 failed in the last 24 hours"`, `aria-label="Attempts in each of the last 24 hours, by what came of them"`,
		"<title>2026-03-01 09:00:00 UTC; delivered 200; failed, tried again 393; failed and given up 7</title>", `href="/endpoints/ep_a"`, "data-live")
	if text := got.text(); strings.Index(text, "healthy https://a.example/hook") > strings.Index(text, "healthy https://b.example/hook") {
		t.Error("the busiest endpoint is not the first")
	}
}

func TestOneFailureInTenThousandIsNotRoundedAway(t *testing.T) {
	s := newSite(t)
	s.putEndpoint("acme", "ep_a", "https://a.example/hook")
	s.counts(webhook.Stats{Account: "acme", Endpoint: "ep_a", Hour: noon(), Delivered: 9999, Failed: 1})
	s.signIn(s.acme).open("/").wants(t, "Success rate 99.9 %")
}

func TestTheOverviewNamesTheEndpointsThatNeedSomebody(t *testing.T) {
	s := newSite(t)
	for _, id := range []string{"well", "paused", "gone", "failing", "tripped", "trying"} {
		s.putEndpoint("acme", id, "https://"+id+".example/<script>")
	}
	s.change("paused", func(e *webhook.Endpoint) { e.Status, e.StatusReason = webhook.EndpointPaused, "we are moving" })
	s.change("gone", func(e *webhook.Endpoint) { e.Status, e.StatusReason = webhook.EndpointDisabled, "it answered 410" })
	s.falls(webhook.Health{Endpoint: "failing", State: webhook.Failing, Since: noon().Add(-time.Hour), Reason: "500 for an hour"})
	s.falls(webhook.Health{Endpoint: "tripped", Circuit: webhook.Circuit{Opens: 1, OpenUntil: noon().Add(time.Minute)}})
	s.falls(webhook.Health{Endpoint: "trying", Circuit: webhook.Circuit{Opens: 2, OpenUntil: noon().Add(-time.Minute)}})
	got := s.signIn(s.acme).open("/")
	got.wants(t,
		"paused https://paused.example/<script> We are moving. What to do: Resume it",
		"disabled https://gone.example/<script> It answered 410. What to do: Mend the receiver, resume it, then recover what was missed.",
		"failing https://failing.example/<script> 500 for an hour. Failing since 2026-03-01 11:00:00 ; it will be disabled at 2026-03-06 11:00:00 . What to do: Mend the receiver",
		"open https://tripped.example/<script> It failed so often that it is left alone for a while. It is tried again at 2026-03-01 12:01:00 . What to do: Mend the receiver")
	got.lacks(t, "well.example/<script> It", "trying.example/<script> It", "Nothing. Every endpoint is called")
	if strings.Contains(got.body, "<script>") {
		t.Error("a URL became a script")
	}
}

func TestAnAccountWhoseEndpointsAnswerNeedsNobody(t *testing.T) {
	s := newSite(t)
	s.putEndpoint("acme", "ep_a", "https://a.example/hook")
	s.signIn(s.acme).open("/").wants(t, "What needs you Nothing. Every endpoint is called, and answers.", "The last 24 hours Nothing was sent.", "healthy https://a.example/hook - 0 0")
}

func TestTheLedgerSaysWhetherTheBooksAgree(t *testing.T) {
	for _, row := range []struct {
		name   string
		ledger webhook.Ledger
		want   []string
	}{
		{"they agree", webhook.Ledger{Accepted: 1005, States: map[webhook.State]int{webhook.StateDelivered: 1002, webhook.StateHeld: 3}},
			[]string{"The books agree. Of 1,005 deliveries that must be there none is missing.", "Checked at 2026-03-01 12:00:00 , for the jobs created in the hours from 2026-03-01 12:00:00 , 2026-03-01 11:00:00", "1,002 delivered", "3 held", "0 dead"}},
		{"more than called for", webhook.Ledger{Accepted: 2, Uncounted: 4},
			[]string{"The books agree.", "4 more are there than the jobs tell of"}},
		{"a loss", webhook.Ledger{Accepted: 10, Difference: 3, Repaired: 2, Unnamed: 1, Missing: []string{"dlv_1", "dlv_2"}},
			[]string{"The rest is for the operator", "3 deliveries missing , of 10 that must be there. Sent again under their own ids: 2. Events of progress, of which nothing but the count is known: 1.", "Those that were missing dlv_1 dlv_2"}},
		{"lost messages", webhook.Ledger{Accepted: 10, Stuck: 4}, []string{"4 deliveries stood still for more than half an hour"}},
		{"jobs of its own", webhook.Ledger{Accepted: 10, WithoutJobs: true}, []string{"so only counts were compared"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newSite(t)
			row.ledger.Account = "acme"
			s.putLedger(row.ledger)
			s.putLedger(webhook.Ledger{Account: "other", Accepted: 77_777})
			got := s.signIn(s.acme).open("/")
			got.wants(t, row.want...)
			got.lacks(t, "77,777")
			if row.ledger.Difference+row.ledger.Stuck > 0 {
				got.lacks(t, "The books agree")
			}
			got.holds(t, `href="/deliveries?state=held"`)
		})
	}
}

func TestALedgerThatWasNeverCheckedSaysSo(t *testing.T) {
	got := newSite(t)
	page := got.signIn(got.acme).open("/")
	page.wants(t, "The books have not been checked yet.")
	page.lacks(t, "The books agree")
}

func TestANewAccountIsTaughtItsFirstSteps(t *testing.T) {
	s := newSite(t)
	customer, platform := s.signIn(s.acme), s.signIn(s.platform)
	got := customer.open("/")
	got.wants(t, "First steps Make an endpoint : the URL at which your server takes webhooks. Send a test", "Let your platform run a job")
	got.lacks(t, "Done.", "curl", "What needs you")
	got.holds(t, `href="/endpoints/new"`)
	platform.open("/?account=acme").wants(t, `curl -X PUT 'https://jobhook.example/v1/jobs/first-job'`, `'{"account":"acme","kind":"async","status":"success"}'`)

	s.putEndpoint("acme", "ep_a", "https://a.example/hook")
	customer.open("/").wants(t, "takes webhooks. Done.")

	s.putJob("first-job", `{"account":"acme","kind":"async","status":"success"}`)
	s.dispatch()
	got = customer.open("/")
	got.wants(t, "Newest deliveries", "job.finished")
	got.lacks(t, "First steps")
}

func TestFirstStepsStayUntilSomethingWasSent(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.acme)
	s.putDelivery("acme", func(d *webhook.Delivery) {
		as(webhook.StateDeclined, 0, "")(d)
		d.Target, d.Attempts = webhook.Target{}, 0
	})
	b.open("/").wants(t, "First steps")
	s.putDelivery("acme", nil) // to a URL of the job's own
	b.open("/").lacks(t, "First steps")
}

func TestAPlatformChoosesAnAccountFirst(t *testing.T) {
	s := newSite(t)
	for _, key := range []string{s.platform, s.operator} {
		b := s.signIn(key)
		if got := b.get("/"); got.status != http.StatusSeeOther || got.location() != "/accounts" {
			t.Errorf("got %d to %q, want to be sent to /accounts", got.status, got.location())
		}
		b.open("/?account=acme").wants(t, "Overview", "acme")
		if got := b.get("/?account=nobody"); got.status != http.StatusNotFound {
			t.Errorf("an unknown account: got %d, want 404", got.status)
		}
	}
}

func TestACustomerSeesTheOverviewOfNoOtherAccount(t *testing.T) {
	s := newSite(t)
	s.putEndpoint("other", "ep_o", "https://other.example/hook")
	s.signIn(s.acme).open("/?account=other").lacks(t, "other")
}

func TestTheOverviewIsTheSameWhileNothingHappens(t *testing.T) {
	s := newSite(t)
	s.putEndpoint("acme", "ep_a", "https://a.example/hook")
	s.falls(webhook.Health{Endpoint: "ep_a", Circuit: webhook.Circuit{Opens: 1, OpenUntil: noon().Add(time.Hour)}})
	s.counts(webhook.Stats{Account: "acme", Endpoint: "ep_a", Hour: noon(), Delivered: 5, Failed: 1, Latency: all(6, time.Second)})
	b := s.signIn(s.acme)
	before := b.open("/")
	s.now = s.now.Add(time.Minute)
	if after := b.open("/"); after.body != before.body {
		t.Errorf("it changed by itself:\n%s\n%s", before.text(), after.text())
	}
}
