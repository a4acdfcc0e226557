package dynamo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/jobhook/jobhook/shared/webhook"
)

// Sealer encrypts secrets at rest. The account is bound to what is sealed.
type Sealer interface {
	Seal(ctx context.Context, plain []byte, account string) ([]byte, error)
	Open(ctx context.Context, sealed []byte, account string) ([]byte, error)
}

// Attributes of endpoints.
const (
	attrData    = "data"
	attrSecrets = "secrets" // sealed
	attrHeaders = "headers" // sealed
	attrVersion = "version"
	attrAccount = "account"
)

// endpointRow is an endpoint as it is stored, without its secrets and headers.
type endpointRow struct {
	URL          string              `json:"url"`
	Format       string              `json:"format"`
	Default      bool                `json:"default,omitempty"`
	Types        []webhook.EventType `json:"types,omitempty"`
	Policy       webhook.PolicyPatch `json:"policy"`
	Status       string              `json:"status"`
	StatusReason string              `json:"status_reason,omitempty"`
	OldUntil     int                 `json:"old_until,omitempty"` // microseconds, like those below
	Created      int                 `json:"created"`
	Updated      int                 `json:"updated"`
}

// headerRow is a header as it is sealed.
type headerRow struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// knownEndpoint is an endpoint with its health. Err is why its secrets and
// headers cannot be opened.
type knownEndpoint struct {
	webhook.Endpoint
	health  webhook.Health
	version int
	err     error
}

// endpointsFor is how long Load takes the endpoints of an account for what
// they were: a change by another process is seen so much later.
const endpointsFor = 5 * time.Second

// readEndpoints reads the account's endpoints for the cache, which keeps a list
// unless secrets in it could not be opened.
func (s *Store) readEndpoints(ctx context.Context, account string, consistent bool) ([]knownEndpoint, error) {
	now := s.now()
	_, writes, _ := s.endpoints.get(account, now)
	list, err := s.knownEndpoints(ctx, account, consistent)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(list, func(e knownEndpoint) bool { return e.err != nil }) {
		s.endpoints.put(account, list, now.Add(endpointsFor), writes)
	}
	return list, nil
}

func (s *Store) knownEndpoints(ctx context.Context, account string, consistent bool) ([]knownEndpoint, error) {
	items, err := s.queryRange(ctx, prefixAccount+account, skEndpoint, skEndpoint+afterAll, consistent)
	if err != nil {
		return nil, wrap(err, "endpoints of account %s", account)
	}
	list := make([]knownEndpoint, len(items))
	for i, stored := range items {
		if list[i], err = s.decodeEndpoint(ctx, account, stored); err != nil {
			return nil, err
		}
	}
	return list, nil // in the order of their keys, which end with their ids
}

func (s *Store) decodeEndpoint(ctx context.Context, account string, i item) (e knownEndpoint, err error) {
	id := i.getText(attrSK)[len(skEndpoint):]
	var r endpointRow
	if err := json.Unmarshal([]byte(i.getText(attrData)), &r); err != nil {
		return e, fmt.Errorf("endpoint %s: %w", id, err)
	}
	e.version = i.getInt(attrVersion)
	e.Endpoint = webhook.Endpoint{
		ID: id, Account: account, URL: r.URL, Format: r.Format, Default: r.Default, Types: r.Types, Policy: r.Policy,
		Status: webhook.EndpointStatus(r.Status), StatusReason: r.StatusReason,
		OldUntil: fromMicros(r.OldUntil), CreatedAt: fromMicros(r.Created), UpdatedAt: fromMicros(r.Updated),
	}
	e.health = decodeHealth(id, i)
	var headers []headerRow
	e.err = wrap(errors.Join(
		s.open(ctx, i.getBytes(attrSecrets), account, &e.Secrets),
		s.open(ctx, i.getBytes(attrHeaders), account, &headers)), "endpoint %s: open secrets", id)
	for _, h := range headers {
		e.Headers = append(e.Headers, webhook.Header(h))
	}
	return e, nil
}

// open reads what was sealed for the account into list.
func (s *Store) open(ctx context.Context, sealed []byte, account string, list any) error {
	if s.seal == nil || len(sealed) == 0 {
		return nil
	}
	plain, err := s.seal.Open(ctx, sealed, account)
	if err != nil {
		return err
	}
	return json.Unmarshal(plain, list)
}

// Endpoints returns all endpoints of an account, in the order of their ids.
func (s *Store) Endpoints(ctx context.Context, account string) ([]webhook.Endpoint, error) {
	known, err := s.knownEndpoints(ctx, account, !s.eventually)
	list := make([]webhook.Endpoint, len(known))
	for i, e := range known {
		list[i], err = e.Endpoint, errors.Join(err, e.err)
	}
	return list, err
}

