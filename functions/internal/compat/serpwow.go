package compat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// serpWow is SerpWow's Batches API, as far as it reads
// (https://docs.trajectdata.com/serpwow/batches-api/overview).
func (c *routes) serpWow() system {
	return system{
		base: "/serpwow",
		key:  inQuery("api_key"),
		envelope: func(f *refusal) any {
			return serpWowAnswer{RequestInfo: requestInfo{Message: f.message}}
		},
		gets: map[string]handler{
			"/batches/{id}":                            c.getBatch,
			"/batches/{id}/searches/{page}":            c.listSearches,
			"/batches/{id}/results":                    c.listResults,
			"/batches/{id}/results/{rs}":               c.getResult(job.FilesJSON),
			"/batches/{id}/results/{rs}/jsonlines":     c.getResult(job.FilesJSONLines),
			"/batches/{id}/results/{rs}/csv":           c.getResult(job.FilesCSV),
			"/batches/{id}/results/{rs}/resendwebhook": c.resendWebhook,
		},
	}
}

// serpWowAnswer is what answers have in common, and the whole of an error. The
// page on response codes names 400, 401, 404 and 429 but shows no body; that
// of resendwebhook puts the reason into request_info.message, and so do all.
type serpWowAnswer struct {
	RequestInfo requestInfo `json:"request_info"`
}

type requestInfo struct {
	Success bool   `json:"success"`
	Message string `json:"message,omitempty"`
}

func success() serpWowAnswer { return serpWowAnswer{requestInfo{Success: true}} }

// batchView is a batch as SerpWow shows it. What only SerpWow's own scheduler
// knows is shown as the platform wrote it into the record, else as a batch has
// it that is run by hand.
type batchView struct {
	ID                      string          `json:"id"`
	CreatedAt               *string         `json:"created_at,omitempty"`
	LastRun                 *string         `json:"last_run,omitempty"`
	Name                    string          `json:"name"`
	ScheduleType            json.RawMessage `json:"schedule_type"`
	Priority                json.RawMessage `json:"priority"`
	DestinationIDs          json.RawMessage `json:"destination_ids"`
	Enabled                 json.RawMessage `json:"enabled"`
	Status                  job.Status      `json:"status"`
	SearchesTotalCount      int             `json:"searches_total_count"`
	SearchesPageCount       int             `json:"searches_page_count"`
	CreditsRequired         int             `json:"credits_required"`
	NextResultSetID         int             `json:"next_result_set_id"`
	ResultsCount            int             `json:"results_count"`
	ScheduleDaysOfMonth     json.RawMessage `json:"schedule_days_of_month,omitempty"`
	ScheduleDaysOfWeek      json.RawMessage `json:"schedule_days_of_week,omitempty"`
	ScheduleHours           json.RawMessage `json:"schedule_hours,omitempty"`
	NotificationWebhook     string          `json:"notification_webhook,omitempty"`
	NotificationEmail       json.RawMessage `json:"notification_email,omitempty"`
	NotificationAsJSON      bool            `json:"notification_as_json"`
	NotificationAsJSONLines bool            `json:"notification_as_jsonlines"`
	NotificationAsCSV       bool            `json:"notification_as_csv"`
	NotificationCSVFields   string          `json:"notification_csv_fields,omitempty"`
}

// viewBatch shows a batch that has so many searches and result sets.
func viewBatch(j job.Job, searches, results int) (batchView, error) {
	b, err := j.Batch()
	if err != nil {
		return batchView{}, err
	}
	var written map[string]json.RawMessage
	if err := json.Unmarshal(j.Record, &written); err != nil {
		return batchView{}, fmt.Errorf("record: %w", err)
	}
	or := func(name, otherwise string) json.RawMessage {
		if value, ok := written[name]; ok {
			return value
		}
		return json.RawMessage(otherwise)
	}
	v := batchView{
		ID: j.ID, CreatedAt: known(j.CreatedAt), LastRun: known(b.StartedAt.Time()), Name: b.Name,
		ScheduleType: or("schedule_type", `"manual"`), Priority: or("priority", `"normal"`),
		DestinationIDs: or("destination_ids", `[]`), Enabled: or("enabled", `true`), Status: j.Status,
		SearchesTotalCount: searches, SearchesPageCount: pagesOf(searches), CreditsRequired: searches,
		NextResultSetID: j.Run, ResultsCount: results,
		ScheduleDaysOfMonth: written["schedule_days_of_month"], ScheduleDaysOfWeek: written["schedule_days_of_week"],
		ScheduleHours: written["schedule_hours"], NotificationWebhook: b.NotificationWebhook,
		NotificationEmail: written["notification_email"], NotificationAsJSON: b.NotificationAsJSON,
		NotificationAsJSONLines: b.NotificationAsJSONLines, NotificationAsCSV: b.NotificationAsCSV,
		NotificationCSVFields: b.NotificationCSVFields,
	}
	if j.Run == 0 || j.Ended() {
		v.NextResultSetID++
	}
	return v, nil
}

// batch returns the account's batch, or a refusal in SerpWow's words.
func (c *routes) batch(r *http.Request, account string) (job.Job, error) {
	id := r.PathValue("id")
	j, err := c.job(r.Context(), account, job.KindBatch, id)
	if errors.Is(err, webhook.ErrNotFound) {
		return j, refuse(http.StatusNotFound, "Batch %s not found.", shortened(id))
	}
	return j, err
}

// shortened bounds what an error repeats of a request.
func shortened(text string) string {
	if len(text) <= job.MaxIDBytes {
		return text
	}
	return text[:job.MaxIDBytes] + "..."
}

func (c *routes) getBatch(w http.ResponseWriter, r *http.Request, account string) error {
	j, err := c.batch(r, account)
	if err != nil {
		return err
	}
	list, err := c.resultsOf(r.Context(), j)
	if err != nil {
		return err
	}
	v, err := c.viewOf(r.Context(), j, len(list))
	if err != nil {
		return err
	}
	return show(w, r, struct {
		serpWowAnswer
		Batch batchView `json:"batch"`
	}{success(), v})
}

// viewOf shows a batch, whose searches are counted when the record does not
// say how many there are.
func (c *routes) viewOf(ctx context.Context, j job.Job, results int) (batchView, error) {
	b, err := j.Batch()
	if err != nil {
		return batchView{}, err
	}
	searches := b.SearchesTotal
	if searches == 0 {
		if searches, err = c.countSearches(ctx, j); err != nil {
			return batchView{}, err
		}
	}
	return viewBatch(j, searches, results)
}
