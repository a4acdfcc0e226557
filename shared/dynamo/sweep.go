package dynamo

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// dueIndex is the sparse index of parked and held rows.
const dueIndex = "due"

// indexed reads up to limit keys of one shard of the sparse index, in order,
// between two positions. The index follows the table: what it names is read
// again before anything is done about it.
func (s *Store) indexed(ctx context.Context, shard, from, to string, limit int) (list []item, err error) {
	pages := dynamodb.NewQueryPaginator(s.db, &dynamodb.QueryInput{
		TableName: &s.deliveries, IndexName: aws.String(dueIndex),
		KeyConditionExpression:    aws.String("due_shard = :shard AND due_at BETWEEN :from AND :to"),
		ExpressionAttributeValues: item{":shard": text(shard), ":from": text(from), ":to": text(to)},
		Limit:                     aws.Int32(int32(min(limit, 1000))),
	})
	for pages.HasMorePages() && len(list) < limit {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, i := range page.Items {
			list = append(list, i)
		}
	}
	return list[:min(limit, len(list))], nil
}

// allShards calls f for each shard of the sparse index, side by side, and puts
// what they return together.
func allShards(ctx context.Context, prefix string, f func(ctx context.Context, shard string) ([]item, error)) (all []item, err error) {
	var mu sync.Mutex
	err = inParallel(ctx, dueShards, func(ctx context.Context, i int) error {
		list, err := f(ctx, prefix+strconv.Itoa(i))
		mu.Lock()
		defer mu.Unlock()
		all = append(all, list...)
		return err
	})
	return all, err
}

// Due returns deliveries whose DueAt is before the given time, the most
// overdue first. It may return fewer than there are.
func (s *Store) Due(ctx context.Context, before time.Time, limit int) ([]webhook.Delivery, error) {
	found, err := allShards(ctx, duePrefix, func(ctx context.Context, shard string) ([]item, error) {
		return s.indexed(ctx, shard, "0", sortable(before), limit) // what is due at that time sorts behind it
	})
	if err != nil {
		return nil, wrap(err, "due deliveries")
	}
	rows, err := s.rows(ctx, inOrder(found, byText(attrDueAt))[:min(limit, len(found))])
	if err != nil {
		return nil, wrap(err, "due deliveries")
	}
	now := s.now()
	var due, over []webhook.Delivery
	for _, d := range rows {
		switch {
		case isExpired(d, now): // nobody would attend to it
			over = append(over, d)
		case !d.DueAt.IsZero() && d.DueAt.Before(before):
			due = append(due, d)
		}
	}
	due = inOrder(due, func(a, b *webhook.Delivery) int { return cmp.Or(a.DueAt.Compare(b.DueAt), cmp.Compare(a.ID, b.ID)) })
	return due, wrap(s.endExpired(ctx, over, now), "end expired deliveries")
}

// rows reads the rows that the index names, as they are now.
func (s *Store) rows(ctx context.Context, index []item) ([]webhook.Delivery, error) {
	keys := make([]key, len(index))
	for n, i := range index {
		keys[n] = i.key()
	}
	items, err := s.getAll(ctx, keys, true)
	if err != nil {
		return nil, err
	}
	list := make([]webhook.Delivery, 0, len(items))
	for _, k := range keys {
		if i, ok := items[k]; ok {
			list = append(list, decodeRow(account(k), i))
		}
	}
	return list, nil
}

// Defer moves DueAt of the deliveries, unless it has changed since they were read.
func (s *Store) Defer(ctx context.Context, read []webhook.Delivery, dueAt time.Time) error {
	err := inParallel(ctx, len(read), func(ctx context.Context, i int) error {
		next := read[i]
		next.DueAt = dueAt
		k, _ := rowKey(next.Ref()) // it was read
		row := item{}.mutable(next)
		c := newChange()
		for _, name := range []string{attrDue, attrDueShard, attrDueAt} {
			c.to(name, row)
		}
		condition := c.name(attrDue) + " = " + c.value(number(micros(read[i].DueAt)))
		_, err := s.db.UpdateItem(ctx, s.update(k, c, condition))
		if _, ok := refused(err); ok {
			return nil
		}
		return wrap(err, "delivery %s", next.ID)
	})
	return wrap(err, "defer deliveries")
}

// Expire ends deliveries that expired while their endpoint was paused or
// disabled, and returns how many. Everything else needs no help: DynamoDB
// removes what has ended, readers see what expired before it ended as ended,
// and Due ends what it finds expired.
func (s *Store) Expire(ctx context.Context, now time.Time, limit int) (int, error) {
	held, err := s.expiredHeld(ctx, now, limit)
	if err != nil {
		return 0, wrap(err, "held deliveries")
	}
	held = held[:min(limit, len(held))]
	return len(held), wrap(s.endExpired(ctx, held, now), "end expired deliveries")
}

func (s *Store) endExpired(ctx context.Context, list []webhook.Delivery, now time.Time) error {
	return inParallel(ctx, len(list), func(ctx context.Context, i int) error {
		next := expired(list[i])
		next.UpdatedAt, next.ExpiresAt = now, now.Add(keepUnsent)
		return ignore(s.Record(ctx, list[i], next, nil), webhook.ErrStale, webhook.ErrNotFound)
	})
}

func isExpired(d webhook.Delivery, now time.Time) bool {
	return !d.ExpiresAt.IsZero() && !d.ExpiresAt.After(now)
}

// Shelve turns scraping jobs that have been stopped since before the given
// time into shelved ones, and returns how many. It goes by the notes that were
// made when they stopped.
func (s *Store) Shelve(ctx context.Context, before time.Time, limit int) (n int, err error) {
	if s.jobs == "" {
		return 0, nil
	}
	out, err := s.db.Query(ctx, &dynamodb.QueryInput{
		TableName: &s.deliveries, KeyConditionExpression: aws.String("pk = :pk AND sk < :before"), ConsistentRead: aws.Bool(true),
		ExpressionAttributeValues: item{":pk": text(stoppedPK), ":before": text(sortable(before))}, Limit: aws.Int32(int32(limit)),
	})
	if err != nil {
		return 0, wrap(err, "stopped jobs")
	}
	for _, note := range out.Items {
		done, err := s.shelveNoted(ctx, note)
		if err != nil {
			return n, wrap(err, "shelve job %s", item(note).getText(attrJob))
		}
		if done {
			n++
		}
		if _, err := s.db.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &s.deliveries, Key: item(note).key().item()}); err != nil {
			return n, wrap(err, "remove the note of a stopped job")
		}
	}
	return n, nil
}

// shelveNoted passes over a note that is not the last of its job.
func (s *Store) shelveNoted(ctx context.Context, note item) (bool, error) {
	id := note.getText(attrJob)
	last, err := s.get(ctx, lastStop(id))
	if err != nil && !errors.Is(err, webhook.ErrNotFound) {
		return false, err
	}
	if last.getInt(attrAt) > note.getInt(attrAt) {
		return false, nil
	}
	return s.shelveOne(ctx, id)
}

// shelveOne changes the status alone, if it is still the one that was noted.
func (s *Store) shelveOne(ctx context.Context, id string) (bool, error) {
	c := newChange()
	next := item{}.text(jobStatus, shelved)
	c.to(jobStatus, next)
	condition := c.name(jobStatus) + " = " + c.value(text(stopped))
	in := s.update(key{}, c, condition)
	in.TableName, in.Key = &s.jobs, jobKey(id, job.KindScraping)
	_, err := s.db.UpdateItem(ctx, in)
	if _, ok := refused(err); ok {
		return false, nil
	}
	return err == nil, err
}
