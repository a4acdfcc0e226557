package sqlite

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// Limits of one group commit.
const (
	maxGroup = 1024                  // operations
	maxWait  = 20 * time.Millisecond // of executing; what has come by then is committed
)

// patience is how long an operation that nobody is in a hurry for waits for
// others. Under light load most commits, each with its fsync, are saved by it.
const patience = 5 * time.Millisecond

// checkpointPages is the size of the write-ahead log, in pages of 4 KiB, from
// which on it is copied back into the database.
const checkpointPages = 8000

// checkpointEvery is how often the size of the log is looked at.
const checkpointEvery = 100 * time.Millisecond

// errClosed is returned for writes after close.
var errClosed = errors.New("the store is closed")

// tx is what an operation sees of its transaction.
type tx struct {
	*sqlite.Conn
	after []func()
}

// afterCommit calls f once the transaction is durable. f must be quick: it
// holds up every writer.
func (t *tx) afterCommit(f func()) { t.after = append(t.after, f) }

// operation is one caller's part of a group. It may run a second time, if
// another operation of its group failed.
type operation struct {
	run     func(*tx) error
	waiter  *waiter // nil: nobody waits
	patient bool    // it may wait up to patience for others to share a commit with
}

// waiter is the caller of an operation. Whoever claims it first decides: the
// writer, to run it, or the caller, to give up.
type waiter struct {
	claimed atomic.Bool
	done    chan error
}

func (op operation) claim() bool { return op.waiter == nil || op.waiter.claim() }

func (w *waiter) claim() bool { return w.claimed.CompareAndSwap(false, true) }

// writer owns the writing connection.
type writer struct {
	conn       *sqlite.Conn
	log        *slog.Logger
	operations chan operation
	quiet      chan chan struct{} // the checkpointer asks for a pause between groups

	mu     sync.RWMutex // held for reading while submitting
	closed bool
	wait   sync.WaitGroup
}

func newWriter(conn, checkpointer *sqlite.Conn, log *slog.Logger) *writer {
	w := &writer{
		conn: conn, log: log, operations: make(chan operation, maxGroup),
		quiet: make(chan chan struct{}),
	}
	stop := make(chan struct{})
	var checkpoints sync.WaitGroup
	checkpoints.Go(func() { w.checkpoint(checkpointer, stop) })
	w.wait.Go(func() {
		w.loop()
		close(stop)
		checkpoints.Wait()
	})
	return w
}

// do runs f with others in one transaction and waits until it is durable. An
// error of f undoes f alone. f must not keep the tx. When ctx ends before f has
// begun, f never runs; once it has begun, do waits for the commit.
func (w *writer) do(ctx context.Context, f func(*tx) error) error {
	return w.await(ctx, operation{run: f})
}

// doPatiently is do for what only has to be done before long.
func (w *writer) doPatiently(ctx context.Context, f func(*tx) error) error {
	return w.await(ctx, operation{run: f, patient: true})
}

func (w *writer) await(ctx context.Context, op operation) error {
	me := &waiter{done: make(chan error, 1)}
	op.waiter = me
	if err := w.submit(ctx, op); err != nil {
		return err
	}
	select {
	case err := <-me.done:
		return err
	case <-ctx.Done():
	}
	if me.claim() {
		return ctx.Err()
	}
	return <-me.done
}

// later runs f in some next transaction; nobody waits for it. What is
// submitted after it is committed after it.
func (w *writer) later(f func(*tx) error) {
	if err := w.submit(context.Background(), operation{run: f, patient: true}); err != nil {
		w.log.Debug("write.dropped", "error", err)
	}
}

func (w *writer) submit(ctx context.Context, op operation) error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.closed {
		return errClosed
	}
	select {
	case w.operations <- op:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close commits what was submitted and closes the connection.
func (w *writer) close() error {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return nil
	}
	w.closed = true
	close(w.operations)
	w.mu.Unlock()
	w.wait.Wait()
	_, err := walPages(w.conn, "TRUNCATE")
	return errors.Join(err, w.conn.Close())
}

func (w *writer) loop() {
	group := make([]operation, 0, maxGroup)
	for {
		select {
		case op, open := <-w.operations:
			if !open {
				return
			}
			if group = w.gather(append(group[:0], op)); len(group) > 0 {
				group = w.commitGroup(group)
			}
		case resume := <-w.quiet:
			<-resume
		}
	}
}

