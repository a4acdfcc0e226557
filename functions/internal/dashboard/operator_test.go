package dashboard_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/jobhook/jobhook/functions/internal/api"
	"github.com/jobhook/jobhook/shared/sqlite"
	"github.com/jobhook/jobhook/shared/webhook"
)

// queued gives the site queues in which a message is a dead letter when it comes
// a second time, and returns that of retries.
func (s *tested) queued() *sqlite.Queue {
	s.t.Helper()
	open := func(name string) *sqlite.Queue {
		q, err := s.store.OpenQueue(s.t.Context(), name, sqlite.QueueOptions{Visibility: time.Hour, MaxReceives: 1})
		if err != nil {
			s.t.Fatal(err)
		}
		s.t.Cleanup(q.Close)
		return q
	}
	retry := open("retry")
	s.config.Queues = api.Queues{First: open("first"), Retry: retry, Export: open("export")}
	s.over(s.store)
	return retry
}

// poison makes a dead letter of a body.
func (s *tested) poison(q *sqlite.Queue, body string) {
	s.t.Helper()
	if err := q.Send(s.t.Context(), "acme", body, 0); err != nil {
		s.t.Fatal(err)
	}
	got := q.Receive(s.t.Context(), 1, 5*time.Second)
	if len(got) != 1 {
		s.t.Fatalf("received %d messages, want 1", len(got))
	}
	if err := q.Hide(s.t.Context(), got[0].Receipt, 0); err != nil {
		s.t.Fatal(err)
	}
	if got := q.Receive(s.t.Context(), 1, 0); len(got) != 0 {
		s.t.Fatalf("it came again: %+v", got)
	}
	s.putAccount("acme", "acme") // it waits for what is written before
}

func TestNobodyButTheOperatorSeesItsPages(t *testing.T) {
	s := newSite(t)
	q := s.queued()
	s.poison(q, "a secret message")
	for _, key := range []string{s.acme, s.platform} {
		b := s.signIn(key)
		for _, got := range []shown{b.get("/operator"), b.get("/operator/queues/retry"), b.post("/operator/queues/retry/redrive")} {
			if got.status != http.StatusForbidden {
				t.Errorf("got %d, want 403", got.status)
			}
			got.wants(t, "Not for this session")
			got.lacks(t, "secret")
		}
	}
	if d, err := q.Depth(t.Context()); err != nil || d.Dead != 1 {
		t.Errorf("got %+v, %v, want the dead letter where it was", d, err)
	}
}

func TestTheOperatorSeesThatAllIsWell(t *testing.T) {
	s := newSite(t)
	s.queued()
	s.putLedger(webhook.Ledger{Accepted: 12})
	got := s.signIn(s.operator).open("/operator")
	got.wants(t, "first First attempts 0 0 0 0", "retry Further attempts 0 0 0 0", "export Files of results, and erasures 0 0 0 0",
		"Nothing is missing: of 12 deliveries", "None. Every host can be reached", "None. Nothing waits for an endpoint.")
	got.lacks(t, "Accounts of which something is missing", "Look at them")
	got.holds(t, "data-live")
}

func TestDeadLettersAreQueuedAgain(t *testing.T) {
	s := newSite(t)
	q := s.queued()
	s.poison(q, webhook.Doorbell{Account: "acme", Delivery: "dlv_1", Generation: 1}.Message())
	s.poison(q, "<script>alert(1)</script>")
	b := s.signIn(s.operator)
	b.open("/operator").wants(t, "retry Further attempts 2 dead Look at them 0 0 0")
	letters := b.open("/operator/queues/retry")
	letters.wants(t, "Dead letters of the queue retry", "dlv_1", "once", "<script>alert(1)</script>", "Yes, queue them again")
	letters.holds(t, `href="/deliveries/dlv_1?account=acme"`, `action="/operator/queues/retry/redrive"`)

	done := b.post("/operator/queues/retry/redrive")
	if done.status != http.StatusSeeOther {
		t.Fatalf("got %d %s", done.status, done.text())
	}
	b.open(done.location()).wants(t, "The dead letters are queued again.", "retry Further attempts 0 2 0 0")
	b.open("/operator/queues/retry").wants(t, "There is none.")
	b.open(b.post("/operator/queues/retry/redrive").location()).wants(t, "There were no dead letters")
	for _, got := range []shown{b.get("/operator/queues/nosuch"), b.post("/operator/queues/nosuch/redrive")} {
		if got.status != http.StatusNotFound {
			t.Errorf("a queue that is none: got %d, want 404", got.status)
		}
	}
}

func TestTheOperatorSeesHostsOutOfReach(t *testing.T) {
	s := newSite(t)
	next := webhook.HostHealth{Host: "down.example:443", Circuit: webhook.Circuit{Opens: 3, OpenUntil: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)}, Version: 1}
	if err := s.store.SetHost(t.Context(), webhook.HostHealth{Host: next.Host}, next); err != nil {
		t.Fatal(err)
	}
	s.signIn(s.operator).open("/operator").wants(t, "open down.example:443 2100-01-01 00:00:00 3 times")
}

func TestTheOperatorSeesWhoHoldsDeliveries(t *testing.T) {
	s := newSite(t)
	hold := func(endpoint, why string) {
		s.putDelivery("acme", func(d *webhook.Delivery) {
			d.Target = webhook.Target{Endpoint: endpoint, Format: "standard"}
			d.State, d.Reason, d.DeliveredAt = webhook.StateHeld, why, time.Time{}
		})
	}
	s.putEndpoint("acme", "ep_a", "https://a.example/<b>")
	s.change("ep_a", func(e *webhook.Endpoint) { e.Status = webhook.EndpointPaused })
	hold("ep_a", "paused: by hand")
	hold("ep_gone", "tripped: it failed")
	got := s.signIn(s.operator).open("/operator?account=other")
	got.wants(t, "Of all accounts, those endpoints that hold something now", "paused acme paused: by hand https://a.example/<b>", "- acme tripped: it failed ep_gone (deleted; what it holds is declined within minutes)")
	got.holds(t, `href="/endpoints/ep_a?account=acme"`, `href="/?account=acme"`)
}

func TestTheOperatorSeesOfWhomSomethingIsMissing(t *testing.T) {
	s := newSite(t)
	s.putLedger(webhook.Ledger{Account: "acme", Accepted: 10})
	s.putLedger(webhook.Ledger{Account: "other", Accepted: 10, Difference: 4, Repaired: 3, Missing: []string{"dlv_1"}})
	s.putLedger(webhook.Ledger{Accepted: 20, Difference: 4, Repaired: 3, Missing: []string{"dlv_1"}})
	got := s.signIn(s.operator).open("/operator")
	got.wants(t, "4 deliveries missing , of 20", "What to do: look in the log of sweep", "other 4 3 0 2026-03-01 12:00:00")
	got.lacks(t, "acme 0 0 0", "Nothing is missing")
	got.holds(t, `href="/?account=other"`)
}

func TestAccountsOfWhichSomethingIsMissingAreFoundBehindManyOthers(t *testing.T) {
	s := newSite(t)
	for i := range 251 {
		s.putLedger(webhook.Ledger{Account: fmt.Sprintf("b%03d", i), Accepted: 1, Stuck: i / 250})
	}
	s.putLedger(webhook.Ledger{Accepted: 251, Stuck: 1})
	b := s.signIn(s.operator)
	first := b.open("/operator")
	first.wants(t, "1 delivery stood still", "Next page")
	first.lacks(t, "b250")
	b.open("/operator?after=b249").wants(t, "b250 0 0 1")
}
