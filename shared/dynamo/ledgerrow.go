package dynamo

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

// ledgerRow is a ledger as its item holds it, beside account and time.
type ledgerRow struct {
	Accepted    int                   `json:"accepted,omitempty"`
	States      map[webhook.State]int `json:"states,omitempty"`
	Difference  int                   `json:"difference,omitempty"`
	Uncounted   int                   `json:"uncounted,omitempty"`
	Missing     []string              `json:"missing,omitempty"`
	Unnamed     int                   `json:"unnamed,omitempty"`
	Repaired    int                   `json:"repaired,omitempty"`
	Stuck       int                   `json:"stuck,omitempty"`
	WithoutJobs bool                  `json:"without_jobs,omitempty"`
}

func ledgerRowOf(l webhook.Ledger) ledgerRow {
	return ledgerRow{l.Accepted, l.States, l.Difference, l.Uncounted, l.Missing, l.Unnamed, l.Repaired, l.Stuck, l.WithoutJobs}
}

func (r ledgerRow) ledger(account string, checkedAt time.Time) webhook.Ledger {
	return webhook.Ledger{Account: account, CheckedAt: checkedAt, Accepted: r.Accepted, States: r.States, Difference: r.Difference,
		Uncounted: r.Uncounted, Missing: r.Missing, Unnamed: r.Unnamed, Repaired: r.Repaired, Stuck: r.Stuck, WithoutJobs: r.WithoutJobs}
}

// checkRow is a check as its item holds it. Times are in microseconds.
type checkRow struct {
	At         int           `json:"at"`
	Done       bool          `json:"done,omitempty"`
	Begun      int           `json:"begun"`
	Retention  time.Duration `json:"retention"`
	Account    string        `json:"account,omitempty"`
	Hour       int           `json:"hour,omitempty"`
	From       int           `json:"from,omitempty"`
	Counted    int           `json:"counted,omitempty"`
	Found      int           `json:"found,omitempty"`
	Tries      int           `json:"tries,omitempty"`
	Books      ledgerRow     `json:"books"`
	All        ledgerRow     `json:"all"`
	LeaseUntil int           `json:"lease_until,omitempty"`
}

func checkRowOf(c webhook.LedgerCheck) checkRow {
	return checkRow{
		At: micros(c.At), Done: c.Done, Begun: micros(c.Begun), Retention: c.Retention, Account: c.Account, Hour: c.Hour, From: micros(c.From),
		Counted: c.Counted, Found: c.Found, Tries: c.Tries, Books: ledgerRowOf(c.Books), All: ledgerRowOf(c.All), LeaseUntil: micros(c.LeaseUntil),
	}
}

func (r checkRow) check(version int) webhook.LedgerCheck {
	at := fromMicros(r.At)
	return webhook.LedgerCheck{
		At: at, Done: r.Done, Begun: fromMicros(r.Begun), Retention: r.Retention, Account: r.Account, Hour: r.Hour, From: fromMicros(r.From),
		Counted: r.Counted, Found: r.Found, Tries: r.Tries, Books: r.Books.ledger(r.Account, at), All: r.All.ledger("", at),
		LeaseUntil: fromMicros(r.LeaseUntil), Version: version,
	}
}

// PutLedger keeps the last ledger of an account, or of all.
func (s *Store) PutLedger(ctx context.Context, l webhook.Ledger) error {
	data, err := json.Marshal(ledgerRowOf(l))
	if err == nil {
		err = s.put(ctx, ledgerKey(l.Account).item().time(attrAt, l.CheckedAt).text(attrData, string(data)).ttl(l.CheckedAt.Add(keepLedgers)))
	}
	return wrap(err, "ledger of account %q: put", l.Account)
}

// Ledger returns the last ledger of an account, or with "" that of all. It
// returns webhook.ErrNotFound when there is none.
func (s *Store) Ledger(ctx context.Context, account string) (l webhook.Ledger, err error) {
	i, err := s.get(ctx, ledgerKey(account))
	if err == nil {
		l, err = decodeLedger(i)
	}
	return l, wrap(err, "ledger of account %q", account)
}

// Ledgers returns the last ledgers of accounts after the given one, in the order
// of the accounts.
func (s *Store) Ledgers(ctx context.Context, after string, limit int) (list []webhook.Ledger, err error) {
	items, err := s.following(ctx, ledgersPK, after, limit)
	for _, i := range items {
		l, err := decodeLedger(i)
		if err != nil {
			return nil, wrap(err, "ledgers")
		}
		list = append(list, l)
	}
	return list, wrap(err, "ledgers")
}

func decodeLedger(i item) (webhook.Ledger, error) {
	var r ledgerRow
	err := json.Unmarshal([]byte(i.getText(attrData)), &r)
	return r.ledger(accountOfLedger(i), i.getTime(attrAt)), err
}

// LedgerCheck returns the last check, a zero one before the first.
func (s *Store) LedgerCheck(ctx context.Context) (check webhook.LedgerCheck, err error) {
	i, err := s.get(ctx, checkKey())
	if errors.Is(err, webhook.ErrNotFound) {
		return check, nil
	}
	if err != nil {
		return check, wrap(err, "check of the ledger")
	}
	var r checkRow
	err = json.Unmarshal([]byte(i.getText(attrData)), &r)
	return r.check(i.getInt(attrVersion)), wrap(err, "check of the ledger")
}

// SetLedgerCheck replaces the check that was read. It returns webhook.ErrStale
// when it has changed since, and where the answer to a first request was lost:
// two runs may claim a check in the same words.
func (s *Store) SetLedgerCheck(ctx context.Context, read, next webhook.LedgerCheck) error {
	data, err := json.Marshal(checkRowOf(next))
	if err != nil {
		return wrap(err, "check of the ledger")
	}
	i := item{}.text(attrData, string(data)).int(attrVersion, next.Version)
	c := newChange()
	c.to(attrData, i)
	c.to(attrVersion, i)
	condition := "attribute_not_exists(pk)"
	if read.Version > 0 {
		condition = c.name(attrVersion) + " = " + c.value(number(read.Version))
	}
	_, err = s.db.UpdateItem(ctx, s.update(checkKey(), c, condition))
	if _, ok := refused(err); ok {
		err = webhook.ErrStale
	}
	return wrap(err, "check of the ledger: set")
}
