package sqlite

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/jobhook/jobhook/shared/files"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// Bounds of one step. The writer serves nobody else while it erases.
const (
	erasedRows   = 500  // rows that go
	erasedJobs   = 50   // jobs that are looked at
	erasedEvents = 5000 // events of any account that are looked at
	erasedFeed   = 500  // changes of any account that are looked at
)

// EraseStep erases a bounded part of what read.Stage names, in one transaction
// with the erasure as it is after it: nothing is erased that is not counted.
// It returns webhook.ErrStale when the erasure has changed since it was read.
func (s *Store) EraseStep(ctx context.Context, read webhook.Erasure, now time.Time) (next webhook.Erasure, more bool, err error) {
	part, err := s.eraserOf(ctx, read)
	if err != nil {
		return read, false, wrap(err, "erasure %s: %s", read.ID, read.Stage)
	}
	var refused error
	err = s.write(ctx, func(t *tx) error {
		w := &eraser{conn: t.Conn, Erasure: read, room: erasedRows, counts: webhook.Erased{}}
		w.endpointGone = func(id string) error { return s.removeHealth(t, id) }
		w.Version, w.UpdatedAt = read.Version+1, now
		refused, err = isErasure(t.Conn, read)
		if err != nil || refused != nil {
			return err
		}
		if err := overwriting(t.Conn, func() (err error) {
			more, err = part(w)
			return err
		}); err != nil {
			return err
		}
		w.Counts = read.Counts.Plus(w.counts)
		next = w.Erasure
		refused, err = updateErasure(t.Conn, read, next)
		return err
	})
	s.endpoints.forget(read.Account)
	s.quotas.forget(read.Account)
	if err == nil {
		err = refused
	}
	return next, more, wrap(err, "erasure %s: %s", read.ID, read.Stage)
}

// isErasure returns webhook.ErrStale when the erasure is not as it was read.
func isErasure(c conn, read webhook.Erasure) (refused, err error) {
	same, err := prepare(c, `SELECT 1 FROM erasures WHERE id = ? AND version = ?`).text(read.ID).int(read.Version).one(func(*row) error { return nil })
	if !same {
		refused = webhook.ErrStale
	}
	return refused, err
}

// overwriting runs f so that SQLite overwrites what it deletes.
func overwriting(c conn, f func() error) error {
	if err := pragma(c, "secure_delete = ON"); err != nil {
		return err
	}
	err := f()
	if err2 := pragma(c, "secure_delete = OFF"); err == nil {
		err = err2
	}
	return err
}

func pragma(c conn, text string) error { return sqlitex.ExecuteTransient(c, "PRAGMA "+text, nil) }

// eraser erases within one transaction.
type eraser struct {
	conn
	webhook.Erasure
	room   int // rows that may still go
	counts webhook.Erased

	endpointGone func(id string) error // forgets what is known of its health
}

// eraserOf reads what the next step is about, so that the writer only erases,
// and returns how it does.
func (s *Store) eraserOf(ctx context.Context, read webhook.Erasure) (func(*eraser) (more bool, err error), error) {
	switch read.Stage {
	case webhook.StageAccess:
		return (*eraser).access, nil
	case webhook.StageJobs:
		list, more, err := s.jobsToErase(ctx, read)
		return func(e *eraser) (bool, error) { return e.jobs(list, more) }, err
	case webhook.StageEvents:
		list, last, more, err := s.eventsToErase(ctx, read)
		return func(e *eraser) (bool, error) { return e.events(list, last, more) }, err
	case webhook.StageRest:
		list, last, more, err := s.changesToErase(ctx, read)
		if err != nil {
			return nil, err
		}
		hours, err := s.statsToErase(ctx, read)
		return func(e *eraser) (bool, error) { return e.rest(list, last, more, hours) }, err
	}
	return nil, fmt.Errorf("%q is no stage that erases", read.Stage)
}

// remove runs a DELETE whose last parameter, if it is limited, is how many rows
// may go, and counts them.
func (e *eraser) remove(thing webhook.Thing, b *binder) error {
	err := b.exec()
	n := e.conn.Changes()
	e.counts[thing] += n
	e.room -= n
	return err
}

