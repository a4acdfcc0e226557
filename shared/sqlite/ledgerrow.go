package sqlite

import (
	"encoding/json"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

// ledgerRow is a ledger as its row holds it, beside what has a column.
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

func storeLedger(l webhook.Ledger) (string, error) {
	b, err := json.Marshal(ledgerRowOf(l))
	return string(b), err
}

func scanLedger(r *row) (webhook.Ledger, error) {
	account, at := r.text(), r.time()
	var stored ledgerRow
	err := json.Unmarshal(r.blob(), &stored)
	return stored.ledger(account, at), wrap(err, "ledger of account %q", account)
}

// checkRow is a check as its row holds it. Times are in microseconds.
type checkRow struct {
	At         int64         `json:"at"`
	Done       bool          `json:"done,omitempty"`
	Begun      int64         `json:"begun"`
	Retention  time.Duration `json:"retention"`
	Account    string        `json:"account,omitempty"`
	Hour       int           `json:"hour,omitempty"`
	From       int64         `json:"from,omitempty"`
	Counted    int           `json:"counted,omitempty"`
	Found      int           `json:"found,omitempty"`
	Tries      int           `json:"tries,omitempty"`
	Books      ledgerRow     `json:"books"`
	All        ledgerRow     `json:"all"`
	LeaseUntil int64         `json:"lease_until,omitempty"`
}

func storeCheck(c webhook.LedgerCheck) (string, error) {
	b, err := json.Marshal(checkRow{
		At: micros(c.At), Done: c.Done, Begun: micros(c.Begun), Retention: c.Retention, Account: c.Account, Hour: c.Hour, From: micros(c.From),
		Counted: c.Counted, Found: c.Found, Tries: c.Tries, Books: ledgerRowOf(c.Books), All: ledgerRowOf(c.All), LeaseUntil: micros(c.LeaseUntil),
	})
	return string(b), err
}

func scanCheck(r *row) (webhook.LedgerCheck, error) {
	version := r.int()
	var s checkRow
	err := json.Unmarshal(r.blob(), &s)
	at := fromMicros(s.At)
	return webhook.LedgerCheck{
		At: at, Done: s.Done, Begun: fromMicros(s.Begun), Retention: s.Retention, Account: s.Account, Hour: s.Hour, From: fromMicros(s.From),
		Counted: s.Counted, Found: s.Found, Tries: s.Tries, Books: s.Books.ledger(s.Account, at), All: s.All.ledger("", at),
		LeaseUntil: fromMicros(s.LeaseUntil), Version: version,
	}, err
}