// Endpoint returns an endpoint of the account, or webhook.ErrNotFound.
func (s *Store) Endpoint(ctx context.Context, account, id string) (webhook.Endpoint, error) {
	e, err := s.readEndpoint(ctx, account, id)
	return e.Endpoint, wrap(errors.Join(err, e.err), "endpoint %s", id)
}

func (s *Store) readEndpoint(ctx context.Context, account, id string) (knownEndpoint, error) {
	i, err := s.get(ctx, endpointKey(account, id))
	if err != nil {
		return knownEndpoint{}, err
	}
	return s.decodeEndpoint(ctx, account, i)
}

// errChanged says that somebody else wrote the item first.
var errChanged = errors.New("it is being changed by others all the time")

// maxRounds of reading and writing anew are enough for many writers at once.
const maxRounds = 40

// again repeats f while it returns errChanged.
func again(ctx context.Context, f func() error) error {
	for tries := range maxRounds {
		if tries > 0 {
			if err := backOff(ctx, tries); err != nil {
				return err
			}
		}
		if err := f(); !errors.Is(err, errChanged) {
			return err
		}
	}
	return errChanged
}

// PutEndpoint creates or replaces an endpoint. It returns webhook.ErrTaken
// when the id is another account's. An account has at most one default
// endpoint: a second one is an error.
func (s *Store) PutEndpoint(ctx context.Context, e webhook.Endpoint) error {
	if err := s.noteAccount(ctx, e.Account); err != nil {
		return err
	}
	err := again(ctx, func() error {
		old, err := s.readEndpoint(ctx, e.Account, e.ID)
		if err != nil && !errors.Is(err, webhook.ErrNotFound) {
			return err
		}
		return s.writeEndpoint(ctx, old, e)
	})
	return wrap(err, "endpoint %s: put", e.ID)
}

// UpdateEndpoint changes an endpoint by f, which sees it as it is and may run
// more than once. It returns webhook.ErrNotFound, or the error of f.
func (s *Store) UpdateEndpoint(ctx context.Context, account, id string, f func(webhook.Endpoint) (webhook.Endpoint, error)) (e webhook.Endpoint, err error) {
	err = again(ctx, func() error {
		old, err := s.readEndpoint(ctx, account, id)
		if err = errors.Join(err, old.err); err != nil {
			return err
		}
		if e, err = f(old.Endpoint); err != nil {
			return err
		}
		return s.writeEndpoint(ctx, old, e)
	})
	return e, wrap(err, "endpoint %s: update", id)
}

// Disable disables an endpoint, with the reason, if its URL is still url: an
// answer of the URL before says nothing of the new one. The notices are kept in
// the same write. One that is disabled already, or that somebody paused, stays as
// it is, and there is nothing to tell: so it is when the answer to the first
// request was lost.
func (s *Store) Disable(ctx context.Context, account, endpoint, url, reason string, told ...webhook.Notice) error {
	err := again(ctx, func() error {
		old, err := s.readEndpoint(ctx, account, endpoint)
		if err != nil || old.URL != url || old.Status != webhook.EndpointEnabled {
			return err
		}
		next := old.Endpoint
		next.Status, next.StatusReason, next.UpdatedAt = webhook.EndpointDisabled, reason, s.now()
		k := endpointKey(account, endpoint)
		c := newChange()
		condition, err := c.endpoint(old, next)
		if err != nil {
			return err
		}
		err = s.updateAndTell(ctx, s.update(k, c, condition), told)
		if _, ok := refused(err); ok {
			return errChanged
		}
		return err
	})
	s.endpoints.forget(account)
	return wrap(err, "endpoint %s: disable", endpoint)
}

// endpoint sets an endpoint but for what is sealed, and returns the condition
// that it is as it was read.
func (c *change) endpoint(old knownEndpoint, e webhook.Endpoint) (condition string, err error) {
	data, err := json.Marshal(endpointRow{
		URL: e.URL, Format: e.Format, Default: e.Default, Types: e.Types, Policy: e.Policy, Status: string(e.Status),
		StatusReason: e.StatusReason, OldUntil: micros(e.OldUntil), Created: micros(e.CreatedAt), Updated: micros(e.UpdatedAt),
	})
	next := item{}.text(attrData, string(data)).int(attrVersion, old.version+1)
	c.to(attrData, next)
	c.to(attrVersion, next)
	if old.version == 0 {
		return "attribute_not_exists(pk)", err
	}
	if forgetsHealth(old.Endpoint, e) {
		c.forgetHealth()
	}
	return c.name(attrVersion) + " = " + c.value(number(old.version)), err
}

