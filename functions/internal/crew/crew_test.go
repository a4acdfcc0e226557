package crew_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/jobhook/jobhook/functions/internal/crew"
)

func TestEveryTaskRunsOnce(t *testing.T) {
	c := crew.New()
	var ran atomic.Int32
	for range 10_000 {
		c.Go(func() { ran.Add(1) })
	}
	c.Close()
	if got := ran.Load(); got != 10_000 {
		t.Errorf("%d tasks ran, want 10000", got)
	}
}

func TestATaskThatHangsHoldsBackNone(t *testing.T) {
	c := crew.New()
	release, done := make(chan struct{}), make(chan struct{})
	for range 1000 {
		c.Go(func() { <-release })
	}
	c.Go(func() { close(done) })
	<-done
	close(release)
	c.Close()
}

func TestAnIdleGoroutineIsUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := crew.New()
		defer c.Close()
		c.Go(func() {})
		synctest.Wait() // it is idle now
		blocked := make(chan struct{})
		var second atomic.Bool
		c.Go(func() { second.Store(true); <-blocked })
		synctest.Wait()
		if !second.Load() {
			t.Error("the second task did not run")
		}
		close(blocked)
	})
}
