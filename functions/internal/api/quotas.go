package api

import (
	"context"
	"errors"
	"time"

	"github.com/jobhook/jobhook/shared/format"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// within is the endpoint with no more retries than its account may have. The
// cut waits become the endpoint's own: a higher quota does not bring them back.
func within(e webhook.Endpoint, q webhook.Quotas) webhook.Endpoint {
	if q.Retries == nil {
		return e
	}
	waits := waitsOf(e)
	if len(waits) <= *q.Retries {
		return e
	}
	cut := make([]int, *q.Retries)
	for i := range cut {
		cut[i] = max(1, int(waits[i]/time.Second))
	}
	e.Policy.RetrySeconds = &cut
	return e
}

// waitsOf are the waits of an endpoint between attempts. "auto" has those of
// each kind's format; where the longest must be cut, they become the same for
// all kinds.
func waitsOf(e webhook.Endpoint) []time.Duration {
	if f, ok := format.Lookup(e.Format); ok {
		return f.Policy.With(e.Policy).Schedule.Waits
	}
	var longest []time.Duration
	for _, k := range job.Kinds() {
		if waits := format.ForKind(k).Policy.With(e.Policy).Schedule.Waits; len(waits) > len(longest) {
			longest = waits
		}
	}
	return longest
}

// cutRetries holds the endpoints that an account has to its new quotas.
func (a *API) cutRetries(ctx context.Context, account webhook.Account, changed *quotasBody) error {
	if changed == nil || changed.Retries == nil {
		return nil
	}
	endpoints, err := a.Store.Endpoints(ctx, account.ID)
	if err != nil {
		return err
	}
	for _, e := range endpoints {
		if len(waitsOf(e)) <= *changed.Retries {
			continue
		}
		as := func(e webhook.Endpoint) (webhook.Endpoint, error) { return e, nil }
		_, err := a.update(ctx, webhook.Ref{Account: account.ID, ID: e.ID}, Condition{}, as)
		if err != nil && !errors.Is(err, webhook.ErrNotFound) { // it was deleted just now
			return err
		}
	}
	return nil
}
