package compat

import (
	"context"
	"net/http"
	"time"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// exportWait is when to ask again for data that is being exported.
const exportWait = 5 * time.Second

// scrapedData serves the data of the newest exported run: a file of ours, from
// where it lies, or a file that the platform named.
func (c *routes) scrapedData(format string) handler {
	return func(w http.ResponseWriter, r *http.Request, account string) error {
		j, err := c.scraping(r, account)
		if err != nil {
			return err
		}
		set, ok, err := c.newestSet(r.Context(), j)
		switch {
		case err != nil:
			return err
		case ok && c.Files != nil:
			return c.serveFile(w, r, set, format)
		}
		if link, ok := namedFile(j, format); ok {
			http.Redirect(w, r, link, http.StatusFound)
			return nil
		}
		return noData()
	}
}

// newestSet returns the newest result set that can be downloaded, false when
// there is none. Once a run has ended that has one, it is that run's or none,
// as an older run's data would be taken for this run's. While it is being
// exported, it is a refusal: the page tells clients to wait for as long as a 429
// says, and they do.
func (c *routes) newestSet(ctx context.Context, j job.Job) (webhook.ResultSet, bool, error) {
	sets, err := c.Store.ResultSets(ctx, j.Account, j.Kind, j.ID)
	if err != nil {
		return webhook.ResultSet{}, false, err
	}
	if j.Ended() && j.HasRecords() && !finished(sets, j.Run) {
		f := refuse(http.StatusTooManyRequests, "The job's data is being exported; wait for %d seconds.", seconds(exportWait))
		f.wait = exportWait
		return webhook.ResultSet{}, false, f
	}
	now := c.Now()
	for _, s := range sets {
		if available(s, now) {
			return s, true, nil
		}
		if j.Ended() && s.Run == j.Run {
			break
		}
	}
	return webhook.ResultSet{}, false, nil
}

// available tells whether a result set's files can be had.
func available(s webhook.ResultSet, now time.Time) bool {
	return s.State == webhook.ResultSetExported && s.RevokedAt.IsZero() && now.Before(s.ExpiresAt)
}

// finished tells whether the export of a run has ended, in whatever way.
func finished(sets []webhook.ResultSet, run int) bool {
	for _, s := range sets {
		if s.Run == run {
			return s.State != webhook.ResultSetExporting
		}
	}
	return false
}

// namedFile is the link to all data that the platform wrote into the record.
func namedFile(j job.Job, format string) (string, bool) {
	set, err := j.ResultSet()
	if err != nil || set == nil {
		return "", false
	}
	link := set.Files[format].AllPages
	return link, webhook.CheckURL(link) == nil
}

func noData() error { return refuse(http.StatusNotFound, "There is no scraped data of this job.") }
