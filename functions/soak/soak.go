package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/jobhook/jobhook/functions/internal/child"
	"github.com/jobhook/jobhook/shared/freeport"
	"github.com/jobhook/jobhook/shared/webhook"
)

// healAfter is the part of the load after which the world heals.
const healAfter = 0.7

// change is a job change that was acknowledged.
type change struct {
	job      string
	endpoint *endpoint
	acked    time.Time
}

// ending is when a process was ended, and how.
type ending struct {
	at     time.Time
	killed bool // rather than stopped
}

// soak is one run.
type soak struct {
	options
	endpoints []*endpoint

	mu      sync.Mutex // of the process, which comes and goes
	process *child.Child
	debug   string      // its --debug-addr
	ready   []time.Time // when each was
	ended   []ending
	samples []sample

	sent     []change
	loadOver time.Time
	books    books // the ledger's, of after the load
}

func newSoak(ctx context.Context, o options) (*soak, error) {
	s := &soak{options: o}
	for i, n := range natures(o.endpoints) {
		e, err := newEndpoint(i, n)
		if err != nil {
			s.close()
			return nil, err
		}
		s.endpoints = append(s.endpoints, e)
	}
	if err := s.start(ctx); err != nil {
		s.close()
		return nil, err
	}
	for _, e := range s.endpoints {
		if err := s.register(ctx, e); err != nil {
			s.close()
			return nil, err
		}
	}
	return s, nil
}

func (s *soak) close() {
	for _, e := range s.endpoints {
		e.close()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process != nil {
		s.process.Stop()
		s.process = nil
	}
}

// retrySeconds are the waits of every endpoint: short ones, so that a run of
// minutes sees many.
func retrySeconds() []int {
	waits := []int{1, 2, 4, 8, 15}
	for len(waits) < webhook.MaxRetries {
		waits = append(waits, 30)
	}
	return waits
}

// register makes the endpoint's account, and the endpoint.
func (s *soak) register(ctx context.Context, e *endpoint) error {
	if _, err := s.process.Call(ctx, http.MethodPut, "/v1/accounts/"+e.account, map[string]any{"name": e.account}); err != nil {
		return err
	}
	answer, err := s.process.Call(ctx, http.MethodPost, "/v1/endpoints?account="+e.account, map[string]any{
		"url": "http://" + e.addr + "/hook", "format": "standard",
		"policy": map[string]any{"timeout_seconds": 2, "retry_seconds": retrySeconds()},
	})
	if err != nil {
		return err
	}
	var made struct{ ID, Secret string }
	err = json.Unmarshal(answer, &made)
	e.id, e.verify = made.ID, []string{made.Secret}
	return err
}

// grace is longer than the endpoints' timeout, so that a stop cuts nothing off.
const grace = 5 * time.Second

func (s *soak) start(ctx context.Context) error {
	debug, err := freeport.Addr()
	if err != nil {
		return err
	}
	p, err := child.Start(ctx, s.binary, s.data, child.Options{Flags: []string{"--debug-addr", debug, "--shutdown-grace", grace.String()}})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.process, s.debug = p, debug
	s.ready = append(s.ready, time.Now())
	return nil
}

// play sends the load, and waits for what it leads to. When the process does
// not come back, or the world cannot be healed, that ends it.
func (s *soak) play(ctx context.Context) error {
	g, all := errgroup.WithContext(ctx)
	load, stop := context.WithTimeout(all, s.duration)
	defer stop()
	g.Go(func() error { return s.restarts(ctx, load) }) // the process outlives this group
	g.Go(func() error { return s.healing(load) })
	g.Go(func() error { s.watch(load); return nil })
	g.Go(func() error { s.load(all, load); return nil })
	if err := errors.Join(g.Wait(), ctx.Err()); err != nil {
		return err
	}
	s.loadOver = time.Now()
	fmt.Fprintf(os.Stderr, "load over: %d job changes acknowledged; waiting for the rest\n", len(s.sent))
	if err := s.resume(ctx); err != nil {
		return err
	}
	return s.drain(ctx)
}

// load sends job changes at the rate, each until it is acknowledged.
func (s *soak) load(ctx, load context.Context) {
	var wait sync.WaitGroup
	defer wait.Wait()
	var mu sync.Mutex
	tick := time.NewTicker(time.Second / time.Duration(s.rate))
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-tick.C:
		case <-load.Done():
			return
		}
		e := s.endpoints[i%len(s.endpoints)]
		wait.Go(func() {
			c, ok := s.put(ctx, fmt.Sprintf("soak-job-%d", i), e)
			mu.Lock()
			defer mu.Unlock()
			if ok {
				s.sent = append(s.sent, c)
			}
		})
	}
}

