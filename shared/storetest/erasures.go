package storetest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jobhook/jobhook/shared/files"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

func erasurePromises() []promise {
	return []promise{
		{"an erasure is kept whole, and listed newest first, while it runs and ever after", func(s store) {
			one, two, three := s.erasure("acme", "", 1), s.erasure("acme", "user-17", 2), s.erasure("other", "", 3)
			for _, e := range []webhook.Erasure{two, three, one} {
				s.ok(s.PutErasure(s.ctx(), e))
			}
			got, err := s.Erasure(s.ctx(), two.ID)
			s.ok(err)
			same(s, "erasure", got, two)
			_, err = s.Erasure(s.ctx(), "ers_none")
			s.want(err, webhook.ErrNotFound)
			s.erasing(10, one, two, three)
			s.erasing(2, one, two)
			done := two.Done(now())
			s.ok(s.UpdateErasure(s.ctx(), two, done))
			s.erasing(10, one, three)
			s.expire(now().Add(400 * 24 * time.Hour))
			same(s, "erasures", s.pageErasures(2), []webhook.Erasure{three, done, one})
		}},
		{"an update replaces an erasure, unless it has changed since it was read", func(s store) {
			read := s.erasure("acme", "user-17", 1)
			s.ok(s.PutErasure(s.ctx(), read))
			next := read.Turn(now(), time.Minute)
			next.Cursor, next.JobHashes, next.Counted, next.Counts = "c", []string{"a", "b"}, true, webhook.Erased{webhook.ErasedJobs: 3}
			next.Again, next.SettledAt = true, now()
			s.ok(s.UpdateErasure(s.ctx(), read, next))
			s.want(s.UpdateErasure(s.ctx(), read, read.Turn(now(), time.Hour)), webhook.ErrStale)
			s.erasing(10, next)
			_, _, err := s.EraseStep(s.ctx(), read, now())
			s.want(err, webhook.ErrStale)
			missing := s.erasure("acme", "", 2)
			s.want(s.UpdateErasure(s.ctx(), missing, missing.Turn(now(), 0)), webhook.ErrStale)
		}},
		{"an erased account is gone with all it had, and no other account lacks anything", func(s store) {
			s.life("acme")
			s.life("other")
			before := s.everything("other")
			done, hashes := s.erase(s.erasure("acme", "", 1))
			same(s, "what other has", s.everything("other"), before)
			same(s, "what acme has", s.everything("acme"), map[string]any{})
			wantCounts := webhook.Erased{
				webhook.ErasedAccounts: 1, webhook.ErasedKeys: 2, webhook.ErasedEndpoints: 2, webhook.ErasedResends: 1, webhook.ErasedJobs: 3,
				webhook.ErasedEvents: 5, webhook.ErasedDeliveries: 9, webhook.ErasedAttempts: 8, webhook.ErasedResultSets: 1, webhook.ErasedDownloads: 2,
				webhook.ErasedStats: 2, webhook.ErasedNotices: 1,
			}
			s.erased(done, wantCounts)
			want := []string{jobHash("acme", job.KindBatch, "j1"), jobHash("acme", job.KindAsync, "j2"), jobHash("acme", job.KindAsync, "j3"),
				jobHash("acme", job.KindAsync, "lost")}
			same(s, "jobs whose files go", slices.Sorted(slices.Values(hashes)), slices.Sorted(slices.Values(want)))
		}},
		{"an account that begins anew after its erasure knows nothing of the one before", func(s store) {
			s.life("acme")
			d := s.to("acme", "seen", "acme-e1")
			same(s, "health before", s.load(d.Ref()).Health.State, webhook.Failing)
			s.erase(s.erasure("acme", "", 1))
			s.endpoint("acme", "acme-e1")
			s.isHealthy(s.to("acme", "new", "acme-e1"))
			s.listsHealth("acme")
			accounts, err := s.LedgerAccounts(s.ctx(), "", 10)
			s.ok(err)
			same(s, "accounts of the ledger", accounts, []string{"acme"})
			s.listsAccounts(10)
			anew := webhook.Account{ID: "acme", Name: "Anew", CreatedAt: now(), UpdatedAt: now()}
			s.ok(s.PutAccount(s.ctx(), anew))
			s.listsAccounts(10, anew)
		}},
		{"an erased subject is gone with its jobs, and nobody else's job lacks anything", func(s store) {
			s.life("acme")
			s.life("other")
			other, kept := s.everything("other"), s.everythingOf("acme", job.KindAsync, "j3")
			done, hashes := s.erase(s.erasure("acme", "user-17", 1))
			same(s, "what other has", s.everything("other"), other)
			same(s, "what another subject of the account has", s.everythingOf("acme", job.KindAsync, "j3"), kept)
			for kind, ids := range map[job.Kind][]string{job.KindBatch: {"j1"}, job.KindAsync: {"j2", "lost"}} {
				for _, id := range ids {
					same(s, "what job "+id+" has", s.everythingOf("acme", kind, id), map[string]any{})
				}
			}
			_, err := s.Account(s.ctx(), "acme")
			s.ok(err)
			s.listsEndpoints("acme", "acme-e1", "acme-e2")
			s.erased(done, webhook.Erased{webhook.ErasedJobs: 2, webhook.ErasedEvents: 3, webhook.ErasedDeliveries: 6, webhook.ErasedAttempts: 6,
				webhook.ErasedResultSets: 1, webhook.ErasedDownloads: 2})
			want := []string{jobHash("acme", job.KindBatch, "j1"), jobHash("acme", job.KindAsync, "j2"), jobHash("acme", job.KindAsync, "lost")}
			same(s, "jobs whose files go", slices.Sorted(slices.Values(hashes)), slices.Sorted(slices.Values(want)))
			if strings.Contains(fmt.Sprintf("%+v", done), "user-17") {
				s.Errorf("the receipt names the subject: %+v", done)
			}
		}},
		{"what is written again between the two times of an erasure goes too", func(s store) {
			s.life("acme")
			e := s.erasure("acme", "", 1)
			s.ok(s.PutErasure(s.ctx(), e))
			e, _ = s.eraseUntil(e, webhook.StageSettle)
			s.life("acme")
			e, _ = s.eraseUntil(e, webhook.StagePurge)
			same(s, "what acme has", s.everything("acme"), map[string]any{})
			s.erased(e, webhook.Erased{webhook.ErasedJobs: 6, webhook.ErasedEvents: 10, webhook.ErasedDeliveries: 18, webhook.ErasedAttempts: 16,
				webhook.ErasedNotices: 2})
		}},
		{"an erasure of much goes on where it was, and counts everything once", func(s store) {
			const many = 130
			j := s.makeJob("acme", "large", job.KindBatch, "running", `"subject":"user-17"`)
			s.write(j)
			var all []webhook.Planned
			for i := range many {
				all = append(all, s.plan(j, webhook.JobProgress, fmt.Sprint(i), toURL("https://example.com/1"), toURL("https://example.com/2")))
			}
			_, err := s.Put(s.ctx(), all)
			s.ok(err)
			for i := range 2 {
				d := all[i].Deliveries[0]
				for range 3 {
					d = s.mustAttempt(d, webhook.StateWaiting)
				}
			}
			counted := func() int {
				n, err := s.Counted(s.ctx(), "acme", j.CreatedAt.Truncate(time.Hour))
				s.ok(err)
				return n
			}
			same(s, "deliveries that the ledger has counted", counted(), 2*many)
			done, _ := s.erase(s.erasure("acme", "user-17", 1))
			same(s, "deliveries that the ledger goes on to look for", counted(), 0)
			s.erased(done, webhook.Erased{webhook.ErasedJobs: 1, webhook.ErasedEvents: many, webhook.ErasedDeliveries: 2 * many, webhook.ErasedAttempts: 6})
			same(s, "what the job has", s.everythingOf("acme", job.KindBatch, "large"), map[string]any{})
		}},
		{"a step that is done again from where it was erases nothing and counts nothing", func(s store) {
			s.life("acme")
			e := s.erasure("acme", "user-17", 1)
			s.ok(s.PutErasure(s.ctx(), e))
			made := 0
			for _, err := range together(4, func(int) error {
				_, _, err := s.EraseStep(s.ctx(), e, now())
				return err
			}) {
				if err == nil {
					made++
					continue
				}
				s.want(err, webhook.ErrStale)
			}
			same(s, "steps made", made, 1)
			e, err := s.Erasure(s.ctx(), e.ID)
			s.ok(err)
			e, _ = s.eraseUntil(e, webhook.StagePurge)
			s.erased(e, webhook.Erased{webhook.ErasedJobs: 2, webhook.ErasedEvents: 3, webhook.ErasedDeliveries: 6, webhook.ErasedAttempts: 6})
		}},
	}
}

