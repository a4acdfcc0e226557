package dashboard_test

import (
	"fmt"
	"html"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

func TestAJobShowsWhatItsRecordSays(t *testing.T) {
	s := newSite(t)
	s.putJob("7", `{"account":"acme","kind":"pipeline","name":"nightly","status":"failed","run":3,"progress":80,"error":"disk full","nodeName":"merge","price":1.10}`)
	got := s.signIn(s.acme).open(jobPage("pipeline", "7"))
	got.wants(t, "Job 7", "failed ended: failed", "Name nightly", "Progress 80 %", "Error disk full", "Created 2026-03-01 12:00:01", `"price": 1.10`)
	if !strings.Contains(got.body, `<progress aria-label="Progress" value="80" max="100">`) {
		t.Errorf("there is no bar of its progress:\n%s", got.body)
	}
}

func TestAJobIDMayHoldAnything(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.acme)
	for _, id := range []string{
		"a/b/../c", "..", ".", `"><script>alert(1)</script>`, "x?y=1&z=2#part", "100%25%2F", `it's"quoted"\`, "a;b,c:resend", "<b>&amp;", "//evil.example",
	} {
		t.Run(id, func(t *testing.T) {
			s.putJob(id, `{"account":"acme","kind":"async","status":"success","note":"</pre><script>alert(2)</script>"}`)
			s.dispatch()
			_, rest, _ := strings.Cut(b.open("/jobs").body, `href="/job?`)
			address, _, _ := strings.Cut(rest, `"`)
			got := b.open("/job?" + html.UnescapeString(address))
			if want := "<h1>Job " + html.EscapeString(id) + "</h1>"; !strings.Contains(got.body, want) {
				t.Errorf("its page does not begin with %s", want)
			}
			got.wants(t, "success ended: succeeded", "job.finished, run 1")
			if strings.Contains(got.body, "<script>alert") {
				t.Errorf("a script got through:\n%s", got.body)
			}
			b.open(hrefOf(t, got, "/events/")).wants(t, "job.finished", id)
		})
	}
}

// hrefOf is the first link on the page that begins so.
func hrefOf(t *testing.T, page shown, begins string) string {
	t.Helper()
	_, rest, found := strings.Cut(page.body, `href="`+begins)
	if !found {
		t.Fatalf("no link to %s:\n%s", begins, page.body)
	}
	address, _, _ := strings.Cut(rest, `"`)
	return html.UnescapeString(begins + address)
}

func TestWhereSeveralKindsShareAnIDThePageAsksWhichOne(t *testing.T) {
	s := newSite(t)
	s.putJob("1", `{"account":"acme","kind":"async","status":"success"}`)
	s.putJob("1", `{"account":"acme","kind":"batch","status":"running"}`)
	s.putJob("1", `{"account":"other","kind":"pipeline","status":"active"}`)
	b := s.signIn(s.acme)
	got := b.open("/job?id=1")
	got.wants(t, "Jobs of several kinds have this id.", "The async job , status success", "The batch job , status running")
	got.lacks(t, "pipeline")
	b.open(hrefOf(t, got, "/job?id=1&amp;kind=batch")).wants(t, "Kind batch")
}

func TestAnothersJobIsNotFound(t *testing.T) {
	s := newSite(t)
	s.putJob("secret", `{"account":"acme","kind":"batch","status":"running","run":1}`)
	set := s.exported("secret", 1, 2)
	d := s.putDelivery("acme", nil)
	b := s.signIn(s.other)
	for _, target := range []string{
		jobPage("batch", "secret"), "/job?id=secret", "/job/files?id=secret&kind=batch&run=1", "/events/" + d.EventID, "/job?id=" + d.JobID,
	} {
		if got := b.get(target); got.status != http.StatusNotFound || strings.Contains(got.text(), "running") {
			t.Errorf("%s: got %d %s, want 404", target, got.status, got.text())
		}
	}
	if got := b.post("/job/revoke?id=secret&kind=batch&run=1"); got.status != http.StatusNotFound {
		t.Errorf("revoke: got %d, want 404", got.status)
	}
	if left := s.set(set.Token); !left.RevokedAt.IsZero() {
		t.Errorf("a stranger has ended its links: %+v", left)
	}
	if got := b.open("/jobs"); strings.Contains(got.text(), "secret") {
		t.Errorf("it is in a stranger's list: %s", got.text())
	}
	b.open("/events?job="+d.JobID).wants(t, "No event of this job passes the filter.")
}

