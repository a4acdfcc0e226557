package format

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// socialData is SocialData's webhook: one event for both ends of a job, one
// attempt, and only the answer 200 is a success.
func socialData() Format {
	return Format{
		Name:  SocialData,
		Kind:  job.KindAsync,
		Types: []webhook.EventType{webhook.JobFinished, webhook.JobFailed, webhook.ResultSetReady},
		Policy: webhook.Policy{
			Success: webhook.Success200,
			RetryOn: webhook.RetryAnyError,
			Timeout: 10 * time.Second,
		},
		contentType: contentJSON,
		filter:      tellsOfDataFile,
		encode:      encodeSocialData,
	}
}

// tellsOfDataFile lets a job be told of once: at its end, or, when records were
// uploaded for it, as soon as they are exported.
func tellsOfDataFile(e webhook.Event, j job.Job) string {
	exported := j.HasRecords() && j.Outcome() == job.OutcomeSucceeded
	if a, err := j.Async(); err == nil && a.ResultSet != nil && (a.ResultSet.Token != "" || a.ResultSet.Error != "") {
		exported = j.Outcome() == job.OutcomeSucceeded
	}
	switch {
	case exported && e.Type == webhook.JobFinished:
		return "filtered: the job's records become its data file; it is told of with result_set.ready"
	case !exported && e.Type == webhook.ResultSetReady:
		return "filtered: the job was told of at its end"
	}
	return ""
}

type socialDataBody struct {
	Event string          `json:"event"`
	Data  json.RawMessage `json:"data"`
}

type socialDataJob struct {
	JobID   json.RawMessage   `json:"job_id"`
	Status  job.Status        `json:"status"`
	Result  *socialDataResult `json:"result,omitempty"`
	Message string            `json:"message,omitempty"`
}

type socialDataResult struct {
	DatafileURL string `json:"datafile_url"`
}

func encodeSocialData(_ webhook.Event, j job.Job, publicURL string) ([]byte, error) {
	data, err := SocialDataJob(j, publicURL)
	if err != nil {
		return nil, err
	}
	return marshal(socialDataBody{Event: "job_finished", Data: data})
}

// SocialDataJob returns the webhook's data object, which is byte for byte the
// answer to GET /jobs/{job_id}. It holds a result only after success and when
// the record names a data file, or records were exported as JSON Lines; a
// message only after an error. PublicURL begins the link to exported records.
func SocialDataJob(j job.Job, publicURL string) ([]byte, error) {
	a, err := j.Async()
	if err != nil {
		return nil, err
	}
	id, err := socialDataID(j.ID)
	if err != nil {
		return nil, err
	}
	d := socialDataJob{JobID: id, Status: j.Status}
	switch j.Outcome() {
	case job.OutcomeSucceeded:
		if url := dataFile(j, a, publicURL); url != "" {
			d.Result = &socialDataResult{DatafileURL: url}
		}
	case job.OutcomeFailed:
		d.Message = a.Message
	}
	return marshal(d)
}

// dataFile is where the job's data can be had: where the platform says, or
// where its records were exported to.
func dataFile(j job.Job, a job.Async, publicURL string) string {
	if a.Result != nil && a.Result.DatafileURL != "" {
		return a.Result.DatafileURL
	}
	if a.ResultSet == nil || j.Run > 0 && a.ResultSet.ID != j.Run {
		return ""
	}
	f, _ := a.ResultSet.Links(j.Kind, j.ID, job.FilesJSONLines, publicURL)
	return f.AllPages
}

// socialDataID writes an id as SocialData does, as a number of any length,
// or as a string when it is none in JSON: "job-7", "007".
func socialDataID(id string) (json.RawMessage, error) {
	digits := strings.Trim(id, "0123456789") == ""
	if digits && json.Valid([]byte(id)) {
		return json.RawMessage(id), nil
	}
	return marshal(id)
}
