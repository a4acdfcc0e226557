package dynamo_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jobhook/jobhook/shared/dynamo"
	"github.com/jobhook/jobhook/shared/webhook"
)

// heldBy puts deliveries that an endpoint holds, each older than the one before.
func heldBy(t *testing.T, s *dynamo.Store, endpoint string, n int, oldest time.Time) (list []webhook.Delivery) {
	t.Helper()
	for i := range n {
		p := ended(t, fmt.Sprintf("%s-%d", endpoint, i))
		d := &p.Deliveries[0]
		d.Target = webhook.Target{Endpoint: endpoint, URL: "https://example.com/" + endpoint, Format: "standard"}
		d.ID, d.CreatedAt = webhook.DeliveryID(p.Event.ID, d.Target), oldest.Add(time.Duration(n-1-i)*time.Second)
		put(t, s, p)
		next := *d
		next.State, next.Reason = webhook.StateHeld, webhook.HoldTripped.Because(fmt.Sprint(n-1-i))
		check(t, s.Record(t.Context(), *d, next, nil))
		list = append([]webhook.Delivery{next}, list...)
	}
	return list
}

// TestEveryEndpointThatHoldsIsFound has more held rows of one endpoint than are
// read at once, and more endpoints than shards.
func TestEveryEndpointThatHoldsIsFound(t *testing.T) {
	s, w, _ := openWired(t, nil)
	at := moment().Add(-time.Hour)
	var want []string
	for n := range 20 {
		id, rows := fmt.Sprintf("ep_%02d", n), 1
		if n%5 == 2 {
			rows = 60
		}
		if n != 7 {
			putEndpoint(t, s, id)
		}
		heldBy(t, s, id, rows, at.Add(-time.Duration(n)*time.Minute))
		want = append([]string{id}, want...)
	}
	w.set(nil)
	holders, err := s.Holders(t.Context())
	check(t, err)
	if n := w.count("Query"); n > 8+20 {
		t.Errorf("%d queries for 20 endpoints in 8 shards", n)
	}
	var got []string
	for _, h := range holders {
		got = append(got, h.Endpoint.ID)
		if h.Exists == (h.Endpoint.ID == "ep_07") || h.Account != "acme" || h.Why != "tripped: 0" {
			t.Errorf("holder %+v", h)
		}
	}
	same(t, "endpoints, the one that waits longest first", got, want)
}

// TestNoMoreHoldersAreLookedForThanWereAskedFor has more endpoints than shards,
// each of which holds more than is read at once.
func TestNoMoreHoldersAreLookedForThanWereAskedFor(t *testing.T) {
	s, w, _ := openWired(t, nil)
	for n := range 9 {
		heldBy(t, s, fmt.Sprintf("ep_%02d", n), 26, moment().Add(-time.Hour))
	}
	keys := 0
	w.set(func(operation string, _ int, body []byte, _ func([]byte) (*http.Response, error)) (*http.Response, error) {
		if operation == "BatchGetItem" {
			keys += strings.Count(string(body), `"sk":`)
		}
		return nil, nil
	})
	holders, err := s.FirstHolders(t.Context(), 1)
	check(t, err)
	same(t, "endpoints", len(holders), 1)
	if n := w.count("Query"); n > 8 || keys > 2 {
		t.Errorf("%d queries and %d items, want one query of each shard, and then one endpoint and its delivery", n, keys)
	}
}

func TestAReleaseInTroubleRingsOnce(t *testing.T) {
	inTrouble(t, func(t *testing.T, s *dynamo.Store, again func()) {
		list := heldBy(t, s, "ep_1", 3, moment().Add(-time.Hour))
		at := moment()
		again()
		bells, err := s.Release(t.Context(), list, at, at.Add(time.Minute))
		check(t, err)
		same(t, "doorbells", len(bells), 3)
		left, err := s.Held(t.Context(), "acme", "ep_1", 10)
		check(t, err)
		same(t, "held", len(left), 0)
	})
}

// TestWhatTheIndexNamesTooLateIsNotReleased lets the index go on to name what
// was delivered, and releases what was read before that.
func TestWhatTheIndexNamesTooLateIsNotReleased(t *testing.T) {
	s, w, _ := openWired(t, nil)
	list := heldBy(t, s, "ep_1", 2, moment().Add(-time.Hour))
	var late []byte
	w.set(func(operation string, _ int, body []byte, send func([]byte) (*http.Response, error)) (*http.Response, error) {
		if operation != "Query" {
			return nil, nil
		}
		if late == nil {
			resp, err := send(body)
			if err != nil {
				return nil, err
			}
			defer resp.Body.Close()
			if late, err = io.ReadAll(resp.Body); err != nil {
				return nil, err
			}
		}
		return answer(200, string(late))
	})
	holds := func(want ...webhook.Delivery) {
		t.Helper()
		got, err := s.Held(t.Context(), "acme", "ep_1", 10)
		check(t, err)
		same(t, "held", got, want)
	}
	holds(list...)
	next, attempt := outcome(list[0], webhook.StateDelivered, 200)
	check(t, s.Record(t.Context(), list[0], next, attempt))
	holds(list[1])
	at := moment()
	bells, err := s.Release(t.Context(), list, at, at.Add(time.Minute))
	check(t, err)
	same(t, "doorbells", bells, []webhook.Doorbell{list[1].Doorbell()})
	row, err := s.Delivery(t.Context(), list[0].Ref())
	check(t, err)
	same(t, "state of what was delivered", row.State, webhook.StateDelivered)
}

func TestTheHealthOfNobodyIsNotFound(t *testing.T) {
	s, _, _ := openWired(t, nil)
	for _, id := range []string{"ep_none", strings.Repeat("x", 5000)} {
		if _, err := s.HealthOf(t.Context(), "acme", id); !errors.Is(err, webhook.ErrNotFound) {
			t.Errorf("got %v, want not found", err)
		}
	}
	if err := s.SetHealth(t.Context(), "acme", webhook.Health{}, webhook.Health{Endpoint: "ep_none", Version: 1}); !errors.Is(err, webhook.ErrNotFound) {
		t.Errorf("got %v, want not found", err)
	}
}
