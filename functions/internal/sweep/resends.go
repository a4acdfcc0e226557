package sweep

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jobhook/jobhook/functions/internal/crew"
	"github.com/jobhook/jobhook/functions/internal/deadline"
	"github.com/jobhook/jobhook/functions/internal/resend"
	"github.com/jobhook/jobhook/shared/webhook"
)

const (
	// maxResends is how many bulk resends one run goes on with, those first that
	// have waited longest, and maxListedResends among how many it chooses.
	maxResends       = 20
	maxListedResends = 250
	// maxResent is how many deliveries one run sends again at most, of all bulk
	// resends together, and maxResendPages how many pages it looks at for them.
	maxResent      = 5_000
	maxResendPages = 200
	// resendsAtOnce is how many deliveries are sent again at the same time.
	resendsAtOnce = 16
	// maxAfter is the longest that a queue keeps a bell back.
	maxAfter = 15 * time.Minute
)

// Resends keeps bulk resends, and finds what they select.
type Resends interface {
	// RunningResends returns those of all accounts that are running.
	RunningResends(ctx context.Context, limit int) ([]webhook.Resend, error)
	// UpdateResend replaces one that was read; next.Version is read.Version + 1.
	// It returns webhook.ErrStale when it has changed since.
	UpdateResend(ctx context.Context, read, next webhook.Resend) error
	// Deliveries returns a page, which may be short or empty, and the cursor of
	// the next, "" at the end. Every delivery's id is a cursor as well.
	Deliveries(ctx context.Context, f webhook.Filter) (list []webhook.Delivery, next string, err error)
}

// Resender sends a delivery again.
type Resender interface {
	// Resend rings for it after a while. What cannot be sent again is
	// webhook.ErrInFlight, webhook.ErrStale, webhook.ErrNotFound or a
	// *resend.NoTargetError.
	Resend(ctx context.Context, r webhook.Ref, after time.Duration) (webhook.Delivery, error)
}

// walk is what one run does for one bulk resend.
type walk struct {
	webhook.Resend     // as it is stored
	quota, spent   int // deliveries
}

// resend goes on with bulk resends, in turn by page, so that a large one leaves
// the others their part. A run spends of each what its rate allows since the
// last run, and spreads the bells over as long a time from now on.
//
// Deliveries are sent before their resend is written on. A run that ends in
// between makes the next one look at them again, and skip what was sent again
// since the resend began. Nothing is lost. It cannot go on so for ever, as a run
// that cannot write sends nothing: it first claims the resend, by a write of its
// own.
func (h *Handler) resend(ctx context.Context, _ *run) error {
	if h.Resends == nil {
		return nil
	}
	walks, err := h.claim(ctx)
	errs := []error{err}
	left := maxResent
	for pages := 0; len(walks) > 0; {
		going := walks[:0]
		for _, w := range walks {
			if left == 0 || pages == maxResendPages || pages > 0 && !deadline.Allows(ctx, pageTime) {
				return errors.Join(errs...)
			}
			pages++
			spent, more, err := h.resendPage(ctx, w, min(w.quota-w.spent, left))
			w.spent += spent
			left -= spent
			if err != nil {
				errs = append(errs, fmt.Errorf("bulk resend %s: %w", w.ID, err))
			}
			if more && err == nil && w.spent < w.quota {
				going = append(going, w)
			}
		}
		walks = going
	}
	return errors.Join(errs...)
}

// claim chooses what this run goes on with. Another run at the same time, or a
// cancellation, makes the write stale, and the resend is left alone.
func (h *Handler) claim(ctx context.Context) ([]*walk, error) {
	list, err := h.Resends.RunningResends(ctx, maxListedResends)
	if err != nil {
		return nil, fmt.Errorf("running bulk resends: %w", err)
	}
	turns := make([]*webhook.Resend, len(list))
	for i := range list {
		turns[i] = &list[i]
	}
	slices.SortFunc(turns, func(a, b *webhook.Resend) int {
		return cmp.Or(a.UpdatedAt.Compare(b.UpdatedAt), cmp.Compare(a.ID, b.ID))
	})
	var walks []*walk
	var errs []error
	for _, read := range turns {
		next, quota := h.pace(*read)
		if quota == 0 {
			continue
		}
		if len(walks) == maxResends {
			break
		}
		err := h.Resends.UpdateResend(ctx, *read, next)
		switch {
		case err == nil:
			walks = append(walks, &walk{Resend: next, quota: quota})
		case !errors.Is(err, webhook.ErrStale):
			errs = append(errs, fmt.Errorf("bulk resend %s: claim: %w", read.ID, err))
		}
	}
	return walks, errors.Join(errs...)
}

