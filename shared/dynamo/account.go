package dynamo

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/jobhook/jobhook/shared/webhook"
)

// Attributes of accounts and keys.
const (
	attrName    = "name"
	attrScope   = "scope"
	attrHash    = "hash"
	attrRevoked = "revoked"
	attrQuotas  = "quotas"
	attrSession = "session"
	attrOpener  = "opener"
)

// keepSessions is how long the key of a session stays when it has ended.
const keepSessions = 24 * time.Hour

// PutAccount creates an account or replaces its settings. When it was created
// is kept. It is noted each time, first: Accounts finds it by that, and another
// process may have erased the note that this one remembers.
func (s *Store) PutAccount(ctx context.Context, a webhook.Account) error {
	defer s.quotas.forget(a.ID)
	s.noted.forget(a.ID)
	if err := s.noteAccount(ctx, a.ID); err != nil {
		return err
	}
	next := item{}.text(attrName, a.Name).time(attrUpdated, a.UpdatedAt)
	if a.Quotas != (webhook.Quotas{}) {
		b, err := json.Marshal(quotasRow(a.Quotas))
		if err != nil {
			return wrap(err, "account %s: quotas", a.ID)
		}
		next.text(attrQuotas, string(b))
	}
	c := newChange()
	for _, name := range []string{attrName, attrUpdated, attrQuotas} {
		c.to(name, next)
	}
	created := c.name(attrCreated)
	c.set = append(c.set, created+" = if_not_exists("+created+", "+c.value(number(micros(a.CreatedAt)))+")")
	_, err := s.db.UpdateItem(ctx, s.update(accountKey(a.ID), c, ""))
	return wrap(err, "account %s: put", a.ID)
}

// Account returns an account, or webhook.ErrNotFound.
func (s *Store) Account(ctx context.Context, id string) (webhook.Account, error) {
	i, err := s.get(ctx, accountKey(id))
	if err != nil {
		return webhook.Account{}, wrap(err, "account %s", id)
	}
	return decodeAccount(id, i)
}

func decodeAccount(id string, i item) (webhook.Account, error) {
	q, err := decodeQuotas(i)
	return webhook.Account{
		ID: id, Name: i.getText(attrName), Quotas: q, CreatedAt: i.getTime(attrCreated), UpdatedAt: i.getTime(attrUpdated),
	}, wrap(err, "account %s: quotas", id)
}

// Accounts returns the accounts after the given one that were put, in the order
// of their ids, and the one to go on after, "" at the end. It looks at the next
// hundred, or at limit if that is more, that the ledger knows of: some of them
// nobody put, so that fewer may come than there are.
func (s *Store) Accounts(ctx context.Context, after string, limit int) (list []webhook.Account, next string, err error) {
	page := max(limit, batchKeys)
	noted, err := s.LedgerAccounts(ctx, after, page+1)
	if err != nil {
		return nil, "", err
	}
	if len(noted) > page {
		noted, next = noted[:page], noted[page-1]
	}
	if list, err = s.accountsOf(ctx, noted); err != nil {
		return nil, "", wrap(err, "accounts")
	}
	if len(list) > limit {
		list, next = list[:limit], list[limit-1].ID
	}
	return list, next, nil
}

// accountsOf reads those accounts that were put.
func (s *Store) accountsOf(ctx context.Context, ids []string) (list []webhook.Account, err error) {
	keys := make([]key, len(ids))
	for n, id := range ids {
		keys[n] = accountKey(id)
	}
	found, err := s.getAll(ctx, keys, true)
	if err != nil {
		return nil, err
	}
	for n, id := range ids {
		i, ok := found[keys[n]]
		if !ok {
			continue
		}
		a, err := decodeAccount(id, i)
		if err != nil {
			return nil, err
		}
		list = append(list, a)
	}
	return list, nil
}

// quotasRow is what an account may use, as it is stored.
type quotasRow struct {
	Endpoints       int  `json:"endpoints,omitempty"`
	RequestRate     int  `json:"request_rate,omitempty"`
	EventsPerMinute int  `json:"events_per_minute,omitempty"`
	RetentionDays   int  `json:"retention_days,omitempty"`
	Retries         *int `json:"retries,omitempty"`
}

func decodeQuotas(i item) (webhook.Quotas, error) {
	stored := i.getText(attrQuotas)
	if stored == "" {
		return webhook.Quotas{}, nil
	}
	var r quotasRow
	err := json.Unmarshal([]byte(stored), &r)
	return webhook.Quotas(r), err
}

// quotasFor is how long an account's quotas, or that there is no such account,
// are taken for what they were.
const quotasFor = time.Minute

// Quotas returns what an account may use, as it was up to a minute ago; zero
// for an unknown account.
func (s *Store) Quotas(ctx context.Context, account string) (webhook.Quotas, error) {
	now := s.now()
	q, writes, ok := s.quotas.get(account, now)
	if ok {
		return q, nil
	}
	a, err := s.Account(ctx, account)
	if err != nil && !errors.Is(err, webhook.ErrNotFound) {
		return webhook.Quotas{}, err
	}
	s.quotas.put(account, a.Quotas, now.Add(quotasFor), writes)
	return a.Quotas, nil
}

