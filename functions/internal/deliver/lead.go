package deliver

import (
	"context"
	"net/http/httptrace"
	"strings"
	"sync"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

// lead lets one attempt of a batch connect to a host before the others of the
// batch to the same host are made. They find its HTTP/2 connection, or resume
// its TLS session: a batch of ten to a new host costs one handshake, or ten short
// ones, in place of ten (BenchmarkBatchToOneHost).
type lead struct {
	ready chan struct{}
	once  sync.Once
	limit *time.Timer
}

// leadFor is how long the others wait at most.
const leadFor = 200 * time.Millisecond

func newLead() *lead {
	l := &lead{ready: make(chan struct{})}
	l.limit = time.AfterFunc(leadFor, l.release)
	return l
}

func (l *lead) release() { l.once.Do(func() { close(l.ready) }) }

// open lets the others go. It may be called again.
func (l *lead) open() {
	if l != nil {
		l.release()
		l.limit.Stop()
	}
}

// wait waits for the attempt that is ahead, if there is one.
func (l *lead) wait() {
	if l != nil {
		<-l.ready
	}
}

// watch opens the lead when a request made with the context has its connection.
func (l *lead) watch(ctx context.Context) context.Context {
	if l == nil {
		return ctx
	}
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { l.open() }})
}

// form lets the first task to each host that several tasks have be ahead of the
// others. Without TLS a connection costs too little for that.
func form(tasks []*task) {
	first := make(map[string]*task, len(tasks))
	for _, t := range tasks {
		url := t.w.URL()
		if !strings.HasPrefix(url, "https:") {
			continue
		}
		host := webhook.HostOf(url)
		switch ahead := first[host]; {
		case ahead == nil:
			first[host] = t
		case ahead.leads == nil:
			ahead.leads = newLead()
			fallthrough
		default:
			t.follows = ahead.leads
		}
	}
}
