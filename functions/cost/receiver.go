package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

const (
	answerTime  = 300 * time.Millisecond // of a receiver that answers
	refusalTime = 42 * time.Millisecond  // until a connection is refused
)

// receiver stands for all receivers and the Internet before them: it answers as
// the scenario says, at once, and tells how long that would have taken.
type receiver struct {
	scenario scenario
	clock    *clock
	secret   webhook.Secret

	mu       sync.Mutex
	attempts map[int]int // by number of the job
	arrived  map[int]int // with a 200
	bytes    int         // sent to receivers, as HTTP/1.1
	longest  time.Duration
	fault    error
}

func newReceiver(s scenario, c *clock, secret webhook.Secret) *receiver {
	return &receiver{scenario: s, clock: c, secret: secret, attempts: map[int]int{}, arrived: map[int]int{}}
}

// Post answers one request of deliver.
func (r *receiver) Post(_ context.Context, q webhook.Request) (webhook.Result, webhook.Timing) {
	number, err := r.check(q)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil && r.fault == nil {
		r.fault = err
	}
	r.attempts[number]++
	if r.scenario.dead(number) {
		r.longest = max(r.longest, refusalTime)
		return webhook.Result{Failure: webhook.FailureConnect, Code: "ECONNREFUSED", Detail: "connection refused"},
			webhook.Timing{DNS: 1_731 * time.Microsecond, Connect: 40_269 * time.Microsecond, Total: refusalTime}
	}
	r.bytes += wireBytes(q)
	r.longest = max(r.longest, answerTime)
	timing := webhook.Timing{FirstByte: 299_417 * time.Microsecond, Total: answerTime}
	if r.scenario.fails(number) && r.attempts[number] == 1 {
		return webhook.Result{Status: http.StatusInternalServerError, Header: failureHeader(), Body: []byte(failureBody)}, timing
	}
	r.arrived[number]++
	return webhook.Result{Status: http.StatusOK, Header: failureHeader(), Body: []byte(`{"ok":true}`)}, timing
}

const failureBody = `{"error":"internal_error","message":"upstream did not answer in time","request_id":"7c1b3c0e9d2f4a58"}`

func failureHeader() http.Header {
	return http.Header{
		"Content-Type": {"application/json; charset=utf-8"}, "Date": {"Mon, 02 Mar 2026 09:00:00 GMT"},
		"Server": {"nginx"}, "Content-Length": {"107"}, "Connection": {"keep-alive"},
	}
}

// check verifies a request as a receiver should, and returns its job's number.
func (r *receiver) check(q webhook.Request) (number int, err error) {
	var body struct {
		Data struct {
			JobID string `json:"job_id"`
		}
	}
	if err := json.Unmarshal(q.Body, &body); err != nil {
		return 0, fmt.Errorf("a body that is no JSON: %w", err)
	}
	number, ok := jobNumber(body.Data.JobID)
	if !ok {
		return 0, fmt.Errorf("a webhook of the job %q, which nobody wrote", body.Data.JobID)
	}
	if len(q.Body) != bodyBytes {
		return number, fmt.Errorf("job %d: a body of %d bytes instead of %d", number, len(q.Body), bodyBytes)
	}
	if err := webhook.Verify(q.Header, []string{string(r.secret)}, r.clock.time(), q.Body); err != nil {
		return number, fmt.Errorf("job %d: %w", number, err)
	}
	return number, nil
}

// took returns how long the slowest answer since the last call took.
func (r *receiver) took() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer func() { r.longest = 0 }()
	return r.longest
}

func (r *receiver) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bytes = 0
}

// wireBytes is the length of a request as HTTP/1.1, with the headers that
// shared/httpsend adds. TLS adds some 2 % and handshakes that depend on how
// long connections live.
func wireBytes(q webhook.Request) int {
	r, err := http.NewRequest(http.MethodPost, q.URL, bytes.NewReader(q.Body))
	if err != nil {
		return 0 // the store keeps no such URL
	}
	r.Header = q.Header.Clone()
	r.Header.Set("User-Agent", "Jobhook/1.0")
	r.Header.Set("Content-Type", q.ContentType)
	var n counter
	w := bufio.NewWriter(&n)
	_ = errors.Join(r.Write(w), w.Flush()) // a counter takes everything
	return int(n)
}

// counter counts what is written to it.
type counter int

// Write counts.
func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
