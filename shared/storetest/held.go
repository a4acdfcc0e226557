package storetest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

func heldPromises() []promise {
	return []promise{
		{"an endpoint that holds deliveries is found with all that decides on their release", func(s store) {
			on := s.fullEndpoint("acme", "ep_on")
			on.Status = webhook.EndpointEnabled
			s.ok(s.PutEndpoint(s.ctx(), on))
			s.endpoint("other", "ep_off")
			h := s.healthWritten("acme", s.healthOf("acme", "ep_on"), sick)
			off, err := s.UpdateEndpoint(s.ctx(), "other", "ep_off", pause)
			s.ok(err)
			s.holders()
			s.held("j1", "ep_on", time.Time{})
			s.heldOf("other", "j2", "ep_off")
			s.held("j3", "ep_deleted", time.Time{})
			s.held("j4", "ep_waits", now().Add(time.Minute)) // its hold ends by itself
			s.to("acme", "j5", "ep_queued")
			s.holders(
				webhook.Holder{Account: "acme", Endpoint: webhook.Endpoint{ID: "ep_deleted"}, Why: "paused: held"},
				webhook.Holder{Account: "other", Endpoint: off, Exists: true, Health: s.healthOf("other", "ep_off"), Why: "paused: held"},
				webhook.Holder{Account: "acme", Endpoint: on, Exists: true, Health: h, Why: "paused: held"},
			)
		}},
		{"an endpoint that was deleted is found as long as it holds deliveries", func(s store) {
			s.endpoint("acme", "ep_1")
			held := s.held("j1", "ep_1", time.Time{})
			s.ok(s.DeleteEndpoint(s.ctx(), "acme", "ep_1"))
			s.holders(webhook.Holder{Account: "acme", Endpoint: webhook.Endpoint{ID: "ep_1"}, Why: "paused: held"})
			s.releases([]webhook.Delivery{held}, held)
			s.holders()
		}},
		{"of the endpoints that hold deliveries no more are found than were asked for", func(s store) {
			known := map[string]webhook.Holder{}
			for i := range 5 {
				id := fmt.Sprint("ep_", i)
				if i != 2 {
					s.endpoint("acme", id)
				}
				s.held(fmt.Sprint("j", i), id, time.Time{})
				s.held(fmt.Sprint("k", i), id, time.Time{})
			}
			all, err := s.Holders(s.ctx())
			s.ok(err)
			for _, h := range all {
				known[h.Endpoint.ID] = h
			}
			for limit, want := range map[int]int{1: 1, 3: 3, 5: 5, 6: 5, 100: 5} {
				list, err := s.FirstHolders(s.ctx(), limit)
				s.ok(err)
				same(s, fmt.Sprint("endpoints of at most ", limit), len(list), want)
				seen := map[string]bool{}
				for _, h := range list {
					same(s, "holder", h, known[h.Endpoint.ID])
					seen[h.Endpoint.ID] = true
				}
				same(s, "different ones", len(seen), want)
			}
		}},
		{"held deliveries come oldest first, and only those that no due time brings back", func(s store) {
			first := s.held("j1", "ep_1", time.Time{})
			s.held("j2", "ep_1", now().Add(time.Minute)) // its hold ends by itself
			s.held("j3", "ep_2", time.Time{})
			s.to("acme", "j4", "ep_1") // queued
			s.clock.Advance(2 * time.Millisecond)
			second := s.held("j5", "ep_1", time.Time{})
			s.holds("acme", "ep_1", 1, first)
			s.holds("acme", "ep_1", 10, first, second)
			s.holds("other", "ep_1", 10)
		}},
		{"released deliveries are queued, due until they are attended to, and held no more", func(s store) {
			at := now()
			first, second := s.held("j1", "ep_1", time.Time{}), s.held("j2", "ep_1", time.Time{})
			s.releases([]webhook.Delivery{first}, first)
			row := s.row(first.Ref())
			same(s, "state", row.State, webhook.StateQueued)
			if row.DueAt.Before(at.Add(time.Minute)) || row.UpdatedAt.Before(at) || row.Reason == first.Reason {
				s.Errorf("a released row with a wrong time or reason: %+v", row)
			}
			s.isDue(row.DueAt.Add(time.Microsecond), 10, "j1")
			s.holds("acme", "ep_1", 10, second)
			s.mustAttempt(row, webhook.StateDelivered)
		}},
		{"a hold that appears after a release is found by the next one", func(s store) {
			s.endpoint("acme", "ep_1")
			first := s.held("j1", "ep_1", time.Time{})
			stale := s.to("acme", "j2", "ep_1") // who holds it has read the endpoint before
			s.releases([]webhook.Delivery{first}, first)
			s.holders()
			second := s.change(stale, hold)
			again := s.change(s.row(first.Ref()), hold)
			list, err := s.Held(s.ctx(), "acme", "ep_1", 10)
			s.ok(err)
			same(s, "held", jobsOf(list), []string{"j1", "j2"})
			holders, err := s.Holders(s.ctx())
			s.ok(err)
			same(s, "holders", len(holders), 1)
			s.releases([]webhook.Delivery{again, second}, again, second)
			s.holders()
		}},
		{"release leaves alone what was resent, ended, or held anew since it was read", func(s store) {
			var read []webhook.Delivery
			for i := range 6 {
				read = append(read, s.held(fmt.Sprintf("j%d", i), "ep_1", time.Time{}))
			}
			s.clock.Advance(2 * time.Millisecond)
			rows := []webhook.Delivery{
				s.resend(read[0]),
				s.change(s.resend(read[1]), func(d *webhook.Delivery) { hold(d); d.UpdatedAt = read[1].UpdatedAt }),
				s.change(read[2], func(d *webhook.Delivery) { d.State, d.Reason, d.UpdatedAt = webhook.StateDeclined, "expired", now() }),
				s.change(read[3], func(d *webhook.Delivery) { d.Reason, d.UpdatedAt = webhook.HoldTripped.Because("it fails"), now() }),
				s.change(read[4], func(d *webhook.Delivery) { d.DueAt, d.UpdatedAt = now().Add(time.Minute), now() }),
			}
			s.releases(read, read[5])
			for _, want := range rows {
				same(s, "row that changed since it was read", s.row(want.Ref()), want)
			}
			s.releases(read[5:])
		}},
		{"what many release at once is rung for once", func(s store) {
			list := []webhook.Delivery{s.held("j1", "ep_1", time.Time{}), s.held("j2", "ep_1", time.Time{})}
			rung := make([]int, 6)
			for _, err := range together(len(rung), func(i int) error {
				bells, err := s.Release(s.ctx(), list, now(), now().Add(time.Minute))
				rung[i] = len(bells)
				return err
			}) {
				s.ok(err)
			}
			sum := 0
			for _, n := range rung {
				sum += n
			}
			same(s, "bells", sum, len(list))
		}},
		{"many held deliveries are released in the order they were read in", func(s store) {
			var list []webhook.Delivery
			for i := range 30 {
				list = append(list, s.held(fmt.Sprintf("j%d", i), "ep_1", time.Time{}))
			}
			s.releases(list, list...)
			s.holds("acme", "ep_1", 100)
		}},
	}
}

