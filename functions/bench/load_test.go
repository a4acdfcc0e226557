package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// serveAPI answers every job change with a status, and counts them.
func serveAPI(t *testing.T, code int) (addr string, count *atomic.Int64) {
	t.Helper()
	count = new(atomic.Int64)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		count.Add(1)
		w.WriteHeader(code)
		w.Write([]byte("{}"))
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://"), count
}

func TestClosedLoopSendsEveryChangeOnce(t *testing.T) {
	addr, count := serveAPI(t, 201)
	l := newLedger(plan{endpoints: 3, capacity: 100})
	p := &platform{addr: addr, key: "k", ledger: l}
	if sent := p.closedLoop(t.Context(), 8, 100, 0); sent != 100 || count.Load() != 100 || l.acked.Load() != 100 {
		t.Errorf("got %d sent, %d received, %d acknowledged, want 100 each", sent, count.Load(), l.acked.Load())
	}
}

func TestClosedLoopWaitsForWhatIsBehind(t *testing.T) {
	addr, _ := serveAPI(t, 201)
	l := newLedger(plan{endpoints: 1, capacity: 100, backlog: 10})
	p := &platform{addr: addr, key: "k", ledger: l}
	p.closedLoop(t.Context(), 1, 100, 100*time.Millisecond)
	if got := l.behind(); got != 10 {
		t.Errorf("got %d behind, want 10", got)
	}
}

func TestOpenLoopKeepsItsRate(t *testing.T) {
	addr, count := serveAPI(t, 201)
	l := newLedger(plan{endpoints: 1, capacity: 20})
	p := &platform{addr: addr, key: "k", ledger: l}
	if sent := p.openLoop(t.Context(), 1000, 20); sent != 20 || count.Load() != 20 {
		t.Errorf("got %d sent, %d received, want 20 each", sent, count.Load())
	}
	for i := 1; i < 20; i++ {
		if got, want := l.changes[i].sent.Load()-l.changes[i-1].sent.Load(), int64(time.Millisecond); got != want {
			t.Errorf("change %d: due %d ns after the one before, want %d", i, got, want)
		}
	}
}

func TestRefusedChangesAreErrors(t *testing.T) {
	addr, _ := serveAPI(t, 503)
	l := newLedger(plan{endpoints: 1, capacity: 5})
	p := &platform{addr: addr, key: "k", ledger: l}
	p.closedLoop(t.Context(), 2, 5, 0)
	if l.errors.Load() != 5 || l.acked.Load() != 0 || !strings.Contains(l.firstError, "503") {
		t.Errorf("got %d errors, %d acknowledged, first %q, want 5, 0 and the status", l.errors.Load(), l.acked.Load(), l.firstError)
	}
}
