package dynamo

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

// Load reads what is needed for an attempt of each delivery, in order. A
// delivery that does not exist is a Work with a zero Delivery; what of one
// cannot be read is the error of that one.
func (s *Store) Load(ctx context.Context, refs []webhook.Ref) ([]webhook.Work, error) {
	works := make([]webhook.Work, len(refs))
	if len(refs) == 0 {
		return works, nil
	}
	targets := s.knownTargets(refs)
	var reading sync.WaitGroup
	if len(targets.missing) > 0 {
		reading.Go(func() { s.loadTargets(ctx, targets) })
	}
	trouble, err := s.loadRows(ctx, refs, works)
	reading.Wait()
	if err != nil {
		return nil, wrap(err, "load deliveries")
	}
	now := s.now()
	for i := range works {
		if works[i].Delivery.ID != "" && works[i].Err == nil {
			works[i].Err = s.addTarget(ctx, targets, &works[i], now)
		}
	}
	if err := s.addTrouble(ctx, works, trouble, now); err != nil {
		return nil, wrap(err, "load silences and hosts")
	}
	s.inserts.expect(works)
	return works, nil
}

// loadRows reads the events and the rows, and whether there is trouble of which
// all should know. Where the table may be read a moment late, an event that was
// not found is looked for once more: dispatch wrote it before it rang.
func (s *Store) loadRows(ctx context.Context, refs []webhook.Ref, works []webhook.Work) (trouble item, err error) {
	all, err := s.getAll(ctx, append(keysOf(refs), anyTrouble()), !s.eventually)
	if err != nil {
		return nil, err
	}
	if late := eventsMissing(refs, all); s.eventually && len(late) > 0 {
		more, err := s.getAll(ctx, keysOf(late), true)
		if err != nil {
			return nil, err
		}
		for k, i := range more {
			all[k] = i
		}
	}
	now := s.now()
	for i, r := range refs {
		works[i] = s.work(r, all, now)
	}
	return all[anyTrouble()], nil
}

// keysOf names the events and rows of deliveries, each once.
func keysOf(refs []webhook.Ref) (keys []key) {
	named := make(map[key]bool, 2*len(refs))
	for _, r := range refs {
		row, ok := rowKey(r)
		if !ok {
			continue
		}
		for _, k := range []key{row, row.eventOf()} {
			if !named[k] {
				named[k] = true
				keys = append(keys, k)
			}
		}
	}
	return keys
}

func eventsMissing(refs []webhook.Ref, all map[key]item) (late []webhook.Ref) {
	for _, r := range refs {
		if k, ok := rowKey(r); ok && all[k.eventOf()] == nil {
			late = append(late, r)
		}
	}
	return late
}

// work puts together what was read of one delivery.
func (s *Store) work(r webhook.Ref, all map[key]item, now time.Time) (w webhook.Work) {
	k, ok := rowKey(r)
	if !ok {
		return w
	}
	var e eventAndPlan
	event, found := all[k.eventOf()]
	if found {
		if e, w.Err = decodeEvent(r.Account, event); w.Err == nil {
			w.Event, w.Err = e.whole()
		}
	}
	d, isPlanned := e.delivery(r.ID)
	row, hasRow := all[k]
	if hasRow {
		d = current(decodeRow(r.Account, row), d)
	}
	if d, ok = aged(d, now); !ok || d.ID == "" {
		return webhook.Work{}
	}
	if !found {
		w.Err = wrap(webhook.ErrNotFound, "event %s", d.EventID)
	}
	if isPlanned && isPlain(d) {
		s.planned.add(r)
	}
	w.Delivery = d
	return w
}

// current is the row, unless there is none, or one that is left of a delivery
// that expired before the same one was planned again.
func current(row, planned webhook.Delivery) webhook.Delivery {
	if row.ID == "" || row.CreatedAt.Before(planned.CreatedAt) {
		return planned
	}
	return row
}

// targets are the endpoints of the accounts of one batch.
type targets struct {
	all     map[string][]knownEndpoint
	err     map[string]error
	fresh   map[string]bool // accounts that were read consistently
	missing []string        // accounts whose endpoints are to be read
}

// knownTargets are those that were read a moment ago.
func (s *Store) knownTargets(refs []webhook.Ref) *targets {
	t := &targets{all: map[string][]knownEndpoint{}, err: map[string]error{}, fresh: map[string]bool{}}
	now := s.now()
	for _, r := range refs {
		if _, ok := t.all[r.Account]; ok || slices.Contains(t.missing, r.Account) {
			continue
		}
		if list, _, ok := s.endpoints.get(r.Account, now); ok {
			t.all[r.Account] = list
		} else {
			t.missing = append(t.missing, r.Account)
		}
	}
	return t
}

// loadTargets reads the others. One account's trouble is not another's.
func (s *Store) loadTargets(ctx context.Context, t *targets) {
	var mu sync.Mutex
	_ = inParallel(ctx, len(t.missing), func(ctx context.Context, i int) error {
		list, err := s.readEndpoints(ctx, t.missing[i], false)
		mu.Lock()
		defer mu.Unlock()
		t.all[t.missing[i]], t.err[t.missing[i]] = list, err
		return nil
	})
}

// addTarget adds what is known of the target: endpoint, secrets that sign now,
// health. One that the list of a moment ago lacks may be new: only a consistent
// look says that there is none.
func (s *Store) addTarget(ctx context.Context, t *targets, w *webhook.Work, now time.Time) error {
	account, id := w.Delivery.Account, w.Delivery.Target.Endpoint
	if err := t.err[account]; err != nil {
		return err
	}
	find := func() (knownEndpoint, bool) {
		at := slices.IndexFunc(t.all[account], func(e knownEndpoint) bool { return id == "" && e.Default || id != "" && e.ID == id })
		if at < 0 {
			return knownEndpoint{}, false
		}
		return t.all[account][at], true
	}
	e, ok := find()
	if !ok && !t.fresh[account] && !w.Delivery.State.Final() {
		list, err := s.readEndpoints(ctx, account, true)
		if err != nil {
			return err
		}
		t.all[account], t.fresh[account] = list, true
		e, ok = find()
	}
	if !ok {
		return nil
	}
	w.Secrets = e.Signing(now)
	if id != "" {
		w.Endpoint, w.HasEndpoint, w.Health = e.Endpoint, true, e.health
	}
	return e.err
}
