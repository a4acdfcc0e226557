package sqlite

import (
	"log/slog"
	"testing"

	"github.com/jobhook/jobhook/shared/storetest"
)

func TestStoreKeepsItsPromises(t *testing.T) {
	storetest.Store(t, storetest.Bubble(), func(t *testing.T) storetest.StoreUnderTest { return open(t, t.TempDir(), Options{}) })
}

func TestQueueKeepsItsPromises(t *testing.T) {
	storetest.Queue(t, storetest.Bubble(), openForSuite)
}

func TestQueueIsFair(t *testing.T) {
	storetest.FairQueue(t, storetest.Bubble(), openForSuite)
}

func openForSuite(t *testing.T, o storetest.QueueOptions) storetest.QueueUnderTest {
	s := open(t, t.TempDir(), Options{})
	return openQueue(t, s, QueueOptions{Visibility: o.Visibility, MaxReceives: o.MaxReceives})
}

// open opens a store that outlives its process but no power loss, to spare the
// disk, unless o says otherwise. The test's end closes it.
func open(t testing.TB, dir string, o Options) *Store {
	t.Helper()
	o.Sealer = prefixSealer{}
	if o.Durability == "" {
		o.Durability = DurableProcess
	}
	o.Log = slog.New(slog.DiscardHandler)
	s, err := Open(t.Context(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func openQueue(t testing.TB, s *Store, o QueueOptions) *Queue {
	t.Helper()
	q, err := s.OpenQueue(t.Context(), "first", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	return q
}