// jobsOf names the jobs of deliveries, in the order of the alphabet.
func jobsOf(list []webhook.Delivery) (jobs []string) {
	for _, d := range list {
		jobs = append(jobs, d.JobID)
	}
	slices.Sort(jobs)
	return jobs
}

// hold is what becomes of a delivery whose endpoint is not called.
func hold(d *webhook.Delivery) {
	d.State, d.Reason, d.DueAt, d.UpdatedAt = webhook.StateHeld, webhook.HoldPaused.Because("held"), time.Time{}, now()
}

// held is a delivery of acme to an endpoint that is not called.
func (s store) held(jobID, endpoint string, dueAt time.Time) webhook.Delivery {
	s.Helper()
	return s.change(s.to("acme", jobID, endpoint), func(d *webhook.Delivery) {
		hold(d)
		d.DueAt = dueAt
	})
}

func (s store) heldOf(account, jobID, endpoint string) webhook.Delivery {
	s.Helper()
	return s.change(s.to(account, jobID, endpoint), hold)
}

// holders wants these endpoints to hold deliveries, in any order.
func (s store) holders(want ...webhook.Holder) {
	s.Helper()
	got, err := s.Holders(s.ctx())
	s.ok(err)
	byID := func(a, b webhook.Holder) int { return strings.Compare(a.Endpoint.ID, b.Endpoint.ID) }
	slices.SortFunc(got, byID)
	slices.SortFunc(want, byID)
	same(s, "holders", got, want)
}

func (s store) holds(account, endpoint string, limit int, want ...webhook.Delivery) {
	s.Helper()
	got, err := s.Held(s.ctx(), account, endpoint, limit)
	s.ok(err)
	same(s, "held by "+endpoint, got, want)
}

// releases wants of the deliveries read these to be released.
func (s store) releases(read []webhook.Delivery, want ...webhook.Delivery) {
	s.Helper()
	at := now()
	bells, err := s.Release(s.ctx(), read, at, at.Add(time.Minute))
	s.ok(err)
	var expected []webhook.Doorbell
	for _, d := range want {
		expected = append(expected, d.Doorbell())
	}
	same(s, "released", bells, expected)
}