// writeEndpoint writes an endpoint over the old one, whose version is 0 when
// there is none. It returns errChanged when the old one is that no more.
func (s *Store) writeEndpoint(ctx context.Context, old knownEndpoint, e webhook.Endpoint) error {
	defer s.endpoints.forget(e.Account)
	c := newChange()
	condition, err := c.endpoint(old, e)
	if err != nil {
		return err
	}
	sealed, err := s.sealed(ctx, e)
	if err != nil {
		return err
	}
	c.to(attrSecrets, sealed)
	c.to(attrHeaders, sealed)
	writes := []types.TransactWriteItem{inTransaction(s.update(endpointKey(e.Account, e.ID), c, condition))}
	if old.version == 0 {
		writes = append(writes, s.claim(ownerKey(e.ID).item().text(attrAccount, e.Account), attrAccount, e.Account))
	}
	if e.Default && !old.Default {
		writes = append(writes, s.claim(defaultKey(e.Account).item().text(attrEndpoint, e.ID), attrEndpoint, e.ID))
	}
	if !e.Default && old.Default {
		writes = append(writes, s.remove(defaultKey(e.Account)))
	}
	return s.transact(ctx, writes, e.ID)
}

// sealed are an endpoint's secrets and headers, sealed one by one: who has
// secrets alone, as most, stores what was stored before there were headers.
func (s *Store) sealed(ctx context.Context, e webhook.Endpoint) (item, error) {
	headers := make([]headerRow, len(e.Headers))
	for n, h := range e.Headers {
		headers[n] = headerRow(h)
	}
	secrets, err := sealList(ctx, s.seal, e.Secrets, e.Account)
	if err != nil {
		return nil, wrap(err, "seal secrets")
	}
	values, err := sealList(ctx, s.seal, headers, e.Account)
	return item{}.bytes(attrSecrets, secrets).bytes(attrHeaders, values), wrap(err, "seal headers")
}

func sealList[T any](ctx context.Context, seal Sealer, list []T, account string) ([]byte, error) {
	if len(list) == 0 {
		return nil, nil
	}
	if seal == nil {
		return nil, errors.New("there is no key to seal with")
	}
	plain, err := json.Marshal(list)
	if err != nil {
		return nil, err
	}
	return seal.Seal(ctx, plain, account)
}

// claim puts an item that only the owner may put again.
func (s *Store) claim(i item, attribute, owner string) types.TransactWriteItem {
	return types.TransactWriteItem{Put: &types.Put{
		TableName: &s.deliveries, Item: i, ConditionExpression: aws.String("attribute_not_exists(pk) OR #owner = :owner"),
		ExpressionAttributeNames: map[string]string{"#owner": attribute}, ExpressionAttributeValues: item{":owner": text(owner)},
	}}
}

func (s *Store) remove(k key) types.TransactWriteItem {
	return types.TransactWriteItem{Delete: &types.Delete{TableName: &s.deliveries, Key: k.item()}}
}

// removeIf removes an item whose attribute is as it was read.
func (s *Store) removeIf(k key, attribute string, value types.AttributeValue) types.TransactWriteItem {
	w := s.remove(k)
	w.Delete.ConditionExpression = aws.String("#a = :a")
	w.Delete.ExpressionAttributeNames = map[string]string{"#a": attribute}
	w.Delete.ExpressionAttributeValues = item{":a": value}
	return w
}

// transact writes an endpoint, then its owner and its place as the default.
func (s *Store) transact(ctx context.Context, writes []types.TransactWriteItem, id string) error {
	_, err := s.db.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: writes})
	var canceled *types.TransactionCanceledException
	if !errors.As(err, &canceled) {
		return err
	}
	for i, reason := range canceled.CancellationReasons {
		if aws.ToString(reason.Code) != "ConditionalCheckFailed" || i >= len(writes) {
			continue
		}
		if i == 0 {
			return errChanged
		}
		if item(writes[i].Put.Item).getText(attrSK) == skDefault {
			return fmt.Errorf("the account has another default endpoint than %s", id)
		}
		return webhook.ErrTaken
	}
	return errChanged // a conflict, or throttled
}

// DeleteEndpoint removes an endpoint of the account, or returns webhook.ErrNotFound.
func (s *Store) DeleteEndpoint(ctx context.Context, account, id string) error {
	defer s.endpoints.forget(account)
	err := again(ctx, func() error {
		old, err := s.readEndpoint(ctx, account, id)
		if err != nil {
			return err
		}
		writes := []types.TransactWriteItem{
			s.removeIf(endpointKey(account, id), attrVersion, number(old.version)), s.remove(ownerKey(id)),
		}
		if old.Default {
			writes = append(writes, s.remove(defaultKey(account)))
		}
		return s.transact(ctx, writes, id)
	})
	return wrap(err, "endpoint %s: delete", id)
}
