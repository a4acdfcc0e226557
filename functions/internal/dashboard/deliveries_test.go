package dashboard_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// putDelivery stores an event of a new job of the account, a second before the one
// stored before, with one delivery, which change may change first.
func (s *tested) putDelivery(account string, change func(*webhook.Delivery)) webhook.Delivery {
	s.t.Helper()
	s.now = s.now.Add(time.Second)
	at := s.now.Add(-time.Hour)
	id := fmt.Sprintf("job/%d", at.Unix())
	record := fmt.Sprintf(`{"account":%q,"kind":"async","id":%q,"status":"success","run":1,"created_at":%q,"n":1.10,"note":"it's <b>"}`, account, id, at.Format(time.RFC3339))
	j, err := job.Decode([]byte(record))
	if err != nil {
		s.t.Fatal(err)
	}
	e := webhook.Event{ID: webhook.EventID(j, webhook.JobFinished, "1"), Type: webhook.JobFinished, Account: account,
		Kind: j.Kind, JobID: id, Run: 1, At: at, Level: job.LevelInfo, Sequence: "1", Record: j.Record}
	d := webhook.Delivery{Account: account, EventID: e.ID, EventType: e.Type, Kind: e.Kind, JobID: id, Run: 1, Sequence: "1",
		Target: webhook.Target{URL: "https://receiver.example/hook", Format: "standard"},
		State:  webhook.StateDelivered, Generation: 1, Attempts: 1, LastStatus: 200,
		CreatedAt: at, UpdatedAt: at, DeliveredAt: at, ExpiresAt: at.Add(24 * time.Hour)}
	if change != nil {
		change(&d)
	}
	d.ID = webhook.DeliveryID(e.ID, d.Target)
	if _, err := s.store.Put(s.t.Context(), []webhook.Planned{{Event: e, Deliveries: []webhook.Delivery{d}}}); err != nil {
		s.t.Fatal(err)
	}
	return d
}

// putEndpoint stores an endpoint of the account.
func (s *tested) putEndpoint(account, id, target string) {
	s.t.Helper()
	e := webhook.Endpoint{ID: id, Account: account, URL: target, Format: "standard", Status: webhook.EndpointEnabled, CreatedAt: s.now, UpdatedAt: s.now}
	if err := s.store.PutEndpoint(s.t.Context(), e); err != nil {
		s.t.Fatal(err)
	}
}

func as(state webhook.State, status int, f webhook.Failure) func(*webhook.Delivery) {
	return func(d *webhook.Delivery) {
		d.State, d.LastStatus, d.LastFailure, d.DeliveredAt = state, status, string(f), time.Time{}
		d.Reason = webhook.Result{Status: status, Failure: f}.Summary()
	}
}

// holds complains of what is not in the page's source, after its head.
func (s shown) holds(t testing.TB, parts ...string) {
	t.Helper()
	_, body, _ := strings.Cut(s.body, "<body>")
	for _, want := range parts {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not have %s:\n%s", want, body)
		}
	}
}

// next is the address of the next page of a list.
func (s shown) next(t *testing.T, path string) string {
	t.Helper()
	_, rest, found := strings.Cut(s.body, `href="`+path+`?after=`)
	if !found {
		t.Fatalf("there is no next page:\n%s", s.text())
	}
	cursor, _, _ := strings.Cut(rest, `"`)
	return path + "?after=" + strings.ReplaceAll(cursor, "&amp;", "&")
}

func TestDeliveriesAreListedWithTheirLastAnswerInWords(t *testing.T) {
	s := newSite(t)
	s.putDelivery("acme", nil)
	s.putDelivery("acme", as(webhook.StateExhausted, 503, ""))
	s.putDelivery("acme", as(webhook.StateWaiting, 0, webhook.FailureTimeout))
	dns := s.putDelivery("acme", as(webhook.StateDead, 0, webhook.FailureDNS))
	s.putDelivery("acme", func(d *webhook.Delivery) {
		as(webhook.StateDeclined, 0, "")(d)
		d.Target, d.Attempts = webhook.Target{}, 0
	})
	stranger := s.putDelivery("other", nil)
	got := s.signIn(s.acme).open("/deliveries")
	got.wants(t, "delivered", "200 1 https://receiver.example/hook", "exhausted", "503", "timeout", "no address", dns.JobID, "declined job.finished", "- 0 -")
	got.lacks(t, stranger.JobID, "Clear the filters")
	got.holds(t, `href="/deliveries/`+dns.ID+`"`, `href="/job?id=job%2F`, `data-live`, `data-part`)
}

