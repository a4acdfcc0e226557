// Package deliver makes the attempts: a Lambda on the two delivery queues, or
// the same handler on the queues of the standalone host. A message says only
// which delivery to look at; what is to be done stands in the delivery's row.
package deliver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/jobhook/jobhook/functions/internal/crew"
	"github.com/jobhook/jobhook/functions/internal/metrics"
	"github.com/jobhook/jobhook/shared/webhook"
)

// MaxHide is the longest wait by visibility timeout. A longer one is parked:
// a hidden message counts against the queue's in-flight quota.
const MaxHide = 15 * time.Minute

// Store keeps deliveries and what is known of their targets.
type Store interface {
	// Load reads what is needed for an attempt of each delivery, in order. A
	// delivery that does not exist is a Work with a zero Delivery; what of one
	// cannot be read is its Err.
	Load(ctx context.Context, refs []webhook.Ref) ([]webhook.Work, error)
	// Record replaces a delivery's row if nobody changed it since it was read,
	// and keeps the attempt, if any, in every case. It returns ErrStale when
	// the row was not replaced. A success is always recorded.
	Record(ctx context.Context, read, next webhook.Delivery, attempt *webhook.Attempt) error
	// Overtaken tells whether the delivery's target was sent, or is to be sent,
	// a newer progress event of the same job.
	Overtaken(ctx context.Context, d webhook.Delivery) (bool, error)
	// Silence keeps everybody from calling the exact URL until then.
	Silence(ctx context.Context, url string, until time.Time) error
	// Disable disables an endpoint, with the reason, if its URL is still url,
	// and keeps the notices to be told. One that is not enabled stays as it is.
	Disable(ctx context.Context, account, endpoint, url, reason string, told ...webhook.Notice) error
	// AddStats adds to the hourly statistics. Losing some in a crash is allowed.
	AddStats(ctx context.Context, stats []webhook.Stats) error
	// SetHealth replaces what is known of an endpoint, next.Version being
	// read.Version + 1, and keeps the notices to be told in the same write. It
	// returns ErrStale when it has changed since, ErrNotFound when the endpoint is gone.
	SetHealth(ctx context.Context, account string, read, next webhook.Health, told ...webhook.Notice) error
	// HealthOf reads what is known of an endpoint, from no memory; ErrNotFound
	// when it is gone.
	HealthOf(ctx context.Context, account, endpoint string) (webhook.Health, error)
	// SetHost replaces what is known of a host; ErrStale when it has changed since.
	SetHost(ctx context.Context, read, next webhook.HostHealth) error
	// Lease grants up to n attempts of an endpoint that may have rate a second.
	Lease(ctx context.Context, account, endpoint string, rate, n int) (granted int, err error)
}

// Queue is the queue that a batch came from.
type Queue interface {
	// Hide makes a received message invisible for d from now on.
	Hide(ctx context.Context, receipt string, d time.Duration) error
}

// RetryQueue takes the doorbells of further attempts.
type RetryQueue interface {
	// Ring sends the doorbells, each after its own delay of at most MaxHide.
	Ring(ctx context.Context, bells []webhook.Doorbell) error
}

// Sender makes requests.
type Sender interface {
	// Post sends one request. Everything that can come of it is a Result.
	Post(ctx context.Context, r webhook.Request) (webhook.Result, webhook.Timing)
}

// Handler makes the attempts that a batch of messages rings for, all at once.
type Handler struct {
	Store     Store
	Queue     Queue
	Retry     RetryQueue // nil when the batch comes from the retry queue itself
	Sender    Sender
	PublicURL string              // begins the links of the standard format
	Health    *HealthLog          // nil: nothing is learned of endpoints and hosts
	Rules     webhook.HealthRules // the numbers behind what is learned
	Traffic   *Traffic            // of the process, which both lanes share; nil: no bound on attempts in flight
	Metrics   *metrics.Emitter    // one line per batch; nil: none
	Crew      *crew.Crew          // runs the attempts of a batch but the last; nil: a goroutine each
	Now       func() time.Time    // nil is the wall clock
	Jitter    func() float64      // in [0, 1); nil is random
	Pause     func(time.Duration) // between tries to record; nil is time.Sleep
	Log       *slog.Logger        // nil is slog.Default
}

