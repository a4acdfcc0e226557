// Package sqsqueue is a queue of doorbells in SQS: a standard queue, with the
// account as message group, so that SQS serves accounts fairly.
package sqsqueue

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/jobhook/jobhook/shared/webhook"
)

// Limits of SQS.
const (
	maxDelay      = 15 * time.Minute
	maxVisibility = 12 * time.Hour
	maxWait       = 20 * time.Second
	maxGroup      = 128 // bytes
)

// Queue is a standard queue. Whatever SQS refuses for the moment is tried
// again, as long as the context allows and a few times at most; what still
// fails is an error. A message may be sent twice, as SQS may do anyway.
type Queue struct {
	client      *sqs.Client
	url         string
	deadLetters string
	hiding      *gatherer[visibility]
	ringing     *gatherer[letter]
}

// New returns the queue of a URL. The URL is not checked.
func New(client *sqs.Client, url string) *Queue {
	q := &Queue{client: client, url: url}
	q.hiding = &gatherer[visibility]{call: q.changeVisibility}
	q.ringing = &gatherer[letter]{call: q.sendBatch}
	return q
}

// WithDeadLetters returns the queue with the URL of its dead letter queue,
// which Depth, DeadLetters and Redrive need.
func (q *Queue) WithDeadLetters(url string) *Queue {
	with := *q
	with.deadLetters = url
	return &with
}

// letter is a message to be sent.
type letter struct {
	group, body string
	delay       time.Duration
}

// Ring sends the doorbells, each to the group of its account, after its own
// delay, in batches of 10. SQS delays by whole seconds, rounded up, and by 15
// minutes at most. On an error some may have been sent.
//
// Single bells for later, as retries are, share batches with those of others
// who ring within a few milliseconds.
func (q *Queue) Ring(ctx context.Context, bells []webhook.Doorbell) error {
	letters := make([]letter, len(bells))
	for i, b := range bells {
		letters[i] = letter{group: b.Account, body: b.Message(), delay: b.After}
	}
	if len(letters) == 1 && letters[0].delay > 0 && len(letters[0].body) <= maxBatchBytes/maxBatch {
		return q.wrap("send", q.ringing.do(ctx, letters[0]))
	}
	return q.wrap("send", summary(q.sendEach(ctx, letters)))
}

// Send sends one message.
func (q *Queue) Send(ctx context.Context, group, body string, delay time.Duration) error {
	return q.wrap("send", summary(q.sendEach(ctx, []letter{{group: group, body: body, delay: delay}})))
}

// sendEach sends letters in batches, several at once, and returns an error or
// nil for each.
func (q *Queue) sendEach(ctx context.Context, letters []letter) []error {
	return inBatches(ctx, letters, func(l letter) int { return len(l.body) }, q.sendBatch)
}

// sendBatch sends up to 10 letters.
func (q *Queue) sendBatch(ctx context.Context, letters []letter) []error {
	return perEntry(ctx, letters, func(ctx context.Context, ids []string, letters []letter) (answer, error) {
		entries := make([]types.SendMessageBatchRequestEntry, len(letters))
		for i, l := range letters {
			entries[i] = types.SendMessageBatchRequestEntry{
				Id: &ids[i], MessageBody: &l.body, DelaySeconds: seconds(l.delay, maxDelay), MessageGroupId: groupID(l.group),
			}
		}
		out, err := q.client.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: &q.url, Entries: entries})
		if err != nil {
			return answer{}, err
		}
		a := answer{failed: out.Failed}
		for _, s := range out.Successful {
			a.done = append(a.done, aws.ToString(s.Id))
		}
		return a, nil
	})
}

// Receive returns up to max messages, and 10 at most, as soon as there is one.
// It returns none when wait, rounded up to seconds and 20 at most, has passed,
// or ctx has ended. The messages are hidden from others for the queue's
// visibility timeout. An error is logged, and the rest of the wait kept, so
// that who receives in a loop does not turn it faster.
func (q *Queue) Receive(ctx context.Context, max int, wait time.Duration) []webhook.Message {
	end := time.Now().Add(wait)
	list, err := q.receive(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &q.url, MaxNumberOfMessages: int32(min(max, maxBatch)), WaitTimeSeconds: seconds(wait, maxWait),
	})
	if err != nil && ctx.Err() == nil {
		slog.WarnContext(ctx, "queue.unreadable", "queue", q.name(), "error", err)
		sleep(ctx, time.Until(end))
	}
	return list
}

