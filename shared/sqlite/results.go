package sqlite

import (
	"context"
	"time"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

const resultSetColumns = `account, kind, job_id, run, token, state, reason, pages, records, bytes, csv_hash,
	created_at, updated_at, expires_at, revoked_at, downloads, last_download_at`

func scanResultSet(r *row) webhook.ResultSet {
	return webhook.ResultSet{
		Account: r.text(), Kind: job.Kind(r.text()), JobID: r.text(), Run: r.int(), Token: r.text(),
		State: webhook.ResultSetState(r.text()), Reason: r.text(), Pages: r.int(), Records: r.int(), Bytes: int64(r.int()), CSVHash: r.text(),
		CreatedAt: r.time(), UpdatedAt: r.time(), ExpiresAt: r.time(), RevokedAt: r.time(), Downloads: r.int(), LastDownloadAt: r.time(),
	}
}

// BeginResultSet keeps the set unless its run has one, and returns what is kept.
func (s *Store) BeginResultSet(ctx context.Context, set webhook.ResultSet) (kept webhook.ResultSet, err error) {
	err = s.write(ctx, func(t *tx) error {
		err := prepare(t.Conn, `INSERT INTO result_sets (`+resultSetColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (account, kind, job_id, run) DO NOTHING`).
			text(set.Account).text(string(set.Kind)).text(set.JobID).int(set.Run).text(set.Token).text(string(set.State)).text(set.Reason).
			int(set.Pages).int(set.Records).int(int(set.Bytes)).text(set.CSVHash).time(set.CreatedAt).time(set.UpdatedAt).
			time(set.ExpiresAt).time(set.RevokedAt).int(set.Downloads).time(set.LastDownloadAt).exec()
		if err != nil {
			return err
		}
		_, err = prepare(t.Conn, `SELECT `+resultSetColumns+` FROM result_sets WHERE account = ? AND kind = ? AND job_id = ? AND run = ?`).
			text(set.Account).text(string(set.Kind)).text(set.JobID).int(set.Run).one(func(r *row) error {
			kept = scanResultSet(r)
			return nil
		})
		return err
	})
	return kept, wrap(err, "results of job %s, run %d: begin", set.JobID, set.Run)
}

// FinishResultSet replaces what an export found out of a run's set, and leaves
// alone what its users did. It returns webhook.ErrNotFound when there is none,
// and webhook.ErrStale instead of taking back that a set is ready.
func (s *Store) FinishResultSet(ctx context.Context, set webhook.ResultSet) error {
	var was webhook.ResultSetState
	found := false
	err := s.write(ctx, func(t *tx) (err error) {
		found, err = prepare(t.Conn, `SELECT state FROM result_sets WHERE account = ? AND kind = ? AND job_id = ? AND run = ?`).
			text(set.Account).text(string(set.Kind)).text(set.JobID).int(set.Run).one(func(r *row) error {
			was = webhook.ResultSetState(r.text())
			return nil
		})
		if err != nil || !found {
			return err
		}
		if was == webhook.ResultSetExported && set.State != was {
			return webhook.ErrStale
		}
		return prepare(t.Conn, `UPDATE result_sets SET state = ?, reason = ?, pages = ?, records = ?, bytes = ?, csv_hash = ?, updated_at = ?, expires_at = ?
			WHERE account = ? AND kind = ? AND job_id = ? AND run = ?`).
			text(string(set.State)).text(set.Reason).int(set.Pages).int(set.Records).int(int(set.Bytes)).text(set.CSVHash).
			time(set.UpdatedAt).time(set.ExpiresAt).text(set.Account).text(string(set.Kind)).text(set.JobID).int(set.Run).exec()
	})
	return wrap(notFound(found, err), "results of job %s, run %d: finish", set.JobID, set.Run)
}

const resultSetQuery = `SELECT ` + resultSetColumns + ` FROM result_sets WHERE token = ?`

// ResultSet returns the set of a token, revoked and expired or not, or
// webhook.ErrNotFound.
func (s *Store) ResultSet(ctx context.Context, token string) (set webhook.ResultSet, err error) {
	err = s.readOne(ctx, func(c conn) (bool, error) {
		return prepare(c, resultSetQuery).text(token).one(func(r *row) error {
			set = scanResultSet(r)
			return nil
		})
	})
	return set, wrap(err, "result set") // the token is a secret
}

// ResultSets returns those of a job, the newest run first, at most webhook.MaxPage.
func (s *Store) ResultSets(ctx context.Context, account string, kind job.Kind, id string) (list []webhook.ResultSet, err error) {
	err = s.list(ctx, func(c conn) error {
		return prepare(c, resultSetsQuery).text(account).text(string(kind)).text(id).int(webhook.MaxPage).each(func(r *row) error {
			list = append(list, scanResultSet(r))
			return nil
		})
	})
	return list, wrap(err, "results of job %s", id)
}

const resultSetsQuery = `SELECT ` + resultSetColumns + ` FROM result_sets
	WHERE account = ? AND kind = ? AND job_id = ? ORDER BY run DESC LIMIT ?`

// RevokeResultSet ends the links of a run's set. It returns webhook.ErrNotFound
// when there is none.
func (s *Store) RevokeResultSet(ctx context.Context, account string, kind job.Kind, id string, run int, at time.Time) error {
	err := s.changeOne(ctx, func(c conn) *binder {
		return prepare(c, `UPDATE result_sets SET revoked_at = ? WHERE account = ? AND kind = ? AND job_id = ? AND run = ?`).
			time(at).text(account).text(string(kind)).text(id).int(run)
	})
	return wrap(err, "results of job %s, run %d: revoke", id, run)
}

// AddDownload counts a download of a set and keeps it. It returns
// webhook.ErrNotFound when there is no such set.
func (s *Store) AddDownload(ctx context.Context, token string, d webhook.Download) error {
	found := false
	err := s.writeSoon(ctx, func(t *tx) error {
		err := prepare(t.Conn, `UPDATE result_sets SET downloads = downloads + 1, last_download_at = max(last_download_at, ?) WHERE token = ?`).
			time(d.At).text(token).exec()
		if found = t.Changes() > 0; err != nil || !found {
			return err
		}
		return prepare(t.Conn, `INSERT OR REPLACE INTO downloads (token, at, file, method) VALUES (?, ?, ?, ?)`).
			text(token).time(d.At).text(d.File).text(d.Method).exec()
	})
	return wrap(notFound(found, err), "result set: download")
}

// Downloads returns the newest downloads of a set, at most limit.
func (s *Store) Downloads(ctx context.Context, token string, limit int) (list []webhook.Download, err error) {
	err = s.list(ctx, func(c conn) error {
		return prepare(c, downloadsQuery).text(token).int(limit).each(func(r *row) error {
			list = append(list, webhook.Download{At: r.time(), File: r.text(), Method: r.text()})
			return nil
		})
	})
	return list, wrap(err, "result set: downloads")
}

const downloadsQuery = `SELECT at, file, method FROM downloads WHERE token = ? ORDER BY at DESC LIMIT ?`

// changeOne runs a statement that changes one row, or returns webhook.ErrNotFound.
func (s *Store) changeOne(ctx context.Context, statement func(conn) *binder) error {
	found := false
	err := s.write(ctx, func(t *tx) error {
		err := statement(t.Conn).exec()
		found = t.Changes() > 0
		return err
	})
	return notFound(found, err)
}
