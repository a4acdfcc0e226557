package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/jobhook/jobhook/shared/format"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/keyfile"
	"github.com/jobhook/jobhook/shared/sqlite"
	"github.com/jobhook/jobhook/shared/webhook"
)

// sealFile is the name that the standalone host gives its key file.
const sealFile = "secrets.key"

// Writers of a prefill share their commits. After each round the change feed
// is emptied, as the host would do.
const (
	prefillWriters = 256
	prefillRound   = 8192
)

// The stored deliveries are spread over the last days, and kept for more.
const (
	storedFor = 20 * 24 * time.Hour
	keptFor   = 30 * 24 * time.Hour
)

// prefill stores n jobs, each with its event, its delivery and one attempt that
// succeeded, as if they had been delivered in the past.
func prefill(ctx context.Context, folder string, n, accounts int) error {
	key, err := keyfile.Open(filepath.Join(folder, sealFile))
	if err != nil {
		return err
	}
	store, err := sqlite.Open(ctx, folder, sqlite.Options{Durability: sqlite.DurableProcess, Sealer: key})
	if err != nil {
		return err
	}
	past := past{store: store, first: time.Now().UTC().Add(-storedFor), step: storedFor / time.Duration(n), accounts: accounts}
	for from := 0; from < n && err == nil; from += prefillRound {
		to := min(from+prefillRound, n)
		err = past.round(ctx, from, to)
		store.Dispatched(to)
	}
	if err2 := store.Close(); err == nil {
		err = err2
	}
	return err
}

// past writes what lies behind us.
type past struct {
	store    *sqlite.Store
	first    time.Time
	step     time.Duration
	accounts int
}

func (p past) round(ctx context.Context, from, to int) error {
	group, ctx := errgroup.WithContext(ctx)
	for writer := range prefillWriters {
		group.Go(func() error {
			for i := from + writer; i < to; i += prefillWriters {
				if err := p.write(ctx, i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

func (p past) write(ctx context.Context, i int) error {
	e, d, err := p.delivery(i)
	if err != nil {
		return err
	}
	_, _, err = p.store.WriteJob(ctx, e.JobID, e.Kind, func(*job.Job) (job.Job, error) { return e.Job() })
	if err != nil {
		return err
	}
	if _, err := p.store.Put(ctx, []webhook.Planned{{Event: e, Deliveries: []webhook.Delivery{d}}}); err != nil {
		return err
	}
	next := d
	next.State, next.Attempts, next.LastStatus = webhook.StateDelivered, 1, 200
	next.UpdatedAt = d.CreatedAt.Add(10 * time.Millisecond)
	next.DeliveredAt = next.UpdatedAt
	return p.store.Record(ctx, d, next, &webhook.Attempt{
		Account: d.Account, Delivery: d.ID, Generation: 1, At: next.UpdatedAt, URL: d.Target.URL,
		Result: webhook.Result{Status: 200, Body: []byte("ok")}, State: next.State,
		Timing: webhook.Timing{FirstByte: time.Millisecond, Total: 2 * time.Millisecond},
	})
}

// delivery is the i-th, as dispatch would have made it.
func (p past) delivery(i int) (e webhook.Event, d webhook.Delivery, err error) {
	account, at := accountName(i%p.accounts), p.first.Add(time.Duration(i)*p.step).Truncate(time.Millisecond)
	id := make([]byte, idLength)
	putID(id, storedIDs+i)
	j, err := job.Decode(storedRecord(account, string(id), at))
	if err != nil {
		return e, d, err
	}
	e = webhook.Event{
		ID: webhook.EventID(j, webhook.JobFinished, ""), Type: webhook.JobFinished, Account: account, Kind: j.Kind,
		JobID: j.ID, Run: j.Run, At: at, Level: job.LevelInfo, Sequence: strconv.Itoa(i + 1), Record: j.Record,
	}
	target := webhook.Target{Endpoint: "ep_stored" + account, URL: "https://example.com/" + account, Format: format.Standard}
	d = webhook.Delivery{
		ID: webhook.DeliveryID(e.ID, target), Account: account, EventID: e.ID, EventType: e.Type, Kind: e.Kind,
		JobID: e.JobID, Run: e.Run, Sequence: e.Sequence, Target: target, State: webhook.StateQueued, Generation: 1,
		Deadline: at.Add(keptFor), CreatedAt: at, UpdatedAt: at, ExpiresAt: at.Add(keptFor),
	}
	return e, d, nil
}

// storedIDs is beyond the numbers of the changes that are measured.
const storedIDs = 1 << 40

// storedRecord is a record with what the API adds to it.
func storedRecord(account, id string, at time.Time) json.RawMessage {
	record := jobRecord(account, id)
	return fmt.Appendf(nil, `%s,"run":1,"created_at":%q,"updated_at":%[2]q}`, record[:len(record)-1], at.Format(time.RFC3339Nano))
}
