package sweep

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/jobhook/jobhook/functions/internal/deadline"
	"github.com/jobhook/jobhook/shared/webhook"
)

// failuresPrefix begins the keys that Lambda gives to failed batches:
// aws/lambda/<event source mapping>/<shard>/<date>/<time>-<random>. What else
// lies in the bucket is none of ours.
// https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html
const failuresPrefix = "aws/lambda/"

const (
	// maxReplays is how many failed batches one run takes on at most, and
	// maxListed among how many it chooses: more of them than that which can
	// never be dispatched would hide the rest.
	maxReplays = 100
	maxListed  = 1000
	// replayTime is what a further batch must have of the function's time.
	replayTime = 2 * time.Second
)

// Failures keeps the stream batches that dispatch could not take in time, as
// Lambda wrote them.
type Failures interface {
	// List returns the keys of up to limit of them, in any order.
	List(ctx context.Context, limit int) ([]string, error)
	// Read returns one of them, webhook.ErrNotFound when it is gone.
	Read(ctx context.Context, key string) ([]byte, error)
	// Remove deletes one. That it is gone already is no error.
	Remove(ctx context.Context, key string) error
}

// Dispatch takes stream batches.
type Dispatch interface {
	// Handle names the first record that failed, if any.
	Handle(ctx context.Context, e events.DynamoDBEvent) (events.DynamoDBEventResponse, error)
}

// replay dispatches failed batches. One that fails again, or cannot be
// understood, stays where it is, is counted and keeps nobody else back. It is
// told of by the log and by its metric, whose alarm calls for somebody.
func (h *Handler) replay(ctx context.Context, r *run) error {
	if h.Failures == nil {
		return nil
	}
	keys, err := h.Failures.List(ctx, maxListed)
	if err != nil {
		return fmt.Errorf("list failed batches: %w", err)
	}
	keys = h.inTurn(failedBatches(keys))
	for i, key := range keys[:min(len(keys), maxReplays)] {
		if i > 0 && !deadline.Allows(ctx, replayTime) {
			return nil
		}
		err := h.replayOne(ctx, key)
		switch {
		case err == nil:
			r.replayed++
		case !errors.Is(err, webhook.ErrNotFound): // else another run was quicker
			r.replaysFailed++
			h.log().ErrorContext(ctx, "replay.failed", "key", key, "error", err)
		}
	}
	return nil
}

func failedBatches(keys []string) []string {
	var ours []string
	for _, key := range keys {
		if strings.HasPrefix(key, failuresPrefix) {
			ours = append(ours, key)
		}
	}
	return ours
}

// inTurn begins at another key every minute, so that batches which fail again
// and again, and slowly, do not use up the time of all runs.
func (h *Handler) inTurn(keys []string) []string {
	if len(keys) == 0 {
		return nil
	}
	first := int(h.now().Unix()/60) % len(keys)
	return append(keys[first:len(keys):len(keys)], keys[:first]...)
}

// replayOne removes a batch when all of it was dispatched. As ids are
// deterministic, what a part of it led to before is not done twice.
func (h *Handler) replayOne(ctx context.Context, key string) error {
	object, err := h.Failures.Read(ctx, key)
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	e, err := parseFailure(object)
	if err != nil {
		return fmt.Errorf("it stays where it is, as it cannot be understood: %w", err)
	}
	answer, err := h.Dispatch.Handle(ctx, e)
	if err != nil {
		return fmt.Errorf("dispatch: %w", err)
	}
	if failed := answer.BatchItemFailures; len(failed) > 0 {
		return fmt.Errorf("dispatch: failed again from record %s on", failed[0].ItemIdentifier)
	}
	if err := h.Failures.Remove(ctx, key); err != nil {
		return fmt.Errorf("remove after dispatch: %w", err)
	}
	return nil
}

// failure is what Lambda writes about a batch, as far as it is needed here.
type failure struct {
	Batch   json.RawMessage `json:"DDBStreamBatchInfo"`
	Payload json.RawMessage `json:"payload"` // the event, in a string
}

// parseFailure reads the batch that a failure tells of.
func parseFailure(object []byte) (e events.DynamoDBEvent, err error) {
	var f failure
	if err := json.Unmarshal(object, &f); err != nil {
		return e, errors.New("it is no JSON object")
	}
	if len(f.Batch) == 0 {
		return e, errors.New("it has no DDBStreamBatchInfo, so it is no batch of a table's stream")
	}
	payload := []byte(f.Payload)
	if len(payload) > 0 && payload[0] == '"' {
		var text string
		_ = json.Unmarshal(payload, &text) // it is a string, as the whole is valid
		payload = []byte(text)
	}
	if len(payload) == 0 {
		return e, errors.New("it has no payload; only a destination on S3 gets one")
	}
	if json.Unmarshal(payload, &e) != nil {
		return e, errors.New("its payload is no event of a stream")
	}
	if len(e.Records) == 0 {
		return e, errors.New("its payload has no records")
	}
	for i, r := range e.Records {
		if r.EventName == "" || r.Change.SequenceNumber == "" {
			return e, fmt.Errorf("record %d of its payload is no record of a stream", i+1)
		}
	}
	return e, nil
}
