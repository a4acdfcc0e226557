package lambdahost

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestIdleConnectionsAreClosedAfterAFreezeOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		closed := 0
		handle := Guard(func(_ context.Context, wait time.Duration) (int, error) {
			time.Sleep(wait)
			return closed, nil
		}, func() { closed++ }, func() { closed += 10 })
		for i, step := range []struct {
			pause, lasts time.Duration
			want         int
		}{
			{0, time.Second, 0},
			{frozenAfter, time.Minute, 0},        // it lasted long, but there was no pause
			{frozenAfter, 0, 0},                  // just short enough
			{frozenAfter + time.Second, 0, 11},   // all of them, before the handler
			{time.Millisecond, time.Second, 11},  // not again
			{15 * time.Minute, time.Second, 22},  // a second freeze
			{frozenAfter / 2, frozenAfter, 22},   // measured from the end of one to the begin of the next
			{frozenAfter / 2, 2 * time.Hour, 22}, // likewise
		} {
			time.Sleep(step.pause)
			if got, err := handle(t.Context(), step.lasts); got != step.want || err != nil {
				t.Errorf("step %d: %d, %v; want %d", i, got, err, step.want)
			}
		}
	})
}

func TestGuardPassesOnWhatTheHandlerReturns(t *testing.T) {
	broken := errors.New("broken")
	handle := Guard(func(_ context.Context, in string) (string, error) { return in + "!", broken })
	if out, err := handle(t.Context(), "x"); out != "x!" || !errors.Is(err, broken) {
		t.Errorf("got %q, %v", out, err)
	}
}
