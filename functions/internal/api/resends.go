package api

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/jobhook/jobhook/shared/webhook"
)

const (
	defaultRate = 50 // deliveries a second
	// maxRunning is how many bulk resends of an account run at a time.
	maxRunning = 10
	// A dry run counts up to so many deliveries, and reads up to so many pages.
	maxCounted      = 10_000
	maxCountedPages = 50
	// cancelTries is how often a cancellation tries again that met with sweep.
	cancelTries = 10
)

// ResendStore keeps bulk resends.
type ResendStore interface {
	PutResend(ctx context.Context, r webhook.Resend) error
	Resend(ctx context.Context, account, id string) (webhook.Resend, error)
	// Resends returns those of an account, the newest first, at most webhook.MaxPage.
	Resends(ctx context.Context, account string) ([]webhook.Resend, error)
	// UpdateResend replaces one that was read; next.Version is read.Version + 1.
	// It returns webhook.ErrStale when it has changed since.
	UpdateResend(ctx context.Context, read, next webhook.Resend) error
}

// resendFilter selects deliveries, in JSON.
type resendFilter struct {
	State       webhook.State       `json:"state,omitempty" enum:"waiting,held,delivered,exhausted,dead,superseded,declined"`
	Endpoint    string              `json:"endpoint,omitempty" maxLength:"256" doc:"An endpoint's id."`
	Job         string              `json:"job,omitempty" maxLength:"256" doc:"A job's id."`
	Event       string              `json:"event,omitempty" maxLength:"256" doc:"An event's id."`
	Type        webhook.EventType   `json:"type,omitempty" enum:"job.progress,job.finished,job.failed,job.stopped,result_set.ready,endpoint.failing,endpoint.disabled,endpoint.recovered,webhook.test,job.unreadable"`
	Since       *time.Time          `json:"since,omitempty" doc:"Those created then or later."`
	Until       *time.Time          `json:"until,omitempty" doc:"Those created before; at most the time of the request, which it is when left out."`
	StatusClass webhook.StatusClass `json:"status_class,omitempty" enum:"2xx,3xx,4xx,5xx,no_answer,no_attempt"`
}

type createResendInput struct {
	AccountQuery
	Body struct {
		Filter resendFilter `json:"filter" doc:"At least one of them."`
		Rate   int          `json:"rate,omitempty" minimum:"1" maximum:"500" default:"50" doc:"Deliveries a second, at most; each endpoint's own limits hold as well."`
		DryRun bool         `json:"dry_run,omitempty" doc:"Only count what would be sent again."`
	}
}

type resendView struct {
	ID        string              `json:"id"`
	Account   string              `json:"account"`
	State     webhook.ResendState `json:"state" enum:"running,done,cancelled"`
	Filter    resendFilter        `json:"filter"`
	Rate      int                 `json:"rate"`
	Looked    int                 `json:"looked" doc:"Deliveries that the filter matched so far."`
	Resent    int                 `json:"resent"`
	Skipped   int                 `json:"skipped" doc:"Could not be sent again: no target, or an attempt was under way."`
	CreatedAt string              `json:"created_at" format:"date-time"`
	UpdatedAt string              `json:"updated_at" format:"date-time"`
	EndedAt   string              `json:"ended_at,omitempty" format:"date-time"`
}

type dryRunView struct {
	Matched  int                   `json:"matched"`
	Complete bool                  `json:"complete" doc:"False when there is more than was counted."`
	ByState  map[webhook.State]int `json:"by_state"`
}

func (a *API) addResends() {
	everybody := scopes(webhook.ScopePlatform, webhook.ScopeAccount)
	schemas := a.huma.OpenAPI().Components.Schemas
	create := operation{id: "create-resend", method: "POST", path: "/v1/resends", tag: "Resends", status: http.StatusAccepted, alsoStatus: http.StatusOK,
		summary: "Send many deliveries once more, or count them",
		details: "Deliveries that the filter selects and that were created before the request are sent again, newest job first, at the given rate. " +
			"Poll the resend for its progress. What is queued, or being sent, is skipped. With dry_run nothing is sent, and the answer is a count with status 200.",
		rawAnswer: schemas.Schema(reflect.TypeFor[resendView](), true, "ResendView")}
	register(a, create, everybody, a.createResend)
	dryRun := schemas.Schema(reflect.TypeFor[dryRunView](), true, "DryRunView")
	a.huma.OpenAPI().Paths[create.path].Post.Responses["200"] = &huma.Response{Description: "Counted, as a dry run",
		Content: map[string]*huma.MediaType{contentJSON: {Schema: dryRun}}}
	register(a, operation{id: "list-resends", method: "GET", path: "/v1/resends", tag: "Resends", status: 200,
		summary: "List the bulk resends of an account, newest first", details: "The newest 250."}, everybody, a.listResends)
	register(a, operation{id: "get-resend", method: "GET", path: "/v1/resends/{id}", tag: "Resends", status: 200,
		summary: "Read how far a bulk resend is"}, everybody, a.getResend)
	register(a, operation{id: "cancel-resend", method: "POST", path: "/v1/resends/{id}:cancel", tag: "Resends", status: 200,
		summary: "Stop a bulk resend", details: "What it has queued already is still sent. One that was cancelled before stays so."}, everybody, a.cancelResend)
}

