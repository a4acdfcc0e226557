package api

import (
	"context"
	"fmt"
	"strings"

	"github.com/jobhook/jobhook/shared/webhook"
)

// The ways to sign.
const (
	signHMAC    = "hmac"
	signEd25519 = "ed25519"
	signNone    = "none"
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
	Types        []webhook.EventType    `json:"types,omitempty" maxItems:"5" uniqueItems:"true" enum:"job.progress,job.finished,job.failed,job.stopped,result_set.ready" doc:"Empty: all but job.progress."`
	Policy       *policyBody            `json:"policy,omitempty"`
	Status       webhook.EndpointStatus `json:"status,omitempty" enum:"enabled,paused,disabled" default:"enabled"`
	StatusReason string                 `json:"status_reason,omitempty" maxLength:"200" doc:"Why it is paused or disabled, for people."`
	Signing      string                 `json:"signing,omitempty" enum:"hmac,ed25519,none" doc:"hmac by default."`
	Secret       string                 `json:"secret,omitempty" doc:"A secret of your own, whsec_ and 24 to 64 bytes in base64, for hmac."`
}

type endpointPatch struct {
	URL          *string                 `json:"url,omitempty"`
	Format       *string                 `json:"format,omitempty" enum:"serpwow,webscraper,hkube,socialdata,standard,auto"`
	Types        []webhook.EventType     `json:"types,omitempty" maxItems:"5" uniqueItems:"true" enum:"job.progress,job.finished,job.failed,job.stopped,result_set.ready"`
	Policy       *policyBody             `json:"policy,omitempty" doc:"Replaces the whole policy of the endpoint."`
	Status       *webhook.EndpointStatus `json:"status,omitempty" enum:"enabled,paused,disabled"`
	StatusReason string                  `json:"status_reason,omitempty" maxLength:"200"`
	Signing      *string                 `json:"signing,omitempty" enum:"hmac,ed25519,none" doc:"Another way to sign takes the place of the present one at once."`
	Secret       *string                 `json:"secret,omitempty" doc:"Takes the place of the present secret at once."`
}

type endpointView struct {
	ID           string                 `json:"id"`
	Account      string                 `json:"account"`
	URL          string                 `json:"url"`
	Format       string                 `json:"format"`
	Default      bool                   `json:"default" doc:"The account's default URL."`
	Types        []webhook.EventType    `json:"types" nullable:"false"`
	Policy       policyBody             `json:"policy"`
	Status       webhook.EndpointStatus `json:"status"`
	StatusReason string                 `json:"status_reason,omitempty"`
	Signing      string                 `json:"signing"`
	Secret       string                 `json:"secret,omitempty" doc:"Shown once: when it is made."`
	PublicKey    string                 `json:"public_key,omitempty" doc:"What receivers verify ed25519 signatures with."`
	Health       healthView             `json:"health"`
	CreatedAt    string                 `json:"created_at" format:"date-time"`
	UpdatedAt    string                 `json:"updated_at" format:"date-time"`
}

type healthView struct {
	State  webhook.HealthState `json:"state" enum:"healthy,failing"`
	Since  string              `json:"since,omitempty" format:"date-time"`
	Reason string              `json:"reason,omitempty"`
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
	patchEndpointInput struct {
		ObjectPath
		Body endpointPatch
	}
)

func (a *API) addEndpoints() {
	everybody := scopes(webhook.ScopePlatform, webhook.ScopeAccount)
	tag := func(id, method, path, summary string, status int) operation {
		return operation{id: id, method: method, path: path, summary: summary, status: status, tag: "Endpoints"}
	}
	register(a, tag("create-endpoint", "POST", "/v1/endpoints", "Make an endpoint", 201), everybody, a.createEndpoint)
	register(a, tag("list-endpoints", "GET", "/v1/endpoints", "List the endpoints of an account", 200), everybody, a.listEndpoints)
	register(a, tag("get-endpoint", "GET", "/v1/endpoints/{id}", "Read an endpoint", 200), everybody, a.getEndpoint)
	register(a, tag("patch-endpoint", "PATCH", "/v1/endpoints/{id}", "Change an endpoint", 200), everybody, a.patchEndpoint)
	register(a, tag("delete-endpoint", "DELETE", "/v1/endpoints/{id}", "Delete an endpoint", 204), everybody, a.deleteEndpoint)
}

func (a *API) createEndpoint(ctx context.Context, in *createEndpointInput) (*result[endpointView], error) {
	account, err := accountFor(ctx, in.Account)
	if err != nil {
		return nil, err
	}
	if _, err := a.Store.Account(ctx, account); err != nil {
		return nil, err
	}
	if err := a.checkURL("url", in.Body.URL); err != nil {
		return nil, err
	}
	if err := a.checkRoom(ctx, account); err != nil {
		return nil, err
	}
	view, err := a.create(ctx, account, in.Body, false)
	if err != nil {
		return nil, err
	}
	return &result[endpointView]{Body: *view}, nil
}

// maxEndpoints is how many endpoints an account may have: each is a delivery,
// or a declined one, for every end of a run.
const maxEndpoints = 100

func (a *API) checkRoom(ctx context.Context, account string) error {
	list, err := a.Store.Endpoints(ctx, account)
	if err != nil || len(list) < maxEndpoints {
		return err
	}
	return conflict("too-many-endpoints", "The account has as many endpoints as it may.").
		field("account", fmt.Sprintf("it has %d endpoints", len(list)), "delete one that is no longer used")
}

