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
		"Success rate 99.5 % 1,403 of 1,410 deliveries that ended", "Delivered 1,403", "Given up 7", "Failed attempts, tried again 393",
		"Hour from delivered given up failed attempts, tried again 2026-03-01 12:00:00 1,200 0 0 2026-03-01 11:00:00 3 0 0 2026-03-01 10:00:00 0 0 0 2026-03-01 09:00:00 200 7 393",
		"p50 43 ms p95 over 31 s p99 over 31 s", "p50 110 ms p95 110 ms p99 110 ms",
		"healthy 100 % https://a.example/hook 1,200 0 0", "healthy 96.6 % https://b.example/hook 200 7 393", "- 100 % URLs that jobs themselves name 3 0 0",
	)
	got.lacks(t, "99,999", "88,888", "c.example")
	got.holds(t, `aria-label="1,200 delivered, 0 given up in the last 24 hours"`, `aria-label="Deliveries that ended in each of the last 24 hours, and failed attempts that were tried again"`,
		"<title>2026-03-01 09:00:00 UTC; delivered 200; given up 7; failed attempts, tried again 393</title>",
		`<path class="c1" d="M201 240V9h8V240z"></path><path class="c3" d="M201 9V0h8V9z">`, // the twenty-first hour of 24, also of a list that has it alone
		`href="/endpoints/ep_a"`, "data-live")
	if text := got.text(); strings.Index(text, "healthy 100 % https://a.example/hook") > strings.Index(text, "healthy 96.6 % https://b.example/hook") {
		t.Error("the busiest endpoint is not the first")
	}
}

func TestOneFailureInTenThousandIsNotRoundedAway(t *testing.T) {
	s := newSite(t)
	s.putEndpoint("acme", "ep_a", "https://a.example/hook")
	s.counts(webhook.Stats{Account: "acme", Endpoint: "ep_a", Hour: noon(), Delivered: 9999, Failed: 1, GivenUp: 1})
	s.signIn(s.acme).open("/").wants(t, "Success rate 99.9 %")
}

func TestAnAttemptThatWasTriedAgainCostsNothingOfTheSuccessRate(t *testing.T) {
	s := newSite(t)
	s.putEndpoint("acme", "ep_a", "https://a.example/hook")
	s.counts(webhook.Stats{Account: "acme", Endpoint: "ep_a", Hour: noon(), Delivered: 3, Failed: 1})
	s.signIn(s.acme).open("/").wants(t, "Success rate 100 % 3 of 3 deliveries that ended", "Failed attempts, tried again 1", "healthy 100 % https://a.example/hook 3 0 1",
		"What needs you Nothing. Every endpoint is called, and answers.")
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
		"open https://tripped.example/<script> It failed so often that it is left alone for a while. It is tried again at 2026-03-01 12:01:00 . What to do: Mend the receiver",
		"half open https://trying.example/<script> It failed often; one attempt finds out whether it works again. What to do: Wait for that attempt.")
	got.lacks(t, "well.example/<script> It", "Nothing. Every endpoint is called")
	if strings.Contains(got.body, "<script>") {
		t.Error("a URL became a script")
	}
}

func TestAnEndpointWithoutOneSuccessNeedsSomebodyBeforeItIsCalledFailing(t *testing.T) {
	s := newSite(t)
	for _, id := range []string{"ep_dead", "ep_once", "ep_mixed", "ep_quiet"} {
		s.putEndpoint("acme", id, "https://"+id+".example/hook")
	}
	s.counts(
		webhook.Stats{Account: "acme", Endpoint: "ep_dead", Hour: noon(), Failed: 9},
		webhook.Stats{Account: "acme", Endpoint: "ep_once", Hour: noon(), Failed: 1},
		webhook.Stats{Account: "acme", Endpoint: "ep_mixed", Hour: noon(), Delivered: 1, Failed: 9},
		webhook.Stats{Account: "acme", Hour: noon(), Failed: 2},
	)
	got := s.signIn(s.acme).open("/")
	got.wants(t, "no success https://ep_dead.example/hook All 9 attempts of the last 24 hours failed. What to do: Mend the receiver",
		"no success https://ep_once.example/hook The only attempt of the last 24 hours failed.",
		"no success URLs that jobs themselves name All 2 attempts")
	got.wants(t, "no success - https://ep_dead.example/hook 0 0 9", "healthy 100 % https://ep_mixed.example/hook 1 0 9") // in the list of endpoints
	got.lacks(t, "no success https://ep_mixed", "no success https://ep_quiet", "healthy - https://ep_dead", "Every endpoint is called")
}

