package crew_test

import (
	"runtime"
	"strings"
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
		var first, second string
		c.Go(func() { first = goroutine() })
		synctest.Wait() // it is idle now
		c.Go(func() { second = goroutine() })
		synctest.Wait()
		if first == "" || first != second {
			t.Errorf("the tasks ran on %q and %q, want one goroutine", first, second)
		}
	})
}

// goroutine names the goroutine that calls it.
func goroutine() string {
	b := make([]byte, 64)
	name, _, _ := strings.Cut(string(b[:runtime.Stack(b, false)]), " [")
	return name
}
