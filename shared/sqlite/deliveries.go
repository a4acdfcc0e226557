package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// stateColumns are those that change in the life of a delivery, in the order
// of bindState.
const stateColumns = `state, reason, generation, attempts, postponed, next_at, due_at, lease_until, deadline,
	last_status, last_failure, updated_at, delivered_at`

func bindState(b *binder, d webhook.Delivery) *binder {
	return b.text(string(d.State)).text(d.Reason).int(d.Generation).int(d.Attempts).int(d.Postponed).
		time(d.NextAt).time(d.DueAt).time(d.LeaseUntil).time(d.Deadline).
		int(d.LastStatus).text(d.LastFailure).time(d.UpdatedAt).time(d.DeliveredAt)
}

// deliveryColumns are those of scanDelivery.
const deliveryColumns = `d.account, d.id, d.event_id, d.event_type, d.kind, d.job_id, d.run, d.sequence,
	d.endpoint, d.url, d.format, d.state, d.reason, d.generation, d.attempts, d.postponed, d.next_at, d.due_at,
	d.lease_until, d.deadline, d.last_status, d.last_failure, d.updated_at, d.delivered_at, d.created_at, d.expires_at`

func scanDelivery(r *row) webhook.Delivery {
	return webhook.Delivery{
		Account: r.text(), ID: r.text(), EventID: r.text(), EventType: webhook.EventType(r.text()),
		Kind: job.Kind(r.text()), JobID: r.text(), Run: r.int(), Sequence: r.text(),
		Target: webhook.Target{Endpoint: r.text(), URL: r.text(), Format: r.text()},
		State:  webhook.State(r.text()), Reason: r.text(), Generation: r.int(), Attempts: r.int(), Postponed: r.int(),
		NextAt: r.time(), DueAt: r.time(), LeaseUntil: r.time(), Deadline: r.time(),
		LastStatus: r.int(), LastFailure: r.text(), UpdatedAt: r.time(), DeliveredAt: r.time(),
		CreatedAt: r.time(), ExpiresAt: r.time(),
	}
}

const eventColumns = `e.id, e.type, e.account, e.kind, e.job_id, e.run, e.at, e.level, e.sequence, e.record`

func scanEvent(r *row) webhook.Event {
	return webhook.Event{
		ID: r.text(), Type: webhook.EventType(r.text()), Account: r.text(), Kind: job.Kind(r.text()), JobID: r.text(),
		Run: r.int(), At: r.time(), Level: job.Level(r.text()), Sequence: r.text(), Record: r.blob(),
	}
}

// Load reads what is needed for an attempt of each delivery, in order. A
// delivery that does not exist is a Work with a zero Delivery; what of one
// cannot be read is the error of that one.
func (s *Store) Load(ctx context.Context, refs []webhook.Ref) ([]webhook.Work, error) {
	works := make([]webhook.Work, len(refs))
	err := s.read(ctx, func(c conn) error {
		return snapshot(c, func() error {
			for i, ref := range refs {
				if err := loadRow(c, ref, &works[i]); err != nil {
					return wrap(err, "delivery %s", ref.ID)
				}
			}
			return nil
		})
	})
	if err != nil {
		return nil, wrap(err, "load deliveries")
	}
	for i := range works {
		if works[i].Delivery.ID != "" && works[i].Err == nil {
			works[i].Err = s.addTarget(ctx, &works[i])
		}
	}
	return works, nil
}

// loadRow reads a delivery and its event. They are two queries, as SQLite plans
// a join with parameters anew at each call, which took 12 times as long.
func loadRow(c conn, ref webhook.Ref, w *webhook.Work) error {
	eventSeq := 0
	found, err := prepare(c, `SELECT `+deliveryColumns+`, d.event_seq FROM deliveries d WHERE d.account = ? AND d.id = ?`).
		text(ref.Account).text(ref.ID).one(func(r *row) error {
		w.Delivery, eventSeq = scanDelivery(r), r.int()
		return nil
	})
	if err != nil || !found {
		return err
	}
	found, err = prepare(c, `SELECT `+eventColumns+` FROM events e WHERE e.seq = ?`).int(eventSeq).one(func(r *row) error {
		w.Event = scanEvent(r)
		return nil
	})
	if err == nil {
		w.Err = wrap(notFound(found, nil), "event %s", w.Delivery.EventID)
	}
	return err
}