func TestWhatWasGivenUpNeedsSomebodyUntilItIsSentAgain(t *testing.T) {
	s := newSite(t)
	s.putEndpoint("acme", "ep_a", "https://a.example/hook")
	give := func(endpoint string, state webhook.State, created, ended time.Duration) webhook.Delivery {
		return s.putDelivery("acme", func(d *webhook.Delivery) {
			as(state, 500, "")(d)
			d.Target.Endpoint, d.CreatedAt, d.UpdatedAt = endpoint, noon().Add(-created), noon().Add(-ended)
		})
	}
	give("ep_a", webhook.StateExhausted, 80*time.Hour, 30*time.Hour) // too long ago
	oldest := give("ep_a", webhook.StateExhausted, 50*time.Hour, 20*time.Hour)
	give("ep_a", webhook.StateExhausted, 2*time.Hour, time.Hour)
	give("ep_a", webhook.StateDead, 2*time.Hour, time.Hour)
	give("", webhook.StateDead, 2*time.Hour, time.Hour)
	s.counts(webhook.Stats{Account: "acme", Endpoint: "ep_a", Hour: noon(), Delivered: 5, Failed: 3, GivenUp: 3}, webhook.Stats{Account: "acme", Hour: noon(), Failed: 1, GivenUp: 1})
	b := s.signIn(s.acme)
	got := b.open("/")
	got.wants(t, "given up https://a.example/hook 3 deliveries given up in the last 24 hours: 2 exhausted , 1 dead . What to do: Mend the receiver, then send again what is exhausted , send again what is dead .",
		"given up URLs that jobs themselves name 1 delivery given up in the last 24 hours: 1 dead .")
	got.lacks(t, "Nothing. Every endpoint is called")
	again := hrefOf(t, got, "/resends/new?endpoint=ep_a&amp;since=2026-02-27T10%3A00%3A00.000Z&amp;state=exhausted")
	b.open(again).wants(t, "Resend in bulk")
	if at := oldest.CreatedAt.Format("2006-01-02T15:04:05"); at != "2026-02-27T10:00:00" {
		t.Errorf("the oldest was made at %s", at)
	}

	s = newSite(t) // where the same was given up, and is delivered by now
	s.putEndpoint("acme", "ep_a", "https://a.example/hook")
	s.putDelivery("acme", nil)
	s.counts(webhook.Stats{Account: "acme", Endpoint: "ep_a", Hour: noon(), Delivered: 5, Failed: 3, GivenUp: 3})
	got = s.signIn(s.acme).open("/")
	got.wants(t, "What needs you Nothing any more. What was given up")
	got.lacks(t, "Every endpoint is called", "given up https")
}

func TestDeliveriesThatAreMissingNeedSomebody(t *testing.T) {
	s := newSite(t)
	s.putEndpoint("acme", "ep_a", "https://a.example/hook")
	s.putLedger(webhook.Ledger{Account: "acme", Accepted: 10, Difference: 3, Repaired: 2, Missing: []string{"dlv_1"}})
	got := s.signIn(s.acme).open("/")
	got.wants(t, "not all there Is everything there? 3 deliveries missing when it was last checked; 2 sent again. What to do: Tell your platform")
	got.holds(t, `href="#ledger"`, `id="ledger"`)
	s.putLedger(webhook.Ledger{Account: "acme", Accepted: 10, Stuck: 2})
	s.signIn(s.acme).open("/").wants(t, "not all there Is everything there? 2 deliveries stood still, and were queued again. What to do: Nothing but to look here again")
}

func TestNobodySaysThatEndpointsAnswerWhereNothingWasDelivered(t *testing.T) {
	s := newSite(t)
	s.putEndpoint("acme", "ep_a", "https://a.example/hook")
	got := s.signIn(s.acme).open("/")
	got.wants(t, "What needs you Nothing is known that does.", "send them a test", "The last 24 hours Nothing was sent.", "healthy - https://a.example/hook 0 0 0")
	got.lacks(t, "Every endpoint is called, and answers")
}

func TestTheLedgerSaysWhetherAnythingIsMissing(t *testing.T) {
	for _, row := range []struct {
		name   string
		ledger webhook.Ledger
		want   []string
	}{
		{"they agree", webhook.Ledger{Accepted: 1005, States: map[webhook.State]int{webhook.StateDelivered: 1002, webhook.StateHeld: 3}},
			[]string{"Nothing is missing: of 1,005 deliveries that must be there, each one was found.", "Checked at 2026-03-01 12:00:00 , for the jobs created in the hours from 2026-03-01 12:00:00 , 2026-03-01 11:00:00", "1,002 delivered", "3 held", "0 dead"}},
		{"more than called for", webhook.Ledger{Accepted: 2, Uncounted: 4},
			[]string{"Nothing is missing:", "4 more are there than your jobs call for now"}},
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
				got.lacks(t, "Nothing is missing")
			}
			got.holds(t, `href="/deliveries?state=held"`)
		})
	}
}

func TestALedgerThatWasNeverCheckedSaysSo(t *testing.T) {
	got := newSite(t)
	page := got.signIn(got.acme).open("/")
	page.wants(t, "It has not been checked yet.")
	page.lacks(t, "Nothing is missing")
}

func TestANewAccountIsTaughtItsFirstSteps(t *testing.T) {
	s := newSite(t)
	customer, platform := s.signIn(s.acme), s.signIn(s.platform)
	got := customer.open("/")
	got.wants(t, "First steps Make an endpoint : the URL at which your server takes webhooks. Send a test", "Let your platform run a job")
	got.lacks(t, "Done.", "curl", "What needs you")
	got.holds(t, `href="/endpoints/new"`)
	platform.open("/?account=acme").wants(t, `curl -X PUT 'https://jobhook.example/v1/jobs/my-first-job'`, `'{"account":"acme","kind":"async","status":"pending"}'`, "curl -X PATCH", `'{"status":"success"}'`)

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
