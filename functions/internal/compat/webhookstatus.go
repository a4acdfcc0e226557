package compat

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/jobhook/jobhook/functions/internal/crew"
	"github.com/jobhook/jobhook/functions/internal/resend"
	"github.com/jobhook/jobhook/shared/format"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// webhookStatus is what became of a result set's webhook.
type webhookStatus struct {
	Status string       `json:"status"` // ok, failed or pending
	Log    []webhookLog `json:"log"`
}

type webhookLog struct {
	DateTime string `json:"date_time"`
	Text     string `json:"text"`

	at time.Time
}

// maxReads is how many deliveries' attempts are read at once.
const maxReads = 16

// withStatuses adds to result sets what became of their webhooks.
func (c *routes) withStatuses(ctx context.Context, j job.Job, list []result) ([]resultView, error) {
	f := webhook.Filter{Account: j.Account, JobID: j.ID, Type: webhook.ResultSetReady}
	switch len(list) {
	case 0:
		return []resultView{}, nil
	case 1:
		f.EventID = list[0].eventID
	}
	sent := map[string][]webhook.Delivery{}
	err := c.deliveriesOf(ctx, f, func(d webhook.Delivery) {
		if d.Target.Format == format.SerpWow {
			sent[d.EventID] = append(sent[d.EventID], d)
		}
	})
	if err != nil {
		return nil, err
	}
	views := make([]resultView, len(list))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(maxReads)
	for i, res := range list {
		views[i] = res.view
		g.Go(func() error {
			return crew.Guarded(func() (err error) {
				views[i].WebhookStatus, err = c.statusOf(ctx, sent[res.eventID])
				return err
			})
		})
	}
	return views, g.Wait()
}

// statusOf sums up the deliveries of one event: pending while any is under
// way, else failed when any has failed. Nil when there are none.
func (c *routes) statusOf(ctx context.Context, list []webhook.Delivery) (*webhookStatus, error) {
	if len(list) == 0 {
		return nil, nil
	}
	s := &webhookStatus{Status: "ok", Log: []webhookLog{}}
	for _, d := range list {
		switch {
		case d.State == webhook.StateDelivered, !d.DeliveredAt.IsZero():
		case !d.State.Final():
			s.Status = "pending"
		case s.Status == "ok":
			s.Status = "failed"
		}
		lines, err := c.logOf(ctx, d)
		if err != nil {
			return nil, err
		}
		s.Log = append(s.Log, lines...)
	}
	slices.SortStableFunc(s.Log, func(a, b webhookLog) int { return a.at.Compare(b.at) })
	return s, nil
}

// logOf tells of each attempt, or why there was none and will be none.
func (c *routes) logOf(ctx context.Context, d webhook.Delivery) ([]webhookLog, error) {
	attempts, err := c.Store.Attempts(ctx, d.Ref())
	if err != nil && !errors.Is(err, webhook.ErrNotFound) { // it expired just now
		return nil, err
	}
	if len(attempts) == 0 && d.State.Final() {
		return []webhookLog{line(d.UpdatedAt, "Webhook POST not sent: "+d.Reason)}, nil
	}
	var list []webhookLog
	for _, a := range attempts {
		text := "Webhook POST completed successfully."
		if a.State != webhook.StateDelivered {
			text = "Webhook POST failed: " + a.Result.Summary() + "."
		}
		list = append(list, line(a.At, text))
	}
	return list, nil
}

func line(at time.Time, text string) webhookLog {
	return webhookLog{DateTime: stamp(at), Text: text, at: at}
}

// resendWebhook sends the result set's webhook again and tells what the
// receiver answered. SerpWow knows one webhook of a result set; where an
// account has several, all are sent, and one that fails fails the call. A HEAD
// tells whether there is something to send, and sends nothing.
func (c *routes) resendWebhook(w http.ResponseWriter, r *http.Request, account string) error {
	j, err := c.batch(r, account)
	if err != nil {
		return err
	}
	res, err := c.resultOf(r, j)
	if err != nil {
		return err
	}
	list, none, err := c.webhooksOf(r.Context(), j, res)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return refuse(http.StatusBadRequest, "The Result Set did not have a webhook POST set%s.", none)
	}
	if r.Method != http.MethodHead {
		if err := c.resendAll(r.Context(), list); err != nil {
			return err
		}
	}
	return show(w, r, serpWowAnswer{requestInfo{true, "Webhook POST resent successfully."}})
}

// webhooksOf returns the deliveries of a result set in SerpWow's format. If
// there are none, it says why, as far as that is known.
func (c *routes) webhooksOf(ctx context.Context, j job.Job, res result) (list []webhook.Delivery, none string, err error) {
	err = c.deliveriesOf(ctx, webhook.Filter{Account: j.Account, JobID: j.ID, EventID: res.eventID}, func(d webhook.Delivery) {
		if d.Target.Format == format.SerpWow {
			list = append(list, d)
		} else if d.State == webhook.StateDeclined {
			none = ": " + d.Reason
		}
	})
	return list, none, err
}

// A caller of resendwebhook waits for all of its resends, of which so many are
// made at once. An HTTP API of AWS answers within 30 s.
const (
	resendTimeout = 25 * time.Second
	maxResends    = 8
)

// resendAll sends every delivery. One whose endpoint is gone does not count
// beside others that could be sent.
func (c *routes) resendAll(ctx context.Context, list []webhook.Delivery) error {
	ctx, cancel := context.WithTimeout(ctx, resendTimeout)
	defer cancel()
	errs := make([]error, len(list))
	var g errgroup.Group // without its context: a failure keeps no other from being sent
	g.SetLimit(maxResends)
	for i, d := range list {
		g.Go(func() error {
			errs[i] = crew.Guarded(func() error { return c.resend(ctx, d) })
			return nil
		})
	}
	_ = g.Wait() // what went wrong stands in errs
	return resent(errs)
}

// resent sums up what became of the resends: the first failure, if any.
func resent(errs []error) error {
	var gone error
	sent := 0
	for _, err := range errs {
		var target *resend.NoTargetError
		switch {
		case errors.As(err, &target):
			gone = refuse(http.StatusBadRequest, "Webhook POST not resent: %v.", target)
		case err != nil:
			return err
		default:
			sent++
		}
	}
	if sent == 0 {
		return gone
	}
	return nil
}

// resend sends one delivery. What the receiver did wrong is a refusal.
func (c *routes) resend(ctx context.Context, d webhook.Delivery) error {
	after, attempt, err := c.Resend.ResendNow(ctx, d.Ref())
	switch {
	case errors.Is(err, webhook.ErrInFlight), errors.Is(err, webhook.ErrStale):
		return refuse(http.StatusBadRequest, "Webhook POST not resent: an attempt is queued or being made; wait for its end, then try again.")
	case errors.Is(err, context.DeadlineExceeded):
		return refuse(http.StatusBadRequest, "Webhook POST not resent yet: there was no time left; see the Result Set's webhook_status in a minute, and try again if nothing was sent.")
	case err != nil:
		return fmt.Errorf("delivery %s: resend: %w", d.ID, err)
	case attempt == nil && after.State == webhook.StateQueued:
		return refuse(http.StatusBadRequest, "Webhook POST not resent yet: an attempt might not end in the time that this request has. The webhook is queued and will be sent; see the Result Set's webhook_status.")
	case attempt == nil:
		return refuse(http.StatusBadRequest, "Webhook POST not resent yet: it is %s: %s.", after.State, after.Reason)
	case attempt.State != webhook.StateDelivered:
		return refuse(http.StatusBadRequest, "Webhook POST failed: %s.", attempt.Result.Summary())
	}
	return nil
}