// erasable is a job that goes.
type erasable struct {
	seq     int // of its row
	kind    job.Kind
	id      string
	created time.Time
}

const erasableJobs = `SELECT seq, kind, id, created_at, record FROM jobs INDEXED BY jobs_account WHERE account = ? AND seq > ? ORDER BY seq LIMIT ?`

func (s *Store) jobsToErase(ctx context.Context, e webhook.Erasure) (list []erasable, more bool, err error) {
	looked := 0
	err = s.list(ctx, func(c conn) error {
		return prepare(c, erasableJobs).text(e.Account).int(position(e)).int(erasedJobs).each(func(r *row) error {
			looked++
			j := erasable{seq: r.int(), kind: job.Kind(r.text()), id: r.text(), created: r.time()}
			if !e.Wants(r.blob()) {
				j.kind = "" // only how far it was looked
			}
			list = append(list, j)
			return nil
		})
	})
	return list, looked == erasedJobs, err
}

// position is where a step goes on: behind the row of that number.
func position(e webhook.Erasure) int {
	n, _ := strconv.Atoi(e.Cursor) // we wrote it
	return n
}

func (e *eraser) jobs(list []erasable, more bool) (bool, error) {
	for _, j := range list {
		if j.kind != "" {
			whole, err := e.job(j)
			if err != nil || !whole {
				return true, err
			}
		}
		e.Cursor = strconv.Itoa(j.seq)
	}
	return more, nil
}

// job erases a job with all that is of it, and tells whether there was room.
func (e *eraser) job(j erasable) (whole bool, err error) {
	prefix := "evt_" + webhook.TimePrefix(j.created)
	for e.room > 0 {
		event := erasableEvent{erasable: j}
		found, err := prepare(e.conn, `SELECT seq, id FROM events WHERE id >= ? AND id < ? AND account = ? AND kind = ? AND job_id = ?`).
			text(prefix).text(prefix + "~").text(e.Account).text(string(j.kind)).text(j.id).one(func(r *row) error {
			event.seq, event.id = r.int(), r.text()
			return nil
		})
		if err == nil && !found {
			return true, e.jobItself(j)
		}
		if err == nil {
			_, err = e.event(event)
		}
		if err != nil {
			return false, err
		}
	}
	return false, nil
}

// jobItself erases a job without its events: its record, and what there is of
// its results. Whatever files it has are to go.
func (e *eraser) jobItself(j erasable) error {
	var tokens []string
	err := prepare(e.conn, `SELECT token FROM result_sets WHERE account = ? AND kind = ? AND job_id = ?`).text(e.Account).text(string(j.kind)).text(j.id).
		each(func(r *row) error {
			tokens = append(tokens, r.text())
			return nil
		})
	if err == nil {
		err = e.resultSets(tokens)
	}
	if err == nil {
		err = e.remove(webhook.ErasedJobs, prepare(e.conn, `DELETE FROM jobs WHERE id_hash = ? AND id = ? AND kind = ? AND account = ?`).
			int(idHash(j.id)).text(j.id).text(string(j.kind)).text(e.Account))
	}
	if hash := files.JobHash(e.Account, j.kind, j.id); !slices.Contains(e.JobHashes, hash) {
		e.JobHashes = append(slices.Clip(e.JobHashes), hash)
	}
	return err
}

func (e *eraser) resultSets(tokens []string) error {
	for _, token := range tokens {
		if err := e.remove(webhook.ErasedDownloads, prepare(e.conn, `DELETE FROM downloads WHERE token = ?`).text(token)); err != nil {
			return err
		}
		if err := e.remove(webhook.ErasedResultSets, prepare(e.conn, `DELETE FROM result_sets WHERE token = ?`).text(token)); err != nil {
			return err
		}
	}
	return nil
}

// erasableEvent is an event that goes, and its job.
type erasableEvent struct {
	erasable
	seq    int // of the event's row
	id     string
	record bool // the job's own record goes too
}

