package sqlite

import (
	"context"
	"fmt"
	"strings"

	"github.com/jobhook/jobhook/shared/webhook"
)

// maxLooked is how many rows one page looks at, whatever of them the filter
// lets pass: a page of what few rows pass is short, and says where to go on. So
// many take 1.5 ms, measured with a million deliveries.
const maxLooked = 1000

// stretch is a part of an account's deliveries: the ids not before from, and
// before to.
type stretch struct{ from, to string }

// afterAll ends a stretch: it comes after everything an id may go on with.
const afterAll = "\x7f"

// startingWith is the stretch of the ids that begin so.
func startingWith(prefix string) stretch { return stretch{prefix, prefix + afterAll} }

// Prefixes and lengths of ids, which are cursors too. What follows the prefix
// begins with the creation time of the job. A delivery's id goes on where the
// event's ends.
const (
	deliveryPrefix, deliveryLength = "dlv_", 40
	eventPrefix, eventLength       = "evt_", 30
)

// before is what a cursor leaves of the stretch.
func (at stretch) before(cursor, prefix string, length int) (stretch, error) {
	if cursor == "" {
		return at, nil
	}
	tail, ok := strings.CutPrefix(cursor, prefix)
	if !ok || len(cursor) != length {
		return at, fmt.Errorf("cursor %.40q: %w", cursor, webhook.ErrCursor)
	}
	at.to = min(at.to, deliveryPrefix+tail)
	return at, nil
}

const createdQuery = `SELECT count(*), min(created_at), max(created_at) FROM jobs INDEXED BY jobs_id
	WHERE id_hash = ? AND id = ? AND account = ?`

// stretchOf is that of a job, if its account has one of that id, or several,
// each of its kind. The creation time of a job never changes. Else, and without
// an id, it is all there is.
func stretchOf(c conn, account, jobID string) (at stretch, found bool, err error) {
	at = startingWith(deliveryPrefix)
	if jobID == "" {
		return at, false, nil
	}
	_, err = prepare(c, createdQuery).int(idHash(jobID)).text(jobID).text(account).one(func(r *row) error {
		if found = r.bool(); found {
			at = stretch{webhook.DeliveryPrefix(r.time()), webhook.DeliveryPrefix(r.time()) + afterAll}
		}
		return nil
	})
	return at, found, err
}

// The two ways through an account's deliveries, the newest first. The second is
// of one state, and of all but the two that a delivery has in the normal case.
// CAST hides the parameters of ranges from SQLite's planner, which would else
// plan the query anew with each value: five times the work of a short list.
const (
	deliveriesByID    = `FROM deliveries d INDEXED BY deliveries_id WHERE d.account = CAST(?1 AS TEXT) AND d.id >= CAST(?2 AS TEXT) AND d.id < CAST(?3 AS TEXT)`
	deliveriesByState = `FROM deliveries d INDEXED BY deliveries_state WHERE d.account = CAST(?1 AS TEXT) AND d.id >= CAST(?2 AS TEXT) AND d.id < CAST(?3 AS TEXT)
	AND d.state = CAST(?4 AS TEXT) AND d.state NOT IN ('queued', 'delivered')`

	// deliveryEdge finds the last row that a page looks at, in the index alone.
	deliveryEdge = ` ORDER BY d.id DESC LIMIT 1 OFFSET ?5`

	// wantedDeliveries leaves out what webhook.Filter does, but for fractions of a microsecond.
	wantedDeliveries = ` AND (?4 = '' OR d.state = ?4) AND (?5 = '' OR d.endpoint = ?5) AND (?6 = '' OR d.job_id = ?6)
	AND (?7 = '' OR d.event_id = ?7) AND (?8 = '' OR d.event_type = ?8)
	AND d.created_at >= CAST(?9 AS INTEGER) AND (?10 = 0 OR d.created_at <= ?10)
	AND (?11 = '' OR ?11 = CASE WHEN d.last_status > 0 THEN (d.last_status / 100) || 'xx'
		WHEN d.last_failure = '' THEN 'no_attempt' ELSE 'no_answer' END)
	ORDER BY d.id DESC`
)

