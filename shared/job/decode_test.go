package job_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/jobhook/jobhook/shared/job"
)

const (
	batch    = `{"kind":"batch","id":"b1","account":"acme","status":"running","run":1`
	scraping = `{"kind":"scraping","id":500,"account":"acme","status":"started","run":1`
	pipeline = `{"kind":"pipeline","id":"p1","account":"acme","status":"active","run":1`
	async    = `{"kind":"async","id":700,"account":"acme","status":"processing","run":1`
)

func TestABadRecordIsRefusedWithItsFieldAndACure(t *testing.T) {
	long := strings.Repeat("x", job.MaxIDBytes+1)
	for _, tt := range []struct {
		name, record string
		field        string // of the error
		says         string // somewhere in its text
	}{
		{"empty", ``, "", "one JSON object"},
		{"cut off", batch, "", "one JSON object"},
		{"two objects", batch + `}{}`, "", "one JSON object"},
		{"a list", `[]`, "", "write a JSON object"},
		{"a string", `"job"`, "", "write a JSON object"},
		{"null", `null`, "kind", "batch, scraping, pipeline, async"},

		{"no kind", `{"id":"1","account":"acme","status":"idle"}`, "kind", "batch, scraping, pipeline, async"},
		{"unknown kind", `{"kind":"film","id":"1","account":"acme","status":"idle"}`, "kind", `"film"`},
		{"kind in capitals", `{"kind":"Batch","id":"1","account":"acme","status":"idle"}`, "kind", `"Batch"`},
		{"kind is a number", `{"kind":5,"id":"1","account":"acme","status":"idle"}`, "kind", "write a string"},

		{"no id", `{"kind":"batch","account":"acme","status":"idle"}`, "id", "missing"},
		{"id is null", `{"kind":"batch","id":null,"account":"acme","status":"idle"}`, "id", "missing"},
		{"id too long", `{"kind":"batch","id":"` + long + `","account":"acme","status":"idle"}`, "id", "at most 256"},
		{"id with a space", `{"kind":"batch","id":"b 1","account":"acme","status":"idle"}`, "id", "printable ASCII"},
		{"id outside ASCII", `{"kind":"batch","id":"é","account":"acme","status":"idle"}`, "id", "printable ASCII"},
		{"id is a boolean", `{"kind":"batch","id":true,"account":"acme","status":"idle"}`, "id", "write a string or a number"},
		{"id is an object", `{"kind":"batch","id":{"n":1},"account":"acme","status":"idle"}`, "id", "write a string or a number"},
		{"id is beyond numbers", `{"kind":"batch","id":1e400,"account":"acme","status":"idle"}`, "id", "write a string or a number"},

		{"no account", `{"kind":"batch","id":"b1","status":"idle"}`, "account", "missing"},
		{"account too long", `{"kind":"batch","id":"b1","account":"` + long + `","status":"idle"}`, "account", "at most 256"},
		{"account with a line break", `{"kind":"batch","id":"b1","account":"a\n","status":"idle"}`, "account", "printable ASCII"},
		{"account is a number", `{"kind":"batch","id":"b1","account":7,"status":"idle"}`, "account", "write a string"},

		{"no status", `{"kind":"batch","id":"b1","account":"acme"}`, "status", "idle, queued, running"},
		{"status of another kind", `{"kind":"batch","id":"b1","account":"acme","status":"success"}`, "status", "idle, queued, running"},
		{"scraping status", `{"kind":"scraping","id":1,"account":"acme","status":"idle"}`, "status", "shelved, stopped"},
		{"pipeline status", `{"kind":"pipeline","id":"1","account":"acme","status":"finished"}`, "status", "completed, failed, stopped"},
		{"async status", `{"kind":"async","id":1,"account":"acme","status":"failed"}`, "status", "pending, processing, success, error"},
		{"status is a list", `{"kind":"batch","id":"b1","account":"acme","status":[]}`, "status", "write a string"},

		{"run below zero", `{"kind":"batch","id":"b1","account":"acme","status":"idle","run":-1}`, "run", "count runs 1, 2, 3"},
		{"run is a fraction", `{"kind":"batch","id":"b1","account":"acme","status":"idle","run":1.5}`, "run", "write a whole number"},
		{"run is text", `{"kind":"batch","id":"b1","account":"acme","status":"idle","run":"1"}`, "run", "write a whole number"},

		{"created_at is a word", batch + `,"created_at":"tomorrow"}`, "created_at", "RFC 3339"},
		{"created_at without a zone", batch + `,"created_at":"2020-01-01T00:00:00"}`, "created_at", "RFC 3339"},
		{"created_at in milliseconds", batch + `,"created_at":1577836800000}`, "created_at", "RFC 3339"},
		{"created_at below zero", batch + `,"created_at":-1}`, "created_at", "RFC 3339"},
		{"created_at is an object", batch + `,"created_at":{}}`, "created_at", "RFC 3339"},
		{"created_at is a boolean", batch + `,"created_at":true}`, "created_at", "RFC 3339"},

		{"oversize", batch + `,"notes":"` + strings.Repeat("x", job.MaxRecordBytes) + `"}`, "", "keep large results out"},
	} {
		t.Run(tt.name, func(t *testing.T) { wantFieldError(t, tt.record, tt.field, tt.says) })
	}
}

