package smoke

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

const mappingType = "AWS::Lambda::EventSourceMapping"

// mapping says how a function is fed: the properties of an event source
// mapping, as CloudFormation resolved them.
type mapping struct {
	EventSourceArn        string
	FunctionName          string
	BatchSize             int
	StartingPosition      string
	FunctionResponseTypes []string
	FilterCriteria        *struct{ Filters []struct{ Pattern string } }
	DestinationConfig     *struct{ OnFailure struct{ Destination string } }
}

// invoke hands an event to a function.
type invoke func(ctx context.Context, payload []byte) ([]byte, error)

// answer is what a function says of a batch.
type answer struct {
	BatchItemFailures []struct {
		ItemIdentifier string `json:"itemIdentifier"`
	} `json:"batchItemFailures"`
}

// hand invokes the function with an event and returns the items that failed.
// A function that fails as a whole ends the feed: none of them ever should.
func hand(ctx context.Context, m mapping, f invoke, event any) (failed []string, err error) {
	payload, err := json.Marshal(event)
	if err != nil {
		return nil, fmt.Errorf("event for %s: %w", m.FunctionName, err)
	}
	raw, err := f(ctx, payload)
	if err != nil {
		return nil, fmt.Errorf("invoke %s: %w", m.FunctionName, err)
	}
	var a answer
	if err := json.Unmarshal(raw, &a); err != nil {
		return nil, fmt.Errorf("answer of %s: %w in %s", m.FunctionName, err, raw)
	}
	for _, f := range a.BatchItemFailures {
		failed = append(failed, f.ItemIdentifier)
	}
	return failed, nil
}

// feeds poll until they are stopped, or until one fails.
type feeds struct {
	group *errgroup.Group
	ctx   context.Context // over when one failed
	end   context.CancelFunc
}

func newFeeds(t testing.TB) *feeds {
	ctx, end := context.WithCancel(t.Context())
	group, ctx := errgroup.WithContext(ctx)
	f := &feeds{group: group, ctx: ctx, end: end}
	t.Cleanup(func() { _ = f.stop() }) // for a test that ends early; stop tells of errors once
	return f
}

// add runs a feed. What it fails with because it was stopped is no failure.
func (f *feeds) add(feed func(context.Context) error) {
	f.group.Go(func() error {
		err := feed(f.ctx)
		if f.ctx.Err() != nil {
			return nil
		}
		return err
	})
}

// stop ends all feeds and waits for them.
func (f *feeds) stop() error {
	f.end()
	return f.group.Wait()
}

// pause waits, and tells whether the feed goes on.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// eventually waits for something that the feeds bring about.
func (f *feeds) eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	late := time.After(patience)
	for !done() {
		select {
		case <-late:
			t.Fatalf("after %s still not: %s", patience, what)
		case <-f.ctx.Done():
			t.Fatalf("a feed ended before %s: %v", what, f.stop())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// patience is how long anything may take. A retry comes after 6 s at the latest.
const patience = 30 * time.Second
