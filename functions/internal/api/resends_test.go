package api_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/functions/internal/api"
	"github.com/jobhook/jobhook/shared/webhook"
)

func TestABulkResendIsStoredPolledAndCancelled(t *testing.T) {
	s := newSite(t)
	made := s.must(t, 202, s.acme, "POST", "/v1/resends", `{"filter":{"state":"exhausted","since":"2026-02-01T00:00:00Z"},"rate":7}`)
	id := made["id"].(string)
	if !regexp.MustCompile(`^rsd_[0-9a-z]{26}$`).MatchString(id) {
		t.Errorf("id %s", id)
	}
	want := map[string]any{"id": id, "account": "acme", "state": "running", "rate": "7", "looked": "0", "resent": "0", "skipped": "0",
		"filter":     "map[since:2026-02-01T00:00:00Z state:exhausted until:2026-03-01T12:00:00Z]",
		"created_at": stampOf(s.clock.now()), "updated_at": stampOf(s.clock.now())}
	printed := map[string]any{}
	for name, value := range made {
		printed[name] = fmt.Sprint(value)
	}
	if diff := cmp.Diff(printed, want); diff != "" {
		t.Errorf("resend (-got +want):\n%s", diff)
	}
	s.clock.move(time.Minute)
	later := s.must(t, 202, s.acme, "POST", "/v1/resends", `{"filter":{"type":"job.failed"}}`)
	if fmt.Sprint(later["rate"]) != "50" {
		t.Errorf("rate %v, want 50", later["rate"])
	}
	if diff := cmp.Diff(s.ids(t, s.acme, "/v1/resends?"), []string{later["id"].(string), id}); diff != "" {
		t.Errorf("list (-got +want):\n%s", diff)
	}
	for range 2 { // the second changes nothing
		if got := s.must(t, 200, s.acme, "POST", "/v1/resends/"+id+":cancel", ""); got["state"] != "cancelled" || got["ended_at"] != stampOf(s.clock.now()) {
			t.Errorf("cancelled: %v", got)
		}
	}
	if got := s.must(t, 200, s.acme, "GET", "/v1/resends/"+id, ""); got["state"] != "cancelled" {
		t.Errorf("read: %v", got)
	}
}

func TestADryRunCountsAndSendsNothing(t *testing.T) {
	s := newSite(t)
	for i := range 7 {
		s.plant(t, "acme", func(d *webhook.Delivery) {
			if i%3 == 0 {
				d.State, d.Reason = webhook.StateDead, "no"
			}
		})
	}
	s.clock.move(time.Second)
	got := s.must(t, 200, s.acme, "POST", "/v1/resends", `{"filter":{"type":"job.finished"},"dry_run":true}`)
	if fmt.Sprint(got) != "map[by_state:map[dead:3 delivered:4] complete:true matched:7]" {
		t.Errorf("got %v", got)
	}
	if n := len(s.ids(t, s.acme, "/v1/resends?")); n != 0 || len(s.bells.rung) != 0 {
		t.Errorf("%d resends, %d rung, want none", n, len(s.bells.rung))
	}
}

// endless has ever more deliveries.
type endless struct {
	api.Store
	pages int
}

func (e *endless) Deliveries(_ context.Context, f webhook.Filter) ([]webhook.Delivery, string, error) {
	e.pages++
	return make([]webhook.Delivery, f.Limit), "dlv_", nil
}

func TestADryRunEnds(t *testing.T) {
	s := newSite(t)
	store := &endless{Store: s.store}
	config := s.config
	config.Store = store
	s.API = api.New(config)
	got := s.must(t, 200, s.acme, "POST", "/v1/resends", `{"filter":{"state":"dead"},"dry_run":true}`)
	if fmt.Sprint(got["matched"]) != "10000" || got["complete"] != false || store.pages > 50 {
		t.Errorf("got %v after %d pages", got, store.pages)
	}
}

func TestBadBulkResendsAreRefused(t *testing.T) {
	s := newSite(t)
	for body, field := range map[string]string{
		`{}`:                                          "filter",
		`{"filter":{}}`:                               "filter",
		`{"filter":{"state":"queued"}}`:               "filter.state",
		`{"filter":{"states":"dead"}}`:                "filter.states",
		`{"filter":{"state":"dead"},"rate":0}`:        "rate",
		`{"filter":{"state":"dead"},"rate":501}`:      "rate",
		`{"filter":{"status_class":"2"}}`:             "filter.status_class",
		`{"filter":{"since":"2026-03-02T00:00:00Z"}}`: "filter.since",
		`{"filter":{"since":"today"}}`:                "filter.since",
	} {
		got := s.do(s.acme, "POST", "/v1/resends", body)
		if p := got.problem(t); got.status != 422 || len(p.Errors) == 0 || p.Errors[0].Field != field {
			t.Errorf("%s: got %d %s, want 422 for %s", body, got.status, got.body, field)
		}
	}
	if got := s.do(s.platform, "POST", "/v1/resends?account=zero", `{"filter":{"state":"dead"}}`); got.status != 404 {
		t.Errorf("for an unknown account: got %d, want 404", got.status)
	}
}

func TestOnlySomeBulkResendsRunAtATime(t *testing.T) {
	s := newSite(t)
	for i := range 11 {
		s.clock.move(time.Second)
		got := s.do(s.acme, "POST", "/v1/resends", `{"filter":{"state":"dead"}}`)
		if i < 10 && got.status != 202 {
			t.Errorf("number %d: got %d %s", i+1, got.status, got.body)
		}
		if i == 10 && (got.status != 409 || got.problem(t).Type != "/problems/too-many-resends") {
			t.Errorf("number %d: got %d %s", i+1, got.status, got.body)
		}
	}
	s.must(t, 202, s.other, "POST", "/v1/resends", `{"filter":{"state":"dead"}}`)
}

// busy lets a cancellation meet with sweep some times.
type busy struct {
	api.Store
	times int
}

func (b *busy) UpdateResend(ctx context.Context, read, next webhook.Resend) error {
	if b.times--; b.times >= 0 {
		return webhook.ErrStale
	}
	return b.Store.UpdateResend(ctx, read, next)
}

func TestACancellationThatMeetsWithSweepTriesAgain(t *testing.T) {
	for times, want := range map[int]int{3: 200, 1000: 409} {
		s := newSite(t)
		id := s.must(t, 202, s.acme, "POST", "/v1/resends", `{"filter":{"state":"dead"}}`)["id"].(string)
		config := s.config
		config.Store = &busy{s.store, times}
		s.API = api.New(config)
		if got := s.do(s.acme, "POST", "/v1/resends/"+id+":cancel", ""); got.status != want {
			t.Errorf("%d times: got %d %s, want %d", times, got.status, got.body, want)
		}
	}
}

func TestWhatHasEndedIsNotCancelled(t *testing.T) {
	s := newSite(t)
	id := s.must(t, 202, s.acme, "POST", "/v1/resends", `{"filter":{"state":"dead"}}`)["id"].(string)
	read, err := s.store.Resend(t.Context(), "acme", id)
	next := read
	next.State, next.Version = webhook.ResendDone, read.Version+1
	if err = errors.Join(err, s.store.UpdateResend(t.Context(), read, next)); err != nil {
		t.Fatal(err)
	}
	if got := s.do(s.acme, "POST", "/v1/resends/"+id+":cancel", ""); got.status != 409 || got.problem(t).Type != "/problems/resend-done" {
		t.Errorf("got %d %s", got.status, got.body)
	}
}
