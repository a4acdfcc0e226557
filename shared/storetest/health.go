package storetest

import (
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

func healthPromises() []promise {
	return []promise{
		{"health is kept whole, known to every attempt, and gone with the endpoint", func(s store) {
			s.endpoint("acme", "ep_1")
			d := s.to("acme", "j1", "ep_1")
			s.isHealthy(d)
			h := s.healthWritten("acme", s.healthOf("acme", "ep_1"), sick)
			same(s, "health of the attempt's endpoint", s.load(d.Ref()).Health, h)
			s.listsHealth("acme", h)
			s.listsHealth("other")
			h = s.healthWritten("acme", h, func(h webhook.Health) webhook.Health {
				h.State, h.Reason, h.Warned, h.Circuit, h.PausedUntil = webhook.Healthy, "", 0, webhook.Circuit{}, time.Time{}
				return h
			})
			same(s, "health after a success", s.load(d.Ref()).Health, h)
			s.listsHealth("acme", h)
			s.ok(s.DeleteEndpoint(s.ctx(), "acme", "ep_1"))
			s.listsHealth("acme")
			s.hasNoHealth("acme", "ep_1")
			same(s, "health of an endpoint that was deleted", s.load(d.Ref()).Health, webhook.Health{})
			s.endpoint("acme", "ep_1")
			s.isHealthy(d)
			s.listsHealth("acme")
		}},
		{"health is of an endpoint of the account only", func(s store) {
			s.endpoint("acme", "ep_1")
			read := s.healthOf("acme", "ep_1")
			s.want(s.SetHealth(s.ctx(), "other", read, raised(sick(read)), s.notice("other", "ep_1")), webhook.ErrNotFound)
			s.want(s.SetHealth(s.ctx(), "acme", webhook.Health{Endpoint: "none"}, raised(sick(webhook.Health{Endpoint: "none"})), s.notice("acme", "none")), webhook.ErrNotFound)
			s.hasNoHealth("other", "ep_1")
			s.hasNoHealth("acme", "none")
			same(s, "health that others reached for", s.healthOf("acme", "ep_1"), read)
			s.tells(10)
		}},
		{"an attempt's health can be written as it was loaded, even when nothing was known", func(s store) {
			s.endpoint("acme", "ep_1")
			d := s.to("acme", "j1", "ep_1")
			s.healthWritten("acme", s.load(d.Ref()).Health, sick)
			s.healthWritten("acme", s.load(d.Ref()).Health, func(h webhook.Health) webhook.Health {
				h.Opens++
				return h
			})
			same(s, "version", s.healthOf("acme", "ep_1").Version, 2)
		}},
		{"of many that write health as they read it one wins; the others change nothing and keep no notice", func(s store) {
			s.endpoint("acme", "ep_1")
			read := s.healthOf("acme", "ep_1")
			n := s.notice("acme", "ep_1")
			errs := together(8, func(i int) error {
				next := raised(read)
				next.Slow = i + 1
				return s.SetHealth(s.ctx(), "acme", read, next, later(n, i))
			})
			winner := -1
			for i, err := range errs {
				if err != nil {
					s.want(err, webhook.ErrStale)
				} else if winner >= 0 {
					s.Errorf("both %d and %d wrote", winner, i)
				} else {
					winner = i
				}
			}
			if winner < 0 {
				s.Fatal("nobody wrote")
			}
			same(s, "health", s.healthOf("acme", "ep_1").Slow, winner+1)
			s.tells(10, later(n, winner))
		}},
		{"health is forgotten with the URL, and nobody who read it before can write it", func(s store) {
			e := s.endpoint("acme", "ep_1")
			s.forgets(func() {
				_, err := s.UpdateEndpoint(s.ctx(), "acme", "ep_1", func(e webhook.Endpoint) (webhook.Endpoint, error) {
					e.URL += "/moved"
					return e, nil
				})
				s.ok(err)
			})
			s.forgets(func() { s.ok(s.PutEndpoint(s.ctx(), e)) })
		}},
		{"health is forgotten when an endpoint is enabled again, and not when it is paused, disabled or renamed", func(s store) {
			e := s.endpoint("acme", "ep_1")
			h := s.healthWritten("acme", s.healthOf("acme", "ep_1"), sick)
			_, err := s.UpdateEndpoint(s.ctx(), "acme", "ep_1", pause)
			s.ok(err)
			s.ok(s.Disable(s.ctx(), "acme", "ep_1", e.URL, "gone"))
			_, err = s.UpdateEndpoint(s.ctx(), "acme", "ep_1", func(e webhook.Endpoint) (webhook.Endpoint, error) {
				e.StatusReason = "by its owner"
				return e, nil
			})
			s.ok(err)
			same(s, "health while it is not enabled", s.healthOf("acme", "ep_1"), h)
			s.forgets(func() {
				_, err := s.UpdateEndpoint(s.ctx(), "acme", "ep_1", resume)
				s.ok(err)
			})
			_, err = s.UpdateEndpoint(s.ctx(), "acme", "ep_1", pause)
			s.ok(err)
			s.forgets(func() { s.ok(s.PutEndpoint(s.ctx(), e)) })
		}},
		{"who read that nothing was known cannot write once the URL has changed", func(s store) {
			e := s.endpoint("acme", "ep_1")
			read := s.healthOf("acme", "ep_1")
			e.URL = "https://example.com/moved"
			s.ok(s.PutEndpoint(s.ctx(), e))
			s.want(s.SetHealth(s.ctx(), "acme", read, raised(sick(read))), webhook.ErrStale)
			s.listsHealth("acme")
		}},
		{"notices come with the health that tells of them, and stay until they are removed", func(s store) {
			s.endpoint("acme", "ep_1")
			one := s.notice("acme", "ep_1")
			two := later(one, 1)
			two.Type, two.DisabledAt = webhook.EndpointDisabledEvent, time.Time{}
			s.tells(10)
			read := s.healthOf("acme", "ep_1")
			next := raised(sick(read))
			s.ok(s.SetHealth(s.ctx(), "acme", read, next, two, one))
			s.tells(10, one, two)
			s.ok(s.SetHealth(s.ctx(), "acme", next, raised(next), one)) // told once more, it is the same
			s.tells(10, one, two)
			s.tells(1, one)
			s.ok(s.DeleteEndpoint(s.ctx(), "acme", "ep_1"))
			s.ok(s.RemoveNotice(s.ctx(), one.ID()))
			s.ok(s.RemoveNotice(s.ctx(), one.ID()))
			s.tells(10, two)
			s.ok(s.RemoveNotice(s.ctx(), two.ID()))
			s.tells(10)
		}},
		{"who disables an endpoint keeps the notice of it; who comes later, or for another URL, does nothing", func(s store) {
			e := s.endpoint("acme", "ep_1")
			n := s.notice("acme", "ep_1")
			n.Type = webhook.EndpointDisabledEvent
			s.ok(s.Disable(s.ctx(), "acme", "ep_1", "https://other.example/", "an answer of the URL before", later(n, 1)))
			s.want(s.Disable(s.ctx(), "acme", "none", e.URL, "gone", later(n, 1)), webhook.ErrNotFound)
			s.tells(10)
			s.ok(s.Disable(s.ctx(), "acme", "ep_1", e.URL, "gone", n))
			first, err := s.Endpoint(s.ctx(), "acme", "ep_1")
			s.ok(err)
			s.ok(s.Disable(s.ctx(), "acme", "ep_1", e.URL, "gone again", later(n, 1)))
			got, err := s.Endpoint(s.ctx(), "acme", "ep_1")
			s.ok(err)
			same(s, "endpoint that was disabled already", got, first)
			same(s, "status and reason", []string{string(got.Status), got.StatusReason}, []string{"disabled", "gone"})
			s.tells(10, n)
		}},
		{"of many that disable an endpoint at once, one tells of it", func(s store) {
			e := s.endpoint("acme", "ep_1")
			n := s.notice("acme", "ep_1")
			for _, err := range together(8, func(i int) error {
				return s.Disable(s.ctx(), "acme", "ep_1", e.URL, "gone", later(n, i))
			}) {
				s.ok(err)
			}
			list, err := s.Notices(s.ctx(), 10)
			s.ok(err)
			same(s, "notices", len(list), 1)
		}},
	}
}

// sick has a value in every field.
func sick(h webhook.Health) webhook.Health {
	at := now()
	h.State, h.Since, h.Reason, h.Warned = webhook.Failing, at.Add(-time.Hour), "the receiver answered 'no' 500 times", 2
	h.Circuit = webhook.Circuit{Opens: 3, OpenUntil: at.Add(time.Minute), ProbeUntil: at.Add(2 * time.Minute)}
	h.PausedUntil, h.Slow, h.SlowAt = at.Add(3*time.Minute), 4, at.Add(-time.Second)
	return h
}

func raised(h webhook.Health) webhook.Health {
	h.Version++
	return h
}

func resume(e webhook.Endpoint) (webhook.Endpoint, error) {
	e.Status = webhook.EndpointEnabled
	return e, nil
}

func (s store) healthOf(account, endpoint string) webhook.Health {
	s.Helper()
	h, err := s.HealthOf(s.ctx(), account, endpoint)
	s.ok(err)
	same(s, "endpoint of the health", h.Endpoint, endpoint)
	return h
}

func (s store) hasNoHealth(account, endpoint string) {
	s.Helper()
	_, err := s.HealthOf(s.ctx(), account, endpoint)
	s.want(err, webhook.ErrNotFound)
}

// healthWritten replaces health that was read, and returns what is kept.
func (s store) healthWritten(account string, read webhook.Health, f func(webhook.Health) webhook.Health) webhook.Health {
	s.Helper()
	next := raised(f(read))
	s.ok(s.SetHealth(s.ctx(), account, read, next))
	same(s, "health as it was written", s.healthOf(account, next.Endpoint), next)
	return next
}

// isHealthy wants nothing to be known of a delivery's endpoint.
func (s store) isHealthy(d webhook.Delivery) {
	s.Helper()
	h := s.load(d.Ref()).Health
	same(s, "health of "+d.Target.Endpoint, h, webhook.Health{Endpoint: d.Target.Endpoint, Version: h.Version})
}

// forgets wants f to make the health of the account's endpoint ep_1 unknown,
// and all who have read it stale.
func (s store) forgets(f func()) {
	s.Helper()
	before := s.healthOf("acme", "ep_1")
	read := s.healthWritten("acme", before, sick)
	f()
	s.listsHealth("acme")
	s.isHealthy(s.to("acme", "j1", "ep_1"))
	for _, old := range []webhook.Health{read, before, {Endpoint: "ep_1"}} {
		s.want(s.SetHealth(s.ctx(), "acme", old, raised(sick(old)), s.notice("acme", "ep_1")), webhook.ErrStale)
	}
	s.tells(10)
	s.listsHealth("acme")
	s.listsHealth("acme", s.healthWritten("acme", s.healthOf("acme", "ep_1"), sick))
}

func (s store) listsHealth(account string, want ...webhook.Health) {
	s.Helper()
	list, err := s.Health(s.ctx(), account)
	s.ok(err)
	same(s, "health", list, want)
}

// notice has a value in every field.
func (s store) notice(account, endpoint string) webhook.Notice {
	at := now()
	return webhook.Notice{
		Type: webhook.EndpointFailingEvent, Account: account, Endpoint: endpoint, URL: "https://example.com/" + endpoint,
		At: at, Since: at.Add(-time.Hour), Reason: "the receiver answered 'no'", DisabledAt: at.Add(time.Hour),
	}
}

// later is a notice of the same some seconds later.
func later(n webhook.Notice, seconds int) webhook.Notice {
	n.At = n.At.Add(time.Duration(seconds) * time.Second)
	return n
}

func (s store) tells(limit int, want ...webhook.Notice) {
	s.Helper()
	list, err := s.Notices(s.ctx(), limit)
	s.ok(err)
	same(s, "notices", list, want)
}
