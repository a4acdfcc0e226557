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
		Types: []webhook.EventType{webhook.JobFinished, webhook.JobFailed},
		Policy: webhook.Policy{
			Success: webhook.Success200,
			RetryOn: webhook.RetryAnyError,
			Timeout: 10 * time.Second,
		},
		contentType: contentJSON,
		encode:      encodeSocialData,
	}
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

func encodeSocialData(_ webhook.Event, j job.Job, _ string) ([]byte, error) {
	data, err := SocialDataJob(j)
	if err != nil {
		return nil, err
	}
	return marshal(socialDataBody{Event: "job_finished", Data: data})
}

// SocialDataJob returns the webhook's data object, which is byte for byte the
// answer to GET /jobs/{job_id}. It holds a result only after success and when
// the record names a data file, a message only after an error.
func SocialDataJob(j job.Job) ([]byte, error) {
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
		if a.Result != nil && a.Result.DatafileURL != "" {
			d.Result = &socialDataResult{DatafileURL: a.Result.DatafileURL}
		}
	case job.OutcomeFailed:
		d.Message = a.Message
	}
	return marshal(d)
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