// addTarget adds what is known of the target: endpoint, secrets, silence, health of
// the endpoint and of the host.
func (s *Store) addTarget(ctx context.Context, w *webhook.Work) error {
	list, err := s.Endpoints(ctx, w.Delivery.Account)
	if err != nil {
		return err
	}
	now := time.Now()
	w.Secrets = defaultSecrets(list, now)
	if id := w.Delivery.Target.Endpoint; id != "" {
		w.Secrets = nil
		if i, ok := find(list, id); ok {
			w.Endpoint, w.HasEndpoint, w.Secrets, w.Health = list[i], true, list[i].Signing(now), s.health.of(id)
		}
	}
	w.SilentUntil, w.Host = s.silences.get(w.URL()), s.hosts.of(w.URL(), now)
	return nil
}

// Record replaces a delivery's row if nobody changed it since it was read, and
// keeps the attempt, if any, in every case. It returns webhook.ErrStale when
// the row was not replaced, and webhook.ErrNotFound when there is none. A
// success is recorded in any state of its own generation.
func (s *Store) Record(ctx context.Context, read, next webhook.Delivery, attempt *webhook.Attempt) error {
	var refused error // the caller's, not the transaction's: it would undo the whole group
	err := s.writeSoon(ctx, func(t *tx) error {
		at, err := findRow(t.Conn, read.Ref())
		if refused = nil; errors.Is(err, webhook.ErrNotFound) {
			refused = err
			return nil
		}
		if err != nil {
			return err
		}
		stale := !at.matches(read) && !at.loses(next)
		if attempt != nil {
			if err := putAttempt(t.Conn, at, *attempt, stale); err != nil {
				return err
			}
			at.recorded++
		}
		if stale {
			refused = webhook.ErrStale
			return prepare(t.Conn, `UPDATE deliveries SET recorded = ? WHERE seq = ?`).int(at.recorded).int(at.seq).exec()
		}
		return bindState(prepare(t.Conn, `UPDATE deliveries SET (`+stateColumns+`, recorded) = (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) WHERE seq = ?`), next).
			int(at.recorded).int(at.seq).exec()
	})
	if err == nil {
		err = refused
	}
	return wrap(err, "delivery %s: record", read.ID)
}

// rowState is what decides whether a delivery's row is as it was read.
type rowState struct {
	seq, generation, attempts, postponed, recorded int
	state                                          webhook.State
	leaseUntil                                     time.Time
}

func findRow(c conn, ref webhook.Ref) (at rowState, err error) {
	found, err := prepare(c, `SELECT seq, generation, attempts, postponed, recorded, state, lease_until
		FROM deliveries WHERE account = ? AND id = ?`).text(ref.Account).text(ref.ID).one(func(r *row) error {
		at = rowState{
			seq: r.int(), generation: r.int(), attempts: r.int(), postponed: r.int(), recorded: r.int(),
			state: webhook.State(r.text()), leaseUntil: r.time(),
		}
		return nil
	})
	return at, notFound(found, err)
}

// matches tells whether the row is as it was read.
func (r rowState) matches(read webhook.Delivery) bool {
	return r.generation == read.Generation && r.attempts == read.Attempts && r.postponed == read.Postponed &&
		r.state == read.State && r.leaseUntil.Equal(fromMicros(micros(read.LeaseUntil)))
}

// loses tells whether the row gives way to next although it was changed: to a
// success of its generation, unless it is one.
func (r rowState) loses(next webhook.Delivery) bool {
	return next.State == webhook.StateDelivered && r.generation == next.Generation && r.state != webhook.StateDelivered
}

// attemptsPerDelivery is how many attempts a delivery's row numbers have room
// for. Further ones overwrite the last.
const attemptsPerDelivery = 4096

func putAttempt(c conn, at rowState, a webhook.Attempt, late bool) error {
	header := ""
	if len(a.Result.Header) > 0 {
		b, err := json.Marshal(a.Result.Header)
		if err != nil {
			return err
		}
		header = string(b)
	}
	id := at.seq*attemptsPerDelivery + min(at.recorded, attemptsPerDelivery-1)
	return prepare(c, `INSERT OR REPLACE INTO attempts (id, generation, at, url, status, failure, code, detail, retry_after,
		header, body, dns, connect, tls, first_byte, total, state, reason, late)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`).
		int(id).int(a.Generation).time(a.At).text(a.URL).int(a.Result.Status).text(string(a.Result.Failure)).
		text(a.Result.Code).text(a.Result.Detail).duration(a.Result.RetryAfter).text(header).blob(a.Result.Body).
		duration(a.Timing.DNS).duration(a.Timing.Connect).duration(a.Timing.TLS).duration(a.Timing.FirstByte).
		duration(a.Timing.Total).text(string(a.State)).text(a.Reason).bool(late).exec()
}

