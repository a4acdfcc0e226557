package sweep_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	driver "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/aws/aws-lambda-go/events"

	"github.com/jobhook/jobhook/functions/internal/dispatch"
	"github.com/jobhook/jobhook/functions/internal/metrics"
	"github.com/jobhook/jobhook/functions/internal/sweep"
	"github.com/jobhook/jobhook/functions/internal/world"
	"github.com/jobhook/jobhook/functions/internal/worldtest"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/keyfile"
	"github.com/jobhook/jobhook/shared/sqlite"
	"github.com/jobhook/jobhook/shared/webhook"
)

func TestTheBooksOfAnUntouchedWorldBalance(t *testing.T) {
	w := newBooks(t)
	w.fill(t)
	w.move(t, 20*time.Minute)
	all := w.check(t)
	w.wantBalance(t, all)
	if n := len(w.deliveries(t)); all.Accepted != n || n < 20 || all.Uncounted != 0 {
		t.Errorf("accepted %d and %d uncounted, want all of the %d deliveries accepted", all.Accepted, all.Uncounted, n)
	}
	if len(w.first.after)+len(w.retry.after) > 0 {
		t.Errorf("rang for %v and %v, want nothing", w.first.after, w.retry.after)
	}
	if acme, err := w.store.Ledger(t.Context(), "acme"); err != nil || acme.Accepted == 0 || acme.Accepted >= all.Accepted {
		t.Errorf("acme's books %+v, %v; want a part of all", acme, err)
	}
}

// TestTheLedgersLeftSideDoesNotComeFromTheDeliveries: without any of them it is
// what it was, and they are all missed, and come back under their ids.
func TestTheLedgersLeftSideDoesNotComeFromTheDeliveries(t *testing.T) {
	w := newBooks(t)
	w.fill(t)
	w.move(t, 20*time.Minute)
	before, ids := w.check(t), w.ends(t)
	w.sql(t, "DELETE FROM deliveries; DELETE FROM events; DELETE FROM attempts;")
	after := w.nextCheck(t)
	if after.Accepted != before.Accepted || len(after.States) != 0 {
		t.Errorf("accepted %d, there are %v; want %d and nothing", after.Accepted, after.States, before.Accepted)
	}
	if after.Difference != before.Accepted || after.Repaired != len(ids) || after.Unnamed != before.Accepted-len(ids) {
		t.Errorf("difference %d, %d repaired, %d unnamed; want all of %d, and all but progress repaired", after.Difference, after.Repaired, after.Unnamed, before.Accepted)
	}
	if diff := cmp.Diff(w.ends(t), ids); diff != "" {
		t.Errorf("deliveries that came back (-got +want):\n%s", diff)
	}
}

func TestAnEventWhoseRowsAreGoneIsNamedAndDelivered(t *testing.T) {
	w := newBooks(t)
	w.ended(t, "acme", "kept")
	w.ended(t, "acme", "lost")
	lost := w.of(t, "lost")
	w.attend(t)
	w.sql(t, "DELETE FROM deliveries WHERE job_id = 'lost'; DELETE FROM events WHERE job_id = 'lost';")
	w.move(t, 20*time.Minute)
	got := w.check(t)
	if want := idsOf(lost); got.Difference != len(want) || got.Repaired != len(want) || !slices.Equal(slices.Sorted(slices.Values(got.Missing)), want) {
		t.Errorf("difference %d, %d repaired, missing %v; want %v", got.Difference, got.Repaired, got.Missing, want)
	}
	for _, id := range got.Missing {
		if !strings.Contains(w.log.String(), id) {
			t.Errorf("the log does not name %s: %s", id, w.log)
		}
	}
	if !strings.Contains(w.metrics.String(), `"LedgerDifference":2`) {
		t.Errorf("metrics %s, want a difference of 2", w.metrics)
	}
	w.attend(t)
	for _, d := range w.of(t, "lost") {
		if d.State != webhook.StateDelivered {
			t.Errorf("%s is %s, want delivered", d.ID, d.State)
		}
	}
	w.wantBalance(t, w.nextCheck(t))
}

func TestAnEndThatDispatchNeverHeardOfIsDispatched(t *testing.T) {
	w := newBooks(t)
	w.write(t, record("acme", "quiet", "async", "success", w.created, ""))
	w.move(t, 20*time.Minute)
	w.endpoint(t, "ep_new") // which is not told of what was before it
	if got := w.check(t); got.Difference != 2 || got.Accepted != 2 || len(w.first.after) != 2 {
		t.Errorf("%+v, rang %v; want two missing, and rung for", got, w.first.after)
	}
	w.attend(t)
	w.wantBalance(t, w.nextCheck(t))
}

func TestOneMissingDeliveryOfAnEventIsSentAgainAlone(t *testing.T) {
	w := newBooks(t)
	w.ended(t, "acme", "j1")
	w.attend(t)
	w.sql(t, "DELETE FROM deliveries WHERE endpoint = 'ep_standard';")
	w.move(t, 20*time.Minute)
	w.endpoint(t, "ep_new") // which nobody told of the job
	got := w.check(t)
	if len(got.Missing) != 1 || len(w.first.after) != 1 || w.first.after[got.Missing[0]] != 0 {
		t.Errorf("missing %v, rang %v; want one", got.Missing, w.first.after)
	}
}

