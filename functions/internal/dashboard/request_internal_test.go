package dashboard

import (
	"strings"
	"testing"

	"github.com/jobhook/jobhook/shared/webhook"
)

func TestALongBodyIsNotShownWithEachAttempt(t *testing.T) {
	for body, whole := range map[string]bool{strings.Repeat("a", shownBody): true, strings.Repeat("a", shownBody+1): false} {
		got := rendered(requestDetails("attempt-0", delivery{}, deliveryAttempt{URL: "https://a.example"}, &sentRequest{Body: body}))
		if shown, leads := strings.Contains(got, body), strings.Contains(got, `href="#request-body"`); shown != whole || leads == whole {
			t.Errorf("%d bytes: shown %t, led to %t", len(body), shown, leads)
		}
	}
}

func TestOfARequestOnlyWhatStaysIsShownWithAnAttempt(t *testing.T) {
	r := sentRequest{Headers: map[string][]string{"webhook-signature": {"v1,now"}, "Webhook-Timestamp": {"99"}, "X-Own": {"kept"}}}
	got := rendered(requestDetails("attempt-0", delivery{EventID: "evt_1"}, deliveryAttempt{At: "2026-03-01T12:00:00.900Z"}, &r))
	for text, want := range map[string]bool{"v1,now": false, ": 99": false, "X-Own: kept": true, "Webhook-Timestamp: 1772366400": true} {
		if strings.Contains(got, text) != want {
			t.Errorf("%s: want it there: %t\n%s", text, want, got)
		}
	}
	if len(r.Headers) != 3 {
		t.Errorf("the request was changed: %v", r.Headers)
	}
	if got := requestDetails("attempt-0", delivery{}, deliveryAttempt{Failure: string(webhook.FailureUnsendable)}, &r); got != nil {
		t.Errorf("a request is shown that was never made: %s", rendered(got))
	}
}
