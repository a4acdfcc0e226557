package sweep_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/jobhook/jobhook/functions/internal/sweep"
	"github.com/jobhook/jobhook/shared/sqlite"
	"github.com/jobhook/jobhook/shared/webhook"
)

func TestAPartThatHangsLeavesTimeToTheOthersAndToTheAnswer(t *testing.T) {
	for _, part := range []string{"due", "release", "shelve", "expire", "notify"} {
		t.Run(part, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				old := w.put(t, "old", webhook.StateDelivered, time.Time{})
				w.now = old.ExpiresAt.Add(time.Second)
				w.put(t, "due", webhook.StateWaiting, w.now) // which has not expired: the parts go at once
				h := w.handler()
				faulty := &faultyStore{Store: w.store, hangsAt: part}
				h.Store, h.Notices = faulty, faulty
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if err := h.Handle(ctx, events.EventBridgeEvent{}); err == nil {
					t.Error("the part that hung was not reported")
				}
				if ctx.Err() != nil {
					t.Error("the invocation timed out")
				}
				if rung := w.queue.count == 1; rung != (part != "due") {
					t.Errorf("rung for what is due: %t", rung)
				}
				_, err := w.store.Delivery(t.Context(), old.Ref())
				if gone := errors.Is(err, webhook.ErrNotFound); gone != (part != "expire") {
					t.Errorf("what expired is gone: %t, %v", gone, err)
				}
			})
		})
	}
}

func TestALongBacklogIsLeftInTimeAndGoesOnInTheNextRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		store := &pagedStore{Store: w.store, left: 20_000}
		h := &sweep.Handler{Store: store, Queue: w.queue, Horizon: time.Minute, Now: w.clock, Log: slog.New(slog.DiscardHandler)}
		run := func() {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			if err := h.Handle(ctx, events.EventBridgeEvent{}); err != nil || ctx.Err() != nil {
				t.Errorf("%v; the invocation ended: %v", err, ctx.Err())
			}
		}
		run()
		first := w.queue.count
		if first < 500 || first >= 10_000 || first%500 != 0 {
			t.Errorf("rung for %d, want some whole pages", first)
		}
		if run(); w.queue.count <= first {
			t.Error("the next run did not go on")
		}
	})
}

func TestAnIndexThatLagsBehindMakesNobodyRingTwice(t *testing.T) {
	w := newWorld(t)
	w.put(t, "due", webhook.StateWaiting, w.now)
	due, err := w.store.Due(t.Context(), w.now.Add(time.Minute), 10)
	if err != nil {
		t.Fatal(err)
	}
	h := w.handler()
	h.Store = &faultyStore{Store: w.store, stale: due}
	if err := h.Handle(t.Context(), events.EventBridgeEvent{}); err != nil || w.queue.count != 1 {
		t.Errorf("rung %d times, %v; want once", w.queue.count, err)
	}
}

// faultyStore is the real store with a place to put faults.
type faultyStore struct {
	*sqlite.Store
	hangsAt  string
	panicsAt string
	stale    []webhook.Delivery // what Due returns, if it is set
}

func (f *faultyStore) hang(ctx context.Context, at string) error {
	if f.panicsAt == at {
		panic(at)
	}
	if f.hangsAt != at {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

func (f *faultyStore) Due(ctx context.Context, before time.Time, limit int) ([]webhook.Delivery, error) {
	if f.stale != nil {
		return append([]webhook.Delivery(nil), f.stale...), nil
	}
	if err := f.hang(ctx, "due"); err != nil {
		return nil, err
	}
	return f.Store.Due(ctx, before, limit)
}

func (f *faultyStore) Holders(ctx context.Context) ([]webhook.Holder, error) {
	if err := f.hang(ctx, "release"); err != nil {
		return nil, err
	}
	return f.Store.Holders(ctx)
}

func (f *faultyStore) Notices(ctx context.Context, limit int) ([]webhook.Notice, error) {
	if err := f.hang(ctx, "notify"); err != nil {
		return nil, err
	}
	return f.Store.Notices(ctx, limit)
}

func (f *faultyStore) Shelve(ctx context.Context, before time.Time, limit int) (int, error) {
	if err := f.hang(ctx, "shelve"); err != nil {
		return 0, err
	}
	return f.Store.Shelve(ctx, before, limit)
}

func (f *faultyStore) Expire(ctx context.Context, now time.Time, limit int) (int, error) {
	if err := f.hang(ctx, "expire"); err != nil {
		return 0, err
	}
	return f.Store.Expire(ctx, now, limit)
}

// pagedStore has many due deliveries, and takes nearly two seconds for a page.
type pagedStore struct {
	*sqlite.Store
	left int
}

func (p *pagedStore) Due(_ context.Context, before time.Time, limit int) (list []webhook.Delivery, err error) {
	for i := range min(p.left, limit) {
		list = append(list, webhook.Delivery{ID: fmt.Sprint(p.left - i), Account: "acme", Generation: 1, DueAt: before.Add(-time.Hour)})
	}
	return list, nil
}

func (p *pagedStore) Defer(ctx context.Context, read []webhook.Delivery, _ time.Time) error {
	time.Sleep(1900 * time.Millisecond)
	p.left -= len(read)
	return ctx.Err()
}

func TestAPartThatPanicsIsAnErrorAndTheOthersWork(t *testing.T) {
	w := newWorld(t)
	w.put(t, "due", webhook.StateWaiting, w.now)
	h := w.handler()
	h.Store = &faultyStore{Store: w.store, panicsAt: "expire"}
	if err := h.Handle(t.Context(), events.EventBridgeEvent{}); err == nil || !strings.Contains(err.Error(), "panic: expire") {
		t.Errorf("error %v, want the panic", err)
	}
	if w.queue.count != 1 {
		t.Errorf("rung %d times for what is due, want once", w.queue.count)
	}
}
