package deliver

import (
	"cmp"
	"container/list"
	"context"
	"fmt"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/jobhook/jobhook/functions/internal/metrics"
	"github.com/jobhook/jobhook/shared/webhook"
)

// Traffic counts the attempts in flight of a process, so that no endpoint gets
// more of them at a time than its policy allows, no account more than its share,
// and receivers that hang wait in the retry queue's workers, apart from the
// others. Its zero value is ready; a nil one counts nothing.
type Traffic struct {
	// Share is how many attempts of one account are made, or wait for their turn,
	// at a time. An endpoint may have half of it. 0: no bound.
	Share int

	mu       sync.Mutex
	flows    map[string]*flow
	accounts map[string]int
}

// When an endpoint is slow.
const (
	// hangingAt attempts in flight, or all that are allowed, the oldest of them
	// begun hangingFor ago, are a receiver that hangs. When they all time out, they
	// are enough to open the circuit.
	hangingAt  = webhook.DefaultTripAfter
	hangingFor = time.Second
	// slowAnswer is the mean of recent answers from which on a receiver is slow.
	slowAnswer = 2 * time.Second
	// slowHalves is the time in which the mean halves while no answer comes, so
	// that a receiver gets into the first lane again.
	slowHalves = 30 * time.Second
	// trialEvery is how often a slow receiver is tried in the first lane: the retry
	// queue may have another process, whose answers are not seen in this one.
	trialEvery = 5 * time.Second
	// newAnswer is the weight of one answer in the mean.
	newAnswer = 0.25
	// memorable is the mean that is remembered when nothing is in flight.
	memorable = slowAnswer / 4
	maxFlows  = 10_000
	// turnWait is how long an attempt waits at most until its endpoint has fewer
	// in flight. Messages stay hidden for longer than that and an attempt.
	turnWait = 30 * time.Second
	// shortTurn is the same in a function, which is paid for while it waits, and
	// whose batch ends with the last of its messages.
	shortTurn = 5 * time.Second
)

// wallTime is the time without the monotonic clock: that stands still while a
// function is frozen between two invocations, and what is remembered grows old.
func wallTime() time.Time { return time.Now().Round(0) }

// lane is the way of an attempt: to an endpoint, or to the host of a job's URL.
type lane struct {
	account string
	target  string
	limit   int           // attempts in flight
	timeout time.Duration // of one
}

func (t *task) lane() lane {
	l := lane{
		account: t.w.Delivery.Account, target: t.w.Delivery.Target.Endpoint,
		limit: cmp.Or(t.policy.MaxInFlight, webhook.DefaultMaxInFlight), timeout: t.policy.Timeout,
	}
	if l.target == "" { // of each account apart: none can use up another's
		l.target = l.account + " " + webhook.HostOf(t.w.URL())
	}
	return l
}

// flow is what goes to one target.
type flow struct {
	begun   []time.Time // of those in flight, the oldest first
	waiting list.List   // of chan *place
	mean    time.Duration
	meanAt  time.Time
	spokeAt time.Time // when an attempt ended otherwise than by a timeout
	mute    int       // timeouts since then
	triedAt time.Time // in the first lane, since it is slow
}

// place is that of an attempt in flight.
type place struct {
	traffic *Traffic
	lane    lane
	begun   time.Time
	left    bool
}

// patience is how long an attempt waits for its turn: not so long that it could
// no longer be made.
func (l lane) patience(ctx context.Context) time.Duration {
	end, ok := ctx.Deadline()
	if !ok {
		return turnWait
	}
	return min(shortTurn, time.Until(end)-l.timeout)
}

