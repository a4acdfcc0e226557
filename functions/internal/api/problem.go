package api

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

const (
	contentJSON    = "application/json"
	contentProblem = "application/problem+json"
)

// Problem is the body of every error (RFC 9457).
type Problem struct {
	Type      string         `json:"type" format:"uri-reference" doc:"Stable; compare it rather than the texts." example:"/problems/invalid"`
	Title     string         `json:"title" example:"Unprocessable Entity"`
	Status    int            `json:"status" example:"422"`
	Detail    string         `json:"detail,omitempty" doc:"What happened this time."`
	RequestID string         `json:"request_id,omitempty" doc:"Names the request in the server's log, for status 500."`
	Errors    []FieldProblem `json:"errors,omitempty" nullable:"false" doc:"What is wrong with the request, field by field."`

	header http.Header // of the answer, such as Retry-After
}

// FieldProblem says what is wrong with one field and what to write instead.
type FieldProblem struct {
	Field   string `json:"field" doc:"Path in the body, or the name of a parameter; empty for the body as a whole."`
	Problem string `json:"problem"`
	Cure    string `json:"cure"`
}

// Error makes a Problem an error that handlers return.
func (p *Problem) Error() string { return p.Type + ": " + p.Detail }

// GetStatus is the status code that huma answers with.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType is the content type that huma answers with.
func (p *Problem) ContentType(string) string { return contentProblem }

// GetHeaders are the headers that huma answers with.
func (p *Problem) GetHeaders() http.Header { return p.header }

func (p *Problem) write(w http.ResponseWriter) {
	maps.Copy(w.Header(), p.header)
	w.Header().Set("Content-Type", contentProblem)
	w.WriteHeader(p.Status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.Encode(p) // the client is gone if this fails
}

// as gives the problem a type of its own.
func (p *Problem) as(code string) *Problem {
	p.Type = "/problems/" + code
	return p
}

// with adds a header to the answer.
func (p *Problem) with(name, value string) *Problem {
	if p.header == nil {
		p.header = http.Header{}
	}
	p.header.Set(name, value)
	return p
}

func (p *Problem) field(name, what, cure string) *Problem {
	p.Errors = append(p.Errors, FieldProblem{Field: name, Problem: what, Cure: cure})
	return p
}

// problem returns the general problem of a status.
func problem(status int, detail string) *Problem {
	p := &Problem{Title: http.StatusText(status), Status: status, Detail: detail}
	if code, ok := codes()[status]; ok {
		return p.as(code)
	}
	return p.as(strings.ReplaceAll(strings.ToLower(p.Title), " ", "-"))
}

// codes names the problems whose type is not simply their title.
func codes() map[int]string {
	return map[int]string{
		http.StatusBadRequest:            "malformed",
		http.StatusRequestEntityTooLarge: "too-large",
		http.StatusPreconditionFailed:    "precondition",
		http.StatusUnprocessableEntity:   "invalid",
		http.StatusInternalServerError:   "internal",
	}
}

func notFound() *Problem {
	return problem(http.StatusNotFound, "There is nothing of that name here, or it is not yours.")
}

func malformed(what string) *Problem {
	return problem(http.StatusBadRequest, "The body cannot be read.").field("", what, "send one JSON object, UTF-8")
}

func invalid(field, what, cure string) *Problem {
	return problem(http.StatusUnprocessableEntity, "The request cannot be accepted.").field(field, what, cure)
}

func conflict(code, detail string) *Problem {
	return problem(http.StatusConflict, detail).as(code)
}

// sentinels is the table of the domain's errors and their problems.
func sentinels() []struct {
	err     error
	problem *Problem
} {
	return []struct {
		err     error
		problem *Problem
	}{
		{webhook.ErrNotFound, notFound()},
		{webhook.ErrCursor, badCursor()},
		{webhook.ErrTaken, conflict("taken", "The id is taken by another account.").
			field("id", "it belongs to another account", "use an id that no other account has, such as one with a prefix")},
		{webhook.ErrInFlight, conflict("in-flight", "An attempt is queued or being made; wait for its end, then try again.")},
		{webhook.ErrStale, conflict("stale", "Somebody else changed it at the same moment; read it and try again.")},
		{context.Canceled, problem(http.StatusServiceUnavailable, "The request was cancelled.")},
		{context.DeadlineExceeded, problem(http.StatusServiceUnavailable, "It took too long; try again.")},
	}
}

// problemOf turns what a handler returned into the answer. What is nobody's
// mistake but ours is logged, and the caller gets an id to ask by.
func (a *API) problemOf(ctx context.Context, err error) *Problem {
	var p *Problem
	var f *job.FieldError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &f):
		return invalid(f.Field, f.Problem, f.Cure)
	}
	for _, s := range sentinels() {
		if errors.Is(err, s.err) {
			return s.problem
		}
	}
	p = internal()
	a.Log.ErrorContext(ctx, "request.failed", "request", p.RequestID, "error", err)
	return p
}

