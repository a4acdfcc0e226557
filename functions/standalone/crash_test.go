package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// kills is how often the crash test kills the server.
const kills = 20

// TestNothingAcknowledgedIsLostWhenTheServerIsKilled kills the server under
// load at random moments, and then holds it to its promises.
func TestNothingAcknowledgedIsLostWhenTheServerIsKilled(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	r := newReceiver(t, func(h hook, n int) int {
		if n == 1 && h.id != "" && h.id[len(h.id)-1] < '3' { // about one in ten, by its id
			return 500 // so that some wait for a retry when the server dies
		}
		return 200
	})
	data := t.TempDir()
	s := start(t, data)
	s.account(t, "acme")
	s.endpoint(t, "acme", r.URL, object{"retry_seconds": []int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}})

	var acked sync.Map // job ids whose change was acknowledged
	for round := range kills {
		moment := time.Duration(50+random.IntN(450)) * time.Millisecond
		loadUntil(t.Context(), s, round, &acked, moment)
		s.kill()
		s = start(t, data)
	}

	eventually(t, "every delivery has ended", func() bool {
		return len(s.deliveries(t, "acme", "queued"))+len(s.deliveries(t, "acme", "waiting"))+len(s.deliveries(t, "acme", "held")) == 0
	})
	for _, d := range s.deliveries(t, "acme", "") {
		if d.State != "delivered" {
			t.Errorf("delivery %s of job %s ended as %s: %s", d.ID, d.JobID, d.State, d.Reason)
		}
	}
	holdToPromises(t, r, &acked)
}

// loadUntil writes job changes from several goroutines for a while.
func loadUntil(ctx context.Context, s *server, round int, acked *sync.Map, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	var wait sync.WaitGroup
	var next atomic.Int64
	for range 8 {
		wait.Go(func() {
			for ctx.Err() == nil {
				id := fmt.Sprintf("job-%d-%d", round, next.Add(1))
				// The request outlives ctx, so that the kill hits it in flight.
				status, err := s.call(context.WithoutCancel(ctx), http.MethodPut, "/v1/jobs/"+id,
					object{"account": "acme", "kind": "async", "status": "success"}, nil)
				if err == nil && status == http.StatusCreated {
					acked.Store(id, true)
				}
			}
		})
	}
	<-ctx.Done()
	go wait.Wait() // they end when the server is gone
}

// holdToPromises compares what was acknowledged with what arrived.
func holdToPromises(t *testing.T, r *receiver, acked *sync.Map) {
	t.Helper()
	accepted, ids := map[string]int{}, map[string]map[string]bool{}
	for _, h := range r.all() {
		var body struct {
			Data struct {
				JobID string `json:"job_id"`
			} `json:"data"`
		}
		if err := json.Unmarshal(h.body, &body); err != nil {
			t.Fatalf("body %s: %v", h.body, err)
		}
		job := body.Data.JobID
		if ids[job] == nil {
			ids[job] = map[string]bool{}
		}
		ids[job][h.id] = true
		if h.status == 200 {
			accepted[job]++
		}
	}
	acknowledged, duplicates := 0, 0
	acked.Range(func(id, _ any) bool {
		acknowledged++
		if accepted[id.(string)] == 0 {
			t.Errorf("the change of %s was acknowledged, but no webhook arrived", id)
		}
		return true
	})
	for job, n := range accepted {
		duplicates += n - 1
		if len(ids[job]) != 1 {
			t.Errorf("the webhooks of %s carry %d webhook-ids, want one", job, len(ids[job]))
		}
	}
	if acknowledged < kills {
		t.Errorf("only %d changes were acknowledged: the test shows nothing", acknowledged)
	}
	t.Logf("%d kills, %d changes acknowledged, %d jobs delivered, %d duplicates", kills, acknowledged, len(accepted), duplicates)
}
