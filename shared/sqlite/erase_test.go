package sqlite

import (
	"slices"
	"testing"
)

// TestEveryTableIsErasedOrHoldsNothingOfAnAccount is for who adds a table: add
// it to an erasure (erase.go, eraserest.go), then here.
func TestEveryTableIsErasedOrHoldsNothingOfAnAccount(t *testing.T) {
	erased := []string{"accounts", "attempts", "changes", "deliveries", "downloads", "endpoints", "events", "health", "jobs", "keys",
		"ledger_counts", "ledgers", "notices", "once", "portal_links", "resends", "result_sets", "stats"}
	kept := []string{
		"checkpoint", "ledger_check", // positions
		"erasures",          // receipts
		"hosts", "silences", // of URLs and hosts, whoever calls them
		"messages", // doorbells: of deliveries that are gone they are dropped
	}
	s := open(t, t.TempDir(), Options{})
	err := s.read(t.Context(), func(c conn) error {
		return prepare(c, `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`).each(func(r *row) error {
			if name := r.text(); !slices.Contains(erased, name) && !slices.Contains(kept, name) {
				t.Errorf("what does an erasure do with table %s?", name)
			}
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
}
