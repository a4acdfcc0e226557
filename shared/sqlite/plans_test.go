package sqlite

import (
	"strings"
	"testing"
)

// Each query, and the steps that SQLite takes for it: none of them reads a
// whole table, or sorts what it has read.
func TestLongListsUseTheirIndex(t *testing.T) {
	const byID, byState = "SEARCH d USING INDEX deliveries_id (account=? AND id>? AND id<?)", "SEARCH d USING INDEX deliveries_state (account=? AND state=? AND id>? AND id<?)"
	s := open(t, t.TempDir(), Options{})
	for _, row := range []struct{ what, query, want string }{
		{"Deliveries", `SELECT ` + deliveryColumns + ` ` + deliveriesByID + wantedDeliveries, byID},
		{"Deliveries, its edge", `SELECT d.id ` + deliveriesByID + deliveryEdge, strings.Replace(byID, "USING", "USING COVERING", 1)},
		{"Deliveries of a state", `SELECT ` + deliveryColumns + ` ` + deliveriesByState + wantedDeliveries, byState},
		{"Deliveries of a state, its edge", `SELECT d.id ` + deliveriesByState + deliveryEdge, strings.Replace(byState, "USING", "USING COVERING", 1)},
		{"Events", eventsQuery, byID + "; SEARCH e USING INTEGER PRIMARY KEY (rowid=?)"},
		{"a job's creation", createdQuery, "SEARCH jobs USING INDEX jobs_id (id_hash=?)"},
		{"Jobs", jobsQuery, "SEARCH jobs USING INDEX jobs_account (account=? AND rowid<?)"},
		{"ResultSets", resultSetsQuery, "SEARCH result_sets USING PRIMARY KEY (account=? AND kind=? AND job_id=?)"},
		{"ResultSet", resultSetQuery, "SEARCH result_sets USING INDEX sqlite_autoindex_result_sets_1 (token=?)"},
		{"Downloads", downloadsQuery, "SEARCH downloads USING PRIMARY KEY (token=?)"},
		{"Resends", resendsQuery, "SEARCH resends USING PRIMARY KEY (account=?)"},
		{"RunningResends", runningQuery, "SCAN resends USING INDEX resends_running"}, // which has no others
		{"Due", dueQuery, "SEARCH d USING INDEX deliveries_due (due_at>? AND due_at<?)"},
		{"Held", heldQuery, "SEARCH d USING INDEX deliveries_held (endpoint=?)"},
		{"Holders", holderQuery, "SEARCH d USING INDEX deliveries_held (endpoint>?)"},
		{"Release", releaseStatement, "SEARCH deliveries USING INDEX deliveries_id (account=? AND id=?)"},
		{"Health", healthQuery, "SEARCH e USING COVERING INDEX endpoints_account (account=?); SEARCH h USING PRIMARY KEY (endpoint=?)"},
		{"HealthOf", oneHealthQuery, "SEARCH health USING PRIMARY KEY (endpoint=?)"},
		{"HealthOf, its account", ownerQuery, "SEARCH endpoints USING PRIMARY KEY (id=?)"},
		{"SetHost", hostQuery, "SEARCH hosts USING PRIMARY KEY (host=?)"},
		{"Accounts", accountsQuery, "SEARCH accounts USING PRIMARY KEY (id>?)"},
		{"Depth", coldDepth, "SEARCH messages USING COVERING INDEX messages_cold (queue=?)"},
		{"Depth, dead letters", deadDepth, "SEARCH messages USING COVERING INDEX messages_cold (queue=?)"},
		{"DeadLetters", deadLettersQuery, "SEARCH messages USING INDEX messages_cold (queue=?)"},
		{"Notices", noticesQuery, "SCAN notices"}, // in the order of its primary key
		{"Expire", expiredQuery, "SEARCH deliveries USING INDEX deliveries_expires (expires_at<?)"},
		{"Expire, result sets", expiredResults, "SEARCH result_sets USING INDEX result_sets_expires (expires_at>? AND expires_at<?)"},
		{"Overtaken", overtakenQuery, "SEARCH deliveries USING INDEX deliveries_id (account=? AND id>? AND id<?)"},
	} {
		if got := strings.Join(planOfQuery(t, s, row.query), "; "); got != row.want {
			t.Errorf("%s:\ngot  %s\nwant %s", row.what, got, row.want)
		}
	}
	for _, query := range []string{keysQuery, expireOnce, expirePortalLinks, expireSessions, expireResends, expireDownloads} {
		for _, step := range planOfQuery(t, s, query) {
			if strings.HasPrefix(step, "SCAN") {
				t.Errorf("%s\nreads a whole table: %s", query, step)
			}
		}
	}
}

func planOfQuery(t *testing.T, s *Store, query string) (steps []string) {
	t.Helper()
	check(t, s.read(t.Context(), func(c conn) error {
		return prepare(c, "EXPLAIN QUERY PLAN "+query).each(func(r *row) error {
			r.int()
			r.int()
			r.int()
			steps = append(steps, r.text())
			return nil
		})
	}))
	return steps
}
