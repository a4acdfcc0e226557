package dynamo

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/jobhook/jobhook/shared/webhook"
)

// Record replaces a delivery's row if nobody changed it since it was read, and
// keeps the attempt, if any, in every case. It returns webhook.ErrStale when
// the row was not replaced, and webhook.ErrNotFound when there is none. A
// success is recorded in any state of its own generation.
//
// A call that is repeated, since the answer to the first one was lost, finds
// its own row and is no loser.
func (s *Store) Record(ctx context.Context, read, next webhook.Delivery, attempt *webhook.Attempt) error {
	err := s.record(ctx, read, next, attempt)
	return wrap(err, "delivery %s: record", read.ID)
}

func (s *Store) record(ctx context.Context, read, next webhook.Delivery, attempt *webhook.Attempt) error {
	k, ok := rowKey(read.Ref())
	if !ok {
		return webhook.ErrNotFound
	}
	if isPlain(read) {
		if err := s.mustBePlanned(ctx, k, read.Ref()); err != nil {
			return err
		}
	}
	inline := attempt != nil && next.State == webhook.StateDelivered && read.State != webhook.StateDelivered
	if attempt != nil && !inline {
		if err := s.putAttempt(ctx, *attempt, next, false); err != nil {
			return err
		}
	}
	row := immutable(k, read).mutable(next)
	if inline {
		if err := row.inline(*attempt); err != nil {
			return err
		}
	}
	err := s.replace(ctx, k, read, next, row)
	if errors.Is(err, webhook.ErrStale) && attempt != nil {
		if err := s.putAttempt(ctx, *attempt, next, true); err != nil {
			return err
		}
	}
	return err
}

// mustBePlanned looks for the event of a delivery that has no row yet, unless
// it was just read: what does not exist must not come to be by being recorded.
func (s *Store) mustBePlanned(ctx context.Context, k key, r webhook.Ref) error {
	if s.planned.has(r) {
		return nil
	}
	i, err := s.get(ctx, k.eventOf())
	if err != nil {
		return err
	}
	e, err := decodeEvent(r.Account, i)
	if err != nil {
		return err
	}
	if _, ok := e.delivery(r.ID); !ok {
		return webhook.ErrNotFound
	}
	return nil
}

// inline puts a successful attempt into the row: it saves a write.
func (i item) inline(a webhook.Attempt) error {
	r := attemptRowOf(a)
	if r.URL == i.getText(attrURL) {
		r.URL = ""
	}
	b, err := json.Marshal(r)
	i.text(inlinePrefix+strconv.Itoa(micros(a.At)), string(b))
	return err
}

// putAttempt keeps an attempt as an item of its own. It expires with the
// delivery, but not before that could be seen to have ended.
func (s *Store) putAttempt(ctx context.Context, a webhook.Attempt, d webhook.Delivery, late bool) error {
	b, err := json.Marshal(attemptRowOf(a))
	if err != nil {
		return err
	}
	i := attemptKey(a).item().time(attrAt, a.At).bytes(attrData, pack(b)).bool(attrLate, late)
	if !d.ExpiresAt.IsZero() {
		i.ttl(d.ExpiresAt.Add(keepUnsent))
	}
	return wrap(s.put(ctx, i), "attempt")
}

// replace writes the row if it is as it was read, or gives way to a success.
func (s *Store) replace(ctx context.Context, k key, read, next webhook.Delivery, row item) error {
	if isPlain(read) {
		err := s.insert(ctx, row)
		if errors.Is(err, errAlone) {
			err = s.putFirst(ctx, read, row)
		}
		switch {
		case err == nil:
			s.planned.remove(read.Ref())
			return nil
		case !errors.Is(err, webhook.ErrStale):
			s.inserts.expectAgain()
			return err
		}
	}
	was := fence(read)
	for range 2 {
		_, err := s.db.UpdateItem(ctx, s.replacement(k, was, next, row))
		old, ok := refused(err)
		if !ok {
			return err
		}
		if len(old) == 0 {
			return webhook.ErrNotFound
		}
		have := decodeRow(read.Account, old)
		if isOwn(have, next) {
			return nil
		}
		// What expired was read as ended; its row may still say otherwise.
		if now, ok := aged(have, s.now()); !ok || fence(now) != was {
			return webhook.ErrStale
		}
		was = fence(have)
	}
	return webhook.ErrStale
}

// putFirst writes the row of a delivery that has none. ErrStale means that
// there is one already.
func (s *Store) putFirst(ctx context.Context, read webhook.Delivery, row item) error {
	_, err := s.db.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &s.deliveries, Item: row,
		ConditionExpression:       aws.String("attribute_not_exists(pk) OR #fence = :fence OR #ttl < :now"),
		ExpressionAttributeNames:  map[string]string{"#fence": attrFence, "#ttl": attrTTL},
		ExpressionAttributeValues: item{":fence": text(fence(read)), ":now": number(int(s.now().Unix()))},
	})
	if _, ok := refused(err); ok {
		return webhook.ErrStale
	}
	return err
}

// replacement is the request that writes what changes of a row.
func (s *Store) replacement(k key, was string, next webhook.Delivery, row item) *dynamodb.UpdateItemInput {
	c := newChange()
	for _, name := range mutables() {
		c.to(name, row)
	}
	for name := range row {
		if strings.HasPrefix(name, inlinePrefix) {
			c.to(name, row)
		}
	}
	condition := c.name(attrFence) + " = " + c.value(text(was))
	if next.State == webhook.StateDelivered {
		condition += " OR " + c.name(attrGeneration) + " = " + c.value(number(next.Generation)) +
			" AND " + c.name(attrState) + " <> " + c.value(text(string(webhook.StateDelivered)))
	}
	return s.update(k, c, condition)
}

// isOwn tells whether the row is the one that was to be written: an earlier
// request did it, and its answer was lost.
func isOwn(have, next webhook.Delivery) bool {
	return fence(have) == fence(next) && have.Reason == next.Reason && micros(have.UpdatedAt) == micros(next.UpdatedAt)
}
