package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/jobhook/jobhook/shared/format"
	"github.com/jobhook/jobhook/shared/webhook"
)

// policyBody is what an endpoint changes of its format's policy.
type policyBody struct {
	Success          *webhook.Success `json:"success,omitempty" enum:"2xx,200,lt_400" doc:"Which answers are a success."`
	RetryOn          *webhook.RetryOn `json:"retry_on,omitempty" enum:"any_error,429_5xx" doc:"Which failed answers are retried; network errors always are."`
	TimeoutSeconds   *int             `json:"timeout_seconds,omitempty" minimum:"1" maximum:"30"`
	RetrySeconds     *[]int           `json:"retry_seconds,omitempty" maxItems:"20" doc:"The waits between the attempts; an empty list never retries."`
	SilenceSeconds   *int             `json:"silence_seconds,omitempty" minimum:"0" maximum:"300" doc:"How long nobody calls the URL after a timeout."`
	HonourRetryAfter *bool            `json:"honour_retry_after,omitempty"`
	GoneDisables     *bool            `json:"gone_disables,omitempty" doc:"An answer of 410 disables the endpoint."`
	Rate             *int             `json:"rate,omitempty" minimum:"0" maximum:"10000" doc:"Attempts a second; what is beyond waits. 0, the default: no bound."`
	MaxInFlight      *int             `json:"max_in_flight,omitempty" minimum:"1" maximum:"1000" doc:"Attempts at a time, in each process that delivers; 64 by default."`
}

func (p *policyBody) check() (webhook.PolicyPatch, error) {
	if p == nil {
		return webhook.PolicyPatch{}, nil
	}
	patch := webhook.PolicyPatch(*p)
	field, err := patch.Check()
	if err == nil {
		return patch, nil
	}
	what, cure, _ := strings.Cut(err.Error(), "; ")
	return patch, invalid("policy."+field, what, cure)
}

type endpointInput struct {
	URL          string                 `json:"url" doc:"http or https, at most 2048 bytes."`
	Format       string                 `json:"format,omitempty" enum:"serpwow,webscraper,hkube,socialdata,standard,auto" default:"standard"`
	Types        []webhook.EventType    `json:"types,omitempty" maxItems:"8" enum:"job.progress,job.finished,job.failed,job.stopped,result_set.ready,endpoint.failing,endpoint.disabled,endpoint.recovered" doc:"Each once. Empty: all of jobs but job.progress. Of endpoints only the formats standard and auto tell."`
	Policy       *policyBody            `json:"policy,omitempty"`
	Headers      map[string]string      `json:"headers,omitempty" maxProperties:"10" doc:"Headers of your own that every webhook carries, such as Authorization: by name. No answer shows a value again."`
	Status       webhook.EndpointStatus `json:"status,omitempty" enum:"enabled,paused,disabled" default:"enabled"`
	StatusReason string                 `json:"status_reason,omitempty" maxLength:"200" doc:"Why it is paused or disabled, for people."`
	Signing      string                 `json:"signing,omitempty" enum:"hmac,ed25519,none" doc:"hmac by default."`
	Secret       string                 `json:"secret,omitempty" minLength:"1" doc:"A secret of your own, whsec_ and 24 to 64 bytes in base64, for hmac."`
}

type endpointPatch struct {
	URL          *string                 `json:"url,omitempty" doc:"Another scheme, host or port needs headers beside it, if the endpoint has any: written again, or {}. They are never sent to another server than they were written for."`
	Format       *string                 `json:"format,omitempty" enum:"serpwow,webscraper,hkube,socialdata,standard,auto"`
	Types        []webhook.EventType     `json:"types,omitempty" maxItems:"8" enum:"job.progress,job.finished,job.failed,job.stopped,result_set.ready,endpoint.failing,endpoint.disabled,endpoint.recovered"`
	Policy       *policyBody             `json:"policy,omitempty" doc:"Replaces the whole policy of the endpoint."`
	Headers      map[string]string       `json:"headers,omitempty" maxProperties:"10" doc:"Replaces all headers of the endpoint; {} removes them."`
	Status       *webhook.EndpointStatus `json:"status,omitempty" enum:"enabled,paused,disabled"`
	StatusReason string                  `json:"status_reason,omitempty" maxLength:"200"`
	Signing      *string                 `json:"signing,omitempty" enum:"hmac,ed25519,none" doc:"Another way to sign takes the place of the present one at once."`
	Secret       *string                 `json:"secret,omitempty" minLength:"1" doc:"Takes the place of the present secret at once."`
}

