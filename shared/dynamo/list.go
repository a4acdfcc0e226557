package dynamo

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/jobhook/jobhook/shared/webhook"
)

// Delivery returns a delivery, or webhook.ErrNotFound.
func (s *Store) Delivery(ctx context.Context, r webhook.Ref) (webhook.Delivery, error) {
	w, _, err := s.one(ctx, r)
	return w.Delivery, wrap(err, "delivery %s", r.ID)
}

// one reads a delivery and its row, which is nil before its first attempt.
func (s *Store) one(ctx context.Context, r webhook.Ref) (w webhook.Work, row item, err error) {
	all, err := s.getAll(ctx, keysOf([]webhook.Ref{r}), true)
	if err != nil {
		return w, nil, err
	}
	w = s.work(r, all, s.now())
	if w.Delivery.ID == "" {
		return w, nil, webhook.ErrNotFound
	}
	k, _ := rowKey(r) // or it would not have been found
	return w, all[k], nil
}

// Event returns an event of the account, or webhook.ErrNotFound.
func (s *Store) Event(ctx context.Context, account, id string) (webhook.Event, error) {
	e, err := s.event(ctx, account, id)
	return e, wrap(err, "event %s", id)
}

// event reads an event with its rows: it is there as long as any delivery is.
func (s *Store) event(ctx context.Context, account, id string) (webhook.Event, error) {
	k, ok := eventKey(account, id)
	if !ok {
		return webhook.Event{}, webhook.ErrNotFound
	}
	group, err := s.query(ctx, k.pk, k.sk, k.sk+afterAll)
	if err != nil {
		return webhook.Event{}, err
	}
	if len(group) == 0 || !group[0].key().isEvent() {
		return webhook.Event{}, webhook.ErrNotFound
	}
	w := walk{s: s, filter: webhook.Filter{Account: account}}
	list, err := w.deliveries(group)
	if err != nil {
		return webhook.Event{}, err
	}
	if len(list) == 0 {
		return webhook.Event{}, webhook.ErrNotFound
	}
	e, err := decodeEvent(account, group[0])
	if err != nil {
		return webhook.Event{}, err
	}
	return e.whole()
}

// Attempts returns the attempts of a delivery, the oldest first. It returns
// webhook.ErrNotFound for a delivery that does not exist.
func (s *Store) Attempts(ctx context.Context, r webhook.Ref) ([]webhook.Attempt, error) {
	list, err := s.attempts(ctx, r)
	return list, wrap(err, "attempts of delivery %s", r.ID)
}

func (s *Store) attempts(ctx context.Context, r webhook.Ref) ([]webhook.Attempt, error) {
	w, row, err := s.one(ctx, r)
	if err != nil {
		return nil, err
	}
	items, err := s.query(ctx, attemptsPK(r), "0", afterAll)
	if err != nil {
		return nil, err
	}
	list, err := inlineAttempts(r, row)
	for _, i := range items {
		// Attempts of a delivery that was here before, and expired, are not its own.
		if at := i.getTime(attrAt); err == nil && !at.Before(w.Delivery.CreatedAt) {
			var a webhook.Attempt
			a, err = decodeAttempt(r, i)
			list = append(list, a)
		}
	}
	slices.SortFunc(list, func(a, b webhook.Attempt) int { return a.At.Compare(b.At) })
	return list, err
}

func decodeAttempt(r webhook.Ref, i item) (webhook.Attempt, error) {
	b, err := unpack(i.getBytes(attrData))
	if err != nil {
		return webhook.Attempt{}, err
	}
	var row attemptRow
	err = json.Unmarshal(b, &row)
	return row.attempt(r, i.getTime(attrAt), i.getBool(attrLate)), err
}

// Deliveries returns a page of an account's deliveries, those of the newest
// job first. The account's partitions are read side by side, and no index: the
// filters look at what is read. A filter by a job whose record is in the jobs
// table reads that job's deliveries only.
func (s *Store) Deliveries(ctx context.Context, f webhook.Filter) ([]webhook.Delivery, error) {
	list, err := s.list(ctx, f)
	return list, wrap(err, "deliveries of account %s", f.Account)
}

func (s *Store) list(ctx context.Context, f webhook.Filter) ([]webhook.Delivery, error) {
	walks, err := s.walks(ctx, f)
	if err != nil {
		return nil, err
	}
	err = inParallel(ctx, len(walks), func(ctx context.Context, i int) error { return walks[i].fill(ctx) })
	var list []webhook.Delivery
	for err == nil && len(list) < f.Limit {
		first := slices.MaxFunc(walks, func(a, b *walk) int { return cmp.Compare(a.head(), b.head()) })
		if first.head() == "" {
			return list, nil
		}
		list = append(list, first.ready[0])
		s.planned.add(first.ready[0].Ref())
		first.ready = first.ready[1:]
		err = first.fill(ctx)
	}
	return list, err
}

// walks begins one walk in each partition that may have what the filter wants.
func (s *Store) walks(ctx context.Context, f webhook.Filter) ([]*walk, error) {
	before := strings.TrimPrefix(f.After, deliveryID)
	if before == "" {
		before = afterAll
	}
	prefix, err := s.prefixOfJob(ctx, f)
	if err != nil {
		return nil, err
	}
	if prefix != "" {
		return []*walk{{s: s, filter: f, pk: partition(f.Account, shardOf(prefix)), from: prefix, before: min(before, prefix+afterAll)}}, nil
	}
	walks := make([]*walk, shards)
	for i := range walks {
		walks[i] = &walk{s: s, filter: f, pk: partition(f.Account, i), before: before}
	}
	return walks, nil
}

