package sqlite

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

// QueueOptions configure a queue.
type QueueOptions struct {
	Visibility  time.Duration // how long a received message is hidden; required
	MaxReceives int           // after so many receives it is a dead letter; required
	MaxHot      int           // messages kept in memory; 0 is 50,000
}

// Queue behaves as an SQS standard queue does: at least once, with a
// visibility timeout, a receive count, delays and dead letters. Messages of
// one group do not hold back those of another: groups take turns.
//
// Messages are rows; those that are visible, in flight or nearly visible are
// in memory too. A restart makes messages in flight visible at once, as all
// their receivers are gone. Close the queue before its store.
type Queue struct {
	store *Store
	name  string
	opts  QueueOptions
	hot   *hot
	stop  context.CancelFunc
	done  chan struct{}
}

// Limits of what is kept in memory.
const (
	defaultMaxHot = 50_000
	// coldAfter is the wait from which on a message is kept on disk only.
	coldAfter = time.Minute
	// warmEvery is how often messages are fetched from disk; it is well under coldAfter.
	warmEvery = 5 * time.Second
)

// OpenQueue opens the queue of a name, with what was left in it. A queue must
// be open only once.
func (s *Store) OpenQueue(ctx context.Context, name string, o QueueOptions) (*Queue, error) {
	if o.MaxHot == 0 {
		o.MaxHot = defaultMaxHot
	}
	q := &Queue{store: s, name: name, opts: o, hot: newHot(o.MaxHot), done: make(chan struct{})}
	if err := q.load(ctx); err != nil {
		return nil, fmt.Errorf("open queue %s: %w", name, err)
	}
	ctx, q.stop = context.WithCancel(context.WithoutCancel(ctx))
	go q.keepWarm(ctx)
	return q, nil
}

// Close ends the queue's own work. Messages stay.
func (q *Queue) Close() {
	q.stop()
	<-q.done
}

const messageColumns = `id, grp, body, sent_at, visible_at, receives`

func scanMessage(r *row) *message {
	return &message{id: int64(r.int()), group: r.text(), body: r.text(), sentAt: r.time(), visibleAt: r.time(), receives: r.int()}
}

// load reads the messages that the last process had in memory.
func (q *Queue) load(ctx context.Context) error {
	return q.store.read(ctx, func(c conn) error {
		return prepare(c, `SELECT `+messageColumns+` FROM messages WHERE queue = ? AND cold = 0 ORDER BY id`).
			text(q.name).each(func(r *row) error {
			q.hot.add(scanMessage(r))
			return nil
		})
	})
}

// Ring sends the doorbells, each to the group of its account.
func (q *Queue) Ring(ctx context.Context, bells []webhook.Doorbell) error {
	now, messages := time.Now(), make([]*message, len(bells))
	for i, b := range bells {
		messages[i] = &message{group: b.Account, body: b.Message(), sentAt: now, visibleAt: now.Add(b.After)}
	}
	return q.send(ctx, messages)
}

// Send sends one message.
func (q *Queue) Send(ctx context.Context, group, body string, delay time.Duration) error {
	now := time.Now()
	return q.send(ctx, []*message{{group: group, body: body, sentAt: now, visibleAt: now.Add(delay)}})
}

func (q *Queue) send(ctx context.Context, messages []*message) error {
	err := q.store.write(ctx, func(t *tx) error {
		for _, m := range messages {
			m.cold, m.id = q.isCold(m), q.store.messages.next()
			err := prepare(t.Conn, `INSERT INTO messages (id, queue, grp, body, sent_at, visible_at, receives, cold) VALUES (?, ?, ?, ?, ?, ?, 0, ?)`).
				int(int(m.id)).text(q.name).text(m.group).text(m.body).time(m.sentAt).time(m.visibleAt).bool(m.cold).exec()
			if err != nil {
				return err
			}
		}
		t.afterCommit(func() { q.hot.addWarm(messages) })
		return nil
	})
	return wrap(err, "queue %s: send", q.name)
}

// isCold tells whether a message is kept on disk only, until it is nearly due
// or there is room.
func (q *Queue) isCold(m *message) bool {
	return m.visibleAt.Sub(m.sentAt) > coldAfter || q.hot.full()
}

// Receive returns up to max messages, as soon as there is one. It returns none
// when wait has passed or ctx has ended. The messages are hidden from others
// for the queue's visibility timeout.
func (q *Queue) Receive(ctx context.Context, max int, wait time.Duration) []webhook.Message {
	messages := q.hot.receive(ctx, max, wait, q.opts, q.bury)
	if len(messages) > 0 {
		q.noteReceived(messages)
	}
	list := make([]webhook.Message, len(messages))
	for i, m := range messages {
		list[i] = webhook.Message{
			ID: strconv.FormatInt(m.id, 10), Receipt: receive{m.id, m.receives}.receipt(), Group: m.group,
			Body: m.body, Receives: m.receives, SentAt: m.sentAt,
		}
	}
	return list
}

