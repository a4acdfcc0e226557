// Package deadline keeps a part of an invocation's time back. Lambda ends a
// function at its timeout without asking; whatever it would have answered, such
// as which messages of a batch failed, is lost then. So work ends earlier. In
// the standalone host, whose contexts have no deadline, nothing is kept.
package deadline

import (
	"context"
	"time"
)

// Keep returns a context that ends so long before ctx's deadline, but keeps at
// most a quarter of the time that is left, so that a function with a short
// timeout can still work. Without a deadline it returns ctx.
func Keep(ctx context.Context, reserve time.Duration) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		return ctx, func() {}
	}
	return context.WithDeadline(ctx, end.Add(-min(reserve, max(time.Until(end), 0)/4)))
}

// Share returns a context that ends when half of the time to ctx's deadline
// has passed, so that one part of the work leaves time to those after it.
// Without a deadline it returns ctx.
func Share(ctx context.Context) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		return ctx, func() {}
	}
	return context.WithDeadline(ctx, end.Add(-max(time.Until(end), 0)/2))
}

// Stubborn returns a context that does not end when ctx is cancelled, but
// still at its deadline: for what must be done although we are being stopped.
func Stubborn(ctx context.Context) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	ctx = context.WithoutCancel(ctx)
	if !ok {
		return ctx, func() {}
	}
	return context.WithDeadline(ctx, end)
}

// Allows tells whether something that takes so long ends before ctx's deadline.
func Allows(ctx context.Context, d time.Duration) bool {
	end, ok := ctx.Deadline()
	return !ok || time.Until(end) >= d
}

// Over tells whether ctx has ended. A deadline may have passed a moment before
// the context knows of it.
func Over(ctx context.Context) bool { return ctx.Err() != nil || !Allows(ctx, time.Nanosecond) }
