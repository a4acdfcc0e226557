package sqlite

import (
	"bytes"
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// WriteJob reads a job record, lets f say what it becomes, and writes that
// together with its change, durably. f gets nil for a new job and may run more
// than once; its error is returned as it is, and then nothing is written. A
// record that stays the same byte for byte is no change.
func (s *Store) WriteJob(ctx context.Context, id string, kind job.Kind, f func(old *job.Job) (job.Job, error)) (written job.Job, created bool, err error) {
	var refused error
	err = s.write(ctx, func(t *tx) error {
		seq, old, err := readJob(t.Conn, id, kind)
		if err != nil {
			return err
		}
		created = old == nil
		if written, refused = f(old); refused != nil {
			return nil
		}
		if old != nil && bytes.Equal(old.Record, written.Record) {
			return nil
		}
		return s.putJob(t, seq, old, written)
	})
	if err != nil {
		return written, created, fmt.Errorf("job %s: write: %w", id, err)
	}
	return written, created, refused
}

// putJob writes the row and its change.
func (s *Store) putJob(t *tx, seq int, old *job.Job, next job.Job) error {
	now, record := time.Now(), string(next.Record)
	var err error
	if old == nil {
		err = prepare(t.Conn, `INSERT INTO jobs (id_hash, id, kind, account, status, created_at, updated_at, record) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`).
			int(idHash(next.ID)).text(next.ID).text(string(next.Kind)).text(next.Account).text(string(next.Status)).
			time(next.CreatedAt).time(now).text(record).exec()
	} else {
		err = prepare(t.Conn, `UPDATE jobs SET status = ?, updated_at = ?, record = ? WHERE seq = ?`).
			text(string(next.Status)).time(now).text(record).int(seq).exec()
	}
	if err != nil {
		return err
	}
	return s.feed.add(t, now, old, record)
}

// idHash is what the index of jobs holds. It must never change.
func idHash(id string) int {
	h := fnv.New64a()
	_, _ = io.WriteString(h, id) // a hash takes everything
	return int(h.Sum64())
}

// decodeStored reads a record that was accepted before. Should it fail, that is
// our fault and no *job.FieldError, which is a caller's.
func decodeStored(record []byte) (job.Job, error) {
	j, err := job.DecodeValid(record)
	if err != nil {
		return j, fmt.Errorf("stored record: %v", err)
	}
	return j, nil
}

// readJob returns nil for a job that does not exist.
func readJob(c conn, id string, kind job.Kind) (seq int, j *job.Job, err error) {
	_, err = prepare(c, `SELECT seq, record FROM jobs INDEXED BY jobs_id WHERE id_hash = ? AND id = ? AND kind = ?`).int(idHash(id)).text(id).text(string(kind)).
		one(func(r *row) error {
			seq = r.int()
			decoded, err := decodeStored(r.blob())
			j = &decoded
			return err
		})
	return seq, j, err
}

// JobsByID returns the jobs with an id, at most one of each kind.
func (s *Store) JobsByID(ctx context.Context, id string) ([]job.Job, error) {
	var list []job.Job
	err := s.read(ctx, func(c conn) error {
		return prepare(c, `SELECT record FROM jobs INDEXED BY jobs_id WHERE id_hash = ? AND id = ? ORDER BY kind`).int(idHash(id)).text(id).each(func(r *row) error {
			j, err := decodeStored(r.blob())
			list = append(list, j)
			return err
		})
	})
	return list, wrap(err, "job %s", id)
}

const jobsQuery = `SELECT seq, record FROM jobs INDEXED BY jobs_account WHERE account = ?1 AND seq < ?2
	AND (?3 = '' OR kind = ?3) AND (?4 = '' OR status = ?4) ORDER BY seq DESC LIMIT ?5`

// maxPageBytes is the size of the records from which on a page of jobs ends.
const maxPageBytes = 4 << 20

// Jobs returns a page of an account's jobs, the newest first, and the cursor
// of the next page, empty when this is the last one. A page of large records
// has fewer of them than asked for.
func (s *Store) Jobs(ctx context.Context, f webhook.JobFilter) (jobs []job.Job, next string, err error) {
	before, size := int(^uint(0)>>1), 0
	if f.After != "" {
		if before, err = strconv.Atoi(f.After); err != nil {
			return nil, "", fmt.Errorf("cursor %.40q: %w", f.After, webhook.ErrCursor)
		}
	}
	err = s.list(ctx, func(c conn) error {
		return prepare(c, jobsQuery).
			text(f.Account).int(before).text(string(f.Kind)).text(string(f.Status)).int(f.Limit + 1).
			each(func(r *row) error {
				if next != "" {
					return nil
				}
				if len(jobs) == f.Limit || size > maxPageBytes {
					next = strconv.Itoa(before)
					return nil
				}
				before = r.int()
				j, err := decodeStored(r.blob())
				jobs, size = append(jobs, j), size+len(j.Record)
				return err
			})
	})
	return jobs, next, wrap(err, "jobs of account %s", f.Account)
}

// Shelve turns scraping jobs that have been stopped since before the given
// time into shelved ones, and returns how many.
func (s *Store) Shelve(ctx context.Context, before time.Time, limit int) (shelved int, err error) {
	err = s.write(ctx, func(t *tx) error {
		shelved = 0
		var ids []string
		err := prepare(t.Conn, `SELECT id FROM jobs INDEXED BY jobs_stopped
			WHERE kind = 'scraping' AND status = 'stopped' AND updated_at < ? LIMIT ?`).time(before).int(limit).
			each(func(r *row) error {
				ids = append(ids, r.text())
				return nil
			})
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := s.shelveOne(t, id); err != nil {
				s.log.Error("job.unshelved", "job", id, "error", err) // the others do not wait for it
				continue
			}
			shelved++
		}
		return nil
	})
	return shelved, wrap(err, "shelve stopped jobs")
}

func (s *Store) shelveOne(t *tx, id string) error {
	seq, old, err := readJob(t.Conn, id, job.KindScraping)
	if err != nil || old == nil {
		return err
	}
	next, err := decodeStored(withStatus(old.Record, "shelved"))
	if err != nil {
		return err
	}
	return s.putJob(t, seq, old, next)
}

// withStatus is the record with another status, and every other byte as it was.
func withStatus(record []byte, status job.Status) []byte {
	members, _ := job.Members(record)
	for _, m := range members {
		if string(m.Name) == "status" {
			at := cap(record) - cap(m.Value) // a member is a part of the record
			return slices.Concat(record[:at], []byte(`"`+status+`"`), record[at+len(m.Value):])
		}
	}
	return record
}
