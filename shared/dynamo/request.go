package dynamo

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"

	"github.com/jobhook/jobhook/shared/webhook"
)

// change builds an update expression. Attributes with a zero value are removed.
type change struct {
	set, remove, add []string
	names            map[string]string
	values           item
}

func newChange() *change { return &change{names: map[string]string{}, values: item{}} }

// name returns the placeholder of an attribute: many names are reserved words.
func (c *change) name(attribute string) string {
	placeholder := "#" + strconv.Itoa(len(c.names))
	for p, a := range c.names {
		if a == attribute {
			return p
		}
	}
	c.names[placeholder] = attribute
	return placeholder
}

// value returns the placeholder of a value.
func (c *change) value(v types.AttributeValue) string {
	placeholder := ":" + strconv.Itoa(len(c.values))
	c.values[placeholder] = v
	return placeholder
}

// to sets an attribute to what the item has, and removes it if it has none.
func (c *change) to(attribute string, i item) {
	v, ok := i[attribute]
	if !ok {
		c.remove = append(c.remove, c.name(attribute))
		return
	}
	c.set = append(c.set, c.name(attribute)+" = "+c.value(v))
}

// plus adds to a number.
func (c *change) plus(attribute string, n int) {
	if n != 0 {
		c.add = append(c.add, c.name(attribute)+" "+c.value(number(n)))
	}
}

func (c *change) expression() *string {
	var parts []string
	for _, clause := range []struct {
		word string
		list []string
	}{{"SET ", c.set}, {"REMOVE ", c.remove}, {"ADD ", c.add}} {
		if len(clause.list) > 0 {
			parts = append(parts, clause.word+strings.Join(clause.list, ", "))
		}
	}
	return aws.String(strings.Join(parts, " "))
}

