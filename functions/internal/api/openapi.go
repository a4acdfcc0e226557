package api

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// operation is one route and how the document describes it.
type operation struct {
	id, method, path string
	summary, details string
	tag              string
	status           int // of success
	maxBody          int64
	rawBody          *huma.Schema // the body is read as it is, and described so
	rawAnswer        *huma.Schema // the answer is written as it is, and described so
	alsoStatus       int          // another status of success, of a raw answer or without one
	streams          bool         // the body is read as it comes, so that no Idempotency-Key is taken
	anew             bool         // a repeat is done anew, so that no Idempotency-Key is taken
}

// result is an answer with a JSON body.
type result[T any] struct{ Body T }

// page is a list and where it goes on.
type page[T any] struct {
	Items []T    `json:"items" nullable:"false"`
	Next  string `json:"next,omitempty" doc:"Give it as ?after= to read on; absent on the last page."`
}

func pageOf[T, V any](list []T, view func(T) V, next string) *result[page[V]] {
	p := page[V]{Items: make([]V, 0, len(list)), Next: next}
	for _, one := range list {
		p.Items = append(p.Items, view(one))
	}
	return &result[page[V]]{Body: p}
}

// Paging is how every list is asked for its pages. Its maximum is
// webhook.MaxPage. It is exported, as all that is embedded, for huma to see it.
type Paging struct {
	Limit int    `query:"limit" minimum:"1" maximum:"250" default:"50"`
	After string `query:"after" maxLength:"1024" doc:"The next of the page before."`
}

// stamp writes a time for people and programs; "" for none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(stampLayout)
}

const stampLayout = "2006-01-02T15:04:05.000Z"

// scopes lists who may call a route; an operator always may.
func scopes(more ...webhook.Scope) []webhook.Scope {
	return append([]webhook.Scope{webhook.ScopeOperator}, more...)
}

// register adds a route for the holders of keys of the given scopes; nil for
// everybody, without a key. What f returns as an error becomes a Problem.
func register[I, O any](a *API, o operation, scopes []webhook.Scope, f func(context.Context, *I) (*O, error)) {
	op := huma.Operation{
		OperationID: o.id, Method: o.method, Path: o.path, Summary: o.summary, Description: o.details,
		Tags: []string{o.tag}, DefaultStatus: o.status, MaxBodyBytes: o.maxBody,
		SkipValidateBody: o.rawBody != nil, Responses: o.responses(),
		Middlewares: huma.Middlewares{a.require(scopes)},
	}
	if scopes != nil {
		op.Security = []map[string][]string{{"key": {}}}
	}
	if o.takesOnce(scopes) {
		op.Parameters = append(op.Parameters, onceParameter())
		op.Middlewares = append(op.Middlewares, a.once)
	}
	if o.rawBody != nil {
		op.RequestBody = &huma.RequestBody{}
	}
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := f(ctx, in)
		if err != nil {
			return nil, a.problemOf(ctx, err)
		}
		return out, nil
	})
	if o.rawBody != nil { // huma would have it a string
		op.RequestBody.Content[contentJSON].Schema = o.rawBody
	}
	schema := a.huma.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Problem](), true, "Problem")
	op.Responses["default"] = &huma.Response{Description: "Refused; see the problem's type and errors",
		Content: map[string]*huma.MediaType{contentProblem: {Schema: schema}}}
}

func (o operation) responses() map[string]*huma.Response {
	all := map[string]*huma.Response{}
	for _, status := range []int{o.status, o.alsoStatus} {
		r := &huma.Response{Description: http.StatusText(status)}
		if o.rawAnswer != nil {
			r.Content = map[string]*huma.MediaType{contentJSON: {Schema: o.rawAnswer}}
		}
		if o.rawAnswer != nil && status != 0 || status == http.StatusNotModified {
			all[strconv.Itoa(status)] = r
		}
	}
	return all
}

func openAPIConfig(version string) huma.Config {
	c := huma.DefaultConfig("Jobhook", version)
	c.OpenAPIPath, c.DocsPath, c.SchemasPath = "", "", "" // served by us; the docs page loads scripts from elsewhere
	c.CreateHooks = nil                                   // no $schema links in answers
	c.RejectUnknownQueryParameters = true                 // a misspelt filter would match everything
	c.Info.Description = about
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"key": {Type: "http", Scheme: "bearer", Description: "An API key: jh_live_<id>_<secret>"},
	}
	schemas := c.Components.Schemas.Map()
	schemas["JobRecord"], schemas["Job"], schemas["JobPatch"] = recordSchema(), jobSchema(), patchSchema()
	schemas["Jobs"] = &huma.Schema{Type: "object", Required: []string{"items"}, Properties: map[string]*huma.Schema{
		"items": {Type: "array", Items: ref("Job")}, "next": {Type: "string"},
	}}
	return c
}