func (a *API) createResend(ctx context.Context, in *createResendInput) (*rawAnswer, error) {
	account, err := accountFor(ctx, in.Account)
	if err != nil {
		return nil, err
	}
	if _, err := a.Store.Account(ctx, account); err != nil {
		return nil, err
	}
	now := a.Now()
	filter, err := in.Body.Filter.filter(account, now)
	if err != nil {
		return nil, err
	}
	if in.Body.DryRun {
		counted, err := a.count(ctx, filter)
		return jsonAnswer(http.StatusOK, counted, err)
	}
	if err := a.checkRunning(ctx, account); err != nil {
		return nil, err
	}
	r := webhook.Resend{
		ID: newResendID(now), Account: account, Filter: filter, State: webhook.ResendRunning, Rate: in.Body.Rate, Version: 1,
		CreatedAt: now, UpdatedAt: now,
	}
	if r.Rate == 0 {
		r.Rate = defaultRate
	}
	return jsonAnswer(http.StatusAccepted, viewResend(r), a.Store.PutResend(ctx, r))
}

// newResendID returns an id that sorts by time and cannot be guessed.
func newResendID(now time.Time) string {
	return "rsd_" + webhook.TimePrefix(now) + strings.ToLower(rand.Text()[:16])
}

// filter reads the filter. It ends now at the latest: deliveries of later
// events, and those that the resend itself leads to, are not sent twice.
func (f resendFilter) filter(account string, now time.Time) (webhook.Filter, error) {
	if f == (resendFilter{}) {
		return webhook.Filter{}, invalid("filter", "it selects everything", "name at least one of state, endpoint, job, event, type, since, until, status_class")
	}
	w := webhook.Filter{Account: account, State: f.State, Endpoint: f.Endpoint, JobID: f.Job, EventID: f.Event, Type: f.Type,
		StatusClass: f.StatusClass, Until: now}
	if f.Since != nil {
		w.Since = f.Since.UTC()
	}
	if f.Until != nil && f.Until.Before(now) {
		w.Until = f.Until.UTC()
	}
	if !w.Since.IsZero() && !w.Since.Before(w.Until) {
		return w, invalid("filter.since", "nothing lies between it and until, which is at most now", "write an earlier time, or leave it out")
	}
	return w, nil
}

// checkRunning bounds how many bulk resends of an account run at a time.
func (a *API) checkRunning(ctx context.Context, account string) error {
	list, err := a.Store.Resends(ctx, account)
	if err != nil {
		return err
	}
	running := 0
	for _, r := range list {
		if r.State == webhook.ResendRunning {
			running++
		}
	}
	if running < maxRunning {
		return nil
	}
	return conflict("too-many-resends", fmt.Sprintf("%d bulk resends are running; wait for the end of one, or cancel one.", running))
}

// count looks at what a filter selects, up to a bound of work.
func (a *API) count(ctx context.Context, f webhook.Filter) (dryRunView, error) {
	counted := dryRunView{ByState: map[webhook.State]int{}}
	f.Limit = webhook.MaxPage
	for range maxCountedPages {
		list, next, err := a.Store.Deliveries(ctx, f)
		if err != nil {
			return counted, err
		}
		for _, d := range list {
			if counted.Matched == maxCounted {
				return counted, nil
			}
			counted.Matched++
			counted.ByState[d.State]++
		}
		if f.After = next; next == "" {
			counted.Complete = true
			break
		}
	}
	return counted, nil
}

func (a *API) listResends(ctx context.Context, in *AccountQuery) (*result[page[resendView]], error) {
	account, err := accountFor(ctx, in.Account)
	if err != nil {
		return nil, err
	}
	list, err := a.Store.Resends(ctx, account)
	if err != nil {
		return nil, err
	}
	return pageOf(list, viewResend, ""), nil
}

func (a *API) getResend(ctx context.Context, in *ObjectPath) (*result[resendView], error) {
	account, err := accountFor(ctx, in.Account)
	if err != nil {
		return nil, err
	}
	r, err := a.Store.Resend(ctx, account, in.ID)
	if err != nil {
		return nil, err
	}
	return &result[resendView]{Body: viewResend(r)}, nil
}

// cancelResend stops a bulk resend. Sweep may be advancing it at this moment:
// then it is read and tried again.
func (a *API) cancelResend(ctx context.Context, in *ObjectPath) (*result[resendView], error) {
	account, err := accountFor(ctx, in.Account)
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		r, err := a.cancel(ctx, account, in.ID)
		if errors.Is(err, webhook.ErrStale) && try < cancelTries {
			continue
		}
		if err != nil {
			return nil, err
		}
		return &result[resendView]{Body: viewResend(r)}, nil
	}
}

func (a *API) cancel(ctx context.Context, account, id string) (webhook.Resend, error) {
	read, err := a.Store.Resend(ctx, account, id)
	if err != nil {
		return read, err
	}
	switch read.State {
	case webhook.ResendCancelled:
		return read, nil
	case webhook.ResendDone:
		return read, conflict("resend-done", "It has ended; there is nothing left to cancel.")
	}
	next := read
	next.State, next.EndedAt, next.Version = webhook.ResendCancelled, a.Now(), read.Version+1
	next.UpdatedAt = next.EndedAt
	return next, a.Store.UpdateResend(ctx, read, next)
}

func viewResend(r webhook.Resend) resendView {
	f := r.Filter
	v := resendView{
		ID: r.ID, Account: r.Account, State: r.State, Rate: r.Rate, Looked: r.Looked, Resent: r.Resent, Skipped: r.Skipped,
		Filter: resendFilter{State: f.State, Endpoint: f.Endpoint, Job: f.JobID, Event: f.EventID, Type: f.Type,
			Since: optional(f.Since), Until: optional(f.Until), StatusClass: f.StatusClass},
		CreatedAt: stamp(r.CreatedAt), UpdatedAt: stamp(r.UpdatedAt), EndedAt: stamp(r.EndedAt),
	}
	return v
}

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// jsonAnswer answers with v, unless there is an error.
func jsonAnswer(status int, v any, err error) (*rawAnswer, error) {
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	return answer(status, b), nil
}
