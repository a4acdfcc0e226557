package export

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// resultSetAttribute is where a job record says what a run left behind.
const resultSetAttribute = "result_set"

// errMovedOn says that the job is gone, or at another run.
var errMovedOn = errors.New("the job has moved on")

// tell writes the result set to the job's row, from where it takes the way of
// all changes. When the job has moved on, dispatch hears of it directly, with
// the job as it was when the run ended.
func (h *Handler) tell(ctx context.Context, r run) error {
	value, err := attributeOf(r.set)
	if err != nil {
		return err
	}
	err = errMovedOn
	if h.Jobs != nil {
		_, _, err = h.Jobs.WriteJob(ctx, r.JobID, r.Kind, func(old *job.Job) (job.Job, error) {
			if old == nil || old.Account != r.Account || old.Run != r.Run {
				return job.Job{}, errMovedOn
			}
			return withAttribute(*old, resultSetAttribute, value)
		})
	}
	if !errors.Is(err, errMovedOn) {
		return err
	}
	next, err := withAttribute(r.job, resultSetAttribute, value)
	if err != nil {
		return err
	}
	return h.Dispatch.Apply(ctx, job.Change{Old: &r.job, New: next, Sequence: r.event.Sequence, At: h.now()})
}

// attributeOf writes a set as job.ResultSet reads it.
func attributeOf(s webhook.ResultSet) ([]byte, error) {
	if s.State == webhook.ResultSetFailed {
		return json.Marshal(struct {
			ID    int    `json:"id"`
			Error string `json:"error"`
		}{s.Run, s.Reason})
	}
	return json.Marshal(struct {
		ID        int    `json:"id"`
		Token     string `json:"token"`
		Pages     int    `json:"pages"`
		Records   int    `json:"records"`
		CSVHash   string `json:"csv_hash"`
		ExpiresAt string `json:"expires_at"`
	}{s.Run, s.Token, s.Pages, s.Records, s.CSVHash, s.ExpiresAt.UTC().Format(time.RFC3339Nano)})
}

// withAttribute returns the job with an attribute that has a value.
func withAttribute(j job.Job, name string, value []byte) (job.Job, error) {
	record, err := setAttribute(j.Record, name, value)
	if err != nil {
		return job.Job{}, fmt.Errorf("record: %w", err)
	}
	return job.Decode(record)
}

// setAttribute sets an attribute of a JSON object, and keeps every other byte.
// An attribute that is there more than once, or in another case, is set
// everywhere: whichever of them a reader takes, it reads the same.
func setAttribute(object []byte, name string, value []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(object))
	if opening, err := d.Token(); err != nil || opening != json.Delim('{') {
		return nil, errors.Join(errors.New("it is no JSON object"), err)
	}
	var out []byte
	kept, members, found := 0, 0, false // kept is how much of object is in out
	for ; d.More(); members++ {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		var old json.RawMessage
		if err := d.Decode(&old); err != nil {
			return nil, err
		}
		if text, _ := key.(string); strings.EqualFold(text, name) {
			end := int(d.InputOffset())
			out = append(append(out, object[kept:end-len(old)]...), value...)
			kept, found = end, true
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	if !found {
		last := bytes.TrimRight(object[:int(d.InputOffset())-len("}")], " \t\r\n")
		out, kept = append(out, last...), len(last)
		if members > 0 {
			out = append(out, ',')
		}
		out = append(append(append(append(out, '"'), name...), `":`...), value...)
	}
	return append(out, object[kept:]...), nil
}
