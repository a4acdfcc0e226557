package dynamo

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/jobhook/jobhook/shared/webhook"
)

// Bounds of one step.
const (
	erasedItems = 200 // items that go, and those of one event more; their keys are kept with the erasure
	erasedJobs  = 25  // jobs that are looked at
	erasedPage  = 100 // events and deliveries of one request
	erasedPages = 20  // such requests that find nothing
)

// EraseStep first deletes what the step before it has counted, then counts a
// bounded part of what read.Stage names, from read.Cursor on, and keeps its keys
// with the erasure. So whatever is cut off is deleted by the next step, and
// counted once. A stage is over when a step finds nothing to delete or count.
//
// It returns webhook.ErrStale when the erasure has changed since it was read.
func (s *Store) EraseStep(ctx context.Context, read webhook.Erasure, now time.Time) (next webhook.Erasure, more bool, err error) {
	e := &eraser{store: s, Erasure: read, room: erasedItems, counts: webhook.Erased{}, uncounted: map[time.Time]int{}}
	if more, err = e.step(ctx); err == nil {
		err = e.uncount(ctx)
	}
	if err != nil {
		return read, false, wrap(err, "erasure %s: %s", read.ID, read.Stage)
	}
	next = e.Erasure
	next.Counts, next.Version, next.UpdatedAt = read.Counts.Plus(e.counts), read.Version+1, now
	pending, err := e.doomed.item()
	if err == nil {
		c := newChange()
		c.to(attrPending, pending)
		err = again(ctx, func() error { return s.updateErasure(ctx, c, read, next) })
	}
	s.endpoints.forget(read.Account)
	s.quotas.forget(read.Account)
	return next, more || !e.doomed.none(), wrap(err, "erasure %s: %s", read.ID, read.Stage)
}

// PurgeErased has nothing to do: what DynamoDB keeps of deleted items nobody can
// remove sooner. That is its stream, for a day, and its backups, for 35 days.
func (s *Store) PurgeErased(context.Context) error { return nil }

// doomed are the keys of items that go.
type doomed struct {
	Deliveries [][2]string `json:"d,omitempty"` // partition and sort key
	Jobs       [][2]string `json:"j,omitempty"` // id and kind
}

func (d *doomed) add(keys ...key) {
	for _, k := range keys {
		d.Deliveries = append(d.Deliveries, [2]string{k.pk, k.sk})
	}
}

func (d doomed) none() bool { return len(d.Deliveries)+len(d.Jobs) == 0 }

func (d doomed) item() (item, error) {
	if d.none() {
		return item{}, nil
	}
	b, err := json.Marshal(d)
	return item{}.text(attrPending, string(b)), err
}

// eraser gathers what one step erases.
type eraser struct {
	store *Store
	webhook.Erasure
	doomed doomed
	room   int // items that may still go
	counts webhook.Erased

	uncounted map[time.Time]int // deliveries that the ledger has counted, by hour
}

func (e *eraser) step(ctx context.Context) (more bool, err error) {
	row, err := e.store.get(ctx, erasureKey(e.ID))
	if err != nil {
		return false, err
	}
	if row.getInt(attrVersion) != e.Version {
		return false, webhook.ErrStale
	}
	if err := e.deletePending(ctx, row.getText(attrPending)); err != nil {
		return false, err
	}
	switch e.Stage {
	case webhook.StageAccess:
		return false, e.access(ctx)
	case webhook.StageJobs:
		return e.jobRecords(ctx)
	case webhook.StageEvents:
		return e.events(ctx)
	case webhook.StageRest:
		return false, e.rest(ctx)
	}
	return false, fmt.Errorf("%q is no stage that erases", e.Stage)
}

// deletePending deletes what was counted. What is gone already is no error. Each
// item is a request, which costs what it does in a batch; the code for batches
// would make every start of sweep longer.
func (e *eraser) deletePending(ctx context.Context, stored string) error {
	if stored == "" {
		return nil
	}
	var pending doomed
	if err := json.Unmarshal([]byte(stored), &pending); err != nil {
		return fmt.Errorf("what was to be deleted: %w", err)
	}
	err := e.deleteAll(ctx, e.store.deliveries, pending.Deliveries, attrPK, attrSK)
	if err == nil && e.store.jobs != "" {
		err = e.deleteAll(ctx, e.store.jobs, pending.Jobs, jobID, jobKind)
	}
	return err
}

