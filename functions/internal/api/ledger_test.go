package api_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/shared/webhook"
)

func TestTheLedgerTellsWhatWasMissingAndToWhom(t *testing.T) {
	s := newSite(t)
	at := time.Date(2026, 3, 1, 11, 0, 30, 0, time.UTC)
	for _, l := range []webhook.Ledger{
		{CheckedAt: at, Accepted: 5, States: map[webhook.State]int{webhook.StateDelivered: 3}, Difference: 2, Missing: []string{"dlv_1"}, Unnamed: 1, Repaired: 1},
		{Account: "acme", CheckedAt: at, Accepted: 4, States: map[webhook.State]int{webhook.StateDelivered: 2}, Difference: 2, Missing: []string{"dlv_1"}, Unnamed: 1, Repaired: 1},
		{Account: "other", CheckedAt: at, Accepted: 1, States: map[webhook.State]int{webhook.StateDelivered: 1}},
	} {
		if err := s.store.PutLedger(t.Context(), l); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{s.platform, s.operator} {
		all := s.must(t, 200, key, "GET", "/v1/ledger", "")
		if fmt.Sprintf("%v %v", all["difference"], all["accepted"]) != "2 5" || all["account"] != nil || all["accounts"] != nil || all["next"] != nil {
			t.Errorf("all accounts together: %v", all)
		}
	}
	n := func(digits string) any { return json.Number(digits) }
	want := map[string]any{
		"account": "acme", "checked_at": "2026-03-01T11:00:30.000Z", "accepted": n("4"), "difference": n("2"), "uncounted": n("0"), "missing": []any{"dlv_1"},
		"unnamed": n("1"), "repaired": n("1"), "stuck": n("0"),
		"hours":  []any{"2026-03-01T11:00:00Z", "2026-03-01T10:00:00Z", "2026-03-01T09:00:00Z", "2026-03-01T05:00:00Z", "2026-02-28T11:00:00Z", "2026-02-22T11:00:00Z"},
		"states": map[string]any{"queued": n("0"), "waiting": n("0"), "held": n("0"), "delivered": n("2"), "exhausted": n("0"), "dead": n("0"), "superseded": n("0"), "declined": n("0")},
	}
	for key, target := range map[string]string{s.acme: "/v1/ledger", s.platform: "/v1/ledger?account=acme"} {
		got := s.must(t, 200, key, "GET", target, "")
		delete(got, "$schema")
		if diff := cmp.Diff(got, want); diff != "" {
			t.Errorf("acme's (-got +want):\n%s", diff)
		}
	}
	if got := s.do(s.acme, "GET", "/v1/ledger?account=other", ""); got.status != 404 {
		t.Errorf("another account's: %d %s, want 404", got.status, got.body)
	}
}

func TestBeforeTheFirstCheckTheLedgerIsEmpty(t *testing.T) {
	s := newSite(t)
	if got := s.must(t, 200, s.acme, "GET", "/v1/ledger", ""); got["checked_at"] != nil || fmt.Sprint(got["accepted"]) != "0" {
		t.Errorf("acme's %v, want nothing", got)
	}
	if got := s.must(t, 200, s.platform, "GET", "/v1/ledger", ""); got["checked_at"] != nil || fmt.Sprint(got["accepted"]) != "0" {
		t.Errorf("all accounts' %v, want nothing", got)
	}
	if got := s.do(s.platform, "GET", "/v1/ledger?account=nobody", ""); got.status != 404 {
		t.Errorf("an unknown account's: %d, want 404", got.status)
	}
}

func TestTheLedgersOfAllAccountsComePageByPage(t *testing.T) {
	s := newSite(t)
	if got := s.must(t, 200, s.platform, "GET", "/v1/ledgers", ""); len(got["items"].([]any)) != 0 || got["next"] != nil {
		t.Errorf("before the first check: %v", got)
	}
	at := time.Date(2026, 3, 1, 11, 0, 30, 0, time.UTC)
	for _, account := range []string{"", "zeta", "acme", "other"} {
		if err := s.store.PutLedger(t.Context(), webhook.Ledger{Account: account, CheckedAt: at, Accepted: len(account)}); err != nil {
			t.Fatal(err)
		}
	}
	pages, after := [][]string{}, ""
	for {
		got := s.must(t, 200, s.platform, "GET", "/v1/ledgers?limit=2&after="+after, "")
		var page []string
		for _, item := range got["items"].([]any) {
			one := item.(map[string]any)
			page = append(page, fmt.Sprintf("%v %v", one["account"], one["accepted"]))
		}
		pages = append(pages, page)
		if got["next"] == nil {
			break
		}
		after = got["next"].(string)
	}
	if diff := cmp.Diff(pages, [][]string{{"acme 4", "other 5"}, {"zeta 4"}}); diff != "" {
		t.Errorf("pages (-got +want):\n%s", diff)
	}
	if got := s.must(t, 200, s.operator, "GET", "/v1/ledgers?limit=3", ""); got["next"] != nil {
		t.Errorf("the last page, which is full, has next %v", got["next"])
	}
	for _, query := range []string{"limit=0", "limit=251", "after=a%20b", "after=%ff", "account=acme"} {
		if got := s.do(s.platform, "GET", "/v1/ledgers?"+query, ""); got.status != 422 {
			t.Errorf("%s: got %d %s, want 422", query, got.status, got.body)
		}
	}
}
