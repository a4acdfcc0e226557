package deliver_test

import (
	"context"
	"net/http/httptrace"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

// connecting is a sender that connects and answers when it is told to.
type connecting struct {
	sent            chan string
	connect, answer chan struct{}
}

func (c *connecting) Post(ctx context.Context, r webhook.Request) (webhook.Result, webhook.Timing) {
	c.sent <- r.URL
	<-c.connect
	if trace := httptrace.ContextClientTrace(ctx); trace != nil {
		trace.GotConn(httptrace.GotConnInfo{})
	}
	<-c.answer
	return ok, webhook.Timing{}
}

func TestOneAttemptOfABatchConnectsToAHostBeforeTheOthers(t *testing.T) {
	for name, tt := range map[string]struct {
		happens func(c *connecting)
		begun   int // requests after it
	}{
		"nothing yet":      {func(*connecting) {}, 1},
		"it has connected": {func(c *connecting) { close(c.connect) }, 3},
		"it was answered":  {func(c *connecting) { close(c.connect); close(c.answer) }, 3},
		"it takes long":    {func(*connecting) { time.Sleep(200 * time.Millisecond) }, 3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				c := &connecting{sent: make(chan string, 10), connect: make(chan struct{}), answer: make(chan struct{})}
				h := w.handler(w.retry)
				h.Sender = c
				done := make(chan struct{})
				go func() { defer close(done); w.handle(t, h, batchOf(standard, serpWow, hkubeResult)) }()
				synctest.Wait()
				tt.happens(c)
				synctest.Wait()
				if got := len(c.sent); got != tt.begun {
					t.Errorf("%d requests under way, want %d", got, tt.begun)
				}
				for _, ch := range []chan struct{}{c.connect, c.answer} {
					select {
					case <-ch:
					default:
						close(ch)
					}
				}
				<-done
				for _, id := range []string{standard, serpWow, hkubeResult} {
					w.want(t, id, webhook.StateDelivered)
				}
			})
		})
	}
}

func TestAnAttemptThatIsNotMadeKeepsNobodyWaiting(t *testing.T) {
	inBubble(t, func(t *testing.T, w *testWorld) {
		w.sender.answer = status(500)
		w.ring(t, standard)
		w.now, w.sender.answer = w.now.Add(5*time.Second), nil
		w.store.record = func(_ context.Context, a *webhook.Attempt, write func() error) error {
			if a == nil {
				return webhook.ErrStale // somebody else has claimed the retry
			}
			return write()
		}
		begun := time.Now()
		// The other is a first attempt, which claims nothing.
		w.handle(t, w.handler(w.retry), batchOf(standard, serpWow))
		if took := time.Since(begun); took >= 100*time.Millisecond { // commits linger for some
			t.Errorf("it took %s", took)
		}
		w.want(t, serpWow, webhook.StateDelivered)
	})
}
