package dynamo

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/jobhook/jobhook/shared/webhook"
)

// Attributes of hosts, besides those of a circuit.
const (
	attrHost       = "host"
	attrHostsUntil = "hosts_until" // of anyTrouble
)

// keepHost is how long a host is remembered after its circuit could be tried
// again, or was closed.
const keepHost = time.Hour

// rememberedUntil is when a host is forgotten. Of one whose circuit was closed
// the version is left so long, for those who have read it.
func rememberedUntil(h webhook.HostHealth, now time.Time) time.Time {
	if h.OpenUntil.IsZero() {
		return now.Add(keepHost)
	}
	return h.OpenUntil.Add(keepHost)
}

// decodeHost is zero for a host that is forgotten, or not there.
func decodeHost(i item, now time.Time) webhook.HostHealth {
	if !i.getTime(attrUntil).After(now) {
		return webhook.HostHealth{}
	}
	return webhook.HostHealth{Host: i.getText(attrHost), Circuit: i.getCircuit(), Version: i.getInt(attrVersion)}
}

// SetHost replaces what is known of a host by what follows it. It returns
// webhook.ErrStale when it has changed since it was read. A host is forgotten an
// hour after OpenUntil.
//
// All hosts are in one partition: there are few, only those that fail, so that
// they are listed by one query and need no second write. Readers first look
// whether there is any, so that is written first.
func (s *Store) SetHost(ctx context.Context, read, next webhook.HostHealth) error {
	err := s.setHost(ctx, read, next)
	return wrap(err, "host %s: health", next.Host)
}

func (s *Store) setHost(ctx context.Context, read, next webhook.HostHealth) error {
	now, by := s.now(), rand.Text()
	until := rememberedUntil(next, now)
	if err := s.prolong(ctx, anyTrouble(), attrHostsUntil, until, false); err != nil {
		return err
	}
	row := item{}.text(attrHost, next.Host).circuit(next.Circuit).int(attrVersion, next.Version).time(attrUntil, until).ttl(until).text(attrBy, by)
	c := newChange()
	for _, name := range []string{attrHost, attrOpens, attrOpenUntil, attrProbeUntil, attrVersion, attrUntil, attrTTL, attrBy} {
		c.to(name, row)
	}
	condition := c.versionIs(attrVersion, read.Version)
	if read.Version == 0 {
		condition += " OR " + c.name(attrUntil) + " <= " + c.value(number(micros(now)))
	}
	_, err := s.db.UpdateItem(ctx, s.update(hostKey(next.Host), c, condition))
	old, ok := refused(err)
	switch {
	case ok && old.getText(attrBy) == by: // an earlier request did it, and its answer was lost
		return nil
	case ok:
		return webhook.ErrStale
	}
	return err
}

// Hosts returns those whose circuit was opened and that are not forgotten, at
// most limit, in the order of their names.
func (s *Store) Hosts(ctx context.Context, limit int) (list []webhook.HostHealth, err error) {
	pages := dynamodb.NewQueryPaginator(s.db, &dynamodb.QueryInput{
		TableName: &s.deliveries, ConsistentRead: aws.Bool(true),
		KeyConditionExpression: aws.String("pk = :pk"), ExpressionAttributeValues: item{":pk": text(hostsPK)},
	})
	var items []item
	now := s.now()
	for pages.HasMorePages() && len(items) < limit {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, wrap(err, "hosts")
		}
		for _, i := range page.Items {
			if h := decodeHost(i, now); h.Circuit != (webhook.Circuit{}) {
				items = append(items, i)
			}
		}
	}
	for _, i := range inOrder(items[:min(limit, len(items))], byText(attrHost)) {
		list = append(list, decodeHost(i, now))
	}
	return list, nil
}
