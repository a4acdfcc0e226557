package sweep

import (
	"context"
	"fmt"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

const (
	// erasedSince is how far back erasures matter: longer than a check looks back.
	erasedSince = 9 * 24 * time.Hour
	// maxErasurePages bounds how many pages of them are read.
	maxErasurePages = 40
)

// erased tells which accounts lose deliveries because somebody wants it so.
type erased struct {
	running map[string]bool
	last    map[string]time.Time // when an erasure of theirs was last at work
}

// readErased also forgets what the check has found of an account that was erased
// meanwhile: kept as its last ledger, nobody would remove it any more.
func (a *audit) readErased(ctx context.Context) (erased, error) {
	all := erased{running: map[string]bool{}, last: map[string]time.Time{}}
	for after, pages := "", 0; pages < maxErasurePages; pages++ {
		list, next, err := a.Ledger.Books.Erasures(ctx, after, webhook.MaxPage)
		if err != nil {
			return all, fmt.Errorf("erasures: %w", err)
		}
		for _, e := range list {
			all.running[e.Account] = all.running[e.Account] || e.DoneAt.IsZero()
			if e.UpdatedAt.After(all.last[e.Account]) {
				all.last[e.Account] = e.UpdatedAt
			}
			if e.OfAccount() && e.Account == a.Account && !e.UpdatedAt.Before(a.At) {
				a.Books = webhook.Ledger{Account: a.Account, CheckedAt: a.At}
			}
		}
		if after = next; after == "" || len(list) == 0 || list[len(list)-1].RequestedAt.Before(a.At.Add(-erasedSince)) {
			break
		}
	}
	return all, nil
}
