package storetest

import (
	"fmt"
	"strings"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

func resendPromises() []promise {
	return []promise{
		{"a bulk resend is kept whole, and only its account finds it", func(s store) {
			want := s.bulk("acme", 1)
			s.ok(s.PutResend(s.ctx(), want))
			got, err := s.Resend(s.ctx(), "acme", want.ID)
			s.ok(err)
			same(s, "resend", got, want)
			_, err = s.Resend(s.ctx(), "other", want.ID)
			s.want(err, webhook.ErrNotFound)
			_, err = s.Resend(s.ctx(), "acme", "rsd_none")
			s.want(err, webhook.ErrNotFound)
		}},
		{"bulk resends are listed newest first, and the running ones of all accounts oldest first", func(s store) {
			one, two, three, other := s.bulk("acme", 1), s.bulk("acme", 2), s.bulk("acme", 3), s.bulk("other", 2)
			other.ID, other.CreatedAt = other.ID[:len(other.ID)-1]+"z", other.CreatedAt.Add(time.Millisecond)
			two.State, two.EndedAt = webhook.ResendDone, now()
			for _, r := range []webhook.Resend{three, one, other, two} {
				s.ok(s.PutResend(s.ctx(), r))
			}
			list, err := s.Resends(s.ctx(), "acme")
			s.ok(err)
			same(s, "resends of acme", list, []webhook.Resend{three, two, one})
			s.running(10, one, other, three)
			s.running(2, one, other)
		}},
		{"an update replaces a bulk resend, unless it has changed since it was read", func(s store) {
			read := s.bulk("acme", 1)
			s.ok(s.PutResend(s.ctx(), read))
			next := read
			next.Cursor, next.Looked, next.Resent, next.Skipped, next.Version, next.UpdatedAt = "dlv_2", 20, 15, 5, 2, now().Add(time.Second)
			s.ok(s.UpdateResend(s.ctx(), read, next))
			cancelled := read
			cancelled.State, cancelled.EndedAt, cancelled.Version = webhook.ResendCancelled, now(), 2
			s.want(s.UpdateResend(s.ctx(), read, cancelled), webhook.ErrStale)
			got, err := s.Resend(s.ctx(), "acme", read.ID)
			s.ok(err)
			same(s, "resend after a stale update", got, next)
			s.running(10, next)
			cancelled.Version = 3
			s.ok(s.UpdateResend(s.ctx(), next, cancelled))
			s.running(10)
		}},
		{"of many updates of one bulk resend at once, one is made", func(s store) {
			read := s.bulk("acme", 1)
			s.ok(s.PutResend(s.ctx(), read))
			made := 0
			for _, err := range together(8, func(i int) error {
				next := read
				next.Looked, next.Version = i, 2
				return s.UpdateResend(s.ctx(), read, next)
			}) {
				if err == nil {
					made++
					continue
				}
				s.want(err, webhook.ErrStale)
			}
			same(s, "updates made", made, 1)
		}},
		{"a bulk resend is gone 30 days after it ended, and not while it runs", func(s store) {
			ended, running := s.bulk("acme", 1), s.bulk("acme", 2)
			ended.State, ended.EndedAt = webhook.ResendDone, now()
			s.ok(s.PutResend(s.ctx(), ended))
			s.ok(s.PutResend(s.ctx(), running))
			s.expire(ended.EndedAt.Add(29 * 24 * time.Hour))
			_, err := s.Resend(s.ctx(), "acme", ended.ID)
			s.ok(err)
			s.expire(ended.EndedAt.Add(31 * 24 * time.Hour))
			_, err = s.Resend(s.ctx(), "acme", ended.ID)
			s.want(err, webhook.ErrNotFound)
			list, err := s.Resends(s.ctx(), "acme")
			s.ok(err)
			same(s, "resends", list, []webhook.Resend{running})
		}},
	}
}

// bulk is a running resend with a value in every field of its filter that is
// used, the nth that was made.
func (s store) bulk(account string, n int) webhook.Resend {
	at := now().Add(time.Duration(n) * time.Second)
	return webhook.Resend{
		ID: "rsd_" + webhook.TimePrefix(at) + strings.Repeat("0", 15) + fmt.Sprint(n%10), Account: account,
		Filter: webhook.Filter{
			State: webhook.StateDead, Endpoint: "ep_1", JobID: "j'1", EventID: "evt_1", Type: webhook.JobFinished,
			Since: at.Add(-time.Hour), Until: at, StatusClass: webhook.Class5xx,
		},
		State: webhook.ResendRunning, Cursor: "dlv_1", Rate: 50, Looked: 3, Resent: 2, Skipped: 1, Version: 1, CreatedAt: at, UpdatedAt: at,
	}
}

func (s store) running(limit int, want ...webhook.Resend) {
	s.Helper()
	list, err := s.RunningResends(s.ctx(), limit)
	s.ok(err)
	same(s, "running resends", list, want)
}
