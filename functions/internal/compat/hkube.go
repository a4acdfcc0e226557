package compat

import (
	"bytes"
	"context"
	"errors"
	"net/http"

	"github.com/jobhook/jobhook/shared/format"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// hkube is the part of HKube's API that tells what its webhooks tell, and what
// became of them (https://github.com/kube-HPC/hkube, core/api-server). Theirs
// needs no key; ours does, as Authorization: Bearer.
func (c *routes) hkube() system {
	gets := map[string]handler{
		"/exec/status/{id}":      c.execStatus,
		"/exec/results/{id}":     c.execResults,
		"/webhooks/status/{id}":  c.webhooksStatus,
		"/webhooks/results/{id}": c.webhooksResults,
		"/webhooks/list/{id}":    c.webhooksList,
	}
	for _, p := range []string{"/exec/status", "/exec/results"} {
		gets[p] = noJobID
	}
	return system{base: "/hkube/api/v1", key: bearer, envelope: hkubeError, gets: gets}
}

func hkubeError(f *refusal) any {
	type body struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}
	return struct {
		Error body `json:"error"`
	}{body{f.status, f.message}}
}

func noJobID(http.ResponseWriter, *http.Request, string) error {
	return refuse(http.StatusBadRequest, "data should have required property 'jobId'")
}

// pipeline returns the account's pipeline, or a refusal in HKube's words.
func (c *routes) pipeline(r *http.Request, account string) (job.Job, error) {
	id := r.PathValue("id")
	j, err := c.job(r.Context(), account, job.KindPipeline, id)
	if errors.Is(err, webhook.ErrNotFound) {
		return j, refuse(http.StatusNotFound, "status %s Not Found", shortened(id))
	}
	return j, err
}

// execStatus shows a pipeline as its progress webhook does.
func (c *routes) execStatus(w http.ResponseWriter, r *http.Request, account string) error {
	j, err := c.pipeline(r, account)
	if err != nil {
		return err
	}
	body, err := c.statusBody(r.Context(), j)
	if err != nil {
		return err
	}
	writeJSON(w, r, http.StatusOK, body)
	return nil
}

// statusBody is the body of the last progress webhook. When the pipeline has
// changed since, or no webhook told of it, the record does not say when: the
// body has the present time.
func (c *routes) statusBody(ctx context.Context, j job.Job) ([]byte, error) {
	e, err := c.lastMove(ctx, j)
	if err != nil && !errors.Is(err, webhook.ErrNotFound) {
		return nil, err
	}
	if err == nil {
		body, err := told(e, j)
		if err != nil || body != nil {
			return body, err
		}
	}
	t, err := job.Change{New: j}.Transition()
	if err != nil {
		return nil, err
	}
	return format.HKubeStatus(j, c.Now(), t.Level)
}

// lastMove returns the last event of a move of the pipeline: of its end, when
// it has ended.
func (c *routes) lastMove(ctx context.Context, j job.Job) (webhook.Event, error) {
	if j.Ended() {
		return c.runEvent(ctx, j, webhook.EndOf(j.Outcome()))
	}
	return c.newestEvent(ctx, j, webhook.JobProgress)
}

// told returns what the event's webhook said, nil if the pipeline has moved on
// since. Nothing that is written after a run's end is a move.
func told(e webhook.Event, j job.Job) ([]byte, error) {
	then, err := e.Job()
	if err != nil {
		return nil, err
	}
	body, err := format.HKubeStatus(then, e.At, e.Level)
	if err != nil || j.Ended() {
		return body, err
	}
	now, err := format.HKubeStatus(j, e.At, e.Level)
	if err != nil || !bytes.Equal(now, body) {
		return nil, err
	}
	return body, nil
}

// execResults shows the end of a pipeline as its result webhook does.
func (c *routes) execResults(w http.ResponseWriter, r *http.Request, account string) error {
	j, err := c.pipeline(r, account)
	if err != nil {
		return err
	}
	if !j.Ended() {
		p, err := j.Pipeline()
		if err != nil {
			return err
		}
		return refuse(http.StatusBadRequest, "unable to get results for pipeline %s because its in %s status", p.Name, j.Status)
	}
	body, err := c.resultBody(r.Context(), j)
	if err != nil {
		return err
	}
	writeJSON(w, r, http.StatusOK, body)
	return nil
}

// resultBody is the body of the result webhook. It has the present time as
// long as nothing tells when the pipeline ended: right after its end, and when
// the event has expired.
func (c *routes) resultBody(ctx context.Context, j job.Job) ([]byte, error) {
	e, err := c.runEvent(ctx, j, webhook.EndOf(j.Outcome()))
	if errors.Is(err, webhook.ErrNotFound) {
		return format.HKubeResult(j, c.Now())
	}
	if err != nil {
		return nil, err
	}
	f, _ := format.Lookup(format.HKube)
	body, err := f.Encode(e, c.PublicURL)
	return body.Bytes, err
}
