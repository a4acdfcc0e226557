package dynamo

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// Put stores events with their deliveries. What is already there stays as it
// is. It returns the doorbells to ring: of deliveries that are new and queued,
// and of those still queued for their first attempt from an earlier call.
func (s *Store) Put(ctx context.Context, planned []webhook.Planned) ([]webhook.Doorbell, error) {
	bells, added := make([][]webhook.Doorbell, len(planned)), make([]int, len(planned))
	err := inParallel(ctx, len(planned), func(ctx context.Context, i int) (err error) {
		bells[i], added[i], err = s.putPlanned(ctx, planned[i])
		return wrap(err, "event %s", planned[i].Event.ID)
	})
	s.count(ctx, planned, added)
	if err != nil {
		return nil, wrap(err, "put events")
	}
	return slices.Concat(bells...), nil
}

// putPlanned also tells how many of the deliveries are new.
func (s *Store) putPlanned(ctx context.Context, p webhook.Planned) (bells []webhook.Doorbell, added int, err error) {
	k, ok := eventKey(p.Event.Account, p.Event.ID)
	if !ok {
		return nil, 0, fmt.Errorf("%.80q is no id of an event", p.Event.ID)
	}
	if err := s.noteStopped(ctx, p.Event); err != nil {
		return nil, 0, err
	}
	if err := s.putRows(ctx, p.Deliveries); err != nil {
		return nil, 0, err
	}
	i, err := eventItem(k, p.Event, plans(p.Deliveries))
	if err != nil {
		return nil, 0, err
	}
	old, err := s.putNew(ctx, i)
	if err != nil {
		return nil, 0, err
	}
	if old == nil {
		return bellsOf(p.Deliveries), len(p.Deliveries), nil
	}
	return s.putAgain(ctx, k, old, p.Deliveries)
}

func plans(list []webhook.Delivery) []planned {
	all := make([]planned, len(list))
	for i, d := range list {
		all[i] = planOf(d)
	}
	return all
}

func bellsOf(list []webhook.Delivery) []webhook.Doorbell {
	bells := make([]webhook.Doorbell, 0, len(list))
	for _, d := range list {
		if d.State == webhook.StateQueued {
			bells = append(bells, d.Doorbell())
		}
	}
	return bells
}

// putNew writes an item unless there is one that has not expired; that one it
// returns.
func (s *Store) putNew(ctx context.Context, i item) (old item, err error) {
	_, err = s.db.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &s.deliveries, Item: i, ConditionExpression: aws.String("attribute_not_exists(pk) OR #ttl < :now"),
		ExpressionAttributeNames:            map[string]string{"#ttl": attrTTL},
		ExpressionAttributeValues:           item{":now": number(int(s.now().Unix()))},
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	if old, ok := refused(err); ok {
		return old, nil
	}
	return nil, err
}

// putRows writes the rows of deliveries of which a plan cannot say all. They
// are written before the event, without which nobody finds them.
func (s *Store) putRows(ctx context.Context, list []webhook.Delivery) error {
	for _, d := range list {
		if isPlain(d) {
			continue
		}
		k, ok := rowKey(d.Ref())
		if !ok {
			return fmt.Errorf("%.80q is no id of a delivery", d.ID)
		}
		if _, err := s.putNew(ctx, immutable(k, d).mutable(d)); err != nil {
			return wrap(err, "delivery %s", d.ID)
		}
	}
	return nil
}

// putAgain sees to an event that is there: targets that are new are added to
// its plan, and those still queued are rung for again.
func (s *Store) putAgain(ctx context.Context, k key, old item, list []webhook.Delivery) ([]webhook.Doorbell, int, error) {
	for tries := 0; ; tries++ {
		have, err := decodeEvent(account(k), old)
		if err != nil {
			return nil, 0, err
		}
		known, added := have.deliveries(), missing(have, list)
		if len(added) > 0 {
			if old, err = s.addToPlan(ctx, k, old, append(have.plan, plans(added)...)); err != nil {
				return nil, 0, err
			}
			if old != nil { // somebody else added to it
				if err := backOff(ctx, tries); err != nil {
					return nil, 0, err
				}
				continue
			}
		}
		bells, err := s.bellsAgain(ctx, known, added, list)
		return bells, len(added), err
	}
}

// account is that of a partition of deliveries.
func account(k key) string { return k.pk[len(prefixDeliveries) : len(k.pk)-len("#0")] }

func missing(have eventAndPlan, list []webhook.Delivery) (added []webhook.Delivery) {
	for _, d := range list {
		if _, ok := have.delivery(d.ID); !ok {
			added = append(added, d)
		}
	}
	return added
}

// addToPlan returns the event as it is now if the plan was changed meanwhile.
func (s *Store) addToPlan(ctx context.Context, k key, old item, plan []planned) (now item, err error) {
	next := item{}
	if err := next.setPlan(plan); err != nil {
		return nil, err
	}
	c := newChange()
	c.to(attrPlan, next)
	c.to(attrTTL, next)
	condition := c.name(attrPlan) + " = " + c.value(old[attrPlan])
	_, err = s.db.UpdateItem(ctx, s.update(k, c, condition))
	if now, ok := refused(err); ok {
		return now, nil
	}
	return nil, err
}

// bellsAgain rings for what is new and queued, and for what was planned before
// and was never attempted: its row decides, whatever would be planned now.
func (s *Store) bellsAgain(ctx context.Context, known, added, list []webhook.Delivery) ([]webhook.Doorbell, error) {
	keys := make([]key, 0, len(known))
	for _, d := range known {
		if k, ok := rowKey(d.Ref()); ok {
			keys = append(keys, k)
		}
	}
	rows, err := s.getAll(ctx, keys, true)
	if err != nil {
		return nil, err
	}
	bells := make([]webhook.Doorbell, 0, len(list))
	for _, d := range list {
		if before := slices.IndexFunc(known, func(k webhook.Delivery) bool { return k.ID == d.ID }); before >= 0 {
			d = known[before]
			k, _ := rowKey(d.Ref()) // it was one above
			if row, ok := rows[k]; ok {
				d = decodeRow(d.Account, row)
			}
			if !d.FirstAttempt() || d.LastStatus != 0 || d.LastFailure != "" {
				continue
			}
		}
		if d.State == webhook.StateQueued {
			bells = append(bells, d.Doorbell())
		}
	}
	return bells, nil
}

// noteStopped notes a scraping job that stopped, so that Shelve finds it.
func (s *Store) noteStopped(ctx context.Context, e webhook.Event) error {
	if e.Kind != job.KindScraping || e.Type != webhook.JobStopped {
		return nil
	}
	return wrap(s.noteStoppedJob(ctx, e.JobID, e.At), "note the stopped job %s", e.JobID)
}

// keepNote is how long a note stays that nobody looks at, as where the jobs
// table is not ours.
const keepNote = 60 * 24 * time.Hour

// noteStoppedJob writes a note for its time, and which note of the job is the
// last: one that was continued and stopped again waits anew.
func (s *Store) noteStoppedJob(ctx context.Context, id string, at time.Time) error {
	for _, k := range []key{lastStop(id), {stoppedPK, sortable(at) + " " + id}} {
		if err := s.put(ctx, k.item().text(attrJob, id).time(attrAt, at).ttl(at.Add(keepNote))); err != nil {
			return err
		}
	}
	return nil
}
