package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/jobhook/jobhook/functions/internal/export"
	"github.com/jobhook/jobhook/shared/awstest"
	"github.com/jobhook/jobhook/shared/files"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/s3files"
	"github.com/jobhook/jobhook/shared/webhook"
)

func TestMain(m *testing.M) { os.Exit(awstest.Main(m)) }

// TestAnExportOnS3StaysSmall exports more than it may hold, by the uploads that
// are used on AWS. What the function itself needs to live comes on top.
func TestAnExportOnS3StaysSmall(t *testing.T) {
	const size, limit = 128 << 20, 96 << 20
	client := awstest.S3(t).S3()
	name := awstest.Bucket(t, client)
	s3 := bucket{s3files.New(client, name), s3files.NewUploads(client, name)}
	e := webhook.Export{Account: "acme", Kind: job.KindAsync, JobID: "7", Run: 2, EventID: "evt_1"}
	record := `{"id":7,"page":{"text":"` + strings.Repeat("plain text ", 500) + "\"}}\n"
	for part := range 4 {
		records := io.LimitReader(&endless{text: record}, int64(size/4/len(record)*len(record)))
		if err := s3.Put(t.Context(), files.RecordsFolder(e.Account, e.Kind, e.JobID, e.Run)+files.Part(part+1), records, files.Meta{}); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	watched := &watch{bucket: s3, before: heap()}
	store := &memory{event: webhook.Event{
		ID: e.EventID, Record: []byte(`{"account":"acme","kind":"async","id":"7","status":"success","run":2,"records_run":2}`), At: time.Unix(0, 0), Sequence: "1",
	}}
	body, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	h := &export.Handler{Files: watched, Store: store, Dispatch: store, Log: slog.New(slog.DiscardHandler)}
	answer, err := h.Handle(t.Context(), events.SQSEvent{Records: []events.SQSMessage{{MessageId: "1", Body: string(body)}}})
	if err != nil || len(answer.BatchItemFailures) > 0 || store.told != 1 {
		t.Fatalf("got %v, %v, told %d times of %+v", answer, err, store.told, store.set)
	}
	list, err := s3.List(t.Context(), files.ResultsFolder(e.Account, e.Kind, e.JobID, e.Run), 1000)
	total := int64(0)
	for _, info := range list {
		total += info.Size
	}
	if err != nil || len(list) != 3*store.set.Pages+3 || total != store.set.Bytes || total < 3*size {
		t.Errorf("%d files of %d bytes, %v; the set says %+v", len(list), total, err, store.set)
	}
	t.Logf("the heap grew by %.1f MiB at most", float64(watched.peak-watched.before)/(1<<20))
	if watched.peak > watched.before+limit {
		t.Errorf("the heap grew by %d MiB, want at most %d", (watched.peak-watched.before)>>20, limit>>20)
	}
}

// endless is a text without end.
type endless struct {
	text string
	at   int
}

// Read never fails.
func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.text[e.at:])
	e.at = (e.at + n) % len(e.text)
	return n, nil
}

// watch looks at the heap while files are put.
type watch struct {
	bucket
	lock         sync.Mutex
	before, peak uint64
}

// Put looks once for each buffer that is handed over.
func (w *watch) Put(ctx context.Context, key string, body io.Reader, m files.Meta) error {
	return w.bucket.Put(ctx, key, io.TeeReader(body, w), m)
}

// Write looks, whatever is written.
func (w *watch) Write(p []byte) (int, error) {
	w.lock.Lock()
	defer w.lock.Unlock()
	w.peak = max(w.peak, heap(), w.before)
	return len(p), nil
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// memory is a store of one event and its set.
type memory struct {
	event webhook.Event
	set   webhook.ResultSet
	told  int
}

// Event returns the event.
func (m *memory) Event(context.Context, string, string) (webhook.Event, error) { return m.event, nil }

// BeginResultSet keeps the set.
func (m *memory) BeginResultSet(_ context.Context, s webhook.ResultSet) (webhook.ResultSet, error) {
	if m.set.Token != "" {
		return m.set, errors.New("it began twice")
	}
	m.set = s
	return s, nil
}

// FinishResultSet replaces the set.
func (m *memory) FinishResultSet(_ context.Context, s webhook.ResultSet) error {
	m.set = s
	return nil
}

// Apply counts.
func (m *memory) Apply(context.Context, job.Change) error {
	m.told++
	return nil
}