type endpointView struct {
	ID           string                 `json:"id"`
	Account      string                 `json:"account"`
	URL          string                 `json:"url"`
	Format       string                 `json:"format"`
	Default      bool                   `json:"default" doc:"The account's default URL."`
	Types        []webhook.EventType    `json:"types" nullable:"false"`
	Policy       policyBody             `json:"policy"`
	Headers      map[string]string      `json:"headers" doc:"Each value masked: at most the last four characters are shown, of Basic credentials none."`
	Status       webhook.EndpointStatus `json:"status"`
	StatusReason string                 `json:"status_reason,omitempty"`
	Signing      string                 `json:"signing"`
	Secret       string                 `json:"secret,omitempty" doc:"Shown once: when it is made."`
	PublicKey    string                 `json:"public_key,omitempty" doc:"What receivers verify ed25519 signatures with."`
	OldUntil     string                 `json:"old_secret_until,omitempty" format:"date-time" doc:"The secret before this one signs too until then."`
	Health       healthView             `json:"health"`
	CreatedAt    string                 `json:"created_at" format:"date-time"`
	UpdatedAt    string                 `json:"updated_at" format:"date-time"`
}

// AccountQuery says whose objects a request is about.
type AccountQuery struct {
	Account string `query:"account" doc:"Required, but for an account's own key."`
}

// ObjectPath names an object of an account.
type ObjectPath struct {
	ID string `path:"id"`
	AccountQuery
}

type (
	createEndpointInput struct {
		AccountQuery
		Body endpointInput
	}
	readEndpointInput struct {
		ObjectPath
		IfNoneMatch string `header:"If-None-Match" maxLength:"1024" doc:"The ETag of an earlier answer: if nothing has changed, 304."`
	}
	patchEndpointInput struct {
		ObjectPath
		Condition
		Body endpointPatch
	}
	deleteEndpointInput struct {
		ObjectPath
		Condition
	}
)

// shownEndpoint is an endpoint in an answer of its own.
type shownEndpoint struct {
	ETag string `header:"ETag"`
	Body endpointView
}

// readEndpoint is shownEndpoint, or that nothing has changed.
type readEndpoint struct {
	Status int
	ETag   string `header:"ETag"`
	Body   endpointView
}

func (a *API) addEndpoints() {
	everybody := scopes(webhook.ScopePlatform, webhook.ScopeAccount)
	tag := func(id, method, path, summary string, status int) operation {
		return operation{id: id, method: method, path: path, summary: summary, status: status, tag: "Endpoints"}
	}
	register(a, tag("create-endpoint", "POST", "/v1/endpoints", "Make an endpoint", 201), everybody, a.createEndpoint)
	register(a, tag("list-endpoints", "GET", "/v1/endpoints", "List the endpoints of an account", 200), everybody, a.listEndpoints)
	read := tag("get-endpoint", "GET", "/v1/endpoints/{id}", "Read an endpoint", 200)
	read.alsoStatus = http.StatusNotModified
	register(a, read, everybody, a.getEndpoint)
	register(a, tag("patch-endpoint", "PATCH", "/v1/endpoints/{id}", "Change an endpoint", 200), everybody, a.patchEndpoint)
	register(a, tag("delete-endpoint", "DELETE", "/v1/endpoints/{id}", "Delete an endpoint", 204), everybody, a.deleteEndpoint)
	a.addEndpointVerbs(tag, everybody)
}

