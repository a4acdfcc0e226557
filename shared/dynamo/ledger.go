package dynamo

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/jobhook/jobhook/shared/webhook"
)

// The ledger's items by partition key:
//
//	accounts      accounts that were put, have endpoints, or progress
//	n#<account>   deliveries counted by dispatch, by the hour of their jobs' creation
//	ledgers       the last ledger of each account, and of all
//	ledger        how far the check is
const (
	accountsPK   = "accounts"
	prefixCounts = "n#"
	ledgersPK    = "ledgers"
	ledgerPK     = "ledger"
	skAll        = " " // no account's id
)

const (
	attrCounted = "n"
	// keepCounts is how long counts are kept: longer than a check looks back.
	keepCounts = 15 * 24 * time.Hour
	// keepLedgers is how long the last ledger of an account stays that has nothing
	// to check any more.
	keepLedgers = 90 * 24 * time.Hour
)

// Attributes of a job record that may tell when it was written last.
const (
	jobUpdated = "updated_at"
	jobEnded   = "ended_at"
)

// notedAccounts remembers which accounts the ledger knows of.
type notedAccounts struct {
	mu  sync.Mutex
	all map[string]struct{}
}

// add reports false for an account that was noted before. It forgets all when
// there are too many: to note one again does no harm.
func (n *notedAccounts) add(account string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, ok := n.all[account]; ok {
		return false
	}
	if n.all == nil || len(n.all) >= maxCachedAccounts {
		n.all = map[string]struct{}{}
	}
	n.all[account] = struct{}{}
	return true
}

func (n *notedAccounts) forget(account string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.all, account)
}

// noteAccount lets the ledger find an account: there is no other list of them. It
// is done where accounts and endpoints are written, and with the first progress;
// with every event it would cost a write.
func (s *Store) noteAccount(ctx context.Context, account string) error {
	if !s.noted.add(account) {
		return nil
	}
	err := s.put(ctx, key{accountsPK, account}.item())
	if err != nil {
		s.noted.forget(account)
	}
	return wrap(err, "account %s: note", account)
}

// LedgerAccounts returns the accounts after the given one, in order, that were
// written, have endpoints or had progress. One that nobody wrote, whose jobs name
// their URLs and have no progress, is not among them.
func (s *Store) LedgerAccounts(ctx context.Context, after string, limit int) (list []string, err error) {
	items, err := s.following(ctx, accountsPK, after, limit)
	for _, i := range items {
		list = append(list, i.getText(attrSK))
	}
	return list, wrap(err, "accounts of the ledger")
}

// following reads the items of a partition behind a sort key, at most limit.
func (s *Store) following(ctx context.Context, pk, after string, limit int) (items []item, err error) {
	if after == "" {
		after = skAll // which sorts before every account
	}
	pages := dynamodb.NewQueryPaginator(s.db, &dynamodb.QueryInput{
		TableName: &s.deliveries, KeyConditionExpression: aws.String("pk = :pk AND sk > :after"), Limit: aws.Int32(int32(limit)),
		ExpressionAttributeValues: item{":pk": text(pk), ":after": text(after)}, ConsistentRead: aws.Bool(true),
	})
	for pages.HasMorePages() && len(items) < limit {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, i := range page.Items {
			items = append(items, i)
		}
	}
	return items[:min(limit, len(items))], nil
}

// secondForm is how a record says a second of its creation; fractions follow.
const secondForm = "2006-01-02T15:04:05"

// JobsCreated calls f for an account's jobs that were created from one time to
// before another, whole seconds. After about limit of them it stops at the next
// second, which it returns; at the end it returns to. It goes by the text of
// created_at, and so passes over a record that does not say it in UTC. When a job
// was written last is what its record says: nothing else tells.
func (s *Store) JobsCreated(ctx context.Context, account string, from, to time.Time, limit int, f func(webhook.WrittenJob)) (next time.Time, err error) {
	if s.jobs == "" {
		return to, ErrNoJobs
	}
	keys, next, err := s.createdBetween(ctx, account, from, to, limit)
	if err != nil {
		return to, wrap(err, "jobs of account %s", account)
	}
	items, err := s.batchGet(ctx, s.jobs, keys, false)
	if err != nil {
		return to, wrap(err, "jobs of account %s", account)
	}
	for _, i := range items {
		j, err := decodeJob(i)
		if err != nil {
			s.log.WarnContext(ctx, "job.unreadable", "job", i.getText(jobID), "error", err)
			continue
		}
		if !j.CreatedAt.Before(from) && j.CreatedAt.Before(to) {
			f(webhook.WrittenJob{Job: j, ChangedAt: changedAt(i)})
		}
	}
	return next, nil
}

// createdBetween returns the keys of jobs by the index, the first whole seconds
// that have at least limit of them.
func (s *Store) createdBetween(ctx context.Context, account string, from, to time.Time, limit int) (keys []map[string]types.AttributeValue, next time.Time, err error) {
	pages := dynamodb.NewQueryPaginator(s.db, &dynamodb.QueryInput{
		TableName: &s.jobs, IndexName: aws.String(accountIndex), Limit: aws.Int32(int32(limit + 1)),
		KeyConditionExpression: aws.String("account = :account AND created_at BETWEEN :from AND :to"),
		ExpressionAttributeValues: item{":account": text(account), ":from": text(from.UTC().Format(secondForm)),
			":to": text(to.UTC().Add(-time.Second).Format(secondForm) + afterAll)},
	})
	last := ""
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, to, err
		}
		for _, i := range page.Items {
			second := item(i).getText(jobCreated)
			second = second[:min(len(secondForm), len(second))]
			at, err := time.Parse(secondForm, second)
			if err == nil && second != last && len(keys) >= limit {
				return keys, at, nil
			}
			last = second
			keys = append(keys, item{jobID: i[jobID], jobKind: i[jobKind]})
		}
	}
	return keys, to, nil
}

