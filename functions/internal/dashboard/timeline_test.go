package dashboard_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

// attempted records an attempt of a delivery, and what became of it.
func (s *tested) attempted(d webhook.Delivery, after time.Duration, r webhook.Result, state webhook.State) webhook.Delivery {
	s.t.Helper()
	at := d.CreatedAt.Add(after)
	next := d
	next.State, next.Reason, next.Attempts, next.LastStatus, next.LastFailure, next.UpdatedAt = state, r.Summary(), d.Attempts+1, r.Status, string(r.Failure), at
	if state == webhook.StateWaiting {
		next.NextAt = at.Add(time.Hour)
	}
	if state == webhook.StateDelivered {
		next.DeliveredAt, next.NextAt, next.Reason = at, time.Time{}, ""
	}
	a := webhook.Attempt{Account: d.Account, Delivery: d.ID, Generation: d.Generation, At: at, URL: d.Target.URL, Result: r,
		Timing: webhook.Timing{Total: 20 * time.Millisecond}, State: state, Reason: next.Reason}
	if err := s.store.Record(s.t.Context(), d, next, &a); err != nil {
		s.t.Fatal(err)
	}
	return next
}

// sentOf are the deliveries of a job of acme.
func (s *tested) sentOf(id string) []webhook.Delivery {
	s.t.Helper()
	list, _, err := s.store.Deliveries(s.t.Context(), webhook.Filter{Account: "acme", JobID: id, Limit: webhook.MaxPage})
	if err != nil {
		s.t.Fatal(err)
	}
	return list
}

// inOrder complains of texts that do not follow each other on the page.
func (s shown) inOrder(t *testing.T, texts ...string) {
	t.Helper()
	rest := s.text()
	for _, text := range texts {
		_, after, found := strings.Cut(rest, text)
		if !found {
			t.Fatalf("the page does not say %q after what comes before:\n%s", text, s.text())
		}
		rest = after
	}
}

func TestTheTimelineTellsChangesTargetsAndAttemptsInTheirOrder(t *testing.T) {
	s := newSite(t)
	s.putEndpoint("acme", "ep_1", "https://receiver.example/hook")
	s.putJob("1", `{"account":"acme","kind":"async","status":"success"}`)
	s.dispatch()
	d := s.sentOf("1")[0]
	d = s.attempted(d, time.Second, webhook.Result{Status: 503}, webhook.StateWaiting)
	d = s.attempted(d, 5*time.Second, webhook.Result{Failure: webhook.FailureTimeout}, webhook.StateWaiting)
	b := s.signIn(s.acme)
	got := b.open(jobPage("async", "1"))
	got.inOrder(t, "Timeline", "- Change: job.finished, run 1 2026-03-01 12:00:01 -",
		"waiting Target: job.finished 2026-03-01 12:00:01 https://receiver.example/hook",
		"waiting Attempt: Answered 503 after 20 ms 2026-03-01 12:00:02 https://receiver.example/hook",
		"waiting Attempt: No answer (timeout) after 20 ms 2026-03-01 12:00:06",
		"waiting Next attempt: job.finished 2026-03-01 13:00:06")
	for _, want := range []string{
		"Changes: 1. Targets: 1. Attempts, made and to come: 3. The table below has them one by one.", // what the picture shows, for who does not see it
		`<time datetime="2026-03-01T13:00:06.000Z" data-countdown>`,
		`href="/deliveries/` + d.ID + `"`,
	} {
		if !strings.Contains(got.body, want) {
			t.Errorf("no %s:\n%s", want, got.body)
		}
	}
	if dots := strings.Count(got.body, `overflow="visible"`); dots != 5 {
		t.Errorf("%d dots, want one for each of the 5 rows", dots)
	}
	got.inOrder(t, "12:00:01 2026-03-01 12:00:06 next attempt 2026-03-01 13:00:06") // the ends of the picture
	if !strings.Contains(got.body, "data-live") {
		t.Error("the page is not live while there is an attempt to come")
	}
	s.attempted(d, 10*time.Second, webhook.Result{Status: 200}, webhook.StateDelivered)
	got = b.open(jobPage("async", "1"))
	if strings.Contains(got.body, "data-live") {
		t.Error("the page is live where nothing more happens by itself")
	}
	got.inOrder(t, "delivered Target: job.finished", "delivered Attempt: Answered 200 after 20 ms")
}

