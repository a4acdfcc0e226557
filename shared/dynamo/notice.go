package dynamo

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/jobhook/jobhook/shared/webhook"
)

// noticeRow is a notice as it is stored.
type noticeRow struct {
	Type       string `json:"type"`
	Account    string `json:"account"`
	Endpoint   string `json:"endpoint"`
	URL        string `json:"url"`
	At         int    `json:"at"` // microseconds, like those below
	Since      int    `json:"since,omitempty"`
	Reason     string `json:"reason,omitempty"`
	DisabledAt int    `json:"disabled_at,omitempty"`
}

// noticeItem has no TTL: it is removed when it was told.
func noticeItem(n webhook.Notice) (item, error) {
	b, err := json.Marshal(noticeRow{
		Type: string(n.Type), Account: n.Account, Endpoint: n.Endpoint, URL: n.URL, At: micros(n.At),
		Since: micros(n.Since), Reason: n.Reason, DisabledAt: micros(n.DisabledAt),
	})
	return noticeKey(n.ID()).item().text(attrData, string(b)), err
}

func decodeNotice(i item) (webhook.Notice, error) {
	var r noticeRow
	err := json.Unmarshal([]byte(i.getText(attrData)), &r)
	return webhook.Notice{
		Type: webhook.EventType(r.Type), Account: r.Account, Endpoint: r.Endpoint, URL: r.URL, At: fromMicros(r.At),
		Since: fromMicros(r.Since), Reason: r.Reason, DisabledAt: fromMicros(r.DisabledAt),
	}, wrap(err, "notice %s", i.getText(attrSK))
}

// updateAndTell makes an update, and keeps notices in the same write. Refused
// reads its error as that of any update. ErrChanged says that it met another
// transaction, or that a part of it was throttled: the SDK repeats neither.
func (s *Store) updateAndTell(ctx context.Context, in *dynamodb.UpdateItemInput, told []webhook.Notice) error {
	if len(told) == 0 {
		_, err := s.db.UpdateItem(ctx, in)
		if conflict := (*types.TransactionConflictException)(nil); errors.As(err, &conflict) {
			return errChanged
		}
		return err
	}
	writes := []types.TransactWriteItem{inTransaction(in)}
	for _, n := range told {
		i, err := noticeItem(n)
		if err != nil {
			return wrap(err, "notice %s", n.ID())
		}
		// Whatever is there: it is the same notice.
		writes = append(writes, types.TransactWriteItem{Put: &types.Put{TableName: &s.deliveries, Item: i}})
	}
	_, err := s.db.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: writes})
	return ofItsFirst(err)
}

// ofItsFirst is the error of a transaction as that of its first write, the only
// one with a condition.
func ofItsFirst(err error) error {
	var canceled *types.TransactionCanceledException
	if !errors.As(err, &canceled) {
		return err
	}
	for _, reason := range canceled.CancellationReasons {
		switch aws.ToString(reason.Code) {
		case "ConditionalCheckFailed":
			return &types.ConditionalCheckFailedException{Message: reason.Message, Item: reason.Item}
		case "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded":
			return errChanged
		}
	}
	return err
}

// Notices returns those that were not told yet, the oldest first. One that cannot
// be read is passed over: the others do not wait for it.
func (s *Store) Notices(ctx context.Context, limit int) (list []webhook.Notice, err error) {
	pages := dynamodb.NewQueryPaginator(s.db, &dynamodb.QueryInput{
		TableName: &s.deliveries, ConsistentRead: aws.Bool(true), Limit: aws.Int32(int32(limit)),
		KeyConditionExpression: aws.String("pk = :pk"), ExpressionAttributeValues: item{":pk": text(noticesPK)},
	})
	for pages.HasMorePages() && len(list) < limit {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, wrap(err, "notices")
		}
		for _, i := range page.Items {
			n, err := decodeNotice(i)
			if err != nil {
				s.log.ErrorContext(ctx, "notice.unreadable", "error", err)
				continue
			}
			list = append(list, n)
		}
	}
	return list[:min(limit, len(list))], nil
}

// RemoveNotice removes one that was told. That it is gone already is no error.
func (s *Store) RemoveNotice(ctx context.Context, id string) error {
	_, err := s.db.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &s.deliveries, Key: noticeKey(id).item()})
	return wrap(err, "notice %s: remove", id)
}
