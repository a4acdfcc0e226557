package demo

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// accountGallery is whose dashboard the demo opens: there is something of all
// that a dashboard shows.
const accountGallery = "demo"

// pathGallery begins the paths of its receivers. Their names say how they answer.
const pathGallery = "/gallery/"

// exhibit is an endpoint of the gallery.
type exhibit struct {
	name     string
	settings fields
}

func exhibits() []exhibit {
	everything := webhook.OfJobs()
	return []exhibit{
		{"reliable", fields{"types": everything}},
		{"refuses-at-first", fields{}},
		{"broken", fields{"policy": fields{"retry_seconds": []int{30, 300, 3600}}}},
		{"paused", fields{"status": "paused", "status_reason": "the receiver is being moved"}},
	}
}

// furnish fills the gallery, and returns a link to its dashboard. Nobody
// watches what arrives there.
func (s *show) furnish(ctx context.Context) (link string, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := s.api.call(ctx, http.MethodPut, "/v1/accounts/"+accountGallery, fields{"name": "Demo: a customer"}, nil); err != nil {
		return "", err
	}
	if err := s.hang(ctx); err != nil {
		return "", err
	}
	if err := s.fill(ctx, time.Now()); err != nil {
		return "", err
	}
	var made struct {
		URL string `json:"url"`
	}
	err = s.api.call(ctx, http.MethodPost, "/v1/accounts/"+accountGallery+"/portal-links", fields{}, &made)
	return made.URL, err
}

// hang makes the endpoints that are not there from an earlier start.
func (s *show) hang(ctx context.Context) error {
	path := "/v1/endpoints?account=" + accountGallery
	var old struct {
		Items []struct {
			URL string `json:"url"`
		} `json:"items"`
	}
	if err := s.api.call(ctx, http.MethodGet, path, nil, &old); err != nil {
		return err
	}
	there := map[string]bool{}
	for _, e := range old.Items {
		there[e.URL] = true
	}
	for _, e := range exhibits() {
		e.settings["url"] = s.receiver.url + pathGallery + e.name
		if there[s.receiver.url+pathGallery+e.name] {
			continue
		}
		if err := s.api.call(ctx, http.MethodPost, path, e.settings, nil); err != nil {
			return err
		}
	}
	return nil
}

// fill plays jobs of every kind, with every end.
func (s *show) fill(ctx context.Context, now time.Time) error {
	id := func(n int) string { return strconv.FormatInt(now.UnixMilli()+int64(n), 10) }
	stories := [][]fields{
		{scraping(fields{"status": "started", "jobs_scheduled": 40}), {"status": "finished", "jobs_executed": 40, "stored_record_count": 1200}},
		{scraping(fields{"status": "started", "jobs_scheduled": 8}), {"status": "stopped"}},
		{{"kind": job.KindAsync, "status": "pending"}, {"status": "success", "result": fields{"datafile_url": s.receiver.url + pathFiles + dataFile(s.ids.async)}}},
		{{"kind": job.KindAsync, "status": "pending"}, {"status": "error", "error": "the profile is private"}},
		{{"kind": job.KindPipeline, "status": "pending", "name": "nightly"}, {"status": "active", "progress": 40}, {"status": "completed", "progress": 100}},
		{{"kind": job.KindPipeline, "status": "pending", "name": "hourly"}, {"status": "active", "progress": 65}},
	}
	for n, story := range stories {
		story[0]["account"] = accountGallery
		for i, write := range story {
			method := http.MethodPatch
			if i == 0 {
				method = http.MethodPut
			}
			if err := s.api.call(ctx, method, "/v1/jobs/"+id(n), write, nil); err != nil {
				return err
			}
		}
	}
	return s.fillBatch(ctx, fmt.Sprintf("%X", now.UnixMilli()))
}

func scraping(more fields) fields {
	more["kind"], more["sitemap_id"], more["sitemap_name"] = job.KindScraping, 12, "my-sitemap"
	return more
}

// fillBatch plays a batch whose records become files.
func (s *show) fillBatch(ctx context.Context, id string) error {
	path := "/v1/jobs/" + url.PathEscape(id)
	first := fields{
		"account": accountGallery, "kind": job.KindBatch, "status": "running", "run": 1, "name": "Prices", "searches_total": 3,
		"notification_as_json": true, "notification_as_csv": true, "notification_csv_fields": csvFields,
	}
	if err := s.api.call(ctx, http.MethodPut, path, first, nil); err != nil {
		return err
	}
	lines, err := jsonLines(searches())
	if err != nil {
		return err
	}
	if err := s.api.upload(ctx, path+"/runs/1/records", "application/x-ndjson", lines); err != nil {
		return err
	}
	return s.api.call(ctx, http.MethodPatch, path, fields{"status": "idle", "searches_completed": 3, "searches_failed": 0}, nil)
}

// gallery answers as the paths of its exhibits say.
type gallery struct {
	mu   sync.Mutex
	seen map[string]bool // by webhook-id, of what was refused at first
}

// ServeHTTP answers one webhook.
func (g *gallery) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.PathValue("name") {
	case "broken":
		http.Error(w, "the database is down, on purpose", http.StatusInternalServerError)
	case "refuses-at-first":
		if g.isNew(r.Header.Get(webhook.HeaderID)) {
			http.Error(w, "not now, on purpose", http.StatusServiceUnavailable)
			return
		}
		fallthrough
	default:
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"ok":true}` + "\n")) // whoever sent it is gone if this fails
	}
}

// isNew tells whether a webhook comes for the first time.
func (g *gallery) isNew(id string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.seen == nil {
		g.seen = map[string]bool{}
	}
	known := g.seen[id]
	g.seen[id] = true
	return !known
}
