package sqlite

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

// message is a queue's message in memory.
type message struct {
	id        int64
	group     string
	body      string
	sentAt    time.Time
	visibleAt time.Time
	receives  int
	cold      bool // on disk only
	gone      bool // taken while it stood in line, to be passed over there
	index     int  // place in the heap of the hidden; -1 when it is not there
}

// received is what a receive saw of a message, as it was then.
type received struct {
	id       int64
	group    string
	body     string
	sentAt   time.Time
	receives int
}

// hot is the part of a queue that is in memory: the visible messages by group,
// and the hidden ones by the time they become visible.
type hot struct {
	limit   int
	mu      sync.Mutex
	byID    map[int64]*message
	groups  map[string]*group
	turns   []*group // groups with visible messages, in the order of their turns
	hidden  hiddenHeap
	arrived chan struct{} // closed, and made anew, when a receiver should look again
	lacking bool          // messages stayed on disk for lack of room
	thin    chan struct{} // receives when there is room again for what was lacking
}

// group is a line of visible messages.
type group struct {
	name    string
	visible []*message
}

func newHot(limit int) *hot {
	return &hot{limit: limit, byID: map[int64]*message{}, groups: map[string]*group{}, arrived: make(chan struct{}), thin: make(chan struct{}, 1)}
}

func (h *hot) size() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.byID)
}

// depth counts what is in memory. A hidden message that was never received is
// delayed.
func (h *hot) depth(now time.Time) (d webhook.QueueDepth) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reveal(now)
	d.Visible = len(h.byID) - len(h.hidden)
	for _, m := range h.hidden {
		if m.receives == 0 {
			d.Delayed++
		} else {
			d.Hidden++
		}
	}
	return d
}

func (h *hot) add(m *message) { h.addWarm([]*message{m}) }

// addWarm takes in messages that are not cold.
func (h *hot) addWarm(messages []*message) {
	now := time.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range messages {
		if m.cold {
			continue
		}
		h.byID[m.id] = m
		if m.visibleAt.After(now) {
			heap.Push(&h.hidden, m)
		} else {
			h.line(m)
		}
	}
	close(h.arrived)
	h.arrived = make(chan struct{})
}

// line puts a visible message at the end of its group's line.
func (h *hot) line(m *message) {
	m.index = -1
	g := h.groups[m.group]
	if g == nil {
		g = &group{name: m.group}
		h.groups[m.group] = g
	}
	if len(g.visible) == 0 {
		h.turns = append(h.turns, g)
	}
	g.visible = append(g.visible, m)
}

// receive returns up to max visible messages, one of each group in turn. It
// waits for the first, and buries the dead letters that it comes upon.
func (h *hot) receive(ctx context.Context, max int, wait time.Duration, o QueueOptions, bury func([]received)) []received {
	deadline := time.Now().Add(wait)
	for {
		live, dead, arrived, next := h.pop(max, o)
		if len(dead) > 0 {
			bury(dead)
		}
		pause := time.Until(deadline)
		if len(live) > 0 || pause <= 0 {
			return live
		}
		if next > 0 {
			pause = min(pause, next)
		}
		if !sleep(ctx, pause, arrived) {
			return nil
		}
	}
}

// sleep waits for a time or a signal; it reports false when ctx has ended.
func sleep(ctx context.Context, d time.Duration, signal <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-signal:
	case <-ctx.Done():
		return false
	}
	return true
}

// pop takes what is visible now. Next is the time until something more is.
func (h *hot) pop(max int, o QueueOptions) (live, dead []received, arrived <-chan struct{}, next time.Duration) {
	now := time.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reveal(now)
	for len(live) < max && len(h.turns) > 0 {
		m := h.nextInTurn()
		if m.gone {
			continue
		}
		if m.receives >= o.MaxReceives {
			delete(h.byID, m.id)
			h.signalRoom()
			dead = append(dead, m.snapshot())
			continue
		}
		m.receives++
		m.visibleAt = now.Add(o.Visibility)
		heap.Push(&h.hidden, m)
		live = append(live, m.snapshot())
	}
	if len(h.hidden) > 0 {
		next = max1(h.hidden[0].visibleAt.Sub(now))
	}
	return live, dead, h.arrived, next
}

// max1 keeps a wait above zero, which would mean none.
func max1(d time.Duration) time.Duration { return max(d, time.Microsecond) }

func (m *message) snapshot() received {
	return received{id: m.id, group: m.group, body: m.body, sentAt: m.sentAt, receives: m.receives}
}

// nextInTurn takes the first message of the group whose turn it is; the group
// goes to the end of the turns.
func (h *hot) nextInTurn() *message {
	g := h.turns[0]
	h.turns = h.turns[1:]
	m := g.visible[0]
	g.visible[0] = nil
	g.visible = g.visible[1:]
	if len(g.visible) > 0 {
		h.turns = append(h.turns, g)
	} else {
		delete(h.groups, g.name)
	}
	return m
}

// reveal lines up the hidden messages whose time has come.
func (h *hot) reveal(now time.Time) {
	for len(h.hidden) > 0 && !h.hidden[0].visibleAt.After(now) {
		h.line(heap.Pop(&h.hidden).(*message))
	}
}

// take removes a message by its last receive, be it in flight, hidden for
// longer, or visible again.
func (h *hot) take(r receive) (*message, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	m := h.byID[r.id]
	if m == nil || m.receives != r.number {
		return nil, false
	}
	delete(h.byID, r.id)
	h.signalRoom()
	taken := *m
	if m.index >= 0 {
		heap.Remove(&h.hidden, m.index)
	} else {
		m.gone = true
	}
	return &taken, true
}

// full tells whether there is no room, and remembers that somebody asked.
func (h *hot) full() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.byID) < h.limit {
		return false
	}
	h.lacking = true
	return true
}

// lack remembers that messages stayed on disk for lack of room.
func (h *hot) lack() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lacking = true
}

// signalRoom tells once that there is room again. It leaves a gap, so that
// messages are fetched in large portions.
func (h *hot) signalRoom() {
	if !h.lacking || len(h.byID) > h.limit/2 {
		return
	}
	h.lacking = false
	select {
	case h.thin <- struct{}{}:
	default:
	}
}

// hiddenHeap orders hidden messages by the time they become visible.
type hiddenHeap []*message

func (h hiddenHeap) Len() int           { return len(h) }
func (h hiddenHeap) Less(i, j int) bool { return h[i].visibleAt.Before(h[j].visibleAt) }
func (h hiddenHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push is for container/heap.
func (h *hiddenHeap) Push(x any) {
	m := x.(*message)
	m.index = len(*h)
	*h = append(*h, m)
}

// Pop is for container/heap.
func (h *hiddenHeap) Pop() any {
	old := *h
	m := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	m.index = -1
	return m
}
