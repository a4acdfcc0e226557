package storetest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// Ledgers keeps what the ledger compares, and what came of it.
type Ledgers interface {
	// LedgerAccounts returns accounts after the given one, in order: those that
	// were written or have endpoints, and what else the store finds.
	LedgerAccounts(ctx context.Context, after string, limit int) ([]string, error)
	// JobsCreated calls f for an account's jobs that were created from one time to
	// before another, whole seconds. After about limit of them it stops at the
	// next second, which it returns; at the end it returns to.
	JobsCreated(ctx context.Context, account string, from, to time.Time, limit int, f func(webhook.WrittenJob)) (next time.Time, err error)
	// Booked calls f for an account's deliveries of jobs that were created so, in
	// any order, as JobsCreated does. It may pass over limit.
	Booked(ctx context.Context, account string, from, to time.Time, limit int, f func(webhook.Delivery)) (next time.Time, err error)
	// Counted returns how many deliveries of events that are not
	// EventType.Derivable were stored for jobs created in an hour. It may be too
	// few, never too many.
	Counted(ctx context.Context, account string, hour time.Time) (int, error)
	PutLedger(ctx context.Context, l webhook.Ledger) error
	// Ledger returns the last one of an account, or with "" that of all. ErrNotFound.
	Ledger(ctx context.Context, account string) (webhook.Ledger, error)
	// Ledgers returns those of accounts after the given one, in their order.
	Ledgers(ctx context.Context, after string, limit int) ([]webhook.Ledger, error)
	// LedgerCheck returns the last check, a zero one before the first.
	LedgerCheck(ctx context.Context) (webhook.LedgerCheck, error)
	// SetLedgerCheck replaces the one that was read, next.Version being
	// read.Version + 1. ErrStale when it has changed since.
	SetLedgerCheck(ctx context.Context, read, next webhook.LedgerCheck) error
}

