package api

import (
	"context"
	"strings"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

func (a *API) patchEndpoint(ctx context.Context, in *patchEndpointInput) (*shownEndpoint, error) {
	account, err := accountFor(ctx, in.Account)
	if err != nil {
		return nil, err
	}
	e, resigned, err := a.change(ctx, webhook.Ref{Account: account, ID: in.ID}, in.Condition, in.Body)
	if err != nil {
		return nil, err
	}
	return a.show(ctx, e, resigned)
}

// change applies a patch, and tells whether there is a new secret to show.
func (a *API) change(ctx context.Context, which webhook.Ref, known Condition, in endpointPatch) (e webhook.Endpoint, resigned bool, err error) {
	if in.URL != nil {
		if err := a.checkURL("url", *in.URL); err != nil {
			return e, false, err
		}
	}
	if err := checkTypes(in.Types); err != nil {
		return e, false, err
	}
	policy, err := in.Policy.check()
	if err != nil {
		return e, false, err
	}
	fresh, err := secretsFor(valueOr(in.Signing, ""), valueOr(in.Secret, ""))
	if err != nil {
		return e, false, err
	}
	headers, err := checkHeaders(in.Headers)
	if err != nil {
		return e, false, err
	}
	e, err = a.update(ctx, which, known, func(e webhook.Endpoint) (webhook.Endpoint, error) {
		if err := in.checkMove(e); err != nil {
			return e, err
		}
		e = in.applied(e)
		if in.Policy != nil {
			e.Policy = policy
		}
		if in.Headers != nil {
			e.Headers = headers
		}
		if resigned = in.Secret != nil || in.Signing != nil && *in.Signing != signingOf(e.Secrets); resigned {
			e.Secrets, e.OldUntil = fresh, time.Time{}
		}
		return e, checkTold(e)
	})
	return e, resigned, err
}

// checkMove refuses to let an endpoint's own headers follow its URL to another
// server: they may be credentials, and no answer tells them to whoever moves it.
func (in endpointPatch) checkMove(e webhook.Endpoint) error {
	if in.URL == nil || in.Headers != nil || len(e.Headers) == 0 || sameServer(e.URL, *in.URL) {
		return nil
	}
	return invalid("headers", "those there are were written for another server than that of the new url", "write the headers again, or {}")
}

// sameServer tells whether two URLs have the same scheme, host and port.
func sameServer(one, other string) bool {
	a, _, _ := strings.Cut(webhook.SiteOf(one), ":")
	b, _, _ := strings.Cut(webhook.SiteOf(other), ":")
	return a == b && webhook.HostOf(one) == webhook.HostOf(other)
}

// update changes an endpoint as f says, if the caller knows it as it is, and
// within the account's quotas.
func (a *API) update(ctx context.Context, which webhook.Ref, known Condition, f func(webhook.Endpoint) (webhook.Endpoint, error)) (webhook.Endpoint, error) {
	account, err := a.Store.Account(ctx, which.Account)
	if err != nil {
		return webhook.Endpoint{}, err
	}
	return a.Store.UpdateEndpoint(ctx, which.Account, which.ID, func(e webhook.Endpoint) (webhook.Endpoint, error) {
		if err := known.allows(e); err != nil {
			return e, err
		}
		next, err := f(e)
		if err != nil {
			return e, err
		}
		next.UpdatedAt = later(a.Now(), e.UpdatedAt)
		return within(next, account.Quotas), nil
	})
}

// applied is the endpoint with what the patch says of it.
func (in endpointPatch) applied(e webhook.Endpoint) webhook.Endpoint {
	e.URL, e.Format = valueOr(in.URL, e.URL), valueOr(in.Format, e.Format)
	if in.Types != nil {
		e.Types = in.Types
	}
	if in.Status != nil {
		e.Status, e.StatusReason = *in.Status, statusReason(*in.Status, in.StatusReason)
	} else if in.StatusReason != "" {
		e.StatusReason = statusReason(e.Status, in.StatusReason)
	}
	return e
}