func TestAPurgedQueueComesBackWithTheNextCheck(t *testing.T) {
	w := newBooks(t)
	queue, err := w.store.OpenQueue(t.Context(), "first", sqlite.QueueOptions{Visibility: time.Minute, MaxReceives: 50})
	if err != nil {
		t.Fatal(err)
	}
	w.dispatch.Queue = queue
	for i := range 30 {
		w.ended(t, "acme", fmt.Sprintf("j%d", i))
	}
	queue.Close()
	w.sql(t, "DELETE FROM messages;")
	w.reopen(t)
	w.move(t, 40*time.Minute)
	got := w.check(t)
	if got.Difference != 0 || got.Stuck != 60 || got.States[webhook.StateQueued] != 60 {
		t.Errorf("%+v, want 60 stuck", got)
	}
	if len(w.retry.after) != 60 {
		t.Errorf("rang for %d, want all of the 60", len(w.retry.after))
	}
	if !strings.Contains(w.metrics.String(), `"LedgerStuck":60`) {
		t.Errorf("metrics %s, want 60 stuck", w.metrics)
	}
	w.attend(t)
	w.wantBalance(t, w.nextCheck(t))
}

func TestWhatAQueueLosesComesBack(t *testing.T) {
	w := newBooks(t)
	w.dispatch.Queue = deaf{}
	w.ended(t, "acme", "j1")
	w.step(t, "acme", "p1", "1")
	w.move(t, 20*time.Minute)
	if got := w.check(t); got.Stuck != 0 {
		t.Errorf("%d are stuck after 20 minutes, want none yet", got.Stuck)
	}
	if got := w.nextCheck(t); got.Stuck != 3 || len(w.retry.after) != 3 {
		t.Errorf("%d are stuck, rang for %v; want three", got.Stuck, w.retry.after)
	}
}

// TestWhatIsRungForAgainIsLeasedAndNotStuckInTheNextCheck: the message may only
// be late.
func TestWhatIsRungForAgainIsLeasedAndNotStuckInTheNextCheck(t *testing.T) {
	w := newBooks(t)
	w.dispatch.Queue = deaf{}
	w.ended(t, "acme", "j1")
	w.move(t, 40*time.Minute)
	if got := w.check(t); got.Stuck != 2 || len(w.retry.after) != 2 {
		t.Fatalf("%+v, rang for %v; want both stuck", got, w.retry.after)
	}
	for _, d := range w.of(t, "j1") {
		if d.State != webhook.StateQueued || d.Reason != "rung for again" || !d.DueAt.Equal(w.now.Add(15*time.Minute).Truncate(time.Microsecond)) {
			t.Errorf("%s (%s), due at %v; want it queued, and due in 15 minutes", d.State, d.Reason, d.DueAt)
		}
	}
	first := w.last(t).At
	for w.last(t).At.Equal(first) {
		w.now = w.now.Add(5 * time.Minute)
		w.run(t, t.Context())
	}
	if got := w.last(t); !got.Done || got.All.Stuck != 0 {
		t.Errorf("%+v, want nothing stuck as long as sweep rings", got.All)
	}
}

func TestWhatSomebodyAttendsToMeanwhileIsNotRungForAgain(t *testing.T) {
	w := newBooks(t)
	w.dispatch.Queue = deaf{}
	w.ended(t, "acme", "j1")
	w.move(t, 40*time.Minute)
	w.sweep.Ledger.Books = overtaken{w.store, func(d webhook.Delivery) {
		next := d
		next.State, next.Attempts, next.NextAt, next.UpdatedAt = webhook.StateWaiting, 1, w.now.Add(time.Hour), w.now
		w.must(t, w.store.Record(t.Context(), d, next, nil))
	}}
	if got := w.check(t); got.Stuck != 0 || len(w.retry.after) != 0 {
		t.Errorf("%+v, rang for %v; want nothing", got, w.retry.after)
	}
}

// overtaken lets something happen to each delivery after it was read.
type overtaken struct {
	*sqlite.Store
	happens func(webhook.Delivery)
}

func (o overtaken) Booked(ctx context.Context, account string, from, to time.Time, limit int, f func(webhook.Delivery)) (time.Time, error) {
	var all []webhook.Delivery
	next, err := o.Store.Booked(ctx, account, from, to, limit, func(d webhook.Delivery) { all = append(all, d) })
	for _, d := range all {
		f(d)
		o.happens(d)
	}
	return next, err
}

func TestProgressWhoseRowsAreGoneIsADifferenceWithoutNames(t *testing.T) {
	w := newBooks(t)
	w.step(t, "acme", "p1", "1")
	w.step(t, "acme", "p1", "2")
	w.attend(t)
	w.sql(t, "DELETE FROM deliveries WHERE sequence = '1'; DELETE FROM events WHERE sequence = '1';")
	w.move(t, 20*time.Minute)
	if got := w.check(t); got.Accepted != 2 || got.Difference != 1 || got.Unnamed != 1 || got.Repaired != 0 || len(got.Missing) != 0 {
		t.Errorf("%+v, want one of two missing, without a name", got)
	}
	if !strings.Contains(w.metrics.String(), `"LedgerDifference":1`) {
		t.Errorf("metrics %s, want a difference of 1", w.metrics)
	}
}

func TestProgressIsCountedOnceHoweverOftenItIsDispatched(t *testing.T) {
	w := newBooks(t)
	w.step(t, "acme", "p1", "1")
	w.step(t, "acme", "p1", "1") // the stream came back with it
	w.attend(t)
	w.move(t, 20*time.Minute)
	w.wantBalance(t, w.check(t))
	w.sql(t, "UPDATE ledger_counts SET deliveries = 2 * deliveries;")
	if got := w.nextCheck(t); got.Difference != 1 || got.Unnamed != 1 {
		t.Errorf("%+v, want a difference if dispatch counted twice", got)
	}
}

