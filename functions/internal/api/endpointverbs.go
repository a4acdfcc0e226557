package api

import (
	"context"
	"net/http"
	"time"

	"github.com/jobhook/jobhook/functions/internal/deliver"
	"github.com/jobhook/jobhook/shared/webhook"
)

// secretOverlap is how long an old secret signs beside its new one where
// nothing is said.
const secretOverlap = 24 * time.Hour

type rotateSecretBody struct {
	Secret         string `json:"secret,omitempty" doc:"A secret of your own, whsec_ and 24 to 64 bytes in base64, for hmac."`
	OverlapSeconds *int   `json:"overlap_seconds,omitempty" minimum:"0" maximum:"604800" default:"86400" doc:"How long the old secret signs too."`
}

type pauseBody struct {
	Reason string `json:"reason,omitempty" maxLength:"200" doc:"For people."`
}

type (
	rotateSecretInput struct {
		ObjectPath
		Condition
		Body *rotateSecretBody
	}
	pauseInput struct {
		ObjectPath
		Condition
		Body *pauseBody
	}
	endpointVerbInput struct {
		ObjectPath
		Condition
	}
)

// trialView shows a test webhook and what came back.
type trialView struct {
	Request   trialRequest  `json:"request"`
	Delivered bool          `json:"delivered" doc:"The receiver's answer is a success by the endpoint's policy."`
	Status    int           `json:"status,omitempty" doc:"Absent when no answer came."`
	Failure   string        `json:"failure,omitempty" doc:"The step at which it failed without an answer."`
	Code      string        `json:"code,omitempty" doc:"A network error's own name."`
	Detail    string        `json:"detail,omitempty"`
	Response  *responseView `json:"response,omitempty"`
	TimingMS  timingView    `json:"timing_ms"`
}

type trialRequest struct {
	URL     string              `json:"url"`
	Headers map[string][]string `json:"headers"`
	Body    string              `json:"body"`
}

func (a *API) addEndpointVerbs(tag func(id, method, path, summary string, status int) operation, who []webhook.Scope) {
	rotate := tag("rotate-secret", "POST", "/v1/endpoints/{id}:rotate-secret", "Sign with a new secret", 200)
	rotate.details = "The new secret is shown once. The one before signs too until the overlap ends, so that receivers can change over; older ones end at once."
	register(a, rotate, who, a.rotateSecret)
	try := tag("test-endpoint", "POST", "/v1/endpoints/{id}:test", "Send a test webhook", 200)
	try.details = "Sends a signed webhook.test, in the standard format whatever the endpoint's own, to the endpoint whatever its status, " +
		"and waits up to 25 seconds for the answer. It is recorded nowhere."
	register(a, try, who, a.testEndpoint)
	pause := tag("pause-endpoint", "POST", "/v1/endpoints/{id}:pause", "Hold the deliveries of an endpoint", 200)
	register(a, pause, who, a.pauseEndpoint)
	resume := tag("resume-endpoint", "POST", "/v1/endpoints/{id}:resume", "Call an endpoint again that was paused, disabled, or given a rest", 200)
	resume.details = "What is known of its health is forgotten, so that it is called at once, and what is held is sent."
	register(a, resume, who, a.resumeEndpoint)
}

func (a *API) rotateSecret(ctx context.Context, in *rotateSecretInput) (*shownEndpoint, error) {
	own, overlap := "", secretOverlap
	if in.Body != nil {
		own = in.Body.Secret
		if in.Body.OverlapSeconds != nil {
			overlap = time.Duration(*in.Body.OverlapSeconds) * time.Second
		}
	}
	return a.act(ctx, in.ObjectPath, in.Condition, true, func(e webhook.Endpoint) (webhook.Endpoint, error) {
		signing := signingOf(e.Secrets)
		if signing == signNone {
			return e, conflict("unsigned", "The endpoint has no secret to rotate.").field("signing", "it is none", "PATCH the endpoint with signing hmac or ed25519")
		}
		fresh, err := secretsFor(signing, own)
		if err != nil {
			return e, err
		}
		now := a.Now()
		newest := e.Secrets[0]
		if e.Secrets, e.OldUntil = fresh, (time.Time{}); overlap > 0 {
			e.Secrets, e.OldUntil = append(fresh, newest), later(now.Add(overlap), time.Time{})
		}
		return e, nil
	})
}

