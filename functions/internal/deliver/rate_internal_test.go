package deliver

import (
	"testing"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

// Of an endpoint with ten a second, fifty come anew, in batches of five, and as
// many as it takes are released of those that were held.
func TestWhatWasHeldForItsRateGetsHalfOfItHoweverManyComeAnew(t *testing.T) {
	const rate, seconds = 10, 60
	var l HealthLog
	w := &webhook.Work{Endpoint: webhook.Endpoint{ID: "ep_1", URL: "https://receiver.example/"}, HasEndpoint: true}
	left, anew, released := float64(rate), 0, 0
	lease := func(n int) (granted int) {
		granted = min(n, int(left))
		left -= float64(granted)
		return granted
	}
	const step = time.Second / rate
	for now := time.Now(); released+anew < rate*seconds; now = now.Add(step) {
		left = min(left+1, rate)
		if n := l.mayLease(w, 5, now); n > 0 {
			granted := lease(n)
			l.leased(w, granted == n, now)
			anew += granted
		}
		released += lease(1)
	}
	if released < anew {
		t.Errorf("%d of those that were held and %d that came anew, want half at least", released, anew)
	}
	if anew == 0 {
		t.Error("nothing that came anew was ever tried")
	}
}
