package compat

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// resultsKept is how long SerpWow keeps result sets, for those whose record
// does not say when they expire: the platform keeps their files itself.
const resultsKept = 14 * 24 * time.Hour

// resultView is a result set as SerpWow shows it: in a list without links.
type resultView struct {
	ID                int            `json:"id"`
	StartedAt         *string        `json:"started_at"` // null when the record does not say
	EndedAt           *string        `json:"ended_at"`
	ExpiresAt         string         `json:"expires_at"`
	ResultsPageCount  int            `json:"results_page_count"`
	SearchesCompleted int            `json:"searches_completed"`
	SearchesFailed    int            `json:"searches_failed"`
	SearchesTotal     int            `json:"searches_total"`
	DownloadLinks     *resultLinks   `json:"download_links,omitempty"`
	WebhookStatus     *webhookStatus `json:"webhook_status,omitempty"` // the page does not say what stands there without a webhook: nothing
}

type resultLinks struct {
	Pages    []string `json:"pages"`
	AllPages string   `json:"all_pages,omitempty"`
}

// result is a result set of a batch: the event that told of it, and what the
// record was then.
type result struct {
	view    resultView
	set     *job.ResultSet // nil when the batch asked for no files
	eventID string
	at      time.Time
	expires time.Time
}

func readResult(e webhook.Event) (result, error) {
	j, err := e.Job()
	if err != nil {
		return result{}, err
	}
	b, err := j.Batch()
	if err != nil {
		return result{}, err
	}
	set := b.ResultSet
	res := result{set: set, eventID: e.ID, at: e.At, expires: e.At.Add(resultsKept)}
	id := j.Run
	if set != nil {
		if !set.ExpiresAt.Time().IsZero() {
			res.expires = set.ExpiresAt.Time()
		}
		if j.Run == 0 { // nobody counts the batch's runs but the set itself
			id = set.ID
		}
	}
	ended := b.EndedAt.Time()
	if ended.IsZero() {
		ended = e.At
	}
	res.view = resultView{
		ID: id, StartedAt: known(b.StartedAt.Time()), EndedAt: known(ended), ExpiresAt: stamp(res.expires),
		ResultsPageCount:  resultPages(set),
		SearchesCompleted: b.SearchesCompleted, SearchesFailed: b.SearchesFailed, SearchesTotal: b.SearchesTotal,
	}
	return res, nil
}

func resultPages(set *job.ResultSet) int {
	if set == nil {
		return 0
	}
	pages := set.Pages
	for _, f := range set.Files {
		pages = max(pages, len(f.Pages))
	}
	return pages
}

// resultsOf returns the batch's result sets, the most recent first, but those
// that have expired.
func (c *routes) resultsOf(ctx context.Context, j job.Job) ([]result, error) {
	var list []result
	now := c.Now()
	err := c.recordsOf(ctx, j, webhook.ResultSetReady, func(e webhook.Event) error {
		res, err := readResult(e)
		if err == nil && now.Before(res.expires) {
			list = append(list, res)
		}
		return err
	})
	slices.SortFunc(list, func(a, b result) int {
		return cmp.Or(cmp.Compare(b.view.ID, a.view.ID), b.at.Compare(a.at))
	})
	return slices.CompactFunc(list, func(a, b result) bool { return a.view.ID == b.view.ID }), err
}

// resultOf returns the result set that a request names, or a refusal in
// SerpWow's words.
func (c *routes) resultOf(r *http.Request, j job.Job) (result, error) {
	id, err := positive("result set", r.PathValue("rs"))
	if err != nil {
		return result{}, err
	}
	res, err := c.findResult(r.Context(), j, id)
	if errors.Is(err, webhook.ErrNotFound) {
		return res, noResultSet(id, j)
	}
	return res, err
}

func noResultSet(id int, j job.Job) error {
	return refuse(http.StatusNotFound, "Result Set %d of Batch %s not found.", id, j.ID)
}

