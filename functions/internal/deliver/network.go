package deliver

import "time"

// network remembers which hosts were reached lately, to tell a receiver that
// cannot be reached from a network of ours that reaches nobody.
type network struct {
	calls    map[string]call // by host
	warnedAt time.Time
}

// call is the last one of a host.
type call struct {
	at      time.Time
	reached bool
}

const (
	// networkFor is how far back calls tell something of our network.
	networkFor = time.Minute
	// minCalled is of how many hosts at least.
	minCalled = 5
	// maxCalled hosts are remembered; of more, those that chance leaves.
	maxCalled = 1_000
)

// called remembers whether a host was reached. It tells whether our network is
// suspected, as more than half of the hosts called lately were not, and whether
// that is to be logged.
//
// A process that calls mostly hosts of one account which do not exist suspects
// its network too: then circuits stay closed in it, which costs the attempts of
// those endpoints, and nobody else's.
func (l *HealthLog) called(host string, reached bool, now time.Time) (suspected, warn bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := &l.network
	if _, ok := n.calls[host]; ok {
		n.calls[host] = call{now, reached}
	} else {
		keep(&n.calls, host, call{now, reached}, maxCalled)
	}
	if reached || !n.isSuspected(now) {
		return false, false
	}
	if warn = now.Sub(n.warnedAt) >= time.Minute; warn {
		n.warnedAt = now
	}
	return true, warn
}

func (n *network) isSuspected(now time.Time) bool {
	called, lost := 0, 0
	for _, c := range n.calls {
		if now.Sub(c.at) > networkFor {
			continue
		}
		called++
		if !c.reached {
			lost++
		}
	}
	return called >= minCalled && 2*lost > called
}
