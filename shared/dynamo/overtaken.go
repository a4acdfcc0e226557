package dynamo

import (
	"context"
	"errors"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/jobhook/jobhook/shared/webhook"
)

// Overtaken tells whether the delivery's target was sent, or is to be sent, a
// newer progress event of the same job. The events of a job lie together, as
// their ids begin with its creation time.
func (s *Store) Overtaken(ctx context.Context, d webhook.Delivery) (bool, error) {
	over, err := s.overtaken(ctx, d)
	return over, wrap(err, "delivery %s: newer progress", d.ID)
}

func (s *Store) overtaken(ctx context.Context, d webhook.Delivery) (bool, error) {
	k, ok := eventKey(d.Account, d.EventID)
	if !ok {
		return false, errors.New("the event's id is none")
	}
	pages := dynamodb.NewQueryPaginator(s.db, s.progressOf(k, d))
	for range maxOvertakenPages {
		if !pages.HasMorePages() {
			break
		}
		page, err := pages.NextPage(ctx)
		if err != nil {
			return false, err
		}
		for _, i := range page.Items {
			e, err := decodeEvent(d.Account, i)
			if err != nil {
				return false, err
			}
			if e.event.Kind == d.Kind && newer(e.event.Sequence, d.Sequence) && e.tells(d.Target) {
				return true, nil
			}
		}
	}
	return false, nil
}

// maxOvertakenPages of 1 MB are looked at for newer progress; jobs without a
// creation time share a partition with all others of the account.
const maxOvertakenPages = 10

// progressOf reads the events of the delivery's type and job, without their
// snapshots.
func (s *Store) progressOf(k key, d webhook.Delivery) *dynamodb.QueryInput {
	prefix := k.sk[:timeChars]
	return &dynamodb.QueryInput{
		TableName: &s.deliveries, ConsistentRead: aws.Bool(true),
		KeyConditionExpression: aws.String("pk = :pk AND sk BETWEEN :from AND :to"),
		FilterExpression:       aws.String("#job = :job AND #type = :type AND attribute_exists(#plan)"),
		ProjectionExpression:   aws.String("sk, #type, #kind, #job, #run, #seq, #at, #level, #plan"),
		ExpressionAttributeNames: map[string]string{
			"#type": attrType, "#kind": attrKind, "#job": attrJob, "#run": attrRun, "#seq": attrSequence, "#at": attrAt, "#level": attrLevel, "#plan": attrPlan,
		},
		ExpressionAttributeValues: item{
			":pk": text(k.pk), ":from": text(prefix), ":to": text(prefix + afterAll), ":job": text(d.JobID), ":type": text(string(d.EventType)),
		},
	}
}

// newer compares sequence numbers, which are decimal digits, by value.
func newer(a, b string) bool { return len(a) > len(b) || len(a) == len(b) && a > b }

// tells whether the event went, or goes, to the target.
func (e eventAndPlan) tells(t webhook.Target) bool {
	return slices.ContainsFunc(e.plan, func(p planned) bool {
		return p.State != string(webhook.StateDeclined) && p.Endpoint == t.Endpoint && (t.Endpoint != "" || p.URL == t.URL)
	})
}