func TestACountThatWasLostRaisesNoAlarm(t *testing.T) {
	w := newBooks(t)
	w.step(t, "acme", "p1", "1")
	w.attend(t)
	w.sql(t, "DELETE FROM ledger_counts;")
	w.move(t, 20*time.Minute)
	if got := w.check(t); got.Difference != 0 || got.Uncounted != 1 || strings.Contains(w.metrics.String(), "LedgerDifference") {
		t.Errorf("%+v, metrics %s; want one uncounted, and no alarm", got, w.metrics)
	}
}

func TestWhatDispatchMayStillBeAtIsNotMissed(t *testing.T) {
	w := newBooks(t)
	w.write(t, record("acme", "j1", "async", "success", w.created, ""))
	w.sql(t, "UPDATE jobs SET updated_at = updated_at + 3600000000;") // just now
	w.move(t, 50*time.Minute)
	if got := w.check(t); got.Difference != 0 || len(w.first.after) != 0 || strings.Contains(w.metrics.String(), "LedgerDifference") {
		t.Errorf("%+v after 50 minutes, want dispatch left alone", got)
	}
	if got := w.nextCheck(t); got.Difference != 2 {
		t.Errorf("%+v more than an hour later, want both missed", got)
	}
}

func TestADeliveryToAnEndpointThatWasChangedSinceIsNotMissed(t *testing.T) {
	for name, change := range map[string]func(*books){
		"added":   func(w *books) { w.endpoint(t, "ep_new") },
		"changed": func(w *books) { w.subscribe(t, "ep_quiet", webhook.JobFinished) },
		"removed": func(w *books) { w.must(t, w.store.DeleteEndpoint(t.Context(), "acme", "ep_standard")) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newBooks(t)
			w.ended(t, "acme", "j1")
			w.attend(t)
			change(w)
			w.move(t, 20*time.Minute)
			w.wantBalance(t, w.check(t))
		})
	}
}

func TestAnAccountWithoutEndpointsOwesAReason(t *testing.T) {
	w := newBooks(t)
	w.ended(t, "alone", "j1")
	w.move(t, 20*time.Minute)
	if got := w.check(t); got.Accepted != 1 || got.States[webhook.StateDeclined] != 1 {
		t.Errorf("%+v, want one declined", got)
	}
	w.sql(t, "DELETE FROM deliveries; DELETE FROM events;")
	if got := w.nextCheck(t); got.Difference != 1 || len(w.of(t, "j1")) != 1 {
		t.Errorf("%+v, want the reason missed and written again", got)
	}
}

func TestAnEndThatWasToldOtherwiseIsNotToldAgain(t *testing.T) {
	w := newBooks(t)
	w.apply(t, record("acme", "s1", "scraping", "stopped", w.created, ""), "")
	w.write(t, record("acme", "s1", "scraping", "shelved", w.created, ""))
	w.attend(t)
	w.move(t, 20*time.Minute)
	if got := w.check(t); got.Difference != 0 || got.Uncounted != 2 || len(w.first.after) != 0 {
		t.Errorf("%+v, rang for %v; want nothing missed", got, w.first.after)
	}
}

func TestAnEndAndAResultSetThatCameApartBalance(t *testing.T) {
	w := newBooks(t)
	w.endpoint(t, "ep_ends")
	w.subscribe(t, "ep_ends", webhook.JobFinished)
	w.endpoint(t, "ep_sets")
	w.subscribe(t, "ep_sets", webhook.ResultSetReady)
	w.sql(t, "UPDATE endpoints SET created_at = 0, updated_at = 0;")
	w.reopen(t)
	w.ended(t, "acme", "j1")
	const set = `,"result_set":{"id":1,"token":"t","pages":1}`
	w.apply(t, record("acme", "j1", "async", "success", w.created, set), record("acme", "j1", "async", "success", w.created, ""))
	w.attend(t)
	w.move(t, 20*time.Minute)
	w.wantBalance(t, w.check(t))
	w.sql(t, "DELETE FROM deliveries WHERE event_type = 'result_set.ready'; DELETE FROM events WHERE type = 'result_set.ready';")
	if got := w.nextCheck(t); got.Difference == 0 || got.Difference != len(got.Missing) {
		t.Errorf("%+v, want the result set missed", got)
	}
}

func TestWhatHasExpiredIsNotSentAgain(t *testing.T) {
	w := newBooks(t)
	week := time.Now().UTC().Add(-7*24*time.Hour + 30*time.Minute)
	w.must(t, w.store.PutAccount(t.Context(), webhook.Account{ID: "brief", Quotas: webhook.Quotas{RetentionDays: 1}, CreatedAt: week.Add(-time.Hour), UpdatedAt: week.Add(-time.Hour)}))
	w.write(t, record("brief", "old", "async", "success", week, ""))
	w.write(t, record("alone", "old2", "async", "success", week, ""))
	w.sql(t, "UPDATE jobs SET updated_at = created_at;")
	w.now = week.Truncate(time.Hour).Add(7*24*time.Hour + time.Minute)
	if got := w.check(t); got.Accepted != 0 {
		t.Errorf("%+v: the books begin with the first check, want nothing of a week before", got)
	}
	w.must(t, w.store.SetLedgerCheck(t.Context(), w.last(t), webhook.LedgerCheck{
		At: w.now.Add(-time.Hour), Done: true, Begun: week.Add(-time.Hour), Retention: dispatch.DefaultRetention, Version: w.last(t).Version + 1}))
	w.restart()
	if got := w.check(t); got.Accepted != 1 || len(w.of(t, "old2")) != 1 || len(w.of(t, "old")) != 0 {
		t.Errorf("%+v, want the one missed that is kept for a month, and not the other", got)
	}
}

