package lambdatest

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// maxAnswer is the longest answer that Lambda takes, in bytes.
const maxAnswer = 6<<20 + 100

// FunctionError is a failure that the function reported.
type FunctionError struct {
	Type    string
	Message string
	Payload []byte // whole, as the function sent it
}

// Error is the function's message.
func (e *FunctionError) Error() string { return e.Type + ": " + e.Message }

// invocation is one event on its way through the function.
type invocation struct {
	id       string
	payload  []byte
	deadline time.Time
	arn      string
	answer   chan answer // takes one
}

type answer struct {
	body []byte
	err  error
}

func newInvocation(payload []byte, deadline time.Time, arn string) *invocation {
	return &invocation{id: requestID(), payload: payload, deadline: deadline, arn: arn, answer: make(chan answer, 1)}
}

// requestID has the form of Lambda's, a UUID.
func requestID() string {
	b := make([]byte, 16)
	rand.Read(b) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// runtimeAPI is what a function's process talks to.
type runtimeAPI struct {
	calls chan *invocation
	ready chan struct{} // closed when the process first asks for an event

	lock       sync.Mutex
	askedAt    time.Time
	extensions int
	running    map[string]*invocation
}

func newRuntimeAPI() *runtimeAPI {
	return &runtimeAPI{calls: make(chan *invocation), ready: make(chan struct{}), running: map[string]*invocation{}}
}

func (a *runtimeAPI) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", a.next)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/response", a.response)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/error", a.failure)
	mux.HandleFunc("POST /2018-06-01/runtime/init/error", accepted)
	mux.HandleFunc("POST /2020-01-01/extension/register", a.register)
	mux.HandleFunc("GET /2020-01-01/extension/event/next", never)
	return mux
}

// next waits for an event, for as long as it takes.
func (a *runtimeAPI) next(w http.ResponseWriter, r *http.Request) {
	a.asked()
	select {
	case call := <-a.calls:
		a.lock.Lock()
		a.running[call.id] = call
		a.lock.Unlock()
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Lambda-Runtime-Aws-Request-Id", call.id)
		h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(call.deadline.UnixMilli(), 10))
		h.Set("Lambda-Runtime-Invoked-Function-Arn", call.arn)
		h.Set("Lambda-Runtime-Trace-Id", traceID(time.Now()))
		w.Write(call.payload)
	case <-r.Context().Done():
	}
}

// traceID is an X-Ray header, sampled.
func traceID(now time.Time) string {
	b := make([]byte, 20)
	rand.Read(b) // never fails
	return fmt.Sprintf("Root=1-%08x-%s;Parent=%s;Sampled=1", now.Unix(), hex.EncodeToString(b[:12]), hex.EncodeToString(b[12:]))
}

func (a *runtimeAPI) asked() {
	a.lock.Lock()
	defer a.lock.Unlock()
	if a.askedAt.IsZero() {
		a.askedAt = time.Now()
		close(a.ready)
	}
}

func (a *runtimeAPI) readyAt() time.Time {
	a.lock.Lock()
	defer a.lock.Unlock()
	return a.askedAt
}

func (a *runtimeAPI) response(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	call, ok := a.take(r.PathValue("id"))
	switch {
	case !ok:
		refuse(w, http.StatusBadRequest, "InvalidRequestID")
	case err != nil:
		call.answer <- answer{err: fmt.Errorf("read the answer: %w", err)}
		refuse(w, http.StatusBadRequest, "InvalidRequest")
	case len(body) > maxAnswer:
		call.answer <- answer{err: &FunctionError{Type: "Function.ResponseSizeTooLarge", Message: fmt.Sprintf("the answer has %d bytes", len(body))}}
		refuse(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge")
	default:
		call.answer <- answer{body: body}
		accepted(w, r)
	}
}

func (a *runtimeAPI) failure(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	call, ok := a.take(r.PathValue("id"))
	if !ok {
		refuse(w, http.StatusBadRequest, "InvalidRequestID")
		return
	}
	var told struct{ ErrorType, ErrorMessage string }
	if err = errors.Join(err, json.Unmarshal(body, &told)); err != nil {
		call.answer <- answer{err: fmt.Errorf("read the reported error: %w", err)}
	} else {
		call.answer <- answer{err: &FunctionError{Type: told.ErrorType, Message: told.ErrorMessage, Payload: body}}
	}
	accepted(w, r)
}

// take ends an invocation: it can be answered once.
func (a *runtimeAPI) take(id string) (*invocation, bool) {
	a.lock.Lock()
	defer a.lock.Unlock()
	call, ok := a.running[id]
	delete(a.running, id)
	return call, ok
}

// register takes an extension; one inside the function's process is how it
// asks for SIGTERM.
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html
func (a *runtimeAPI) register(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Lambda-Extension-Name") == "" {
		refuse(w, http.StatusBadRequest, "InvalidExtensionName")
		return
	}
	a.lock.Lock()
	a.extensions++
	a.lock.Unlock()
	w.Header().Set("Lambda-Extension-Identifier", requestID())
	w.Header().Set("Content-Type", "application/json")
	w.Write([]byte(`{"functionVersion":"$LATEST","handler":"bootstrap"}`))
}

func (a *runtimeAPI) registered() bool {
	a.lock.Lock()
	defer a.lock.Unlock()
	return a.extensions > 0
}

// never answers: an extension that registered for no event gets none.
func never(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func accepted(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	w.Write([]byte(`{"status":"OK"}`))
}

func refuse(w http.ResponseWriter, status int, kind string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]string{"errorType": kind, "errorMessage": http.StatusText(status)})
}
