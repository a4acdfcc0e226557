package sweep

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jobhook/jobhook/functions/internal/crew"
	"github.com/jobhook/jobhook/functions/internal/deadline"
	"github.com/jobhook/jobhook/shared/webhook"
)

const (
	// maxNotices is how many notices one run looks at. More than that which cannot
	// be told would keep the rest waiting.
	maxNotices = 10_000
	// maxTold is how many of them it tells of at most.
	maxTold = 1_000
	// noticesInTurn is how many of an account come before those of the next.
	noticesInTurn = 20
	// maxNoticeErrors is how many notices that could not be told an error names.
	maxNoticeErrors = 10
)

// Notices keeps what is to be told of endpoints.
type Notices interface {
	// Notices returns those that were not told yet, the oldest first.
	Notices(ctx context.Context, limit int) ([]webhook.Notice, error)
	// RemoveNotice removes one that was told. That it is gone already is no error.
	RemoveNotice(ctx context.Context, id string) error
}

// Notifier tells of endpoints.
type Notifier interface {
	// Tell tells of a notice whoever asked for it. A notice may be told twice, as
	// a whole; nobody hears of it by a second webhook.
	Tell(ctx context.Context, n webhook.Notice) error
}

// notify tells of what happened to endpoints, to the accounts in turn. A notice
// that cannot be told stays for the next run, which begins with the others: so it
// keeps nobody back, however long it takes to fail.
func (h *Handler) notify(ctx context.Context, _ *run) error {
	if h.Notices == nil {
		return nil
	}
	list, err := h.Notices.Notices(ctx, maxNotices)
	if err != nil {
		return fmt.Errorf("notices: %w", err)
	}
	var errs []error
	for i, n := range h.takeTurns(list) {
		if i == maxTold || i > 0 && !deadline.Allows(ctx, pageTime) {
			break
		}
		err := crew.Guarded(func() error { return h.tell(ctx, n.Notice) })
		if err == nil {
			continue
		}
		if h.fails(n.id); len(errs) < maxNoticeErrors {
			errs = append(errs, fmt.Errorf("notice %s: %w", n.id, err))
		}
	}
	return errors.Join(errs...)
}

// noticeInTurn is a notice, and when it has its turn.
type noticeInTurn struct {
	webhook.Notice
	id          string
	turn, place int
}

// takeTurns lets accounts take turns with some notices each, the oldest first, and
// those that failed come behind all that failed less often.
func (h *Handler) takeTurns(list []webhook.Notice) []*noticeInTurn {
	type class struct {
		account string
		failed  int
	}
	h.lock.Lock()
	defer h.lock.Unlock()
	all, seen, untold := make([]*noticeInTurn, len(list)), map[class]int{}, map[string]int{}
	for i, n := range list {
		id := n.ID()
		c := class{n.Account, h.untold[id]}
		if c.failed > 0 {
			untold[id] = c.failed
		}
		all[i] = &noticeInTurn{n, id, c.failed*maxNotices + seen[c]/noticesInTurn, i}
		seen[c]++
	}
	h.untold = untold // the others were told
	slices.SortFunc(all, func(a, b *noticeInTurn) int {
		return cmp.Or(cmp.Compare(a.turn, b.turn), cmp.Compare(a.place, b.place))
	})
	return all
}

// fails notes that a notice could not be told.
func (h *Handler) fails(id string) {
	h.lock.Lock()
	defer h.lock.Unlock()
	h.untold[id]++
}

func (h *Handler) tell(ctx context.Context, n webhook.Notice) error {
	if err := h.Notifier.Tell(ctx, n); err != nil {
		return err
	}
	if err := h.Notices.RemoveNotice(ctx, n.ID()); err != nil {
		return fmt.Errorf("remove: %w", err)
	}
	h.log().InfoContext(ctx, "notice.told", "type", n.Type, "account", n.Account, "endpoint", n.Endpoint)
	return nil
}