// PutKey stores an API key: once by its id, once among those of its account, or
// the sessions of that, which no list reads. The key of a session expires a day
// after the end that it has now.
func (s *Store) PutKey(ctx context.Context, k webhook.Key) error {
	writes := make([]types.TransactWriteItem, 0, 2)
	for _, at := range keysOfKey(k) {
		i := at.item().text(attrAccount, k.Account).text(attrScope, string(k.Scope)).text(attrName, k.Name).
			bytes(attrHash, k.Hash).time(attrCreated, k.CreatedAt).time(attrRevoked, k.RevokedAt).bool(attrSession, k.Session).text(attrOpener, k.Opener)
		if k.Session && !k.RevokedAt.IsZero() {
			i.ttl(k.RevokedAt.Add(keepSessions))
		}
		writes = append(writes, types.TransactWriteItem{Put: &types.Put{TableName: &s.deliveries, Item: i}})
	}
	_, err := s.db.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: writes})
	return wrap(err, "key %s: put", k.ID)
}

func keysOfKey(k webhook.Key) []key {
	if k.Session {
		return []key{keyKey(k.ID), sessionKey(k.Account, k.ID)}
	}
	return []key{keyKey(k.ID), accountsKeyKey(k.Account, k.ID)}
}

// Key returns a key, revoked or not, or webhook.ErrNotFound.
func (s *Store) Key(ctx context.Context, id string) (webhook.Key, error) {
	i, err := s.get(ctx, keyKey(id))
	if err == nil && i.gone(s.now()) {
		err = webhook.ErrNotFound
	}
	if err != nil {
		return webhook.Key{}, wrap(err, "key %s", id)
	}
	return decodeKey(id, i), nil
}

// Keys returns the keys of an account, or with "" those that belong to none,
// the oldest first, without those of sessions.
func (s *Store) Keys(ctx context.Context, account string) ([]webhook.Key, error) {
	items, err := s.query(ctx, prefixAccount+account, skKey, skKey+afterAll)
	list := make([]webhook.Key, 0, len(items))
	for _, i := range items {
		if k := decodeKey(i.getText(attrSK)[len(skKey):], i); !k.Session {
			list = append(list, k)
		}
	}
	slices.SortFunc(list, func(a, b webhook.Key) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return list, wrap(err, "keys of account %s", account)
}

func decodeKey(id string, i item) webhook.Key {
	k := webhook.Key{
		ID: id, Account: i.getText(attrAccount), Scope: webhook.Scope(i.getText(attrScope)), Name: i.getText(attrName),
		Hash: i.getBytes(attrHash), CreatedAt: i.getTime(attrCreated), RevokedAt: i.getTime(attrRevoked),
		Session: i.getBool(attrSession), Opener: i.getText(attrOpener),
	}
	k.Session = k.Session || isOldSession(k)
	return k
}

// isOldSession tells a session of the portal that was opened before sessions were
// kept apart: it stands among the keys, and ends an hour after its beginning at
// the latest.
func isOldSession(k webhook.Key) bool {
	return k.Name == "portal session" && !k.RevokedAt.IsZero() && !k.RevokedAt.After(k.CreatedAt.Add(time.Hour))
}

// RevokeKey makes a key of the account invalid from the given time on, unless
// it already is from an earlier one. It returns webhook.ErrNotFound for a key
// that is none of the account's.
func (s *Store) RevokeKey(ctx context.Context, account, id string, at time.Time) error {
	k := webhook.Key{ID: id, Account: account}
	err := s.revokeAt(ctx, keysOfKey(k), at)
	if errors.Is(err, webhook.ErrNotFound) {
		k.Session = true
		err = s.revokeAt(ctx, keysOfKey(k), at)
	}
	return wrap(err, "key %s: revoke", id)
}

// revokeAt revokes a key that is at all of these places.
func (s *Store) revokeAt(ctx context.Context, places []key, at time.Time) error {
	next := item{}.time(attrRevoked, at)
	writes := make([]types.TransactWriteItem, 0, len(places))
	for _, k := range places {
		c := newChange()
		c.to(attrRevoked, next)
		revoked := c.name(attrRevoked)
		w := inTransaction(s.update(k, c, "attribute_exists(pk) AND (attribute_not_exists("+revoked+") OR "+revoked+" > "+c.value(next[attrRevoked])+")"))
		w.Update.ReturnValuesOnConditionCheckFailure = types.ReturnValuesOnConditionCheckFailureAllOld
		writes = append(writes, w)
	}
	_, err := s.db.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: writes})
	switch {
	case isConditionOf(err) && endsEarlier(err):
		return nil
	case isConditionOf(err):
		return webhook.ErrNotFound
	}
	return err
}

// endsEarlier tells whether a transaction that was to revoke a key found it
// there at each of its places: it has an end already.
func endsEarlier(err error) bool {
	var canceled *types.TransactionCanceledException
	if !errors.As(err, &canceled) {
		return false
	}
	for n, reason := range canceled.CancellationReasons {
		if isConditionAt(canceled, n) && len(reason.Item) == 0 {
			return false
		}
	}
	return true
}

// isConditionOf tells whether a transaction was refused by one of its conditions.
func isConditionOf(err error) bool {
	var canceled *types.TransactionCanceledException
	if !errors.As(err, &canceled) {
		return false
	}
	for n := range canceled.CancellationReasons {
		if isConditionAt(canceled, n) {
			return true
		}
	}
	return false
}

// isConditionAt tells whether it was the condition of the n-th write.
func isConditionAt(canceled *types.TransactionCanceledException, n int) bool {
	reasons := canceled.CancellationReasons
	return n < len(reasons) && reasons[n].Code != nil && *reasons[n].Code == "ConditionalCheckFailed"
}