// errStay says that a message was handled but must stay in its queue.
var errStay = errors.New("the message stays in the queue")

// Handle attempts the deliveries of a batch and reports the messages that stay
// in the queue. The error is always nil: one bad message must not bring back
// the whole batch. It returns before ctx's deadline: an invocation that Lambda
// ends loses its answer, and all its messages come again.
func (h *Handler) Handle(ctx context.Context, e events.SQSEvent) (events.SQSEventResponse, error) {
	if len(e.Records) == 0 {
		return events.SQSEventResponse{}, nil
	}
	b, end := h.begin(ctx)
	defer end()
	works, errs := h.load(b.ctx, e.Records)
	b.errs = errs
	h.attend(b, e.Records, works)
	b.wait.Wait()
	h.conclude(ctx, b, errs)
	return h.report(ctx, e.Records, errs), nil
}

// load reads the rows that the messages ring for. A message that cannot be
// understood fails, and so ends among the dead letters; one whose delivery is
// gone, or that another message of the batch rings for, needs nothing more. The
// work of messages that fail or need nothing is nil.
func (h *Handler) load(ctx context.Context, messages []events.SQSMessage) ([]*webhook.Work, []error) {
	works, errs := make([]*webhook.Work, len(messages)), make([]error, len(messages))
	bells, refs := make([]webhook.Doorbell, len(messages)), make([]webhook.Ref, 0, len(messages))
	for i, m := range messages {
		if bells[i], errs[i] = webhook.ParseDoorbell(m.Body); errs[i] == nil {
			refs = append(refs, bells[i].Ref())
		}
	}
	loaded, err := h.Store.Load(ctx, refs)
	next, attended := 0, make(map[webhook.Ref]bool, len(refs))
	for i := range messages {
		switch {
		case errs[i] != nil:
		case err != nil:
			errs[i] = fmt.Errorf("delivery %s: load: %w", bells[i].Delivery, err)
		default:
			w, ref := &loaded[next], bells[i].Ref()
			next++
			if attended[ref] {
				continue
			}
			attended[ref] = h.wanted(ctx, bells[i], w)
			switch {
			case !attended[ref]:
			case w.Err != nil:
				errs[i] = fmt.Errorf("delivery %s: load: %w", ref.ID, w.Err)
			default:
				works[i] = w
			}
		}
	}
	return works, errs
}

// wanted tells whether a doorbell's delivery is neither gone nor past.
func (h *Handler) wanted(ctx context.Context, bell webhook.Doorbell, w *webhook.Work) bool {
	if w.Delivery.ID == "" {
		h.log().WarnContext(ctx, "delivery.gone", "delivery", bell.Delivery)
		return false
	}
	return bell.Generation >= w.Delivery.Generation && !w.Delivery.State.Final()
}

// report lists the messages that stay, and logs why unless they only wait.
func (h *Handler) report(ctx context.Context, messages []events.SQSMessage, errs []error) events.SQSEventResponse {
	var r events.SQSEventResponse
	for i, err := range errs {
		if err == nil {
			continue
		}
		if !errors.Is(err, errStay) {
			h.log().ErrorContext(ctx, "message.failed", "message", messages[i].MessageId, "error", err)
		}
		r.BatchItemFailures = append(r.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: messages[i].MessageId})
	}
	return r
}

func (h *Handler) now() time.Time {
	if h.Now == nil {
		return wallTime()
	}
	return h.Now()
}

func (h *Handler) jitter() float64 {
	if h.Jitter == nil {
		return rand.Float64()
	}
	return h.Jitter()
}

func (h *Handler) log() *slog.Logger {
	if h.Log == nil {
		return slog.Default()
	}
	return h.Log
}