// noteReceived writes down the receive counts. Nobody waits for it: should it
// be lost with the process, the message was received once more than it says.
func (q *Queue) noteReceived(received []received) {
	q.store.writer.later(func(t *tx) error {
		for _, m := range received {
			if err := prepare(t.Conn, `UPDATE messages SET receives = ? WHERE id = ?`).int(m.receives).int(int(m.id)).exec(); err != nil {
				return err
			}
		}
		return nil
	})
}

// bury makes messages dead letters. Nobody waits for it either: should it be
// lost, the next receive comes upon them again.
func (q *Queue) bury(dead []received) {
	q.store.writer.later(func(t *tx) error {
		for _, m := range dead {
			if err := prepare(t.Conn, `UPDATE messages SET queue = ?, cold = 1, visible_at = 0 WHERE id = ?`).text(q.deadName()).int(int(m.id)).exec(); err != nil {
				return err
			}
		}
		return nil
	})
}

func (q *Queue) deadName() string { return q.name + "-dead" }

// Delete removes messages by the receipts of their last receive, which count
// until the message is received again. One that no longer counts is passed over.
func (q *Queue) Delete(ctx context.Context, receipts []string) error {
	taken, elsewhere := q.takeAll(receipts)
	if len(taken)+len(elsewhere) == 0 {
		return nil
	}
	err := q.store.writeSoon(ctx, func(t *tx) error {
		for _, m := range taken {
			if err := prepare(t.Conn, `DELETE FROM messages WHERE id = ?`).int(int(m.id)).exec(); err != nil {
				return err
			}
		}
		for _, r := range elsewhere {
			if err := prepare(t.Conn, `DELETE FROM messages WHERE `+coldReceived).text(q.name).int(int(r.id)).int(r.number).exec(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		q.hot.addWarm(taken) // they come again
	}
	return wrap(err, "queue %s: delete", q.name)
}

// coldReceived selects a message that is on disk only by its last receive.
const coldReceived = `queue = ? AND id = ? AND receives = ? AND cold = 1`

// takeAll takes out of memory what the receipts name. Elsewhere are those that
// are not there: on disk only, received again, or deleted.
func (q *Queue) takeAll(receipts []string) (taken []*message, elsewhere []receive) {
	taken = make([]*message, 0, len(receipts))
	for _, text := range receipts {
		r, ok := parseReceipt(text)
		if !ok {
			continue
		}
		if m, ok := q.hot.take(r); ok {
			taken = append(taken, m)
		} else {
			elsewhere = append(elsewhere, r)
		}
	}
	return taken, elsewhere
}

// Hide makes a received message invisible for d from now on; 0 makes it
// visible at once. A receipt that no longer counts is passed over.
func (q *Queue) Hide(ctx context.Context, receipt string, d time.Duration) error {
	taken, elsewhere := q.takeAll([]string{receipt})
	if len(elsewhere) > 0 {
		return wrap(q.hideCold(ctx, elsewhere[0], d), "queue %s: hide", q.name)
	}
	if len(taken) == 0 {
		return nil
	}
	m := taken[0]
	m.visibleAt = time.Now().Add(d)
	m.cold = d > coldAfter
	err := q.store.write(ctx, func(t *tx) error {
		t.afterCommit(func() { q.hot.addWarm([]*message{m}) })
		return prepare(t.Conn, `UPDATE messages SET visible_at = ?, cold = ? WHERE id = ?`).time(m.visibleAt).bool(m.cold).int(int(m.id)).exec()
	})
	if err != nil {
		m.cold = false
		q.hot.addWarm([]*message{m})
	}
	return wrap(err, "queue %s: hide", q.name)
}

// hideCold changes when a message on disk becomes visible.
func (q *Queue) hideCold(ctx context.Context, r receive, d time.Duration) error {
	changed := false
	err := q.store.write(ctx, func(t *tx) error {
		err := prepare(t.Conn, `UPDATE messages SET visible_at = ? WHERE `+coldReceived).
			time(time.Now().Add(d)).text(q.name).int(int(r.id)).int(r.number).exec()
		changed = t.Changes() > 0
		return err
	})
	if err != nil || !changed || d > coldAfter {
		return err
	}
	return q.warm(ctx)
}

const deadLettersQuery = `SELECT ` + messageColumns + ` FROM messages INDEXED BY messages_cold WHERE queue = ? AND cold = 1
	ORDER BY visible_at, receives, id LIMIT ?` // as the index has them

// DeadLetters returns messages that were received too often.
func (q *Queue) DeadLetters(ctx context.Context, limit int) (list []webhook.Message, err error) {
	err = q.store.read(ctx, func(c conn) error {
		return prepare(c, deadLettersQuery).
			text(q.deadName()).int(limit).each(func(r *row) error {
			m := scanMessage(r)
			list = append(list, webhook.Message{ID: strconv.FormatInt(m.id, 10), Group: m.group, Body: m.body, Receives: m.receives, SentAt: m.sentAt})
			return nil
		})
	})
	return list, wrap(err, "queue %s: dead letters", q.name)
}

// Redrive sends the dead letters back into the queue, as if they were new. It
// returns how many.
func (q *Queue) Redrive(ctx context.Context) (n int, err error) {
	err = q.store.write(ctx, func(t *tx) error {
		err := prepare(t.Conn, `UPDATE messages SET queue = ?, receives = 0 WHERE queue = ? AND cold = 1`).text(q.name).text(q.deadName()).exec()
		n = t.Changes()
		return err
	})
	if err == nil {
		err = q.warm(ctx)
	}
	return n, wrap(err, "queue %s: redrive", q.name)
}

const (
	coldDepth = `SELECT count(*) FILTER (WHERE visible_at <= ?2), count(*) FILTER (WHERE visible_at > ?2 AND receives > 0),
	count(*) FILTER (WHERE visible_at > ?2 AND receives = 0) FROM messages INDEXED BY messages_cold WHERE queue = ?1 AND cold = 1`
	deadDepth = `SELECT count(*) FROM messages INDEXED BY messages_cold WHERE queue = ? AND cold = 1`
)

// Depth counts the messages in memory and on disk, 0.1 s for 250,000 of them.
// One that is on its way from one to the other may count twice, or not at all.
func (q *Queue) Depth(ctx context.Context) (webhook.QueueDepth, error) {
	now := time.Now()
	d := q.hot.depth(now)
	err := q.store.list(ctx, func(c conn) error {
		_, err := prepare(c, coldDepth).text(q.name).time(now).one(func(r *row) error {
			d.Visible, d.Hidden, d.Delayed = d.Visible+r.int(), d.Hidden+r.int(), d.Delayed+r.int()
			return nil
		})
		if err != nil {
			return err
		}
		_, err = prepare(c, deadDepth).text(q.deadName()).one(func(r *row) error {
			d.Dead = r.int()
			return nil
		})
		return err
	})
	return d, wrap(err, "queue %s: depth", q.name)
}

// keepWarm fetches messages from disk when they are nearly visible.
func (q *Queue) keepWarm(ctx context.Context) {
	defer close(q.done)
	tick := time.NewTicker(warmEvery)
	defer tick.Stop()
	for {
		if err := q.warm(ctx); err != nil && ctx.Err() == nil {
			q.store.log.Error("queue.cold", "queue", q.name, "error", err)
		}
		select {
		case <-tick.C:
		case <-q.hot.thin: // memory has room again
		case <-ctx.Done():
			return
		}
	}
}

// warm fetches what is nearly visible, as far as there is room.
func (q *Queue) warm(ctx context.Context) error {
	room := q.opts.MaxHot - q.hot.size()
	if room <= 0 {
		return nil
	}
	return q.store.write(ctx, func(t *tx) error {
		var messages []*message
		err := prepare(t.Conn, `SELECT `+messageColumns+` FROM messages INDEXED BY messages_cold
			WHERE queue = ? AND cold = 1 AND visible_at < ? ORDER BY visible_at LIMIT ?`).
			text(q.name).time(time.Now().Add(coldAfter)).int(room).each(func(r *row) error {
			messages = append(messages, scanMessage(r))
			return nil
		})
		for _, m := range messages {
			if err == nil {
				err = prepare(t.Conn, `UPDATE messages SET cold = 0 WHERE id = ?`).int(int(m.id)).exec()
			}
		}
		t.afterCommit(func() {
			if len(messages) == room {
				q.hot.lack() // there may be more
			}
			q.hot.addWarm(messages)
		})
		return err
	})
}

// receive is one receive of a message, counted from 1.
type receive struct {
	id     int64
	number int
}

func (r receive) receipt() string {
	return strconv.FormatInt(r.id, 10) + "." + strconv.Itoa(r.number)
}

func parseReceipt(text string) (r receive, ok bool) {
	left, right, _ := strings.Cut(text, ".")
	id, err := strconv.ParseInt(left, 10, 64)
	number, err2 := strconv.Atoi(right)
	return receive{id, number}, err == nil && err2 == nil && number > 0
}

// messageNumbers gives messages ids that no other message of this process has,
// as a receipt must not fit a later message. Only the writer calls next.
type messageNumbers struct{ last int64 }

func (n *messageNumbers) load(c conn) error {
	_, err := prepare(c, `SELECT coalesce(max(id), 0) FROM messages`).one(func(r *row) error {
		n.last = int64(r.int())
		return nil
	})
	return err
}

func (n *messageNumbers) next() int64 {
	n.last++
	return n.last
}
