package dynamo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/jobhook/jobhook/shared/webhook"
)

// attrResend is a resend's id.
const attrResend = "resend"

// keepResend is how long a bulk resend stays when it has ended.
const keepResend = 30 * 24 * time.Hour

// resendRow is a bulk resend as it is stored. Times are in microseconds.
type resendRow struct {
	Filter  resendFilter `json:"filter"`
	State   string       `json:"state"`
	Cursor  string       `json:"cursor,omitempty"`
	Rate    int          `json:"rate,omitempty"`
	Looked  int          `json:"looked,omitempty"`
	Resent  int          `json:"resent,omitempty"`
	Skipped int          `json:"skipped,omitempty"`
	Created int          `json:"created"`
	Updated int          `json:"updated"`
	Ended   int          `json:"ended,omitempty"`
}

type resendFilter struct {
	State       string `json:"state,omitempty"`
	Endpoint    string `json:"endpoint,omitempty"`
	JobID       string `json:"job,omitempty"`
	EventID     string `json:"event,omitempty"`
	Type        string `json:"type,omitempty"`
	Since       int    `json:"since,omitempty"`
	Until       int    `json:"until,omitempty"`
	StatusClass string `json:"status_class,omitempty"`
}

func resendRowOf(r webhook.Resend) resendRow {
	f := r.Filter
	return resendRow{
		Filter: resendFilter{
			State: string(f.State), Endpoint: f.Endpoint, JobID: f.JobID, EventID: f.EventID, Type: string(f.Type),
			Since: micros(f.Since), Until: micros(f.Until), StatusClass: string(f.StatusClass),
		},
		State: string(r.State), Cursor: r.Cursor, Rate: r.Rate, Looked: r.Looked, Resent: r.Resent, Skipped: r.Skipped,
		Created: micros(r.CreatedAt), Updated: micros(r.UpdatedAt), Ended: micros(r.EndedAt),
	}
}

func (r resendRow) resend(account, id string, version int) webhook.Resend {
	f := r.Filter
	return webhook.Resend{
		ID: id, Account: account, Filter: webhook.Filter{
			State: webhook.State(f.State), Endpoint: f.Endpoint, JobID: f.JobID, EventID: f.EventID, Type: webhook.EventType(f.Type),
			Since: fromMicros(f.Since), Until: fromMicros(f.Until), StatusClass: webhook.StatusClass(f.StatusClass),
		},
		State: webhook.ResendState(r.State), Cursor: r.Cursor, Rate: r.Rate, Looked: r.Looked, Resent: r.Resent, Skipped: r.Skipped,
		Version: version, CreatedAt: fromMicros(r.Created), UpdatedAt: fromMicros(r.Updated), EndedAt: fromMicros(r.Ended),
	}
}

// resendAttributes are those of a bulk resend that change.
func resendAttributes(r webhook.Resend) (item, error) {
	b, err := json.Marshal(resendRowOf(r))
	i := item{}.text(attrData, string(b)).int(attrVersion, r.Version)
	if !r.EndedAt.IsZero() {
		i.ttl(r.EndedAt.Add(keepResend))
	}
	return i, err
}

func decodeResend(i item) (webhook.Resend, error) {
	k := i.key()
	account, id := k.pk[len(prefixAccount):], k.sk[len(skResend):]
	var r resendRow
	if err := json.Unmarshal([]byte(i.getText(attrData)), &r); err != nil {
		return webhook.Resend{}, fmt.Errorf("resend %s: %w", id, err)
	}
	return r.resend(account, id, i.getInt(attrVersion)), nil
}

// PutResend keeps a new bulk resend: among its account's, and, while it runs,
// among those that are running.
func (s *Store) PutResend(ctx context.Context, r webhook.Resend) error {
	i, err := resendAttributes(r)
	if err != nil {
		return wrap(err, "resend %s: put", r.ID)
	}
	k := resendKey(r.Account, r.ID)
	i[attrPK], i[attrSK] = text(k.pk), text(k.sk)
	writes := []types.TransactWriteItem{{Put: &types.Put{TableName: &s.deliveries, Item: i}}}
	if r.State == webhook.ResendRunning {
		running := runningKey(r.Account, r.ID).item().text(attrAccount, r.Account).text(attrResend, r.ID)
		writes = append(writes, types.TransactWriteItem{Put: &types.Put{TableName: &s.deliveries, Item: running}})
	}
	_, err = s.db.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: writes})
	return wrap(err, "resend %s: put", r.ID)
}

