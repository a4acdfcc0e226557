package deliver

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/jobhook/jobhook/shared/webhook"
)

func TestWhatAProcessRemembersIsBounded(t *testing.T) {
	var l HealthLog
	now := time.Now()
	for i := range maxEndpoints + maxHosts + 100 {
		id := fmt.Sprint(i)
		l.observe(&webhook.Work{Endpoint: webhook.Endpoint{ID: id}, HasEndpoint: true}, webhook.Result{Status: 500}, webhook.Outcome{Verdict: webhook.Retry, Spends: true}, now)
		l.unreachable(id, "acme", 3, now)
	}
	if len(l.endpoints) > maxEndpoints || len(l.hosts) > maxHosts {
		t.Errorf("%d endpoints and %d hosts are remembered", len(l.endpoints), len(l.hosts))
	}
	for i := range 1000 {
		l.unreachable("one", fmt.Sprint(i%2), 3, now)
	}
	if got := len(l.hosts["one"].accounts); got != 2 {
		t.Errorf("%d accounts of a host are remembered, want 2", got)
	}
}

func TestFailuresOfLongAgoOpenNoHost(t *testing.T) {
	var l HealthLog
	now := time.Now()
	for i := range 20 {
		if l.unreachable("host", fmt.Sprint(i), 3, now.Add(time.Duration(i)*(hostMemory+time.Second))) {
			t.Fatalf("failure %d opened the circuit although the one before is forgotten", i)
		}
	}
}

func TestSlowTargetsThatAreRememberedAreBounded(t *testing.T) {
	var tr Traffic
	for i := range maxFlows + 100 {
		p, _ := tr.enter(t.Context(), lane{account: "acme", target: fmt.Sprint(i), limit: 1})
		p.leave(time.Hour, false)
	}
	if got := len(tr.flows); got > maxFlows {
		t.Errorf("%d targets are remembered, want at most %d", got, maxFlows)
	}
}

func TestInAFunctionAnAttemptWaitsForItsTurnNoLongerThanItHasTime(t *testing.T) {
	const timeout = 30 * time.Second
	for name, tt := range map[string]struct{ left, want time.Duration }{
		"much time":    {10 * time.Minute, 5 * time.Second},
		"little time":  {timeout + 2*time.Second, 2 * time.Second},
		"no time":      {timeout, 0},
		"too little":   {timeout - time.Second, 0},
		"in a process": {0, 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr, l := &Traffic{}, lane{account: "acme", target: "ep", limit: 1, timeout: timeout}
				for range 100 { // one after the other, each soon over
					go func() {
						if p, why := tr.enter(t.Context(), l); why == entered {
							time.Sleep(hangingFor / 2)
							p.leave(hangingFor/2, false)
						}
					}()
				}
				synctest.Wait()
				ctx, begun := t.Context(), time.Now()
				if tt.left > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.left)
					defer cancel()
				}
				_, why := tr.enter(ctx, l)
				if took := time.Since(begun); took != tt.want || why != full {
					t.Errorf("refused with %d after %s, want %d after %s", why, took, full, tt.want)
				}
				time.Sleep(time.Minute)
			})
		})
	}
}

// The monotonic clock stands still while a function is frozen.
func TestWhatIsRememberedGrowsOldWhileAFunctionIsFrozen(t *testing.T) {
	var tr Traffic
	p, _ := tr.enter(t.Context(), lane{account: "acme", target: "ep", limit: 2})
	_, _ = tr.enter(t.Context(), lane{account: "acme", target: "ep", limit: 2})
	p.leave(time.Hour, false)
	f := tr.flows["ep"]
	for name, at := range map[string]time.Time{"an answer": f.meanAt, "an attempt": f.begun[0], "what the handler learns": (&Handler{}).now()} {
		if at != at.Round(0) {
			t.Errorf("the time of %s is counted by the monotonic clock", name)
		}
	}
}

func TestAfterAClockThatWasSetBackASlowReceiverIsTriedAgain(t *testing.T) {
	now := time.Now()
	f := &flow{mean: time.Minute, meanAt: now.Add(time.Hour), triedAt: now.Add(time.Hour)}
	if got := f.meanNow(now); got != time.Minute {
		t.Errorf("its mean of a minute has become %s", got)
	}
	if !f.tries(now) || f.tries(now) {
		t.Error("want it to be tried at once, and once")
	}
}

// Whatever enters and leaves in whatever order, no bound is passed, a place is
// given once, and in the end nothing is left.
func TestTrafficKeepsItsBoundsAndForgetsWhatHasEnded(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		ops := rapid.SliceOfN(rapid.IntRange(0, 99), 1, 60).Draw(rt, "operations")
		share := rapid.IntRange(0, 8).Draw(rt, "share")
		var wrong error
		synctest.Test(t, func(t *testing.T) { wrong = drive(t, ops, share) })
		if wrong != nil {
			rt.Fatal(wrong)
		}
	})
}

// drive makes each operation an attempt that enters, or the end of one.
func drive(t *testing.T, ops []int, share int) error {
	tr := &Traffic{Share: share}
	places := make(chan *place, len(ops))
	for _, op := range ops {
		if op%3 == 0 && len(places) > 0 {
			p := <-places
			p.leave(time.Duration(op)*100*time.Millisecond, op%2 == 0)
			p.leave(time.Hour, false) // a second end is none
		} else {
			l := lane{account: fmt.Sprint("acc", op%2), target: fmt.Sprint("acc", op%2, " ep", op%4), limit: 1 + op%3}
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(op)*50*time.Millisecond)
			go func() {
				defer cancel()
				if p, why := tr.enter(ctx, l); why == entered {
					places <- p
				}
			}()
		}
		synctest.Wait()
		if err := tr.inBounds(); err != nil {
			return err
		}
	}
	time.Sleep(time.Minute) // whoever waits gives up
	for len(places) > 0 {
		(<-places).leave(time.Millisecond, false)
		synctest.Wait()
	}
	time.Sleep(10 * time.Minute)
	if n := len(tr.accounts); n != 0 {
		return fmt.Errorf("%d accounts are left: %v", n, tr.accounts)
	}
	for target, f := range tr.flows {
		if !f.idle() || f.mean < memorable {
			return fmt.Errorf("target %s is left with %+v", target, f.begun)
		}
	}
	return nil
}

func (t *Traffic) inBounds() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	counted := map[string]int{}
	for target, f := range t.flows {
		if len(f.begun) > 3 {
			return fmt.Errorf("target %s has %d attempts in flight, which no limit allows", target, len(f.begun))
		}
		counted[target[:4]] += len(f.begun) + f.waiting.Len()
	}
	for account, n := range counted {
		if n != t.accounts[account] || t.Share > 0 && n > t.Share {
			return fmt.Errorf("account %s has %d, counted as %d, of a share of %d", account, n, t.accounts[account], t.Share)
		}
	}
	return nil
}

// Nothing opens a circuit of a URL on a job: when all have timed out, one at a
// time finds out whether it answers again.
func TestATargetThatOnlyTimesOutIsTriedByOneAttemptAtATime(t *testing.T) {
	begin := time.Now()
	f := flow{mute: hangingAt}
	if f.isMute(begin) {
		t.Error("with nothing under way nobody finds out whether it answers")
	}
	f.begun = []time.Time{begin}
	if !f.isMute(begin) {
		t.Error("a second one is let in beside it")
	}
	f.spokeAt, f.mute = begin.Add(time.Millisecond), 0
	if f.isMute(begin.Add(time.Hour)) {
		t.Error("it has answered and gets no more")
	}
}