// gather waits for company while all operations of the group are patient, and
// leaves out what its caller has given up.
func (w *writer) gather(group []operation) []operation {
	if group[0].patient {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		for waiting := true; waiting && len(group) < maxGroup; {
			select {
			case op, open := <-w.operations:
				if waiting = open && op.patient; open {
					group = append(group, op)
				}
			case <-timer.C:
				waiting = false
			}
		}
	}
	return slices.DeleteFunc(group, func(op operation) bool { return !op.claim() })
}

// commitGroup runs the operations that wait in one transaction. If one fails,
// nothing of the group stands, and each is tried in a transaction of its own.
func (w *writer) commitGroup(group []operation) []operation {
	group, after, err := w.try(group, true)
	if err == nil {
		finish(group, after, nil)
		return group
	}
	for _, op := range group {
		_, after, err := w.try([]operation{op}, false)
		finish([]operation{op}, after, err)
		if err != nil && op.waiter == nil {
			w.log.Error("write.failed", "error", err)
		}
	}
	return group
}

// try runs a group in a transaction, taking in what arrives meanwhile if grow
// is set.
func (w *writer) try(group []operation, grow bool) (_ []operation, after []func(), err error) {
	if err := prepare(w.conn, "BEGIN IMMEDIATE").exec(); err != nil {
		return group, nil, fmt.Errorf("begin: %w", err)
	}
	t := &tx{Conn: w.conn}
	started := time.Now()
	for i := 0; i < len(group); i++ {
		if err := run(group[i], t); err != nil {
			return group, nil, errors.Join(err, w.rollback())
		}
		if grow && i == len(group)-1 && len(group) < maxGroup && time.Since(started) < maxWait {
			group = w.take(group)
		}
	}
	if err := prepare(w.conn, "COMMIT").exec(); err != nil {
		return group, nil, errors.Join(fmt.Errorf("commit: %w", err), w.rollback())
	}
	return group, t.after, nil
}

// run keeps a panicking operation from taking the writer with it.
func run(op operation, t *tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("write: panic: %v", p)
		}
	}()
	return op.run(t)
}

// take adds an operation that already waits, if there is one.
func (w *writer) take(group []operation) []operation {
	select {
	case op, open := <-w.operations:
		if open && op.claim() {
			return append(group, op)
		}
	default:
	}
	return group
}

func (w *writer) rollback() error {
	if w.conn.AutocommitEnabled() {
		return nil // SQLite has already rolled back
	}
	return prepare(w.conn, "ROLLBACK").exec()
}

func finish(group []operation, after []func(), err error) {
	for _, f := range after {
		f()
	}
	for _, op := range group {
		if op.waiter != nil {
			op.waiter.done <- err
		}
	}
}

// checkpoint copies the write-ahead log back while the writer goes on, then
// asks it for a short pause to copy the rest, so that the log starts anew. A
// checkpoint within a commit would hold up every writer for tens of
// milliseconds; without the pause the log would grow as long as there is load.
func (w *writer) checkpoint(conn *sqlite.Conn, stop <-chan struct{}) {
	defer conn.Close()
	conn.SetBusyTimeout(time.Second)
	tick := time.NewTicker(checkpointEvery)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		pages, err := walPages(conn, "NOOP")
		if err == nil && pages >= checkpointPages {
			if pages, err = walPages(conn, "PASSIVE"); err == nil {
				err = w.restart(conn, stop)
			}
		}
		if err != nil {
			w.log.Warn("checkpoint.failed", "error", err, "pages", pages)
		}
	}
}

// restart copies the rest of the log in a pause of the writer.
func (w *writer) restart(conn *sqlite.Conn, stop <-chan struct{}) error {
	resume := make(chan struct{})
	select {
	case w.quiet <- resume:
	case <-stop:
		return nil
	}
	defer close(resume)
	_, err := walPages(conn, "PASSIVE")
	return err
}

// walPages runs a checkpoint and returns the pages in the log.
func walPages(conn *sqlite.Conn, mode string) (pages int, err error) {
	err = sqlitex.ExecuteTransient(conn, "PRAGMA wal_checkpoint("+mode+")", &sqlitex.ExecOptions{
		ResultFunc: func(s *sqlite.Stmt) error {
			pages = s.ColumnInt(1)
			return nil
		},
	})
	return pages, err
}
