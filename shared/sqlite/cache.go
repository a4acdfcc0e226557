package sqlite

import "sync"

// maxCachedAccounts bounds a cache; when it is full it starts anew.
const maxCachedAccounts = 10_000

// accountCache keeps something of the accounts that are being served. All
// writes pass through this process, so it is never stale.
type accountCache[T any] struct {
	mu       sync.Mutex
	accounts map[string]T
	writes   int // rises with every invalidation
}

func (c *accountCache[T]) get(account string) (value T, writes int, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	value, ok = c.accounts[account]
	return value, c.writes, ok
}

// put keeps a value unless something was written since it was read.
func (c *accountCache[T]) put(account string, value T, writes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.writes != writes {
		return
	}
	if c.accounts == nil || len(c.accounts) >= maxCachedAccounts {
		c.accounts = map[string]T{}
	}
	c.accounts[account] = value
}

func (c *accountCache[T]) forget(account string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writes++
	delete(c.accounts, account)
}