// event erases an event with its deliveries and their attempts, and tells
// whether there was room.
func (e *eraser) event(v erasableEvent) (whole bool, err error) {
	tail := siblingPrefix(v.id)
	var rows []int
	err = prepare(e.conn, `SELECT seq FROM deliveries WHERE account = ? AND id >= ? AND id < ? LIMIT ?`).text(e.Account).text(tail).text(tail + "~").int(max(e.room, 1)).
		each(func(r *row) error {
			rows = append(rows, r.int())
			return nil
		})
	for _, seq := range rows {
		if err == nil {
			err = e.delivery(seq)
		}
	}
	if err == nil {
		err = e.uncount(v, len(rows))
	}
	if err != nil || e.room <= 0 && len(rows) > 0 {
		return false, err
	}
	return true, e.remove(webhook.ErasedEvents, prepare(e.conn, `DELETE FROM events WHERE seq = ?`).int(v.seq))
}

// uncount keeps the ledger from missing deliveries that it counted.
func (e *eraser) uncount(v erasableEvent, deliveries int) error {
	created, ok := webhook.CreatedOf(v.id)
	if !ok || deliveries == 0 {
		return nil
	}
	counted := false
	_, err := prepare(e.conn, `SELECT type, run FROM events WHERE seq = ?`).int(v.seq).one(func(r *row) error {
		counted = !webhook.EventType(r.text()).Derivable(r.int())
		return nil
	})
	if err != nil || !counted {
		return err
	}
	return prepare(e.conn, `UPDATE ledger_counts SET deliveries = max(deliveries - ?, 0) WHERE account = ? AND hour = ?`).
		int(deliveries).text(e.Account).time(created.Truncate(time.Hour)).exec()
}

func (e *eraser) delivery(seq int) error {
	first := seq * attemptsPerDelivery
	if err := e.remove(webhook.ErasedAttempts, prepare(e.conn, `DELETE FROM attempts WHERE id BETWEEN ? AND ?`).int(first).int(first+attemptsPerDelivery-1)); err != nil {
		return err
	}
	return e.remove(webhook.ErasedDeliveries, prepare(e.conn, `DELETE FROM deliveries WHERE seq = ?`).int(seq))
}

// erasableEvents walks the events of all accounts: there is no index of an
// account's, as it would cost each event a write.
const erasableEvents = `SELECT seq, account, id, kind, job_id, record FROM events WHERE seq > ? ORDER BY seq LIMIT ?`

func (s *Store) eventsToErase(ctx context.Context, e webhook.Erasure) (list []erasableEvent, last int, more bool, err error) {
	looked := 0
	last = position(e)
	err = s.list(ctx, func(c conn) error {
		return prepare(c, erasableEvents).int(last).int(erasedEvents).each(func(r *row) error {
			looked++
			v := erasableEvent{seq: r.int()}
			if r.text() == e.Account {
				v.id, v.kind, v.erasable.id = r.text(), job.Kind(r.text()), r.text()
				if e.Wants(r.blob()) {
					list = append(list, v)
				}
			}
			last = v.seq
			if len(list) == erasedRows/2 {
				more = true
				return errEnough
			}
			return nil
		})
	})
	for i := range list {
		if err == nil {
			list[i].record, err = s.wantsJob(ctx, e, list[i].erasable)
		}
	}
	return list, last, more || looked == erasedEvents, err
}

// wantsJob tells whether the job of an event goes too. A record may be of
// another subject by now, or, without a creation time, not have been found by it.
func (s *Store) wantsJob(ctx context.Context, e webhook.Erasure, j erasable) (wants bool, err error) {
	wants = true
	err = s.read(ctx, func(c conn) error {
		_, err := prepare(c, `SELECT record FROM jobs INDEXED BY jobs_id WHERE id_hash = ? AND id = ? AND kind = ? AND account = ?`).
			int(idHash(j.id)).text(j.id).text(string(j.kind)).text(e.Account).one(func(r *row) error {
			wants = e.Wants(r.blob())
			return nil
		})
		return err
	})
	return wants, err
}

func (e *eraser) events(list []erasableEvent, last int, more bool) (bool, error) {
	for _, v := range list {
		whole, err := e.event(v)
		if err != nil || !whole {
			return true, err
		}
		if v.record {
			if err := e.jobItself(v.erasable); err != nil {
				return false, err
			}
		}
		e.Cursor = strconv.Itoa(v.seq)
	}
	e.Cursor = strconv.Itoa(last)
	return more, nil
}
