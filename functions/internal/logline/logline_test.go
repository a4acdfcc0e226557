package logline_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"testing"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/functions/internal/logline"
)

func TestALineOfAnInvocationCarriesItsRequest(t *testing.T) {
	var out bytes.Buffer
	log := logline.New(&out, slog.LevelInfo)
	log.ErrorContext(invocation(t), "message.failed", "error", errors.New("throttled"))
	want := map[string]any{"level": "ERROR", "msg": "message.failed", "error": "throttled", "request_id": "req-1"}
	if diff := cmp.Diff(line(t, &out), want); diff != "" {
		t.Errorf("line (-got +want):\n%s", diff)
	}
}

func TestALineOutsideAnInvocationHasNoRequest(t *testing.T) {
	var out bytes.Buffer
	logline.New(&out, slog.LevelInfo).Info("function.started")
	if diff := cmp.Diff(line(t, &out), map[string]any{"level": "INFO", "msg": "function.started"}); diff != "" {
		t.Errorf("line (-got +want):\n%s", diff)
	}
}

func TestALoggerWithAttributesStillNamesTheRequest(t *testing.T) {
	var out bytes.Buffer
	logline.New(&out, slog.LevelInfo).With("function", "deliver").InfoContext(invocation(t), "x")
	if got := line(t, &out); got["request_id"] != "req-1" || got["function"] != "deliver" {
		t.Errorf("line %v, want request_id and function", got)
	}
}

func TestWhatIsBelowTheLevelIsNotWritten(t *testing.T) {
	var out bytes.Buffer
	logline.New(&out, slog.LevelWarn).InfoContext(invocation(t), "x")
	if out.Len() != 0 {
		t.Errorf("wrote %s", out.String())
	}
}

func invocation(t *testing.T) context.Context {
	return lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "req-1"})
}

// line reads the one line that was written, without its time.
func line(t *testing.T, out *bytes.Buffer) map[string]any {
	t.Helper()
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatalf("%s: %v", out.String(), err)
	}
	if _, ok := got["time"]; !ok {
		t.Error("the line has no time")
	}
	delete(got, "time")
	return got
}
