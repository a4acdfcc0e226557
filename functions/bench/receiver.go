package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
)

// bufferBytes holds a webhook, or an answer of the API, with room to spare.
const bufferBytes = 8 << 10

var (
	idHeader  = []byte("\r\nWebhook-Id: ")
	answerOK  = []byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	answer500 = []byte("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 5\r\n\r\nsorry")
)

// receivers are the endpoints of a scenario, each on a port of its own, as
// endpoints are on hosts of their own.
type receivers struct {
	ledger *ledger
	urls   []string

	mu     sync.Mutex
	open   map[net.Conn]struct{}
	closed bool
	lines  []net.Listener
	wait   sync.WaitGroup
}

// listen starts one receiver for each endpoint of the ledger's plan.
func listen(l *ledger) (*receivers, error) {
	r := &receivers{ledger: l, open: map[net.Conn]struct{}{}}
	for endpoint := range l.plan.endpoints {
		line, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, errors.Join(fmt.Errorf("receiver: %w", err), r.close())
		}
		r.lines = append(r.lines, line)
		r.urls = append(r.urls, fmt.Sprintf("http://%s/hook", line.Addr()))
		r.wait.Go(func() { r.accept(line, endpoint) })
	}
	return r, nil
}

func (r *receivers) close() error {
	r.mu.Lock()
	r.closed = true
	for _, line := range r.lines {
		line.Close()
	}
	for c := range r.open {
		c.Close()
	}
	r.mu.Unlock()
	r.wait.Wait()
	return nil
}

func (r *receivers) accept(line net.Listener, endpoint int) {
	for {
		c, err := line.Accept()
		if err != nil {
			return // closed
		}
		if !r.register(c) {
			c.Close()
			return
		}
		r.wait.Go(func() { r.serve(c, endpoint) })
	}
}

func (r *receivers) register(c net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.open[c] = struct{}{}
	}
	return !r.closed
}

// serve answers requests until the caller goes.
func (r *receivers) serve(c net.Conn, endpoint int) {
	defer func() {
		r.mu.Lock()
		delete(r.open, c)
		r.mu.Unlock()
		c.Close()
	}()
	buffer := make([]byte, bufferBytes)
	for r.exchange(c, endpoint, buffer) {
	}
}

// exchange reads one request and answers it. It reports false when the
// connection is of no more use. A caller that gets no answer goes on waiting.
func (r *receivers) exchange(c net.Conn, endpoint int, buffer []byte) bool {
	firstByte := int64(0)
	for n := 0; n < len(buffer); {
		m, err := c.Read(buffer[n:])
		if n == 0 {
			firstByte = r.ledger.now()
		}
		if n += m; err != nil {
			return false
		}
		head, body, whole, err := message(buffer[:n])
		if err != nil {
			break
		}
		if whole {
			_, err := c.Write(r.receive(endpoint, head, body, firstByte))
			return err == nil
		}
	}
	r.ledger.wrong.strangers.Add(1)
	return false
}

// receive notes a webhook and returns the answer, nil for none.
func (r *receivers) receive(endpoint int, head, body []byte, at int64) []byte {
	l := r.ledger
	if l.changes == nil { // the bare client's
		l.delivered.Add(1)
		return answerOK
	}
	i, ok := changeOf(body)
	if !ok {
		i = -1
	}
	c, ok := l.arrive(endpoint, i, header(head, idHeader), at)
	switch {
	case !ok:
		return answerOK
	case endpoint < l.plan.hanging:
		return nil
	case l.plan.failing && rand.IntN(10) == 0:
		l.refuse(c)
		return answer500
	}
	l.accept(c, at)
	return answerOK
}
