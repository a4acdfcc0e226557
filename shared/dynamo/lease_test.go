package dynamo_test

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jobhook/jobhook/shared/dynamo"
	"github.com/jobhook/jobhook/shared/webhook"
)

// aligned is the beginning of a window.
func aligned() time.Time { return time.Now().UTC().Truncate(webhook.LeaseWindow) }

func TestAttemptsAreLeasedUpToTheRateOfAWindow(t *testing.T) {
	now := aligned()
	s, w, o := openWired(t, func(o *dynamo.Options) { o.Now = func() time.Time { return now } })
	other := dynamo.New(o)
	lease := func(s *dynamo.Store, n, want int) {
		t.Helper()
		granted, err := s.Lease(t.Context(), "acme", "ep_1", 10, n)
		check(t, err)
		same(t, "granted", granted, want)
	}
	for range 2 {
		lease(s, 30, 30)
		lease(other, 30, 20) // what is left of 50
		lease(s, 1, 0)
		w.set(nil)
		lease(s, 1, 0)
		same(t, "writes for what is known to be spent", w.count("UpdateItem"), 0)
		now = now.Add(webhook.LeaseWindow)
	}
	lease(s, 1000, 50)
	granted, err := s.Lease(t.Context(), "acme", "ep_2", 10, 7)
	check(t, err)
	same(t, "granted of another endpoint", granted, 7)
}

func TestManyWhoLeaseAtOnceGetNoMoreThanTheRate(t *testing.T) {
	now := aligned()
	_, _, o := openWired(t, func(o *dynamo.Options) { o.Now = func() time.Time { return now } })
	var sum atomic.Int64
	var all sync.WaitGroup
	for range 12 {
		all.Go(func() {
			granted, err := dynamo.New(o).Lease(t.Context(), "acme", "ep_1", 10, 7)
			sum.Add(int64(granted))
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := sum.Load(); n > 50 || n < 49-7 {
		t.Errorf("%d attempts were granted of 50", n)
	}
}

// TestALeaseWhoseAnswerWasLostGrantsRatherTooFew loses answers of requests
// that were applied, and are repeated.
func TestALeaseWhoseAnswerWasLostGrantsRatherTooFew(t *testing.T) {
	now := aligned()
	s, w, _ := openWired(t, func(o *dynamo.Options) { o.Now = func() time.Time { return now } })
	sum := 0
	for range 10 {
		w.set(loseFirstAnswer)
		granted, err := s.Lease(t.Context(), "acme", "ep_1", 10, 10)
		check(t, err)
		sum += granted
	}
	if sum > 50 || sum < 20 {
		t.Errorf("%d attempts were granted of 50", sum)
	}
}

func TestALeaseThatCannotBeWrittenGrantsNothing(t *testing.T) {
	s, w, _ := openWired(t, nil)
	w.set(func(string, int, []byte, func([]byte) (*http.Response, error)) (*http.Response, error) {
		return answer(400, `{"__type":"com.amazonaws.dynamodb.v20120810#AccessDeniedException","message":"no"}`)
	})
	if granted, err := s.Lease(t.Context(), "acme", "ep_1", 10, 10); err == nil || granted != 0 {
		t.Errorf("granted %d, error %v", granted, err)
	}
}
