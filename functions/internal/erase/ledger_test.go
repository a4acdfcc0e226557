package erase_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"
	driver "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/jobhook/jobhook/functions/internal/dispatch"
	"github.com/jobhook/jobhook/functions/internal/erase"
	"github.com/jobhook/jobhook/functions/internal/sweep"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/sqlite"
	"github.com/jobhook/jobhook/shared/webhook"
)

// TestALedgerCheckThatAnErasureInterruptsLeavesNothingOfTheAccount lets an
// erasure come before each request that a check makes: the whole of it to a
// check that is cut off there and goes on afterwards, or the first time through
// to a check that goes on at once. The two take turns at every other request.
func TestALedgerCheckThatAnErasureInterruptsLeavesNothingOfTheAccount(t *testing.T) {
	for first, cutOff := range map[int]bool{1: true, 3: false} {
		t.Run(fmt.Sprintf("cut off %t", cutOff), func(t *testing.T) {
			t.Parallel()
			repairs := 0
			for n, interrupted := first, true; interrupted; n += 4 {
				if n > 100 {
					t.Fatal("the check never ends")
				}
				var repaired bool
				if interrupted, repaired = interruptCheck(t, n, cutOff); interrupted && repaired {
					repairs++
				}
			}
			if repairs == 0 {
				t.Error("no erasure came behind a repair")
			}
		})
	}
}

// interruptCheck interrupts a check before its nth request, if it makes so many,
// and tells whether it had repaired the books before.
func interruptCheck(t *testing.T, n int, cutOff bool) (interrupted, repaired bool) {
	t.Helper()
	w := newWorld(t)
	w.unheard("acme", "zoo")
	b, rung, before := &books{Store: w.store, left: n}, &bells{of: map[string]int{}}, 0
	begin := func() {
		before = rung.of["acme"]
		w.ask("acme", "")
		w.ok(w.eraser().Run(t.Context()))
	}
	b.interrupt = func() error {
		if cutOff {
			return errDied
		}
		begin()
		return nil
	}
	s := w.sweeper(b, rung)
	w.checkLedger(s)
	if interrupted = b.left <= 0; cutOff || !interrupted {
		begin()
	}
	w.now = w.now.Add(erase.Settles)
	w.ok(w.eraser().Run(t.Context()))
	w.checkLedger(s)
	w.now = w.now.Add(time.Hour)
	w.checkLedger(s)
	at := fmt.Sprintf("an erasure before request %d, which is cut off: %t", n, interrupted && cutOff)
	if got := w.rowsOf("acme"); len(got) > 0 {
		t.Errorf("%s: rows of the account %v", at, got)
	}
	if later := rung.of["acme"] - before; later > 0 {
		t.Errorf("%s: rang for %d deliveries of the account afterwards", at, later)
	}
	want := map[string]int{"deliveries": 1, "endpoints": 1, "events": 1, "jobs": 1, "ledgers": 1}
	if diff := cmp.Diff(w.rowsOf("zoo"), want); diff != "" {
		t.Errorf("%s: rows of another account (-got +want):\n%s", at, diff)
	}
	w.ok(w.store.Close())
	return interrupted, before > 0
}

// unheard gives accounts an endpoint, and a job that has ended of which dispatch
// never heard: the ledger repairs that.
func (w *world) unheard(accounts ...string) {
	w.Helper()
	created := w.now.Add(-5 * time.Minute)
	for _, account := range accounts {
		w.ok(w.store.PutAccount(w.Context(), webhook.Account{ID: account}))
		w.ok(w.store.PutEndpoint(w.Context(), webhook.Endpoint{ID: "ep_" + account, Account: account, URL: "https://example.com/" + account,
			Format: "standard", Status: webhook.EndpointEnabled, CreatedAt: created.Add(-time.Hour), UpdatedAt: created.Add(-time.Hour)}))
		j, err := job.Decode(fmt.Appendf(nil, `{"id":%q,"account":%q,"kind":"async","status":"success","run":1,"created_at":%q}`,
			"j-"+account, account, created.Format(time.RFC3339Nano)))
		w.ok(err)
		_, _, err = w.store.WriteJob(w.Context(), j.ID, j.Kind, func(*job.Job) (job.Job, error) { return j, nil })
		w.ok(err)
	}
	list, err := w.store.Changes(w.Context(), 0, 100)
	w.ok(err)
	w.store.Dispatched(list[len(list)-1].Seq)
	w.now = w.now.Add(70 * time.Minute) // which dispatch has had
}