func (e *eraser) deleteAll(ctx context.Context, table string, keys [][2]string, partition, sort string) error {
	return inParallel(ctx, len(keys), func(ctx context.Context, i int) error {
		k := item{partition: text(keys[i][0]), sort: text(keys[i][1])}
		_, err := e.store.db.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &table, Key: k})
		return err
	})
}

// take counts a thing that goes, with its keys.
func (e *eraser) take(thing webhook.Thing, keys ...key) {
	if thing != "" {
		e.counts[thing]++
	}
	e.doomed.add(keys...)
	e.room -= len(keys)
}

// keysIn returns up to limit keys of a partition, in order.
func (s *Store) keysIn(ctx context.Context, pk string, limit int) ([]key, error) {
	out, err := s.db.Query(ctx, &dynamodb.QueryInput{
		TableName: &s.deliveries, ConsistentRead: aws.Bool(true), Limit: aws.Int32(int32(max(limit, 1))),
		KeyConditionExpression: aws.String("pk = :pk"), ExpressionAttributeValues: item{":pk": text(pk)},
		ProjectionExpression: aws.String("pk, sk"),
	})
	if err != nil {
		return nil, err
	}
	keys := make([]key, len(out.Items))
	for n, i := range out.Items {
		keys[n] = item(i).key()
	}
	return keys, nil
}

// access ends all ways in, the endpoints, and the account itself. What each has
// elsewhere goes with it.
func (e *eraser) access(ctx context.Context) error {
	keys, err := e.store.keysIn(ctx, prefixAccount+e.Account, erasedItems/2)
	if err != nil {
		return err
	}
	for _, k := range keys {
		switch kind, id, _ := strings.Cut(k.sk, "#"); kind + "#" {
		case skEndpoint:
			e.take(webhook.ErasedEndpoints, k, ownerKey(id))
		case skKey, skSession:
			e.take(webhook.ErasedKeys, k, keyKey(id))
		case skResend:
			e.take(webhook.ErasedResends, k, runningKey(e.Account, id))
		case skAccount + "#":
			e.take(webhook.ErasedAccounts, k)
		default:
			e.take("", k)
		}
	}
	return e.notices(ctx)
}

// notices are few: sweep tells them within a minute.
func (e *eraser) notices(ctx context.Context) error {
	out, err := e.store.db.Query(ctx, &dynamodb.QueryInput{
		TableName: &e.store.deliveries, ConsistentRead: aws.Bool(true), KeyConditionExpression: aws.String("pk = :pk"),
		ExpressionAttributeValues: item{":pk": text(noticesPK)},
	})
	if err != nil {
		return err
	}
	for _, i := range out.Items {
		if n, err := decodeNotice(i); err == nil && n.Account == e.Account {
			e.take(webhook.ErasedNotices, item(i).key())
		}
	}
	return nil
}

// rest takes statistics and what the ledger knows. Everything else names nobody,
// or expires within a day: leases, links into the portal, kept answers.
func (e *eraser) rest(ctx context.Context) error {
	if !e.OfAccount() {
		return nil
	}
	for pk, thing := range map[string]webhook.Thing{prefixStats + e.Account: webhook.ErasedStats, prefixCounts + e.Account: ""} {
		keys, err := e.store.keysIn(ctx, pk, erasedItems)
		if err != nil {
			return err
		}
		for _, k := range keys {
			e.take(thing, k)
		}
	}
	found, err := e.store.getAll(ctx, []key{{accountsPK, e.Account}, ledgerKey(e.Account)}, true)
	for k := range found {
		e.take("", k)
	}
	e.store.noted.forget(e.Account)
	return err
}

// uncount keeps the ledger from missing deliveries that it counted. A step that
// is cut off behind it makes the count too small, which the ledger allows for.
func (e *eraser) uncount(ctx context.Context) error {
	for hour, n := range e.uncounted {
		c := newChange()
		c.plus(attrCounted, -n)
		_, err := e.store.db.UpdateItem(ctx, e.store.update(countKey(e.Account, hour), c, "attribute_exists(pk)"))
		if _, ok := refused(err); err != nil && !ok {
			return err
		}
	}
	return nil
}
