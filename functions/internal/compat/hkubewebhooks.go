package compat

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/jobhook/jobhook/shared/format"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// webhookView is what became of a pipeline's last webhook of one kind.
type webhookView struct {
	URL            string       `json:"url"`
	PipelineStatus job.Status   `json:"pipelineStatus"`
	ResponseStatus string       `json:"responseStatus"` // succeed below 400, else failed
	HTTPResponse   httpResponse `json:"httpResponse"`
	Timestamp      string       `json:"timestamp"`
}

type httpResponse struct {
	StatusCode    any    `json:"statusCode"` // a number, or the name of a network error such as ECONNREFUSED
	StatusMessage string `json:"statusMessage"`
}

func (c *routes) webhooksStatus(w http.ResponseWriter, r *http.Request, account string) error {
	progress, _, err := c.lastSent(r, account)
	if err != nil {
		return err
	}
	return c.showWebhook(w, r, progress)
}

func (c *routes) webhooksResults(w http.ResponseWriter, r *http.Request, account string) error {
	_, result, err := c.lastSent(r, account)
	if err != nil {
		return err
	}
	return c.showWebhook(w, r, result)
}

func (c *routes) showWebhook(w http.ResponseWriter, r *http.Request, d *webhook.Delivery) error {
	v, err := c.viewWebhook(r.Context(), d)
	if err != nil {
		return err
	}
	if v == nil {
		return noWebhook(r)
	}
	return show(w, r, v)
}

// webhooksList shows both; one that was not sent is left out, as HKube does.
func (c *routes) webhooksList(w http.ResponseWriter, r *http.Request, account string) error {
	progress, result, err := c.lastSent(r, account)
	if err != nil {
		return err
	}
	p, err := c.viewWebhook(r.Context(), progress)
	if err != nil {
		return err
	}
	res, err := c.viewWebhook(r.Context(), result)
	if err != nil {
		return err
	}
	if p == nil && res == nil {
		return noWebhook(r)
	}
	return show(w, r, struct {
		JobID    string       `json:"jobId"`
		Progress *webhookView `json:"progress,omitempty"`
		Result   *webhookView `json:"result,omitempty"`
	}{r.PathValue("id"), p, res})
}

func noWebhook(r *http.Request) error {
	return refuse(http.StatusNotFound, "webhook %s Not Found", shortened(r.PathValue("id")))
}

// lastSent returns the last deliveries of either kind that were attempted, nil
// where there is none: what was never sent is no webhook to HKube.
func (c *routes) lastSent(r *http.Request, account string) (progress, result *webhook.Delivery, err error) {
	id := r.PathValue("id")
	if job.CheckID("id", id) != nil {
		return nil, nil, nil
	}
	err = c.deliveriesOf(r.Context(), webhook.Filter{Account: account, JobID: id}, func(d webhook.Delivery) {
		attempted := d.LastStatus != 0 || d.LastFailure != ""
		switch {
		case d.Kind != job.KindPipeline || d.Target.Format != format.HKube || !attempted:
		case d.EventType == webhook.JobProgress:
			progress = later(progress, d)
		default:
			result = later(result, d)
		}
	})
	return progress, result, err
}

// later returns the one whose change came later.
func later(last *webhook.Delivery, d webhook.Delivery) *webhook.Delivery {
	if last != nil && compareSequences(last.Sequence, d.Sequence) >= 0 {
		return last
	}
	return &d
}

// viewWebhook shows a delivery by its last attempt; nil for none.
func (c *routes) viewWebhook(ctx context.Context, d *webhook.Delivery) (*webhookView, error) {
	if d == nil {
		return nil, nil
	}
	e, err := c.Store.Event(ctx, d.Account, d.EventID)
	if errors.Is(err, webhook.ErrNotFound) {
		return nil, nil // it expired just now
	}
	if err != nil {
		return nil, err
	}
	then, err := e.Job()
	if err != nil {
		return nil, err
	}
	attempts, err := c.Store.Attempts(ctx, d.Ref())
	if err != nil && !errors.Is(err, webhook.ErrNotFound) {
		return nil, err
	}
	if len(attempts) == 0 {
		return viewAttempt(then.Status, d.Target.URL, d.UpdatedAt,
			webhook.Result{Status: d.LastStatus, Failure: webhook.Failure(d.LastFailure)}), nil
	}
	a := attempts[len(attempts)-1]
	return viewAttempt(then.Status, a.URL, a.At, a.Result), nil
}

func viewAttempt(status job.Status, url string, at time.Time, r webhook.Result) *webhookView {
	v := &webhookView{URL: url, PipelineStatus: status, ResponseStatus: "failed", Timestamp: stamp(at)}
	if r.Status == 0 {
		v.HTTPResponse = httpResponse{cmp.Or(r.Code, strings.ToUpper(string(r.Failure))), cmp.Or(r.Detail, string(r.Failure))}
		return v
	}
	v.HTTPResponse = httpResponse{r.Status, http.StatusText(r.Status)}
	if r.Status < http.StatusBadRequest {
		v.ResponseStatus = "succeed"
	}
	return v
}