// Delivery returns a delivery, or webhook.ErrNotFound.
func (s *Store) Delivery(ctx context.Context, ref webhook.Ref) (d webhook.Delivery, err error) {
	err = s.readOne(ctx, func(c conn) (bool, error) {
		return prepare(c, `SELECT `+deliveryColumns+` FROM deliveries d WHERE d.account = ? AND d.id = ?`).
			text(ref.Account).text(ref.ID).one(func(r *row) error {
			d = scanDelivery(r)
			return nil
		})
	})
	return d, wrap(err, "delivery %s", ref.ID)
}

// Attempts returns the attempts of a delivery, the oldest first. It returns
// webhook.ErrNotFound for a delivery that does not exist.
func (s *Store) Attempts(ctx context.Context, ref webhook.Ref) (list []webhook.Attempt, err error) {
	err = s.read(ctx, func(c conn) error {
		at, err := findRow(c, ref)
		if err != nil {
			return err
		}
		return prepare(c, `SELECT generation, at, url, status, failure, code, detail, retry_after, header, body,
			dns, connect, tls, first_byte, total, state, reason, late FROM attempts WHERE id >= ? AND id < ? ORDER BY id`).
			int(at.seq * attemptsPerDelivery).int((at.seq + 1) * attemptsPerDelivery).each(func(r *row) error {
			a, err := scanAttempt(r)
			a.Account, a.Delivery = ref.Account, ref.ID
			list = append(list, a)
			return err
		})
	})
	return list, wrap(err, "attempts of delivery %s", ref.ID)
}

func scanAttempt(r *row) (webhook.Attempt, error) {
	a := webhook.Attempt{Generation: r.int(), At: r.time(), URL: r.text()}
	a.Result = webhook.Result{Status: r.int(), Failure: webhook.Failure(r.text()), Code: r.text(), Detail: r.text(), RetryAfter: r.duration()}
	header := r.text()
	a.Result.Body = r.blob()
	a.Timing = webhook.Timing{DNS: r.duration(), Connect: r.duration(), TLS: r.duration(), FirstByte: r.duration(), Total: r.duration()}
	a.State, a.Reason, a.Late = webhook.State(r.text()), r.text(), r.bool()
	if header == "" {
		return a, nil
	}
	return a, json.Unmarshal([]byte(header), &a.Result.Header)
}

// Event returns an event of the account, or webhook.ErrNotFound.
func (s *Store) Event(ctx context.Context, account, id string) (e webhook.Event, err error) {
	err = s.readOne(ctx, func(c conn) (bool, error) {
		return prepare(c, `SELECT `+eventColumns+` FROM events e WHERE e.id = ? AND e.account = ?`).text(id).text(account).
			one(func(r *row) error {
				e = scanEvent(r)
				return nil
			})
	})
	return e, wrap(err, "event %s", id)
}

// overtakenQuery compares sequence numbers, which are decimal digits, by value.
const overtakenQuery = `SELECT 1 FROM deliveries WHERE account = ?1 AND id >= ?2 AND id < ?3
	AND job_id = ?4 AND kind = ?5 AND event_type = ?6 AND endpoint = ?7 AND (endpoint != '' OR url = ?8)
	AND (length(sequence) > length(?9) OR length(sequence) = length(?9) AND sequence > ?9)
	AND state != 'declined' LIMIT 1`

// Overtaken tells whether the delivery's target was sent, or is to be sent, a
// newer progress event of the same job. The job's deliveries lie together, as
// their ids begin with its creation time.
func (s *Store) Overtaken(ctx context.Context, d webhook.Delivery) (over bool, err error) {
	prefix := webhook.DeliveryPrefixOf(d.EventID)
	err = s.read(ctx, func(c conn) error {
		over, err = prepare(c, overtakenQuery).
			text(d.Account).text(prefix).text(prefix + "\x7f").text(d.JobID).text(string(d.Kind)).text(string(d.EventType)).
			text(d.Target.Endpoint).text(d.Target.URL).text(d.Sequence).one(func(*row) error { return nil })
		return err
	})
	return over, wrap(err, "delivery %s: newer progress", d.ID)
}
