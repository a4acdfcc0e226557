package storetest

import (
	"fmt"
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
			retries := 0
			a.Name, a.UpdatedAt = "Acme", a.UpdatedAt.Add(time.Second)
			a.Quotas = webhook.Quotas{Endpoints: 1, RequestRate: 2, EventsPerMinute: 3, RetentionDays: 4, Retries: &retries}
			s.ok(s.PutAccount(s.ctx(), a))
			got, err := s.Account(s.ctx(), "acme")
			s.ok(err)
			same(s, "account", got, a)
		}},
		{"accounts that were put are listed in the order of their ids, a page at a time", func(s store) {
			s.listsAccounts(10)
			var want []webhook.Account
			for i, id := range []string{"B", "a", "a b", "a-1", "a1", "b", "é"} {
				want = append(want, webhook.Account{ID: id, Name: "of " + id, Quotas: webhook.Quotas{Endpoints: i}, CreatedAt: now(), UpdatedAt: now().Add(time.Second)})
			}
			for _, i := range []int{3, 0, 6, 2, 5, 1, 4} {
				s.ok(s.PutAccount(s.ctx(), want[i]))
			}
			s.endpoint("0", "ep_0") // of an account that nobody put
			s.endpoint("a-0", "ep_a-0")
			s.endpoint("z", "ep_z")
			for _, limit := range []int{1, 2, 3, 7, 100} {
				s.listsAccounts(limit, want...)
			}
			list, next, err := s.Accounts(s.ctx(), "a c", 2) // which is none
			s.ok(err)
			same(s, "accounts after one that is not there", list, want[3:5])
			same(s, "the one to go on after", next, want[4].ID)
		}},
		{"quotas are those of the last put, and none of an unknown account", func(s store) {
			s.hasQuotas("acme", webhook.Quotas{})
			for n := range 3 {
				a := webhook.Account{ID: "acme", Quotas: webhook.Quotas{Endpoints: n, Retries: &n}, CreatedAt: now(), UpdatedAt: now()}
				s.ok(s.PutAccount(s.ctx(), a))
				s.hasQuotas("acme", a.Quotas)
				s.hasQuotas("other", webhook.Quotas{})
			}
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
		{"the end of a key only ever comes earlier", func(s store) {
			k := key("k1", "acme", now())
			s.ok(s.PutKey(s.ctx(), k))
			k.RevokedAt = now()
			for _, at := range []time.Duration{2 * time.Hour, time.Hour, time.Hour, 3 * time.Hour, 0, time.Microsecond} {
				s.ok(s.RevokeKey(s.ctx(), "acme", "k1", k.RevokedAt.Add(at)))
			}
			got, err := s.Key(s.ctx(), "k1")
			s.ok(err)
			same(s, "key", got, k)
			list, err := s.Keys(s.ctx(), "acme")
			s.ok(err)
			same(s, "keys of acme", list, []webhook.Key{k})
			s.want(s.RevokeKey(s.ctx(), "other", "k1", now().Add(time.Hour)), webhook.ErrNotFound)
		}},
		{"a key that is to be revoked later says when", func(s store) {
			put, revoked := key("k1", "acme", now()), key("k2", "acme", now())
			put.RevokedAt, revoked.RevokedAt = now().Add(time.Hour), now().Add(2*time.Hour)
			s.ok(s.PutKey(s.ctx(), put))
			s.ok(s.PutKey(s.ctx(), key("k2", "acme", revoked.CreatedAt)))
			s.ok(s.RevokeKey(s.ctx(), "acme", "k2", revoked.RevokedAt))
			for _, want := range []webhook.Key{put, revoked} {
				got, err := s.Key(s.ctx(), want.ID)
				s.ok(err)
				same(s, "key", got, want)
			}
		}},
		{"keys of sessions are read and revoked as others are, but not listed", func(s store) {
			k, signedIn, operators := key("k1", "acme", now()), s.session("k2", "acme"), s.session("k3", "")
			operators.Opener = "" // a portal link opened it
			for _, k := range []webhook.Key{k, signedIn, operators} {
				s.ok(s.PutKey(s.ctx(), k))
				got, err := s.Key(s.ctx(), k.ID)
				s.ok(err)
				same(s, "key", got, k)
			}
			list, err := s.Keys(s.ctx(), "acme")
			s.ok(err)
			same(s, "keys of acme", list, []webhook.Key{k})
			list, err = s.Keys(s.ctx(), "")
			s.ok(err)
			same(s, "keys of nobody", list, nil)
			s.want(s.RevokeKey(s.ctx(), "other", "k2", now()), webhook.ErrNotFound)
			s.want(s.RevokeKey(s.ctx(), "acme", "k3", now()), webhook.ErrNotFound)
			later := signedIn.RevokedAt.Add(time.Hour)
			signedIn.RevokedAt = now()
			for _, at := range []time.Time{signedIn.RevokedAt, later} {
				s.ok(s.RevokeKey(s.ctx(), "acme", "k2", at))
			}
			got, err := s.Key(s.ctx(), "k2")
			s.ok(err)
			same(s, "revoked key of a session", got, signedIn)
		}},
		{"the key of a session is there for a day after its end, and then gone; others stay", func(s store) {
			signedIn, revoked := s.session("k1", "acme"), key("k2", "acme", now())
			revoked.RevokedAt = now()
			s.ok(s.PutKey(s.ctx(), signedIn))
			s.ok(s.PutKey(s.ctx(), revoked))
			s.expire(signedIn.RevokedAt.Add(23 * time.Hour))
			got, err := s.Key(s.ctx(), "k1")
			s.ok(err)
			same(s, "key of a session that is over", got, signedIn)
			s.expire(signedIn.RevokedAt.Add(25 * time.Hour))
			_, err = s.Key(s.ctx(), "k1")
			s.want(err, webhook.ErrNotFound)
			list, err := s.Keys(s.ctx(), "acme")
			s.ok(err)
			same(s, "keys of acme", list, []webhook.Key{revoked})
		}},
	}
}

// session is the key of one who signed in now, for 12 hours.
func (s store) session(id, account string) webhook.Key {
	k := key(id, account, now())
	k.Session, k.Opener, k.RevokedAt = true, "opener", k.CreatedAt.Add(12*time.Hour)
	return k
}

// listsAccounts wants all accounts, read in pages.
func (s store) listsAccounts(limit int, want ...webhook.Account) {
	s.Helper()
	var all []webhook.Account
	for after := ""; len(all) <= len(want); {
		list, next, err := s.Accounts(s.ctx(), after, limit)
		s.ok(err)
		if len(list) > limit || next != "" && next <= after {
			s.Fatalf("%d accounts after %q, at most %d were asked for; the next is %q", len(list), after, limit, next)
		}
		all = append(all, list...)
		if after = next; after == "" {
			break
		}
	}
	same(s, fmt.Sprintf("accounts in pages of %d", limit), all, want)
}

func (s store) hasQuotas(account string, want webhook.Quotas) {
	s.Helper()
	got, err := s.Quotas(s.ctx(), account)
	s.ok(err)
	same(s, "quotas of "+account, got, want)
}

func key(id, account string, at time.Time) webhook.Key {
	return webhook.Key{ID: id, Account: account, Scope: webhook.ScopeAccount, Name: "ci", Hash: []byte{0, 1, 255, '\''}, CreatedAt: at}
}