// diverts tells whether an attempt is left to the retry queue: those to a target
// that may take long are, but for one every few seconds that finds out whether
// it still does.
func (t *Traffic) diverts(l lane) bool {
	if t == nil {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	f, now := t.flows[l.target], wallTime()
	return f != nil && f.isSlow(now, l.limit) && !f.tries(now)
}

func (f *flow) isSlow(now time.Time, limit int) bool {
	n := len(f.begun)
	hangs := n > 0 && n >= min(hangingAt, limit) && now.Sub(f.begun[0]) > hangingFor
	return hangs || f.isMute(now) || f.meanNow(now) > slowAnswer
}

// isMute tells whether a receiver hangs that has not answered at all since the
// oldest of its attempts in flight began. Those that timed out since its last
// answer count as if they were in flight, so that they make no room: the circuit
// opens with them. One attempt may always find out.
func (f *flow) isMute(now time.Time) bool {
	n := len(f.begun)
	if n == 0 || n+f.mute < hangingAt || !f.spokeAt.Before(f.begun[0]) {
		return false
	}
	return f.mute > 0 || now.Sub(f.begun[0]) > hangingFor
}

// tries tells whether it is time for a trial, if nothing is in flight that will
// tell as much. A clock that was set back does not put it off.
func (f *flow) tries(now time.Time) bool {
	if !f.idle() || now.Sub(f.meanAt).Abs() < trialEvery || now.Sub(f.triedAt).Abs() < trialEvery {
		return false
	}
	f.triedAt = now
	return true
}

// meanNow is the mean, halved for each slowHalves since the last answer.
func (f *flow) meanNow(now time.Time) time.Duration {
	if f.mean == 0 {
		return 0
	}
	return time.Duration(float64(f.mean) * math.Exp2(-max(now.Sub(f.meanAt), 0).Seconds()/slowHalves.Seconds()))
}

// entry is the answer to an attempt that wants to be made.
type entry int

const (
	entered    entry = iota
	fullOfMute       // hangingAt or more are under way or have timed out, and none has been answered for a while
	fullOfSlow       // as many as allowed are under way, and take long
	full             // as many as allowed are under way or wait; there will soon be room
)

// enter takes a place, which must be left. It waits for one, in the order of
// arrival, unless the receiver is slow or too many wait already. One that answers
// nothing gets no more than it has: there may be as many of them as endpoints,
// and each place costs a connection for the whole timeout.
func (t *Traffic) enter(ctx context.Context, l lane) (*place, entry) {
	if t == nil {
		return nil, entered
	}
	t.mu.Lock()
	now, f := wallTime(), t.flow(l.target)
	size, patience := len(f.begun)+f.waiting.Len(), l.patience(ctx)
	switch {
	case t.Share > 0 && (t.accounts[l.account] >= t.Share || size >= max(t.Share/2, l.limit)):
	case size < l.limit && !f.isMute(now):
		t.accounts[l.account]++
		p := t.begin(f, l, now)
		t.mu.Unlock()
		return p, entered
	case !f.isSlow(now, l.limit) && patience > 0:
		turn := make(chan *place, 1)
		e := f.waiting.PushBack(waiter{l, turn})
		t.accounts[l.account]++
		t.mu.Unlock()
		return t.wait(ctx, f, e, turn, patience)
	}
	defer t.mu.Unlock()
	return nil, t.refuse(l, f, now)
}

// refuse says why there is no place.
func (t *Traffic) refuse(l lane, f *flow, now time.Time) entry {
	t.forget(l.target, f, now)
	switch {
	case f.isMute(now):
		return fullOfMute
	case f.isSlow(now, l.limit):
		return fullOfSlow
	}
	return full
}

// waiter is an attempt that waits for its turn.
type waiter struct {
	lane lane
	turn chan *place
}

// wait waits for a turn, as long as the receiver does not hang.
func (t *Traffic) wait(ctx context.Context, f *flow, e *list.Element, turn chan *place, patience time.Duration) (*place, entry) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	look := time.NewTicker(hangingFor)
	defer look.Stop()
	for {
		select {
		case p := <-turn:
			return p, entered
		case <-look.C:
		case <-ctx.Done():
		}
		if why := t.giveUp(ctx, f, e, turn); why != entered {
			return nil, why
		}
	}
}

// giveUp ends the wait for a turn that has not come, if it is to end.
func (t *Traffic) giveUp(ctx context.Context, f *flow, e *list.Element, turn chan *place) entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	now, l := wallTime(), e.Value.(waiter).lane
	if len(turn) > 0 || !f.isSlow(now, l.limit) && ctx.Err() == nil {
		return entered
	}
	f.waiting.Remove(e)
	t.leaveAccount(l.account)
	return t.refuse(l, f, now)
}

// begin counts an attempt in flight.
func (t *Traffic) begin(f *flow, l lane, now time.Time) *place {
	f.begun = append(f.begun, now)
	return &place{traffic: t, lane: l, begun: now}
}

// leave gives the place to the next. What took no time was not sent. A place is
// left once.
func (p *place) leave(took time.Duration, timedOut bool) {
	if p == nil {
		return
	}
	t, now := p.traffic, wallTime()
	t.mu.Lock()
	defer t.mu.Unlock()
	if p.left {
		return
	}
	p.left = true
	f := t.flows[p.lane.target]
	f.end(p.begun)
	if took > 0 {
		f.mean, f.meanAt = time.Duration((1-newAnswer)*float64(f.meanNow(now))+newAnswer*float64(took)), now
		if timedOut {
			f.mute++
		} else {
			f.spokeAt, f.mute = now, 0
		}
	}
	t.leaveAccount(p.lane.account)
	if e := f.waiting.Front(); e != nil && len(f.begun) < e.Value.(waiter).lane.limit {
		w := f.waiting.Remove(e).(waiter)
		w.turn <- t.begin(f, w.lane, now) // its account has counted it since it came
	}
	t.forget(p.lane.target, f, now)
}