func TestAJobWithoutARecordShowsWhatWasToldOfIt(t *testing.T) {
	s := newSite(t)
	d := s.putDelivery("acme", nil)
	s.signIn(s.acme).open(jobPage("async", d.JobID)).wants(t, "The record of this job is not here", "job.finished, run 1", "https://receiver.example/hook", "delivered")
}

func TestTheRunsOfAJobLeadToTheEventsOfTheirEnds(t *testing.T) {
	s := newSite(t)
	s.putJob("1", `{"account":"acme","kind":"async","status":"error","run":1}`)
	s.putJob("1", `{"account":"acme","kind":"async","status":"processing","run":2}`)
	s.dispatch()
	b := s.signIn(s.acme)
	got := b.open(jobPage("async", "1"))
	got.wants(t, "2 processing is running - -", "1 ended: failed 2026-03-01 12:00:02 Why run 1 was told of, or not")
	b.open(hrefOf(t, got, "/events/")).wants(t, "job.failed", "no target")
	s.putJob("new", `{"account":"acme","kind":"batch","status":"idle"}`)
	b.open(jobPage("batch", "new")).wants(t, "It has not run yet.", "waits to run")
}

// exported stores the result set of a run of a batch of acme.
func (s *tested) exported(id string, run, pages int) webhook.ResultSet {
	s.t.Helper()
	set := webhook.ResultSet{Account: "acme", Kind: job.KindBatch, JobID: id, Run: run, State: webhook.ResultSetExporting,
		Token: webhook.NewResultSetToken("acme", job.KindBatch, id, run), CreatedAt: s.now, UpdatedAt: s.now}
	set, err := s.store.BeginResultSet(s.t.Context(), set)
	if err != nil {
		s.t.Fatal(err)
	}
	set.State, set.Pages, set.Records, set.Bytes, set.CSVHash = webhook.ResultSetExported, pages, 1500, 2_340_000, strings.Repeat("a", 40)
	set.ExpiresAt = s.now.Add(14 * 24 * time.Hour)
	if err := s.store.FinishResultSet(s.t.Context(), set); err != nil {
		s.t.Fatal(err)
	}
	return set
}

func (s *tested) set(token string) webhook.ResultSet {
	s.t.Helper()
	set, err := s.store.ResultSet(s.t.Context(), token)
	if err != nil {
		s.t.Fatal(err)
	}
	return set
}

func TestTheFilesOfARunAreLinkedOnThisServer(t *testing.T) {
	s := newSite(t)
	s.putJob("1", `{"account":"acme","kind":"batch","status":"running","run":1}`)
	set := s.exported("1", 1, 2)
	b := s.signIn(s.acme)
	got := b.open(jobPage("batch", "1"))
	got.wants(t, "Run 1", "ready", "1,500, in pages of up to 1,000", "2.3 MB", "All records as JSON", "All records as JSON Lines", "All records as CSV", "Each of the 2 pages", "Links end 2026-03-15 12:00:01", "End these links")
	for _, name := range []string{"Batch_Results_1_1_All_Pages.zip", "Batch_Results_1_1_All_Pages_" + set.CSVHash + ".csv"} {
		if want := fmt.Sprintf(`href="/d/%s/%s"`, set.Token, name); !strings.Contains(got.body, want) {
			t.Errorf("no %s:\n%s", want, got.body)
		}
	}
	if strings.Contains(got.body, `href="https://jobhook.example/d/`) {
		t.Error("a link names a host")
	}
	pages := b.open(hrefOf(t, got, "/job/files?"))
	pages.wants(t, "Files of run 1", "1 JSON, page 1 JSON Lines, page 1 CSV, page 1", "2 JSON, page 2", "Back to the job")
	if want := fmt.Sprintf(`href="/d/%s/Batch_Results_1_1_Page_2.json"`, set.Token); !strings.Contains(pages.body, want) {
		t.Errorf("no %s:\n%s", want, pages.body)
	}
}

