package compat

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

const contentJSON = "application/json"

// refusal is an answer other than what was asked for.
type refusal struct {
	status  int
	message string
	wait    time.Duration // Retry-After; 0: none
}

// Error makes a refusal an error that handlers return.
func (f *refusal) Error() string { return fmt.Sprintf("%d: %s", f.status, f.message) }

func refuse(status int, format string, a ...any) *refusal {
	return &refusal{status: status, message: fmt.Sprintf(format, a...)}
}

// refusalOf turns what a handler returned into an answer, and tells whether it
// is our own fault.
func refusalOf(err error) (f *refusal, ours bool) {
	switch {
	case errors.As(err, &f):
		return f, false
	case errors.Is(err, webhook.ErrNotFound):
		return refuse(http.StatusNotFound, "Not Found"), false
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return refuse(http.StatusServiceUnavailable, "The request took too long; try again."), false
	}
	return refuse(http.StatusInternalServerError, "Internal Server Error"), true
}

// refuse answers with an error, in the system's envelope. What is our own
// fault is logged, and not explained.
func (c *routes) refuse(s system, w http.ResponseWriter, r *http.Request, err error) {
	f, ours := refusalOf(err)
	if ours {
		c.Log.ErrorContext(r.Context(), "request.failed", "route", r.Pattern, "error", err)
	}
	if begun(w) {
		panic(http.ErrAbortHandler) // half an answer must not look like a whole one
	}
	if f.wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(seconds(f.wait)))
	}
	body, err := marshal(s.envelope(f))
	if err != nil {
		panic(err) // envelopes are made of texts and numbers
	}
	writeJSON(w, r, f.status, body)
}

// seconds are whole seconds, rounded up, at least 1.
func seconds(d time.Duration) int { return max(1, int((d+time.Second-1)/time.Second)) }

// recovered answers a request whose handler panicked. The log names the route,
// never the URL, which may hold a key.
func (c *routes) recovered(s system, w *response, r *http.Request) {
	cause := recover()
	if cause == nil {
		return
	}
	if cause == http.ErrAbortHandler || w.begun {
		panic(http.ErrAbortHandler)
	}
	c.Log.ErrorContext(r.Context(), "request.panicked", "system", s.base, "method", r.Method,
		"panic", fmt.Sprint(cause), "stack", string(debug.Stack()))
	f, _ := refusalOf(errors.New("panic"))
	body, _ := marshal(s.envelope(f)) // texts and numbers always marshal
	writeJSON(w, r, f.status, body)
}

// show answers 200 with a value as JSON.
func show(w http.ResponseWriter, r *http.Request, v any) error {
	body, err := marshal(v)
	if err != nil {
		return err
	}
	writeJSON(w, r, http.StatusOK, body)
	return nil
}

func writeJSON(w http.ResponseWriter, r *http.Request, status int, body []byte) {
	w.Header().Set("Content-Type", contentJSON)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		w.Write(body) // the client is gone if this fails
	}
}

// marshal writes JSON in one line, as the webhooks' bodies are written: links
// keep their &.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// stamp writes a time as all four systems do: ISO 8601, UTC, milliseconds, Z.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// known writes a time, nil when it is zero.
func known(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := stamp(t)
	return &s
}

// number writes an id as a number where it is one in JSON, else as a text:
// the systems count their jobs, a platform may name them.
func number(id string) json.RawMessage {
	if _, err := strconv.ParseUint(id, 10, 64); err == nil && json.Valid([]byte(id)) {
		return json.RawMessage(id)
	}
	text, _ := marshal(id) // a text always marshals
	return text
}

// positive reads the number of a page or a result set, counted from 1.
func positive(name, text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxNumber || strconv.Itoa(n) != text {
		return 0, refuse(http.StatusBadRequest, "The %s must be a whole number from 1 to %d.", name, maxNumber)
	}
	return n, nil
}

// maxNumber bounds numbers in requests, so that nothing that is computed from
// them overflows.
const maxNumber = 1_000_000_000

// response remembers whether the answer has begun.
type response struct {
	http.ResponseWriter
	begun bool
}

// WriteHeader begins the answer.
func (w *response) WriteHeader(status int) {
	w.begun = true
	w.ResponseWriter.WriteHeader(status)
}

// Write writes a part of the answer.
func (w *response) Write(b []byte) (int, error) {
	w.begun = true
	return w.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func begun(w http.ResponseWriter) bool {
	watched, ok := w.(*response)
	return ok && watched.begun
}
