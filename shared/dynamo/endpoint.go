package dynamo

import (
	"cmp"
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
	attrData         = "data"
	attrSecrets      = "secrets"
	attrVersion      = "version"
	attrHealth       = "health"
	attrHealthSince  = "health_since"
	attrHealthReason = "health_reason"
	attrAccount      = "account"
)

// endpointRow is an endpoint as it is stored, without its secrets.
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

// knownEndpoint is an endpoint with its health. Err is why its secrets cannot
// be opened.
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
	slices.SortFunc(list, func(a, b knownEndpoint) int { return cmp.Compare(a.ID, b.ID) })
	return list, nil
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
	e.health = webhook.Health{
		Endpoint: id, State: webhook.HealthState(i.getText(attrHealth)), Since: i.getTime(attrHealthSince), Reason: i.getText(attrHealthReason),
	}
	e.Secrets, e.err = s.open(ctx, i.getBytes(attrSecrets), account)
	e.err = wrap(e.err, "endpoint %s: open secrets", id)
	return e, nil
}

func (s *Store) open(ctx context.Context, sealed []byte, account string) (secrets []webhook.Secret, err error) {
	if s.seal == nil || len(sealed) == 0 {
		return nil, nil
	}
	plain, err := s.seal.Open(ctx, sealed, account)
	if err != nil {
		return nil, err
	}
	return secrets, json.Unmarshal(plain, &secrets)
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

// Health returns the recorded health of the account's endpoints. One that is
// not listed has been healthy since it was created.
func (s *Store) Health(ctx context.Context, account string) (list []webhook.Health, err error) {
	known, err := s.knownEndpoints(ctx, account, true)
	for _, e := range known {
		if e.health.State != "" {
			list = append(list, e.health)
		}
	}
	return list, err
}

// SetHealth records that an endpoint's health changed, if there still is one.
func (s *Store) SetHealth(ctx context.Context, account string, h webhook.Health) error {
	next := item{}.text(attrHealth, string(h.State)).time(attrHealthSince, h.Since).text(attrHealthReason, h.Reason)
	c := newChange()
	for _, name := range []string{attrHealth, attrHealthSince, attrHealthReason} {
		c.to(name, next)
	}
	_, err := s.db.UpdateItem(ctx, s.update(endpointKey(account, h.Endpoint), c, "attribute_exists(pk)"))
	s.endpoints.forget(account)
	if _, ok := refused(err); ok {
		return nil
	}
	return wrap(err, "endpoint %s: health", h.Endpoint)
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
// answer of the URL before says nothing of the new one.
func (s *Store) Disable(ctx context.Context, account, endpoint, url, reason string) error {
	err := again(ctx, func() error {
		old, err := s.readEndpoint(ctx, account, endpoint)
		if err != nil || old.URL != url {
			return err
		}
		next := old.Endpoint
		next.Status, next.StatusReason = webhook.EndpointDisabled, reason
		k := endpointKey(account, endpoint)
		c := newChange()
		condition, err := c.endpoint(old, next)
		if err != nil {
			return err
		}
		_, err = s.db.UpdateItem(ctx, s.update(k, c, condition))
		if _, ok := refused(err); ok {
			return errChanged
		}
		return err
	})
	s.endpoints.forget(account)
	return wrap(err, "endpoint %s: disable", endpoint)
}

// endpoint sets an endpoint but for its secrets, and returns the condition
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
	c.to(attrSecrets, item{}.bytes(attrSecrets, sealed))
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

func (s *Store) sealed(ctx context.Context, e webhook.Endpoint) ([]byte, error) {
	if len(e.Secrets) == 0 {
		return nil, nil
	}
	if s.seal == nil {
		return nil, errors.New("secrets cannot be written: there is no key to seal them with")
	}
	plain, err := json.Marshal(e.Secrets)
	if err != nil {
		return nil, err
	}
	sealed, err := s.seal.Seal(ctx, plain, e.Account)
	return sealed, wrap(err, "seal secrets")
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
