package api

import (
	"context"
	"errors"

	"github.com/jobhook/jobhook/shared/format"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// DefaultHook is what an account says of its default endpoint. It is exported,
// as all that is embedded, for huma to see it.
type DefaultHook struct {
	WebhookURL    *string `json:"webhook_url,omitempty" doc:"The account's default URL, used where a job names none of its own; empty removes it. While the default endpoint has headers of its own, another scheme, host or port is refused: PATCH that endpoint with url and headers."`
	WebhookFormat *string `json:"webhook_format,omitempty" enum:"serpwow,webscraper,hkube,socialdata,standard,auto" doc:"auto, the default, is the format of each job's own kind."`
	Signing       *string `json:"signing,omitempty" enum:"hmac,ed25519,none" doc:"hmac when the URL is first set."`
}

type accountInput struct {
	Name *string `json:"name,omitempty" maxLength:"200" doc:"For people."`
	DefaultHook
	Quotas *quotasBody `json:"quotas,omitempty" doc:"Replaces all quotas of the account. A change takes up to a minute to be felt everywhere."`
}

// quotasBody bounds what an account may use.
type quotasBody struct {
	Endpoints       int  `json:"endpoints,omitempty" minimum:"0" maximum:"100" doc:"How many it may have; 0: 100."`
	RequestRate     int  `json:"request_rate,omitempty" minimum:"0" maximum:"10000" doc:"Requests to the API a second, of all its keys together but not of sessions; 0: as the host has it."`
	EventsPerMinute int  `json:"events_per_minute,omitempty" minimum:"0" maximum:"10000000" doc:"Those beyond are declined; 0: no limit."`
	RetentionDays   int  `json:"retention_days,omitempty" minimum:"0" maximum:"3650" doc:"How long its deliveries are kept; 0: as the host has it."`
	Retries         *int `json:"retries,omitempty" minimum:"0" maximum:"20" doc:"At most so many after the first attempt. Longer retry_seconds of its endpoints, also those of their formats, are cut for good."`
}

type accountView struct {
	ID              string        `json:"id"`
	Name            string        `json:"name,omitempty"`
	DefaultEndpoint *endpointView `json:"default_endpoint,omitempty"`
	Quotas          quotasBody    `json:"quotas" doc:"What is absent is what the host allows everybody."`
	CreatedAt       string        `json:"created_at" format:"date-time"`
	UpdatedAt       string        `json:"updated_at" format:"date-time"`
}

// accountBrief is an account in a list.
type accountBrief struct {
	ID        string `json:"id"`
	Name      string `json:"name,omitempty"`
	CreatedAt string `json:"created_at" format:"date-time"`
	UpdatedAt string `json:"updated_at" format:"date-time"`
}

type (
	putAccountInput struct {
		Account string `path:"account" doc:"The platform's own id of the customer."`
		Body    accountInput
	}
	patchAccountInput struct {
		Account string `path:"account"`
		Body    DefaultHook
	}
	accountPath struct {
		Account string `path:"account"`
	}
)

func (a *API) addAccounts() {
	everybody := scopes(webhook.ScopePlatform, webhook.ScopeAccount)
	register(a, operation{id: "put-account", method: "PUT", path: "/v1/accounts/{account}", tag: "Accounts",
		summary: "Write an account and its default URL", details: "What is left out stays as it is.", status: 200},
		scopes(webhook.ScopePlatform), a.putAccount)
	register(a, operation{id: "get-account", method: "GET", path: "/v1/accounts/{account}", tag: "Accounts",
		summary: "Read an account", status: 200}, everybody, a.getAccount)
	register(a, operation{id: "patch-account", method: "PATCH", path: "/v1/accounts/{account}", tag: "Accounts",
		summary: "Set the default URL of an account", details: "As PUT does, for the account's own keys too. What is left out stays as it is.", status: 200},
		everybody, a.patchAccount)
	register(a, operation{id: "list-accounts", method: "GET", path: "/v1/accounts", tag: "Accounts",
		summary: "List the accounts in the order of their ids", details: "A page may be short, or empty, and still have a next.", status: 200}, scopes(webhook.ScopePlatform), a.listAccounts)
}

func (a *API) putAccount(ctx context.Context, in *putAccountInput) (*result[accountView], error) {
	if err := a.checkAccount(in); err != nil {
		return nil, err
	}
	a.account.Lock()
	defer a.account.Unlock()
	account, err := a.Store.Account(ctx, in.Account)
	if errors.Is(err, webhook.ErrNotFound) {
		account, err = webhook.Account{ID: in.Account, CreatedAt: a.Now().UTC()}, nil
	}
	if err != nil {
		return nil, err
	}
	account.Name = valueOr(in.Body.Name, account.Name)
	if in.Body.Quotas != nil {
		account.Quotas = webhook.Quotas(*in.Body.Quotas)
	}
	current, err := a.checkDefault(ctx, account, in.Body.DefaultHook)
	if err != nil {
		return nil, err
	}
	account.UpdatedAt = a.Now().UTC()
	if err := a.Store.PutAccount(ctx, account); err != nil {
		return nil, err
	}
	if err := a.cutRetries(ctx, account, in.Body.Quotas); err != nil {
		return nil, err
	}
	endpoint, err := a.setDefault(ctx, account, current, in.Body.DefaultHook)
	if err != nil {
		return nil, err
	}
	return &result[accountView]{Body: viewAccount(account, endpoint)}, nil
}

// patchAccount writes the default endpoint alone: the account's row is the
// platform's, which may be writing it at this moment.
func (a *API) patchAccount(ctx context.Context, in *patchAccountInput) (*result[accountView], error) {
	id, err := accountFor(ctx, in.Account)
	if err != nil {
		return nil, err
	}
	if err := a.checkHook("webhook_url", valueOr(in.Body.WebhookURL, "")); err != nil {
		return nil, err
	}
	a.account.Lock()
	defer a.account.Unlock()
	account, err := a.Store.Account(ctx, id)
	if err != nil {
		return nil, err
	}
	current, err := a.checkDefault(ctx, account, in.Body)
	if err != nil {
		return nil, err
	}
	endpoint, err := a.setDefault(ctx, account, current, in.Body)
	if err != nil {
		return nil, err
	}
	return &result[accountView]{Body: viewAccount(account, endpoint)}, nil
}

func (a *API) checkAccount(in *putAccountInput) error {
	if in.Account == job.UnknownAccount {
		return invalid("account", "this id is reserved", "choose another id")
	}
	if err := job.CheckID("account", in.Account); err != nil {
		return err
	}
	return a.checkHook("webhook_url", valueOr(in.Body.WebhookURL, ""))
}

// checkDefault returns the default endpoint as it is, nil when there is none, if
// it may become what is asked for.
func (a *API) checkDefault(ctx context.Context, account webhook.Account, in DefaultHook) (*webhook.Endpoint, error) {
	current, err := a.defaultEndpoint(ctx, account.ID)
	if err != nil {
		return nil, err
	}
	if err := in.needsURL(current != nil); err != nil {
		return nil, err
	}
	if err := in.checkMove(current); err != nil {
		return nil, err
	}
	if current == nil && valueOr(in.WebhookURL, "") != "" {
		return nil, a.checkRoom(ctx, account)
	}
	return current, nil
}

// needsURL refuses settings of a default endpoint that there is not.
func (in DefaultHook) needsURL(exists bool) error {
	if in.WebhookURL != nil && *in.WebhookURL != "" || exists && in.WebhookURL == nil {
		return nil
	}
	cure := "set webhook_url in the same request"
	if in.WebhookFormat != nil {
		return invalid("webhook_format", "the account has no URL", cure)
	}
	if in.Signing != nil {
		return invalid("signing", "the account has no URL", cure)
	}
	return nil
}

// checkMove refuses another server for a default endpoint with headers of its
// own, as endpointPatch.checkMove does: an account is written without headers.
func (in DefaultHook) checkMove(current *webhook.Endpoint) error {
	if current == nil || in.WebhookURL == nil || *in.WebhookURL == "" || (endpointPatch{URL: in.WebhookURL}).checkMove(*current) == nil {
		return nil
	}
	return invalid("webhook_url", "the headers of the default endpoint were written for another server",
		"PATCH /v1/endpoints/"+current.ID+" with this url and the headers, written again or {}")
}

// setDefault makes, changes or removes the account's default endpoint, and
// returns how it is shown: nil when there is none.
func (a *API) setDefault(ctx context.Context, account webhook.Account, current *webhook.Endpoint, in DefaultHook) (*endpointView, error) {
	switch {
	case current == nil && (in.WebhookURL == nil || *in.WebhookURL == ""):
		return nil, nil
	case current == nil:
		create := endpointInput{URL: *in.WebhookURL, Format: valueOr(in.WebhookFormat, format.Auto), Signing: valueOr(in.Signing, "")}
		e, err := a.create(ctx, account, create, true)
		if err != nil {
			return nil, err
		}
		return &a.shown(e, nil, true).Body, nil
	case in.WebhookURL != nil && *in.WebhookURL == "":
		return nil, a.Store.DeleteEndpoint(ctx, account.ID, current.ID)
	}
	patch := endpointPatch{URL: in.WebhookURL, Format: in.WebhookFormat, Signing: in.Signing}
	if in.WebhookURL != nil && *in.WebhookURL != current.URL && current.Status == webhook.EndpointDisabled {
		patch.Status = new(webhook.EndpointEnabled) // it was given up on another URL
	}
	e, resigned, err := a.change(ctx, webhook.Ref{Account: account.ID, ID: current.ID}, Condition{}, patch)
	if err != nil {
		return nil, err
	}
	one, err := a.show(ctx, e, resigned)
	if err != nil {
		return nil, err
	}
	return &one.Body, nil
}

func (a *API) defaultEndpoint(ctx context.Context, account string) (*webhook.Endpoint, error) {
	endpoints, err := a.Store.Endpoints(ctx, account)
	if err != nil {
		return nil, err
	}
	for _, e := range endpoints {
		if e.Default {
			return &e, nil
		}
	}
	return nil, nil
}

func (a *API) getAccount(ctx context.Context, in *accountPath) (*result[accountView], error) {
	id, err := accountFor(ctx, in.Account)
	if err != nil {
		return nil, err
	}
	account, err := a.Store.Account(ctx, id)
	if err != nil {
		return nil, err
	}
	current, err := a.defaultEndpoint(ctx, id)
	if err != nil || current == nil {
		return &result[accountView]{Body: viewAccount(account, nil)}, err
	}
	one, err := a.show(ctx, *current, false)
	if err != nil {
		return nil, err
	}
	return &result[accountView]{Body: viewAccount(account, &one.Body)}, nil
}

// listAccounts goes on after an id, whether there is an account of that id or not.
func (a *API) listAccounts(ctx context.Context, in *Paging) (*result[page[accountBrief]], error) {
	if in.After != "" && job.CheckID("account", in.After) != nil {
		return nil, webhook.ErrCursor
	}
	list, next, err := a.Store.Accounts(ctx, in.After, in.Limit)
	if err != nil {
		return nil, err
	}
	return pageOf(list, briefAccount, next), nil
}

func briefAccount(a webhook.Account) accountBrief {
	return accountBrief{ID: a.ID, Name: a.Name, CreatedAt: stamp(a.CreatedAt), UpdatedAt: stamp(a.UpdatedAt)}
}

func viewAccount(a webhook.Account, e *endpointView) accountView {
	return accountView{ID: a.ID, Name: a.Name, DefaultEndpoint: e, Quotas: quotasBody(a.Quotas), CreatedAt: stamp(a.CreatedAt), UpdatedAt: stamp(a.UpdatedAt)}
}

func valueOr[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}