// about is what holds for all routes.
const about = `Tells the customers of a job platform, by webhook, what became of their jobs.

A key has a scope: an account's key reaches that account only, a platform's all accounts, an operator's also the platforms' keys. What belongs to another account is 404, as is what does not exist.

Refusals are problems (RFC 9457) with stable types; /problems lists them. Lists come in pages: give the next of a page as ?after= until there is none; a page may be short, even empty, and still have a next.

A POST with an Idempotency-Key happens once in 24 hours, however often it is sent; repeats get the first answer, with Idempotency-Replayed: true. Answers of 409, 429 and 5xx are not kept: a repeat tries again. Every POST takes one but the uploads of records and inputs, portal-sessions, which a link makes once anyhow, and sessions, whose keys are kept nowhere.

Where a key has a rate, answers tell in RateLimit-Policy and RateLimit what it is and what is left; beyond it they are 429 with Retry-After.

Endpoints have an ETag: GET takes it as If-None-Match; PATCH, DELETE and the verbs take it as If-Match, and are 412 if somebody was faster.`

// addHealth serves and describes the one route that huma has no part in.
func (a *API) addHealth() {
	a.mux.HandleFunc("GET /healthz", healthy)
	a.huma.OpenAPI().AddOperation(&huma.Operation{OperationID: "health", Method: http.MethodGet, Path: "/healthz", Summary: "Tell whether the API is up",
		Tags: []string{"Health"}, Responses: map[string]*huma.Response{"200": {Description: "It is"}}})
}

func document(o *huma.OpenAPI) []byte {
	b, err := json.Marshal(o)
	if err != nil {
		panic(err) // the document depends on nothing but this package
	}
	return b
}

func ref(name string) *huma.Schema { return &huma.Schema{Ref: "#/components/schemas/" + name} }

// recordSchema describes a job record: the attributes that every kind has, and
// the status words of each. All others are the platform's own.
func recordSchema() *huma.Schema {
	s := &huma.Schema{Type: "object", Description: "A job record in the words of its kind. " +
		"All other attributes are kept as they are written, numbers digit for digit."}
	for _, k := range job.Kinds() {
		var words []any
		for _, w := range job.Statuses(k) {
			words = append(words, string(w))
		}
		s.OneOf = append(s.OneOf, &huma.Schema{
			Type: "object", Title: string(k), Required: []string{"kind", "account"}, AdditionalProperties: true,
			Properties: map[string]*huma.Schema{
				"account":    {Type: "string", Description: "Whose job it is.", MaxLength: new(job.MaxIDBytes)},
				"kind":       {Type: "string", Enum: []any{string(k)}},
				"id":         {Description: "May be left out; else it is the id in the path."},
				"status":     {Type: "string", Enum: words, Description: statusNote(k)},
				"run":        {Type: "integer", Minimum: new(float64), Description: "1, 2, 3. Left out, it stays; a new job begins with 1, an idle batch with 0."},
				"created_at": {Type: "string", Format: "date-time", Description: "Set at the first write; it never changes."},
			},
		})
	}
	return s
}

func statusNote(k job.Kind) string {
	if k == job.KindScraping {
		return "Left out, it follows from jobs_scheduled, jobs_executed, jobs_failed and jobs_empty."
	}
	return ""
}

func jobSchema() *huma.Schema {
	text := func(what string) *huma.Schema { return &huma.Schema{Type: "string", Description: what} }
	return &huma.Schema{
		Type: "object", Description: "A job record and what its status means.", AdditionalProperties: true,
		Required: []string{"account", "kind", "id", "status", "run", "created_at", "updated_at", "phase"},
		Properties: map[string]*huma.Schema{
			"account": text(""), "kind": text(""), "id": text(""), "status": text(""), "run": {Type: "integer"},
			"created_at": {Type: "string", Format: "date-time"}, "updated_at": {Type: "string", Format: "date-time"},
			"phase":   {Type: "string", Enum: []any{"waiting", "running", "ended"}},
			"outcome": {Type: "string", Enum: []any{"succeeded", "failed", "stopped"}, Description: "Only of an ended run."},
		},
	}
}

func patchSchema() *huma.Schema {
	return &huma.Schema{Type: "object", AdditionalProperties: true, Description: "A merge patch (RFC 7386) of the record: what is named is replaced, null removes. " +
		"account, kind, id and created_at cannot be changed. A scraping job's status null follows from its counts."}
}