// create makes an endpoint of a URL that was checked.
func (a *API) create(ctx context.Context, account string, in endpointInput, isDefault bool) (*endpointView, error) {
	policy, err := in.Policy.check()
	if err != nil {
		return nil, err
	}
	secrets, err := secretsFor(in.Signing, in.Secret)
	if err != nil {
		return nil, err
	}
	now := a.Now().UTC()
	e := webhook.Endpoint{
		ID: "ep_" + randomText(keyIDChars), Account: account, URL: in.URL, Format: in.Format, Default: isDefault,
		Types: in.Types, Policy: policy, Secrets: secrets, Status: webhook.EndpointEnabled, CreatedAt: now, UpdatedAt: now,
	}
	if in.Status != "" {
		e.Status, e.StatusReason = in.Status, statusReason(in.Status, in.StatusReason)
	}
	if err := a.Store.PutEndpoint(ctx, e); err != nil {
		return nil, err
	}
	view := viewEndpoint(e, nil).withSecret(e.Secrets)
	return &view, nil
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

func (a *API) patchEndpoint(ctx context.Context, in *patchEndpointInput) (*result[endpointView], error) {
	account, err := accountFor(ctx, in.Account)
	if err != nil {
		return nil, err
	}
	view, err := a.change(ctx, account, in.ID, in.Body)
	if err != nil {
		return nil, err
	}
	return &result[endpointView]{Body: *view}, nil
}

func (a *API) change(ctx context.Context, account, id string, in endpointPatch) (*endpointView, error) {
	if in.URL != nil {
		if err := a.checkURL("url", *in.URL); err != nil {
			return nil, err
		}
	}
	policy, err := in.Policy.check()
	if err != nil {
		return nil, err
	}
	fresh, err := secretsFor(valueOr(in.Signing, ""), valueOr(in.Secret, ""))
	if err != nil {
		return nil, err
	}
	now, resign := a.Now().UTC(), false
	e, err := a.Store.UpdateEndpoint(ctx, account, id, func(e webhook.Endpoint) (webhook.Endpoint, error) {
		e = in.applied(e)
		if in.Policy != nil {
			e.Policy = policy
		}
		if resign = in.Secret != nil || in.Signing != nil && *in.Signing != signingOf(e.Secrets); resign {
			e.Secrets = fresh
		}
		e.UpdatedAt = now
		return e, nil
	})
	if err != nil {
		return nil, err
	}
	view, err := a.view(ctx, e)
	if err == nil && resign {
		view = view.withSecret(e.Secrets)
	}
	return &view, err
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

func (a *API) getEndpoint(ctx context.Context, in *ObjectPath) (*result[endpointView], error) {
	account, err := accountFor(ctx, in.Account)
	if err != nil {
		return nil, err
	}
	e, err := a.Store.Endpoint(ctx, account, in.ID)
	if err != nil {
		return nil, err
	}
	view, err := a.view(ctx, e)
	return &result[endpointView]{Body: view}, err
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
	return pageOf(endpoints, func(e webhook.Endpoint) endpointView { return viewEndpoint(e, health) }, ""), nil
}

func (a *API) deleteEndpoint(ctx context.Context, in *ObjectPath) (*struct{}, error) {
	account, err := accountFor(ctx, in.Account)
	if err != nil {
		return nil, err
	}
	return nil, a.Store.DeleteEndpoint(ctx, account, in.ID)
}

func (a *API) view(ctx context.Context, e webhook.Endpoint) (endpointView, error) {
	health, err := a.Store.Health(ctx, e.Account)
	return viewEndpoint(e, health), err
}

// viewEndpoint shows an endpoint without its secret. One whose health was
// never written is healthy.
func viewEndpoint(e webhook.Endpoint, health []webhook.Health) endpointView {
	v := endpointView{
		ID: e.ID, Account: e.Account, URL: e.URL, Format: e.Format, Default: e.Default, Types: e.Types,
		Policy: policyBody(e.Policy), Status: e.Status, StatusReason: e.StatusReason, Signing: signingOf(e.Secrets),
		Health:    healthView{State: webhook.Healthy},
		CreatedAt: stamp(e.CreatedAt), UpdatedAt: stamp(e.UpdatedAt),
	}
	if v.Types == nil {
		v.Types = []webhook.EventType{}
	}
	if len(e.Secrets) > 0 {
		v.PublicKey = e.Secrets[0].Public()
	}
	for _, h := range health {
		if h.Endpoint == e.ID {
			v.Health = healthView{State: h.State, Since: stamp(h.Since), Reason: h.Reason}
		}
	}
	return v
}

// withSecret shows the newest secret, but never a private key: its receiver
// needs the public one.
func (v endpointView) withSecret(secrets []webhook.Secret) endpointView {
	if v.Signing == signHMAC {
		v.Secret = string(secrets[0])
	}
	return v
}

func signingOf(secrets []webhook.Secret) string {
	switch {
	case len(secrets) == 0:
		return signNone
	case secrets[0].Public() != "":
		return signEd25519
	}
	return signHMAC
}

// secretsFor makes what to sign with, or takes the caller's own.
func secretsFor(signing, own string) ([]webhook.Secret, error) {
	if own != "" {
		return ownSecret(signing, own)
	}
	switch signing {
	case signNone:
		return nil, nil
	case signEd25519:
		secret, _ := webhook.NewKeyPair()
		return []webhook.Secret{secret}, nil
	}
	return []webhook.Secret{webhook.NewSecret()}, nil
}

func ownSecret(signing, own string) ([]webhook.Secret, error) {
	if signing != "" && signing != signHMAC {
		return nil, invalid("secret", "it goes with hmac, not with "+signing, "leave out either of the two")
	}
	if !strings.HasPrefix(own, webhook.PrefixHMAC) || webhook.Secret(own).Check() != nil {
		return nil, invalid("secret", "it is no secret to sign with", "write whsec_ and 24 to 64 bytes in base64, or leave it out to get one")
	}
	return []webhook.Secret{webhook.Secret(own)}, nil
}
