package dashboard_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/jobhook/jobhook/shared/webhook"
)

// resends are those that the store holds of an account.
func (s *tested) resends(account string) []webhook.Resend {
	s.t.Helper()
	list, err := s.store.Resends(s.t.Context(), account)
	if err != nil {
		s.t.Fatal(err)
	}
	return list
}

// putResend stores a bulk resend of acme that is under way.
func (s *tested) putResend(change func(*webhook.Resend)) webhook.Resend {
	s.t.Helper()
	r := webhook.Resend{ID: fmt.Sprintf("rsd_%026d", len(s.resends("acme"))), Account: "acme", State: webhook.ResendRunning, Rate: 50, Looked: 40, Resent: 30, Skipped: 10, Version: 1,
		Filter: webhook.Filter{Account: "acme", State: webhook.StateExhausted, Endpoint: "ep_a", Until: s.now}, CreatedAt: s.now, UpdatedAt: s.now}
	if change != nil {
		change(&r)
	}
	if err := s.store.PutResend(s.t.Context(), r); err != nil {
		s.t.Fatal(err)
	}
	return r
}

// fields are the hidden fields of the form that posts to a path, as names and values.
func (s shown) fields(t testing.TB, path string) []string {
	t.Helper()
	_, form, found := strings.Cut(s.body, `<form method="post" action="`+path+`"`)
	if !found {
		t.Fatalf("no form posts to %s:\n%s", path, s.text())
	}
	form, _, _ = strings.Cut(form, "</form>")
	var pairs []string
	for _, part := range strings.Split(form, `<input type="hidden" name="`)[1:] {
		name, rest, _ := strings.Cut(part, `"`)
		_, rest, _ = strings.Cut(rest, `value="`)
		value, _, _ := strings.Cut(rest, `"`)
		pairs = append(pairs, name, value)
	}
	return pairs
}

func TestABulkResendIsCountedThenSent(t *testing.T) {
	s := newSite(t)
	for range 3 {
		s.putDelivery("acme", as(webhook.StateExhausted, 500, ""))
	}
	s.putDelivery("acme", nil)
	s.putDelivery("other", as(webhook.StateExhausted, 500, ""))
	b := s.signIn(s.acme)
	b.open("/resends/new?state=exhausted").wants(t, "Nothing is sent before you have seen how much it is.", "Count")
	counted := b.open("/resends/new?state=exhausted&rate=7&count=1")
	counted.wants(t, "Counted: 3 deliveries", "exhausted, before 2026-03-01 12:00:05", "At 7 a second they take 1 s.", "exhausted 3", "Send 3 deliveries again")
	if n := len(s.resends("acme")); n != 0 {
		t.Errorf("counting made %d resends", n)
	}
	s.now = s.now.Add(time.Minute)
	s.putDelivery("acme", as(webhook.StateExhausted, 500, "")) // after the count
	sent := b.post("/resends", counted.fields(t, "/resends")...)
	if sent.status != http.StatusSeeOther {
		t.Fatalf("got %d %s", sent.status, sent.text())
	}
	if again := b.post("/resends", counted.fields(t, "/resends")...); again.location() != sent.location() {
		t.Errorf("sent twice: got %d to %s, want %s", again.status, again.location(), sent.location())
	}
	want := []webhook.Resend{{Account: "acme", State: webhook.ResendRunning, Rate: 7, Version: 1,
		Filter: webhook.Filter{State: webhook.StateExhausted, Until: noon().Add(5 * time.Second)}, CreatedAt: s.now, UpdatedAt: s.now}}
	if diff := cmp.Diff(s.resends("acme"), want, cmpopts.IgnoreFields(webhook.Resend{}, "ID")); diff != "" {
		t.Errorf("resends (-got +want):\n%s", diff)
	}
	got := b.open(sent.location())
	got.wants(t, "The bulk resend is under way.", "Looked at 0 of 3", "at most 7 a second", "Cancel")
	got.holds(t, `<progress aria-label="Progress" max="3" value="0">`, "data-live")
}

func TestACountOfSeveralStatesLeadsToEach(t *testing.T) {
	s := newSite(t)
	s.putDelivery("acme", nil)
	s.putDelivery("acme", as(webhook.StateDead, 404, ""))
	s.putDelivery("acme", as(webhook.StateQueued, 0, ""))
	got := s.signIn(s.acme).open("/resends/new?type=job.finished&count=1")
	got.wants(t, "Counted: 3 deliveries", "dead 1 Only these", "delivered 1 Only these", "queued 1 on their way already, so they are skipped", "Delivered ones are among them")
	got.holds(t, `href="/resends/new?count=1&amp;rate=50&amp;state=dead&amp;type=job.finished" aria-label="Only these: dead"`)
}

func TestNothingIsSentWhereNothingWasCounted(t *testing.T) {
	s := newSite(t)
	got := s.signIn(s.acme).open("/resends/new?state=dead&count=1")
	got.wants(t, "there is nothing to send")
	got.lacks(t, "Send ")
}

