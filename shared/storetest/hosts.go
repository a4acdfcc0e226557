package storetest

import (
	"time"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

func hostPromises() []promise {
	const url, host = "https://Example.com/hook", "example.com:443"
	return []promise{
		{"a host's circuit is known to every attempt at the host, whoever makes it, and to no other", func(s store) {
			mine, other := s.finishedTo("acme", "j1", url), s.finishedTo("other", "j2", "https://example.com:443/other")
			s.endpoint("acme", "ep_1")
			toEndpoint := s.to("acme", "j3", "ep_1")
			s.knowsHost(mine, webhook.Circuit{})
			open := s.hostWritten(webhook.HostHealth{Host: host}, openCircuit(now()))
			for _, d := range []webhook.Delivery{mine, other, toEndpoint} {
				s.knowsHost(d, open.Circuit)
			}
			for _, url := range []string{"https://example.com:8443/hook", "http://example.com/hook", "https://www.example.com/hook"} {
				s.knowsHost(s.finishedTo("acme", "j4", url), webhook.Circuit{})
			}
		}},
		{"of many that write a host as they read it one wins", func(s store) {
			read := webhook.HostHealth{Host: host}
			won := 0
			for _, err := range together(8, func(int) error {
				return s.SetHost(s.ctx(), read, webhook.HostHealth{Host: host, Circuit: openCircuit(now()), Version: 1})
			}) {
				if err == nil {
					won++
					continue
				}
				s.want(err, webhook.ErrStale)
			}
			same(s, "writes made", won, 1)
		}},
		{"a host that was closed is listed no more, and can be opened again by who has seen that", func(s store) {
			d := s.finishedTo("acme", "j1", url)
			open := s.hostWritten(webhook.HostHealth{Host: host}, openCircuit(now()))
			s.listsHosts(10, open)
			s.hostWritten(open, webhook.Circuit{})
			s.knowsHost(d, webhook.Circuit{})
			s.listsHosts(10)
			s.want(s.SetHost(s.ctx(), open, webhook.HostHealth{Host: host, Circuit: openCircuit(now()), Version: 2}), webhook.ErrStale)
			seen := s.load(d.Ref()).Host
			seen.Host = host
			again := s.hostWritten(seen, openCircuit(now()))
			s.knowsHost(d, again.Circuit)
		}},
		{"a host is forgotten an hour after it was open", func(s store) {
			d := s.finishedTo("acme", "j1", url)
			s.hostWritten(webhook.HostHealth{Host: host}, openCircuit(now().Add(-time.Hour-2*time.Minute)))
			s.knowsHost(d, webhook.Circuit{})
			s.listsHosts(10)
			again := s.hostWritten(webhook.HostHealth{Host: host}, openCircuit(now().Add(-30*time.Minute)))
			s.knowsHost(d, again.Circuit)
			s.expire(now())
			s.listsHosts(10, again)
		}},
		{"hosts are listed up to a limit", func(s store) {
			for _, name := range []string{"a.example:443", "b.example:443", "c.example:80"} {
				s.hostWritten(webhook.HostHealth{Host: name}, openCircuit(now()))
			}
			for limit, want := range map[int]int{2: 2, 10: 3} {
				list, err := s.Hosts(s.ctx(), limit)
				s.ok(err)
				same(s, "hosts", len(list), want)
			}
		}},
	}
}

func openCircuit(at time.Time) webhook.Circuit {
	return webhook.Circuit{Opens: 2, OpenUntil: at.Add(time.Minute), ProbeUntil: at.Add(2 * time.Minute)}
}

// finishedTo puts the end of a new job, to one URL, and returns its delivery.
func (s store) finishedTo(account, id, url string) webhook.Delivery {
	s.Helper()
	return s.putOne(s.plan(s.makeJob(account, id, job.KindAsync, "success", ""), webhook.JobFinished, "1", toURL(url)))
}

func (s store) hostWritten(read webhook.HostHealth, c webhook.Circuit) webhook.HostHealth {
	s.Helper()
	next := webhook.HostHealth{Host: read.Host, Circuit: c, Version: read.Version + 1}
	s.ok(s.SetHost(s.ctx(), read, next))
	return next
}

func (s store) knowsHost(d webhook.Delivery, want webhook.Circuit) {
	s.Helper()
	same(s, "circuit of the host of "+d.Target.URL, s.load(d.Ref()).Host.Circuit, want)
}

func (s store) listsHosts(limit int, want ...webhook.HostHealth) {
	s.Helper()
	list, err := s.Hosts(s.ctx(), limit)
	s.ok(err)
	same(s, "hosts", list, want)
}
