package sqlite

import (
	"strings"
	"testing"
)

// The ledger walks through every account's jobs and deliveries: by an index,
// never through a table, and without sorting.
func TestTheLedgersQueriesUseTheirIndex(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	for _, row := range []struct{ what, query, want string }{
		{"JobsCreated", jobsCreatedQuery, "SEARCH jobs USING INDEX jobs_created (account=? AND created_at>? AND created_at<?)"},
		{"Booked", bookedQuery, "SEARCH d USING INDEX deliveries_id (account=? AND id>? AND id<?)"},
	} {
		if got := strings.Join(planOfQuery(t, s, row.query), "; "); got != row.want {
			t.Errorf("%s:\ngot  %s\nwant %s", row.what, got, row.want)
		}
	}
	for _, step := range planOfQuery(t, s, ledgerAccountQuery) {
		if strings.HasPrefix(step, "SCAN") && !strings.HasPrefix(step, "SCAN (subquery") || strings.Contains(step, "TEMP B-TREE") {
			t.Errorf("LedgerAccounts: %s", step)
		}
	}
}
