package dashboard_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jobhook/jobhook/functions/internal/dispatch"
	"github.com/jobhook/jobhook/shared/job"
)

// putJob writes a job as a platform does, a second after what was before.
func (s *tested) putJob(id, record string) {
	s.t.Helper()
	s.now = s.now.Add(time.Second)
	path := "/v1/jobs/" + strings.ReplaceAll(url.PathEscape(id), ".", "%2E")
	if got := s.call(s.platform, "PUT", path, record); got.status != http.StatusOK && got.status != http.StatusCreated {
		s.t.Fatalf("PUT %s: got %d %s", path, got.status, got.body)
	}
}

// dispatch makes events and deliveries of all that was written.
func (s *tested) dispatch() {
	s.t.Helper()
	list, err := s.store.Changes(s.t.Context(), 0, 10_000)
	if err != nil {
		s.t.Fatal(err)
	}
	h := dispatch.Handler{Store: s.store, Queue: s.bells, Now: func() time.Time { return s.now }}
	for _, w := range list {
		c := job.Change{Sequence: strconv.Itoa(w.Seq), At: s.now}
		if len(w.Old) > 0 {
			old := s.decode(w.Old)
			c.Old = &old
		}
		c.New = s.decode(w.New)
		if err := h.Apply(s.t.Context(), c); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *tested) decode(record []byte) job.Job {
	s.t.Helper()
	j, err := job.Decode(record)
	if err != nil {
		s.t.Fatal(err)
	}
	return j
}

// jobPage is the address of a job's page.
func jobPage(kind, id string) string {
	return "/job?" + url.Values{"id": {id}, "kind": {kind}}.Encode()
}

func TestJobsAreListedWithTheirStateAndProgress(t *testing.T) {
	s := newSite(t)
	s.putJob("b1", `{"account":"acme","kind":"batch","status":"running","run":2,"searches_completed":1200,"searches_total":4000,"searches_failed":3}`)
	s.putJob("s1", `{"account":"acme","kind":"scraping","status":"shelved","jobs_scheduled":10,"jobs_executed":10,"jobs_empty":1}`)
	s.putJob("p1", `{"account":"acme","kind":"pipeline","status":"active","progress":42.5}`)
	s.putJob("a1", `{"account":"acme","kind":"async","status":"error"}`)
	s.putJob("a2", `{"account":"acme","kind":"async","status":"pending","progress":{"odd":true},"name":["odd"],"searches_total":"many"}`)
	s.putJob("strange", `{"account":"other","kind":"async","status":"pending"}`)
	got := s.signIn(s.acme).open("/jobs")
	got.wants(t,
		"running is running b1 2026-03-01 12:00:01 1,200 of 4,000 searches, 3 failed batch 2",
		"shelved ended: succeeded s1 2026-03-01 12:00:02 10 of 10 pages, 1 empty scraping 1",
		"active is running p1 2026-03-01 12:00:03 42.5 % pipeline 1",
		"error ended: failed a1",
		"pending waits to run a2")
	got.lacks(t, "strange")
	if !strings.Contains(got.body, `href="/job?id=b1&amp;kind=batch"`) || !strings.Contains(got.body, "data-live") {
		t.Errorf("the list is not live, or has no link to its job:\n%s", got.body)
	}
}

func TestJobsAreFilteredByKindAndStatus(t *testing.T) {
	s := newSite(t)
	s.putJob("one", `{"account":"acme","kind":"async","status":"pending"}`)
	s.putJob("two", `{"account":"acme","kind":"async","status":"success"}`)
	s.putJob("three", `{"account":"acme","kind":"batch","status":"running"}`)
	b := s.signIn(s.acme)
	for query, want := range map[string]string{
		"kind=batch":                "three",
		"status=success":            "two",
		"kind=async&status=pending": "one",
	} {
		got := b.open("/jobs?" + query)
		for _, id := range []string{"one", "two", "three"} {
			if found := strings.Contains(got.body, "id="+id+"&amp;"); found != (id == want) {
				t.Errorf("%s: job %s is listed: %t", query, id, found)
			}
		}
	}
	b.open("/jobs?kind=pipeline").wants(t, "No job passes the filter.", "Show all jobs")
}

func TestAFilterThatCanMatchNothingIsExplained(t *testing.T) {
	s := newSite(t)
	got := s.signIn(s.acme).get("/jobs?kind=batch&status=success")
	if got.status != http.StatusUnprocessableEntity {
		t.Errorf("got %d, want 422", got.status)
	}
	got.wants(t, "there is no such status", "use one of idle, queued, running")
	for _, kept := range []string{`<option value="batch" selected>`, `<option value="success" selected>`} {
		if !strings.Contains(got.body, kept) {
			t.Errorf("the form has forgotten %s", kept)
		}
	}
	if strings.Contains(got.body, "data-live") {
		t.Error("the page would ask for what is refused again and again")
	}
}

func TestJobsComeInPages(t *testing.T) {
	s := newSite(t)
	for i := range 60 {
		s.putJob(fmt.Sprintf("n%d", i), `{"account":"acme","kind":"async","status":"pending"}`)
	}
	b := s.signIn(s.platform)
	first := b.open("/jobs?account=acme&kind=async")
	_, rest, _ := strings.Cut(first.body, `href="/jobs?account=acme&amp;after=`)
	cursor, _, found := strings.Cut(rest, `&amp;kind=async"`)
	if !found {
		t.Fatalf("no next page that keeps account and filter: %s", first.body)
	}
	second := b.open("/jobs?account=acme&kind=async&after=" + cursor)
	first.wants(t, "n59", "n10 ", "Next page")
	second.wants(t, "n9 ", "n0 ", "First page")
	second.lacks(t, "n10 ", "Next page")
}

func TestAnEmptyListOfJobsTeachesHowToWriteOne(t *testing.T) {
	s := newSite(t)
	s.signIn(s.acme).open("/jobs").wants(t, "No jobs yet.", `curl -X PUT 'https://jobhook.example/v1/jobs/my-first-job'`, `{"account":"acme","kind":"async","status":"pending"}`, "curl -X PATCH")
}

func TestAPlatformThatLooksForAJobFindsItsAccount(t *testing.T) {
	s := newSite(t)
	s.putJob("42", `{"account":"acme","kind":"async","status":"pending"}`)
	b := s.signIn(s.platform)
	got := b.get("/job?id=42")
	if want := "/job?account=acme&id=42&kind=async"; got.status != http.StatusSeeOther || got.location() != want {
		t.Fatalf("got %d to %q, want 303 to %q", got.status, got.location(), want)
	}
	b.open(got.location()).wants(t, "Job 42", "pending")
	if got := b.get("/job?id="); got.location() != "/jobs" {
		t.Errorf("without an id: got %d to %q, want /jobs", got.status, got.location())
	}
}

func TestWhoHasChosenNoAccountChoosesOneFirst(t *testing.T) {
	s := newSite(t)
	for _, key := range []string{s.platform, s.operator} {
		b := s.signIn(key)
		for _, target := range []string{"/", "/jobs", "/jobs?kind=async", "/events", "/events/evt_1", "/job/files?id=1&kind=batch&run=1"} {
			if got := b.get(target); got.status != http.StatusSeeOther || got.location() != "/accounts" {
				t.Errorf("%s: got %d to %q, want to be sent to /accounts", target, got.status, got.location())
			}
		}
	}
	if got := s.signIn(s.acme).get("/jobs"); got.status != http.StatusOK {
		t.Errorf("an account's own session: got %d, want its jobs", got.status)
	}
}

func TestShortIDsStayInOneLine(t *testing.T) {
	s := newSite(t)
	long := strings.Repeat("long-", 20)
	s.putJob("B-1", `{"account":"acme","kind":"async","status":"success"}`)
	s.putJob(long, `{"account":"acme","kind":"async","status":"success"}`)
	s.dispatch()
	b := s.signIn(s.acme)
	for _, target := range []string{"/jobs", "/events"} {
		got := b.open(target)
		got.holds(t, `<span class="id"><a href="/job?id=B-1&amp;kind=async">B-1</a></span>`, `<td><a href="/job?id=`+long+`&amp;kind=async">`)
	}
}

func TestWhatStrangersWriteOfAJobHidesNothing(t *testing.T) {
	s := newSite(t)
	s.putJob("a", fmt.Sprintf(`{"account":"acme","kind":"async","status":"error","name":"n%sm","message":"m%se","error":"e%sr"}`, "\u202e", "\u2066", "\u200b"))
	s.dispatch()
	b := s.signIn(s.acme)
	got := b.open(jobPage("async", "a"))
	got.wants(t, "Name n[U+202E]m", "Message m[U+2066]e", "Error e[U+200B]r", `"name": "n[U+202E]m"`)
	got.lacks(t, "\u202e", "\u2066", "\u200b")
	event := b.open("/events/" + s.sentOf("a")[0].EventID)
	event.wants(t, `"message": "m[U+2066]e"`)
	event.lacks(t, "\u2066")
}
