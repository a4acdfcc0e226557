package deliver

import (
	"context"
	"crypto/rand"
	"strings"
	"time"

	"github.com/jobhook/jobhook/shared/format"
	"github.com/jobhook/jobhook/shared/webhook"
)

// maxTrial bounds a test webhook: whoever asked for it waits for the answer,
// behind a gateway that gives up after 30 seconds.
const maxTrial = 25 * time.Second

// Trial is a test webhook and what came of it.
type Trial struct {
	Request   webhook.Request // with the endpoint's own headers, which may hold credentials
	Result    webhook.Result  // as much of it as an attempt's record keeps
	Timing    webhook.Timing
	Delivered bool // by the endpoint's policy
}

// Try sends a signed webhook.test to an endpoint, whatever its status, and
// leaves no trace: no event, no delivery, no health, no silence. All formats
// get the body of the standard format: the others have none without a job. What
// counts as a success, and how long the receiver has, at most 25 seconds, is as
// the endpoint's format and policy say; for "auto", as the standard format does.
func Try(ctx context.Context, sender Sender, e webhook.Endpoint, publicURL string, now time.Time) Trial {
	standard, _ := format.Lookup(format.Standard)
	own, ok := format.Lookup(e.Format)
	if !ok {
		own = standard
	}
	policy := own.Policy.With(e.Policy)
	w := webhook.Work{Event: testEvent(e.Account, now), Endpoint: e, HasEndpoint: true, Secrets: e.Signing(now)}
	r, err := Compose(&w, standard, publicURL, now)
	r.Timeout = min(policy.Timeout, maxTrial)
	t := Trial{Request: r}
	if err != nil {
		t.Result = unsendable(err)
		return t
	}
	t.Result, t.Timing = sender.Post(ctx, r)
	t.Delivered = t.Result.Failure == "" && policy.Success.Accepts(t.Result.Status)
	t.Result = t.Result.Trim(false)
	return t
}

// testEvent is an event that is stored nowhere. Its id looks like another's.
func testEvent(account string, now time.Time) webhook.Event {
	id := "evt_" + webhook.TimePrefix(now) + strings.ToLower(rand.Text()[:16])
	return webhook.Event{ID: id, Type: webhook.WebhookTest, Account: account, At: now}
}
