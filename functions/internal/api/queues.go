package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

const (
	// maxDeadLetters are shown at once: enough to see what they have in common.
	maxDeadLetters = 100
	// maxDeadBody bytes of each are shown; what we send is far shorter.
	maxDeadBody = 4 << 10
	// redriveFor is how long one request brings back dead letters: half of what
	// API Gateway waits for an answer.
	redriveFor = 15 * time.Second
)

// QueueKeeper tells how full a queue is and keeps its dead letters.
type QueueKeeper interface {
	// Depth tells what the queue holds. The numbers may be approximate.
	Depth(ctx context.Context) (webhook.QueueDepth, error)
	// DeadLetters returns up to limit messages that were received too often. They
	// stay where they are.
	DeadLetters(ctx context.Context, limit int) ([]webhook.Message, error)
	// Redrive sends the dead letters back into the queue, as if they were new. It
	// returns how many, also with an error; then the rest stays.
	Redrive(ctx context.Context) (int, error)
}

// Queues are those that operators look into; nil for one that is not there.
type Queues struct {
	First  QueueKeeper // of first attempts
	Retry  QueueKeeper // of all further ones
	Export QueueKeeper // of exports and erasures
}

// namedQueue is a queue by the name that operators know it by.
type namedQueue struct {
	name string
	QueueKeeper
}

func (q Queues) all() []namedQueue {
	all := []namedQueue{{"first", q.First}, {"retry", q.Retry}, {"export", q.Export}}
	return slices.DeleteFunc(all, func(q namedQueue) bool { return q.QueueKeeper == nil })
}

// named returns the queue of a name, or webhook.ErrNotFound.
func (q Queues) named(name string) (namedQueue, error) {
	for _, q := range q.all() {
		if q.name == name {
			return q, nil
		}
	}
	return namedQueue{}, webhook.ErrNotFound
}

// queueView shows what a queue holds.
type queueView struct {
	Name    string `json:"name" enum:"first,retry,export" doc:"first: first attempts; retry: all further ones; export: files of results, and erasures."`
	Visible int    `json:"visible" doc:"Messages that may be received now."`
	Hidden  int    `json:"hidden" doc:"Messages that are attended to, or wait for their next attempt."`
	Delayed int    `json:"delayed" doc:"Messages that were sent for later."`
	Dead    int    `json:"dead" doc:"Dead letters: messages that were received too often. Anything but 0 is a fault of Jobhook."`
}

// queueList has no pages: there are three.
type queueList struct {
	Items []queueView `json:"items" nullable:"false"`
}

// deadLetterView shows a dead letter.
type deadLetterView struct {
	ID       string `json:"id" doc:"What the queue calls it."`
	Account  string `json:"account,omitempty" doc:"Whose delivery or job it is about; absent where the message does not say."`
	Delivery string `json:"delivery,omitempty" doc:"The delivery that it rings for; absent for an export or an erasure."`
	Body     string `json:"body" doc:"Its first 4 KiB."`
	Receives int    `json:"receives" doc:"How often it was received; on AWS looking at it counts too."`
	SentAt   string `json:"sent_at,omitempty" format:"date-time"`
}

// deadLetterList has no pages: on AWS there is no order in which to go on.
type deadLetterList struct {
	Items []deadLetterView `json:"items" nullable:"false"`
}

type redriveView struct {
	Redriven int  `json:"redriven" doc:"How many were sent back."`
	More     bool `json:"more,omitempty" doc:"The time was up before the last one: ask again for the rest."`
}

type queuePath struct {
	Queue string `path:"queue" doc:"first, retry or export."`
}

func (a *API) addQueues() {
	register(a, operation{id: "list-queues", method: http.MethodGet, path: "/v1/queues", tag: "Queues", status: http.StatusOK,
		summary: "List the queues and how many messages each holds", details: "On AWS the numbers are approximate, and up to a minute old."},
		scopes(), a.listQueues)
	register(a, operation{id: "list-dead-letters", method: http.MethodGet, path: "/v1/queues/{queue}/dead-letters", tag: "Queues", status: http.StatusOK,
		summary: "Look at the dead letters of a queue",
		details: "At most 100, in no order. On AWS looking takes them and puts them back: of two who look at once each sees a part, and what is being looked at is not redriven."},
		scopes(), a.listDeadLetters)
	register(a, operation{id: "redrive-queue", method: http.MethodPost, path: "/v1/queues/{queue}:redrive", tag: "Queues", status: http.StatusAccepted,
		summary: "Send the dead letters of a queue back into it",
		details: "They are received as if they were new. Mend first what made dead letters of them. What was redriven twice rings twice, which does no harm."},
		scopes(), a.redriveQueue)
}

func (a *API) listQueues(ctx context.Context, _ *struct{}) (*result[queueList], error) {
	answer := queueList{Items: []queueView{}}
	for _, q := range a.Queues.all() {
		d, err := q.Depth(ctx)
		if err != nil {
			return nil, err
		}
		answer.Items = append(answer.Items, queueView{Name: q.name, Visible: d.Visible, Hidden: d.Hidden, Delayed: d.Delayed, Dead: d.Dead})
	}
	return &result[queueList]{Body: answer}, nil
}

func (a *API) listDeadLetters(ctx context.Context, in *queuePath) (*result[deadLetterList], error) {
	q, err := a.Queues.named(in.Queue)
	if err != nil {
		return nil, err
	}
	list, err := q.DeadLetters(ctx, maxDeadLetters)
	if err != nil {
		return nil, err
	}
	answer := deadLetterList{Items: []deadLetterView{}}
	for _, m := range list {
		answer.Items = append(answer.Items, viewDeadLetter(m))
	}
	return &result[deadLetterList]{Body: answer}, nil
}

// redriveQueue brings back what it can in its time. Whatever it could is an
// answer, not a refusal.
func (a *API) redriveQueue(ctx context.Context, in *queuePath) (*result[redriveView], error) {
	q, err := a.Queues.named(in.Queue)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, redriveFor)
	defer cancel()
	n, err := q.Redrive(ctx)
	if n > 0 {
		a.Log.InfoContext(ctx, "queue.redriven", "queue", q.name, "messages", n)
	}
	more := n > 0 && errors.Is(err, context.DeadlineExceeded)
	if err != nil && !more {
		return nil, err
	}
	return &result[redriveView]{Body: redriveView{Redriven: n, More: more}}, nil
}

func viewDeadLetter(m webhook.Message) deadLetterView {
	v := deadLetterView{ID: m.ID, Body: m.Body, Receives: m.Receives, SentAt: stamp(m.SentAt)}
	v.Account, v.Delivery = subjectOf(m.Body)
	if len(m.Body) > maxDeadBody {
		v.Body = strings.ToValidUTF8(m.Body[:maxDeadBody], "") // not a half of a character
	}
	return v
}

// subjectOf tells what a message is about, as far as it says: one that asks for an
// export names an account, one that asks to erase names nobody.
func subjectOf(body string) (account, delivery string) {
	if bell, err := webhook.ParseDoorbell(body); err == nil {
		return bell.Account, bell.Delivery
	}
	var export webhook.Export
	if err := json.Unmarshal([]byte(body), &export); err != nil {
		return "", ""
	}
	return export.Account, ""
}