// prefixOfJob begins the ids of all deliveries of the filter's job, if there
// is one and its record says when it was created.
func (s *Store) prefixOfJob(ctx context.Context, f webhook.Filter) (string, error) {
	if f.JobID == "" || s.jobs == "" {
		return "", nil
	}
	jobs, err := s.JobsByID(ctx, f.JobID)
	if err != nil || len(jobs) != 1 {
		return "", err
	}
	return webhook.TimePrefix(jobs[0].CreatedAt), nil
}

// walk goes through one partition, from the newest down.
type walk struct {
	s      *Store
	filter webhook.Filter
	pk     string
	from   string // the walk ends there
	before string // what was seen begins here
	done   bool
	items  []item             // read, not looked at
	ready  []webhook.Delivery // looked at, not taken
}

// head is the id of the next delivery; empty at the end.
func (w *walk) head() string {
	if len(w.ready) == 0 {
		return ""
	}
	return w.ready[0].ID
}

// fill sees that the next delivery is ready, if there is one.
func (w *walk) fill(ctx context.Context) error {
	for len(w.ready) == 0 {
		group, err := w.group(ctx)
		if err != nil || len(group) == 0 {
			return err
		}
		if w.ready, err = w.deliveries(group); err != nil {
			return err
		}
	}
	return nil
}

// group takes the items of the next event: its rows, and after them, since it
// goes down, the event itself.
func (w *walk) group(ctx context.Context) (group []item, err error) {
	for {
		for len(w.items) > 0 {
			if i := w.items[0]; len(group) > 0 && i.key().eventOf() != group[0].key().eventOf() {
				return group, nil
			}
			group, w.items = append(group, w.items[0]), w.items[1:]
			if last := group[len(group)-1]; last.key().isEvent() {
				return group, nil
			}
		}
		if w.done {
			return group, nil
		}
		if err := w.read(ctx); err != nil {
			return nil, err
		}
	}
}

// read reads the next items. Records are left out; they are paid for, but need
// not travel.
func (w *walk) read(ctx context.Context) error {
	out, err := w.s.db.Query(ctx, &dynamodb.QueryInput{
		TableName: &w.s.deliveries, ConsistentRead: aws.Bool(true), ScanIndexForward: aws.Bool(false),
		KeyConditionExpression:    aws.String("pk = :pk AND sk BETWEEN :from AND :before"),
		ExpressionAttributeValues: item{":pk": text(w.pk), ":from": text(w.from + " "), ":before": text(w.before)},
		Limit:                     aws.Int32(w.pageSize()),
		ProjectionExpression:      aws.String(listed), ExpressionAttributeNames: listedNames(),
	})
	if err != nil {
		return err
	}
	for _, i := range out.Items {
		if sk := item(i).getText(attrSK); sk < w.before { // BETWEEN takes in its end
			w.items, w.before = append(w.items, i), sk
		}
	}
	w.done = len(out.LastEvaluatedKey) == 0
	return nil
}

// pageSize is small where most of what is read is shown, and as large as DynamoDB
// likes where a filter leaves most of it out.
func (w *walk) pageSize() int32 {
	if f := w.filter; f.State != "" || f.Endpoint != "" || f.JobID != "" {
		return 1000
	}
	return int32(w.filter.Limit/4 + 8)
}

// listed are the attributes that lists need.
const listed = "pk, sk, #type, #kind, #job, #run, #seq, #at, #level, #plan, #ep, #url, #fmt, #state, #reason, #gen, #tries, " +
	"#postponed, #next, #due, #lease, #deadline, #status, #failure, #created, #updated, #delivered, #expires"

func listedNames() map[string]string {
	names := map[string]string{}
	for _, n := range strings.Split(listed, ", ") {
		if name, ok := strings.CutPrefix(n, "#"); ok {
			names[n] = name
		}
	}
	return names
}

// deliveries are those of one event that the filter wants, the last id first.
func (w *walk) deliveries(group []item) ([]webhook.Delivery, error) {
	rows := map[string]webhook.Delivery{}
	for _, i := range group {
		if i.key().isEvent() {
			e, err := decodeEvent(w.filter.Account, i)
			if err != nil {
				return nil, err
			}
			for _, d := range e.deliveries() {
				rows[d.ID] = current(rows[d.ID], d)
			}
			continue
		}
		d := decodeRow(w.filter.Account, i)
		rows[d.ID] = d
	}
	now := w.s.now()
	var all []webhook.Delivery
	for _, d := range rows {
		if d, ok := aged(d, now); ok && wanted(w.filter, d) {
			all = append(all, d)
		}
	}
	slices.SortFunc(all, func(a, b webhook.Delivery) int { return cmp.Compare(b.ID, a.ID) })
	return all, nil
}

func wanted(f webhook.Filter, d webhook.Delivery) bool {
	return (f.After == "" || d.ID < f.After) && (f.State == "" || d.State == f.State) &&
		(f.Endpoint == "" || d.Target.Endpoint == f.Endpoint) && (f.JobID == "" || d.JobID == f.JobID)
}

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