func ledgerPromises() []promise {
	return []promise{
		{"the ledger's accounts are found in order, a page at a time", func(s store) {
			for _, id := range []string{"c", "a", "b"} {
				s.ok(s.PutAccount(s.ctx(), webhook.Account{ID: id, CreatedAt: now(), UpdatedAt: now()}))
				s.write(s.makeJob(id, "j_"+id, job.KindAsync, "pending", ""))
			}
			s.endpoint("d", "ep_d")
			s.finished("d", "j_d")
			var got []string
			for after := ""; len(got) < 10; {
				list, err := s.LedgerAccounts(s.ctx(), after, 2)
				s.ok(err)
				if len(list) == 0 {
					break
				}
				got = append(got, list...)
				after = list[len(list)-1]
			}
			same(s, "accounts", got, []string{"a", "b", "c", "d"})
		}},
		{"jobs are found by the time of their creation, with that of their last write where it can be told", func(s store) {
			hour := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
			before := now()
			s.writeAt("acme", "first", hour)
			s.writeAt("acme", "early", hour.Add(-time.Millisecond))
			s.writeAt("acme", "late", hour.Add(time.Hour))
			s.writeAt("acme", "last", hour.Add(time.Hour-time.Millisecond))
			s.writeAt("acme", "whole", hour.Add(30*time.Minute))
			s.writeAt("acme", "fraction", hour.Add(30*time.Minute+500*time.Millisecond))
			s.writeAt("other", "theirs", hour.Add(time.Minute))
			got := s.createdIn("acme", hour, hour.Add(time.Hour), 100)
			slices.Sort(got)
			same(s, "jobs", got, []string{"first", "fraction", "last", "whole"})
			_, err := s.JobsCreated(s.ctx(), "acme", hour, hour.Add(time.Second), 10, func(j webhook.WrittenJob) {
				if j.ChangedAt.Before(before.Add(-time.Second)) || j.ChangedAt.After(now().Add(time.Second)) {
					s.Errorf("job %s was changed at %v, want about now", j.ID, j.ChangedAt)
				}
			})
			s.ok(err)
		}},
		{"pages of jobs by their creation end between seconds, and leave none out", func(s store) {
			hour := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
			var want []string
			for i := range 30 {
				id := fmt.Sprintf("j%02d", i)
				s.writeAt("acme", id, hour.Add(time.Duration(i/5)*time.Second+time.Duration(i%5)*250*time.Millisecond))
				want = append(want, id)
			}
			for _, limit := range []int{1, 7, 100} {
				got := s.createdIn("acme", hour, hour.Add(time.Hour), limit)
				slices.Sort(got)
				same(s, fmt.Sprintf("jobs in pages of %d", limit), got, want)
			}
		}},
		{"deliveries are found by the time of their jobs' creation, each once, attempted or not", func(s store) {
			hour := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC) // makeJob's
			delivered := s.mustAttempt(s.finished("acme", "j1"), webhook.StateDelivered)
			waiting := s.mustAttempt(s.finished("acme", "j2"), webhook.StateWaiting)
			queued := s.finished("acme", "j3")
			s.finished("other", "j4")
			two := s.plan(s.makeJob("acme", "j5", job.KindAsync, "success", ""), webhook.JobFinished, "1", toURL("https://example.com/a"), toURL("https://example.com/b"))
			s.putOne(two)
			want := append([]webhook.Delivery{delivered, waiting, queued}, two.Deliveries...)
			slices.SortFunc(want, byID)
			for _, limit := range []int{1, 100} {
				same(s, "booked", s.booked("acme", hour, hour.Add(time.Hour), limit), want)
			}
			same(s, "booked an hour later", s.booked("acme", hour.Add(time.Hour), hour.Add(2*time.Hour), 100), nil)
		}},
		{"pages of deliveries by their jobs' creation end between seconds, are bounded, and leave none out", func(s store) {
			hour := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
			var want []webhook.Delivery
			for i := range 30 {
				at := hour.Add(time.Duration(i/5)*time.Second + time.Duration(i%5)*200*time.Millisecond)
				j, err := job.Decode(fmt.Appendf(nil, `{"id":"j%d","account":"acme","kind":"async","status":"success","run":1,"created_at":%q}`, i, at.Format(time.RFC3339Nano)))
				s.ok(err)
				d := s.putOne(s.plan(j, webhook.JobFinished, "1", toURL("https://example.com/hook")))
				if i%3 == 0 {
					d = s.mustAttempt(d, webhook.StateDelivered)
				}
				want = append(want, d)
			}
			slices.SortFunc(want, byID)
			for _, limit := range []int{1, 10, 100} {
				same(s, fmt.Sprintf("booked in pages of %d", limit), s.booked("acme", hour, hour.Add(time.Hour), limit), want)
			}
			n := 0
			next, err := s.Booked(s.ctx(), "acme", hour, hour.Add(time.Hour), 1, func(webhook.Delivery) { n++ })
			s.ok(err)
			if n > 15 || next.After(hour.Add(4*time.Second)) {
				s.Errorf("a page of one is %d deliveries, to %v", n, next)
			}
		}},
		{"a queued delivery that is made due stays queued, is due then, and ends with any attempt", func(s store) {
			one, two := s.finished("acme", "j1"), s.finished("acme", "j2")
			due := func(d *webhook.Delivery) {
				d.DueAt, d.UpdatedAt, d.Reason = now().Add(time.Minute), now(), "rung for again"
			}
			leased := s.change(one, due)
			s.change(two, due)
			same(s, "row", s.row(one.Ref()), leased)
			at := now().Add(2 * time.Minute)
			s.isDue(at, 10, "j1", "j2")
			s.mustAttempt(leased, webhook.StateDelivered)
			s.isDue(at, 10, "j2")
			s.mustAttempt(two, webhook.StateDelivered) // by who read it before
			s.isDue(at, 10)
		}},
		{"what a job's record does not tell of is counted as it is stored, once", func(s store) {
			hour := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
			j := s.makeJob("acme", "j1", job.KindAsync, "processing", "")
			one := s.plan(j, webhook.JobProgress, "1", toEndpoint("ep_1"), toEndpoint("ep_2"))
			_, err := s.Put(s.ctx(), []webhook.Planned{one})
			s.ok(err)
			s.counts("acme", hour, 2)
			_, err = s.Put(s.ctx(), []webhook.Planned{one})
			s.ok(err)
			s.counts("acme", hour, 2)
			more := s.plan(j, webhook.JobProgress, "1", toEndpoint("ep_1"), toEndpoint("ep_3"))
			_, err = s.Put(s.ctx(), []webhook.Planned{more, s.plan(j, webhook.JobProgress, "2", toEndpoint("ep_1"))})
			s.ok(err)
			s.counts("acme", hour, 4)
			s.finished("acme", "j2")
			s.counts("acme", hour, 4)
			s.counts("acme", hour.Add(time.Hour), 0)
			s.counts("other", hour, 0)
			j.Run = 0
			_, err = s.Put(s.ctx(), []webhook.Planned{s.plan(j, webhook.JobFinished, "3", toEndpoint("ep_1"))})
			s.ok(err)
			s.counts("acme", hour, 5)
		}},
		{"an event that many put at once is not counted twice", func(s store) {
			p := s.plan(s.makeJob("acme", "j1", job.KindAsync, "processing", ""), webhook.JobProgress, "1", toEndpoint("ep_1"))
			for _, err := range together(8, func(int) error {
				_, err := s.Put(s.ctx(), []webhook.Planned{p})
				return err
			}) {
				s.ok(err)
			}
			s.counts("acme", time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC), 1)
		}},
		{"the last ledger of each account is kept whole, and that of all apart", func(s store) {
			_, err := s.Ledger(s.ctx(), "acme")
			s.want(err, webhook.ErrNotFound)
			acme, all := ledgerOf("acme"), ledgerOf("")
			for _, l := range []webhook.Ledger{ledgerOf("zoo"), {Account: "acme", CheckedAt: now()}, acme, all, ledgerOf("bee")} {
				s.ok(s.PutLedger(s.ctx(), l))
			}
			got, err := s.Ledger(s.ctx(), "acme")
			s.ok(err)
			same(s, "ledger", got, acme)
			got, err = s.Ledger(s.ctx(), "")
			s.ok(err)
			same(s, "ledger of all", got, all)
			s.ledgersAfter("", 2, "acme", "bee")
			s.ledgersAfter("bee", 2, "zoo")
			s.ledgersAfter("zoo", 2)
		}},
		{"the check of the ledger is kept whole, and replaced as it was read only", func(s store) {
			first, err := s.LedgerCheck(s.ctx())
			s.ok(err)
			same(s, "check before the first", first, webhook.LedgerCheck{})
			next := webhook.LedgerCheck{
				At: now(), Done: true, Begun: now().Add(-time.Hour), Retention: time.Hour, Account: "acme", Hour: 2, From: now().Add(-time.Minute),
				Counted: 5, Found: 4, Tries: 3, LeaseUntil: now().Add(time.Minute), Version: 1,
			}
			next.Books, next.All = ledgerOf("acme"), ledgerOf("")
			next.Books.CheckedAt, next.All.CheckedAt = next.At, next.At
			s.ok(s.SetLedgerCheck(s.ctx(), first, next))
			s.want(s.SetLedgerCheck(s.ctx(), first, next), webhook.ErrStale)
			got, err := s.LedgerCheck(s.ctx())
			s.ok(err)
			same(s, "check", got, next)
			later := webhook.LedgerCheck{At: now().Add(time.Hour), Version: 2}
			s.ok(s.SetLedgerCheck(s.ctx(), got, later))
			s.want(s.SetLedgerCheck(s.ctx(), got, later), webhook.ErrStale)
		}},
		{"of many who claim a check at once, one gets it", func(s store) {
			claimed := 0
			for _, err := range together(8, func(int) error {
				return s.SetLedgerCheck(s.ctx(), webhook.LedgerCheck{}, webhook.LedgerCheck{At: now(), Version: 1})
			}) {
				if err == nil {
					claimed++
					continue
				}
				s.want(err, webhook.ErrStale)
			}
			same(s, "claims", claimed, 1)
		}},
	}
}

