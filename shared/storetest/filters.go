package storetest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

func filterPromises() []promise {
	return []promise{
		{"deliveries are filtered by state, endpoint and job, and by all at once", func(s store) {
			for i := range 4 {
				s.to("acme", fmt.Sprintf("j%d", i), "ep_1")
				s.to("acme", fmt.Sprintf("k%d", i), "ep_2")
			}
			s.mustAttempt(s.to("acme", "j1", "ep_1"), webhook.StateDead)
			for what, f := range map[string]webhook.Filter{
				"7 queued": {State: webhook.StateQueued}, "1 dead": {State: webhook.StateDead}, "0 held": {State: webhook.StateHeld},
				"4 to ep_2": {Endpoint: "ep_2"}, "1 of k2": {JobID: "k2"}, "0 of k2 to ep_1": {JobID: "k2", Endpoint: "ep_1"},
				"1 of j1, dead, to ep_1": {JobID: "j1", Endpoint: "ep_1", State: webhook.StateDead},
			} {
				f.Account, f.Limit = "acme", 3
				var n int
				fmt.Sscan(what, &n)
				same(s, what, len(s.pageDeliveries(f, func() {})), n)
			}
		}},
		{"each filter selects what it says, and so do several together", func(s store) {
			rows := s.variety()
			for _, f := range s.varietyFilters(rows) {
				f.Account = "acme"
				var want []string
				for _, d := range rows {
					if f.Wants(d) {
						want = append(want, d.ID)
					}
				}
				for _, f.Limit = range []int{7, 50} {
					same(s, fmt.Sprintf("deliveries of %+v", f), s.pageDeliveries(f, func() {}), want)
				}
			}
		}},
		{"a filter that few rows pass finds each of them once, in order", func(s store) {
			var planned []webhook.Planned
			var want []string
			for i := range 300 {
				target := toURL("https://example.com/hook")
				if i%100 == 50 {
					target = toEndpoint("ep_rare")
				}
				p := s.planAt("acme", i, target)
				if target.Endpoint != "" {
					want = append([]string{p.Deliveries[0].ID}, want...)
				}
				planned = append(planned, p)
			}
			_, err := s.Put(s.ctx(), planned)
			s.ok(err)
			for _, limit := range []int{1, 2, 100} {
				got := s.pageDeliveries(webhook.Filter{Account: "acme", Endpoint: "ep_rare", Limit: limit}, func() {})
				same(s, fmt.Sprintf("pages of %d", limit), got, want)
			}
		}},
		{"a job's deliveries are found without its record, and beside another account's of the same id", func(s store) {
			j := s.makeJob("acme", "7", job.KindAsync, "success", "")
			d := s.putOne(s.plan(j, webhook.JobFinished, "1", toURL("https://example.com/hook")))
			f := webhook.Filter{Account: "acme", JobID: "7", Limit: 10}
			same(s, "deliveries of a job without a record", s.pageDeliveries(f, func() {}), []string{d.ID})
			s.write(s.createdAt(5, "other", "7"))
			same(s, "deliveries of a job whose id is another account's too", s.pageDeliveries(f, func() {}), []string{d.ID})
		}},
		{"the deliveries of jobs that share an id and have records are all found", func(s store) {
			var want []string
			for i, kind := range []job.Kind{job.KindAsync, job.KindPipeline} {
				j := s.makeJob("acme", "7", kind, []job.Status{"success", "completed"}[i], "")
				j = s.recreated(j, i)
				s.write(j)
				want = append([]string{s.putOne(s.plan(j, webhook.JobFinished, "1", toURL("https://example.com/hook"))).ID}, want...)
			}
			s.finishedAt("acme", 1)
			same(s, "deliveries", s.pageDeliveries(webhook.Filter{Account: "acme", JobID: "7", Limit: 10}, func() {}), want)
		}},
		{"what is no cursor of deliveries is refused", func(s store) {
			d := s.finished("acme", "j1")
			for _, after := range []string{"no cursor", "dlv_", d.EventID, d.ID + "0", d.ID[:len(d.ID)-1]} {
				_, _, err := s.Deliveries(s.ctx(), webhook.Filter{Account: "acme", After: after, Limit: 1})
				s.want(err, webhook.ErrCursor)
			}
			_, next, err := s.Deliveries(s.ctx(), webhook.Filter{Account: "acme", After: d.ID, Limit: 1})
			s.ok(err)
			same(s, "cursor after the last row", next, "")
		}},
	}
}