// sweeper checks the books, and repairs them by ringing the bells.
func (w *world) sweeper(b *books, rung *bells) *sweep.Handler {
	now, log := func() time.Time { return w.now }, slog.New(slog.DiscardHandler)
	ends := &dispatch.Handler{Store: w.store, Queue: rung, Now: now, Log: log}
	return &sweep.Handler{Store: w.store, Queue: &bells{of: map[string]int{}}, Horizon: time.Minute, Now: now, Log: log,
		Ledger: &sweep.Ledger{Books: b, Ends: ends}}
}

// checkLedger runs sweep until it is at the end of a check, or is cut off.
func (w *world) checkLedger(s *sweep.Handler) {
	w.Helper()
	for range 100 {
		if s.Handle(w.Context(), events.EventBridgeEvent{}) != nil {
			return
		}
		check, err := w.store.LedgerCheck(w.Context())
		w.ok(err)
		if check.Done {
			return
		}
	}
	w.Fatal("the check never ends")
}

// rowsOf counts an account's rows by table, beside the receipts.
func (w *world) rowsOf(account string) map[string]int {
	w.Helper()
	c, err := driver.OpenConn(filepath.Join(w.dir, sqlite.FileName), driver.OpenReadWrite|driver.OpenWAL)
	w.ok(err)
	defer c.Close()
	var tables []string
	w.ok(sqlitex.ExecuteTransient(c, `SELECT t.name FROM sqlite_master t, pragma_table_info(t.name) i WHERE t.type = 'table' AND i.name = 'account' AND t.name <> 'erasures'`,
		&sqlitex.ExecOptions{ResultFunc: func(s *driver.Stmt) error {
			tables = append(tables, s.ColumnText(0))
			return nil
		}}))
	rows := map[string]int{}
	for _, table := range tables {
		w.ok(sqlitex.ExecuteTransient(c, `SELECT count(*) FROM `+table+` WHERE account = ?`, &sqlitex.ExecOptions{Args: []any{account},
			ResultFunc: func(s *driver.Stmt) error {
				if n := s.ColumnInt(0); n > 0 {
					rows[table] = n
				}
				return nil
			}}))
	}
	return rows
}

// bells counts deliveries that were rung for, by account.
type bells struct {
	lock sync.Mutex
	of   map[string]int
}

func (b *bells) Ring(_ context.Context, rung []webhook.Doorbell) error {
	b.lock.Lock()
	defer b.lock.Unlock()
	for _, bell := range rung {
		b.of[bell.Account]++
	}
	return nil
}

// books are interrupted once, before the request that is as many as left.
type books struct {
	*sqlite.Store
	left      int
	interrupt func() error
}

func (b *books) request() error {
	if b.left--; b.left == 0 {
		return b.interrupt()
	}
	return nil
}

func (b *books) LedgerAccounts(ctx context.Context, after string, limit int) ([]string, error) {
	if err := b.request(); err != nil {
		return nil, err
	}
	return b.Store.LedgerAccounts(ctx, after, limit)
}

func (b *books) Endpoints(ctx context.Context, account string) ([]webhook.Endpoint, error) {
	if err := b.request(); err != nil {
		return nil, err
	}
	return b.Store.Endpoints(ctx, account)
}

func (b *books) JobsCreated(ctx context.Context, account string, from, to time.Time, limit int, f func(webhook.WrittenJob)) (time.Time, error) {
	if err := b.request(); err != nil {
		return to, err
	}
	return b.Store.JobsCreated(ctx, account, from, to, limit, f)
}

func (b *books) Booked(ctx context.Context, account string, from, to time.Time, limit int, f func(webhook.Delivery)) (time.Time, error) {
	if err := b.request(); err != nil {
		return to, err
	}
	return b.Store.Booked(ctx, account, from, to, limit, f)
}

func (b *books) Erasures(ctx context.Context, after string, limit int) ([]webhook.Erasure, string, error) {
	if err := b.request(); err != nil {
		return nil, "", err
	}
	return b.Store.Erasures(ctx, after, limit)
}

func (b *books) PutLedger(ctx context.Context, l webhook.Ledger) error {
	if err := b.request(); err != nil {
		return err
	}
	return b.Store.PutLedger(ctx, l)
}
