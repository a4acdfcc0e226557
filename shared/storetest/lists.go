package storetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

func listPromises() []promise {
	return []promise{
		{"deliveries are listed newest job first, and paging is stable while more arrive", func(s store) {
			var want []string
			for i := range 15 {
				want = append([]string{s.finishedAt("acme", i).ID}, want...)
				s.finishedAt("other", i)
			}
			newer := 100
			for limit := 1; limit <= 16; limit += 5 {
				got := s.pageDeliveries(webhook.Filter{Account: "acme", Limit: limit}, func() { // after each page
					newer++
					want = append(want, s.finishedAt("acme", newer).ID)
				})
				same(s, fmt.Sprintf("pages of %d", limit), got, sortedDown(want, got))
			}
		}},
		{"overtaken compares sequence numbers by value, per target and job", func(s store) {
			j := s.makeJob("acme", "p1", job.KindPipeline, "active", "")
			a, b := toURL("https://example.com/a"), toURL("https://example.com/b")
			nine := s.putOne(s.plan(j, webhook.JobProgress, "9", a))
			s.overtaken(nine, false)
			s.putOne(s.plan(j, webhook.JobProgress, "10", b))
			s.putOne(s.plan(j, webhook.JobFinished, "11", a))
			s.putOne(s.plan(s.makeJob("acme", "p2", job.KindPipeline, "active", ""), webhook.JobProgress, "12", a))
			s.putOne(s.plan(s.makeJob("other", "p1", job.KindPipeline, "active", ""), webhook.JobProgress, "13", a))
			s.putOne(s.plan(j, webhook.JobProgress, "8", a))
			s.overtaken(nine, false)
			ten := s.putOne(s.plan(j, webhook.JobProgress, "10", a))
			s.overtaken(nine, true)
			s.overtaken(ten, false)
			s.putOne(s.plan(j, webhook.JobProgress, "123456789012345678901234567890", a))
			s.overtaken(ten, true)
		}},
		{"an endpoint's progress is overtaken although its URL has changed", func(s store) {
			j := s.makeJob("acme", "p1", job.KindPipeline, "active", "")
			moved := toEndpoint("ep_1")
			moved.URL = "https://example.com/moved"
			first := s.putOne(s.plan(j, webhook.JobProgress, "1", toEndpoint("ep_1")))
			s.putOne(s.plan(j, webhook.JobProgress, "2", toEndpoint("ep_2")))
			s.overtaken(first, false)
			s.putOne(s.plan(j, webhook.JobProgress, "3", moved))
			s.overtaken(first, true)
		}},
		{"progress that was declined overtakes nothing", func(s store) {
			j := s.makeJob("acme", "p1", job.KindPipeline, "active", "")
			first := s.putOne(s.plan(j, webhook.JobProgress, "1", toEndpoint("ep_1")))
			p := s.plan(j, webhook.JobProgress, "2", toEndpoint("ep_1"))
			p.Deliveries[0].State = webhook.StateDeclined
			s.putOne(p)
			s.overtaken(first, false)
		}},
	}
}

// finishedAt is the end of a job that was created n milliseconds into a day.
func (s store) finishedAt(account string, n int) webhook.Delivery {
	s.Helper()
	j := s.makeJob(account, fmt.Sprintf("job%d", n), job.KindAsync, "success", "")
	j.CreatedAt = j.CreatedAt.Add(time.Duration(n) * time.Millisecond)
	return s.putOne(s.plan(j, webhook.JobFinished, "1", toURL("https://example.com/hook")))
}

// maxPages is more pages than any list of a promise has.
const maxPages = 200

// pageDeliveries follows a list to its end.
func (s store) pageDeliveries(f webhook.Filter, between func()) (ids []string) {
	s.Helper()
	for range maxPages {
		page, next, err := s.Deliveries(s.ctx(), f)
		s.ok(err)
		if len(page) > f.Limit {
			s.Fatalf("a page of %d has %d deliveries", f.Limit, len(page))
		}
		for _, d := range page {
			ids = append(ids, d.ID)
		}
		if next == "" {
			return ids
		}
		f.After = next
		between()
	}
	s.Fatal("the pages do not end")
	return nil
}

// deliveriesOf is the first page of an account's deliveries, which are few.
func (s store) deliveriesOf(account string) []webhook.Delivery {
	s.Helper()
	list, _, err := s.Deliveries(s.ctx(), webhook.Filter{Account: account, Limit: 10})
	s.ok(err)
	return list
}

// sortedDown is what a list begun before the newest arrived must hold: of all
// ids, those up to the first that was seen, the newest first.
func sortedDown(all, got []string) []string {
	if len(got) == 0 {
		return all
	}
	all = slices.Clone(all)
	slices.Sort(all)
	slices.Reverse(all)
	return all[max(slices.Index(all, got[0]), 0):]
}

func (s store) overtaken(d webhook.Delivery, want bool) {
	s.Helper()
	got, err := s.Overtaken(s.ctx(), d)
	s.ok(err)
	same(s, "sequence "+d.Sequence+" overtaken", got, want)
}
