package storetest

import (
	"fmt"
	"time"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

func resultSetPromises() []promise {
	return []promise{
		{"a run has one result set, whoever begins it first, and it is kept whole", func(s store) {
			first := s.resultSet("acme", "b1", 1)
			same(s, "result set as begun", s.begun(first), first)
			again := s.resultSet("acme", "b1", 1)
			same(s, "result set begun again", s.begun(again), first)
			s.findsResultSet(first)
			_, err := s.ResultSet(s.ctx(), again.Token)
			s.want(err, webhook.ErrNotFound)
			_, err = s.ResultSet(s.ctx(), "no token")
			s.want(err, webhook.ErrNotFound)
		}},
		{"of many who begin a run's result set at once, all get the same one", func(s store) {
			kept := make([]webhook.ResultSet, 6)
			for _, err := range together(len(kept), func(i int) (err error) {
				kept[i], err = s.BeginResultSet(s.ctx(), s.resultSet("acme", "b1", 1))
				return err
			}) {
				s.ok(err)
			}
			for _, set := range kept {
				same(s, "token", set.Token, kept[0].Token)
			}
		}},
		{"the end of an export replaces what it found out, and nothing else", func(s store) {
			want := s.begun(s.resultSet("acme", "b1", 1))
			s.ok(s.RevokeResultSet(s.ctx(), "acme", job.KindBatch, "b1", 1, now()))
			s.ok(s.AddDownload(s.ctx(), want.Token, webhook.Download{At: now(), File: "a.csv", Method: "GET"}))
			want, err := s.ResultSet(s.ctx(), want.Token)
			s.ok(err)
			want.State, want.Reason, want.Pages, want.Records, want.Bytes = webhook.ResultSetFailed, "it was full", 3, 2500, 1<<40
			want.CSVHash, want.UpdatedAt, want.ExpiresAt = "abc", now().Add(time.Minute), now().Add(14*24*time.Hour)
			finished := want
			finished.CreatedAt, finished.RevokedAt, finished.Downloads, finished.LastDownloadAt = time.Time{}, time.Time{}, 0, time.Time{}
			s.ok(s.FinishResultSet(s.ctx(), finished))
			s.findsResultSet(want)
			s.want(s.FinishResultSet(s.ctx(), s.resultSet("acme", "b1", 2)), webhook.ErrNotFound)
			s.want(s.FinishResultSet(s.ctx(), s.resultSet("other", "b1", 1)), webhook.ErrNotFound)
		}},
		{"a result set that is ready stays so, whatever a slower export found out", func(s store) {
			want := s.begun(s.resultSet("acme", "b1", 1))
			failed := want
			failed.State, failed.Reason = webhook.ResultSetFailed, "it was full"
			s.ok(s.FinishResultSet(s.ctx(), failed))
			for _, pages := range []int{2, 3} {
				want.State, want.Pages, want.CSVHash, want.UpdatedAt = webhook.ResultSetExported, pages, "abc", now().Add(time.Minute)
				s.ok(s.FinishResultSet(s.ctx(), want))
				s.want(s.FinishResultSet(s.ctx(), failed), webhook.ErrStale)
				s.findsResultSet(want)
			}
		}},
		{"a job's result sets are listed, the newest run first", func(s store) {
			var want []webhook.ResultSet
			for _, run := range []int{2, 10, 1, 9} {
				s.begun(s.resultSet("acme", "b1", run))
				s.begun(s.resultSet("other", "b1", run))
			}
			s.begun(s.resultSet("acme", "b2", 11))
			scraping := s.resultSet("acme", "b1", 12)
			scraping.Kind, scraping.Token = job.KindScraping, webhook.NewResultSetToken("acme", job.KindScraping, "b1", 12)
			s.begun(scraping)
			list, err := s.ResultSets(s.ctx(), "acme", job.KindBatch, "b1")
			s.ok(err)
			var runs []int
			for _, set := range list {
				runs = append(runs, set.Run)
				same(s, "account", set.Account, "acme")
			}
			same(s, "runs", runs, []int{10, 9, 2, 1})
			list, err = s.ResultSets(s.ctx(), "acme", job.KindBatch, "none")
			s.ok(err)
			same(s, "result sets of a job that has none", list, want)
		}},
		{"a revoked result set is found and says since when, and only its account revokes it", func(s store) {
			want := s.begun(s.resultSet("acme", "b1", 1))
			s.want(s.RevokeResultSet(s.ctx(), "other", job.KindBatch, "b1", 1, now()), webhook.ErrNotFound)
			s.want(s.RevokeResultSet(s.ctx(), "acme", job.KindScraping, "b1", 1, now()), webhook.ErrNotFound)
			s.want(s.RevokeResultSet(s.ctx(), "acme", job.KindBatch, "b1", 2, now()), webhook.ErrNotFound)
			s.findsResultSet(want)
			want.RevokedAt = now()
			s.ok(s.RevokeResultSet(s.ctx(), "acme", job.KindBatch, "b1", 1, want.RevokedAt))
			s.findsResultSet(want)
		}},
		{"downloads are counted, all of those at once, and listed newest first", func(s store) {
			set, other := s.begun(s.resultSet("acme", "b1", 1)), s.begun(s.resultSet("acme", "b1", 2))
			at := now()
			var want []webhook.Download
			for i := range 10 {
				want = append(want, webhook.Download{At: at.Add(-time.Duration(i) * time.Millisecond), File: fmt.Sprintf("%d.csv", i), Method: "GET"})
			}
			want[3].Method = "HEAD"
			for _, err := range together(len(want), func(i int) error { return s.AddDownload(s.ctx(), set.Token, want[i]) }) {
				s.ok(err)
			}
			got, err := s.ResultSet(s.ctx(), set.Token)
			s.ok(err)
			same(s, "downloads counted", got.Downloads, len(want))
			same(s, "last download", got.LastDownloadAt, at)
			for _, limit := range []int{3, 100} {
				list, err := s.Downloads(s.ctx(), set.Token, limit)
				s.ok(err)
				same(s, "downloads", list, want[:min(limit, len(want))])
			}
			list, err := s.Downloads(s.ctx(), other.Token, 10)
			s.ok(err)
			same(s, "downloads of another set", list, nil)
			s.want(s.AddDownload(s.ctx(), webhook.NewResultSetToken("acme", job.KindBatch, "b1", 1), want[0]), webhook.ErrNotFound)
		}},
		{"a result set is there for a week after it expired, and then gone with its downloads", func(s store) {
			set := s.begun(s.resultSet("acme", "b1", 1))
			s.ok(s.AddDownload(s.ctx(), set.Token, webhook.Download{At: now(), File: "a.csv", Method: "GET"}))
			s.expire(set.ExpiresAt.Add(6 * 24 * time.Hour))
			_, err := s.ResultSet(s.ctx(), set.Token)
			s.ok(err)
			s.expire(set.ExpiresAt.Add(8 * 24 * time.Hour))
			_, err = s.ResultSet(s.ctx(), set.Token)
			s.want(err, webhook.ErrNotFound)
			list, err := s.ResultSets(s.ctx(), "acme", job.KindBatch, "b1")
			s.ok(err)
			same(s, "result sets", list, nil)
			downloads, err := s.Downloads(s.ctx(), set.Token, 10)
			s.ok(err)
			same(s, "downloads", downloads, nil)
			again := s.resultSet("acme", "b1", 1)
			again.ExpiresAt = set.ExpiresAt.Add(30 * 24 * time.Hour)
			same(s, "result set begun anew", s.begun(again), again)
		}},
	}
}

// resultSet is that of a batch's run as its export begins.
func (s store) resultSet(account, id string, run int) webhook.ResultSet {
	return webhook.ResultSet{
		Account: account, Kind: job.KindBatch, JobID: id, Run: run, Token: webhook.NewResultSetToken(account, job.KindBatch, id, run),
		State: webhook.ResultSetExporting, CreatedAt: now(), UpdatedAt: now(), ExpiresAt: now().Add(24 * time.Hour),
	}
}

func (s store) begun(set webhook.ResultSet) webhook.ResultSet {
	s.Helper()
	kept, err := s.BeginResultSet(s.ctx(), set)
	s.ok(err)
	return kept
}

func (s store) findsResultSet(want webhook.ResultSet) {
	s.Helper()
	got, err := s.ResultSet(s.ctx(), want.Token)
	s.ok(err)
	same(s, "result set", got, want)
}
