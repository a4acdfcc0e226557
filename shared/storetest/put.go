package storetest

import (
	"fmt"
	"time"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

func putPromises() []promise {
	return []promise{
		{"an event and its deliveries are kept whole, the snapshot byte for byte", func(s store) {
			p := s.plan(s.makeJob("acme", "j1", job.KindAsync, "success", oddJSON), webhook.JobFinished, "12345678901234567890", toURL("https://example.com/ü?a=%00"))
			d := &p.Deliveries[0]
			d.Reason, d.NextAt, d.DueAt = "because 'so'", d.CreatedAt.Add(1000), d.CreatedAt.Add(2000)
			s.rings([]webhook.Planned{p}, d.Doorbell())
			same(s, "delivery", s.row(d.Ref()), *d)
			e, err := s.Event(s.ctx(), "acme", p.Event.ID)
			s.ok(err)
			same(s, "event", e, p.Event)
			w := s.load(d.Ref())
			same(s, "loaded delivery", w.Delivery, *d)
			same(s, "loaded event", w.Event, p.Event)
			same(s, "attempts", s.attempts(d.Ref()), nil)
		}},
		{"the same event put twice makes one delivery and rings again while it is queued", func(s store) {
			p := s.plan(s.makeJob("acme", "j1", job.KindAsync, "success", ""), webhook.JobFinished, "1", toURL("https://example.com/hook"))
			d := p.Deliveries[0]
			s.rings([]webhook.Planned{p}, d.Doorbell())
			again := p
			again.Event.Record = []byte(`{"changed":true}`)
			s.rings([]webhook.Planned{again}, d.Doorbell())
			same(s, "deliveries", s.deliveriesOf("acme"), []webhook.Delivery{d})
			same(s, "snapshot", string(s.load(d.Ref()).Event.Record), string(p.Event.Record))
		}},
		{"an event put twice rings no more after its first attempt", func(s store) {
			p := s.plan(s.makeJob("acme", "j1", job.KindAsync, "success", ""), webhook.JobFinished, "1", toURL("https://example.com/hook"))
			waiting := s.mustAttempt(s.putOne(p), webhook.StateWaiting)
			s.rings([]webhook.Planned{p})
			same(s, "row", s.row(waiting.Ref()), waiting)
			s.resend(waiting)
			s.rings([]webhook.Planned{p})
		}},
		{"an event put twice rings for what is queued even if it would be declined now", func(s store) {
			p := s.plan(s.makeJob("acme", "j1", job.KindAsync, "success", ""), webhook.JobFinished, "1", toURL("https://example.com/hook"))
			queued := s.putOne(p)
			p.Deliveries = []webhook.Delivery{queued}
			p.Deliveries[0].State, p.Deliveries[0].Reason = webhook.StateDeclined, "the endpoint is disabled"
			s.rings([]webhook.Planned{p}, queued.Doorbell())
			same(s, "row", s.row(queued.Ref()), queued)
		}},
		{"a declined delivery is kept with its reason and rings nowhere", func(s store) {
			p := s.plan(s.makeJob("acme", "j1", job.KindAsync, "success", ""), webhook.JobFinished, "1", webhook.Target{})
			p.Deliveries[0].State, p.Deliveries[0].Reason = webhook.StateDeclined, "no target"
			s.rings([]webhook.Planned{p})
			same(s, "row", s.row(p.Deliveries[0].Ref()), p.Deliveries[0])
		}},
		{"an event put again adds the targets that are new", func(s store) {
			j := s.makeJob("acme", "j1", job.KindAsync, "success", "")
			first := s.putOne(s.plan(j, webhook.JobFinished, "1", toURL("https://example.com/a")))
			p := s.plan(j, webhook.JobFinished, "1", toURL("https://example.com/a"), toURL("https://example.com/b"))
			s.rings([]webhook.Planned{p}, first.Doorbell(), p.Deliveries[1].Doorbell())
		}},
		{"the same event put by many at once is there once", func(s store) {
			p := s.plan(s.makeJob("acme", "j1", job.KindAsync, "success", ""), webhook.JobFinished, "1", toURL("https://example.com/hook"))
			for _, err := range together(8, func(int) error {
				_, err := s.Put(s.ctx(), []webhook.Planned{p})
				return err
			}) {
				s.ok(err)
			}
			same(s, "deliveries", s.deliveriesOf("acme"), p.Deliveries)
		}},
		{"works are loaded in the order asked for, what does not exist as nothing", func(s store) {
			var refs []webhook.Ref
			for i := range 30 {
				refs = append(refs, s.finished("acme", fmt.Sprintf("j%d", i)).Ref(), webhook.Ref{Account: "acme", ID: fmt.Sprintf("dlv_%d", i)})
			}
			works, err := s.Load(s.ctx(), refs)
			s.ok(err)
			same(s, "works", len(works), len(refs))
			for i, w := range works {
				want := refs[i]
				if i%2 == 1 {
					want = webhook.Ref{}
				}
				same(s, "delivery", w.Delivery.Ref(), want)
			}
			works, err = s.Load(s.ctx(), nil)
			s.ok(err)
			same(s, "works of nothing", works, nil)
		}},
		{"an attempt is told what its target is now, and signs with the target's secrets or the account's default ones", func(s store) {
			e := s.fullEndpoint("acme", "ep_1")
			s.ok(s.PutEndpoint(s.ctx(), e))
			own := s.endpoint("acme", "ep_2")
			own.Secrets = []webhook.Secret{"whsec_b3du"}
			s.ok(s.PutEndpoint(s.ctx(), own))
			w := s.load(s.to("acme", "j1", "ep_2").Ref())
			same(s, "endpoint", w.Endpoint, own)
			same(s, "secrets of an endpoint", w.Secrets, own.Secrets)
			w = s.load(s.finished("acme", "j2").Ref())
			same(s, "endpoint of a URL on the job", w.HasEndpoint, false)
			same(s, "secrets of a URL on the job", w.Secrets, e.Secrets)
			w = s.load(s.finished("other", "j3").Ref())
			same(s, "secrets of an account without endpoints", w.Secrets, nil)
			w = s.load(s.to("acme", "j4", "deleted").Ref())
			same(s, "a deleted endpoint", w.HasEndpoint, false)
			same(s, "secrets of a deleted endpoint", w.Secrets, nil)
		}},
		{"the secrets before the newest sign until they are old", func(s store) {
			e := s.fullEndpoint("acme", "ep_1")
			for _, d := range []webhook.Delivery{s.to("acme", "j1", "ep_1"), s.finished("acme", "j2")} {
				e.OldUntil = now().Add(time.Hour)
				s.ok(s.PutEndpoint(s.ctx(), e))
				same(s, "secrets while one is rotated", s.load(d.Ref()).Secrets, e.Secrets)
				e.OldUntil = now().Add(-time.Second)
				s.ok(s.PutEndpoint(s.ctx(), e))
				same(s, "secrets after that", s.load(d.Ref()).Secrets, e.Secrets[:1])
			}
		}},
		{"another account's objects are not found", func(s store) {
			d := s.finished("acme", "j1")
			theirs := webhook.Ref{Account: "other", ID: d.ID}
			_, err := s.Delivery(s.ctx(), theirs)
			s.want(err, webhook.ErrNotFound)
			_, err = s.Attempts(s.ctx(), theirs)
			s.want(err, webhook.ErrNotFound)
			_, err = s.Event(s.ctx(), "other", d.EventID)
			s.want(err, webhook.ErrNotFound)
			_, err = s.Event(s.ctx(), "acme", "evt_none")
			s.want(err, webhook.ErrNotFound)
			stolen := d
			stolen.Account = "other"
			s.want(s.Record(s.ctx(), stolen, after(stolen, webhook.StateDead), nil), webhook.ErrNotFound)
			same(s, "loaded", s.load(theirs).Delivery, webhook.Delivery{})
			same(s, "deliveries of another account", s.deliveriesOf("other"), nil)
			same(s, "row", s.row(d.Ref()), d)
		}},
	}
}

// rings puts events and compares the doorbells.
func (s store) rings(planned []webhook.Planned, want ...webhook.Doorbell) {
	s.Helper()
	bells, err := s.Put(s.ctx(), planned)
	s.ok(err)
	same(s, "doorbells", bells, want)
}