func (a *API) createEndpoint(ctx context.Context, in *createEndpointInput) (*shownEndpoint, error) {
	id, err := accountFor(ctx, in.Account)
	if err != nil {
		return nil, err
	}
	account, err := a.Store.Account(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := a.checkURL("url", in.Body.URL); err != nil {
		return nil, err
	}
	if err := a.checkRoom(ctx, account); err != nil {
		return nil, err
	}
	e, err := a.create(ctx, account, in.Body, false)
	if err != nil {
		return nil, err
	}
	return a.shown(e, nil, true), nil
}

// maxEndpoints is how many endpoints an account may have, unless its quota is
// less: each is a delivery, or a declined one, for every end of a run.
const maxEndpoints = 100

func (a *API) checkRoom(ctx context.Context, account webhook.Account) error {
	list, err := a.Store.Endpoints(ctx, account.ID)
	if err != nil || len(list) < min(maxEndpoints, firstPositive(account.Quotas.Endpoints, maxEndpoints)) {
		return err
	}
	return conflict("too-many-endpoints", "The account has as many endpoints as it may.").
		field("account", fmt.Sprintf("it has %d endpoints", len(list)), "delete one that is no longer used")
}

// create makes an endpoint of a URL that was checked.
func (a *API) create(ctx context.Context, account webhook.Account, in endpointInput, isDefault bool) (webhook.Endpoint, error) {
	if err := checkTypes(in.Types); err != nil {
		return webhook.Endpoint{}, err
	}
	policy, err := in.Policy.check()
	if err != nil {
		return webhook.Endpoint{}, err
	}
	secrets, err := secretsFor(in.Signing, in.Secret)
	if err != nil {
		return webhook.Endpoint{}, err
	}
	headers, err := checkHeaders(in.Headers)
	if err != nil {
		return webhook.Endpoint{}, err
	}
	now := later(a.Now(), time.Time{})
	e := webhook.Endpoint{
		ID: "ep_" + randomText(keyIDChars), Account: account.ID, URL: in.URL, Format: in.Format, Default: isDefault,
		Types: in.Types, Policy: policy, Headers: headers, Secrets: secrets, Status: webhook.EndpointEnabled, CreatedAt: now, UpdatedAt: now,
	}
	if err := checkTold(e); err != nil {
		return webhook.Endpoint{}, err
	}
	if in.Status != "" {
		e.Status, e.StatusReason = in.Status, statusReason(in.Status, in.StatusReason)
	}
	e = within(e, account.Quotas)
	return e, a.Store.PutEndpoint(ctx, e)
}

// checkTypes refuses a type that is named twice. It is not said in the schema:
// huma's check of it panics over an item that is a list or an object.
func checkTypes(types []webhook.EventType) error {
	for i, t := range types {
		if slices.Contains(types[:i], t) {
			return invalid(fmt.Sprintf("types[%d]", i), "it is there already", "name each type once")
		}
	}
	return nil
}

// checkTold refuses types that the endpoint's format never sends: the formats of
// the four systems have no words for endpoints.
func checkTold(e webhook.Endpoint) error {
	if e.Format == format.Standard || e.Format == format.Auto {
		return nil
	}
	for i, t := range e.Types {
		if t.OfEndpoint() {
			return invalid(fmt.Sprintf("types[%d]", i), "the "+e.Format+" format does not send "+string(t), "leave it out, or use the format standard or auto")
		}
	}
	return nil
}

func statusReason(s webhook.EndpointStatus, given string) string {
	switch {
	case s == webhook.EndpointEnabled:
		return ""
	case given == "":
		return string(s) + " by its owner"
	}
	return given
}

func (a *API) getEndpoint(ctx context.Context, in *readEndpointInput) (*readEndpoint, error) {
	account, err := accountFor(ctx, in.Account)
	if err != nil {
		return nil, err
	}
	e, err := a.Store.Endpoint(ctx, account, in.ID)
	if err != nil {
		return nil, err
	}
	one, err := a.show(ctx, e, false)
	if err != nil {
		return nil, err
	}
	status := http.StatusOK
	if unchanged(in.IfNoneMatch, one.ETag) {
		status = http.StatusNotModified
	}
	return &readEndpoint{Status: status, ETag: one.ETag, Body: one.Body}, nil
}

func (a *API) listEndpoints(ctx context.Context, in *AccountQuery) (*result[page[endpointView]], error) {
	account, err := accountFor(ctx, in.Account)
	if err != nil {
		return nil, err
	}
	endpoints, err := a.Store.Endpoints(ctx, account)
	if err != nil {
		return nil, err
	}
	health, err := a.Store.Health(ctx, account)
	if err != nil {
		return nil, err
	}
	return pageOf(endpoints, func(e webhook.Endpoint) endpointView { return a.viewEndpoint(e, health) }, ""), nil
}

// deleteEndpoint deletes an endpoint. On a condition it is written first, so
// that whoever else has one on the same state meets a newer.
func (a *API) deleteEndpoint(ctx context.Context, in *deleteEndpointInput) (*struct{}, error) {
	account, err := accountFor(ctx, in.Account)
	if err != nil {
		return nil, err
	}
	if in.IfMatch != "" {
		as := func(e webhook.Endpoint) (webhook.Endpoint, error) { return e, nil }
		if _, err := a.update(ctx, webhook.Ref{Account: account, ID: in.ID}, in.Condition, as); err != nil {
			return nil, err
		}
	}
	return nil, a.Store.DeleteEndpoint(ctx, account, in.ID)
}

// show is the answer that shows an endpoint, with its secret if that is new.
func (a *API) show(ctx context.Context, e webhook.Endpoint, secret bool) (*shownEndpoint, error) {
	health, err := a.Store.Health(ctx, e.Account)
	if err != nil {
		return nil, err
	}
	return a.shown(e, health, secret), nil
}

func (a *API) shown(e webhook.Endpoint, health []webhook.Health, secret bool) *shownEndpoint {
	s := &shownEndpoint{Body: a.viewEndpoint(e, health)}
	s.ETag = etagOf(e, s.Body)
	if secret {
		s.Body = s.Body.withSecret(e.Secrets)
	}
	return s
}

// viewEndpoint shows an endpoint without its secret.
func (a *API) viewEndpoint(e webhook.Endpoint, health []webhook.Health) endpointView {
	v := endpointView{
		ID: e.ID, Account: e.Account, URL: e.URL, Format: e.Format, Default: e.Default, Types: e.Types,
		Policy: policyBody(e.Policy), Headers: masked(e.Headers), Status: e.Status, StatusReason: e.StatusReason, Signing: signingOf(e.Secrets),
		Health:    a.viewHealth(e, health),
		CreatedAt: stamp(e.CreatedAt), UpdatedAt: stamp(e.UpdatedAt),
	}
	if v.Types == nil {
		v.Types = []webhook.EventType{}
	}
	if len(e.Secrets) > 0 {
		v.PublicKey = e.Secrets[0].Public()
	}
	if len(e.Secrets) > 1 {
		v.OldUntil = stamp(e.OldUntil)
	}
	return v
}