func TestAnAttributeOfTheWrongTypeIsRefusedByItsPath(t *testing.T) {
	for _, tt := range []struct {
		name, record, field, says string
	}{
		{"name", batch + `,"name":1}`, "name", "write a string"},
		{"started_at", batch + `,"started_at":"yesterday"}`, "started_at", "RFC 3339"},
		{"ended_at", batch + `,"ended_at":[1]}`, "ended_at", "RFC 3339"},
		{"searches_total", batch + `,"searches_total":"5"}`, "searches_total", "write a whole number"},
		{"searches_completed", batch + `,"searches_completed":1.5}`, "searches_completed", "write a whole number"},
		{"searches_failed", batch + `,"searches_failed":99999999999999999999}`, "searches_failed", "write a whole number"},
		{"notification_webhook", batch + `,"notification_webhook":false}`, "notification_webhook", "write a string"},
		{"notification_as_json", batch + `,"notification_as_json":"true"}`, "notification_as_json", "true or false"},
		{"notification_as_jsonlines", batch + `,"notification_as_jsonlines":1}`, "notification_as_jsonlines", "true or false"},
		{"notification_as_csv", batch + `,"notification_as_csv":{}}`, "notification_as_csv", "true or false"},
		{"notification_csv_fields", batch + `,"notification_csv_fields":["a"]}`, "notification_csv_fields", "write a string"},
		{"result_set", batch + `,"result_set":1}`, "result_set", "write a JSON object"},
		{"result_set.id", batch + `,"result_set":{"id":"1"}}`, "result_set.id", "write a whole number"},
		{"result_set.files", batch + `,"result_set":{"files":[]}}`, "result_set.files", "write a JSON object"},
		{"one format of result_set.files", batch + `,"result_set":{"files":{"csv":"url"}}}`, "result_set.files", "write a JSON object"},
		{"pages of a format", batch + `,"result_set":{"files":{"csv":{"pages":"url"}}}}`, "result_set.files.pages", "write a list"},
		{"one page of a format", batch + `,"result_set":{"files":{"csv":{"pages":[1]}}}}`, "result_set.files.pages", "write a string"},
		{"all_pages of a format", batch + `,"result_set":{"files":{"csv":{"all_pages":1}}}}`, "result_set.files.all_pages", "write a string"},

		{"sitemap_id", scraping + `,"sitemap_id":false}`, "sitemap_id", "write a string or a number"},
		{"sitemap_name", scraping + `,"sitemap_name":1}`, "sitemap_name", "write a string"},
		{"custom_id", scraping + `,"custom_id":[]}`, "custom_id", "write a string or a number"},
		{"jobs_scheduled", scraping + `,"jobs_scheduled":"1"}`, "jobs_scheduled", "write a whole number"},
		{"jobs_executed", scraping + `,"jobs_executed":true}`, "jobs_executed", "write a whole number"},
		{"jobs_failed", scraping + `,"jobs_failed":{}}`, "jobs_failed", "write a whole number"},
		{"jobs_empty", scraping + `,"jobs_empty":[]}`, "jobs_empty", "write a whole number"},
		{"stored_record_count", scraping + `,"stored_record_count":"no"}`, "stored_record_count", "write a whole number"},
		{"time_created", scraping + `,"time_created":"2020-01-01T00:00:00Z"}`, "time_created", "write a whole number"},
		{"result_set of a scraping job", scraping + `,"result_set":"x"}`, "result_set", "write a JSON object"},

		{"pipeline name", pipeline + `,"name":{}}`, "name", "write a string"},
		{"webhooks", pipeline + `,"webhooks":"https://example.com"}`, "webhooks", "write a JSON object"},
		{"webhooks.progress", pipeline + `,"webhooks":{"progress":5}}`, "webhooks.progress", "write a string"},
		{"webhooks.result", pipeline + `,"webhooks":{"result":{}}}`, "webhooks.result", "write a string"},
		{"a misspelt webhook", pipeline + `,"webhooks":{"progres":"https://example.com"}}`, "webhooks.progres", "progress and result"},
		{"a webhook in capitals", pipeline + `,"webhooks":{"Result":"https://example.com"}}`, "webhooks.Result", "progress and result"},
		{"options", pipeline + `,"options":[]}`, "options", "write a JSON object"},
		{"verbosity is a number", pipeline + `,"options":{"progressVerbosityLevel":3}}`, "options.progressVerbosityLevel", "write a string"},
		{"verbosity is unknown", pipeline + `,"options":{"progressVerbosityLevel":"loud"}}`, "options.progressVerbosityLevel", "trace, debug, info, warn, error, critical"},
		{"level is a number", pipeline + `,"level":3}`, "level", "write a string"},
		{"level is unknown", pipeline + `,"level":"loud"}`, "level", "trace, debug, info, warn, error, critical"},
		{"progress is a word", pipeline + `,"progress":"half"}`, "progress", "write a number"},
		{"progress is empty text", pipeline + `,"progress":""}`, "progress", "write a number"},
		{"progress is a boolean", pipeline + `,"progress":true}`, "progress", "write a number"},
		{"details", pipeline + `,"details":1}`, "details", "write a string"},
		{"activeNodes", pipeline + `,"activeNodes":{}}`, "activeNodes", "write a list"},
		{"a count in activeNodes", pipeline + `,"activeNodes":[{"batch":{"active":"1"}}]}`, "activeNodes.batch.active", "write a whole number"},
		{"result of a pipeline", pipeline + `,"result":{}}`, "result", "write a list"},
		{"a batchID in the result", pipeline + `,"result":[{"batchID":5}]}`, "result.batchID", "write a string"},
		{"error", pipeline + `,"error":{}}`, "error", "write a string"},
		{"nodeName", pipeline + `,"nodeName":1}`, "nodeName", "write a string"},
		{"reason", pipeline + `,"reason":1}`, "reason", "write a string"},
		{"result_set of a pipeline", pipeline + `,"result_set":[]}`, "result_set", "write a JSON object"},

		{"result of an async job", async + `,"result":"https://example.com/file"}`, "result", "write a JSON object"},
		{"result.datafile_url", async + `,"result":{"datafile_url":1}}`, "result.datafile_url", "write a string"},
		{"message", async + `,"message":{}}`, "message", "write a string"},
		{"result_set of an async job", async + `,"result_set":true}`, "result_set", "write a JSON object"},
	} {
		t.Run(tt.name, func(t *testing.T) { wantFieldError(t, tt.record, tt.field, tt.says) })
	}
}

