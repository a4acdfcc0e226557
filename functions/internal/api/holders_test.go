package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/functions/internal/api"
	"github.com/jobhook/jobhook/shared/webhook"
)

// holds plants a delivery that an endpoint of acme holds.
func (s *site) holds(t testing.TB, endpoint, why string) {
	t.Helper()
	s.plant(t, "acme", func(d *webhook.Delivery) {
		d.Target = webhook.Target{Endpoint: endpoint, Format: "standard"}
		d.State, d.Reason, d.DeliveredAt = webhook.StateHeld, why, time.Time{}
	})
}

func TestEndpointsThatHoldDeliveriesAreListed(t *testing.T) {
	s := newSite(t)
	if got := s.must(t, 200, s.operator, "GET", "/v1/holders", ""); len(got["items"].([]any)) != 0 {
		t.Errorf("got %v, want none", got)
	}
	open, tripped := s.endpoint(t, `{"url":"https://a.example"}`)
	path, paused := s.endpoint(t, `{"url":"https://b.example"}`)
	s.must(t, 200, s.acme, "POST", path+":pause", "")
	s.falls(t, webhook.Health{Endpoint: tripped["id"].(string), Circuit: webhook.Circuit{Opens: 1, OpenUntil: farOff()}})
	s.holds(t, tripped["id"].(string), "tripped: it fails")
	s.holds(t, paused["id"].(string), "paused: by hand")
	s.holds(t, paused["id"].(string), "paused: again")
	s.holds(t, "ep_gone", "tripped: it failed")
	closed := map[string]any{"state": "healthy", "circuit": map[string]any{"state": "closed", "opens": json.Number("0")}}
	want := map[string]any{
		tripped["id"].(string): map[string]any{"account": "acme", "endpoint": tripped["id"], "url": "https://a.example", "status": "enabled",
			"reason": "tripped: it fails", "health": s.must(t, 200, s.acme, "GET", open, "")["health"]},
		paused["id"].(string): map[string]any{"account": "acme", "endpoint": paused["id"], "url": "https://b.example", "status": "paused",
			"reason": "paused: by hand", "health": closed},
		"ep_gone": map[string]any{"account": "acme", "endpoint": "ep_gone", "deleted": true, "reason": "tripped: it failed"},
	}
	got := map[string]any{}
	for _, h := range s.must(t, 200, s.operator, "GET", "/v1/holders", "")["items"].([]any) {
		got[h.(map[string]any)["endpoint"].(string)] = h
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("holders (-got +want):\n%s", diff)
	}
}

// full is a store in which so many endpoints hold deliveries.
type full struct {
	api.Store
	holders int
}

func (f full) FirstHolders(_ context.Context, limit int) (list []webhook.Holder, err error) {
	if f.holders < 0 {
		return nil, errors.New("the disk is gone")
	}
	n := min(f.holders, limit)
	for i := range n {
		list = append(list, webhook.Holder{Account: "acme", Endpoint: webhook.Endpoint{ID: fmt.Sprintf("ep_%04d", (i+500)%n)}})
	}
	return list, nil
}

func TestAListOfHoldersIsInOrderAndSaysWhenItIsCut(t *testing.T) {
	s := newSite(t)
	for n, want := range map[int]any{0: nil, 250: nil, 251: true, 1000: true} {
		got := s.with(func(c *api.Config) { c.Store = full{s.store, n} }).must(t, 200, s.operator, "GET", "/v1/holders", "")
		items := got["items"].([]any)
		if len(items) != min(n, 250) || got["truncated"] != want {
			t.Errorf("of %d: got %d, truncated %v, want %v", n, len(items), got["truncated"], want)
		}
		for i, h := range items {
			if id := h.(map[string]any)["endpoint"]; id != fmt.Sprintf("ep_%04d", i) {
				t.Fatalf("of %d: number %d is %v", n, i, id)
			}
		}
	}
}

func TestHoldersThatCannotBeReadAreNotTakenForNone(t *testing.T) {
	s := newSite(t)
	got := s.with(func(c *api.Config) { c.Store = full{s.store, -1} }).do(s.operator, "GET", "/v1/holders", "")
	if p := got.problem(t); p.Status != 500 {
		t.Errorf("got %d %s, want 500", got.status, got.body)
	}
}
