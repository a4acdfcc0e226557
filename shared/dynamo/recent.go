package dynamo

import (
	"sync"
	"time"
)

// maxCachedAccounts bounds a memory of accounts; when it is full it starts anew.
const maxCachedAccounts = 1_000

// recent remembers what was read of accounts that are being served. Its zero
// value is empty.
type recent[T any] struct {
	mu       sync.Mutex
	accounts map[string]remembered[T]
	writes   int // rises with every write of this process
}

type remembered[T any] struct {
	value T
	until time.Time
}

func (r *recent[T]) get(account string, now time.Time) (value T, writes int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known, ok := r.accounts[account]
	return known.value, r.writes, ok && now.Before(known.until)
}

// put keeps a value unless something was written since it was read.
func (r *recent[T]) put(account string, value T, until time.Time, writes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.writes != writes {
		return
	}
	if r.accounts == nil || len(r.accounts) >= maxCachedAccounts {
		r.accounts = map[string]remembered[T]{}
	}
	r.accounts[account] = remembered[T]{value, until}
}

func (r *recent[T]) forget(account string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.writes++
	delete(r.accounts, account)
}