// findResult returns a batch's result set, or webhook.ErrNotFound. Its event's
// id follows from the run, where runs are counted.
func (c *routes) findResult(ctx context.Context, j job.Job, id int) (result, error) {
	if j.Run == 0 {
		list, err := c.resultsOf(ctx, j)
		for _, res := range list {
			if res.view.ID == id && err == nil {
				return res, nil
			}
		}
		return result{}, cmp.Or(err, webhook.ErrNotFound)
	}
	run := j
	run.Run = id
	e, err := c.runEvent(ctx, run, webhook.ResultSetReady)
	if err != nil {
		return result{}, err
	}
	res, err := readResult(e)
	if err == nil && !c.Now().Before(res.expires) {
		err = webhook.ErrNotFound
	}
	return res, err
}

func (c *routes) listResults(w http.ResponseWriter, r *http.Request, account string) error {
	j, err := c.batch(r, account)
	if err != nil {
		return err
	}
	list, err := c.resultsOf(r.Context(), j)
	if err != nil {
		return err
	}
	views, err := c.withStatuses(r.Context(), j, list)
	if err != nil {
		return err
	}
	v, err := c.viewOf(r.Context(), j, len(list))
	if err != nil {
		return err
	}
	return show(w, r, struct {
		serpWowAnswer
		BatchID      string       `json:"batch_id"`
		Batch        batchView    `json:"batch"`
		ResultsCount int          `json:"results_count"`
		Results      []resultView `json:"results"`
	}{success(), j.ID, v, len(views), views})
}

// getResult shows a result set with its links in one format, which are none
// where the platform made no such files. SerpWow's page lets csv_fields choose
// the columns of each download: ours are chosen once, by the batch's
// notification_csv_fields, and the parameter is ignored.
func (c *routes) getResult(format string) handler {
	return func(w http.ResponseWriter, r *http.Request, account string) error {
		j, err := c.batch(r, account)
		if err != nil {
			return err
		}
		res, err := c.resultOf(r, j)
		if err != nil {
			return err
		}
		links, err := c.links(r.Context(), j, res, format)
		if err != nil {
			return err
		}
		views, err := c.withStatuses(r.Context(), j, []result{res})
		if err != nil {
			return err
		}
		views[0].DownloadLinks = links
		return show(w, r, struct {
			serpWowAnswer
			BatchID string     `json:"batch_id"`
			Result  resultView `json:"result"`
		}{success(), j.ID, views[0]})
	}
}

// links are those of a result set in one format. Of files that cannot be had
// any more they are none, and a refusal where the request is for links alone;
// the set itself still tells what became of it.
func (c *routes) links(ctx context.Context, j job.Job, res result, format string) (*resultLinks, error) {
	none := &resultLinks{Pages: []string{}}
	if res.set == nil {
		return none, nil
	}
	f, named := res.set.Files[format]
	if !named {
		gone, err := c.gone(ctx, j, res.view.ID)
		if err != nil {
			return nil, err
		}
		if gone && format != job.FilesJSON {
			return nil, noResultSet(res.view.ID, j)
		}
		var exported bool
		if f, exported = res.set.Links(j.Kind, j.ID, format, c.PublicURL); gone || !exported {
			return none, nil
		}
	}
	return &resultLinks{Pages: append([]string{}, f.Pages...), AllPages: f.AllPages}, nil
}

// gone tells whether the exported files of a run are known to be no more: the
// export failed, or the links were revoked or have expired. Of the 250 newest
// runs it is known.
func (c *routes) gone(ctx context.Context, j job.Job, run int) (bool, error) {
	sets, err := c.Store.ResultSets(ctx, j.Account, j.Kind, j.ID)
	for _, s := range sets {
		if s.Run == run {
			return s.State != webhook.ResultSetExporting && !available(s, c.Now()), err
		}
	}
	return false, err
}
