package storetest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

func eventPromises() []promise {
	return []promise{
		{"events are listed newest job first, each once, with their records only when asked for", func(s store) {
			var want []webhook.Event
			for i := range 12 {
				p := s.planAt("acme", i, toURL("https://example.com/a"), toURL("https://example.com/b"))
				s.putOne(p)
				s.putOne(s.planAt("other", i, toURL("https://example.com/a")))
				want = append([]webhook.Event{p.Event}, want...)
			}
			for _, limit := range []int{1, 5, 12, 13} {
				same(s, fmt.Sprintf("pages of %d", limit), s.pageEvents(webhook.EventFilter{Account: "acme", Records: true, Limit: limit}), want)
			}
			for i := range want {
				want[i].Record = nil
			}
			same(s, "events without records", s.pageEvents(webhook.EventFilter{Account: "acme", Limit: 5}), want)
			same(s, "events of nobody", s.pageEvents(webhook.EventFilter{Account: "none", Limit: 5}), nil)
		}},
		{"events are filtered by kind, job, type and time, and by all at once", func(s store) {
			all := s.eventVariety()
			middle := all[len(all)/2]
			for _, f := range []webhook.EventFilter{
				{Kind: job.KindPipeline}, {Kind: job.KindBatch}, {JobID: middle.JobID}, {JobID: "none"},
				{Kind: job.KindAsync, JobID: middle.JobID}, {Type: webhook.JobFinished}, {Type: webhook.JobProgress},
				{Since: middle.At}, {Since: middle.At.Add(time.Nanosecond)}, {Until: middle.At}, {Until: middle.At.Add(time.Nanosecond)},
				{Kind: middle.Kind, JobID: middle.JobID, Type: middle.Type, Since: middle.At, Until: middle.At.Add(time.Microsecond)},
			} {
				f.Account, f.Records = "acme", true
				want := slices.DeleteFunc(slices.Clone(all), func(e webhook.Event) bool { return !f.Wants(e) })
				for _, f.Limit = range []int{2, 50} {
					same(s, fmt.Sprintf("events of %+v", f), s.pageEvents(f), want)
				}
			}
		}},
		{"a job's events are found by its record", func(s store) {
			j := s.makeJob("acme", "7", job.KindAsync, "success", "")
			s.write(j)
			s.write(s.createdAt(5, "other", "8"))
			p := s.plan(j, webhook.JobFinished, "1", toURL("https://example.com/hook"))
			s.putOne(p)
			s.finishedAt("acme", 1)
			same(s, "events", s.pageEvents(webhook.EventFilter{Account: "acme", JobID: "7", Records: true, Limit: 10}), []webhook.Event{p.Event})
		}},
		{"what is no cursor of events is refused", func(s store) {
			d := s.finished("acme", "j1")
			for _, after := range []string{"no cursor", "evt_", d.ID, d.EventID + "0", d.EventID[:len(d.EventID)-1]} {
				_, _, err := s.Events(s.ctx(), webhook.EventFilter{Account: "acme", After: after, Limit: 1})
				s.want(err, webhook.ErrCursor)
			}
		}},
	}
}

// eventVariety puts events of two kinds and types, and returns them as they
// are listed.
func (s store) eventVariety() []webhook.Event {
	s.Helper()
	var all []webhook.Event
	at := now()
	for i := range 12 {
		j := s.makeJob("acme", fmt.Sprintf("j%d", i/2), job.KindAsync, "success", "")
		if i%3 == 0 {
			j = s.makeJob("acme", fmt.Sprintf("j%d", i/2), job.KindPipeline, "active", "")
		}
		j.CreatedAt = j.CreatedAt.Add(time.Duration(i) * time.Millisecond)
		p := s.plan(j, []webhook.EventType{webhook.JobFinished, webhook.JobProgress}[i%2], "1", toURL("https://example.com/hook"))
		p.Event.At = at.Add(-time.Duration(i%5) * time.Hour)
		s.putOne(p)
		all = append(all, p.Event)
	}
	slices.SortFunc(all, func(a, b webhook.Event) int { return strings.Compare(b.ID, a.ID) })
	return all
}

// pageEvents follows a list to its end.
func (s store) pageEvents(f webhook.EventFilter) (all []webhook.Event) {
	s.Helper()
	for range maxPages {
		page, next, err := s.Events(s.ctx(), f)
		s.ok(err)
		if len(page) > f.Limit {
			s.Fatalf("a page of %d has %d events", f.Limit, len(page))
		}
		if all = append(all, page...); next == "" {
			return all
		}
		f.After = next
	}
	s.Fatal("the pages do not end")
	return nil
}
