// Package worldtest gives tests of handlers a store with the world of the
// fixtures in it. Tests only import it.
package worldtest

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/jobhook/jobhook/functions/internal/world"
	"github.com/jobhook/jobhook/shared/keyfile"
	"github.com/jobhook/jobhook/shared/sqlite"
)

// Fixtures is the folder of the fixtures, seen from a handler's package.
const Fixtures = "../../../events"

// Start is shortly after what the fixtures tell of.
func Start() time.Time { return time.Date(2026, 1, 1, 0, 1, 0, 0, time.UTC) }

// Open returns a fresh store with the accounts and endpoints of world.json.
func Open(t *testing.T) *sqlite.Store {
	t.Helper()
	dir := t.TempDir()
	key, err := keyfile.Open(filepath.Join(dir, "key"))
	if err != nil {
		t.Fatal(err)
	}
	store, err := sqlite.Open(t.Context(), dir, sqlite.Options{Sealer: key, Durability: sqlite.DurableProcess})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := world.Apply(t.Context(), Fixtures, store, Start()); err != nil {
		t.Fatal(err)
	}
	return store
}

// Payload reads a fixture by its name.
func Payload(t *testing.T, name string) []byte {
	t.Helper()
	payload, err := world.Payload(Fixtures, name)
	if err != nil {
		t.Fatal(err)
	}
	return payload
}
