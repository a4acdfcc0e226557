// Package host runs the handlers in one process. It turns the change feed and
// the queues of a local store into exactly the events that Lambda delivers, so
// that nothing in the handlers knows where it runs.
package host

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/jobhook/jobhook/functions/internal/crew"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// Feed is the change feed of the job records.
type Feed interface {
	// Changes returns the oldest changes after the given one, in order.
	Changes(ctx context.Context, after, limit int) ([]job.Written, error)
	// ChangesReady receives when there may be changes.
	ChangesReady() <-chan struct{}
	// Dispatched forgets the changes up to seq.
	Dispatched(seq int)
}

// Queue is a queue with the semantics of SQS.
type Queue interface {
	// Receive returns up to max messages, none when wait has passed or ctx ended.
	Receive(ctx context.Context, max int, wait time.Duration) []webhook.Message
	// Delete removes messages by their receipts.
	Delete(ctx context.Context, receipts []string) error
}

// Dispatcher handles batches of the change feed.
type Dispatcher interface {
	Handle(ctx context.Context, e events.DynamoDBEvent) (events.DynamoDBEventResponse, error)
}

// Deliverer handles batches of a queue.
type Deliverer interface {
	Handle(ctx context.Context, e events.SQSEvent) (events.SQSEventResponse, error)
}

// Sweeper does what is due.
type Sweeper interface {
	Handle(ctx context.Context, e events.EventBridgeEvent) error
}

// Lane is a queue with the handler of its messages.
type Lane struct {
	Name        string
	Queue       Queue
	Handler     Deliverer
	MaxBatches  int // full ones, in flight; 0 is the host's
	MaxMessages int // in a batch; 0 is MaxMessages
}

// Host runs the handlers until it is stopped.
type Host struct {
	Feed       Feed
	Dispatch   Dispatcher
	Lanes      []Lane
	Sweep      Sweeper
	SweepEvery time.Duration // 0 is DefaultSweepEvery
	MaxBatches int           // full batches in flight per lane; 0 is DefaultMaxBatches
	Grace      time.Duration // how long Run waits for attempts under way when it is stopped
	Log        *slog.Logger
}

// Defaults of Host.
const (
	DefaultSweepEvery = time.Second
	DefaultMaxBatches = 4096
)

// MaxMessages is the size of a batch of messages, that of SQS; maxChanges that of
// a batch of changes, as of Lambda for streams.
const (
	maxChanges  = 100
	MaxMessages = 10
)

// Run works until ctx ends. Then it takes nothing new, waits up to Grace for
// the attempts under way, and cuts off the rest: their messages stay in their
// queues and come again.
func (h *Host) Run(ctx context.Context) {
	work, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	var wait sync.WaitGroup
	wait.Go(func() { h.pumpFeed(ctx, work) })
	wait.Go(func() { h.tick(ctx, work) })
	for _, lane := range h.Lanes {
		wait.Go(func() { h.pumpLane(ctx, work, lane) })
	}
	<-ctx.Done()
	timer := time.AfterFunc(h.Grace, cut)
	defer timer.Stop()
	wait.Wait()
}

// retryEvery is the pause after the store or the handler failed.
const retryEvery = 250 * time.Millisecond

// pumpFeed hands the changes to dispatch in order, one batch at a time. After a
// batch that was not full it looks again only when more is announced.
func (h *Host) pumpFeed(ctx, work context.Context) {
	after, r := 0, &recorder{}
	for ctx.Err() == nil {
		changes, err := h.Feed.Changes(ctx, after, maxChanges)
		if err != nil {
			h.Log.ErrorContext(ctx, "feed.failed", "error", err)
			pause(ctx, retryEvery)
			continue
		}
		done := h.dispatch(work, r, changes)
		if done > 0 {
			after = changes[done-1].Seq
			h.Feed.Dispatched(after)
		}
		switch {
		case done < len(changes):
			pause(ctx, retryEvery)
		case len(changes) < maxChanges:
			select {
			case <-h.Feed.ChangesReady():
			case <-ctx.Done():
			}
		}
	}
}