func TestLinksAreEndedAfterAQuestion(t *testing.T) {
	s := newSite(t)
	s.putJob("a/b", `{"account":"acme","kind":"batch","status":"running","run":1}`)
	set := s.exported("a/b", 1, 1)
	b := s.signIn(s.acme)
	before := b.open(jobPage("batch", "a/b"))
	before.wants(t, "This cannot be undone.", "End the links of run 1")
	_, rest, _ := strings.Cut(before.body, `action="/job/revoke?`)
	action, _, _ := strings.Cut(rest, `"`)
	got := b.post("/job/revoke?" + html.UnescapeString(action))
	if got.status != http.StatusSeeOther {
		t.Fatalf("got %d %s", got.status, got.text())
	}
	after := b.open(got.location())
	after.wants(t, "The links no longer work.", "None any more: their links were ended.", "Links ended by hand 2026-03-01 12:00:01")
	after.lacks(t, "End these links", "All records")
	if left := s.set(set.Token); left.RevokedAt.IsZero() {
		t.Error("the store still has its links")
	}
	if got := s.call(s.acme, "GET", hrefOf(t, before, "/d/"), ""); got.status != http.StatusGone {
		t.Errorf("a link that was ended: got %d %s, want 410", got.status, got.body)
	}
}

func TestARefusedEndOfLinksIsSaidOnThePageOfTheJob(t *testing.T) {
	s := newSite(t)
	s.putJob("1", `{"account":"acme","kind":"batch","status":"running","run":1}`)
	b := s.signIn(s.acme)
	got := b.post("/job/revoke?id=1&kind=batch&run=x")
	if got.status != http.StatusUnprocessableEntity {
		t.Errorf("got %d, want 422", got.status)
	}
	got.wants(t, "Job 1", "run", "running")
	got.holds(t, `class="problem"`)
	if got := b.post("/job/revoke?id=1&kind=batch&run=9"); got.status != http.StatusNotFound {
		t.Errorf("a run that left nothing: got %d, want 404", got.status)
	}
}

// A page that asks again and again for what is over costs both sides, for
// nothing.
func TestAJobsPageIsLiveOnlyWhileSomethingMayChange(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.acme)
	isLive := func(want bool, when string) {
		t.Helper()
		if live := strings.Contains(b.open(jobPage("async", "1")).body, "data-live"); live != want {
			t.Errorf("%s: live %t, want %t", when, live, want)
		}
	}
	s.putJob("1", `{"account":"acme","kind":"async","status":"processing"}`)
	isLive(true, "while it runs")
	s.putJob("1", `{"account":"acme","kind":"async","status":"success"}`)
	isLive(true, "before its end is told of")
	s.now = s.now.Add(time.Hour)
	isLive(false, "when its end was not told of for an hour")
	s.now = s.now.Add(-time.Hour)
	s.dispatch()
	isLive(false, "when nobody is to be told")
}

func TestAJobsPageWaitsForTheEventOfItsFiles(t *testing.T) {
	s := newSite(t)
	s.putJob("1", `{"account":"acme","kind":"batch","status":"running","run":1}`)
	s.putJob("1", `{"account":"acme","kind":"batch","status":"idle","run":1}`)
	s.dispatch()
	b := s.signIn(s.acme)
	live := func() bool { return strings.Contains(b.open(jobPage("batch", "1")).body, "data-live") }
	before := live()
	s.exported("1", 1, 1)
	if after := live(); before || !after {
		t.Errorf("live before there are files: %t, want false; before they are told of: %t, want true", before, after)
	}
}