// TestWhatIsStuckIsRungForThoughItsHourCannotBeCompared: what must be there of
// such an hour is unknown, but what is there must move.
func TestWhatIsStuckIsRungForThoughItsHourCannotBeCompared(t *testing.T) {
	for _, tt := range []struct {
		name string
		make func(t *testing.T, w *books)
	}{
		{"the first check comes hours late", func(*testing.T, *books) {}},
		{"retention was changed", func(t *testing.T, w *books) {
			w.must(t, w.store.SetLedgerCheck(t.Context(), webhook.LedgerCheck{}, webhook.LedgerCheck{
				At: w.now.Add(-time.Hour), Done: true, Begun: w.created.Add(-24 * time.Hour), Retention: time.Hour, Version: 1}))
		}},
		{"the account was written since", func(t *testing.T, w *books) {
			w.must(t, w.store.SetLedgerCheck(t.Context(), webhook.LedgerCheck{}, webhook.LedgerCheck{
				At: w.now.Add(-time.Hour), Done: true, Begun: w.created.Add(-24 * time.Hour), Retention: dispatch.DefaultRetention, Version: 1}))
			w.must(t, w.store.PutAccount(t.Context(), webhook.Account{ID: "acme", CreatedAt: w.created, UpdatedAt: w.now}))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newBooks(t)
			w.dispatch.Queue = deaf{}
			w.ended(t, "acme", "purged")
			w.dispatch.Queue = w.first
			w.write(t, record("acme", "unheard", "async", "success", w.created, ""))
			w.now = w.created.Truncate(time.Hour).Add(6*time.Hour + time.Minute)
			tt.make(t, w)
			got := w.check(t)
			if got.Stuck != 2 || len(w.retry.after) != 2 {
				t.Errorf("%+v, rang for %v; want the two of the queue that was purged", got, w.retry.after)
			}
			if got.Accepted != 0 || len(w.of(t, "unheard")) != 0 {
				t.Errorf("%+v, and %v; want the end that nobody was told of left alone", got, w.of(t, "unheard"))
			}
			if acme, err := w.store.Ledger(t.Context(), "acme"); err != nil || acme.Stuck != 2 {
				t.Errorf("acme's books %+v, %v; want them to tell of two", acme, err)
			}
			w.attend(t)
			for _, d := range w.of(t, "purged") {
				if d.State != webhook.StateDelivered {
					t.Errorf("%s is %s, want delivered", d.ID, d.State)
				}
			}
			w.now = w.created.Truncate(time.Hour).Add(24*time.Hour + time.Minute)
			if next := w.check(t); next.Stuck != 0 {
				t.Errorf("%+v, want nothing stuck any more a day later", next)
			}
		})
	}
}

// TestAnHourThatCannotBeSettledBalances: what was found of it before is there.
func TestAnHourThatCannotBeSettledBalances(t *testing.T) {
	for _, tt := range []struct {
		name   string
		hour   int // of webhook.LedgerHours
		quotas webhook.Quotas
		broken string // whose deliveries cannot be read
		kept   bool   // the account's ledger
	}{
		{"the account was written meanwhile", 4, webhook.Quotas{}, "", true},
		{"its deliveries are kept for a day only, and not read", 5, webhook.Quotas{RetentionDays: 1}, "acme", true},
		{"the account is passed over", 4, webhook.Quotas{}, "acme", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newBooks(t)
			w.sweep.Ledger.Books = unreadable{w.store, tt.broken}
			w.now = w.created.Truncate(time.Hour).Add(30*time.Hour + time.Minute)
			w.must(t, w.store.PutAccount(t.Context(), webhook.Account{ID: "acme", Quotas: tt.quotas, CreatedAt: w.created, UpdatedAt: w.now}))
			hour := webhook.LedgerHours(w.now)[tt.hour]
			w.must(t, w.store.SetLedgerCheck(t.Context(), webhook.LedgerCheck{}, webhook.LedgerCheck{
				At: w.now, Begun: w.created.Add(-30 * 24 * time.Hour), Retention: dispatch.DefaultRetention, Version: 1, Tries: 4,
				Account: "acme", Hour: tt.hour, From: hour.Add(time.Minute), Counted: 3, Found: 3,
				Books: webhook.Ledger{Account: "acme", CheckedAt: w.now, States: map[webhook.State]int{webhook.StateDelivered: 3}}}))
			if got := w.check(t); got.Uncounted != 3 || got.States[webhook.StateDelivered] != 3 || got.Accepted != 0 || got.Difference != 0 {
				t.Errorf("%+v, want the three that were found there, and nobody to have counted them", got)
			}
			if l, err := w.store.Ledger(t.Context(), "acme"); (err == nil) != tt.kept {
				t.Errorf("acme's ledger %+v, %v; want it kept: %t", l, err, tt.kept)
			}
		})
	}
}

