package export_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"github.com/jobhook/jobhook/functions/internal/erase"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// runs counts runs of erasures, which end with an error.
type runs struct{ n int }

func (r *runs) Run(context.Context) error {
	r.n++
	return errors.New("throttled")
}

func TestAMessageThatAsksForErasuresRunsThemAndNeverComesBack(t *testing.T) {
	w := newWorld(t)
	r := &runs{}
	w.handler.Erasures = r
	message := events.SQSEvent{Records: []events.SQSMessage{{MessageId: "m", Body: erase.Message}}}
	if failed := w.invoke(t.Context(), message); failed != 0 || r.n != 1 || !strings.Contains(w.log.String(), "throttled") {
		t.Errorf("%d came back, %d runs: %s", failed, r.n, &w.log)
	}
	w.handler.Erasures = nil
	if failed := w.invoke(t.Context(), message); failed != 0 {
		t.Errorf("%d came back, of a function that erases nothing", failed)
	}
}

func TestAnExportWhoseEventWasErasedIsDroppedTheSecondTime(t *testing.T) {
	w := newWorld(t)
	gone := webhook.Export{Account: "acme", Kind: job.KindBatch, JobID: "7", Run: 2, EventID: "evt_none"}
	if failed := w.handle(1, gone); failed != 1 {
		t.Errorf("%d came back at first, want 1: the event may be written a moment later", failed)
	}
	if failed := w.handle(2, gone); failed != 0 || !strings.Contains(w.log.String(), "export.dropped") {
		t.Errorf("%d came back: %s", failed, &w.log)
	}
}
