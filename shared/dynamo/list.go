package dynamo

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/jobhook/jobhook/shared/webhook"
)

// Delivery returns a delivery, or webhook.ErrNotFound.
func (s *Store) Delivery(ctx context.Context, r webhook.Ref) (webhook.Delivery, error) {
	w, _, err := s.one(ctx, r)
	return w.Delivery, wrap(err, "delivery %s", r.ID)
}

// one reads a delivery and its row, which is nil before its first attempt.
func (s *Store) one(ctx context.Context, r webhook.Ref) (w webhook.Work, row item, err error) {
	all, err := s.getAll(ctx, keysOf([]webhook.Ref{r}), true)
	if err != nil {
		return w, nil, err
	}
	w = s.work(r, all, s.now())
	if w.Delivery.ID == "" {
		return w, nil, webhook.ErrNotFound
	}
	k, _ := rowKey(r) // or it would not have been found
	return w, all[k], nil
}

// Event returns an event of the account, or webhook.ErrNotFound.
func (s *Store) Event(ctx context.Context, account, id string) (webhook.Event, error) {
	e, err := s.event(ctx, account, id)
	return e, wrap(err, "event %s", id)
}

// event reads an event with its rows: it is there as long as any delivery is.
func (s *Store) event(ctx context.Context, account, id string) (webhook.Event, error) {
	k, ok := eventKey(account, id)
	if !ok {
		return webhook.Event{}, webhook.ErrNotFound
	}
	group, err := s.query(ctx, k.pk, k.sk, k.sk+afterAll)
	if err != nil {
		return webhook.Event{}, err
	}
	g, err := s.groupOf(account, group)
	if err != nil {
		return webhook.Event{}, err
	}
	if !g.exists() {
		return webhook.Event{}, webhook.ErrNotFound
	}
	return g.event.whole()
}

// Attempts returns the attempts of a delivery, the oldest first. It returns
// webhook.ErrNotFound for a delivery that does not exist.
func (s *Store) Attempts(ctx context.Context, r webhook.Ref) ([]webhook.Attempt, error) {
	list, err := s.attempts(ctx, r)
	return list, wrap(err, "attempts of delivery %s", r.ID)
}

func (s *Store) attempts(ctx context.Context, r webhook.Ref) ([]webhook.Attempt, error) {
	w, row, err := s.one(ctx, r)
	if err != nil {
		return nil, err
	}
	items, err := s.query(ctx, attemptsPK(r), "0", afterAll)
	if err != nil {
		return nil, err
	}
	list, err := inlineAttempts(r, row)
	for _, i := range items {
		// Attempts of a delivery that was here before, and expired, are not its own.
		if at := i.getTime(attrAt); err == nil && !at.Before(w.Delivery.CreatedAt) {
			var a webhook.Attempt
			a, err = decodeAttempt(r, i)
			list = append(list, a)
		}
	}
	slices.SortFunc(list, func(a, b webhook.Attempt) int { return a.At.Compare(b.At) })
	return list, err
}

func decodeAttempt(r webhook.Ref, i item) (webhook.Attempt, error) {
	b, err := unpack(i.getBytes(attrData))
	if err != nil {
		return webhook.Attempt{}, err
	}
	var row attemptRow
	err = json.Unmarshal(b, &row)
	return row.attempt(r, i.getTime(attrAt), i.getBool(attrLate)), err
}

// Deliveries returns a page of an account's deliveries, those of the newest
// job first, and the cursor of the next page, empty at the end. The account's
// partitions are read side by side, and no index: the filters look at what is
// read, and a page ends when about 4 MB were, however few it has then. A filter
// by an event, or by a job whose record is in the jobs table, reads little else.
// A cursor that no list returned is webhook.ErrCursor.
func (s *Store) Deliveries(ctx context.Context, f webhook.Filter) (list []webhook.Delivery, next string, err error) {
	list, next, err = s.listDeliveries(ctx, f)
	for _, d := range list {
		s.planned.add(d.Ref())
	}
	return list, next, wrap(err, "deliveries of account %s", f.Account)
}

func (s *Store) listDeliveries(ctx context.Context, f webhook.Filter) ([]webhook.Delivery, string, error) {
	before, err := positionOf(f.After, deliveryID, rowChars)
	if err != nil {
		return nil, "", err
	}
	parts, err := s.stretches(ctx, f.Account, f.JobID, f.EventID)
	if err != nil {
		return nil, "", err
	}
	show := func(g eventGroup) (list []webhook.Delivery) {
		for _, d := range g.deliveries {
			if (f.After == "" || d.ID < f.After) && f.Wants(d) {
				list = append(list, d)
			}
		}
		return list
	}
	all := webhook.Filter{Account: f.Account, After: f.After, Limit: f.Limit}
	l := &merged[webhook.Delivery]{
		s: s, account: f.Account, attributes: listed, pageSize: pageSize(f.Limit, f != all), show: show,
		id:    func(d webhook.Delivery) string { return d.ID },
		below: func(event string) string { return deliveryID + event + lowestTarget },
	}
	l.begin(parts, strings.TrimSuffix(before, lowestTarget))
	return l.page(ctx, f.Limit)
}

