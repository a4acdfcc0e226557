package dynamo

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/jobhook/jobhook/shared/files"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// jobRecords goes through the account's jobs by their index, which follows the
// table: a job counts if the table has it.
func (e *eraser) jobRecords(ctx context.Context) (more bool, err error) {
	if e.store.jobs == "" {
		return false, nil
	}
	from, err := decodeCursor(webhook.JobFilter{Account: e.Account, After: e.Cursor})
	if err != nil {
		return false, err
	}
	page, err := e.store.db.Query(ctx, &dynamodb.QueryInput{
		TableName: &e.store.jobs, IndexName: aws.String(accountIndex), Limit: aws.Int32(erasedJobs), ExclusiveStartKey: from,
		KeyConditionExpression: aws.String("account = :account"), ExpressionAttributeValues: item{":account": text(e.Account)},
	})
	if err != nil {
		return false, err
	}
	for _, named := range page.Items {
		i, err := e.store.jobItem(ctx, item(named).getText(jobID), item(named).getText(jobKind))
		if err != nil {
			return false, err
		}
		if e.wantsJob(i) {
			whole, err := e.job(ctx, i)
			if err != nil || !whole {
				return true, err
			}
		}
		e.Cursor = encodeCursor(named)
		if e.room <= 0 {
			return true, nil
		}
	}
	return len(page.LastEvaluatedKey) > 0, nil
}

// jobItem returns nil for a job that does not exist.
func (s *Store) jobItem(ctx context.Context, id, kind string) (item, error) {
	if s.jobs == "" {
		return nil, nil
	}
	out, err := s.db.GetItem(ctx, &dynamodb.GetItemInput{TableName: &s.jobs, Key: jobKey(id, job.Kind(kind)), ConsistentRead: aws.Bool(true)})
	if err != nil {
		return nil, err
	}
	return out.Item, nil
}

// wantsJob tells whether the item of the jobs table goes: of the account whatever
// it says, of a subject if it says so.
func (e *eraser) wantsJob(i item) bool {
	if i.getText(jobAccount) != e.Account {
		return false
	}
	record, err := recordOf(i)
	return e.OfAccount() || err == nil && e.Wants(record)
}

// job takes a job with all that is of it, and tells whether there was room. Of a
// record that cannot be read the events are found later.
func (e *eraser) job(ctx context.Context, i item) (whole bool, err error) {
	id, kind := i.getText(jobID), i.getText(jobKind)
	if j, err := decodeJob(i); err == nil {
		prefix := webhook.TimePrefix(j.CreatedAt)
		if whole, err = e.eventsOf(ctx, id, kind, stretch{partition(e.Account, shardOf(prefix)), prefix, prefix + afterAll}); err != nil || !whole {
			return false, err
		}
	}
	if whole, err = e.results(ctx, id, kind); err == nil && whole {
		e.takeJob(id, kind)
	}
	return whole, err
}

func (e *eraser) takeJob(id, kind string) {
	if k := [2]string{id, kind}; !slices.Contains(e.doomed.Jobs, k) {
		e.doomed.Jobs = append(e.doomed.Jobs, k)
		e.counts[webhook.ErasedJobs]++
		e.room--
	}
}

// eventsOf takes the events of a job that lie in a stretch.
func (e *eraser) eventsOf(ctx context.Context, id, kind string, in stretch) (whole bool, err error) {
	pages := dynamodb.NewQueryPaginator(e.store.db, &dynamodb.QueryInput{
		TableName: &e.store.deliveries, ConsistentRead: aws.Bool(true), KeyConditionExpression: aws.String("pk = :pk AND sk BETWEEN :from AND :to"),
		FilterExpression: aws.String("#job = :job AND #kind = :kind"), ExpressionAttributeNames: map[string]string{"#job": attrJob, "#kind": attrKind},
		ExpressionAttributeValues: item{":pk": text(in.pk), ":from": text(in.from), ":to": text(in.to), ":job": text(id), ":kind": text(kind)},
	})
	var group []item
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return false, err
		}
		for _, i := range page.Items {
			if len(group) > 0 && group[0].key().eventOf() != item(i).key().eventOf() {
				if whole, err := e.group(ctx, group); err != nil || !whole || e.room <= 0 {
					return false, err
				}
				group = nil
			}
			group = append(group, i)
		}
	}
	return e.group(ctx, group)
}