// end takes one attempt out. Which of those of one moment does not matter.
func (f *flow) end(begun time.Time) {
	for i, at := range f.begun {
		if at.Equal(begun) {
			f.begun = append(f.begun[:i], f.begun[i+1:]...)
			return
		}
	}
}

func (t *Traffic) leaveAccount(account string) {
	if t.accounts[account]--; t.accounts[account] <= 0 {
		delete(t.accounts, account)
	}
}

// flow returns that of a target. There are as many as are in flight, and some
// that were slow a moment ago.
func (t *Traffic) flow(target string) *flow {
	if t.flows == nil {
		t.flows, t.accounts = map[string]*flow{}, map[string]int{}
	}
	f := t.flows[target]
	if f == nil {
		f = &flow{}
		t.flows[target] = f
	}
	return f
}

// forget drops a flow with nothing in flight, unless it must be remembered as
// slow and there is room for that.
func (t *Traffic) forget(target string, f *flow, now time.Time) {
	if !f.idle() {
		return
	}
	if f.meanNow(now) < memorable {
		delete(t.flows, target)
		return
	}
	for other, f := range t.flows {
		if len(t.flows) <= maxFlows {
			return
		}
		if f.idle() {
			delete(t.flows, other)
		}
	}
}

func (f *flow) idle() bool { return len(f.begun)+f.waiting.Len() == 0 }

// busy puts an attempt off that found no place. Where there will soon be room its
// message comes back, each time twice as late: behind a burst there are tens of
// thousands, and each return costs a request. With a slow receiver it goes to the
// retry queue, whose workers have time, and from there it is held until sweep
// lets it go on; where nothing is answered at all, which ends with the circuit,
// for some seconds, as sweep would let it go on once a second and in vain.
func (h *Handler) busy(b *batch, t *task, why entry) error {
	received, _ := strconv.Atoi(t.m.Attributes["ApproximateReceiveCount"])
	switch {
	case why == full && received < maxReturns:
		wait := min(returnsIn<<max(received-1, 0), returnsAtMost)
		return h.notYet(b.ctx, t.m, t.w.Delivery, h.spread(wait, wait))
	case h.Retry != nil:
		return h.divert(b, []*task{t})[0]
	}
	reason, until := fmt.Sprintf("the receiver has %d attempts under way, or its account all that it may have", t.lane().limit), noTime
	if why == fullOfMute {
		reason = "the receiver has not yet answered any of its attempts under way"
	}
	if why == fullOfMute || !t.w.HasEndpoint { // nobody looks after the holds of URLs
		until = h.now().Add(h.spread(busyFor, busySpread))
	}
	return h.hold(b, t.w, until, webhook.HoldBusy.Because(reason))
}

func (h *Handler) spread(least, more time.Duration) time.Duration {
	return least + time.Duration(h.jitter()*float64(more))
}

// How an attempt is put off that found no place.
const (
	returnsIn     = 2 * time.Second  // and up to twice as much: until there is room at a fast receiver; it doubles
	returnsAtMost = time.Minute      // and up to twice as much
	maxReturns    = 20               // receives of a message, well under those of a dead letter
	busyFor       = 5 * time.Second  // the hold of a URL on a job, and where nothing is answered
	busySpread    = 10 * time.Second // and up to so much more
)

// divertAll hands tasks to the retry queue, beside the attempts of the batch.
func (h *Handler) divertAll(b *batch, slow []*task) {
	if len(slow) == 0 {
		return
	}
	h.run(b, slow[0], func() error {
		errs := h.divert(b, slow)
		for i, t := range slow[1:] {
			b.errs[t.i] = errs[i+1]
		}
		return errs[0]
	})
}

// divert rings in the retry queue, at once, for tasks that are not attempted
// here. If that fails their messages come back shortly.
func (h *Handler) divert(b *batch, tasks []*task) []error {
	errs, bells := make([]error, len(tasks)), make([]webhook.Doorbell, len(tasks))
	for i, t := range tasks {
		bells[i] = t.w.Delivery.Doorbell()
	}
	err := tasks[0].guarded(func() error { return h.Retry.Ring(b.ctx, bells) }) // the others depend on it too
	if err == nil {
		b.line.Count(metrics.Diverted, len(tasks))
		return errs
	}
	h.log().WarnContext(b.ctx, "divert.failed", "messages", len(tasks), "error", err)
	for i, t := range tasks {
		errs[i] = h.notYet(b.ctx, t.m, t.w.Delivery, shortly)
	}
	return errs
}