// Events returns a page of an account's events, those of the newest job first,
// and the cursor of the next page, empty at the end. It reads as Deliveries
// does. A page of large snapshots has fewer events than were asked for.
func (s *Store) Events(ctx context.Context, f webhook.EventFilter) (list []webhook.Event, next string, err error) {
	list, next, err = s.listEvents(ctx, f)
	return list, next, wrap(err, "events of account %s", f.Account)
}

func (s *Store) listEvents(ctx context.Context, f webhook.EventFilter) ([]webhook.Event, string, error) {
	before, err := positionOf(f.After, eventID, eventChars)
	if err != nil {
		return nil, "", err
	}
	parts, err := s.stretches(ctx, f.Account, f.JobID, "")
	if err != nil {
		return nil, "", err
	}
	show := func(g eventGroup) []eventAndPlan {
		if !g.exists() || !f.Wants(g.event.event) {
			return nil
		}
		return []eventAndPlan{g.event}
	}
	all := webhook.EventFilter{Account: f.Account, Records: f.Records, After: f.After, Limit: f.Limit}
	l := &merged[eventAndPlan]{
		s: s, account: f.Account, attributes: listed, pageSize: pageSize(f.Limit, f != all), show: show,
		id:    func(e eventAndPlan) string { return e.event.ID },
		below: func(event string) string { return eventID + event },
	}
	if f.Records {
		l.attributes += ", #" + attrRecord
	}
	l.begin(parts, before)
	page, next, err := l.page(ctx, f.Limit)
	if err != nil {
		return nil, "", err
	}
	return wholeEvents(page, next)
}

// wholeEvents unpacks the snapshots that were read, and ends the page early
// where they are large.
func wholeEvents(page []eventAndPlan, next string) (list []webhook.Event, _ string, err error) {
	size := 0
	for n, e := range page {
		whole, err := e.whole()
		if err != nil {
			return nil, "", err
		}
		list, size = append(list, whole), size+len(whole.Record)
		if size > maxPageBytes && n < len(page)-1 {
			return list, whole.ID, nil
		}
	}
	return list, next, nil
}

// lowestTarget ends the cursor behind all deliveries of an event.
const lowestTarget = "0000000000"

// positionOf is where a list goes on behind a cursor, an id of the given form:
// what was seen begins there.
func positionOf(cursor, prefix string, chars int) (string, error) {
	if cursor == "" {
		return afterAll, nil
	}
	tail, ok := strings.CutPrefix(cursor, prefix)
	if !ok || len(tail) != chars || strings.ContainsFunc(tail, notInIDs) {
		return "", fmt.Errorf("cursor %.40q: %w", cursor, webhook.ErrCursor)
	}
	return tail, nil
}

func notInIDs(r rune) bool { return (r < '0' || r > '9') && (r < 'a' || r > 'z') }

// stretch is a part of a partition of deliveries, its ends among it.
type stretch struct{ pk, from, to string }

// stretches are the parts of the partitions that may have what a filter by these
// wants; empty ones want everything.
func (s *Store) stretches(ctx context.Context, account, jobID, event string) ([]stretch, error) {
	if event != "" {
		k, ok := eventKey(account, event)
		if !ok || strings.ContainsFunc(k.sk, notInIDs) {
			return nil, nil
		}
		return []stretch{{k.pk, k.sk, k.sk + afterAll}}, nil
	}
	prefixes, err := s.prefixesOfJob(ctx, account, jobID)
	if err != nil {
		return nil, err
	}
	var parts []stretch
	for _, p := range prefixes {
		parts = append(parts, stretch{partition(account, shardOf(p)), p, p + afterAll})
	}
	for i := 0; len(prefixes) == 0 && i < shards; i++ {
		parts = append(parts, stretch{partition(account, i), " ", afterAll})
	}
	return parts, nil
}

// prefixesOfJob begin the ids of all events and deliveries of the account's
// jobs with an id. None: there are no such jobs, or a record that cannot be read
// does not say when its job was created.
func (s *Store) prefixesOfJob(ctx context.Context, account, id string) (list []string, err error) {
	items, err := s.jobItems(ctx, id)
	if err != nil {
		return nil, wrap(err, "job %s", id)
	}
	for _, i := range items {
		j, err := decodeJob(i)
		if err != nil {
			return nil, nil
		}
		if p := webhook.TimePrefix(j.CreatedAt); j.Account == account && !slices.Contains(list, p) {
			list = append(list, p)
		}
	}
	return list, nil
}

// pageSize is small where most of what is read is shown, and larger where a
// filter leaves most of it out.
func pageSize(limit int, filtered bool) int32 {
	if filtered {
		return 300
	}
	return int32(limit/4 + 8)
}