// Deliveries returns a page of an account's deliveries, those of the newest job
// first, and the cursor of the next page, empty at the end. It looks at no more
// than maxLooked rows: a page may be short, and still there is a next one. A
// cursor that is none is webhook.ErrCursor.
func (s *Store) Deliveries(ctx context.Context, f webhook.Filter) (list []webhook.Delivery, next string, err error) {
	err = s.list(ctx, func(c conn) error {
		at, way, err := deliveryWay(c, f)
		if err != nil {
			return err
		}
		if next, err = edgeOf(c, way, f.Account, f.State, at); err != nil {
			return err
		}
		last := ""
		return prepare(c, `SELECT `+deliveryColumns+` `+way+wantedDeliveries).text(f.Account).text(max(at.from, next)).text(at.to).
			text(string(f.State)).text(f.Endpoint).text(f.JobID).text(f.EventID).text(string(f.Type)).
			time(f.Since).time(f.Until).text(string(f.StatusClass)).each(func(r *row) error {
			if len(list) == f.Limit {
				next = last
				return errEnough
			}
			d := scanDelivery(r)
			if last = d.ID; f.Wants(d) {
				list = append(list, d)
			}
			return nil
		})
	})
	return list, next, wrap(err, "deliveries of account %s", f.Account)
}

// deliveryWay is where the filter's deliveries are, and the shortest way there.
func deliveryWay(c conn, f webhook.Filter) (at stretch, way string, err error) {
	at, found, err := stretchOf(c, f.Account, f.JobID)
	if err != nil {
		return at, "", err
	}
	if f.EventID != "" {
		at, found = startingWith(siblingPrefix(f.EventID)), true
	}
	way = deliveriesByState
	if found || f.State == "" || f.State == webhook.StateQueued || f.State == webhook.StateDelivered {
		way = deliveriesByID
	}
	at, err = at.before(f.After, deliveryPrefix, deliveryLength)
	return at, way, err
}

// edgeOf is the id of the last row that a page looks at; empty when the end
// comes before it.
func edgeOf(c conn, way, account string, state webhook.State, at stretch) (edge string, err error) {
	_, err = prepare(c, `SELECT d.id `+way+deliveryEdge).text(account).text(at.from).text(at.to).text(string(state)).int(maxLooked - 1).
		one(func(r *row) error {
			edge = r.text()
			return nil
		})
	return edge, err
}

// eventsQuery goes by deliveries, whose ids begin with their event's: an index
// of events by account would cost a tenth of the bytes that a delivery writes.
// Deliveries know the most of what is filtered by, so that few events are looked
// at in vain. An event comes once for each of its targets. Its record, the only
// large column, is read if it is asked for.
const eventsQuery = `SELECT e.id, e.type, e.account, e.kind, e.job_id, e.run, e.at, e.level, e.sequence, iif(?9, e.record, '')
	FROM deliveries d INDEXED BY deliveries_id CROSS JOIN events e ON e.seq = d.event_seq
	WHERE d.account = CAST(?1 AS TEXT) AND d.id >= CAST(?2 AS TEXT) AND d.id < CAST(?3 AS TEXT)
	AND (?4 = '' OR d.kind = ?4) AND (?5 = '' OR d.job_id = ?5) AND (?6 = '' OR d.event_type = ?6)
	AND e.at >= CAST(?7 AS INTEGER) AND (?8 = 0 OR e.at <= ?8) ORDER BY d.id DESC`

// Events returns a page of an account's events as Deliveries does. A page of
// large records has fewer of them than asked for.
func (s *Store) Events(ctx context.Context, f webhook.EventFilter) (list []webhook.Event, next string, err error) {
	err = s.list(ctx, func(c conn) error {
		at, _, err := stretchOf(c, f.Account, f.JobID)
		if err == nil {
			at, err = at.before(f.After, eventPrefix, eventLength)
		}
		if err != nil {
			return err
		}
		edge, err := edgeOf(c, deliveriesByID, f.Account, "", at)
		if err != nil {
			return err
		}
		if edge != "" {
			next = eventPrefix + edge[len(deliveryPrefix):min(eventLength, len(edge))]
		}
		last, size := "", 0
		return prepare(c, eventsQuery).text(f.Account).text(max(at.from, edge)).text(at.to).
			text(string(f.Kind)).text(f.JobID).text(string(f.Type)).time(f.Since).time(f.Until).bool(f.Records).each(func(r *row) error {
			e := scanEvent(r)
			if e.ID == last {
				return nil // another target's
			}
			if len(list) == f.Limit || size > maxPageBytes {
				next = last
				return errEnough
			}
			if last = e.ID; f.Wants(e) {
				list, size = append(list, e), size+len(e.Record)
			}
			return nil
		})
	})
	return list, next, wrap(err, "events of account %s", f.Account)
}
