package api_test

import (
	"testing"

	"github.com/jobhook/jobhook/shared/webhook"
)

func TestAHeldDeliveryTellsWhatHoldsItAndWhatEndsThat(t *testing.T) {
	s := newSite(t)
	for hold, want := range map[webhook.Hold]string{
		webhook.HoldPaused:     "It is held, as the endpoint is paused: why. It is sent when the endpoint is resumed.",
		webhook.HoldDisabled:   "It is held, as the endpoint is disabled: why. Repair the receiver and resume the endpoint; then it is sent.",
		webhook.HoldSilent:     "It is held, as nobody calls this URL for a while: why. It is sent by itself after that.",
		webhook.HoldTripped:    "It is held, as the endpoint's circuit is open: why. It is sent by itself once an attempt has succeeded; repair the receiver, and resume the endpoint to try at once.",
		webhook.HoldHost:       "It is held, as the circuit of the receiver's host is open, whoever calls it: why. It is sent by itself once the host can be reached; check its name, port and certificate.",
		webhook.HoldRetryAfter: "It is held, as the receiver asked for a pause: why. It is sent by itself after that.",
		webhook.HoldRate: "It is held, as the endpoint has had its attempts of this moment: why. " +
			"It is sent by itself in its turn; a higher rate in the endpoint's policy makes that sooner.",
		webhook.HoldBusy: "It is held, as the endpoint has as many attempts under way as it may: why. " +
			"It is sent by itself in its turn; a receiver that answers sooner, or a higher max_in_flight in the endpoint's policy, makes that sooner.",
	} {
		d := s.plant(t, "acme", reasoned(webhook.StateHeld, hold.Because("why")))
		target := s.must(t, 200, s.acme, "GET", "/v1/events/"+d.EventID, "")["targets"].([]any)[0].(map[string]any)
		if target["decision"] != want || target["decision_code"] != "held" || target["hold"] != string(hold) {
			t.Errorf("%s: got %v\nwant %s", hold, target, want)
		}
		if got := s.must(t, 200, s.acme, "GET", "/v1/deliveries/"+d.ID, ""); got["hold"] != string(hold) || got["reason"] != string(hold)+": why" {
			t.Errorf("%s: got the delivery %v", hold, got)
		}
	}
	free := s.plant(t, "acme", reasoned(webhook.StateDeclined, "rate: of no account"))
	if got := s.must(t, 200, s.acme, "GET", "/v1/deliveries/"+free.ID, ""); got["hold"] != nil {
		t.Errorf("what is not held shows a hold: %v", got)
	}
}
