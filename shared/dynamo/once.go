package dynamo

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/jobhook/jobhook/shared/webhook"
)

// Attributes of what must happen once.
const (
	attrFingerprint = "fingerprint"
	attrHeader      = "header"
	attrBody        = "body" // sealed
	attrStarted     = "started"
	attrUsed        = "used"
	attrBy          = "by" // which call did it: random
)

// BeginOnce keeps o unless a request of its ID is there that has not expired.
// It returns what is kept, and whether that is o: a call that is repeated,
// since the answer to the first one was lost, knows its own.
func (s *Store) BeginOnce(ctx context.Context, o webhook.Once) (kept webhook.Once, begun bool, err error) {
	by := rand.Text()
	i, err := s.answerOf(ctx, o)
	if err != nil {
		return webhook.Once{}, false, wrap(err, "request: begin")
	}
	k := onceKey(o.ID)
	i[attrPK], i[attrSK] = text(k.pk), text(k.sk)
	i.text(attrFingerprint, o.Fingerprint).text(attrAccount, o.Account).time(attrStarted, o.StartedAt).text(attrBy, by)
	_, err = s.db.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &s.deliveries, Item: i, ConditionExpression: aws.String("attribute_not_exists(pk) OR #expires <= :now"),
		ExpressionAttributeNames:            map[string]string{"#expires": attrExpires},
		ExpressionAttributeValues:           item{":now": number(max(micros(o.StartedAt), micros(s.now())))},
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	old, isThere := refused(err)
	switch {
	case err != nil && !isThere:
		return webhook.Once{}, false, wrap(err, "request: begin")
	case !isThere || old.getText(attrBy) == by:
		return o, true, nil
	}
	kept, err = s.decodeOnce(ctx, o.ID, old)
	return kept, false, wrap(err, "request: read what was begun")
}

// answerOf are the attributes of an answer, its body sealed.
func (s *Store) answerOf(ctx context.Context, o webhook.Once) (item, error) {
	i := item{}.int(attrStatus, o.Status).time(attrExpires, o.ExpiresAt).ttl(o.ExpiresAt)
	if len(o.Header) > 0 {
		b, err := json.Marshal(o.Header)
		if err != nil {
			return nil, err
		}
		i.text(attrHeader, string(b))
	}
	if len(o.Body) == 0 {
		return i, nil
	}
	if s.seal == nil {
		return nil, errors.New("an answer cannot be kept: there is no key to seal it with")
	}
	sealed, err := s.seal.Seal(ctx, o.Body, o.Account)
	return i.bytes(attrBody, sealed), wrap(err, "seal the answer")
}

func (s *Store) decodeOnce(ctx context.Context, id string, i item) (o webhook.Once, err error) {
	o = webhook.Once{
		ID: id, Fingerprint: i.getText(attrFingerprint), Status: i.getInt(attrStatus), Account: i.getText(attrAccount),
		StartedAt: i.getTime(attrStarted), ExpiresAt: i.getTime(attrExpires),
	}
	if header := i.getText(attrHeader); header != "" {
		if err := json.Unmarshal([]byte(header), &o.Header); err != nil {
			return o, wrap(err, "header")
		}
	}
	sealed := i.getBytes(attrBody)
	if len(sealed) == 0 {
		return o, nil
	}
	if s.seal == nil {
		return o, errors.New("an answer cannot be read: there is no key that sealed it")
	}
	o.Body, err = s.seal.Open(ctx, sealed, o.Account)
	return o, wrap(err, "open the answer")
}

// EndOnce keeps the answer of what was begun. One that comes when the request
// was forgotten, or begun anew, is dropped. An answer that is too large for an
// item, of 400 KB in all, is DynamoDB's error.
func (s *Store) EndOnce(ctx context.Context, o webhook.Once) error {
	i, err := s.answerOf(ctx, o)
	if err != nil {
		return wrap(err, "request: end")
	}
	i.text(attrAccount, o.Account)
	c := newChange()
	for _, name := range []string{attrStatus, attrHeader, attrBody, attrAccount, attrExpires, attrTTL} {
		c.to(name, i)
	}
	// Another may have begun since, if this one took so long that it expired.
	condition := c.name(attrStarted) + " = " + c.value(number(micros(o.StartedAt)))
	_, err = s.db.UpdateItem(ctx, s.update(onceKey(o.ID), c, condition))
	if _, ok := refused(err); ok {
		return nil
	}
	return wrap(err, "request: end")
}

// ForgetOnce makes room for another try of what was begun at o.StartedAt and
// has no answer. That there is none is no error.
func (s *Store) ForgetOnce(ctx context.Context, o webhook.Once) error {
	_, err := s.db.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName: &s.deliveries, Key: onceKey(o.ID).item(),
		ConditionExpression:       aws.String("#started = :started AND attribute_not_exists(#status)"),
		ExpressionAttributeNames:  map[string]string{"#started": attrStarted, "#status": attrStatus},
		ExpressionAttributeValues: item{":started": number(micros(o.StartedAt))},
	})
	if _, ok := refused(err); ok {
		return nil
	}
	return wrap(err, "request: forget")
}

// PutPortalLink keeps a link that lets a customer in once.
func (s *Store) PutPortalLink(ctx context.Context, l webhook.PortalLink) error {
	i := linkKey(l.ID).item().text(attrAccount, l.Account).bytes(attrHash, l.Hash).time(attrCreated, l.CreatedAt).
		time(attrExpires, l.ExpiresAt).time(attrUsed, l.UsedAt).ttl(l.ExpiresAt)
	return wrap(s.put(ctx, i), "portal link %s: put", l.ID)
}

// UsePortalLink spends a link and returns it. It returns webhook.ErrNotFound
// when there is none of that id and hash, or it has expired or was used, but
// not by this very call, whose answer may have been lost.
func (s *Store) UsePortalLink(ctx context.Context, id string, hash []byte, now time.Time) (webhook.PortalLink, error) {
	if len(hash) == 0 || !linkKey(id).fits() {
		return webhook.PortalLink{}, wrap(webhook.ErrNotFound, "portal link")
	}
	by := rand.Text()
	next := item{}.time(attrUsed, now).text(attrBy, by)
	c := newChange()
	c.to(attrUsed, next)
	c.to(attrBy, next)
	condition := c.name(attrHash) + " = " + c.value(item{}.bytes(attrHash, hash)[attrHash]) +
		" AND " + c.name(attrExpires) + " > " + c.value(number(micros(now))) + " AND attribute_not_exists(" + c.name(attrUsed) + ")"
	in := s.update(linkKey(id), c, condition)
	in.ReturnValues = types.ReturnValueAllNew
	out, err := s.db.UpdateItem(ctx, in)
	if err == nil {
		return decodeLink(id, out.Attributes), nil
	}
	old, ok := refused(err)
	if ok && old.getText(attrBy) == by {
		return decodeLink(id, old), nil
	}
	if ok {
		err = webhook.ErrNotFound
	}
	return webhook.PortalLink{}, wrap(err, "portal link")
}

func decodeLink(id string, i item) webhook.PortalLink {
	return webhook.PortalLink{
		ID: id, Account: i.getText(attrAccount), Hash: i.getBytes(attrHash), CreatedAt: i.getTime(attrCreated),
		ExpiresAt: i.getTime(attrExpires), UsedAt: i.getTime(attrUsed),
	}
}