func byID(a, b webhook.Delivery) int {
	if a.ID < b.ID {
		return -1
	}
	return 1
}

// writeAt writes a pending job that was created at a time, as the API does.
func (s store) writeAt(account, id string, created time.Time) {
	s.Helper()
	j, err := job.Decode(fmt.Appendf(nil, `{"id":%q,"account":%q,"kind":"async","status":"pending","run":1,"created_at":%q,"updated_at":%q}`,
		id, account, created.Format(time.RFC3339Nano), now().Format(time.RFC3339Nano)))
	s.ok(err)
	s.write(j)
}

// createdIn reads all jobs of a time, page by page.
func (s store) createdIn(account string, from, to time.Time, limit int) (ids []string) {
	s.Helper()
	s.pages(from, to, func(from time.Time) (time.Time, error) {
		return s.JobsCreated(s.ctx(), account, from, to, limit, func(j webhook.WrittenJob) { ids = append(ids, j.ID) })
	})
	return ids
}

// booked reads all deliveries of a time, page by page, and sorts them.
func (s store) booked(account string, from, to time.Time, limit int) (list []webhook.Delivery) {
	s.Helper()
	s.pages(from, to, func(from time.Time) (time.Time, error) {
		return s.Booked(s.ctx(), account, from, to, limit, func(d webhook.Delivery) { list = append(list, d) })
	})
	slices.SortFunc(list, byID)
	return list
}

func (s store) pages(from, to time.Time, read func(from time.Time) (time.Time, error)) {
	s.Helper()
	for pages := 0; from.Before(to); pages++ {
		next, err := read(from)
		s.ok(err)
		if !next.After(from) || next.After(to) || next != next.Truncate(time.Second) || pages > 100 {
			s.Fatalf("a page from %v ends at %v; want a later second, at most %v", from, next, to)
		}
		from = next
	}
}

func (s store) counts(account string, hour time.Time, want int) {
	s.Helper()
	got, err := s.Counted(s.ctx(), account, hour)
	s.ok(err)
	same(s, "counted of "+account, got, want)
}

func ledgerOf(account string) webhook.Ledger {
	return webhook.Ledger{
		Account: account, CheckedAt: now(), Accepted: 12, States: map[webhook.State]int{webhook.StateDelivered: 9, webhook.StateQueued: 2},
		Difference: 2, Uncounted: 1, Missing: []string{"dlv_1"}, Unnamed: 1, Repaired: 1, Stuck: 2, WithoutJobs: true,
	}
}

func (s store) ledgersAfter(after string, limit int, want ...string) {
	s.Helper()
	list, err := s.Ledgers(s.ctx(), after, limit)
	s.ok(err)
	var got []string
	for _, l := range list {
		got = append(got, l.Account)
	}
	same(s, "accounts of the ledgers", got, want)
}
