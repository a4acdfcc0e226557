package api

import (
	"context"
	"encoding/base64"
	"errors"
	"time"
	"unicode/utf8"

	"github.com/jobhook/jobhook/functions/internal/resend"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// DeliveryView shows a delivery.
type DeliveryView struct {
	ID            string            `json:"id"`
	Account       string            `json:"account"`
	EventID       string            `json:"event_id"`
	EventType     webhook.EventType `json:"event_type"`
	Kind          job.Kind          `json:"kind" doc:"Empty where an endpoint is told of: no job is behind it."`
	JobID         string            `json:"job_id" doc:"Empty where an endpoint is told of."`
	Run           int               `json:"run"`
	Endpoint      string            `json:"endpoint,omitempty" doc:"Empty for a URL that the job itself names."`
	URL           string            `json:"url,omitempty"`
	Format        string            `json:"format,omitempty"`
	State         webhook.State     `json:"state" enum:"queued,waiting,held,delivered,exhausted,dead,superseded,declined"`
	Hold          webhook.Hold      `json:"hold,omitempty" enum:"paused,disabled,silent,tripped,host,retry_after,rate,busy" doc:"What holds it, if it is held."`
	Reason        string            `json:"reason,omitempty" doc:"Why it is in this state."`
	Generation    int               `json:"generation" doc:"1; each resend adds one."`
	AttemptCount  int               `json:"attempt_count" doc:"Attempts of this generation that count against its schedule."`
	NextAttemptAt string            `json:"next_attempt_at,omitempty" format:"date-time"`
	LastStatus    int               `json:"last_status,omitempty"`
	LastFailure   string            `json:"last_failure,omitempty"`
	CreatedAt     string            `json:"created_at" format:"date-time"`
	UpdatedAt     string            `json:"updated_at" format:"date-time"`
	DeliveredAt   string            `json:"delivered_at,omitempty" format:"date-time"`
	ExpiresAt     string            `json:"expires_at,omitempty" format:"date-time"`
}

type deliveryDetail struct {
	DeliveryView
	Event    EventBrief    `json:"event"`
	Attempts []attemptView `json:"attempts" nullable:"false" doc:"Of all generations, the newest 100."`
}

type attemptView struct {
	At                string        `json:"at" format:"date-time"`
	Generation        int           `json:"generation"`
	URL               string        `json:"url"`
	Status            int           `json:"status,omitempty" doc:"Absent when no answer came."`
	Failure           string        `json:"failure,omitempty" doc:"The step at which it failed without an answer."`
	Code              string        `json:"code,omitempty" doc:"A network error's own name."`
	Detail            string        `json:"detail,omitempty"`
	RetryAfterSeconds int           `json:"retry_after_seconds,omitempty"`
	Response          *responseView `json:"response,omitempty"`
	TimingMS          timingView    `json:"timing_ms"`
	State             webhook.State `json:"state" doc:"What the delivery became."`
	Reason            string        `json:"reason,omitempty"`
	Late              bool          `json:"late,omitempty" doc:"Another attempt had decided already."`
}

type responseView struct {
	Headers    map[string][]string `json:"headers,omitempty"`
	Body       string              `json:"body,omitempty"`
	BodyBase64 string              `json:"body_base64,omitempty" doc:"A body that is no text."`
}

type timingView struct {
	DNS       float64 `json:"dns"`
	Connect   float64 `json:"connect"`
	TLS       float64 `json:"tls"`
	FirstByte float64 `json:"first_byte"`
	Total     float64 `json:"total"`
}

func (a *API) addDeliveries() {
	everybody := scopes(webhook.ScopePlatform, webhook.ScopeAccount)
	tag := func(id, method, path, summary string, status int) operation {
		return operation{id: id, method: method, path: path, summary: summary, status: status, tag: "Deliveries"}
	}
	list := tag("list-deliveries", "GET", "/v1/deliveries", "List deliveries, those of the newest job first", 200)
	list.details = pagesNote
	register(a, list, everybody, a.listDeliveries)
	register(a, tag("get-delivery", "GET", "/v1/deliveries/{id}", "Read a delivery with its attempts", 200), everybody, a.getDelivery)
	register(a, tag("resend-delivery", "POST", "/v1/deliveries/{id}:resend", "Send a delivery once more", 202), everybody, a.resend)
}

func (a *API) listDeliveries(ctx context.Context, in *deliveriesInput) (*result[page[DeliveryView]], error) {
	account, err := accountFor(ctx, in.Account)
	if err != nil {
		return nil, err
	}
	filter, err := in.filter(account)
	if err != nil {
		return nil, err
	}
	list, next, err := a.Store.Deliveries(ctx, filter)
	if err != nil {
		return nil, err
	}
	return pageOf(list, viewDelivery, next), nil
}

func (a *API) getDelivery(ctx context.Context, in *ObjectPath) (*result[deliveryDetail], error) {
	account, err := accountFor(ctx, in.Account)
	if err != nil {
		return nil, err
	}
	r := webhook.Ref{Account: account, ID: in.ID}
	d, err := a.Store.Delivery(ctx, r)
	if err != nil {
		return nil, err
	}
	e, err := a.Store.Event(ctx, account, d.EventID)
	if err != nil {
		return nil, err
	}
	attempts, err := a.Store.Attempts(ctx, r)
	if err != nil {
		return nil, err
	}
	detail := deliveryDetail{DeliveryView: viewDelivery(d), Event: briefly(e), Attempts: pageOf(newest(attempts), viewAttempt, "").Body.Items}
	return &result[deliveryDetail]{Body: detail}, nil
}

// resend opens a new generation.
func (a *API) resend(ctx context.Context, in *ObjectPath) (*result[DeliveryView], error) {
	account, err := accountFor(ctx, in.Account)
	if err != nil {
		return nil, err
	}
	next, err := a.sender().Resend(ctx, webhook.Ref{Account: account, ID: in.ID}, 0)
	if err != nil {
		return nil, unsendable(err)
	}
	return &result[DeliveryView]{Body: viewDelivery(next)}, nil
}

func (a *API) sender() *resend.Sender {
	return &resend.Sender{Store: a.Store, Queue: a.Retry, PublicURL: a.PublicURL, Now: a.Now, Log: a.Log}
}

// unsendable makes the problem of a delivery that has nowhere to go.
func unsendable(err error) error {
	var none *resend.NoTargetError
	if errors.As(err, &none) {
		return conflict("no-target", "There is nowhere to send it.").field("", none.Why, none.Cure)
	}
	return err
}

func viewDelivery(d webhook.Delivery) DeliveryView {
	return DeliveryView{
		ID: d.ID, Account: d.Account, EventID: d.EventID, EventType: d.EventType, Kind: d.Kind, JobID: d.JobID, Run: d.Run,
		Endpoint: d.Target.Endpoint, URL: d.Target.URL, Format: d.Target.Format, State: d.State, Hold: holdOf(d), Reason: d.Reason,
		Generation: d.Generation, AttemptCount: d.Attempts, NextAttemptAt: stamp(d.NextAt),
		LastStatus: d.LastStatus, LastFailure: d.LastFailure, CreatedAt: stamp(d.CreatedAt), UpdatedAt: stamp(d.UpdatedAt),
		DeliveredAt: stamp(d.DeliveredAt), ExpiresAt: stamp(d.ExpiresAt),
	}
}

func viewAttempt(at webhook.Attempt) attemptView {
	r, t := at.Result, at.Timing
	return attemptView{
		At: stamp(at.At), Generation: at.Generation, URL: at.URL, Status: r.Status, Failure: string(r.Failure),
		Code: r.Code, Detail: r.Detail, RetryAfterSeconds: int(r.RetryAfter / time.Second), Response: viewResponse(r),
		TimingMS: timingView{DNS: ms(t.DNS), Connect: ms(t.Connect), TLS: ms(t.TLS), FirstByte: ms(t.FirstByte), Total: ms(t.Total)},
		State:    at.State, Reason: at.Reason, Late: at.Late,
	}
}

func viewResponse(r webhook.Result) *responseView {
	if r.Status == 0 {
		return nil
	}
	if utf8.Valid(r.Body) {
		return &responseView{Headers: r.Header, Body: string(r.Body)}
	}
	return &responseView{Headers: r.Header, BodyBase64: base64.StdEncoding.EncodeToString(r.Body)}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// maxAttempts is how many attempts of a delivery are shown.
const maxAttempts = 100

// newest leaves the last of a list.
func newest(list []webhook.Attempt) []webhook.Attempt {
	return list[max(0, len(list)-maxAttempts):]
}
