package export_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"github.com/jobhook/jobhook/functions/internal/export"
	"github.com/jobhook/jobhook/functions/internal/worldtest"
	"github.com/jobhook/jobhook/shared/disk"
	"github.com/jobhook/jobhook/shared/files"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/sqlite"
	"github.com/jobhook/jobhook/shared/webhook"
)

// sequence is where the ends of runs stand in the feed.
const sequence = "4200"

// world is a store and a folder in which runs have ended.
type world struct {
	*testing.T
	store   *sqlite.Store
	files   *disk.Files
	applied changes
	log     bytes.Buffer
	handler *export.Handler
}

func newWorld(t *testing.T) *world {
	w := &world{T: t, store: worldtest.Open(t), files: disk.New(t.TempDir())}
	w.handler = &export.Handler{
		Files: w.files, Store: w.store, Jobs: w.store, Dispatch: &w.applied, Now: worldtest.Start,
		Log: slog.New(slog.NewJSONHandler(&w.log, nil)),
	}
	return w
}

// changes are those that dispatch was handed.
type changes []job.Change

func (c *changes) Apply(_ context.Context, change job.Change) error {
	*c = append(*c, change)
	return nil
}

func (w *world) check(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// record is that of a job of a kind whose second run has ended.
func record(kind job.Kind, more string) string {
	status := map[job.Kind]string{job.KindBatch: "idle", job.KindScraping: "finished", job.KindPipeline: "completed", job.KindAsync: "success"}[kind]
	return fmt.Sprintf(`{"account":"acme", "kind":%q,"id":"7","status":%q,"run":2,"records_run":2%s}`, kind, status, more)
}

// ended writes a job, and the event of its end, and returns what asks for its
// export.
func (w *world) ended(kind job.Kind, more string) webhook.Export {
	w.Helper()
	j := w.write(record(kind, more))
	e := webhook.Event{
		ID: webhook.EventID(j, webhook.JobFinished, sequence), Type: webhook.JobFinished, Account: j.Account, Kind: kind, JobID: j.ID, Run: j.Run,
		At: worldtest.Start().Add(-time.Second), Sequence: sequence, Record: j.Record,
	}
	_, err := w.store.Put(w.Context(), []webhook.Planned{{Event: e}})
	w.check(err)
	return webhook.Export{Account: j.Account, Kind: kind, JobID: j.ID, Run: j.Run, EventID: e.ID}
}

func (w *world) write(record string) job.Job {
	w.Helper()
	j, err := job.Decode([]byte(record))
	w.check(err)
	_, _, err = w.store.WriteJob(w.Context(), j.ID, j.Kind, func(*job.Job) (job.Job, error) { return j, nil })
	w.check(err)
	return j
}

// upload stores parts of a run's records.
func (w *world) upload(e webhook.Export, parts ...string) {
	w.Helper()
	for i, text := range parts {
		key := files.RecordsFolder(e.Account, e.Kind, e.JobID, e.Run) + files.Part(i+1)
		w.check(w.files.Put(w.Context(), key, strings.NewReader(text), files.Meta{}))
	}
}

// handle hands the handler messages that were received so often, and returns
// how many are to come again.
func (w *world) handle(receives int, list ...webhook.Export) int {
	w.Helper()
	var e events.SQSEvent
	for i, x := range list {
		body, err := json.Marshal(x)
		w.check(err)
		e.Records = append(e.Records, events.SQSMessage{
			MessageId: strconv.Itoa(i), ReceiptHandle: "receipt", Body: string(body), Attributes: map[string]string{"ApproximateReceiveCount": strconv.Itoa(receives)},
		})
	}
	return w.invoke(w.Context(), e)
}

func (w *world) invoke(ctx context.Context, e any) int {
	w.Helper()
	payload, err := json.Marshal(e)
	w.check(err)
	raw, err := lambda.NewHandler(w.handler.Handle).Invoke(ctx, payload)
	w.check(err)
	var answer events.SQSEventResponse
	w.check(json.Unmarshal(raw, &answer))
	return len(answer.BatchItemFailures)
}

// set is the result set of a job's run.
func (w *world) set(e webhook.Export) webhook.ResultSet {
	w.Helper()
	list, err := w.store.ResultSets(w.Context(), e.Account, e.Kind, e.JobID)
	w.check(err)
	if len(list) != 1 {
		w.Fatalf("%d result sets, want 1", len(list))
	}
	return list[0]
}

// job is the job's row.
func (w *world) job(e webhook.Export) job.Job {
	w.Helper()
	list, err := w.store.JobsByID(w.Context(), e.JobID)
	w.check(err)
	if len(list) != 1 {
		w.Fatalf("%d jobs, want 1", len(list))
	}
	return list[0]
}

// exported are the files of a run by their names.
func (w *world) exported(e webhook.Export) map[string]string {
	w.Helper()
	folder := files.ResultsFolder(e.Account, e.Kind, e.JobID, e.Run)
	list, err := w.files.List(w.Context(), folder, 1000)
	w.check(err)
	all := map[string]string{}
	for _, info := range list {
		body, _, err := w.files.Open(w.Context(), info.Key)
		w.check(err)
		text, err := io.ReadAll(body)
		w.check(err)
		w.check(body.Close())
		all[strings.TrimPrefix(info.Key, folder)] = string(text)
	}
	return all
}

// sample is a fixture of records with all that is hard to write.
func sample(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "records.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// numbered are records that count.
func numbered(from, to int) string {
	var b strings.Builder
	for i := from; i <= to; i++ {
		fmt.Fprintf(&b, "{\"n\":%d}\n", i)
	}
	return b.String()
}