func TestTheBooksAreCheckedOnceAnHour(t *testing.T) {
	w := newBooks(t)
	w.ended(t, "acme", "j1")
	w.attend(t)
	w.now = w.created.Truncate(time.Hour).Add(time.Hour + 20*time.Minute)
	w.wantBalance(t, w.check(t))
	w.sql(t, "DELETE FROM deliveries; DELETE FROM events;")
	for range 3 {
		w.now = w.now.Add(10 * time.Minute)
		w.restart()
		w.run(t, t.Context())
	}
	if len(w.first.after) != 0 {
		t.Fatalf("rang for %v within the hour, want the next check to do that", w.first.after)
	}
	if got := w.nextCheck(t); got.Difference != 2 {
		t.Errorf("%+v, want two missing in the next hour", got)
	}
}

func TestTheFirstCheckIsMadeSoonAfterTheStart(t *testing.T) {
	w := newBooks(t)
	w.now = w.created.Truncate(time.Hour).Add(time.Hour + 10*time.Minute)
	w.check(t)
	w.sweep.Ledger.First = time.Minute
	w.restart()
	w.ended(t, "acme", "j1")
	w.attend(t)
	w.sql(t, "DELETE FROM deliveries; DELETE FROM events;")
	w.now = w.now.Add(20 * time.Minute)
	w.run(t, t.Context())
	if len(w.first.after) != 0 {
		t.Errorf("rang for %v at the start, want a minute's rest", w.first.after)
	}
	for range 3 {
		w.now = w.now.Add(time.Minute)
		w.run(t, t.Context())
	}
	if len(w.first.after) != 2 || w.first.count != 2 {
		t.Errorf("rang %d times for %v, want once for the two that were lost", w.first.count, w.first.after)
	}
}

// TestACheckGoesOnWhereTheRunBeforeItEnded: with no time but for one step, every
// run does one.
func TestACheckGoesOnWhereTheRunBeforeItEnded(t *testing.T) {
	w := newBooks(t)
	w.fill(t)
	w.sql(t, "DELETE FROM deliveries WHERE endpoint = 'ep_standard' AND event_type NOT IN ('job.progress')")
	w.move(t, 20*time.Minute)
	runs := 0
	for ; !w.last(t).Done && runs < 200; runs++ {
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		w.run(t, ctx)
		cancel()
	}
	all, err := w.store.Ledger(t.Context(), "")
	if err != nil || runs < 20 || all.Difference == 0 || all.Difference != w.first.count || all.Difference != all.Repaired {
		t.Errorf("%d runs, %d rung, %+v, %v; want many runs, and each missing one rung for once", runs, w.first.count, all, err)
	}
	w.attend(t)
	if again := w.nextCheck(t); again.Accepted != all.Accepted || again.Difference != 0 {
		t.Errorf("accepted %d and then %d, difference %d; want the same and none", all.Accepted, again.Accepted, again.Difference)
	}
}

func TestARunThatEndsInTheMiddleKeepsOthersOffForMinutesOnly(t *testing.T) {
	w := newBooks(t)
	w.ended(t, "acme", "j1")
	w.attend(t)
	w.sql(t, "DELETE FROM deliveries; DELETE FROM events;")
	w.move(t, 20*time.Minute)
	w.must(t, w.store.SetLedgerCheck(t.Context(), webhook.LedgerCheck{}, webhook.LedgerCheck{At: w.now, Retention: dispatch.DefaultRetention, LeaseUntil: w.now.Add(time.Minute), Version: 1}))
	w.run(t, t.Context())
	if len(w.first.after) != 0 {
		t.Error("two runs went on with one check")
	}
	w.now = w.now.Add(2 * time.Minute)
	w.run(t, t.Context())
	if len(w.first.after) != 2 {
		t.Errorf("rang for %v, want the run that ended to be made up for", w.first.after)
	}
}

func TestAnAccountWhoseBooksCannotBeReadHoldsUpNobody(t *testing.T) {
	w := newBooks(t)
	w.ended(t, "acme", "j1")
	w.ended(t, "zoo", "j2")
	w.attend(t)
	w.sql(t, "DELETE FROM deliveries; DELETE FROM events;")
	w.move(t, 20*time.Minute)
	w.sweep.Ledger.Books = unreadable{w.store, "acme"}
	failed := 0
	for w.sweep.Handle(t.Context(), events.EventBridgeEvent{}) != nil && failed < 100 {
		failed++
	}
	if failed != 4 || !w.last(t).Done || !strings.Contains(w.log.String(), "ledger.skipped") {
		t.Errorf("%d runs failed, and %+v; want 4, and the fifth to go on without the account", failed, w.last(t))
	}
	if _, err := w.store.Ledger(t.Context(), "acme"); !errors.Is(err, webhook.ErrNotFound) {
		t.Errorf("got %v, want no ledger of an account that was passed over", err)
	}
	if len(w.of(t, "j2")) == 0 || len(w.of(t, "j1")) != 0 {
		t.Errorf("got %d deliveries of the account that can be read, %d of the other; want it repaired", len(w.of(t, "j2")), len(w.of(t, "j1")))
	}
}

