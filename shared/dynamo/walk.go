package dynamo

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/jobhook/jobhook/shared/webhook"
)

// maxListUnits are what one page of a list may read before it ends: 4 MB, as a
// unit is a consistent read of 4 KB. The first page of each partition is read
// whatever it takes, at most 1 MB.
const maxListUnits = 1024

// merged is a list of what lies in several partitions, the last id first. The
// partitions are walked side by side; the one that is the least far goes on.
type merged[T any] struct {
	s          *Store
	account    string
	attributes string                    // that are read
	pageSize   int32                     // items of one request
	show       func(eventGroup) []T      // what the list shows of an event, the last id first
	id         func(T) string            // of what is shown, and the cursor behind it
	below      func(event string) string // the cursor behind all of an event
	walks      []*walk[T]
}

// walk goes through one partition, from the newest down.
type walk[T any] struct {
	list   *merged[T]
	pk     string
	from   string  // the walk ends there
	before string  // what was read begins here
	passed string  // the event that was looked at last
	done   bool    // everything was read
	units  float64 // that were used
	items  []item  // read, of an event that may have more
	ready  []T     // looked at, not taken
}

// begin starts a walk in each stretch that has anything before a position.
func (l *merged[T]) begin(parts []stretch, before string) {
	for _, p := range parts {
		if to := min(before, p.to); p.from < to { // DynamoDB refuses an empty range
			l.walks = append(l.walks, &walk[T]{list: l, pk: p.pk, from: p.from, before: to})
		}
	}
}

// page takes up to limit of what the list shows, and returns the cursor of the
// next page.
func (l *merged[T]) page(ctx context.Context, limit int) (page []T, next string, err error) {
	limit = max(limit, 1)
	err = inParallel(ctx, len(l.walks), func(ctx context.Context, i int) error { return l.walks[i].step(ctx) })
	for err == nil {
		l.walks = slices.DeleteFunc(l.walks, func(w *walk[T]) bool { return w.done && len(w.ready) == 0 })
		if len(l.walks) == 0 {
			return page, "", nil
		}
		if len(page) == limit {
			return page, l.id(page[limit-1]), nil
		}
		w := slices.MaxFunc(l.walks, func(a, b *walk[T]) int { return cmp.Compare(a.at(), b.at()) })
		switch {
		case len(w.ready) > 0:
			page, w.ready = append(page, w.ready[0]), w.ready[1:]
		case l.units() >= maxListUnits:
			return page, w.at(), nil // nobody else has anything that comes before
		default:
			err = w.step(ctx)
		}
	}
	return nil, "", err
}

// units are what all walks used.
func (l *merged[T]) units() (sum float64) {
	for _, w := range l.walks {
		sum += w.units
	}
	return sum
}

// at is how far the walk is: at what it shows next, or behind what it passed.
func (w *walk[T]) at() string {
	if len(w.ready) > 0 {
		return w.list.id(w.ready[0])
	}
	return w.list.below(w.passed)
}

// step reads until it has passed at least one event, or all.
func (w *walk[T]) step(ctx context.Context) error {
	was := w.passed
	for w.passed == was && !w.done {
		if err := w.read(ctx); err != nil {
			return err
		}
		if err := w.look(); err != nil {
			return err
		}
	}
	return nil
}

// look looks at the events of which everything was read: first the rows of one,
// and after them, since the walk goes down, the event itself.
func (w *walk[T]) look() error {
	for n := 0; n < len(w.items); n++ {
		k := w.items[n].key()
		whole := k.isEvent() || n == len(w.items)-1 && w.done ||
			n < len(w.items)-1 && w.items[n+1].key().eventOf() != k.eventOf()
		if !whole {
			continue
		}
		g, err := w.list.s.groupOf(w.list.account, w.items[:n+1])
		if err != nil {
			return err
		}
		w.ready = append(w.ready, w.list.show(g)...)
		w.passed, w.items, n = k.eventOf().sk, w.items[n+1:], -1
	}
	return nil
}

// read reads the next items. Records are left out of most lists; they are paid
// for, but need not travel.
func (w *walk[T]) read(ctx context.Context) error {
	out, err := w.list.s.db.Query(ctx, &dynamodb.QueryInput{
		TableName: &w.list.s.deliveries, ConsistentRead: aws.Bool(true), ScanIndexForward: aws.Bool(false),
		KeyConditionExpression:    aws.String("pk = :pk AND sk BETWEEN :from AND :before"),
		ExpressionAttributeValues: item{":pk": text(w.pk), ":from": text(w.from), ":before": text(w.before)},
		Limit:                     aws.Int32(w.list.pageSize), ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal,
		ProjectionExpression: &w.list.attributes, ExpressionAttributeNames: namesIn(w.list.attributes),
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
	w.units += unitsOf(out.ConsumedCapacity)
	return nil
}

// unitsOf is what a read used; where the server does not say, what one may use
// at most.
func unitsOf(c *types.ConsumedCapacity) float64 {
	if c == nil || c.CapacityUnits == nil {
		return maxListUnits / 4
	}
	return *c.CapacityUnits
}

// listed are the attributes that lists need.
const listed = "pk, sk, #type, #kind, #job, #run, #seq, #at, #level, #plan, #ep, #url, #fmt, #state, #reason, #gen, #tries, " +
	"#postponed, #next, #due, #lease, #deadline, #status, #failure, #created, #updated, #delivered, #expires"

// namesIn are the names of the placeholders in a list of attributes.
func namesIn(attributes string) map[string]string {
	names := map[string]string{}
	for _, n := range strings.Split(attributes, ", ") {
		if name, ok := strings.CutPrefix(n, "#"); ok {
			names[n] = name
		}
	}
	return names
}

// eventGroup is what the table has of one event: itself, unless it is gone, and
// its deliveries, the last id first.
type eventGroup struct {
	event      eventAndPlan
	deliveries []webhook.Delivery
}

// exists tells whether the event is there: as long as any of its deliveries is.
func (g eventGroup) exists() bool { return g.event.event.ID != "" && len(g.deliveries) > 0 }

// groupOf puts together the items of one event, in any order.
func (s *Store) groupOf(account string, items []item) (g eventGroup, err error) {
	rows := map[string]webhook.Delivery{}
	for _, i := range items {
		if !i.key().isEvent() {
			d := decodeRow(account, i)
			rows[d.ID] = d
			continue
		}
		if g.event, err = decodeEvent(account, i); err != nil {
			return g, err
		}
	}
	for _, d := range g.event.deliveries() {
		rows[d.ID] = current(rows[d.ID], d)
	}
	now := s.now()
	for _, id := range slices.Backward(slices.Sorted(maps.Keys(rows))) {
		if d, ok := aged(rows[id], now); ok {
			g.deliveries = append(g.deliveries, d)
		}
	}
	return g, nil
}
