package storetest

import (
	"errors"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

func requestPromises() []promise {
	return []promise{
		{"a request is begun once, and repeats of it get its answer", func(s store) {
			o := s.once("o1")
			s.begins(o, true)
			repeat := o
			repeat.Fingerprint, repeat.StartedAt, repeat.ExpiresAt = "another", o.StartedAt.Add(time.Minute), o.ExpiresAt.Add(time.Minute)
			same(s, "request under way", s.begins(repeat, false), o)
			o.Status, o.Header, o.Body = 201, map[string]string{"Location": "/v1/endpoints/ep_1", "ETag": `"1"`}, []byte("{\"secret\":\"\x00\xff\"}")
			s.ok(s.EndOnce(s.ctx(), o))
			same(s, "answer", s.begins(repeat, false), o)
			s.begins(s.once("o2"), true)
		}},
		{"an answer without a body, of nobody's account, is kept too", func(s store) {
			o := s.once("o1")
			o.Account = ""
			s.begins(o, true)
			o.Status = 204
			s.ok(s.EndOnce(s.ctx(), o))
			same(s, "answer", s.begins(o, false), o)
		}},
		{"of many that begin one request at once, one does", func(s store) {
			begun := make([]bool, 8)
			for _, err := range together(len(begun), func(i int) (err error) {
				_, begun[i], err = s.BeginOnce(s.ctx(), s.once("o1"))
				return err
			}) {
				s.ok(err)
			}
			n := 0
			for _, b := range begun {
				if b {
					n++
				}
			}
			same(s, "requests begun", n, 1)
		}},
		{"a request that is forgotten, or has expired, can be begun again", func(s store) {
			o := s.once("o1")
			s.begins(o, true)
			s.ok(s.ForgetOnce(s.ctx(), o))
			s.ok(s.ForgetOnce(s.ctx(), o))
			s.begins(o, true)
			o.Status, o.Body = 200, []byte("first")
			s.ok(s.EndOnce(s.ctx(), o))
			later := s.once("o1")
			later.StartedAt, later.ExpiresAt = o.ExpiresAt.Add(time.Second), o.ExpiresAt.Add(time.Hour)
			later.Fingerprint = "another"
			same(s, "request after the first expired", s.begins(later, true), later)
			same(s, "repeat of it", s.begins(later, false), later)
		}},
		{"only who began a request forgets it, and only before it has its answer", func(s store) {
			o := s.once("o1")
			s.begins(o, true)
			earlier := o
			earlier.StartedAt = o.StartedAt.Add(-time.Minute)
			s.ok(s.ForgetOnce(s.ctx(), earlier))
			same(s, "request under way", s.begins(o, false), o)
			under := o
			o.Status, o.Body = 201, []byte("{}")
			s.ok(s.EndOnce(s.ctx(), o))
			s.ok(s.ForgetOnce(s.ctx(), under))
			same(s, "answer", s.begins(o, false), o)
		}},
		{"what has expired of requests is removed", func(s store) {
			o, stays := s.once("o1"), s.once("o2")
			stays.ExpiresAt = o.ExpiresAt.Add(time.Hour)
			s.begins(o, true)
			s.begins(stays, true)
			s.expire(o.ExpiresAt.Add(time.Minute))
			s.begins(o, true)
			s.begins(stays, false)
		}},
		{"a portal link lets in once, who has its secret, until it expires", func(s store) {
			l := s.portalLink("pl_1")
			s.ok(s.PutPortalLink(s.ctx(), l))
			_, err := s.UsePortalLink(s.ctx(), l.ID, []byte("another hash"), now())
			s.want(err, webhook.ErrNotFound)
			_, err = s.UsePortalLink(s.ctx(), "pl_none", l.Hash, now())
			s.want(err, webhook.ErrNotFound)
			_, err = s.UsePortalLink(s.ctx(), l.ID, l.Hash, l.ExpiresAt)
			s.want(err, webhook.ErrNotFound)
			want := l
			want.UsedAt = now()
			used, err := s.UsePortalLink(s.ctx(), l.ID, l.Hash, want.UsedAt)
			s.ok(err)
			same(s, "link", used, want)
			_, err = s.UsePortalLink(s.ctx(), l.ID, l.Hash, now())
			s.want(err, webhook.ErrNotFound)
		}},
		{"of many that use a portal link at once, one gets in", func(s store) {
			l := s.portalLink("pl_1")
			s.ok(s.PutPortalLink(s.ctx(), l))
			in := 0
			for _, err := range together(8, func(int) error {
				_, err := s.UsePortalLink(s.ctx(), l.ID, l.Hash, now())
				return err
			}) {
				if !errors.Is(err, webhook.ErrNotFound) {
					s.ok(err)
					in++
				}
			}
			same(s, "let in", in, 1)
		}},
	}
}

// once is a request that begins now.
func (s store) once(id string) webhook.Once {
	return webhook.Once{ID: id, Fingerprint: "f1", Account: "acme", StartedAt: now(), ExpiresAt: now().Add(24 * time.Hour)}
}

func (s store) begins(o webhook.Once, want bool) webhook.Once {
	s.Helper()
	kept, begun, err := s.BeginOnce(s.ctx(), o)
	s.ok(err)
	same(s, "begun "+o.ID, begun, want)
	return kept
}

func (s store) portalLink(id string) webhook.PortalLink {
	return webhook.PortalLink{ID: id, Account: "acme", Hash: []byte{0, 1, 255, '\''}, CreatedAt: now(), ExpiresAt: now().Add(time.Hour)}
}
