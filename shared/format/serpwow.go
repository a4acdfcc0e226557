package format

import (
	"time"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// serpWow is the webhook of SerpWow batches. Its page gives the timeout and
// the silence, and says nothing of retries after an error.
func serpWow() Format {
	return Format{
		Name:  SerpWow,
		Kind:  job.KindBatch,
		Types: []webhook.EventType{webhook.ResultSetReady},
		Policy: webhook.Policy{
			Success:  webhook.Success2xx,
			RetryOn:  webhook.RetryAnyError,
			Timeout:  5 * time.Second,
			Schedule: webhook.Exponential(5, 30*time.Second),
			Silence:  5 * time.Minute,
		},
		contentType: contentJSON,
		encode:      encodeSerpWow,
	}
}

type serpWowBody struct {
	RequestInfo serpWowRequest   `json:"request_info"`
	Batch       serpWowBatch     `json:"batch"`
	ResultSet   serpWowResultSet `json:"result_set"`
}

type serpWowRequest struct {
	Success bool   `json:"success"`
	Type    string `json:"type"`
}

type serpWowBatch struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

type serpWowResultSet struct {
	ID                int          `json:"id"`
	StartedAt         *string      `json:"started_at"` // null when the record does not say
	EndedAt           *string      `json:"ended_at"`
	SearchesCompleted int          `json:"searches_completed"`
	SearchesFailed    int          `json:"searches_failed"`
	DownloadLinks     serpWowLinks `json:"download_links"`
}

type serpWowLinks struct {
	JSON      *serpWowFiles `json:"json,omitempty"`
	JSONLines *serpWowFiles `json:"jsonlines,omitempty"`
	CSV       *serpWowFiles `json:"csv,omitempty"`
}

type serpWowFiles struct {
	Pages    []string `json:"pages"`
	AllPages string   `json:"all_pages,omitempty"`
}

func encodeSerpWow(e webhook.Event, j job.Job, publicURL string) ([]byte, error) {
	b, err := j.Batch()
	if err != nil {
		return nil, err
	}
	return marshal(serpWowBody{
		RequestInfo: serpWowRequest{Success: true, Type: "batch_resultset_completed"},
		Batch:       serpWowBatch{ID: j.ID, Name: b.Name},
		ResultSet: serpWowResultSet{
			ID:                resultSetID(j, b.ResultSet),
			StartedAt:         known(b.StartedAt.Time()),
			EndedAt:           firstKnown(b.EndedAt.Time(), e.At),
			SearchesCompleted: b.SearchesCompleted,
			SearchesFailed:    b.SearchesFailed,
			DownloadLinks:     serpWowDownloads(j, b, publicURL),
		},
	})
}

// resultSetID is the run's number; where nobody counts runs, what the result
// set itself says.
func resultSetID(j job.Job, r *job.ResultSet) int {
	if j.Run == 0 && r != nil {
		return r.ID
	}
	return j.Run
}

// serpWowDownloads holds the links of the formats that the batch asked for,
// whatever else lies in the result set.
func serpWowDownloads(j job.Job, b job.Batch, publicURL string) serpWowLinks {
	if b.ResultSet == nil {
		return serpWowLinks{}
	}
	files := func(asked bool, name string) *serpWowFiles {
		f, ok := b.ResultSet.Links(j.Kind, j.ID, name, publicURL)
		if !asked || !ok {
			return nil
		}
		return &serpWowFiles{Pages: append([]string{}, f.Pages...), AllPages: f.AllPages}
	}
	return serpWowLinks{
		JSON:      files(b.NotificationAsJSON, job.FilesJSON),
		JSONLines: files(b.NotificationAsJSONLines, job.FilesJSONLines),
		CSV:       files(b.NotificationAsCSV, job.FilesCSV),
	}
}

// known writes a time, nil when it is zero.
func known(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := timestamp(t)
	return &s
}

func firstKnown(times ...time.Time) *string {
	for _, t := range times {
		if s := known(t); s != nil {
			return s
		}
	}
	return nil
}
