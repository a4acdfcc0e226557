package storetest

import (
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

func accountPromises() []promise {
	return []promise{
		{"an account is as it was last put", func(s store) {
			_, err := s.Account(s.ctx(), "acme")
			s.want(err, webhook.ErrNotFound)
			a := webhook.Account{ID: "acme", Name: "Äcme <&> \"1\"", CreatedAt: now(), UpdatedAt: now()}
			s.ok(s.PutAccount(s.ctx(), a))
			a.Name, a.UpdatedAt = "Acme", a.UpdatedAt.Add(time.Second)
			s.ok(s.PutAccount(s.ctx(), a))
			got, err := s.Account(s.ctx(), "acme")
			s.ok(err)
			same(s, "account", got, a)
		}},
		{"keys are listed by account, the oldest first, and those of nobody under the empty one", func(s store) {
			newer, older, nobodys := key("k1", "acme", now()), key("k2", "acme", now().Add(-time.Hour)), key("k3", "", now())
			for _, k := range []webhook.Key{newer, older, nobodys, key("k4", "other", now())} {
				s.ok(s.PutKey(s.ctx(), k))
			}
			list, err := s.Keys(s.ctx(), "acme")
			s.ok(err)
			same(s, "keys of acme", list, []webhook.Key{older, newer})
			list, err = s.Keys(s.ctx(), "")
			s.ok(err)
			same(s, "keys of nobody", list, []webhook.Key{nobodys})
		}},
		{"a revoked key can still be read and says since when, and only its account revokes it", func(s store) {
			k := key("k1", "acme", now())
			s.ok(s.PutKey(s.ctx(), k))
			s.want(s.RevokeKey(s.ctx(), "other", "k1", now()), webhook.ErrNotFound)
			s.want(s.RevokeKey(s.ctx(), "acme", "none", now()), webhook.ErrNotFound)
			got, err := s.Key(s.ctx(), "k1")
			s.ok(err)
			same(s, "key that another account tried to revoke", got, k)
			k.RevokedAt = now()
			s.ok(s.RevokeKey(s.ctx(), "acme", "k1", k.RevokedAt))
			got, err = s.Key(s.ctx(), "k1")
			s.ok(err)
			same(s, "revoked key", got, k)
			_, err = s.Key(s.ctx(), "none")
			s.want(err, webhook.ErrNotFound)
		}},
	}
}

func key(id, account string, at time.Time) webhook.Key {
	return webhook.Key{ID: id, Account: account, Scope: webhook.ScopeAccount, Name: "ci", Hash: []byte{0, 1, 255, '\''}, CreatedAt: at}
}
