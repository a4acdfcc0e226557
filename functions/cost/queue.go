package main

import (
	"cmp"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
)

// visibility of both queues: six times the timeout of deliver.
const visibility = 6 * time.Minute

// requestBytes is how much of a request's payload SQS charges as one request.
const requestBytes = 64 << 10

// queues is a server of SQS's protocol (AWS JSON 1.0) whose time is a clock of
// ours, since retries are hours apart. The handlers write to it by the real
// client; the driver takes messages as Lambda's poller would.
type queues struct {
	server *httptest.Server
	clock  *clock

	mu       sync.Mutex
	messages map[string][]*message // by the queue's name
	made     int
	requests map[string]int // by operation, as SQS charges them
}

type message struct {
	id, body, group string
	visibleAt       time.Time
	receives        int
}

// startQueues starts the server. Close ends it.
func startQueues(c *clock) *queues {
	q := &queues{clock: c, messages: map[string][]*message{}, requests: map[string]int{}}
	q.server = httptest.NewServer(http.HandlerFunc(q.serve))
	return q
}

func (q *queues) close() { q.server.Close() }

func (q *queues) url(name string) string { return q.server.URL + "/000000000000/" + name }

func (q *queues) reset() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.requests = map[string]int{}
}

func (q *queues) snapshot() map[string]int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return maps.Clone(q.requests)
}

// poll counts the requests of Lambda's poller for a batch, of which some
// messages were done: it receives and deletes ten at a time.
func (q *queues) poll(received, done int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.requests["ReceiveMessage"] += inTens(received)
	q.requests["DeleteMessageBatch"] += inTens(done)
}

func inTens(n int) int { return (n + 9) / 10 }

// sqsRequest is what the requests that the client makes have.
type sqsRequest struct {
	QueueURL string `json:"QueueUrl"`
	Entries  []struct {
		ID                string `json:"Id"`
		MessageBody       string
		DelaySeconds      int
		MessageGroupID    string `json:"MessageGroupId"`
		ReceiptHandle     string
		VisibilityTimeout int
	}
}

type sqsAnswer struct {
	Successful []sqsSuccess
	Failed     []struct{}
}

type sqsSuccess struct {
	ID        string `json:"Id"`
	MessageID string `json:"MessageId,omitempty"`
	MD5       string `json:"MD5OfMessageBody,omitempty"`
}

func (q *queues) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var in sqsRequest
	if err == nil {
		err = json.Unmarshal(body, &in)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer, err := q.answer(strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AmazonSQS."), in, len(body))
	if err != nil {
		http.Error(w, fmt.Sprintf(`{"__type":"com.amazonaws.sqs#InvalidAction","message":%q}`, err), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	_ = json.NewEncoder(w).Encode(answer) // a client that left needs no answer
}

func (q *queues) answer(operation string, in sqsRequest, size int) (a sqsAnswer, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.requests[operation] += (size + requestBytes - 1) / requestBytes
	name, now := in.QueueURL[strings.LastIndexByte(in.QueueURL, '/')+1:], q.clock.time()
	for _, e := range in.Entries {
		done := sqsSuccess{ID: e.ID}
		switch operation {
		case "SendMessageBatch":
			q.made++
			m := &message{id: "m-" + strconv.Itoa(q.made), body: e.MessageBody, group: e.MessageGroupID}
			m.visibleAt = now.Add(time.Duration(e.DelaySeconds) * time.Second)
			q.messages[name] = append(q.messages[name], m)
			sum := md5.Sum([]byte(m.body)) // the client checks it
			done.MessageID, done.MD5 = m.id, hex.EncodeToString(sum[:])
		case "ChangeMessageVisibilityBatch":
			m := q.find(name, e.ReceiptHandle)
			if m == nil {
				return a, fmt.Errorf("%s has no message %s", name, e.ReceiptHandle)
			}
			m.visibleAt = now.Add(time.Duration(e.VisibilityTimeout) * time.Second)
		default:
			return a, fmt.Errorf("%q is not among the operations that are known here", operation)
		}
		a.Successful = append(a.Successful, done)
	}
	return a, nil
}

func (q *queues) find(name, id string) *message {
	i := slices.IndexFunc(q.messages[name], func(m *message) bool { return m.id == id })
	if i < 0 {
		return nil
	}
	return q.messages[name][i]
}

// receive takes up to limit visible messages, those that wait longest first.
// They are hidden until they are deleted or the visibility timeout has passed.
func (q *queues) receive(name string, limit int) events.SQSEvent {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.clock.time()
	list := q.messages[name]
	slices.SortFunc(list, func(a, b *message) int { // not by id: sends run side by side
		return cmp.Or(a.visibleAt.Compare(b.visibleAt), cmp.Compare(a.body, b.body))
	})
	var e events.SQSEvent
	for _, m := range list {
		if len(e.Records) == limit || m.visibleAt.After(now) {
			break
		}
		m.receives++
		m.visibleAt = now.Add(visibility)
		e.Records = append(e.Records, events.SQSMessage{
			MessageId: m.id, ReceiptHandle: m.id, Body: m.body, EventSource: "aws:sqs",
			Attributes: map[string]string{"MessageGroupId": m.group, "ApproximateReceiveCount": strconv.Itoa(m.receives)},
		})
	}
	return e
}

// finish deletes the messages of a batch that did not fail, and counts the
// poller's requests.
func (q *queues) finish(name string, e events.SQSEvent, answer events.SQSEventResponse) {
	failed := map[string]bool{}
	for _, f := range answer.BatchItemFailures {
		failed[f.ItemIdentifier] = true
	}
	q.poll(len(e.Records), len(e.Records)-len(failed))
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range e.Records {
		if !failed[m.MessageId] {
			q.messages[name] = slices.DeleteFunc(q.messages[name], func(have *message) bool { return have.id == m.MessageId })
		}
	}
}

// next returns when the next message of a queue is visible; false when it is
// empty.
func (q *queues) next(name string) (at time.Time, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range q.messages[name] {
		if !ok || m.visibleAt.Before(at) {
			at, ok = m.visibleAt, true
		}
	}
	return at, ok
}

// config returns the configuration of a client of the server.
func (q *queues) config(c aws.Config) aws.Config {
	c.BaseEndpoint = &q.server.URL
	return c
}