func TestDeliveriesAreFiltered(t *testing.T) {
	s := newSite(t)
	s.putEndpoint("acme", "ep_a", "https://a.example/hook")
	old := s.putDelivery("acme", as(webhook.StateExhausted, 500, ""))
	to := s.putDelivery("acme", func(d *webhook.Delivery) {
		as(webhook.StateDead, 404, "")(d)
		d.Target = webhook.Target{Endpoint: "ep_a", URL: "https://a.example/hook", Format: "standard"}
	})
	silent := s.putDelivery("acme", as(webhook.StateWaiting, 0, webhook.FailureConnect))
	all := []webhook.Delivery{old, to, silent}
	b := s.signIn(s.acme)
	between := to.CreatedAt.Format("2006-01-02T15:04:05")
	for _, tt := range []struct {
		query string
		want  []webhook.Delivery
	}{
		{"state=exhausted", all[:1]},
		{"endpoint=ep_a", all[1:2]},
		{"status_class=4xx", all[1:2]},
		{"status_class=no_answer", all[2:]},
		{"job=" + silent.JobID, all[2:]},
		{"event=" + old.EventID, all[:1]},
		{"type=job.failed", nil},
		{"since=" + between, all[1:]},
		{"until=" + between, all[:1]},
		{"state=&endpoint=&type=&since=", all},
	} {
		t.Run(tt.query, func(t *testing.T) {
			got := b.open("/deliveries?" + tt.query)
			if n := strings.Count(got.body, `href="/deliveries/dlv_`); n != len(tt.want) {
				t.Errorf("%d deliveries, want %d", n, len(tt.want))
			}
			for _, d := range tt.want {
				if !strings.Contains(got.body, d.ID) {
					t.Errorf("%s is not there", d.ID)
				}
			}
		})
	}
	kept := b.open("/deliveries?endpoint=ep_a&since=" + between)
	kept.holds(t, `<option value="ep_a" selected>https://a.example/hook</option>`, `value="`+between+`"`,
		`href="/resends/new?endpoint=ep_a&amp;since=2026-`)
}

func TestAFilterThatIsRefusedIsSaidWithTheForm(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.acme)
	for _, tt := range []struct{ query, want string }{
		{"state=asleep", "State : the value cannot stand here"},
		{"since=yesterday", "Since (UTC) : "},
		{"since=2026-03-01T12:00&until=2026-03-01T11:00", "Before (UTC) : it is not after since"},
		{"after=dlv_x", "after : it is no cursor"},
	} {
		got := b.get("/deliveries?" + tt.query)
		if got.status != http.StatusUnprocessableEntity {
			t.Errorf("%s: got %d, want 422", tt.query, got.status)
		}
		got.wants(t, "Refused: Deliveries", "The list cannot be filtered like this", tt.want, "Before (UTC)")
	}
}

func TestNoDeliveriesTeachTheNextStep(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.acme)
	b.open("/deliveries").wants(t, "there is no endpoint to send to", "Make an endpoint")
	s.putEndpoint("acme", "ep_a", "https://a.example/hook")
	b.open("/deliveries").wants(t, "Nothing was sent yet", "Send a test")
	filtered := b.open("/deliveries?state=dead")
	filtered.wants(t, "No delivery is like this", "Clear the filters")
	filtered.lacks(t, "Nothing was sent yet")
}

