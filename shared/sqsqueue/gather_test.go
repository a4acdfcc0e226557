package sqsqueue

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestThoseWhoHideAtOnceShareRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{refuse: func(_ int, e entry) *refusal {
			switch e.ReceiptHandle {
			case "r3":
				return &refusal{Code: "AccessDenied", SenderFault: true}
			case "r4":
				return &refusal{Code: "ReceiptHandleIsInvalid", SenderFault: true}
			case "r5":
				return &refusal{Code: "AWS.SimpleQueueService.MessageNotInflight", SenderFault: true}
			case "r6":
				return &refusal{Code: "InvalidParameterValue", SenderFault: true, Message: "Value r6 for parameter ReceiptHandle is invalid. " +
					"Reason: Message does not exist or is not available for visibility timeout change."}
			case "r7":
				return &refusal{Code: "InvalidParameterValue", SenderFault: true, Message: "Total VisibilityTimeout for the message is beyond the limit"}
			}
			return nil
		}}
		q := f.queue(t)
		errs := make([]error, 25)
		var wait sync.WaitGroup
		for i := range errs {
			wait.Go(func() { errs[i] = q.Hide(t.Context(), fmt.Sprint("r", i), time.Duration(i)*time.Second) })
		}
		wait.Wait()
		for i, err := range errs {
			if failed := err != nil; failed != (i == 3 || i == 7) {
				t.Errorf("hide of r%d: got %v", i, err)
			}
		}
		if got := sizes(f.made("ChangeMessageVisibilityBatch")); !cmp.Equal(got, []int{10, 10, 5}) {
			t.Errorf("got requests of %v, want 10, 10 and 5", got)
		}
		for _, c := range f.calls {
			for _, e := range c.Entries {
				if e.ReceiptHandle != fmt.Sprint("r", e.VisibilityTimeout) {
					t.Errorf("%s is hidden for %d seconds", e.ReceiptHandle, e.VisibilityTimeout)
				}
			}
		}
	})
}

func TestAHideAloneWaitsForAFewMilliseconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		begun := time.Now()
		if err := f.queue(t).Hide(t.Context(), "r", time.Second); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took != linger {
			t.Errorf("took %v, want %v", took, linger)
		}
	})
}

func TestSingleBellsForLaterShareRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		q := f.queue(t)
		var wait sync.WaitGroup
		for i := range 20 {
			wait.Go(func() {
				if err := q.Ring(t.Context(), bells(i+1, time.Second)[i:]); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		if got := sizes(f.calls); !cmp.Equal(got, []int{10, 10}) {
			t.Errorf("got requests of %v, want two of 10", got)
		}
		begun := time.Now()
		if err := q.Ring(t.Context(), bells(1, 0)); err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took != 0 {
			t.Errorf("a bell for now took %v", took)
		}
	})
}

func TestWhoLeavesTakesNobodyAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{answer: func(r *http.Request, _ call) *http.Response {
			select {
			case <-time.After(time.Second):
			case <-r.Context().Done():
			}
			return nil
		}}
		q := f.queue(t)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		var wait sync.WaitGroup
		wait.Go(func() {
			if err := q.Hide(ctx, "leaves", 0); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("who left: got %v", err)
			}
		})
		synctest.Wait() // it was the first: the request begins with its context
		wait.Go(func() {
			if err := q.Hide(t.Context(), "stays", 0); err != nil {
				t.Errorf("who stayed: got %v", err)
			}
		})
		wait.Wait()
		if got := sizes(f.calls); !cmp.Equal(got, []int{2}) {
			t.Errorf("got requests of %v, want one of 2", got)
		}
	})
}

func TestARequestIsGivenUpWhenAllHaveLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := make(chan struct{})
		f := &fake{answer: func(r *http.Request, _ call) *http.Response {
			<-r.Context().Done()
			close(gone)
			return nil
		}}
		q := f.queue(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := q.Hide(ctx, "r", 0); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		<-gone
		f.answer = nil
		if err := q.Hide(t.Context(), "next", 0); err != nil {
			t.Errorf("the next one: %v", err)
		}
	})
}

func TestDeadLettersAreNotLostByAFaultDuringARedrive(t *testing.T) {
	for _, test := range []struct {
		name    string
		fails   string // the action that does
		moved   int
		deleted int // calls
	}{
		{"sending fails: it stays where it is", "SendMessageBatch", 0, 0},
		{"deleting fails: it rings twice", "DeleteMessageBatch", 1, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fake{answer: func(_ *http.Request, c call) *http.Response {
					switch c.Action {
					case "ReceiveMessage":
						return respond(http.StatusOK, map[string]any{"Messages": []map[string]any{{"MessageId": "m", "ReceiptHandle": "r", "Body": "1"}}})
					case test.fails:
						return respond(http.StatusForbidden, map[string]string{"__type": "AccessDeniedException"})
					}
					return nil
				}}
				moved, err := f.queue(t).Redrive(t.Context())
				if err == nil || !strings.Contains(err.Error(), "AccessDenied") || moved != test.moved {
					t.Errorf("got %d moved and %v, want %d and an error", moved, err, test.moved)
				}
				if got := len(f.made("DeleteMessageBatch")); got != test.deleted {
					t.Errorf("got %d deletes, want %d", got, test.deleted)
				}
			})
		})
	}
}

func TestAQueueThatCannotBeReadIsAskedNoFasterThanItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{answer: func(*http.Request, call) *http.Response {
			return respond(http.StatusForbidden, map[string]string{"__type": "AccessDeniedException"})
		}}
		begun := time.Now()
		if list := f.queue(t).Receive(t.Context(), 10, 3*time.Second); len(list) != 0 {
			t.Errorf("got %d messages", len(list))
		}
		if took := time.Since(begun); took != 3*time.Second {
			t.Errorf("took %v, want 3s", took)
		}
	})
}

func TestDeadLettersNeedTheirQueue(t *testing.T) {
	q := New(nil, "http://sqs.test/1/first")
	if _, err := q.DeadLetters(t.Context(), 1); !errors.Is(err, errNoDeadLetters) {
		t.Errorf("dead letters: got %v", err)
	}
	if _, err := q.Redrive(t.Context()); !errors.Is(err, errNoDeadLetters) {
		t.Errorf("redrive: got %v", err)
	}
	if _, err := q.Depth(t.Context()); !errors.Is(err, errNoDeadLetters) {
		t.Errorf("depth: got %v", err)
	}
}
