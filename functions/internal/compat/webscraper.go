package compat

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// webScraper is the part of Web Scraper Cloud's API that reads scraping jobs
// (https://webscraper.io/documentation/web-scraper-cloud/api).
func (c *routes) webScraper() system {
	return system{
		base: "/webscraper",
		key:  inQuery("api_token"),
		// The page shows no body of an error. Its clients look at success and at
		// the status code, and show the rest to people.
		envelope: func(f *refusal) any {
			return struct {
				Success bool   `json:"success"`
				Error   string `json:"error"`
			}{false, f.message}
		},
		headers: rateHeaders,
		gets: map[string]handler{
			"/scraping-job/{id}":      c.getScraping,
			"/scraping-jobs":          c.listScraping,
			"/scraping-job/{id}/json": c.scrapedData(job.FilesJSONLines),
			"/scraping-job/{id}/csv":  c.scrapedData(job.FilesCSV),
		},
	}
}

// rateHeaders are those of Web Scraper Cloud: the reset, in unix seconds, is
// sent only when the limit is reached.
func rateHeaders(w http.ResponseWriter, r rate) {
	w.Header().Set("X-RateLimit-Limit", strconv.Itoa(r.limit))
	w.Header().Set("X-RateLimit-Remaining", strconv.Itoa(max(0, r.remaining)))
	if !r.reset.IsZero() {
		w.Header().Set("X-RateLimit-Reset", strconv.FormatInt(r.reset.Unix(), 10))
	}
}

// scrapingView is a scraping job as Web Scraper Cloud shows it.
type scrapingView struct {
	ID                json.RawMessage `json:"id"`
	CustomID          *string         `json:"custom_id"` // null when it has none
	SitemapName       string          `json:"sitemap_name"`
	Status            job.Status      `json:"status"`
	SitemapID         json.RawMessage `json:"sitemap_id"`
	JobsScheduled     int             `json:"jobs_scheduled"`
	JobsExecuted      int             `json:"jobs_executed"`
	JobsFailed        int             `json:"jobs_failed"`
	JobsEmpty         int             `json:"jobs_empty"`
	StoredRecordCount int             `json:"stored_record_count"`
	TimeCreated       int64           `json:"time_created"` // unix seconds; 0 when the record does not say
}

func viewScraping(j job.Job) (scrapingView, error) {
	s, err := j.Scraping()
	if err != nil {
		return scrapingView{}, err
	}
	v := scrapingView{
		ID: number(j.ID), SitemapName: s.SitemapName, Status: j.Status, SitemapID: json.RawMessage("null"),
		JobsScheduled: s.JobsScheduled, JobsExecuted: s.JobsExecuted, JobsFailed: s.JobsFailed, JobsEmpty: s.JobsEmpty,
		StoredRecordCount: s.StoredRecordCount, TimeCreated: s.TimeCreated,
	}
	if s.CustomID != "" {
		id := s.CustomID.String()
		v.CustomID = &id
	}
	if s.SitemapID != "" {
		v.SitemapID = number(s.SitemapID.String())
	}
	if v.TimeCreated == 0 && !j.CreatedAt.IsZero() {
		v.TimeCreated = j.CreatedAt.Unix()
	}
	return v, nil
}

// scraping returns the account's scraping job, or a refusal.
func (c *routes) scraping(r *http.Request, account string) (job.Job, error) {
	id := r.PathValue("id")
	j, err := c.job(r.Context(), account, job.KindScraping, id)
	if errors.Is(err, webhook.ErrNotFound) {
		return j, refuse(http.StatusNotFound, "Scraping job %s not found.", shortened(id))
	}
	return j, err
}

func (c *routes) getScraping(w http.ResponseWriter, r *http.Request, account string) error {
	j, err := c.scraping(r, account)
	if err != nil {
		return err
	}
	v, err := viewScraping(j)
	if err != nil {
		return err
	}
	return show(w, r, struct {
		Success bool         `json:"success"`
		Data    scrapingView `json:"data"`
	}{true, v})
}

// pageJobs is how many scraping jobs Web Scraper Cloud shows on a page.
const pageJobs = 100

// countAhead is how many jobs beyond a page are counted for total and
// last_page. With more of them both are too small, but grow as the pages go
// on, and never end before the jobs do: clients read them anew with every page.
const countAhead = 2000

// maxJobPage bounds the number of a page, as those before it are read for it.
const maxJobPage = 1000

// listScraping shows a page of the account's scraping jobs, newest first; the
// page does not name the order. Pages beyond the last are empty. Whoever asks
// for page n pays for reading the pages before it.
func (c *routes) listScraping(w http.ResponseWriter, r *http.Request, account string) error {
	page := 1
	if text := r.URL.Query().Get("page"); text != "" {
		var err error
		if page, err = positive("page", text); err != nil {
			return err
		}
	}
	if page > maxJobPage {
		return refuse(http.StatusBadRequest, "The page must be at most %d; name a sitemap_id to get fewer.", maxJobPage)
	}
	data, total, err := c.scrapingOn(r.Context(), account, page, r.URL.Query().Get("sitemap_id"))
	if err != nil {
		return err
	}
	return show(w, r, struct {
		Success     bool           `json:"success"`
		Data        []scrapingView `json:"data"`
		CurrentPage int            `json:"current_page"`
		LastPage    int            `json:"last_page"`
		Total       int            `json:"total"`
		PerPage     int            `json:"per_page"`
	}{true, data, page, max(1, (total+pageJobs-1)/pageJobs), total, pageJobs})
}

// scrapingOn returns the jobs of a page, of one sitemap if it is named, and how
// many there are, as far as they were counted: no more than maxPages are read
// for them.
func (c *routes) scrapingOn(ctx context.Context, account string, page int, sitemap string) (data []scrapingView, total int, err error) {
	data = []scrapingView{}
	first, last := (page-1)*pageJobs, page*pageJobs
	f := webhook.JobFilter{Account: account, Kind: job.KindScraping, Limit: webhook.MaxPage}
	err = eachPage(maxPages, func(after string) ([]job.Job, string, error) {
		f.After = after
		return c.Store.Jobs(ctx, f)
	}, func(j job.Job) error {
		v, err := viewScraping(j)
		if err != nil {
			return err
		}
		if sitemap != "" && string(v.SitemapID) != string(number(sitemap)) {
			return nil
		}
		if total++; total > first && total <= last {
			data = append(data, v)
		}
		if total == last+countAhead {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return data, total, err
}
