package demo

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/jobhook/jobhook/shared/format"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// webhookRequest is a received webhook.
type webhookRequest struct {
	path   string
	header http.Header
	body   []byte
}

// isTest tells whether somebody has sent a test, from the dashboard or by the
// API: whatever an endpoint's format, it is of the standard one.
func (q webhookRequest) isTest() bool {
	var body struct {
		Type webhook.EventType `json:"type"`
	}
	return json.Unmarshal(q.body, &body) == nil && body.Type == webhook.WebhookTest
}

// reading is what a receiver understood of a body.
type reading struct {
	jobID string
	says  string // for people
}

// read checks a body in the words of a format, which each system's customers
// would know. linked tells whether a link leads to a file.
func (q webhookRequest) read(name string, linked func(url string) bool) (reading, error) {
	want := "application/json"
	if name == format.WebScraper {
		want = "application/x-www-form-urlencoded"
	}
	if got, _, err := mime.ParseMediaType(q.header.Get("Content-Type")); err != nil || got != want {
		return reading{}, fmt.Errorf("content-type is %q, not %s", q.header.Get("Content-Type"), want)
	}
	switch name {
	case format.SerpWow:
		return readSerpWow(q.body, linked)
	case format.WebScraper:
		return readWebScraper(q.body)
	case format.HKube:
		return readHKube(q.path, q.body)
	case format.SocialData:
		return readSocialData(q.body, linked)
	}
	return readStandard(q.body)
}

// rule is one thing that must hold of a body.
type rule struct {
	ok   bool
	what string
}

// broken names the first rule that does not hold.
func broken(rules ...rule) error {
	for _, r := range rules {
		if !r.ok {
			return errors.New(r.what)
		}
	}
	return nil
}

func readSerpWow(body []byte, linked func(string) bool) (reading, error) {
	var b struct {
		RequestInfo struct {
			Success bool   `json:"success"`
			Type    string `json:"type"`
		} `json:"request_info"`
		Batch struct {
			ID string `json:"id"`
		} `json:"batch"`
		ResultSet struct {
			ID    int                        `json:"id"`
			Links map[string]job.ResultFiles `json:"download_links"`
		} `json:"result_set"`
	}
	if err := json.Unmarshal(body, &b); err != nil {
		return reading{}, err
	}
	var links []string
	for _, f := range b.ResultSet.Links {
		links = append(append(links, f.Pages...), f.AllPages)
	}
	dead := slices.ContainsFunc(links, func(l string) bool { return !linked(l) })
	return reading{b.Batch.ID, fmt.Sprintf("result set %d of batch %s, %d links to files", b.ResultSet.ID, b.Batch.ID, len(links))}, broken(
		rule{b.RequestInfo.Success && b.RequestInfo.Type == "batch_resultset_completed", "request_info is not of a completed result set"},
		rule{b.ResultSet.ID == 1, "result_set.id is not 1"},
		rule{len(links) == 4 && b.ResultSet.Links["json"].AllPages != "" && b.ResultSet.Links["csv"].AllPages != "", "download_links are not those of json and csv"},
		rule{!dead, "a download link leads to no file"},
	)
}

func readWebScraper(body []byte) (reading, error) {
	v, err := url.ParseQuery(string(body))
	if err != nil {
		return reading{}, err
	}
	id, status := v.Get("scrapingjob_id"), v.Get("status")
	return reading{id, fmt.Sprintf("scraping job %s is %s", id, status)}, broken(
		rule{status == "finished", "status is not finished"},
		rule{v.Get("sitemap_id") != "" && v.Get("sitemap_name") != "", "the sitemap is missing"},
	)
}

func readHKube(path string, body []byte) (reading, error) {
	var b struct {
		JobID  string `json:"jobId"`
		Level  string `json:"level"`
		Status string `json:"status"`
		Data   struct {
			Progress string           `json:"progress"`
			Result   []job.NodeResult `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &b); err != nil {
		return reading{}, err
	}
	if path == pathResult {
		return reading{b.JobID, fmt.Sprintf("the pipeline is %s, %d results", b.Status, len(b.Data.Result))}, broken(
			rule{b.Status == "completed" && len(b.Data.Result) == 3, "it is no result of a completed pipeline"},
		)
	}
	says := fmt.Sprintf("the pipeline is %s, level %s", b.Status, b.Level)
	if b.Data.Progress != "" {
		says += ", at " + b.Data.Progress + " %"
	}
	return reading{b.JobID, says}, broken(
		rule{slices.Contains(job.Statuses(job.KindPipeline), job.Status(b.Status)), "status is no word of a pipeline"},
		rule{b.Level != "", "level is missing"},
	)
}

func readSocialData(body []byte, linked func(string) bool) (reading, error) {
	var b struct {
		Event string `json:"event"`
		Data  struct {
			JobID  json.Number `json:"job_id"`
			Status string      `json:"status"`
			Result struct {
				DatafileURL string `json:"datafile_url"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &b); err != nil {
		return reading{}, err
	}
	id := b.Data.JobID.String()
	return reading{id, fmt.Sprintf("job %s ended in %s, with its data file", id, b.Data.Status)}, broken(
		rule{b.Event == "job_finished", "event is not job_finished"},
		rule{b.Data.Status == "success", "status is not success"},
		rule{linked(b.Data.Result.DatafileURL), "result.datafile_url leads to no file"},
	)
}

func readStandard(body []byte) (reading, error) {
	var b struct {
		Type string `json:"type"`
		Data struct {
			JobID   string `json:"job_id"`
			Outcome string `json:"outcome"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &b); err != nil {
		return reading{}, err
	}
	return reading{b.Data.JobID, fmt.Sprintf("%s: job %s %s", b.Type, b.Data.JobID, b.Data.Outcome)}, broken(
		rule{b.Type == string(webhook.JobFinished), "type is not " + string(webhook.JobFinished)},
		rule{b.Data.Outcome == string(job.OutcomeSucceeded), "data.outcome is not succeeded"},
	)
}

// verifySignature tells in words how a request was checked against keys.
func (q webhookRequest) verifySignature(keys []string, now time.Time) (string, error) {
	if q.header.Get(webhook.HeaderID) == "" {
		return "", errors.New("the header webhook-id is missing")
	}
	if len(keys) == 0 {
		return "not signed", nil
	}
	if err := webhook.Verify(q.header, keys, now, q.body); err != nil {
		return "", err
	}
	return "the HMAC signature matches the endpoint's secret", nil
}