// put writes a job that has ended, again and again while the process is away.
func (s *soak) put(ctx context.Context, job string, e *endpoint) (change, bool) {
	for ctx.Err() == nil {
		s.mu.Lock()
		p := s.process
		s.mu.Unlock()
		if p != nil {
			_, err := p.Call(ctx, http.MethodPut, "/v1/jobs/"+job, map[string]any{"account": e.account, "kind": "async", "status": "success", "message": "done"})
			if err == nil {
				return change{job: job, endpoint: e, acked: time.Now()}, true
			}
		}
		pause(ctx, 100*time.Millisecond)
	}
	return change{}, false
}

// restarts ends the process and starts it anew, killed and stopped in turn.
func (s *soak) restarts(ctx, load context.Context) error {
	for kill := true; pause(load, s.restart); kill = !kill {
		s.mu.Lock()
		p := s.process
		s.process = nil
		s.ended = append(s.ended, ending{time.Now(), kill})
		s.mu.Unlock()
		if kill {
			p.Kill()
		} else {
			p.Stop()
		}
		if err := s.start(ctx); err != nil {
			return err
		}
	}
	return nil
}

// healing makes all endpoints healthy near the end of the load.
func (s *soak) healing(load context.Context) error {
	if !pause(load, time.Duration(healAfter*float64(s.duration))) {
		return nil
	}
	var errs []error
	for _, e := range s.endpoints {
		errs = append(errs, e.heal())
	}
	fmt.Fprintln(os.Stderr, "the world has healed")
	return errors.Join(errs...)
}

// resume pauses and resumes every other endpoint that had been failing, as its
// owner may do once it is mended: what is known of it is forgotten, and what it
// held goes out. The others are left to find out by themselves.
func (s *soak) resume(ctx context.Context) error {
	for i, e := range s.endpoints {
		if e.nature == healthy || i%2 == 0 {
			continue
		}
		for _, verb := range []string{"pause", "resume"} {
			if _, err := s.patiently(ctx, http.MethodPost, "/v1/endpoints/"+e.id+":"+verb+"?account="+e.account); err != nil {
				return err
			}
		}
	}
	return nil
}

// patiently makes a request that does no harm twice, again and again for some
// seconds: connections to the process before may still be in the client's hands.
func (s *soak) patiently(ctx context.Context, method, path string) (answer []byte, err error) {
	for range 50 {
		if answer, err = s.process.Call(ctx, method, path, nil); err == nil || !pause(ctx, 100*time.Millisecond) {
			break
		}
	}
	return answer, err
}

// drainLimit is how long the rest may take: longer than a circuit stays open.
const drainLimit = 25 * time.Minute

// drain waits until all that was acknowledged has arrived.
func (s *soak) drain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, drainLimit)
	defer cancel()
	for s.missing() > 0 && pause(ctx, time.Second) {
	}
	pause(ctx, 2*time.Second) // for what follows an arrival
	s.take()
	return s.checked(ctx)
}

func (s *soak) missing() (n int) {
	for _, c := range s.sent {
		if c.endpoint.has(c.job).accepted == 0 {
			n++
		}
	}
	return n
}

// pause reports false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// jobOf reads the job of a standard body.
func jobOf(body []byte) (string, error) {
	var b struct {
		Data struct {
			JobID string `json:"job_id"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &b); err != nil {
		return "", err
	}
	if b.Data.JobID == "" {
		return "", errors.New("it names no job")
	}
	return b.Data.JobID, nil
}
