package main

import (
	"bytes"
	"context"
	"net/http"
	"testing"
	"time"
)

func TestLedgerFollowsARetry(t *testing.T) {
	l := newLedger(plan{endpoints: 2, capacity: 4, failing: true, waits: []int{1}})
	l.ack(3)
	if got := l.behind(); got != 1 {
		t.Errorf("after the acknowledgement: %d behind, want 1", got)
	}
	c, _ := l.arrive(1, 3, []byte("evt_3"), 1000)
	l.refuse(c)
	due := c.due.Load()
	if c, _ = l.arrive(1, 3, []byte("evt_3"), due+5e6); c.arrived.Load() != 1000 {
		t.Errorf("got the first arrival at %d, want 1000", c.arrived.Load())
	}
	l.accept(c, due+5e6)
	if got := l.late.ms(100); got < 4.9 || got > 5.1 {
		t.Errorf("got a retry %v ms late, want 5", got)
	}
	if l.behind() != 0 || l.attempts.Load() != 2 || l.wrong.renamed.Load()+l.wrong.early.Load()+l.wrong.duplicates.Load() != 0 {
		t.Errorf("got %d behind, %d attempts, wrong %+v, want 0, 2 and nothing", l.behind(), l.attempts.Load(), &l.wrong)
	}
}

func TestLedgerCountsWhatMustNotHappen(t *testing.T) {
	l := newLedger(plan{endpoints: 2, capacity: 4, waits: []int{1}})
	c, _ := l.arrive(0, 2, []byte("evt_2"), 1)
	l.refuse(c)
	l.arrive(0, 2, []byte("evt_other"), 2) // renamed, and long before its time
	l.accept(c, 3)
	l.accept(c, 4)                 // duplicate
	l.arrive(1, 2, []byte("e"), 5) // another account's
	l.arrive(0, -1, nil, 6)
	l.arrive(0, 4, nil, 7)
	w := &l.wrong
	if w.renamed.Load() != 1 || w.early.Load() != 1 || w.duplicates.Load() != 1 || w.strangers.Load() != 3 {
		t.Errorf("got %d renamed, %d early, %d duplicates, %d strangers, want 1, 1, 1, 3",
			w.renamed.Load(), w.early.Load(), w.duplicates.Load(), w.strangers.Load())
	}
}

func TestReceiverAnswersAndCounts(t *testing.T) {
	l := newLedger(plan{endpoints: 1, capacity: 1})
	r, err := listen(l)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	body, err := sampleBody()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		resp, err := http.Post(r.urls[0], "application/json", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Errorf("got %d, want 200", resp.StatusCode)
		}
	}
	if l.delivered.Load() != 1 || l.wrong.duplicates.Load() != 1 {
		t.Errorf("got %d delivered, %d duplicates, want 1 and 1", l.delivered.Load(), l.wrong.duplicates.Load())
	}
}

func TestHangingReceiverNeverAnswers(t *testing.T) {
	l := newLedger(plan{endpoints: 1, hanging: 1, capacity: 1})
	r, err := listen(l)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	body, err := sampleBody()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, "POST", r.urls[0], bytes.NewReader(body))
	if resp, err := http.DefaultClient.Do(req); err == nil {
		resp.Body.Close()
		t.Errorf("got an answer of %d, want none", resp.StatusCode)
	}
	if l.attempts.Load() != 1 || l.delivered.Load() != 0 {
		t.Errorf("got %d attempts, %d delivered, want 1 and 0", l.attempts.Load(), l.delivered.Load())
	}
}
