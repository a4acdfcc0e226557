package dispatch

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Pace holds accounts to their quotas of events. It counts in this process: with
// n functions at work an account gets up to n times as many.
type Pace struct {
	mu       sync.Mutex
	accounts map[string]*rate.Limiter
}

// maxPaced bounds the accounts that are remembered; when it is reached, counting
// begins anew.
const maxPaced = 10_000

// limiter is that of an account. All events of a minute may come at once.
func (p *Pace) limiter(account string, perMinute int) *rate.Limiter {
	p.mu.Lock()
	defer p.mu.Unlock()
	limit := rate.Limit(float64(perMinute) / 60)
	l := p.accounts[account]
	if l == nil || l.Limit() != limit {
		if p.accounts == nil || len(p.accounts) >= maxPaced {
			p.accounts = map[string]*rate.Limiter{}
		}
		l = rate.NewLimiter(limit, perMinute)
		p.accounts[account] = l
	}
	return l
}

// spending is what one batch takes of its accounts' quotas. It counts once the
// batch is stored: one that fails comes again, and must not pay twice.
type spending struct {
	pace  *Pace
	now   time.Time
	taken map[*rate.Limiter]int
}

func (p *Pace) begin(now time.Time) *spending {
	return &spending{pace: p, now: now, taken: map[*rate.Limiter]int{}}
}

// allows tells whether an account may have one more event. A quota of 0 is none.
func (s *spending) allows(account string, perMinute int) bool {
	if s.pace == nil || perMinute <= 0 {
		return true
	}
	l := s.pace.limiter(account, perMinute)
	if l.TokensAt(s.now)-float64(s.taken[l]) < 1 {
		return false
	}
	s.taken[l]++
	return true
}

// count takes what was spent off the quotas.
func (s *spending) count() {
	for l, n := range s.taken {
		l.ReserveN(s.now, n)
	}
}