func TestACountThatIsRefusedKeepsWhatWasChosen(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.acme)
	for _, tt := range []struct{ query, want string }{
		{"", "it selects everything; name at least one"},
		{"state=dead&rate=many", "Deliveries a second : it is no whole number"},
		{"state=dead&rate=501", "Deliveries a second : "},
		{"state=asleep&rate=many", "Deliveries a second : it is no whole number; write one from 1 to 500. State : "},
		{"state=queued", "State : "},
		{"state=dead&since=2026-03-02T00:00", "Since (UTC) : nothing lies between it and until"},
		{"state=dead&since=soon", "Since (UTC) : "},
	} {
		got := b.get("/resends/new?count=1&" + tt.query)
		if got.status != http.StatusUnprocessableEntity {
			t.Errorf("%q: got %d, want 422", tt.query, got.status)
		}
		got.wants(t, "Refused: Resend in bulk", "It cannot be counted", tt.want, "Count")
		got.lacks(t, "Counted", "again")
	}
	b.get("/resends/new?count=1&state=dead&rate=many").holds(t, `<option value="dead" selected>`, `value="many"`)
}

func TestAResendThatIsRefusedShowsTheFormAgain(t *testing.T) {
	s := newSite(t)
	for range 10 {
		s.putResend(nil)
	}
	b := s.signIn(s.acme)
	got := b.post("/resends", "state", "dead", "rate", "9")
	if got.status != http.StatusConflict || len(s.resends("acme")) != 10 {
		t.Errorf("got %d, %d resends: want 409 and 10", got.status, len(s.resends("acme")))
	}
	got.wants(t, "Nothing was sent : 10 bulk resends are running; wait for the end of one, or cancel one.")
	got.holds(t, `<option value="dead" selected>`, `value="9"`)
}

func TestRecoverSinceIsFilledIn(t *testing.T) {
	s := newSite(t)
	s.putEndpoint("acme", "ep_a", "https://a.example/hook")
	got := s.signIn(s.acme).open("/resends/new?endpoint=ep_a&since=2026-02-28T08:30:00Z")
	got.holds(t, `<option value="ep_a" selected>https://a.example/hook</option>`, `name="since" type="datetime-local" step="any" value="2026-02-28T08:30:00"`)
}

func TestBulkResendsAreListed(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.acme)
	b.open("/resends").wants(t, "None yet.", "choose and count")
	s.putEndpoint("acme", "ep_a", "https://a.example/hook")
	done := s.putResend(func(r *webhook.Resend) { r.State, r.EndedAt = webhook.ResendDone, s.now.Add(time.Minute) })
	got := b.open("/resends")
	got.wants(t, "done 2026-03-01 12:00:00 exhausted, to https://a.example/hook , before 2026-03-01 12:00:00 30 10 2026-03-01 12:01:00")
	got.holds(t, `href="/resends/`+done.ID+`"`)
	if strings.Contains(got.body, "data-live") {
		t.Error("a list in which nothing runs refreshes itself")
	}
	s.putResend(nil)
	b.open("/resends").holds(t, "data-live", `data-part`)
}

func TestABulkResendIsWatchedAndCancelled(t *testing.T) {
	s := newSite(t)
	r := s.putResend(nil)
	b := s.signIn(s.acme)
	got := b.open("/resends/" + r.ID)
	got.wants(t, "running", "exhausted, to ep_a (deleted)", "Looked at 40 ", "Sent again 30", "Skipped 10", "at most 50 a second")
	got.holds(t, `<progress aria-label="Progress"></progress>`)
	if back := b.get("/resends/" + r.ID + "/cancel?of=80"); back.location() != "/resends/"+r.ID+"?of=80" {
		t.Errorf("the address of the form: got %d to %q", back.status, back.location())
	}
	b.open("/resends/"+r.ID+"?of=80").holds(t, `<progress aria-label="Progress" max="80" value="40">`)
	cancelled := b.post("/resends/" + r.ID + "/cancel?of=80")
	if cancelled.location() != "/resends/"+r.ID+"?of=80&said=cancelled" {
		t.Fatalf("got %d to %s", cancelled.status, cancelled.location())
	}
	after := b.open(cancelled.location())
	after.wants(t, "The bulk resend is stopped.", "cancelled It was stopped")
	if strings.Contains(after.body, "<progress") || strings.Contains(after.body, "data-live") {
		t.Error("what was cancelled still looks as if it ran")
	}
	if got := s.resends("acme")[0].State; got != webhook.ResendCancelled {
		t.Errorf("state %s, want cancelled", got)
	}
}

func TestWhatHasEndedIsNotCancelled(t *testing.T) {
	s := newSite(t)
	r := s.putResend(func(r *webhook.Resend) { r.State, r.EndedAt = webhook.ResendDone, s.now })
	got := s.signIn(s.acme).post("/resends/" + r.ID + "/cancel")
	if got.status != http.StatusConflict {
		t.Errorf("got %d, want 409", got.status)
	}
	got.wants(t, "It was not cancelled : It has ended", "done It went to its end.")
}

func TestAnothersBulkResendIsNotFound(t *testing.T) {
	s := newSite(t)
	r := s.putResend(nil)
	b := s.signIn(s.other)
	for name, got := range map[string]shown{"page": b.get("/resends/" + r.ID + "?account=acme"), "cancel": b.post("/resends/" + r.ID + "/cancel")} {
		if got.status != http.StatusNotFound {
			t.Errorf("%s: got %d, want 404", name, got.status)
		}
	}
	b.open("/resends").wants(t, "None yet.")
	if got := s.resends("acme")[0].State; got != webhook.ResendRunning {
		t.Errorf("state %s, want running", got)
	}
	p := s.signIn(s.platform)
	p.open("/resends/new?account=acme&state=exhausted&count=1").holds(t, `<input type="hidden" name="account" value="acme">`)
	if got := p.post("/resends/" + r.ID + "/cancel?account=acme"); got.location() != "/resends/"+r.ID+"?account=acme&said=cancelled" {
		t.Errorf("a platform's cancel: %d to %s", got.status, got.location())
	}
}