// dispatch returns how many of the changes were handled, as a stream counts:
// all before the first failure that is reported.
func (h *Host) dispatch(ctx context.Context, recorder *recorder, changes []job.Written) (done int) {
	if len(changes) == 0 {
		return 0
	}
	defer h.recovered(ctx, "dispatch")
	event := events.DynamoDBEvent{Records: make([]events.DynamoDBEventRecord, len(changes))}
	for i, c := range changes {
		event.Records[i] = recorder.record(c)
	}
	response, err := h.Dispatch.Handle(ctx, event)
	if err != nil {
		h.Log.ErrorContext(ctx, "dispatch.failed", "error", err)
		return 0
	}
	if len(response.BatchItemFailures) == 0 {
		return len(changes)
	}
	for i, r := range event.Records {
		if r.Change.SequenceNumber == response.BatchItemFailures[0].ItemIdentifier {
			return i
		}
	}
	return 0
}

// pumpLane hands the messages of a queue to their handler, many batches at a
// time. What is bounded are messages, so that small batches, as they come under
// little load, are as many: each may wait for a receiver that hangs. A batch keeps
// its places until its last message is done, so with half of them taken batches
// are of one message: a slow one then holds no place but its own.
func (h *Host) pumpLane(ctx, work context.Context, lane Lane) {
	size := cmp.Or(lane.MaxMessages, MaxMessages)
	taken := make(chan struct{}, size*cmp.Or(lane.MaxBatches, h.MaxBatches, DefaultMaxBatches))
	team := crew.New()
	defer team.Close()
	for ctx.Err() == nil {
		select {
		case taken <- struct{}{}:
		case <-ctx.Done():
			return
		}
		// Only this goroutine takes places, so there are as many for the others.
		room := 1 + cap(taken) - len(taken)
		if room <= cap(taken)/2 {
			room = 1
		}
		messages := lane.Queue.Receive(ctx, min(size, room), longPoll)
		if len(messages) == 0 {
			<-taken
			continue
		}
		for range messages[1:] {
			taken <- struct{}{}
		}
		team.Go(func() {
			defer func() {
				for range messages {
					<-taken
				}
			}()
			h.deliver(work, lane, messages)
		})
	}
}

// longPoll is how long a receive waits for a message.
const longPoll = 20 * time.Second

// deliver hands over one batch and deletes what was not reported as failed.
func (h *Host) deliver(ctx context.Context, lane Lane, messages []webhook.Message) {
	defer h.recovered(ctx, lane.Name)
	event := events.SQSEvent{Records: make([]events.SQSMessage, len(messages))}
	for i, m := range messages {
		event.Records[i] = sqsMessage(lane.Name, m)
	}
	response, err := lane.Handler.Handle(ctx, event)
	if err != nil {
		h.Log.ErrorContext(ctx, "deliver.failed", "lane", lane.Name, "error", err)
		return
	}
	if err := lane.Queue.Delete(ctx, handled(messages, response)); err != nil {
		h.Log.ErrorContext(ctx, "delete.failed", "lane", lane.Name, "error", err)
	}
}

// handled returns the receipts of the messages that are done with.
func handled(messages []webhook.Message, response events.SQSEventResponse) []string {
	failed := make(map[string]bool, len(response.BatchItemFailures))
	for _, f := range response.BatchItemFailures {
		failed[f.ItemIdentifier] = true
	}
	receipts := make([]string, 0, len(messages))
	for _, m := range messages {
		if !failed[m.ID] {
			receipts = append(receipts, m.Receipt)
		}
	}
	return receipts
}

// tick runs sweep at its interval.
func (h *Host) tick(ctx, work context.Context) {
	every := h.SweepEvery
	if every == 0 {
		every = DefaultSweepEvery
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			h.sweep(work)
		case <-ctx.Done():
			return
		}
	}
}

func (h *Host) sweep(ctx context.Context) {
	defer h.recovered(ctx, "sweep")
	if err := h.Sweep.Handle(ctx, events.EventBridgeEvent{Source: "jobhook.standalone"}); err != nil {
		h.Log.ErrorContext(ctx, "sweep.failed", "error", err)
	}
}

// recovered turns a handler's panic into a log line, as Lambda turns it into
// a failed invocation.
func (h *Host) recovered(ctx context.Context, where string) {
	if p := recover(); p != nil {
		h.Log.ErrorContext(ctx, "handler.panicked", "handler", where, "error", fmt.Sprint(p))
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
