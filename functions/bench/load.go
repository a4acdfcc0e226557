package main

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// requestTimeout ends a request that is not answered. It is far beyond what is
// measured.
const requestTimeout = 30 * time.Second

// platform sends job changes, as the platform of the customers does.
type platform struct {
	addr, key string
	ledger    *ledger
}

// line is one connection of the platform. A broken one is replaced.
type line struct {
	*platform
	conn    net.Conn
	request *request
	buffer  []byte
}

func (p *platform) line() *line {
	return &line{platform: p, request: newRequest(p.addr, p.key), buffer: make([]byte, bufferBytes)}
}

func (l *line) close() {
	if l.conn != nil {
		l.conn.Close()
		l.conn = nil
	}
}

// put sends change i, which was due at that time, and waits for the answer.
func (l *line) put(ctx context.Context, i int, due int64) {
	l.ledger.changes[i].sent.Store(due)
	head, body, err := l.exchange(l.request.of(i, l.ledger.plan.account(i)))
	if err != nil {
		l.close()
		if ctx.Err() == nil {
			l.ledger.fail(err.Error())
		}
		return
	}
	code, err := status(head)
	if err != nil || code < 200 || code > 299 {
		l.ledger.fail(fmt.Sprintf("answer %d: %.300s", code, body))
		return
	}
	l.ledger.ack(i)
}

func (l *line) exchange(request []byte) (head, body []byte, err error) {
	if l.conn == nil {
		if l.conn, err = net.Dial("tcp", l.addr); err != nil {
			return nil, nil, err
		}
	}
	if err := l.conn.SetDeadline(time.Now().Add(requestTimeout)); err != nil {
		return nil, nil, err
	}
	if _, err := l.conn.Write(request); err != nil {
		return nil, nil, err
	}
	for n := 0; n < len(l.buffer); {
		m, err := l.conn.Read(l.buffer[n:])
		if err != nil {
			return nil, nil, err
		}
		n += m
		head, body, whole, err := message(l.buffer[:n])
		if whole || err != nil {
			return head, body, err
		}
	}
	return nil, nil, errMessage
}

// closedLoop sends changes over n connections, each as soon as the one before
// is answered, until all are sent or the time is over. It returns how many.
func (p *platform) closedLoop(ctx context.Context, n, changes int, d time.Duration) int {
	if d > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, d)
		defer stop()
	}
	var next atomic.Int64
	var wait sync.WaitGroup
	for range n {
		wait.Go(func() {
			l := p.line()
			defer l.close()
			for p.mayGo(ctx) {
				i := int(next.Add(1)) - 1
				if i >= changes {
					return
				}
				l.put(context.WithoutCancel(ctx), i, p.ledger.now())
			}
		})
	}
	wait.Wait()
	return min(int(next.Load()), changes)
}

// mayGo waits while the webhooks are too far behind, if there is a limit. It
// reports false when ctx has ended.
func (p *platform) mayGo(ctx context.Context) bool {
	limit := int64(p.ledger.plan.backlog)
	for limit > 0 && p.ledger.behind() >= limit && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	return ctx.Err() == nil
}

// maxOpenLines bounds the connections of an open loop. Changes that find none
// free are late, which their latency shows.
const maxOpenLines = 512

// openLoop sends changes at a fixed rate, whether or not those before are
// answered. It returns how many.
func (p *platform) openLoop(ctx context.Context, rate, changes int) int {
	var wait sync.WaitGroup
	defer wait.Wait()
	free, lines := make(chan int), 0
	defer close(free)
	start, interval := p.ledger.now(), int64(time.Second)/int64(rate)
	due := func(i int) int64 { return start + int64(i)*interval }
	for i := range changes {
		if wait := due(i) - p.ledger.now(); wait > 0 {
			time.Sleep(time.Duration(wait))
		}
		if ctx.Err() != nil {
			return i
		}
		select {
		case free <- i:
			continue
		default:
		}
		if lines == maxOpenLines {
			free <- i
			continue
		}
		lines++
		wait.Go(func() {
			l := p.line()
			defer l.close()
			l.put(ctx, i, due(i))
			for i := range free {
				l.put(ctx, i, due(i))
			}
		})
	}
	return changes
}