// update is the request that applies a change, if the condition holds.
func (s *Store) update(k key, c *change, condition string) *dynamodb.UpdateItemInput {
	in := &dynamodb.UpdateItemInput{
		TableName: &s.deliveries, Key: k.item(), UpdateExpression: c.expression(),
		ExpressionAttributeNames: c.names, ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
	if len(c.values) > 0 {
		in.ExpressionAttributeValues = c.values
	}
	if condition != "" {
		in.ConditionExpression = &condition
	}
	return in
}

// inTransaction is an update as a part of a transaction.
func inTransaction(in *dynamodb.UpdateItemInput) types.TransactWriteItem {
	return types.TransactWriteItem{Update: &types.Update{
		TableName: in.TableName, Key: in.Key, UpdateExpression: in.UpdateExpression, ConditionExpression: in.ConditionExpression,
		ExpressionAttributeNames: in.ExpressionAttributeNames, ExpressionAttributeValues: in.ExpressionAttributeValues,
		ReturnValuesOnConditionCheckFailure: in.ReturnValuesOnConditionCheckFailure,
	}}
}

// refused tells whether a condition did not hold, and what was there instead.
func refused(err error) (old item, ok bool) {
	var failed *types.ConditionalCheckFailedException
	if !errors.As(err, &failed) {
		return nil, false
	}
	return failed.Item, true
}

// get reads one item, consistently. It returns webhook.ErrNotFound.
func (s *Store) get(ctx context.Context, k key) (item, error) {
	if !k.fits() {
		return nil, webhook.ErrNotFound
	}
	out, err := s.db.GetItem(ctx, &dynamodb.GetItemInput{TableName: &s.deliveries, Key: k.item(), ConsistentRead: aws.Bool(true)})
	if err != nil {
		return nil, err
	}
	if len(out.Item) == 0 {
		return nil, webhook.ErrNotFound
	}
	return out.Item, nil
}

// put writes one item, whatever is there.
func (s *Store) put(ctx context.Context, i item) error {
	_, err := s.db.PutItem(ctx, &dynamodb.PutItemInput{TableName: &s.deliveries, Item: i})
	return err
}

// query reads a whole range of a partition, consistently, in order.
func (s *Store) query(ctx context.Context, pk, from, to string) ([]item, error) {
	return s.queryRange(ctx, pk, from, to, true)
}

func (s *Store) queryRange(ctx context.Context, pk, from, to string, consistent bool) (all []item, err error) {
	in := &dynamodb.QueryInput{
		TableName: &s.deliveries, ConsistentRead: &consistent,
		KeyConditionExpression:    aws.String("pk = :pk AND sk BETWEEN :from AND :to"),
		ExpressionAttributeValues: item{":pk": text(pk), ":from": text(from), ":to": text(to)},
	}
	pages := dynamodb.NewQueryPaginator(s.db, in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, i := range page.Items {
			all = append(all, i)
		}
	}
	return all, nil
}

// newest reads the last items of a partition whose sort keys begin with a
// prefix, the last first, at most limit and 1 MB.
func (s *Store) newest(ctx context.Context, pk, prefix string, limit int) ([]item, error) {
	out, err := s.db.Query(ctx, &dynamodb.QueryInput{
		TableName: &s.deliveries, ConsistentRead: aws.Bool(true), ScanIndexForward: aws.Bool(false), Limit: aws.Int32(int32(limit)),
		KeyConditionExpression:    aws.String("pk = :pk AND begins_with(sk, :prefix)"),
		ExpressionAttributeValues: item{":pk": text(pk), ":prefix": text(prefix)},
	})
	if err != nil {
		return nil, err
	}
	return itemsOf(out.Items), nil
}

// named reads what the items of a partition stand for, in their order, at most
// limit and 1 MB; nameOf is its key. What does not exist is left out.
func (s *Store) named(ctx context.Context, pk string, limit int, nameOf func(item) key) ([]item, error) {
	out, err := s.db.Query(ctx, &dynamodb.QueryInput{
		TableName: &s.deliveries, KeyConditionExpression: aws.String("pk = :pk"), ConsistentRead: aws.Bool(true),
		ExpressionAttributeValues: item{":pk": text(pk)}, Limit: aws.Int32(int32(limit)),
	})
	if err != nil || len(out.Items) == 0 {
		return nil, err
	}
	keys := make([]key, len(out.Items))
	for n, i := range out.Items {
		keys[n] = nameOf(i)
	}
	found, err := s.getAll(ctx, keys, true)
	if err != nil {
		return nil, err
	}
	items := make([]item, 0, len(keys))
	for _, k := range keys {
		if i, ok := found[k]; ok {
			items = append(items, i)
		}
	}
	return items, nil
}

func itemsOf(list []map[string]types.AttributeValue) []item {
	items := make([]item, len(list))
	for n, i := range list {
		items[n] = i
	}
	return items
}

// decodeAll decodes items in their order.
func decodeAll[T any](decode func(item) (T, error), items []item) ([]T, error) {
	list := make([]T, len(items))
	for n, i := range items {
		var err error
		if list[n], err = decode(i); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// afterAll sorts behind every id and time that we write.
const afterAll = "\x7f"

// batchKeys is how many items one BatchGetItem may name.
const batchKeys = 100

// getAll reads items by their keys, each named once. What does not exist is
// not among them.
func (s *Store) getAll(ctx context.Context, keys []key, consistent bool) (map[key]item, error) {
	list := make([]map[string]types.AttributeValue, len(keys))
	for i, k := range keys {
		list[i] = k.item()
	}
	found, err := s.batchGet(ctx, s.deliveries, list, consistent)
	if err != nil {
		return nil, err
	}
	all := make(map[key]item, len(found))
	for _, i := range found {
		all[i.key()] = i
	}
	return all, nil
}

// batchGet reads items of one table. Keys that the table did not get to are
// asked for again, until ctx ends.
func (s *Store) batchGet(ctx context.Context, table string, keys []map[string]types.AttributeValue, consistent bool) (all []item, err error) {
	for tries := 0; len(keys) > 0; tries++ {
		if tries > 0 {
			if err := backOff(ctx, tries); err != nil {
				return nil, err
			}
		}
		n := min(len(keys), batchKeys)
		out, err := s.db.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{
			table: {Keys: keys[:n], ConsistentRead: &consistent},
		}})
		if err != nil {
			return nil, err
		}
		for _, i := range out.Responses[table] {
			all = append(all, i)
		}
		left := out.UnprocessedKeys[table].Keys
		if len(left) < n {
			tries = -1 // it goes on
		}
		keys = append(left[:len(left):len(left)], keys[n:]...)
	}
	return all, nil
}

// backOff waits before a try is repeated, longer each time, up to a second.
func backOff(ctx context.Context, tries int) error {
	longest := min(time.Second, 10*time.Millisecond<<min(tries, 10))
	select {
	case <-time.After(time.Duration(rand.Int64N(int64(longest)))):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// inParallel runs f for 0 to n-1, some at once, and returns the first error.
func inParallel(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	if n == 1 {
		return f(ctx, 0)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(maxParallel)
	for i := range n {
		g.Go(func() error { return f(ctx, i) })
	}
	return g.Wait()
}
