package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

// nature is how an endpoint behaves until it is healed.
type nature string

const (
	healthy  nature = "healthy"
	dead     nature = "dead"     // nobody listens
	hanging  nature = "hanging"  // takes requests and never answers
	flapping nature = "flapping" // breaks connections for half of the time
	refusing nature = "refusing" // answers 500 to a third, at random
	huge     nature = "huge"     // answers with 10 MB
)

// natures returns those of n endpoints: 5 % dead, 5 % hanging, 5 % flapping,
// 10 % refusing, 1 % huge.
func natures(n int) []nature {
	list := make([]nature, 0, n)
	for _, part := range []struct {
		nature  nature
		percent int
	}{{dead, 5}, {hanging, 5}, {flapping, 5}, {refusing, 10}, {huge, 1}} {
		for range max(1, n*part.percent/100) {
			list = append(list, part.nature)
		}
	}
	for len(list) < n {
		list = append(list, healthy)
	}
	return list
}

// flapEvery is how long a flapping endpoint is up, and then down.
const flapEvery = 10 * time.Second

// endpoint is a receiver with its account.
type endpoint struct {
	account string
	nature  nature
	id      string // Jobhook's
	port    *reserved
	addr    string
	started time.Time
	verify  []string // keys for the signatures
	healed  atomic.Bool
	server  *http.Server
	release chan struct{} // closed when hanging requests are let go

	mu       sync.Mutex
	webhooks map[string]*arrival // by job
	attempts int                 // requests that reached it
	wrong    []string            // what must never happen, the first few
}

// arrival is what is known of a job's webhook.
type arrival struct {
	id         string // webhook-id of its first attempt
	first      time.Time
	accepted   int
	acceptedAt time.Time // first
}

func newEndpoint(i int, n nature) (*endpoint, error) {
	port, err := reserve()
	if err != nil {
		return nil, err
	}
	e := &endpoint{
		account: fmt.Sprintf("soak-%03d", i), nature: n, port: port, addr: port.addr, started: time.Now(),
		webhooks: map[string]*arrival{}, release: make(chan struct{}),
	}
	if n == dead {
		return e, nil
	}
	return e, e.serve()
}

func (e *endpoint) serve() error {
	line, err := e.port.listen()
	if err != nil {
		return err
	}
	e.server = &http.Server{Handler: e, ErrorLog: nil}
	go func() { _ = e.server.Serve(line) }() // ends with close
	return nil
}

// heal makes the endpoint healthy.
func (e *endpoint) heal() error {
	if e.healed.Swap(true) {
		return nil
	}
	close(e.release)
	if e.nature != dead {
		return nil
	}
	return e.serve()
}

func (e *endpoint) close() {
	if !e.healed.Swap(true) {
		close(e.release)
	}
	if e.server != nil {
		_ = e.server.Close()
	}
}

// ServeHTTP takes a webhook as the endpoint's nature says.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	at := time.Now()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the host was killed in the middle of it
	}
	job := e.arrive(r.Header, body, at)
	if e.healed.Load() {
		e.accept(job)
		return
	}
	switch e.nature {
	case hanging:
		select {
		case <-e.release:
		case <-r.Context().Done():
		}
		panic(http.ErrAbortHandler)
	case flapping:
		if int(time.Since(e.started)/flapEvery)%2 == 1 {
			panic(http.ErrAbortHandler)
		}
	case refusing:
		if rand.IntN(3) == 0 {
			http.Error(w, "sorry", http.StatusInternalServerError)
			return
		}
	case huge:
		w.Header().Set("Content-Length", strconv.Itoa(hugeBytes))
		e.accept(job)
		part := make([]byte, 64<<10)
		for range hugeBytes / len(part) {
			if _, err := w.Write(part); err != nil {
				return
			}
		}
		return
	}
	e.accept(job)
}

const hugeBytes = 10 << 20

// arrive notes a request, and returns its job.
func (e *endpoint) arrive(h http.Header, body []byte, at time.Time) string {
	job, err := jobOf(body)
	if err == nil {
		err = webhook.Verify(h, e.verify, at, body)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.attempts++
	if err != nil {
		e.complain("a webhook that is none: %v", err)
		return ""
	}
	a := e.webhooks[job]
	if a == nil {
		a = &arrival{id: h.Get("webhook-id"), first: at}
		e.webhooks[job] = a
	}
	if id := h.Get("webhook-id"); id != a.id {
		e.complain("job %s came as %s and as %s", job, a.id, id)
	}
	return job
}

// accept notes that a webhook is answered 2xx.
func (e *endpoint) accept(job string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if a := e.webhooks[job]; a != nil {
		if a.accepted++; a.accepted == 1 {
			a.acceptedAt = time.Now()
		}
	}
}

// maxComplaints of an endpoint are kept.
const maxComplaints = 5

func (e *endpoint) complain(format string, args ...any) {
	if len(e.wrong) < maxComplaints {
		e.wrong = append(e.wrong, e.account+": "+fmt.Sprintf(format, args...))
	}
}

// has returns what is known of a job's webhook, zero for nothing.
func (e *endpoint) has(job string) arrival {
	e.mu.Lock()
	defer e.mu.Unlock()
	if a := e.webhooks[job]; a != nil {
		return *a
	}
	return arrival{}
}