// changedAt is the latest time that a record gives for a write of it.
func changedAt(i item) (last time.Time) {
	for _, name := range []string{jobUpdated, jobEnded} {
		if at, err := time.Parse(time.RFC3339Nano, i.getText(name)); err == nil && at.After(last) {
			last = at
		}
	}
	return last
}

// Booked calls f for an account's deliveries of jobs created so, in any order, as
// JobsCreated does. The partitions are read side by side, a part of the limit
// each, and it ends at the second to which all of them were read. Reads cost half
// of what they cost lists: a delivery that was stored this very moment may be
// missing.
func (s *Store) Booked(ctx context.Context, account string, from, to time.Time, limit int, f func(webhook.Delivery)) (next time.Time, err error) {
	first, end := webhook.TimePrefix(from), webhook.TimePrefix(to.Add(-time.Millisecond))+afterAll
	parts, ends := make([][]item, shards), make([]time.Time, shards)
	err = inParallel(ctx, shards, func(ctx context.Context, n int) (err error) {
		parts[n], ends[n], err = s.bookedIn(ctx, stretch{partition(account, n), first, end}, from, to, limit/shards+1)
		return err
	})
	if err != nil {
		return to, wrap(err, "deliveries of account %s", account)
	}
	next = slices.MinFunc(ends, time.Time.Compare)
	for _, items := range parts {
		if err := s.tellGroups(account, items, next, f); err != nil {
			return to, wrap(err, "deliveries of account %s", account)
		}
	}
	return next, nil
}

// bookedIn reads items of a partition, at least the first second of the stretch.
// All items of jobs created before end are among them.
func (s *Store) bookedIn(ctx context.Context, part stretch, from, to time.Time, limit int) (items []item, end time.Time, err error) {
	names := listed
	pages := dynamodb.NewQueryPaginator(s.db, &dynamodb.QueryInput{
		TableName: &s.deliveries, KeyConditionExpression: aws.String("pk = :pk AND sk BETWEEN :from AND :to"), Limit: aws.Int32(int32(limit)),
		ExpressionAttributeValues: item{":pk": text(part.pk), ":from": text(part.from), ":to": text(part.to)},
		ProjectionExpression:      &names, ExpressionAttributeNames: namesIn(names),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, to, err
		}
		for _, i := range page.Items {
			items = append(items, i)
		}
		if len(items) < limit || !pages.HasMorePages() {
			continue
		}
		if end := secondOf(items[len(items)-1]); end.After(from) {
			return items, end, nil
		}
	}
	return items, to, nil
}

// secondOf is the second in which the job of an event or a row was created.
func secondOf(i item) time.Time {
	at, _ := webhook.CreatedOf(eventID + i.key().sk) // we wrote it
	return at.Truncate(time.Second)
}

// tellGroups calls f for the deliveries of jobs that were created before a second,
// event by event.
func (s *Store) tellGroups(account string, items []item, before time.Time, f func(webhook.Delivery)) error {
	for len(items) > 0 && secondOf(items[0]).Before(before) {
		n, event := 1, items[0].key().eventOf()
		for n < len(items) && items[n].key().eventOf() == event {
			n++
		}
		g, err := s.groupOf(account, items[:n])
		if err != nil {
			return err
		}
		for _, d := range g.deliveries {
			f(d)
		}
		items = items[n:]
	}
	return nil
}

// hourOfCount names an account's count of an hour.
type hourOfCount struct {
	account string
	hour    time.Time
}

// count counts new deliveries of events that no job record tells of, after they
// were stored: one write for each account and hour of a batch. An answer that is
// lost is not asked for again, and a count that failed is not made up for: it may
// be too small, never too large.
func (s *Store) count(ctx context.Context, planned []webhook.Planned, added []int) {
	all := map[hourOfCount]int{}
	for i, p := range planned {
		created, ok := webhook.CreatedOf(p.Event.ID)
		if ok && added[i] > 0 && !p.Event.Type.Derivable(p.Event.Run) {
			all[hourOfCount{p.Event.Account, created.Truncate(time.Hour)}] += added[i]
		}
	}
	for at, n := range all {
		c := newChange()
		c.to(attrTTL, item{}.ttl(s.now().Add(keepCounts)))
		c.plus(attrCounted, n)
		_, err := s.db.UpdateItem(ctx, s.update(countKey(at.account, at.hour), c, ""), func(o *dynamodb.Options) { o.Retryer = aws.NopRetryer{} })
		if err == nil {
			err = s.noteAccount(ctx, at.account)
		}
		if err != nil {
			s.log.WarnContext(ctx, "ledger.uncounted", "account", at.account, "deliveries", n, "error", err)
		}
	}
}

func countKey(account string, hour time.Time) key { return key{prefixCounts + account, sortable(hour)} }

// Counted returns how many deliveries were counted of jobs created in an hour.
func (s *Store) Counted(ctx context.Context, account string, hour time.Time) (int, error) {
	out, err := s.db.GetItem(ctx, &dynamodb.GetItemInput{TableName: &s.deliveries, Key: countKey(account, hour).item()})
	if err != nil {
		return 0, wrap(err, "counts of account %s", account)
	}
	return item(out.Item).getInt(attrCounted), nil
}

// ledgerKey names the ledger of an account, or with "" that of all.
func ledgerKey(account string) key {
	if account == "" {
		account = skAll
	}
	return key{ledgersPK, account}
}

func accountOfLedger(i item) string { return strings.TrimSpace(i.getText(attrSK)) }

func checkKey() key { return key{ledgerPK, skOnly} }