// pace tells how many deliveries may be sent again by now. UpdatedAt moves on by
// the time that these take, so that fractions are not lost; time in which no run
// came is lost but for one horizon.
func (h *Handler) pace(read webhook.Resend) (next webhook.Resend, quota int) {
	now := h.now()
	since := now.Sub(read.UpdatedAt)
	longest := min(cmp.Or(h.Horizon, time.Second), maxAfter)
	next = read
	next.Version++
	if since > longest {
		since = longest
		next.UpdatedAt = now.Add(-since)
	}
	quota = min(int(since*time.Duration(read.Rate)/time.Second), maxResent)
	next.UpdatedAt = next.UpdatedAt.Add(spread(quota, read.Rate))
	return next, max(quota, 0)
}

// spread is how long so many deliveries take at a rate.
func spread(n, rate int) time.Duration {
	return time.Duration(n) * time.Second / time.Duration(max(rate, 1))
}

// resendPage sends a page again and notes how far that went. It tells how many
// deliveries it sent or skipped, and whether there may be more.
func (h *Handler) resendPage(ctx context.Context, w *walk, room int) (spent int, more bool, err error) {
	f := w.Filter
	f.Account, f.After, f.Limit = w.Account, w.Cursor, min(room, webhook.MaxPage)
	list, cursor, err := h.Resends.Deliveries(ctx, f)
	if err != nil {
		return 0, false, fmt.Errorf("deliveries: %w", err)
	}
	next := w.Resend
	next.Version++
	spent, failed := h.resendAll(ctx, w, list, &next)
	switch {
	case failed == nil:
		next.Cursor = cursor
	case deadline.Over(ctx):
		return spent, false, failed
	case spent > 0:
		next.Cursor = list[spent-1].ID
	default: // it may never work: the others must not wait for it
		next.Cursor, next.Looked, next.Skipped = list[0].ID, next.Looked+1, next.Skipped+1
	}
	if more = next.Cursor != ""; !more {
		next.State, next.EndedAt = webhook.ResendDone, h.now()
		next.UpdatedAt = next.EndedAt
	}
	if err := h.Resends.UpdateResend(ctx, w.Resend, next); err != nil {
		if errors.Is(err, webhook.ErrStale) { // cancelled, or another run has it
			return spent, false, failed
		}
		return spent, false, errors.Join(failed, fmt.Errorf("note progress: %w", err))
	}
	w.Resend = next
	if !more {
		h.log().InfoContext(ctx, "resend.done", "resend", w.ID, "account", w.Account, "resent", w.Resent, "skipped", w.Skipped)
	}
	return spent, more, failed
}

// resendAll sends a list again, some at a time, and counts them in next. It ends
// with the first error, and tells how many were done before it.
func (h *Handler) resendAll(ctx context.Context, w *walk, list []webhook.Delivery, next *webhook.Resend) (done int, err error) {
	for chunk := range slices.Chunk(list, resendsAtOnce) {
		results := make([]error, len(chunk))
		var all sync.WaitGroup
		for i, d := range chunk {
			after := min(spread(w.spent+done+i, w.Rate), maxAfter)
			all.Go(func() { results[i] = h.resendOne(ctx, w, d, after) })
		}
		all.Wait()
		for i, err := range results {
			switch {
			case err == nil:
				next.Resent++
			case isSkipped(err):
				next.Skipped++
			default:
				return done, fmt.Errorf("delivery %s: %w", chunk[i].ID, err)
			}
			next.Looked++
			done++
		}
	}
	return done, nil
}

// resendOne tries twice, as one fault that stays may cost a delivery its turn.
func (h *Handler) resendOne(ctx context.Context, w *walk, d webhook.Delivery, after time.Duration) (err error) {
	if d.Generation > 1 && d.UpdatedAt.After(w.CreatedAt) {
		return errSentAgain
	}
	for range 2 { // a retry may be recorded at this very moment, too
		err = crew.Guarded(func() error {
			_, err := h.Resender.Resend(ctx, d.Ref(), after)
			return err
		})
		if err == nil || isSkipped(err) && !errors.Is(err, webhook.ErrStale) || deadline.Over(ctx) {
			break
		}
	}
	return err
}

// errSentAgain: a delivery was sent again since the bulk resend began, by itself
// before its progress could be written, or by somebody.
var errSentAgain = errors.New("sent again already")

// isSkipped tells a delivery that cannot be sent again from a fault.
func isSkipped(err error) bool {
	var none *resend.NoTargetError
	return errors.As(err, &none) || errors.Is(err, errSentAgain) || errors.Is(err, webhook.ErrInFlight) || errors.Is(err, webhook.ErrStale) || errors.Is(err, webhook.ErrNotFound)
}