// group takes the items of one event, with the attempts of its deliveries. If
// those are more than there is room for, they go first.
func (e *eraser) group(ctx context.Context, items []item) (whole bool, err error) {
	if len(items) == 0 {
		return true, nil
	}
	deliveries, attempts, event := map[string]bool{}, 0, webhook.Event{}
	for _, i := range items {
		if i.key().isEvent() {
			v, err := decodeEvent(e.Account, i)
			if err != nil {
				return false, err
			}
			for _, d := range v.deliveries() {
				deliveries[d.ID] = true
			}
			event = v.event
			continue
		}
		deliveries[deliveryID+i.key().sk] = true
		for name := range i {
			if strings.HasPrefix(name, inlinePrefix) {
				attempts++
			}
		}
	}
	if whole, err := e.attempts(ctx, deliveries); err != nil || !whole {
		return false, err
	}
	for _, i := range items {
		e.take("", i.key())
	}
	if event.ID != "" {
		e.counts[webhook.ErasedEvents]++
		if created, ok := webhook.CreatedOf(event.ID); ok && !event.Type.Derivable(event.Run) {
			e.uncounted[created.Truncate(time.Hour)] += len(deliveries)
		}
	}
	e.counts[webhook.ErasedDeliveries] += len(deliveries)
	e.counts[webhook.ErasedAttempts] += attempts
	return true, nil
}

// attempts takes those of deliveries that have items of their own.
func (e *eraser) attempts(ctx context.Context, deliveries map[string]bool) (whole bool, err error) {
	var ids []string
	for id := range deliveries {
		ids = append(ids, id)
	}
	var lock sync.Mutex
	var found []key
	err = inParallel(ctx, len(ids), func(ctx context.Context, i int) error {
		keys, err := e.store.keysIn(ctx, attemptsPK(webhook.Ref{Account: e.Account, ID: ids[i]}), erasedItems)
		lock.Lock()
		defer lock.Unlock()
		found = append(found, keys...)
		return err
	})
	whole = len(found) < erasedItems
	for _, k := range found[:min(len(found), erasedItems)] {
		e.take(webhook.ErasedAttempts, k)
	}
	return whole, err
}

// results takes what there is of a job beside its record and its events. Whatever
// files it has are to go.
func (e *eraser) results(ctx context.Context, id, kind string) (whole bool, err error) {
	hash := files.JobHash(e.Account, job.Kind(kind), id)
	if slices.Contains(e.JobHashes, hash) {
		return true, nil
	}
	keys, err := e.store.keysIn(ctx, prefixResultSets+hash, erasedItems)
	if err != nil {
		return false, err
	}
	for _, k := range keys {
		if strings.HasPrefix(k.sk, skSet) {
			e.take(webhook.ErasedResultSets, k)
		} else {
			e.take(webhook.ErasedDownloads, k)
		}
	}
	if len(keys) == erasedItems {
		return false, nil
	}
	e.JobHashes = append(slices.Clip(e.JobHashes), hash)
	return true, e.stopped(ctx, id, kind)
}

// stopped takes the notes of a scraping job that stopped.
func (e *eraser) stopped(ctx context.Context, id, kind string) error {
	if kind != string(job.KindScraping) {
		return nil
	}
	last, err := e.store.get(ctx, lastStop(id))
	if err != nil {
		return ignore(err, webhook.ErrNotFound)
	}
	e.take("", last.key(), key{stoppedPK, sortable(last.getTime(attrAt)) + " " + id})
	return nil
}

