package deadline_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jobhook/jobhook/functions/internal/deadline"
)

func TestTheReserveIsKeptButAtMostAQuarter(t *testing.T) {
	tests := []struct{ timeout, reserve, left time.Duration }{
		{60 * time.Second, 2 * time.Second, 58 * time.Second},
		{60 * time.Second, 12 * time.Second, 48 * time.Second},
		{4 * time.Second, 2 * time.Second, 3 * time.Second},
		{-time.Second, 2 * time.Second, -time.Second}, // it is over already
	}
	for _, test := range tests {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), test.timeout)
			defer cancel()
			ctx, cancel = deadline.Keep(ctx, test.reserve)
			defer cancel()
			if got := left(t, ctx); got != test.left {
				t.Errorf("%s of %s kept: %s are left, want %s", test.reserve, test.timeout, got, test.left)
			}
		})
	}
}

func TestAPartUsesHalfOfWhatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		time.Sleep(20 * time.Second)
		ctx, cancel = deadline.Share(ctx)
		defer cancel()
		if got := left(t, ctx); got != 20*time.Second {
			t.Errorf("%s are left, want 20s", got)
		}
	})
}

func TestAStubbornContextOutlivesAStopButNotTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stopped, stop := context.WithTimeout(t.Context(), time.Minute)
		stop()
		ctx, cancel := deadline.Stubborn(stopped)
		defer cancel()
		if deadline.Over(ctx) || !deadline.Over(stopped) {
			t.Error("the stop ended it")
		}
		time.Sleep(time.Minute)
		if !deadline.Over(ctx) {
			t.Error("the deadline did not end it")
		}
	})
}

func TestWithoutADeadlineNothingIsKept(t *testing.T) {
	ctx := t.Context()
	for name, f := range map[string]func(context.Context) (context.Context, context.CancelFunc){
		"Keep":  func(ctx context.Context) (context.Context, context.CancelFunc) { return deadline.Keep(ctx, time.Hour) },
		"Share": deadline.Share, "Stubborn": deadline.Stubborn,
	} {
		got, cancel := f(ctx)
		cancel()
		if _, ok := got.Deadline(); ok || deadline.Over(got) || !deadline.Allows(got, 24*time.Hour) {
			t.Errorf("%s: the context ends", name)
		}
	}
}

func left(t *testing.T, ctx context.Context) time.Duration {
	t.Helper()
	end, ok := ctx.Deadline()
	if !ok {
		t.Fatal("there is no deadline")
	}
	return time.Until(end)
}