func (q *Queue) receive(ctx context.Context, in *sqs.ReceiveMessageInput) ([]webhook.Message, error) {
	in.MessageSystemAttributeNames = []types.MessageSystemAttributeName{
		types.MessageSystemAttributeNameApproximateReceiveCount,
		types.MessageSystemAttributeNameMessageGroupId,
		types.MessageSystemAttributeNameSentTimestamp,
	}
	out, err := q.client.ReceiveMessage(ctx, in)
	if err != nil {
		return nil, err
	}
	list := make([]webhook.Message, len(out.Messages))
	for i, m := range out.Messages {
		list[i] = message(m)
	}
	return list, nil
}

func message(m types.Message) webhook.Message {
	attribute := func(name types.MessageSystemAttributeName) string { return m.Attributes[string(name)] }
	receives, _ := strconv.Atoi(attribute(types.MessageSystemAttributeNameApproximateReceiveCount))
	sent, _ := strconv.ParseInt(attribute(types.MessageSystemAttributeNameSentTimestamp), 10, 64)
	return webhook.Message{
		ID: aws.ToString(m.MessageId), Receipt: aws.ToString(m.ReceiptHandle), Body: aws.ToString(m.Body),
		Group: attribute(types.MessageSystemAttributeNameMessageGroupId), Receives: receives, SentAt: time.UnixMilli(sent),
	}
}

// Delete removes messages by the receipts of their last receive, in batches of
// 10. A receipt that no longer counts is passed over.
func (q *Queue) Delete(ctx context.Context, receipts []string) error {
	return q.wrap("delete", summary(q.deleteEach(ctx, q.url, receipts)))
}

func (q *Queue) deleteEach(ctx context.Context, url string, receipts []string) []error {
	batch := func(ctx context.Context, receipts []string) []error {
		return perEntry(ctx, receipts, func(ctx context.Context, ids []string, receipts []string) (answer, error) {
			entries := make([]types.DeleteMessageBatchRequestEntry, len(receipts))
			for i := range receipts {
				entries[i] = types.DeleteMessageBatchRequestEntry{Id: &ids[i], ReceiptHandle: &receipts[i]}
			}
			out, err := q.client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &url, Entries: entries})
			if err != nil {
				return answer{}, err
			}
			a := answer{failed: out.Failed}
			for _, s := range out.Successful {
				a.done = append(a.done, aws.ToString(s.Id))
			}
			return a.passOver(), nil
		})
	}
	return inBatches(ctx, receipts, noSize[string], batch)
}

// visibility is a change of how long a message stays hidden.
type visibility struct {
	url, receipt string
	hidden       time.Duration
}

// Hide makes a received message invisible for d from now on, rounded up to
// seconds and 12 hours at most, which SQS counts from the receive; 0 makes it
// visible at once. A receipt that no longer counts is passed over.
//
// Those who hide within a few milliseconds share one request.
func (q *Queue) Hide(ctx context.Context, receipt string, d time.Duration) error {
	return q.wrap("hide", q.hiding.do(ctx, visibility{url: q.url, receipt: receipt, hidden: d}))
}

// changeVisibility changes up to 10 messages of one queue.
func (q *Queue) changeVisibility(ctx context.Context, changes []visibility) []error {
	return perEntry(ctx, changes, func(ctx context.Context, ids []string, changes []visibility) (answer, error) {
		entries := make([]types.ChangeMessageVisibilityBatchRequestEntry, len(changes))
		for i, c := range changes {
			entries[i] = types.ChangeMessageVisibilityBatchRequestEntry{
				Id: &ids[i], ReceiptHandle: &c.receipt, VisibilityTimeout: seconds(c.hidden, maxVisibility),
			}
		}
		out, err := q.client.ChangeMessageVisibilityBatch(ctx, &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &changes[0].url, Entries: entries})
		if err != nil {
			return answer{}, err
		}
		a := answer{failed: out.Failed}
		for _, s := range out.Successful {
			a.done = append(a.done, aws.ToString(s.Id))
		}
		return a.passOver(), nil
	})
}

// wrap says what was being done with which queue.
func (q *Queue) wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("queue %s: %s: %w", q.name(), doing, err)
}

func (q *Queue) name() string { return path.Base(q.url) }

// seconds rounds up, between 0 and most.
func seconds(d, most time.Duration) int32 {
	d = min(max(d, 0), most)
	return int32((d + time.Second - 1) / time.Second)
}

// groupID returns a group as SQS takes it: 1 to 128 letters, digits and signs
// of ASCII. Others go by a hash, which is as good to tell them apart.
func groupID(group string) *string {
	if group == "" {
		return nil
	}
	fits := len(group) <= maxGroup
	for _, c := range []byte(group) {
		fits = fits && c > ' ' && c < 0x7f
	}
	if !fits {
		sum := sha256.Sum256([]byte(group))
		group = "sha256-" + hex.EncodeToString(sum[:])
	}
	return &group
}

// errNoDeadLetters: WithDeadLetters was not called.
var errNoDeadLetters = errors.New("the queue of its dead letters is not known")