// TestAnAccountWhoseBooksTakeTooLongHoldsUpNobody: reading them takes longer than
// a run has, each time.
func TestAnAccountWhoseBooksTakeTooLongHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newBooks(t)
		w.write(t, record("acme", "j1", "async", "success", w.created, ""))
		w.move(t, 20*time.Minute)
		w.sweep.Ledger.Books = endless{w.store, "acme"}
		runs, last := 0, webhook.LedgerCheck{}
		for ; !w.last(t).Done && runs < 20; runs++ {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			w.run(t, ctx)
			if ctx.Err() != nil {
				t.Error("the invocation timed out")
			}
			cancel()
			if now := w.last(t); now.Version == last.Version || !now.LeaseUntil.IsZero() {
				t.Fatalf("the check is at %+v after one at %+v; want progress noted", now, last)
			} else {
				last = now
			}
		}
		if runs > 7 || !strings.Contains(w.log.String(), "ledger.skipped") {
			t.Errorf("%d runs, log %s; want the account passed over", runs, w.log)
		}
	})
}

// endless never gets to the end of one account's deliveries.
type endless struct {
	*sqlite.Store
	account string
}

func (e endless) Booked(ctx context.Context, account string, from, to time.Time, limit int, f func(webhook.Delivery)) (time.Time, error) {
	if account == e.account {
		<-ctx.Done()
		return to, ctx.Err()
	}
	return e.Store.Booked(ctx, account, from, to, limit, f)
}

func TestARepairThatFailsHalfwayTellsOfBothHalves(t *testing.T) {
	w := newBooks(t)
	for _, id := range []string{"j1", "j2", "j3"} {
		w.write(t, record("acme", id, "async", "success", w.created, ""))
	}
	w.move(t, 20*time.Minute)
	w.sweep.Ledger.Ends = &brokenEnds{Ends: w.dispatch, at: 2}
	if err := w.sweep.Handle(t.Context(), events.EventBridgeEvent{}); err == nil {
		t.Error("a repair that failed was not reported")
	}
	got := w.check(t)
	if got.Difference != 6 || got.Repaired != 6 || len(got.Missing) != 6 {
		t.Errorf("%+v, want all six missed and repaired", got)
	}
	sum := 0
	for _, n := range got.States {
		sum += n
	}
	if got.Accepted+got.Uncounted != sum+got.Difference {
		t.Errorf("%+v does not add up", got)
	}
}

// brokenEnds fails at one repair.
type brokenEnds struct {
	sweep.Ends
	at int
}

func (b *brokenEnds) Again(ctx context.Context, j job.Job, planned []webhook.Planned) error {
	if b.at--; b.at == 0 {
		return errors.New("throttled")
	}
	return b.Ends.Again(ctx, j, planned)
}

func TestWhatARepairCannotSendIsFoundAgain(t *testing.T) {
	w := newBooks(t)
	w.write(t, record("acme", "j1", "async", "success", w.created, ""))
	w.move(t, 20*time.Minute)
	w.first.err = errors.New("throttled")
	if err := w.sweep.Handle(t.Context(), events.EventBridgeEvent{}); err == nil {
		t.Error("a repair that failed was not reported")
	}
	w.first.err = nil
	w.sql(t, "DELETE FROM deliveries; DELETE FROM events;")
	if got := w.check(t); got.Difference != 2 || len(w.first.after) != 2 {
		t.Errorf("%+v, rang for %v; want both", got, w.first.after)
	}
}

func TestWhatIsBeingErasedIsNotSentAgain(t *testing.T) {
	w := newBooks(t)
	w.step(t, "acme", "p1", "1")
	w.ended(t, "acme", "j1")
	w.attend(t)
	w.sql(t, "DELETE FROM deliveries; DELETE FROM events;")
	w.move(t, 20*time.Minute)
	e := webhook.NewErasure("ers_1", "acme", "", "key", w.now)
	w.must(t, w.store.PutErasure(t.Context(), e))
	if got := w.check(t); got.Difference != 0 || len(w.first.after) != 0 {
		t.Errorf("%+v, rang for %v; want nothing", got, w.first.after)
	}
	done := e
	done.State, done.DoneAt, done.UpdatedAt, done.Version = webhook.ErasureDone, w.now, w.now, 2
	w.must(t, w.store.UpdateErasure(t.Context(), e, done))
	if got := w.nextCheck(t); got.Unnamed != 0 {
		t.Errorf("%+v, want the progress that was erased not missed", got)
	}
}

func TestWhereThePlatformKeepsItsJobsTheRestIsChecked(t *testing.T) {
	w := newBooks(t)
	w.dispatch.Queue = deaf{}
	w.ended(t, "acme", "j1")
	w.step(t, "acme", "p1", "1")
	w.sweep.Ledger.Books = foreign{w.store}
	w.move(t, 40*time.Minute)
	if got := w.check(t); !got.WithoutJobs || got.Stuck != 3 || got.Uncounted != 2 || got.Accepted != 1 || got.Difference != 0 {
		t.Errorf("%+v, want three stuck, and one accepted by its count", got)
	}
}

// deaf loses every doorbell.
type deaf struct{}

func (deaf) Ring(context.Context, []webhook.Doorbell) error { return nil }

// unreadable fails to read the deliveries of one account.
type unreadable struct {
	*sqlite.Store
	account string
}

func (u unreadable) Booked(ctx context.Context, account string, from, to time.Time, limit int, f func(webhook.Delivery)) (time.Time, error) {
	if account == u.account {
		return to, errors.New("a row cannot be read")
	}
	return u.Store.Booked(ctx, account, from, to, limit, f)
}

// foreign has no job records.
type foreign struct{ *sqlite.Store }

func (foreign) JobsCreated(_ context.Context, _ string, _, to time.Time, _ int, _ func(webhook.WrittenJob)) (time.Time, error) {
	return to, webhook.ErrNotFound
}