func internal() *Problem {
	p := problem(http.StatusInternalServerError, "Something went wrong on our side; tell us the request_id.")
	p.RequestID = "req_" + strings.ToLower(rand.Text()[:16])
	return p
}

// recovered answers a request whose handler panicked.
func (a *API) recovered(w *response, r *http.Request) {
	cause := recover()
	if cause == nil {
		return
	}
	if cause == http.ErrAbortHandler || w.begun {
		panic(http.ErrAbortHandler) // half an answer must not look like a whole one
	}
	p := internal()
	a.Log.ErrorContext(r.Context(), "request.panicked", "request", p.RequestID, "method", r.Method,
		"panic", fmt.Sprint(cause), "stack", string(debug.Stack()))
	p.write(w)
}

// response remembers whether the answer has begun, and holds it back where it
// is to be kept first.
type response struct {
	http.ResponseWriter
	begun bool
	held  *held // nil: the answer is written as it comes
}

// held is an answer that is not yet on its way.
type held struct {
	status int
	body   bytes.Buffer
}

// WriteHeader begins the answer.
func (w *response) WriteHeader(status int) {
	if w.held != nil {
		w.held.status = status
		return
	}
	w.begun = true
	w.ResponseWriter.WriteHeader(status)
}

// Write writes a part of the answer.
func (w *response) Write(b []byte) (int, error) {
	if w.held != nil {
		return w.held.body.Write(b)
	}
	w.begun = true
	return w.ResponseWriter.Write(b)
}

// release lets go of what was held back.
func (w *response) release() {
	h := w.held
	w.held = nil
	w.WriteHeader(h.status)
	w.Write(h.body.Bytes()) // the client is gone if this fails
}

// Unwrap is for http.ResponseController and huma's read deadline.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// speakProblems makes huma's own errors problems like ours. Its hook is a
// package variable, so it is set once for the whole process.
var speakProblems = sync.OnceFunc(func() {
	huma.NewError = func(status int, detail string, errs ...error) huma.StatusError {
		return refusal(status, detail, errs)
	}
	huma.NewErrorWithContext = func(_ huma.Context, status int, detail string, errs ...error) huma.StatusError {
		return refusal(status, detail, errs)
	}
})

// refusal is the problem of a request that huma turned away. A body that
// broke off is the client's doing, though huma calls it 500.
func refusal(status int, detail string, errs []error) *Problem {
	switch {
	case status == http.StatusInternalServerError && detail == "cannot read request body":
		return malformed("it broke off")
	case status == http.StatusBadRequest && len(errs) == 0:
		return malformed("it is missing")
	}
	p := problem(status, detail)
	for _, err := range errs {
		var d *huma.ErrorDetail
		if errors.As(err, &d) {
			p.Errors = append(p.Errors, fieldProblem(d))
		}
	}
	switch status {
	case http.StatusUnprocessableEntity:
		p.Detail = "The request cannot be accepted."
	case http.StatusBadRequest:
		p.Detail = "The body cannot be read."
	case http.StatusRequestEntityTooLarge:
		p.field("", "it is too large: "+detail, "send less at once")
	}
	return p
}

// fieldProblem turns huma's "expected ..." into a problem and its cure.
func fieldProblem(d *huma.ErrorDetail) FieldProblem {
	_, field, _ := strings.Cut(d.Location, ".")
	f := FieldProblem{Field: field, Problem: d.Message, Cure: "see /openapi.json for what can stand here"}
	switch want, expected := strings.CutPrefix(d.Message, "expected "); {
	case strings.HasPrefix(want, "required property "):
		name, _, _ := strings.Cut(strings.TrimPrefix(want, "required property "), " ")
		f.Field, f.Problem, f.Cure = strings.TrimPrefix(field+"."+name, "."), "it is missing", "add "+name
	case expected:
		f.Problem, f.Cure = "the value cannot stand here", "write "+article(want)+strings.TrimPrefix(want, "value to be ")
	case strings.HasPrefix(d.Message, "unexpected property"), strings.HasPrefix(d.Message, "unknown query"):
		f.Problem, f.Cure = "there is no such field", "leave it out, or correct its name; /openapi.json has them all"
	case strings.HasPrefix(d.Message, "required "):
		f.Problem, f.Cure = "it is missing", "add it"
	case strings.HasPrefix(d.Message, "invalid "):
		f.Cure = "write a valid " + strings.TrimPrefix(d.Message, "invalid ")
	case strings.HasPrefix(d.Message, "json: cannot unmarshal"):
		f.Problem, f.Cure = strings.TrimPrefix(d.Message, "json: "), "write whole numbers in digits alone, and texts in quotes"
	case d.Location == "body":
		f.Problem, f.Cure = "it is no JSON: "+d.Message, "send one JSON object, UTF-8"
	}
	return f
}

// article is what stands before the thing that huma expects.
func article(want string) string {
	switch word, _, _ := strings.Cut(want, " "); word {
	case "string", "boolean", "number":
		return "a "
	case "integer", "array", "object":
		return "an "
	}
	return ""
}
