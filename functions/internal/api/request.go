package api

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/jobhook/jobhook/functions/internal/deliver"
	"github.com/jobhook/jobhook/functions/internal/resend"
	"github.com/jobhook/jobhook/shared/format"
	"github.com/jobhook/jobhook/shared/webhook"
)

// requestView shows the request of an attempt.
type requestView struct {
	Method     string              `json:"method"`
	URL        string              `json:"url"`
	Headers    map[string][]string `json:"headers" doc:"The endpoint's own are masked: at most the last four characters are shown, of Basic credentials none."`
	Body       string              `json:"body,omitempty"`
	BodyBase64 string              `json:"body_base64,omitempty" doc:"A body that is no text."`
	SignedAt   string              `json:"signed_at" format:"date-time" doc:"Receivers refuse a signature that is older than five minutes."`
}

func (a *API) addRequests() {
	register(a, operation{id: "get-request", method: "GET", path: "/v1/deliveries/{id}/request", tag: "Deliveries", status: 200,
		summary: "Read the request of a delivery, as it would be sent now",
		details: "To the endpoint's present URL, signed with its present secrets. Nothing is sent."},
		scopes(webhook.ScopePlatform, webhook.ScopeAccount), a.getRequest)
}

func (a *API) getRequest(ctx context.Context, in *ObjectPath) (*result[requestView], error) {
	account, err := accountFor(ctx, in.Account)
	if err != nil {
		return nil, err
	}
	d, err := a.Store.Delivery(ctx, webhook.Ref{Account: account, ID: in.ID})
	if err != nil {
		return nil, err
	}
	now := a.Now()
	w, f, err := a.workOf(ctx, d, now)
	if err != nil {
		return nil, unsendable(err)
	}
	r, err := deliver.Compose(&w, f, a.PublicURL, now)
	if err != nil {
		return nil, unsendable(resend.Untold(err))
	}
	return &result[requestView]{Body: viewRequest(r, w.Endpoint.Headers, now)}, nil
}

// workOf is what an attempt at a delivery would go by now, and its format. The
// error is a *resend.NoTargetError where none can be made, for the reasons for
// which it would not be sent again.
func (a *API) workOf(ctx context.Context, d webhook.Delivery, now time.Time) (webhook.Work, format.Format, error) {
	w := webhook.Work{Delivery: d}
	f, err := resend.FormatOf(d)
	if err != nil {
		return w, f, err
	}
	if w.Event, err = a.Store.Event(ctx, d.Account, d.EventID); err != nil {
		return w, f, err
	}
	if d.Target.Endpoint == "" {
		signer, err := a.defaultEndpoint(ctx, d.Account)
		if err == nil && signer != nil {
			w.Secrets = signer.Signing(now)
		}
		return w, f, err
	}
	w.Endpoint, err = a.Store.Endpoint(ctx, d.Account, d.Target.Endpoint)
	if errors.Is(err, webhook.ErrNotFound) {
		return w, f, resend.Deleted()
	}
	w.HasEndpoint, w.Secrets = true, w.Endpoint.Signing(now)
	return w, f, err
}

// viewRequest shows a request, the endpoint's own headers masked: those of them
// that are sent, as others give way to a signature, or break today's rules.
func viewRequest(r webhook.Request, own []webhook.Header, signed time.Time) requestView {
	v := requestView{Method: http.MethodPost, URL: r.URL, Headers: r.Header.Clone(), SignedAt: stamp(signed)}
	for _, h := range own {
		if r.Header.Get(h.Name) == h.Value {
			http.Header(v.Headers).Set(h.Name, mask+shownOf(h.Value))
		}
	}
	http.Header(v.Headers).Set("Content-Type", r.ContentType)
	if utf8.Valid(r.Body) {
		v.Body = string(r.Body)
	} else {
		v.BodyBase64 = base64.StdEncoding.EncodeToString(r.Body)
	}
	return v
}