func TestATimelineIsOfOneKindOnly(t *testing.T) {
	s := newSite(t)
	s.putJob("1", `{"account":"acme","kind":"async","status":"success"}`)
	s.putJob("1", `{"account":"acme","kind":"scraping","status":"failed"}`)
	s.dispatch()
	got := s.signIn(s.acme).open(jobPage("async", "1"))
	got.wants(t, "job.finished")
	got.lacks(t, "job.failed")
}

func TestATimelineSaysWhoseAttemptsItLeavesOut(t *testing.T) {
	s := newSite(t)
	for i := range 30 {
		s.putEndpoint("acme", fmt.Sprintf("ep_%d", i), fmt.Sprintf("https://receiver.example/%d", i))
	}
	s.putJob("1", `{"account":"acme","kind":"async","status":"success"}`)
	s.dispatch()
	for _, d := range s.sentOf("1") {
		s.attempted(d, time.Second, webhook.Result{Status: 200}, webhook.StateDelivered)
	}
	got := s.signIn(s.acme).open(jobPage("async", "1"))
	got.wants(t, "Attempts are shown of 25 of its 30 deliveries that were sent, the newest. Open the others from their list")
	if n := strings.Count(got.text(), "Attempt: Answered 200"); n != 25 {
		t.Errorf("%d attempts, want 25", n)
	}
}

func TestATimelineDoesWithoutTheAttemptsThatTheRateLeavesNoRoomFor(t *testing.T) {
	s := newSite(t)
	s.config.Rate = 5 // a second, ten at once: six for the page without its attempts
	s.over(s.store)
	for i := range 5 {
		s.putEndpoint("acme", fmt.Sprintf("ep_%d", i), fmt.Sprintf("https://receiver.example/%d", i))
	}
	s.putJob("1", `{"account":"acme","kind":"async","status":"success"}`)
	s.dispatch()
	for _, d := range s.sentOf("1") {
		s.attempted(d, time.Second, webhook.Result{Status: 200}, webhook.StateDelivered)
	}
	s.signIn(s.acme).open(jobPage("async", "1")).wants(t, "Attempts are shown of 4 of its 5 deliveries")
}

func TestATimelineThatIsTooLongSaysWhereTheRestIs(t *testing.T) {
	s := newSite(t)
	s.putEndpoint("acme", "ep_1", "https://receiver.example/hook")
	for run := range 260 {
		s.putJob("1", fmt.Sprintf(`{"account":"acme","kind":"async","status":"success","run":%d}`, run+1))
	}
	s.dispatch()
	got := s.signIn(s.platform).open(jobPage("async", "1") + "&account=acme")
	got.wants(t, "This job has more changes than are shown here. See them all", "It has more targets than are shown here. See them all")
	for _, want := range []string{`href="/events?account=acme&amp;job=1&amp;kind=async"`, `href="/deliveries?account=acme&amp;job=1"`} {
		if !strings.Contains(got.body, want) {
			t.Errorf("no %s", want)
		}
	}
}

func TestAJobsPageStaysTheSameWhileNothingChanges(t *testing.T) {
	s := newSite(t)
	s.putEndpoint("acme", "ep_1", "https://receiver.example/hook")
	s.putJob("1", `{"account":"acme","kind":"batch","status":"running","run":1}`)
	s.exported("1", 1, 2)
	s.putJob("2", `{"account":"acme","kind":"async","status":"success"}`)
	s.dispatch()
	for i, d := range s.sentOf("2") {
		s.attempted(d, time.Duration(i)*time.Second, webhook.Result{Status: 503}, webhook.StateWaiting)
	}
	b := s.signIn(s.acme)
	for _, target := range []string{"/jobs", jobPage("batch", "1"), jobPage("async", "2"), "/events", "/events/" + s.sentOf("2")[0].EventID} {
		tag := b.open(target).header.Get("ETag")
		s.now = s.now.Add(10 * time.Minute)
		again := httptest.NewRequest("GET", target, nil)
		again.Header.Set("If-None-Match", tag)
		if got := b.do(again); got.status != 304 {
			t.Errorf("%s: got %d ten minutes later, want 304", target, got.status)
		}
	}
}