// books is a world whose store can be looked into, and hurt.
type books struct {
	dir      string
	key      *keyfile.Key
	store    *sqlite.Store
	created  time.Time // of the jobs
	now      time.Time
	first    *bells // of dispatch
	retry    *bells // of sweep
	dispatch *dispatch.Handler
	sweep    *sweep.Handler
	log      *bytes.Buffer
	metrics  *bytes.Buffer
	sequence int
}

func newBooks(t *testing.T) *books {
	t.Helper()
	now := time.Now().UTC()
	w := &books{dir: t.TempDir(), now: now, created: now.Add(-5 * time.Minute).Truncate(time.Millisecond), log: &bytes.Buffer{}, metrics: &bytes.Buffer{}}
	var err error
	if w.key, err = keyfile.Open(filepath.Join(w.dir, "key")); err != nil {
		t.Fatal(err)
	}
	w.store = w.open(t)
	t.Cleanup(func() { w.store.Close() })
	w.must(t, world.Apply(t.Context(), worldtest.Fixtures, w.store, worldtest.Start()))
	w.must(t, w.store.PutEndpoint(t.Context(), webhook.Endpoint{ID: "ep_progress", Account: "zoo", URL: "https://receiver.example/zoo", Format: "standard",
		Types: []webhook.EventType{webhook.JobProgress}, Status: webhook.EndpointEnabled, CreatedAt: worldtest.Start(), UpdatedAt: worldtest.Start()}))
	w.wire()
	return w
}

func (w *books) wire() {
	clock := func() time.Time { return w.now }
	log := slog.New(slog.NewTextHandler(w.log, nil))
	w.first, w.retry = newBells(), newBells()
	w.dispatch = &dispatch.Handler{Store: w.store, Queue: w.first, Now: clock, Log: log}
	w.sweep = &sweep.Handler{Store: w.store, Queue: w.retry, Horizon: time.Minute, Now: clock, Log: log, Metrics: metrics.New(w.metrics, "test", "sweep"),
		Ledger: &sweep.Ledger{Books: w.store, Ends: w.dispatch}}
}

func newBells() *bells { return &bells{after: map[string]time.Duration{}} }

