package format

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// standard is our own format: the envelope of Standard Webhooks 1.0.0 around a
// thin description of the job. Thin means bounded: with texts cut to maxText
// and pages counted instead of listed, a body stays under 64 KiB whatever the
// record holds; receivers fetch the rest from the API.
func standard() Format {
	return Format{
		Name: Standard,
		Policy: webhook.Policy{
			Success: webhook.Success2xx,
			RetryOn: webhook.RetryAnyError,
			Timeout: 15 * time.Second,
			Schedule: webhook.Schedule{
				Waits: []time.Duration{
					5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
					10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
				},
				Jitter: 0.2,
			},
			HonourRetryAfter: true,
			GoneDisables:     true,
		},
		contentType: contentJSON,
		encode:      encodeStandard,
	}
}

type standardBody struct {
	Type      webhook.EventType `json:"type"`
	Timestamp string            `json:"timestamp"`
	Data      any               `json:"data"`
}

type standardTest struct {
	Message string `json:"message"`
}

type standardEndpoint struct {
	Account    string `json:"account"`
	EndpointID string `json:"endpoint_id"`
	URL        string `json:"url"`
	Since      string `json:"since"` // when the failures began
	Reason     string `json:"reason,omitempty"`
	DisabledAt string `json:"disabled_at,omitempty"` // when it will be disabled
}

type standardJob struct {
	JobID     string             `json:"job_id"`
	Kind      job.Kind           `json:"kind"`
	Run       int                `json:"run,omitempty"`
	Status    job.Status         `json:"status"`
	Outcome   job.Outcome        `json:"outcome,omitempty"`
	Counts    any                `json:"counts,omitempty"`
	Message   string             `json:"message,omitempty"`
	Error     string             `json:"error,omitempty"`
	Reason    string             `json:"reason,omitempty"`
	Level     job.Level          `json:"level,omitempty"`
	Progress  json.Number        `json:"progress,omitempty"`
	Details   string             `json:"details,omitempty"`
	ResultSet *standardResultSet `json:"result_set,omitempty"`
	Links     *standardLinks     `json:"links,omitempty"`
}

type standardResultSet struct {
	ID    int           `json:"id"`
	Files standardFiles `json:"files"`
}

type standardFiles struct {
	JSON      *standardFile `json:"json,omitempty"`
	JSONLines *standardFile `json:"jsonlines,omitempty"`
	CSV       *standardFile `json:"csv,omitempty"`
}

type standardFile struct {
	Pages    int    `json:"pages"` // how many there are
	AllPages string `json:"all_pages,omitempty"`
}

type standardLinks struct {
	Job string `json:"job"`
}

func encodeStandard(e webhook.Event, j job.Job, publicURL string) ([]byte, error) {
	b := standardBody{Type: e.Type, Timestamp: timestamp(e.At)}
	if e.Type == webhook.WebhookTest {
		b.Data = standardTest{Message: "This is a test. No job is behind it."}
		return marshal(b)
	}
	if e.Type.OfEndpoint() {
		told, err := endpointOf(e)
		if err != nil {
			return nil, err
		}
		b.Data = told
		return marshal(b)
	}
	d := standardJob{
		JobID: j.ID, Kind: j.Kind, Run: j.Run, Status: j.Status, Outcome: j.Outcome(),
		Links: linksOf(j, publicURL),
	}
	if e.Type == webhook.JobProgress {
		d.Level = e.Level
	}
	if err := d.describe(e, j, publicURL); err != nil {
		return nil, err
	}
	b.Data = d
	return marshal(b)
}

// endpointOf reads what webhook.Notice writes for its event.
func endpointOf(e webhook.Event) (standardEndpoint, error) {
	var n struct {
		standardEndpoint
		Since      time.Time  `json:"since"`
		DisabledAt *time.Time `json:"disabled_at"`
	}
	if err := json.Unmarshal(e.Record, &n); err != nil {
		return standardEndpoint{}, fmt.Errorf("read its notice: %w", err)
	}
	told := n.standardEndpoint
	told.Since = timestamp(n.Since)
	if n.DisabledAt != nil {
		told.DisabledAt = timestamp(*n.DisabledAt)
	}
	return told, nil
}

func linksOf(j job.Job, publicURL string) *standardLinks {
	if publicURL == "" {
		return nil
	}
	return &standardLinks{Job: strings.TrimRight(publicURL, "/") + "/v1/jobs/" + url.PathEscape(j.ID)}
}
