package api

import (
	"context"
	"fmt"
	"maps"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/jobhook/jobhook/shared/webhook"
)

// accountRate is how many requests a second the keys of an account may make
// together, where neither the host nor a quota says otherwise.
const accountRate = 100

// burstSeconds is how long's worth of requests may come at once.
const burstSeconds = 2

// idleLimit is how long an unused limiter is remembered. It is full again after
// burstSeconds, so that nothing is lost with it.
const idleLimit = time.Minute

// limits keeps a token bucket for each caller of the last minute: of this
// process, so that a host of several processes allows each its rate.
type limits struct {
	lock  sync.Mutex
	of    map[string]*limit
	swept time.Time
}

type limit struct {
	bucket *rate.Limiter
	used   time.Time
}

// allowance is what a caller may do at a moment.
type allowance struct {
	perSecond int
	left      int           // requests that may follow at once
	full      time.Duration // until all burstSeconds' worth may
	wait      time.Duration // until one may; 0: this one may
}

// take takes a request off a caller's bucket.
func (l *limits) take(who string, perSecond int, now time.Time) allowance {
	l.lock.Lock()
	defer l.lock.Unlock()
	l.sweep(now)
	one := l.of[who]
	if one == nil {
		one = &limit{bucket: rate.NewLimiter(rate.Limit(perSecond), perSecond*burstSeconds)}
		l.of[who] = one
	}
	one.used = now
	if int(one.bucket.Limit()) != perSecond {
		one.bucket.SetLimitAt(now, rate.Limit(perSecond))
		one.bucket.SetBurstAt(now, perSecond*burstSeconds)
	}
	a := allowance{perSecond: perSecond}
	allowed := one.bucket.AllowN(now, 1)
	tokens := one.bucket.TokensAt(now)
	a.left = max(0, int(tokens))
	a.full = seconds((float64(perSecond*burstSeconds) - tokens) / float64(perSecond))
	if !allowed {
		a.wait = seconds((1 - tokens) / float64(perSecond))
	}
	return a
}

// sweep forgets who has not called for a while.
func (l *limits) sweep(now time.Time) {
	if l.of == nil {
		l.of, l.swept = map[string]*limit{}, now
	}
	if now.Sub(l.swept) < idleLimit {
		return
	}
	maps.DeleteFunc(l.of, func(_ string, one *limit) bool { return now.Sub(one.used) >= idleLimit })
	l.swept = now
}

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

// set tells the caller, as draft-ietf-httpapi-ratelimit-headers-10 does.
func (a allowance) set(h http.Header) {
	h.Set("RateLimit-Policy", fmt.Sprintf(`"default";q=%d;w=%d`, a.perSecond*burstSeconds, burstSeconds))
	h.Set("RateLimit", fmt.Sprintf(`"default";r=%d;t=%d`, a.left, whole(a.full)))
}

// whole is a wait in seconds, rounded up.
func whole(d time.Duration) int { return int(math.Ceil(d.Seconds())) }

// admit counts a request against its caller's limit, if there is one.
func (a *API) admit(ctx context.Context, c caller, h http.Header) error {
	who, perSecond, err := a.rateOf(ctx, c)
	if err != nil || perSecond <= 0 {
		return err
	}
	allowed := a.limits.take(who, perSecond, a.Now())
	allowed.set(h)
	if allowed.wait == 0 {
		return nil
	}
	return problem(http.StatusTooManyRequests, fmt.Sprintf("More than %d requests a second; wait, then try again.", perSecond)).
		with("Retry-After", strconv.Itoa(max(1, whole(allowed.wait))))
}

// rateOf is whose requests a caller's are counted with, and how many these may
// be a second; 0: any number. Those of sessions count apart from the account's,
// and its quota does not hold for them: an open tab must not starve the
// customer's programs, nor they lock him out.
func (a *API) rateOf(ctx context.Context, c caller) (who string, perSecond int, err error) {
	switch {
	case c.session && c.opener != "":
		return "sessions of key " + c.opener, firstPositive(a.Rate, accountRate), nil
	case c.session:
		return "sessions of account " + c.account, firstPositive(a.Rate, accountRate), nil
	case c.scope == webhook.ScopeAccount:
		q, err := a.Store.Quotas(ctx, c.account)
		return "account " + c.account, firstPositive(q.RequestRate, a.Rate, accountRate), err
	}
	return "key " + c.key, a.Rate, nil
}

func firstPositive(list ...int) int {
	for _, n := range list {
		if n > 0 {
			return n
		}
	}
	return 0
}