// erasure is a new one, the nth that was made.
func (s store) erasure(account, subject string, n int) webhook.Erasure {
	at := now().Truncate(time.Millisecond).Add(time.Duration(n) * time.Millisecond)
	return webhook.NewErasure("ers_"+webhook.TimePrefix(at)+"0123456789abcdef", account, subject, "k1", at)
}

func (s store) erasing(limit int, want ...webhook.Erasure) {
	s.Helper()
	list, err := s.RunningErasures(s.ctx(), limit)
	s.ok(err)
	same(s, "running erasures", list, want)
}

func (s store) pageErasures(limit int) (all []webhook.Erasure) {
	s.Helper()
	for after := ""; ; {
		list, next, err := s.Erasures(s.ctx(), after, limit)
		s.ok(err)
		all = append(all, list...)
		if after = next; next == "" {
			return all
		}
	}
}

// erase takes an erasure to its end, and returns the jobs whose files go.
func (s store) erase(e webhook.Erasure) (done webhook.Erasure, hashes []string) {
	s.Helper()
	s.ok(s.PutErasure(s.ctx(), e))
	e, hashes = s.eraseUntil(e, webhook.StagePurge)
	s.ok(s.PurgeErased(s.ctx()))
	done = e.Done(now())
	s.ok(s.UpdateErasure(s.ctx(), e, done))
	read, err := s.Erasure(s.ctx(), e.ID)
	s.ok(err)
	same(s, "receipt", read, done)
	return done, hashes
}