func (a *API) pauseEndpoint(ctx context.Context, in *pauseInput) (*shownEndpoint, error) {
	reason := ""
	if in.Body != nil {
		reason = in.Body.Reason
	}
	return a.act(ctx, in.ObjectPath, in.Condition, false, func(e webhook.Endpoint) (webhook.Endpoint, error) {
		e.Status, e.StatusReason = webhook.EndpointPaused, statusReason(webhook.EndpointPaused, reason)
		return e, nil
	})
}

// resumeEndpoint enables an endpoint, so that its health is forgotten. That of
// one that is enabled already is forgotten too, and first, so that nothing is
// written where that fails: whoever has repaired a receiver need not wait for its
// circuit.
func (a *API) resumeEndpoint(ctx context.Context, in *endpointVerbInput) (*shownEndpoint, error) {
	account, err := accountFor(ctx, in.Account)
	if err != nil {
		return nil, err
	}
	e, err := a.Store.Endpoint(ctx, account, in.ID)
	if err != nil {
		return nil, err
	}
	if err := in.allows(e); err != nil {
		return nil, err
	}
	if e.Status == webhook.EndpointEnabled {
		if err := a.forgetHealth(ctx, e); err != nil {
			return nil, err
		}
	}
	return a.act(ctx, in.ObjectPath, in.Condition, false, func(e webhook.Endpoint) (webhook.Endpoint, error) {
		e.Status, e.StatusReason = webhook.EndpointEnabled, ""
		return e, nil
	})
}

// act changes an endpoint and shows it, with its secret if that is new.
func (a *API) act(ctx context.Context, which ObjectPath, known Condition, secret bool, f func(webhook.Endpoint) (webhook.Endpoint, error)) (*shownEndpoint, error) {
	account, err := accountFor(ctx, which.Account)
	if err != nil {
		return nil, err
	}
	e, err := a.update(ctx, webhook.Ref{Account: account, ID: which.ID}, known, f)
	if err != nil {
		return nil, err
	}
	return a.show(ctx, e, secret)
}

func (a *API) testEndpoint(ctx context.Context, in *endpointVerbInput) (*result[trialView], error) {
	account, err := accountFor(ctx, in.Account)
	if err != nil {
		return nil, err
	}
	e, err := a.Store.Endpoint(ctx, account, in.ID)
	if err != nil {
		return nil, err
	}
	if err := in.allows(e); err != nil {
		return nil, err
	}
	if a.Sender == nil {
		return nil, problem(http.StatusNotImplemented, "This host makes no requests of its own.")
	}
	return &result[trialView]{Body: viewTrial(deliver.Try(ctx, a.Sender, e, a.PublicURL, a.Now()), e.Headers)}, nil
}

// viewTrial shows a trial, the endpoint's own headers masked as everywhere.
func viewTrial(t deliver.Trial, own []webhook.Header) trialView {
	r, spent := t.Result, t.Timing
	headers := t.Request.Header.Clone()
	for name, value := range masked(own) {
		headers.Set(name, value)
	}
	headers.Set("Content-Type", t.Request.ContentType)
	return trialView{
		Request:   trialRequest{URL: t.Request.URL, Headers: headers, Body: string(t.Request.Body)},
		Delivered: t.Delivered, Status: r.Status, Failure: string(r.Failure), Code: r.Code, Detail: r.Detail,
		Response: viewResponse(r),
		TimingMS: timingView{DNS: ms(spent.DNS), Connect: ms(spent.Connect), TLS: ms(spent.TLS), FirstByte: ms(spent.FirstByte), Total: ms(spent.Total)},
	}
}
