package sqlite

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

func TestMessagesBeyondMemoryAllComeOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const hot, all = 10, 1000
		dir := t.TempDir()
		s := open(t, dir, Options{})
		q := openQueue(t, s, QueueOptions{Visibility: time.Hour, MaxReceives: 5, MaxHot: hot})
		bells := make([]webhook.Doorbell, 100)
		for i := range hot + 1 { // memory is full from here on
			check(t, q.Send(t.Context(), "a", fmt.Sprint("first ", i), 0))
		}
		for i := range all / len(bells) {
			for k := range bells {
				bells[k] = webhook.Doorbell{Account: "a", Delivery: fmt.Sprint(i, k), Generation: 1}
			}
			check(t, q.Ring(t.Context(), bells))
		}
		if n := q.hot.size(); n > hot {
			t.Errorf("%d messages are in memory, want at most %d", n, hot)
		}
		started, seen := time.Now(), map[string]bool{}
		for len(seen) < all+hot+1 {
			list := q.Receive(t.Context(), 4, time.Minute)
			if len(list) == 0 {
				t.Fatalf("only %d of %d messages came out", len(seen), all+hot+1)
			}
			for _, m := range list {
				seen[m.Body] = true
				check(t, q.Delete(t.Context(), []string{m.Receipt}))
			}
		}
		if took := time.Since(started); took > warmEvery {
			t.Errorf("that took %s: receivers waited for the disk to be looked at", took)
		}
	})
}

func TestLongDelaysLeaveMemoryAndComeInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, t.TempDir(), Options{})
		q := openQueue(t, s, QueueOptions{Visibility: time.Hour, MaxReceives: 5})
		started := time.Now()
		check(t, q.Send(t.Context(), "a", "hidden", 0))
		check(t, q.Hide(t.Context(), wantMessage(t, q, "hidden", 1).Receipt, 12*time.Minute))
		check(t, q.Send(t.Context(), "a", "delayed", 10*time.Minute))
		if n := q.hot.size(); n != 0 {
			t.Errorf("%d messages are in memory, want 0", n)
		}
		for i, body := range []string{"delayed", "hidden"} {
			m := wantMessage(t, q, body, 1+i)
			if late := time.Since(started) - time.Duration(10+2*i)*time.Minute; late < 0 || late > 10*time.Millisecond {
				t.Errorf("%s came %s late", m.Body, late)
			}
		}
	})
}
