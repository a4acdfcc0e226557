package dynamo

import (
	"context"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

const attrUntil = "until"

// addTrouble reads until when nobody calls the URLs of the works, and what is
// known of their hosts: of either only while there is any, which is rare.
func (s *Store) addTrouble(ctx context.Context, works []webhook.Work, trouble item, now time.Time) error {
	silences, hosts := trouble.getTime(attrUntil).After(now), trouble.getTime(attrHostsUntil).After(now)
	named := map[key]bool{}
	var keys []key
	name := func(k key) {
		if !named[k] {
			named[k] = true
			keys = append(keys, k)
		}
	}
	for _, w := range works {
		if w.Delivery.ID == "" || w.Delivery.State.Final() {
			continue
		}
		if silences {
			name(silenceKey(w.URL()))
		}
		if hosts {
			name(hostKey(webhook.HostOf(w.URL())))
		}
	}
	found, err := s.getAll(ctx, keys, false)
	if err != nil || len(found) == 0 {
		return err
	}
	for i := range works {
		url := works[i].URL()
		works[i].SilentUntil = found[silenceKey(url)].getTime(attrUntil)
		works[i].Host = decodeHost(found[hostKey(webhook.HostOf(url))], now)
	}
	return nil
}

// Silence keeps everybody from calling the exact URL until then. Readers first
// look whether any URL is silent, so that is written first.
func (s *Store) Silence(ctx context.Context, url string, until time.Time) error {
	err := s.prolong(ctx, anyTrouble(), attrUntil, until, false)
	if err == nil {
		err = s.prolong(ctx, silenceKey(url), attrUntil, until, true)
	}
	return wrap(err, "silence a URL")
}

// prolong sets a time unless it is later already. With expires, DynamoDB may
// remove the item then.
func (s *Store) prolong(ctx context.Context, k key, attribute string, until time.Time, expires bool) error {
	next := item{}.time(attribute, until)
	if expires {
		next.ttl(until)
	}
	c := newChange()
	c.to(attribute, next)
	c.to(attrTTL, next)
	name := c.name(attribute)
	condition := "attribute_not_exists(" + name + ") OR " + name + " < " + c.value(next[attribute])
	_, err := s.db.UpdateItem(ctx, s.update(k, c, condition))
	if _, ok := refused(err); ok {
		return nil // it is so for longer
	}
	return err
}