// events goes through the account's partitions of events and deliveries, for
// those that no job led to. The cursor is the partition's number and the last
// event in it that was looked at.
func (e *eraser) events(ctx context.Context) (more bool, err error) {
	shard, after := 0, " "
	if number, sk, ok := strings.Cut(e.Cursor, "#"); ok {
		shard, _ = strconv.Atoi(number) // we wrote it
		after = sk
	}
	for pages := 0; shard < shards; pages++ {
		if pages == erasedPages {
			return true, nil
		}
		last, err := e.eventsIn(ctx, partition(e.Account, shard), after)
		if err != nil {
			return false, err
		}
		after = last
		if last == "" {
			shard, after = shard+1, " "
		}
		e.Cursor = strconv.Itoa(shard) + "#" + after
		if e.room < erasedItems {
			return true, nil
		}
	}
	return false, nil
}

// eventsIn looks at some events of a partition, and returns behind which to go
// on, "" at the end.
func (e *eraser) eventsIn(ctx context.Context, pk, after string) (last string, err error) {
	out, err := e.store.db.Query(ctx, &dynamodb.QueryInput{
		TableName: &e.store.deliveries, ConsistentRead: aws.Bool(true), Limit: aws.Int32(erasedPage), KeyConditionExpression: aws.String("pk = :pk AND sk > :after"),
		ExpressionAttributeValues: item{":pk": text(pk), ":after": text(after)},
	})
	if err != nil || len(out.Items) == 0 {
		return "", err
	}
	groups := grouped(itemsOf(out.Items))
	if cut := len(out.LastEvaluatedKey) > 0; cut { // the last event may have more rows
		if len(groups) > 1 {
			groups = groups[:len(groups)-1]
		} else {
			first := groups[0][0].key().eventOf()
			if groups[0], err = e.store.query(ctx, pk, first.sk, first.sk+afterAll); err != nil {
				return "", err
			}
		}
	}
	for _, g := range groups {
		whole, err := e.lost(ctx, g)
		if err != nil {
			return "", err
		}
		if !whole {
			return after, nil
		}
		after = g[0].key().eventOf().sk + afterAll
		if e.room <= 0 {
			return after, nil
		}
	}
	if len(out.LastEvaluatedKey) == 0 {
		return "", nil
	}
	return after, nil
}

// grouped puts the items of each event together.
func grouped(items []item) (groups [][]item) {
	for n, i := range items {
		if n == 0 || items[n-1].key().eventOf() != i.key().eventOf() {
			groups = append(groups, nil)
		}
		groups[len(groups)-1] = append(groups[len(groups)-1], i)
	}
	return groups
}

// lost takes an event that goes, and its job, unless the job is of another
// subject by now.
func (e *eraser) lost(ctx context.Context, g []item) (whole bool, err error) {
	wants, err := e.wantsEvent(g)
	if err != nil || !wants {
		return true, err
	}
	id, kind := g[0].getText(attrJob), g[0].getText(attrKind)
	i, err := e.store.jobItem(ctx, id, kind)
	if err != nil {
		return false, err
	}
	goes := e.wantsJob(i)
	if goes || len(i) == 0 || i.getText(jobAccount) != e.Account {
		if whole, err := e.results(ctx, id, kind); err != nil || !whole {
			return false, err
		}
	}
	if whole, err = e.group(ctx, g); whole && err == nil && goes {
		e.takeJob(id, kind)
	}
	return whole, err
}

// wantsEvent tells whether an event goes, by its snapshot. Deliveries that are
// left of one that is gone tell nothing of a subject.
func (e *eraser) wantsEvent(g []item) (bool, error) {
	if e.OfAccount() || !g[0].key().isEvent() {
		return e.OfAccount(), nil
	}
	v, err := decodeEvent(e.Account, g[0])
	if err != nil {
		return false, err
	}
	whole, err := v.whole()
	return err == nil && e.Wants(whole.Record), err
}
