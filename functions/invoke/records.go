package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/jobhook/jobhook/shared/files"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// upload makes the runs that a payload asks for the export of: two records, and
// the end of the run.
func (b *bench) upload(ctx context.Context, payload []byte) error {
	var e events.SQSEvent
	if err := json.Unmarshal(payload, &e); err != nil {
		return err
	}
	for _, m := range e.Records {
		var x webhook.Export
		if err := json.Unmarshal([]byte(m.Body), &x); err != nil {
			return err
		}
		if err := b.endRun(ctx, x); err != nil {
			return fmt.Errorf("job %s: run %d: %w", x.JobID, x.Run, err)
		}
	}
	return nil
}

func (b *bench) endRun(ctx context.Context, x webhook.Export) error {
	const record = `{"account":%q,"kind":%q,"id":%q,"status":%q,"run":%d,"records_run":%[5]d}`
	running, err := job.Decode(fmt.Appendf(nil, record, x.Account, x.Kind, x.JobID, "running", x.Run))
	if err != nil {
		return err
	}
	ended, err := job.Decode(fmt.Appendf(nil, record, x.Account, x.Kind, x.JobID, "idle", x.Run))
	if err != nil {
		return err
	}
	lines := strings.NewReader(`{"q":"pizza"}` + "\n" + `{"q":"pasta"}` + "\n")
	if err := b.files.Put(ctx, files.RecordsFolder(x.Account, x.Kind, x.JobID, x.Run)+files.Part(1), lines, files.Meta{}); err != nil {
		return err
	}
	_, _, err = b.store.WriteJob(ctx, x.JobID, x.Kind, func(*job.Job) (job.Job, error) { return ended, nil })
	return errors.Join(err, b.dispatch.Apply(ctx, job.Change{Old: &running, New: ended, Sequence: "1", At: time.Now()}))
}

func (b *bench) showFiles(ctx context.Context, out io.Writer) error {
	list, err := b.files.List(ctx, files.Results, 100)
	for _, f := range list {
		fmt.Fprintf(out, "%7d bytes %s\n", f.Size, f.Key)
	}
	return err
}
