package api_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jobhook/jobhook/functions/internal/api"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// guarded is a store that tells when it is asked which erasures are running.
type guarded struct {
	api.Store
	asked  func() error // nil: nothing
	reads  int
	inside bool // a job is being written
	both   bool // it was asked while a job was being written
}

func (g *guarded) RunningErasures(ctx context.Context, limit int) ([]webhook.Erasure, error) {
	g.reads++
	g.both = g.both || g.inside
	list, err := g.Store.RunningErasures(ctx, limit)
	if asked := g.asked; asked != nil {
		err = errors.Join(err, asked())
	}
	return list, err
}

func (g *guarded) WriteJob(ctx context.Context, id string, kind job.Kind, f func(old *job.Job) (job.Job, error)) (job.Job, bool, error) {
	return g.Store.WriteJob(ctx, id, kind, func(old *job.Job) (job.Job, error) {
		g.inside = true
		defer func() { g.inside = false }()
		return f(old)
	})
}

// guarded is the site with such a store.
func (s *site) guarded() (*site, *guarded) {
	store := &guarded{Store: s.store}
	return s.with(func(c *api.Config) { c.Store = store }), store
}

const renamed = `{"name":"x"}`

func TestWritesGoOnWhileOneOfThemReadsWhichAccountsAreErased(t *testing.T) {
	s, store := newSite(t).guarded()
	s.must(t, 200, s.platform, "PUT", "/v1/accounts/other", renamed)
	s.clock.move(6 * time.Second)
	store.asked = func() error {
		store.asked = nil
		done := make(chan int)
		go func() {
			done <- s.do(s.platform, "PUT", "/v1/jobs/1", `{"account":"acme","kind":"async","status":"pending"}`).status
		}()
		select {
		case status := <-done:
			if status != 201 {
				t.Errorf("got %d, want 201", status)
			}
		case <-time.After(10 * time.Second):
			t.Error("another write waits for the read")
			go func() { <-done }()
		}
		return nil
	}
	s.must(t, 200, s.platform, "PUT", "/v1/accounts/other", renamed)
	if store.asked != nil {
		t.Error("the list was not read again")
	}
}

func TestNothingIsReadWhileAJobIsBeingWritten(t *testing.T) {
	s, store := newSite(t).guarded()
	for i := range 3 {
		s.must(t, 201, s.platform, "PUT", fmt.Sprintf("/v1/jobs/%d", i), `{"account":"acme","kind":"async","status":"pending"}`)
		s.must(t, 200, s.platform, "PATCH", fmt.Sprintf("/v1/jobs/%d", i), `{"status":"success"}`)
		s.clock.move(6 * time.Second)
	}
	if store.reads != 3 || store.both {
		t.Errorf("read %d times, want 3; while a job was written: %t", store.reads, store.both)
	}
}

func TestAnOldListOfErasuresServesForAMinuteWhenItCannotBeRead(t *testing.T) {
	s, store := newSite(t).guarded()
	store.asked = func() error { return errors.New("disk on fire") }
	if got := s.do(s.platform, "PUT", "/v1/accounts/other", renamed); got.status != 500 {
		t.Errorf("before the first read: got %d %s, want 500", got.status, got.body)
	}
	store.asked = nil
	s.must(t, 202, s.platform, "POST", "/v1/erasures", `{"account":"acme"}`)
	s.must(t, 200, s.platform, "PUT", "/v1/accounts/other", renamed)
	store.asked, store.reads = func() error { return errors.New("disk on fire") }, 0
	s.clock.move(6 * time.Second)
	for range 5 {
		s.must(t, 200, s.platform, "PUT", "/v1/accounts/other", renamed)
		s.must(t, 409, s.platform, "PUT", "/v1/accounts/acme", renamed)
	}
	if store.reads != 1 {
		t.Errorf("it was asked %d times in one moment, want 1", store.reads)
	}
	s.clock.move(time.Minute)
	if got := s.do(s.platform, "PUT", "/v1/accounts/other", renamed); got.status != 500 {
		t.Errorf("a minute later: got %d %s, want 500", got.status, got.body)
	}
}

func TestAnErasureThatBeginsWhileTheListIsReadCountsAtOnce(t *testing.T) {
	s, store := newSite(t).guarded()
	store.asked = func() error {
		store.asked = nil
		s.must(t, 202, s.platform, "POST", "/v1/erasures", `{"account":"acme"}`)
		return nil
	}
	s.must(t, 200, s.platform, "PUT", "/v1/accounts/other", renamed)
	s.must(t, 409, s.platform, "PUT", "/v1/accounts/acme", renamed)
}