func (s store) eraseUntil(e webhook.Erasure, stage webhook.ErasureStage) (_ webhook.Erasure, hashes []string) {
	s.Helper()
	for steps := 0; ; steps++ {
		if steps > 200 {
			s.Fatalf("it does not end: %+v", e)
		}
		next := e
		switch {
		case len(e.JobHashes) > 0:
			hashes = append(hashes, e.JobHashes...)
			next.JobHashes, next.Version = nil, e.Version+1
			s.ok(s.UpdateErasure(s.ctx(), e, next))
		case e.Stage == stage:
			slices.Sort(hashes)
			return e, slices.Compact(hashes)
		default:
			more := false
			if e.Stage != webhook.StageSettle {
				var err error
				e, more, err = s.EraseStep(s.ctx(), e, now())
				s.ok(err)
			}
			if next = e; !more {
				next = e.Turn(now(), 0)
				s.ok(s.UpdateErasure(s.ctx(), e, next))
			}
		}
		e = next
	}
}

// erased compares the counts of what is named.
func (s store) erased(e webhook.Erasure, want webhook.Erased) {
	s.Helper()
	got := webhook.Erased{}
	for thing := range want {
		got[thing] = e.Counts[thing]
	}
	same(s, "counts", got, want)
}

func jobHash(account string, k job.Kind, id string) string {
	return files.JobHash(account, k, account+"-"+id)
}
