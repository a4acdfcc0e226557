package sqlite

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// changesToErase are changes that nobody has dispatched, and where to go on.
func (s *Store) changesToErase(ctx context.Context, e webhook.Erasure) (list []int, last int, more bool, err error) {
	looked := 0
	last = position(e)
	err = s.list(ctx, func(c conn) error {
		return prepare(c, `SELECT seq, old_record, new_record FROM changes WHERE seq > ? ORDER BY seq LIMIT ?`).int(last).int(erasedFeed).each(func(r *row) error {
			looked++
			last = r.int()
			before, after := r.blob(), r.blob()
			if accountOf(after) == e.Account && (e.Wants(before) || e.Wants(after)) {
				list = append(list, last)
			}
			return nil
		})
	})
	return list, last, looked == erasedFeed, err
}

// statsToErase names endpoints that have statistics, "" among them.
func (s *Store) statsToErase(ctx context.Context, e webhook.Erasure) (endpoints []string, err error) {
	if !e.OfAccount() {
		return nil, nil
	}
	err = s.list(ctx, func(c conn) error {
		return prepare(c, `SELECT DISTINCT endpoint FROM stats WHERE account = ?`).text(e.Account).each(func(r *row) error {
			endpoints = append(endpoints, r.text())
			return nil
		})
	})
	return endpoints, err
}

// The rows of an account that no job and no event leads to.
const (
	eraseResends = `DELETE FROM resends WHERE account = ?1 AND id IN (SELECT id FROM resends WHERE account = ?1 LIMIT ?2)`
	eraseAnswers = `DELETE FROM once WHERE id IN (SELECT id FROM once INDEXED BY once_account WHERE account = ? AND account <> '' LIMIT ?)`
	eraseStats   = `DELETE FROM stats WHERE endpoint = ?1 AND account = ?2 AND hour IN (SELECT hour FROM stats WHERE endpoint = ?1 AND account = ?2 LIMIT ?3)`
)

func (e *eraser) rest(changes []int, last int, more bool, endpoints []string) (bool, error) {
	for _, seq := range changes {
		if err := e.remove(webhook.ErasedChanges, prepare(e.conn, `DELETE FROM changes WHERE seq = ?`).int(seq)); err != nil {
			return false, err
		}
	}
	e.Cursor = strconv.Itoa(last)
	if !e.OfAccount() {
		return more, nil
	}
	for _, step := range []func() error{
		func() error {
			return e.remove(webhook.ErasedResends, prepare(e.conn, eraseResends).text(e.Account).int(max(e.room, 1)))
		},
		func() error {
			return e.remove(webhook.ErasedAnswers, prepare(e.conn, eraseAnswers).text(e.Account).int(max(e.room, 1)))
		},
		func() error { return e.stats(endpoints) },
		e.lostResultSets, e.lostDeliveries,
	} {
		if err := step(); err != nil || e.room <= 0 {
			return true, err
		}
	}
	return more, e.ledger()
}

// ledger takes what was counted, which is nothing of its own.
func (e *eraser) ledger() error {
	err := prepare(e.conn, `DELETE FROM ledger_counts WHERE account = ?`).text(e.Account).exec()
	if err == nil {
		err = prepare(e.conn, `DELETE FROM ledgers WHERE account = ?`).text(e.Account).exec()
	}
	return err
}

func (e *eraser) stats(endpoints []string) error {
	for _, endpoint := range endpoints {
		err := e.remove(webhook.ErasedStats, prepare(e.conn, eraseStats).text(endpoint).text(e.Account).int(max(e.room, 1)))
		if err != nil || e.room <= 0 {
			return err
		}
	}
	return nil
}

// lostResultSets are those whose job is gone, with its events.
func (e *eraser) lostResultSets() error {
	var lost []erasable
	err := prepare(e.conn, `SELECT DISTINCT kind, job_id FROM result_sets WHERE account = ? LIMIT ?`).text(e.Account).int(erasedJobs).each(func(r *row) error {
		lost = append(lost, erasable{kind: job.Kind(r.text()), id: r.text()})
		return nil
	})
	for _, j := range lost {
		if err == nil {
			err = e.jobItself(j)
		}
	}
	if len(lost) == erasedJobs {
		e.room = 0 // there may be more
	}
	return err
}

// lostDeliveries are those whose event is gone.
func (e *eraser) lostDeliveries() error {
	var lost []int
	err := prepare(e.conn, `SELECT seq FROM deliveries INDEXED BY deliveries_id WHERE account = ? LIMIT ?`).text(e.Account).int(max(e.room, 1)).each(func(r *row) error {
		lost = append(lost, r.int())
		return nil
	})
	for _, seq := range lost {
		if err == nil {
			err = e.delivery(seq)
		}
	}
	return err
}

// maxRewritten is how large a database may be, in bytes, to be written anew.
// Nobody writes meanwhile: about two seconds for each 100 MB.
const maxRewritten = 256 << 20

// patienceForLog is how long readers may keep the log from being emptied.
const patienceForLog = 5 * time.Second

// PurgeErased writes the database anew, so that nothing is left in it of rows
// that were changed or deleted earlier, and empties the write-ahead log. A
// database that is too large for that keeps what earlier writes left of rows in
// pages that others use, until those are used again; what EraseStep deleted is
// overwritten in any case.
func (s *Store) PurgeErased(ctx context.Context) error {
	var path string
	err := s.read(ctx, func(c conn) error {
		_, err := prepare(c, `SELECT file FROM pragma_database_list WHERE name = 'main'`).one(func(r *row) error {
			path = r.text()
			return nil
		})
		return err
	})
	if err == nil {
		err = s.writer.inPause(ctx, func() error { return s.rewrite(ctx, path) })
	}
	return wrap(err, "purge what was erased")
}

// inPause runs f while nobody writes.
func (w *writer) inPause(ctx context.Context, f func() error) error {
	resume := make(chan struct{})
	select {
	case w.quiet <- resume:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer close(resume)
	return f()
}

func (s *Store) rewrite(ctx context.Context, path string) (err error) {
	c, err := sqlite.OpenConn(path, sqlite.OpenReadWrite|sqlite.OpenWAL)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	c.SetInterrupt(ctx.Done())
	c.SetBusyTimeout(patienceForLog)
	size := 0
	if _, err := prepare(c, `SELECT page_count * page_size FROM pragma_page_count, pragma_page_size`).one(func(r *row) error {
		size = r.int()
		return nil
	}); err != nil {
		return err
	}
	if size <= maxRewritten {
		if err := sqlitex.ExecuteTransient(c, "VACUUM", nil); err != nil {
			return fmt.Errorf("write it anew: %w", err)
		}
	} else {
		s.log.Warn("database.not_rewritten", "bytes", size, "most", maxRewritten)
	}
	return emptyLog(c)
}

// emptyLog copies the log into the database and cuts it to nothing.
func emptyLog(c conn) error {
	busy := 0
	err := sqlitex.ExecuteTransient(c, "PRAGMA wal_checkpoint(TRUNCATE)", &sqlitex.ExecOptions{ResultFunc: func(s *sqlite.Stmt) error {
		busy = s.ColumnInt(0)
		return nil
	}})
	if err == nil && busy != 0 {
		err = errors.New("empty the log: readers keep it in use")
	}
	return err
}