// recreated is the job as if it had been created n seconds later, record and all.
func (s store) recreated(j job.Job, n int) job.Job {
	s.Helper()
	again, err := job.Decode(fmt.Appendf(nil, `{"id":%q,"account":%q,"kind":%q,"status":%q,"run":1,"created_at":"2026-03-01T10:00:%02d.123Z"}`,
		j.ID, j.Account, j.Kind, j.Status, 10+n))
	s.ok(err)
	return again
}

// planAt is the end of a job that was created n milliseconds into a day.
func (s store) planAt(account string, n int, targets ...webhook.Target) webhook.Planned {
	s.Helper()
	j := s.makeJob(account, fmt.Sprintf("job%d", n), job.KindAsync, "success", "")
	j.CreatedAt = j.CreatedAt.Add(time.Duration(n) * time.Millisecond)
	return s.plan(j, webhook.JobFinished, "1", targets...)
}

// variety puts deliveries of all states, answers and times, and returns them as
// they are listed. Another account has the like.
func (s store) variety() (rows []webhook.Delivery) {
	s.Helper()
	at, states := now(), webhook.States()
	answers := []webhook.Delivery{{}, {LastStatus: 200}, {LastStatus: 302}, {LastStatus: 404}, {LastStatus: 503}, {LastFailure: "dns"}}
	var planned []webhook.Planned
	for i := range 2 * len(states) {
		for _, account := range []string{"acme", "other"} {
			p := s.planAt(account, i, toURL("https://example.com/hook"), toEndpoint(fmt.Sprintf("ep_%d", i%3)))
			for k := range p.Deliveries {
				p.Deliveries[k].CreatedAt = at.Add(-time.Duration(i%7) * time.Hour)
			}
			planned = append(planned, p)
		}
	}
	_, err := s.Put(s.ctx(), planned)
	s.ok(err)
	for i, p := range planned {
		for k, d := range p.Deliveries {
			d = s.change(d, func(d *webhook.Delivery) {
				answer := answers[(i/2+k)%len(answers)]
				d.LastStatus, d.LastFailure = answer.LastStatus, answer.LastFailure
				d.State, d.Reason = states[i/2%len(states)], "so that there is one"
			})
			if d.Account == "acme" {
				rows = append(rows, d)
			}
		}
	}
	slices.SortFunc(rows, func(a, b webhook.Delivery) int { return strings.Compare(b.ID, a.ID) })
	return rows
}

func (s store) varietyFilters(rows []webhook.Delivery) []webhook.Filter {
	middle := rows[len(rows)/2]
	filters := []webhook.Filter{
		{}, {Type: webhook.JobFinished}, {Type: webhook.JobFailed}, {EventID: middle.EventID}, {EventID: "evt_none"}, {JobID: middle.JobID},
		{JobID: middle.JobID, EventID: rows[0].EventID},
		{Since: middle.CreatedAt}, {Since: middle.CreatedAt.Add(time.Nanosecond)}, {Until: middle.CreatedAt}, {Until: middle.CreatedAt.Add(time.Nanosecond)},
		{Since: middle.CreatedAt.Add(-2 * time.Hour), Until: middle.CreatedAt.Add(2 * time.Hour), Endpoint: "ep_1"},
		{State: webhook.StateDead, Endpoint: "ep_1"}, {State: webhook.StateDead, JobID: middle.JobID}, {State: middle.State, EventID: middle.EventID},
	}
	for _, state := range webhook.States() {
		filters = append(filters, webhook.Filter{State: state}, webhook.Filter{State: state, StatusClass: webhook.Class5xx})
	}
	for _, class := range []webhook.StatusClass{webhook.Class2xx, webhook.Class3xx, webhook.Class4xx, webhook.Class5xx, webhook.ClassNoAnswer, webhook.ClassNoAttempt} {
		filters = append(filters, webhook.Filter{StatusClass: class})
	}
	return filters
}
