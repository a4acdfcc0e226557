package sqsqueue

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	"golang.org/x/sync/errgroup"
)

const (
	maxBatch      = 10      // entries of a request
	maxBatchBytes = 1 << 20 // bodies of a request
	maxAtOnce     = 8       // requests of one call
	maxTries      = 5       // of an entry, the first included
	firstBackoff  = 50 * time.Millisecond
	maxBackoff    = 2 * time.Second
)

// answer is what SQS says about each entry of a batch, by its id.
type answer struct {
	done   []string
	failed []types.BatchResultErrorEntry
}

// passOver counts entries as done whose receipt no longer counts: the message
// is gone, visible again, or received by somebody else.
func (a answer) passOver() answer {
	rest := answer{done: a.done}
	for _, f := range a.failed {
		if isOutdated(f) {
			rest.done = append(rest.done, aws.ToString(f.Id))
		} else {
			rest.failed = append(rest.failed, f)
		}
	}
	return rest
}

// isOutdated knows the two codes for it, and the general one that SQS uses
// when a message is not available for a change of its visibility.
func isOutdated(f types.BatchResultErrorEntry) bool {
	code := aws.ToString(f.Code)
	return strings.HasSuffix(code, "ReceiptHandleIsInvalid") || strings.HasSuffix(code, "MessageNotInflight") ||
		code == "InvalidParameterValue" && strings.Contains(aws.ToString(f.Message), "ReceiptHandle")
}

// errUnanswered: SQS neither took nor refused an entry.
var errUnanswered = errors.New("no answer for this entry")

// request makes one request for entries that are known by their ids.
type request[E any] func(ctx context.Context, ids []string, entries []E) (answer, error)

// perEntry makes a request for up to 10 entries, and further ones for those
// that failed and may succeed. It returns an error or nil for each. What fails
// as a whole has been tried again by the SDK.
func perEntry[E any](ctx context.Context, entries []E, call request[E]) []error {
	errs := make([]error, len(entries))
	pending := make([]int, len(entries))
	for i := range pending {
		pending[i] = i
	}
	for try := 1; ; try++ {
		pending = once(ctx, entries, pending, errs, call)
		if len(pending) == 0 || try == maxTries || !sleep(ctx, backoff(try)) {
			return errs
		}
	}
}

// once makes one request for what is pending and returns what is to be tried
// again. It keeps errs up to date.
func once[E any](ctx context.Context, entries []E, pending []int, errs []error, call request[E]) (again []int) {
	ids, some := make([]string, len(pending)), make([]E, len(pending))
	for at, i := range pending {
		ids[at], some[at], errs[i] = strconv.Itoa(i), entries[i], errUnanswered
	}
	a, err := call(ctx, ids, some)
	if err != nil {
		for _, i := range pending {
			errs[i] = err
		}
		return nil
	}
	failed := map[string]types.BatchResultErrorEntry{}
	for _, f := range a.failed {
		failed[aws.ToString(f.Id)] = f
	}
	for _, id := range a.done {
		if i, err := strconv.Atoi(id); err == nil && i >= 0 && i < len(errs) {
			errs[i] = nil
		}
	}
	for at, i := range pending {
		f, refused := failed[ids[at]]
		if refused {
			errs[i] = &smithy.GenericAPIError{Code: aws.ToString(f.Code), Message: aws.ToString(f.Message)}
		}
		if errs[i] != nil && (!refused || mayPass(f)) {
			again = append(again, i)
		}
	}
	return again
}

// mayPass tells whether an entry may be taken at another time.
func mayPass(f types.BatchResultErrorEntry) bool {
	_, throttled := retry.DefaultThrottleErrorCodes[aws.ToString(f.Code)]
	return throttled || !f.SenderFault
}

// backoff is the wait after a try, spread over [d/2, d).
func backoff(try int) time.Duration {
	d := min(firstBackoff<<(try-1), maxBackoff)
	return d/2 + rand.N(d/2)
}

// sleep waits for d; false when the context has ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// noSize is for entries that are small.
func noSize[E any](E) int { return 0 }

// inBatches calls with up to 10 entries and 1 MiB at once, several calls at a
// time, and returns an error or nil for each entry.
func inBatches[E any](ctx context.Context, entries []E, size func(E) int, call func(context.Context, []E) []error) []error {
	errs := make([]error, len(entries))
	var group errgroup.Group
	group.SetLimit(maxAtOnce)
	for rest, restErrs := entries, errs; len(rest) > 0; {
		n := batchLen(rest, size)
		batch, batchErrs := rest[:n], restErrs[:n]
		group.Go(func() error {
			copy(batchErrs, guarded(ctx, batch, call))
			return nil
		})
		rest, restErrs = rest[n:], restErrs[n:]
	}
	_ = group.Wait() // errs has them all
	return errs
}

// batchLen returns how many of the entries go together, from the first on.
func batchLen[E any](entries []E, size func(E) int) int {
	n, bytes := 1, size(entries[0])
	for n < min(len(entries), maxBatch) {
		if bytes += size(entries[n]); bytes > maxBatchBytes {
			break
		}
		n++
	}
	return n
}

// guarded turns a panic into an error of every entry.
func guarded[E any](ctx context.Context, entries []E, call func(context.Context, []E) []error) (errs []error) {
	defer func() {
		if p := recover(); p != nil {
			errs = make([]error, len(entries))
			for i := range errs {
				errs[i] = fmt.Errorf("panic: %v", p)
			}
		}
	}()
	return call(ctx, entries)
}

// summary makes one error of those of many entries.
func summary(errs []error) error {
	var first error
	failed := 0
	for _, err := range errs {
		if err == nil {
			continue
		}
		if failed++; first == nil {
			first = err
		}
	}
	if first == nil || len(errs) == 1 {
		return first
	}
	return fmt.Errorf("%d of %d: %w", failed, len(errs), first)
}