func wantFieldError(t *testing.T, record, field, says string) {
	t.Helper()
	got, err := job.Decode([]byte(record))
	var fe *job.FieldError
	if !errors.As(err, &fe) {
		t.Fatalf("got job %+v and error %v, want a *FieldError", got, err)
	}
	if fe.Field != field {
		t.Errorf("field: got %q, want %q (%v)", fe.Field, field, err)
	}
	if fe.Problem == "" || fe.Cure == "" {
		t.Errorf("the error lacks a problem or a cure: %+v", fe)
	}
	if !strings.Contains(err.Error(), says) || !strings.HasPrefix(err.Error(), field) {
		t.Errorf("error %q: want %q first, and %q", err, field, says)
	}
}

func TestDecodeReadsWhatEveryJobHas(t *testing.T) {
	created := time.Date(2020, 1, 2, 3, 4, 5, 6e6, time.UTC)
	longest := strings.Repeat("x", job.MaxIDBytes)
	for _, tt := range []struct {
		name, record string
		want         job.Job
	}{
		{"all of it", `{"account":"acme","kind":"batch","id":"b1","status":"running","run":3,"created_at":"2020-01-02T03:04:05.006Z"}`,
			job.Job{Account: "acme", Kind: job.KindBatch, ID: "b1", Status: "running", Run: 3, CreatedAt: created}},
		{"the least", `{"account":"acme","kind":"async","id":"a1","status":"pending"}`,
			job.Job{Account: "acme", Kind: job.KindAsync, ID: "a1", Status: "pending"}},
		{"a number as id", `{"account":"acme","kind":"scraping","id":500,"status":"started"}`,
			job.Job{Account: "acme", Kind: job.KindScraping, ID: "500", Status: "started"}},
		{"a number as id keeps all its digits", `{"account":"acme","kind":"async","id":12345678901234567890,"status":"pending"}`,
			job.Job{Account: "acme", Kind: job.KindAsync, ID: "12345678901234567890", Status: "pending"}},
		{"an escaped id", `{"account":"acme","kind":"async","id":"\u0061\"1","status":"pending"}`,
			job.Job{Account: "acme", Kind: job.KindAsync, ID: `a"1`, Status: "pending"}},
		{"the longest ids", `{"account":"` + longest + `","kind":"async","id":"` + longest + `","status":"pending"}`,
			job.Job{Account: longest, Kind: job.KindAsync, ID: longest, Status: "pending"}},
		{"unknown attributes", `{"account":"acme","kind":"async","id":"a1","status":"pending","colour":{"r":1}}`,
			job.Job{Account: "acme", Kind: job.KindAsync, ID: "a1", Status: "pending"}},
		{"a status derived from page counts", `{"account":"acme","kind":"scraping","id":1,"jobs_scheduled":4,"jobs_executed":4,"jobs_failed":3}`,
			job.Job{Account: "acme", Kind: job.KindScraping, ID: "1", Status: "failed"}},
		{"a status wins over page counts", `{"account":"acme","kind":"scraping","id":1,"status":"stopped","jobs_scheduled":4,"jobs_executed":4}`,
			job.Job{Account: "acme", Kind: job.KindScraping, ID: "1", Status: "stopped"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := job.Decode([]byte(tt.record))
			if err != nil {
				t.Fatal(err)
			}
			tt.want.Record = []byte(tt.record)
			if diff := cmp.Diff(got, tt.want); diff != "" {
				t.Errorf("job (-got +want):\n%s", diff)
			}
		})
	}
}