func (w *books) open(t *testing.T) *sqlite.Store {
	t.Helper()
	store, err := sqlite.Open(t.Context(), w.dir, sqlite.Options{Sealer: w.key, Durability: sqlite.DurableProcess})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// reopen is a new process on the same file.
func (w *books) reopen(t *testing.T) {
	t.Helper()
	w.must(t, w.store.Close())
	w.store = w.open(t)
	w.wire()
}

// restart is a new process with the same store.
func (w *books) restart() {
	w.sweep.Ledger = &sweep.Ledger{Books: w.sweep.Ledger.Books, Ends: w.dispatch, First: w.sweep.Ledger.First}
}

func (w *books) must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// sql does to the file what nobody should.
func (w *books) sql(t *testing.T, script string) {
	t.Helper()
	conn, err := driver.OpenConn(filepath.Join(w.dir, sqlite.FileName), driver.OpenReadWrite|driver.OpenWAL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	w.must(t, sqlitex.ExecuteScript(conn, script, nil))
}

// move lets time pass. The store dates the writes of jobs by itself.
func (w *books) move(t *testing.T, d time.Duration) {
	t.Helper()
	w.now = time.Now().UTC().Add(d)
}

func (w *books) run(t *testing.T, ctx context.Context) {
	t.Helper()
	w.must(t, w.sweep.Handle(ctx, events.EventBridgeEvent{}))
}

// check runs sweep until the books are checked, and returns the ledger of all.
// A run without a deadline gives a check a moment only, which is short on a
// machine that is busy.
func (w *books) check(t *testing.T) webhook.Ledger {
	t.Helper()
	w.run(t, t.Context())
	for tries := 0; !w.last(t).Done && tries < 100; tries++ {
		w.run(t, t.Context())
	}
	if !w.last(t).Done {
		t.Fatalf("the check is not done: %+v", w.last(t))
	}
	l, err := w.store.Ledger(t.Context(), "")
	w.must(t, err)
	return l
}

// nextCheck is that of the next hour.
func (w *books) nextCheck(t *testing.T) webhook.Ledger {
	t.Helper()
	w.now = w.now.Truncate(time.Hour).Add(time.Hour + 31*time.Minute)
	return w.check(t)
}

func (w *books) last(t *testing.T) webhook.LedgerCheck {
	t.Helper()
	c, err := w.store.LedgerCheck(t.Context())
	w.must(t, err)
	return c
}

func (w *books) wantBalance(t *testing.T, l webhook.Ledger) {
	t.Helper()
	sum := 0
	for _, n := range l.States {
		sum += n
	}
	if l.Difference != 0 || l.Stuck != 0 || len(l.Missing) != 0 || l.Accepted == 0 || l.Accepted+l.Uncounted != sum {
		t.Errorf("%+v, want nothing missing and nothing stuck", l)
	}
}

// fill makes jobs of every kind, dispatches and delivers what they lead to.
func (w *books) fill(t *testing.T) {
	t.Helper()
	for kind, status := range map[string]string{"async": "success", "batch": "idle", "pipeline": "completed", "scraping": "finished"} {
		for _, account := range []string{"acme", "alone", "zoo"} {
			w.apply(t, record(account, kind+account, kind, status, w.created, ""), "")
		}
	}
	w.apply(t, record("acme", "failed", "async", "error", w.created, ""), "")
	w.apply(t, record("acme", "set", "async", "success", w.created, `,"result_set":{"id":1,"token":"t","pages":1}`), "")
	w.apply(t, record("acme", "named", "pipeline", "failed", w.created,
		`,"webhooks":{"progress":"https://receiver.example/p","result":"https://receiver.example/r"}`), "")
	w.apply(t, record("acme", "running", "async", "processing", w.created, ""), "")
	for i := range 3 {
		w.step(t, "acme", "p1", fmt.Sprint(i+1))
		w.step(t, "zoo", "p2", fmt.Sprint(i+1))
	}
	w.attend(t)
}

func record(account, id, kind, status string, created time.Time, more string) string {
	return fmt.Sprintf(`{"account":%q,"kind":%q,"id":%q,"status":%q,"run":1,"created_at":%q%s}`, account, kind, id, status, created.Format(time.RFC3339Nano), more)
}

// write writes a job, and nobody is told. The store dates it by itself: it is
// made an hour older, so that dispatch has had its time.
func (w *books) write(t *testing.T, record string) job.Job {
	t.Helper()
	j := decode(t, []byte(record))
	_, _, err := w.store.WriteJob(t.Context(), j.ID, j.Kind, func(*job.Job) (job.Job, error) { return j, nil })
	w.must(t, err)
	w.sql(t, fmt.Sprintf("UPDATE jobs SET updated_at = updated_at - 3600000000 WHERE id = '%s';", j.ID))
	return j
}

// apply writes a job and dispatches the change.
func (w *books) apply(t *testing.T, record, before string) {
	t.Helper()
	w.sequence++
	c := job.Change{New: w.write(t, record), Sequence: fmt.Sprint(1000 + w.sequence), At: time.Now().UTC()}
	if before != "" {
		old := decode(t, []byte(before))
		c.Old = &old
	}
	w.must(t, w.dispatch.Apply(t.Context(), c))
}

// ended is a job that has ended, and was dispatched.
func (w *books) ended(t *testing.T, account, id string) {
	t.Helper()
	w.apply(t, record(account, id, "async", "success", w.created, ""), "")
}

// step dispatches a progress event of a pipeline that names a URL for it.
func (w *books) step(t *testing.T, account, id, sequence string) {
	t.Helper()
	j := w.write(t, record(account, id, "pipeline", "active", w.created, `,"webhooks":{"progress":"https://receiver.example/p"},"step":`+sequence))
	w.must(t, w.dispatch.Apply(t.Context(), job.Change{New: j, Sequence: sequence, At: time.Now().UTC()}))
}

// attend delivers all that was rung for.
func (w *books) attend(t *testing.T) {
	t.Helper()
	for _, d := range w.deliveries(t) {
		_, a := w.first.after[d.ID]
		_, b := w.retry.after[d.ID]
		if !a && !b || d.State.Final() {
			continue
		}
		works, err := w.store.Load(t.Context(), []webhook.Ref{d.Ref()})
		w.must(t, err)
		w.must(t, works[0].Err)
		next := d
		next.State, next.Attempts, next.DeliveredAt, next.UpdatedAt = webhook.StateDelivered, 1, w.now, w.now
		w.must(t, w.store.Record(t.Context(), d, next, nil))
	}
	w.first.after, w.retry.after, w.first.count = map[string]time.Duration{}, map[string]time.Duration{}, 0
}

func (w *books) deliveries(t *testing.T) (all []webhook.Delivery) {
	t.Helper()
	for _, account := range []string{"acme", "alone", "brief", "zoo"} {
		f := webhook.Filter{Account: account, Limit: webhook.MaxPage}
		for more := true; more; more = f.After != "" {
			list, next, err := w.store.Deliveries(t.Context(), f)
			w.must(t, err)
			all, f.After = append(all, list...), next
		}
	}
	return all
}

func (w *books) of(t *testing.T, jobID string) []webhook.Delivery {
	t.Helper()
	return slices.DeleteFunc(w.deliveries(t), func(d webhook.Delivery) bool { return d.JobID != jobID })
}

// ends are the ids of all deliveries but of progress.
func (w *books) ends(t *testing.T) []string {
	t.Helper()
	return idsOf(slices.DeleteFunc(w.deliveries(t), func(d webhook.Delivery) bool { return d.EventType == webhook.JobProgress }))
}

func idsOf(list []webhook.Delivery) (ids []string) {
	for _, d := range list {
		ids = append(ids, d.ID)
	}
	slices.Sort(ids)
	return ids
}

// endpoint adds one to acme.
func (w *books) endpoint(t *testing.T, id string) {
	t.Helper()
	w.must(t, w.store.PutEndpoint(t.Context(), webhook.Endpoint{ID: id, Account: "acme", URL: "https://receiver.example/" + id, Format: "standard",
		Status: webhook.EndpointEnabled, CreatedAt: w.now, UpdatedAt: w.now}))
}

// subscribe makes an endpoint, if need be, and gives it other types.
func (w *books) subscribe(t *testing.T, id string, types ...webhook.EventType) {
	t.Helper()
	e := webhook.Endpoint{ID: id, Account: "acme", URL: "https://receiver.example/" + id, Format: "standard", Types: types,
		Status: webhook.EndpointEnabled, CreatedAt: worldtest.Start(), UpdatedAt: w.now}
	w.must(t, w.store.PutEndpoint(t.Context(), e))
}
