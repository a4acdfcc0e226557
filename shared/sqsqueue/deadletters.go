package sqsqueue

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/jobhook/jobhook/shared/webhook"
)

const (
	// glance is how long the dead letters that are looked at are hidden, should
	// the one who looks not come to show them again.
	glance = 30 * time.Second
	// redriveTime is how long a batch of them may take to be sent and deleted.
	redriveTime = time.Minute
	// ask makes SQS ask all of its servers, some of which a short poll leaves out.
	ask = time.Second
)

// DeadLetters returns up to limit messages that were received too often, in no
// order. It takes them and puts them back, as SQS has no other way to look: two
// who look at once see a part each.
func (q *Queue) DeadLetters(ctx context.Context, limit int) ([]webhook.Message, error) {
	var list []webhook.Message
	var receipts []visibility
	var err error
	for err == nil && len(list) < limit {
		var got []webhook.Message
		if got, err = q.receiveDead(ctx, limit-len(list), glance); len(got) == 0 {
			break
		}
		for _, m := range got {
			receipts = append(receipts, visibility{url: q.deadLetters, receipt: m.Receipt})
			m.Receipt = "" // it is of no use in this queue
			list = append(list, m)
		}
	}
	shown := summary(inBatches(ctx, receipts, noSize[visibility], q.changeVisibility))
	if err = errors.Join(err, shown); err != nil {
		return nil, q.wrap("dead letters", err)
	}
	return list, nil
}

// Depth tells what the queue and that of its dead letters hold. SQS counts
// approximately, and up to a minute late. Dead letters that somebody looks at
// are counted too.
func (q *Queue) Depth(ctx context.Context) (webhook.QueueDepth, error) {
	if q.deadLetters == "" {
		return webhook.QueueDepth{}, q.wrap("depth", errNoDeadLetters)
	}
	d, err := q.count(ctx, q.url)
	if err != nil {
		return webhook.QueueDepth{}, q.wrap("depth", err)
	}
	dead, err := q.count(ctx, q.deadLetters)
	if err != nil {
		return webhook.QueueDepth{}, q.wrap("depth of the dead letters", err)
	}
	d.Dead = dead.Visible + dead.Hidden + dead.Delayed
	return d, nil
}

// count tells what one queue of SQS holds.
func (q *Queue) count(ctx context.Context, url string) (d webhook.QueueDepth, err error) {
	counts := map[types.QueueAttributeName]*int{
		types.QueueAttributeNameApproximateNumberOfMessages:           &d.Visible,
		types.QueueAttributeNameApproximateNumberOfMessagesNotVisible: &d.Hidden,
		types.QueueAttributeNameApproximateNumberOfMessagesDelayed:    &d.Delayed,
	}
	names := slices.Collect(maps.Keys(counts))
	out, err := q.client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: names})
	if err != nil {
		return d, err
	}
	for name, n := range counts {
		if *n, err = strconv.Atoi(out.Attributes[string(name)]); err != nil {
			return d, fmt.Errorf("%s: %w", name, err)
		}
	}
	return d, nil
}

// Redrive sends the dead letters back into the queue, as if they were new. It
// returns how many. Each is sent before it is deleted: when Redrive ends in
// between, some ring twice and none is lost; call it again for the rest.
//
// SQS could do it by itself (StartMessageMoveTask). That runs on after the call,
// one at a time, tells only about how many it moved, and needs rights of its
// own; here who redrives learns at once what came of it.
func (q *Queue) Redrive(ctx context.Context) (n int, err error) {
	for {
		moved, more, err := q.redriveSome(ctx)
		n += moved
		if err != nil || !more {
			return n, q.wrap("redrive", err)
		}
	}
}

// redriveSome moves a batch.
func (q *Queue) redriveSome(ctx context.Context) (moved int, more bool, err error) {
	got, err := q.receiveDead(ctx, maxBatch, redriveTime)
	if err != nil || len(got) == 0 {
		return 0, false, err
	}
	letters := make([]letter, len(got))
	for i, m := range got {
		letters[i] = letter{group: m.Group, body: m.Body}
	}
	errs := q.sendEach(ctx, letters)
	var sent []string
	for i, err := range errs {
		if err == nil {
			sent = append(sent, got[i].Receipt)
		}
	}
	deleted := summary(q.deleteEach(ctx, q.deadLetters, sent))
	return len(sent), true, errors.Join(summary(errs), deleted)
}

func (q *Queue) receiveDead(ctx context.Context, most int, hidden time.Duration) ([]webhook.Message, error) {
	if q.deadLetters == "" {
		return nil, errNoDeadLetters
	}
	return q.receive(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &q.deadLetters, MaxNumberOfMessages: int32(min(most, maxBatch)),
		WaitTimeSeconds: seconds(ask, maxWait), VisibilityTimeout: seconds(hidden, maxVisibility),
	})
}
