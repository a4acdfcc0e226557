package format

import (
	"encoding/json"
	"unicode/utf8"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// maxText bounds, in bytes, each text of the job's own in a standard body.
const maxText = 1 << 10

// describe adds what only jobs of this kind have.
func (d *standardJob) describe(e webhook.Event, j job.Job, publicURL string) error {
	switch j.Kind {
	case job.KindBatch:
		return d.describeBatch(e, j, publicURL)
	case job.KindScraping:
		return d.describeScraping(e, j, publicURL)
	case job.KindPipeline:
		return d.describePipeline(e, j, publicURL)
	}
	return d.describeAsync(e, j, publicURL)
}

func (d *standardJob) describeBatch(e webhook.Event, j job.Job, publicURL string) error {
	b, err := j.Batch()
	if err != nil {
		return err
	}
	d.addResultSet(e, j, b.ResultSet, publicURL)
	d.Counts, err = present[batchCounts](j)
	return err
}

func (d *standardJob) describeScraping(e webhook.Event, j job.Job, publicURL string) error {
	s, err := j.Scraping()
	if err != nil {
		return err
	}
	d.addResultSet(e, j, s.ResultSet, publicURL)
	d.Counts, err = present[scrapingCounts](j)
	return err
}

func (d *standardJob) describePipeline(e webhook.Event, j job.Job, publicURL string) error {
	p, err := j.Pipeline()
	if err != nil {
		return err
	}
	d.Error, d.Reason = capped(p.Error), capped(p.Reason)
	d.addResultSet(e, j, p.ResultSet, publicURL)
	if e.Type != webhook.JobProgress {
		return nil
	}
	d.Details = capped(p.Details)
	progress, err := percent(j, p)
	d.Progress = json.Number(progress)
	return err
}

func (d *standardJob) describeAsync(e webhook.Event, j job.Job, publicURL string) error {
	a, err := j.Async()
	if err != nil {
		return err
	}
	d.Message = capped(a.Message)
	d.addResultSet(e, j, a.ResultSet, publicURL)
	return nil
}

// addResultSet describes a result set that became ready. A batch that asked
// for no files has one without files.
func (d *standardJob) addResultSet(e webhook.Event, j job.Job, r *job.ResultSet, publicURL string) {
	if e.Type != webhook.ResultSetReady {
		return
	}
	d.ResultSet = &standardResultSet{ID: resultSetID(j, r)}
	if r == nil {
		return
	}
	d.ResultSet.Files = standardFiles{
		JSON:      fileOf(r, j, job.FilesJSON, publicURL),
		JSONLines: fileOf(r, j, job.FilesJSONLines, publicURL),
		CSV:       fileOf(r, j, job.FilesCSV, publicURL),
	}
}

// fileOf describes a result set in one format, nil when it has none. A link
// too long to be ours is left out, for the sake of the body's bound.
func fileOf(r *job.ResultSet, j job.Job, name, publicURL string) *standardFile {
	f, ok := r.Links(j.Kind, j.ID, name, publicURL)
	if !ok {
		return nil
	}
	if len(f.AllPages) > webhook.MaxURLBytes {
		f.AllPages = ""
	}
	return &standardFile{Pages: len(f.Pages), AllPages: f.AllPages}
}

// batchCounts are a batch's counters. Those that the record does not hold stay
// away, so that nobody takes unknown for none.
type batchCounts struct {
	SearchesTotal     *int `json:"searches_total,omitempty"`
	SearchesCompleted *int `json:"searches_completed,omitempty"`
	SearchesFailed    *int `json:"searches_failed,omitempty"`
}

type scrapingCounts struct {
	JobsScheduled     *int `json:"jobs_scheduled,omitempty"`
	JobsExecuted      *int `json:"jobs_executed,omitempty"`
	JobsFailed        *int `json:"jobs_failed,omitempty"`
	JobsEmpty         *int `json:"jobs_empty,omitempty"`
	StoredRecordCount *int `json:"stored_record_count,omitempty"`
}

// present reads counters from the record. It returns nil, which JSON leaves
// out, when there are none.
func present[T comparable](j job.Job) (any, error) {
	var counts, none T
	if err := json.Unmarshal(j.Record, &counts); err != nil {
		return nil, err
	}
	if counts == none {
		return nil, nil
	}
	return counts, nil
}

// capped cuts a text to maxText bytes, between two characters.
func capped(s string) string {
	if len(s) <= maxText {
		return s
	}
	n := maxText
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