// Resend returns a bulk resend of the account, or webhook.ErrNotFound.
func (s *Store) Resend(ctx context.Context, account, id string) (webhook.Resend, error) {
	i, err := s.get(ctx, resendKey(account, id))
	if i.gone(s.now()) {
		err = webhook.ErrNotFound
	}
	if err != nil {
		return webhook.Resend{}, wrap(err, "resend %s", id)
	}
	return decodeResend(i)
}

// Resends returns those of an account, the newest first, at most webhook.MaxPage.
func (s *Store) Resends(ctx context.Context, account string) ([]webhook.Resend, error) {
	items, err := s.newest(ctx, prefixAccount+account, skResend, webhook.MaxPage)
	if err != nil {
		return nil, wrap(err, "resends of account %s", account)
	}
	now := s.now()
	return decodeAll(decodeResend, slices.DeleteFunc(items, func(i item) bool { return i.gone(now) }))
}

// RunningResends returns those of all accounts that are running, the oldest first.
func (s *Store) RunningResends(ctx context.Context, limit int) ([]webhook.Resend, error) {
	items, err := s.named(ctx, resendsPK, limit, func(i item) key { return resendKey(i.getText(attrAccount), i.getText(attrResend)) })
	if err != nil {
		return nil, wrap(err, "running resends")
	}
	list, err := decodeAll(decodeResend, items)
	return slices.DeleteFunc(list, func(r webhook.Resend) bool { return r.State != webhook.ResendRunning }), err
}

// UpdateResend replaces a bulk resend that was read; next.Version is one more
// than read.Version. It returns webhook.ErrStale when it has changed since, and
// webhook.ErrNotFound when there is none. A call that is repeated, since the
// answer to the first one was lost, finds its own work and is no loser.
func (s *Store) UpdateResend(ctx context.Context, read, next webhook.Resend) error {
	err := again(ctx, func() error { return s.updateResend(ctx, read, next) })
	return wrap(err, "resend %s: update", read.ID)
}

func (s *Store) updateResend(ctx context.Context, read, next webhook.Resend) error {
	i, err := resendAttributes(next)
	if err != nil {
		return err
	}
	c := newChange()
	for _, name := range []string{attrData, attrVersion, attrTTL} {
		c.to(name, i)
	}
	condition := c.name(attrVersion) + " = " + c.value(number(read.Version))
	update := s.update(resendKey(read.Account, read.ID), c, condition)
	var old item
	if read.State == webhook.ResendRunning && next.State != webhook.ResendRunning {
		old, err = s.endResend(ctx, update, runningKey(read.Account, read.ID))
	} else if _, err = s.db.UpdateItem(ctx, update); err != nil {
		if was, ok := refused(err); ok {
			old, err = was, webhook.ErrStale
		}
	}
	switch {
	case !errors.Is(err, webhook.ErrStale):
		return err
	case len(old) == 0:
		return webhook.ErrNotFound
	case old.getText(attrData) == i.getText(attrData) && old.getInt(attrVersion) == next.Version:
		return nil
	}
	return err
}

// endResend applies the last update of a resend, and takes it from those that
// are running. With webhook.ErrStale it returns what there was instead.
func (s *Store) endResend(ctx context.Context, last *dynamodb.UpdateItemInput, running key) (old item, err error) {
	update := inTransaction(last)
	update.Update.ReturnValuesOnConditionCheckFailure = types.ReturnValuesOnConditionCheckFailureAllOld
	_, err = s.db.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{
		TransactItems: []types.TransactWriteItem{update, s.remove(running)},
	})
	var canceled *types.TransactionCanceledException
	switch {
	case !errors.As(err, &canceled):
		return nil, err
	case isConditionAt(canceled, 0):
		return canceled.CancellationReasons[0].Item, webhook.ErrStale
	}
	return nil, errChanged // a conflict, or throttled
}
