package api

import (
	"context"
	"errors"
	"time"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// LedgerReader reads what the checks of the books found.
type LedgerReader interface {
	// Ledger returns the last one of an account, or with "" that of all.
	Ledger(ctx context.Context, account string) (webhook.Ledger, error)
	// Ledgers returns those of accounts after the given one, in their order.
	Ledgers(ctx context.Context, after string, limit int) ([]webhook.Ledger, error)
}

// ledgerView is what a check found.
type ledgerView struct {
	Account     string                `json:"account,omitempty" doc:"Absent for all accounts together."`
	CheckedAt   string                `json:"checked_at,omitempty" format:"date-time" doc:"When the last check began that had anything to look at. Absent before the first."`
	Hours       []string              `json:"hours" nullable:"false" doc:"The hours, by their beginnings, whose jobs it looked at: those created in them."`
	Accepted    int                   `json:"accepted" doc:"Deliveries that must be there, by the job records and by dispatch's own counts of progress. accepted + uncounted = the sum of states + difference."`
	States      map[webhook.State]int `json:"states" nullable:"false" doc:"The deliveries that are there, by state."`
	Difference  int                   `json:"difference" doc:"Deliveries that must be there and were not. Anything but 0 is a loss."`
	Uncounted   int                   `json:"uncounted" doc:"Deliveries that are there though they cannot be derived: of earlier runs, to endpoints changed since, or of counts that were lost."`
	Missing     []string              `json:"missing" nullable:"false" doc:"The ids of the difference, at most 100."`
	Unnamed     int                   `json:"unnamed" doc:"Of the difference: progress, of which nothing but the count is known."`
	Repaired    int                   `json:"repaired" doc:"Of the difference: sent again, under the same ids."`
	Stuck       int                   `json:"stuck" doc:"Deliveries more than half an hour past their time, whose message was lost. They were queued again."`
	WithoutJobs bool                  `json:"without_jobs,omitempty" doc:"The platform keeps its job records in a table of its own: only counts and stuck deliveries were checked."`
}

type ledgerInput struct {
	Account string `query:"account" doc:"Keys of operators and platforms that name none get one ledger of all accounts together."`
}

func (a *API) addLedger() {
	register(a, operation{id: "get-ledger", method: "GET", path: "/v1/ledger", tag: "Ledger", status: 200,
		summary: "Read whether all that was accepted is there",
		details: "Every hour the books are checked: what the job records must have led to is compared with the deliveries in all their states. " +
			"What is missing is sent again, and named here."},
		scopes(webhook.ScopePlatform, webhook.ScopeAccount), a.getLedger)
	register(a, operation{id: "list-ledgers", method: "GET", path: "/v1/ledgers", tag: "Ledger", status: 200,
		summary: "List the ledgers of all accounts that a check found anything of, in the order of their ids"},
		scopes(webhook.ScopePlatform), a.listLedgers)
}

func (a *API) getLedger(ctx context.Context, in *ledgerInput) (*result[ledgerView], error) {
	account := in.Account
	if account != "" || callerOf(ctx).scope == webhook.ScopeAccount {
		var err error
		if account, err = accountFor(ctx, account); err != nil {
			return nil, err
		}
	}
	l, err := a.lastLedger(ctx, account)
	if err != nil {
		return nil, err
	}
	return &result[ledgerView]{Body: viewLedger(l)}, nil
}

// lastLedger is empty for an account that no check has found anything of.
func (a *API) lastLedger(ctx context.Context, account string) (webhook.Ledger, error) {
	l, err := a.Store.Ledger(ctx, account)
	if !errors.Is(err, webhook.ErrNotFound) {
		return l, err
	}
	if account != "" {
		if _, err := a.Store.Account(ctx, account); err != nil {
			return l, err
		}
	}
	return webhook.Ledger{Account: account}, nil
}

// listLedgers goes on after an account, whether that has a ledger or not.
func (a *API) listLedgers(ctx context.Context, in *Paging) (*result[page[ledgerView]], error) {
	if in.After != "" && job.CheckID("account", in.After) != nil {
		return nil, webhook.ErrCursor
	}
	list, err := a.Store.Ledgers(ctx, in.After, in.Limit+1)
	if err != nil {
		return nil, err
	}
	next := ""
	if len(list) > in.Limit {
		list = list[:in.Limit]
		next = list[in.Limit-1].Account
	}
	return pageOf(list, viewLedger, next), nil
}

func viewLedger(l webhook.Ledger) ledgerView {
	v := ledgerView{
		Account: l.Account, CheckedAt: stamp(l.CheckedAt), Hours: []string{}, Accepted: l.Accepted, States: map[webhook.State]int{},
		Difference: l.Difference, Uncounted: l.Uncounted, Missing: append([]string{}, l.Missing...), Unnamed: l.Unnamed,
		Repaired: l.Repaired, Stuck: l.Stuck, WithoutJobs: l.WithoutJobs,
	}
	for _, s := range webhook.States() {
		v.States[s] = l.States[s]
	}
	if !l.CheckedAt.IsZero() {
		for _, hour := range webhook.LedgerHours(l.CheckedAt) {
			v.Hours = append(v.Hours, hour.Format(time.RFC3339))
		}
	}
	return v
}