func TestEveryStatusWordIsAccepted(t *testing.T) {
	for _, k := range job.Kinds() {
		for _, s := range job.Statuses(k) {
			if _, err := job.Decode([]byte(`{"account":"acme","kind":"` + k + `","id":"1","status":"` + job.Kind(s) + `"}`)); err != nil {
				t.Errorf("%s %s: %v", k, s, err)
			}
		}
	}
}

func TestARecordMayBeExactlyAsLargeAsTheLimit(t *testing.T) {
	head := batch + `,"notes":"`
	record := head + strings.Repeat("x", job.MaxRecordBytes-len(head)-len(`"}`)) + `"}`
	if _, err := job.Decode([]byte(record)); err != nil {
		t.Errorf("%d bytes: %v", len(record), err)
	}
}

func TestTimesAreReadInEverySpelling(t *testing.T) {
	for _, tt := range []struct {
		name, value string
		want        time.Time
	}{
		{"RFC 3339", `"2021-02-25T15:02:10Z"`, time.Unix(1614265330, 0)},
		{"milliseconds", `"2021-02-25T15:02:10.123Z"`, time.UnixMilli(1614265330123)},
		{"nanoseconds", `"2021-02-25T15:02:10.123456789Z"`, time.Unix(1614265330, 123456789)},
		{"a zone", `"2021-02-25T16:02:10+01:00"`, time.Unix(1614265330, 0)},
		{"a zone with its plus escaped, as .NET writes it", `"2021-02-25T16:02:10\u002B01:00"`, time.Unix(1614265330, 0)},
		{"unix seconds", `1614265330`, time.Unix(1614265330, 0)},
		{"unix seconds as text", `"1614265330"`, time.Unix(1614265330, 0)},
		{"unix seconds with milliseconds", `1.001`, time.UnixMilli(1001)},
		{"the epoch", `0`, time.Unix(0, 0)},
		{"null", `null`, time.Time{}},
		{"empty", `""`, time.Time{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j, err := job.Decode([]byte(batch + `,"created_at":` + tt.value + `}`))
			if err != nil {
				t.Fatal(err)
			}
			if got, want := j.CreatedAt, tt.want.UTC(); !got.Equal(want) || got.Location() != time.UTC {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func TestAttributesAreReadInTheVendorsWords(t *testing.T) {
	t.Run("batch", func(t *testing.T) {
		got, err := decode(t, batch+`,"name":"Prices","started_at":"2020-01-01T00:00:00Z","searches_total":3,
			"notification_webhook":"https://example.com/b","notification_as_csv":true,"notification_csv_fields":"a,b.c",
			"result_set":{"id":1,"files":{"csv":{"pages":["u1"],"all_pages":"u2"}}}}`).Batch()
		want := job.Batch{
			Name: "Prices", StartedAt: job.Instant(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)), SearchesTotal: 3,
			NotificationWebhook: "https://example.com/b", NotificationAsCSV: true, NotificationCSVFields: "a,b.c",
			ResultSet: &job.ResultSet{ID: 1, Files: map[string]job.ResultFiles{"csv": {Pages: []string{"u1"}, AllPages: "u2"}}},
		}
		wantAttributes(t, got, err, want)
		if got, want := got.StartedAt.Time(), want.StartedAt.Time(); !got.Equal(want) {
			t.Errorf("started_at: got %v, want %v", got, want)
		}
	})
	t.Run("scraping", func(t *testing.T) {
		got, err := decode(t, scraping+`,"sitemap_id":7,"sitemap_name":"Shop","custom_id":"c-1","jobs_scheduled":4,
			"jobs_executed":3,"jobs_failed":2,"jobs_empty":1,"stored_record_count":9,"time_created":1493370624}`).Scraping()
		want := job.Scraping{
			SitemapID: "7", SitemapName: "Shop", CustomID: "c-1", JobsScheduled: 4,
			JobsExecuted: 3, JobsFailed: 2, JobsEmpty: 1, StoredRecordCount: 9, TimeCreated: 1493370624,
		}
		wantAttributes(t, got, err, want)
		if got, want := got.SitemapID.String(), "7"; got != want {
			t.Errorf("sitemap_id: got %q, want %q", got, want)
		}
	})
	t.Run("pipeline", func(t *testing.T) {
		got, err := decode(t, pipeline+`,"name":"flow","webhooks":{"progress":"https://example.com/p"},"level":"warn",
			"options":{"progressVerbosityLevel":"debug"},"progress":33.33,"activeNodes":[{"nodeName":"green",
			"algorithmName":"alg","batch":{"active":2,"total":5}}],"result":[{"nodeName":"n","batchID":"n#1","result":{"x":1}}]}`).Pipeline()
		if err == nil && (got.Progress == nil || *got.Progress != "33.33") {
			t.Errorf("progress: got %v, want 33.33", got.Progress)
		}
		got.Progress = nil
		wantAttributes(t, got, err, job.Pipeline{
			Name: "flow", Webhooks: job.PipelineHooks{Progress: "https://example.com/p"}, Level: job.LevelWarn,
			Options:     job.PipelineOptions{ProgressVerbosityLevel: job.LevelDebug},
			ActiveNodes: []job.ActiveNode{{NodeName: "green", AlgorithmName: "alg", Batch: &job.NodeBatch{Active: 2, Total: 5}}},
			Result:      []job.NodeResult{{NodeName: "n", BatchID: "n#1", Result: []byte(`{"x":1}`)}},
		})
	})
	t.Run("pipeline, progress as text", func(t *testing.T) {
		got, err := decode(t, pipeline+`,"progress":"33.33"}`).Pipeline()
		if err != nil || got.Progress == nil || *got.Progress != "33.33" {
			t.Errorf("progress: got %v and error %v, want 33.33", got.Progress, err)
		}
	})
	t.Run("async", func(t *testing.T) {
		got, err := decode(t, async+`,"result":{"datafile_url":"https://example.com/f"},"message":"m"}`).Async()
		wantAttributes(t, got, err, job.Async{Result: &job.AsyncResult{DatafileURL: "https://example.com/f"}, Message: "m"})
	})
}

func decode(t *testing.T, record string) job.Job {
	t.Helper()
	j, err := job.Decode([]byte(record))
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func wantAttributes[T any](t *testing.T, got T, err error, want T) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	sameInstant := cmp.Comparer(func(a, b job.Instant) bool { return a.Time().Equal(b.Time()) })
	core := cmpopts.IgnoreUnexported(want) // what every job has is compared by the tests of Decode
	if diff := cmp.Diff(got, want, sameInstant, core); diff != "" {
		t.Errorf("attributes (-got +want):\n%s", diff)
	}
}
