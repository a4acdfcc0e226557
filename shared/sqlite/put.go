package sqlite

import (
	"context"

	"github.com/jobhook/jobhook/shared/webhook"
)

// Put stores events with their deliveries. What is already there stays as it
// is. It returns the doorbells to ring: of deliveries that are new and queued,
// and of those still queued for their first attempt from an earlier call.
func (s *Store) Put(ctx context.Context, planned []webhook.Planned) ([]webhook.Doorbell, error) {
	var bells []webhook.Doorbell
	err := s.write(ctx, func(t *tx) error {
		bells = make([]webhook.Doorbell, 0, len(planned))
		for _, p := range planned {
			rung, err := putPlanned(t.Conn, p)
			if err != nil {
				return wrap(err, "event %s", p.Event.ID)
			}
			bells = append(bells, rung...)
		}
		return nil
	})
	return bells, wrap(err, "put events")
}

func putPlanned(c conn, p webhook.Planned) (bells []webhook.Doorbell, err error) {
	eventSeq, err := putEvent(c, p.Event)
	if err != nil {
		return nil, err
	}
	added := 0
	for _, d := range p.Deliveries {
		isNew, err := putDelivery(c, int(eventSeq), d)
		if err != nil {
			return nil, wrap(err, "delivery %s", d.ID)
		}
		ring := d.State == webhook.StateQueued
		if isNew {
			added++
		} else if ring, err = neverAttempted(c, d.Ref()); err != nil { // the row decides, whatever is planned now
			return nil, err
		}
		if ring {
			bells = append(bells, d.Doorbell())
		}
	}
	return bells, count(c, p.Event, added)
}

// putEvent returns the row number of the event, old or new.
func putEvent(c conn, e webhook.Event) (int64, error) {
	err := prepare(c, `INSERT INTO events (id, type, account, kind, job_id, run, at, level, sequence, record)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`).
		text(e.ID).text(string(e.Type)).text(e.Account).text(string(e.Kind)).text(e.JobID).int(e.Run).time(e.At).
		text(string(e.Level)).text(e.Sequence).text(string(e.Record)).exec()
	if err != nil || c.Changes() > 0 {
		return c.LastInsertRowID(), err
	}
	var seq int64
	_, err = prepare(c, `SELECT seq FROM events WHERE id = ?`).text(e.ID).one(func(r *row) error {
		seq = int64(r.int())
		return nil
	})
	return seq, err
}

func putDelivery(c conn, eventSeq int, d webhook.Delivery) (isNew bool, err error) {
	b := prepare(c, `INSERT INTO deliveries (account, id, event_seq, event_id, event_type, kind, job_id, run, sequence,
		endpoint, url, format, recorded, `+stateColumns+`, created_at, expires_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (account, id) DO NOTHING`).
		text(d.Account).text(d.ID).int(eventSeq).text(d.EventID).text(string(d.EventType)).text(string(d.Kind)).
		text(d.JobID).int(d.Run).text(d.Sequence).text(d.Target.Endpoint).text(d.Target.URL).text(d.Target.Format)
	err = bindState(b, d).time(d.CreatedAt).time(d.ExpiresAt).exec()
	return c.Changes() > 0, err
}

func neverAttempted(c conn, ref webhook.Ref) (bool, error) {
	return prepare(c, `SELECT 1 FROM deliveries WHERE account = ? AND id = ? AND state = 'queued' AND generation = 1 AND recorded = 0`).
		text(ref.Account).text(ref.ID).one(func(*row) error { return nil })
}
