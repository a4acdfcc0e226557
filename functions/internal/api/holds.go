package api

import (
	"strings"

	"github.com/jobhook/jobhook/shared/webhook"
)

// holdOf is what holds a delivery: "" unless it is held.
func holdOf(d webhook.Delivery) webhook.Hold {
	if d.State != webhook.StateHeld {
		return ""
	}
	return webhook.HoldOf(d.Reason)
}

// heldBecause tells what a hold means, and what ends it.
func heldBecause(d webhook.Delivery) string {
	why := strings.TrimRight(d.Reason, ".")
	hold := holdOf(d)
	if hold == "" {
		return "It is held: " + why + "."
	}
	means, ends := meaning(hold)
	return "It is held, as " + means + ": " + strings.TrimPrefix(why, hold.Because("")) + ". " + ends
}

func meaning(h webhook.Hold) (means, ends string) {
	switch h {
	case webhook.HoldPaused:
		return "the endpoint is paused", "It is sent when the endpoint is resumed."
	case webhook.HoldDisabled:
		return "the endpoint is disabled", "Repair the receiver and resume the endpoint; then it is sent."
	case webhook.HoldSilent:
		return "nobody calls this URL for a while", "It is sent by itself after that."
	case webhook.HoldTripped:
		return "the endpoint's circuit is open", "It is sent by itself once an attempt has succeeded; repair the receiver, and resume the endpoint to try at once."
	case webhook.HoldHost:
		return "the circuit of the receiver's host is open, whoever calls it", "It is sent by itself once the host can be reached; check its name, port and certificate."
	case webhook.HoldRetryAfter:
		return "the receiver asked for a pause", "It is sent by itself after that."
	case webhook.HoldRate:
		return "the endpoint has had its attempts of this moment", "It is sent by itself in its turn; a higher rate in the endpoint's policy makes that sooner."
	case webhook.HoldBusy:
		return "the endpoint has as many attempts under way as it may", "It is sent by itself in its turn; a receiver that answers sooner, or a higher max_in_flight in the endpoint's policy, makes that sooner."
	}
	return "it may not be sent now", "It is sent by itself once it may."
}