func TestDeliveriesArePaged(t *testing.T) {
	s := newSite(t)
	for range 51 {
		s.putDelivery("acme", nil)
	}
	b := s.signIn(s.acme)
	first := b.open("/deliveries?state=delivered")
	first.wants(t, "Next page")
	second := b.open(first.next(t, "/deliveries"))
	if n := strings.Count(second.body, `href="/deliveries/dlv_`); n != 1 {
		t.Errorf("%d deliveries on the second page, want 1", n)
	}
	second.wants(t, "First page")
	if strings.Contains(second.body, "data-live") {
		t.Error("a later page refreshes itself")
	}
	if !strings.Contains(second.body, `<option value="delivered" selected>`) {
		t.Error("the filter is lost on the second page")
	}
}

// crowd stores deliveries of as many jobs at once, the oldest of which failed.
func (s *tested) crowd(account string, n int) {
	s.t.Helper()
	var list []webhook.Planned
	for i := range n {
		at := s.now.Add(-time.Duration(i+1) * time.Second)
		id := fmt.Sprintf("crowd-%d", i)
		j := job.Job{Account: account, Kind: job.KindAsync, ID: id, Run: 1, CreatedAt: at}
		e := webhook.Event{ID: webhook.EventID(j, webhook.JobFinished, "1"), Type: webhook.JobFinished, Account: account, Kind: j.Kind, JobID: id, Run: 1, At: at, Sequence: "1", Record: []byte(`{}`)}
		d := webhook.Delivery{Account: account, EventID: e.ID, EventType: e.Type, Kind: e.Kind, JobID: id, Run: 1, Sequence: "1",
			Target: webhook.Target{URL: "https://receiver.example/hook", Format: "standard"}, State: webhook.StateDelivered, Generation: 1, Attempts: 1, LastStatus: 200,
			CreatedAt: at, UpdatedAt: at, DeliveredAt: at, ExpiresAt: at.Add(24 * time.Hour)}
		if i == n-1 {
			d.LastStatus = 299
			as(webhook.StateDead, 404, "")(&d)
		}
		d.ID = webhook.DeliveryID(e.ID, d.Target)
		list = append(list, webhook.Planned{Event: e, Deliveries: []webhook.Delivery{d}})
	}
	if _, err := s.store.Put(s.t.Context(), list); err != nil {
		s.t.Fatal(err)
	}
}

func TestAnEmptyPageOfALongListLeadsOn(t *testing.T) {
	s := newSite(t)
	s.crowd("acme", 1100) // a page looks at 1000
	b := s.signIn(s.acme)
	first := b.open("/deliveries?status_class=4xx")
	first.wants(t, "Nothing on this page; there is more.", "Next page")
	first.lacks(t, "No delivery is like this")
	second := b.open(first.next(t, "/deliveries"))
	second.wants(t, "dead", "404", "First page")
}

func TestAPlatformLooksAtTheDeliveriesOfAnAccount(t *testing.T) {
	s := newSite(t)
	d := s.putDelivery("acme", nil)
	b := s.signIn(s.platform)
	got := b.open("/deliveries?account=acme")
	got.holds(t, `href="/deliveries/`+d.ID+`?account=acme"`, `<input type="hidden" name="account" value="acme">`)
	for _, target := range []string{"/deliveries", "/deliveries/" + d.ID, "/resends", "/resends/new", "/resends/rsd_1", "/endpoints", "/endpoints/new", "/settings"} {
		if got := b.get(target); got.location() != "/accounts" {
			t.Errorf("%s without an account: got %d to %q, want /accounts", target, got.status, got.location())
		}
	}
}

func TestALinkToADeliverySaysWhichItIs(t *testing.T) {
	s := newSite(t)
	d := s.putDelivery("acme", nil)
	nobodys := s.putDelivery("acme", func(d *webhook.Delivery) { d.Target = webhook.Target{} })
	s.signIn(s.acme).open("/deliveries").holds(t,
		`<a href="/deliveries/`+d.ID+`" aria-label="job.finished of `+d.JobID+` to https://receiver.example/hook">job.finished</a>`,
		`aria-label="job.finished of `+nobodys.JobID+`">`)
}
