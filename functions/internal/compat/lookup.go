package compat

import (
	"cmp"
	"context"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// maxPages bounds how many pages of a list, such as one job's deliveries, are
// read for one request: 125,000 of them. What lies beyond is not looked at.
const maxPages = 500

// job returns an account's job, or webhook.ErrNotFound.
func (c *routes) job(ctx context.Context, account string, kind job.Kind, id string) (job.Job, error) {
	j, err := c.anyonesJob(ctx, kind, id)
	if err == nil && j.Account != account {
		return job.Job{}, webhook.ErrNotFound
	}
	return j, err
}

// anyonesJob returns a job of whatever account.
func (c *routes) anyonesJob(ctx context.Context, kind job.Kind, id string) (job.Job, error) {
	if job.CheckID("id", id) != nil {
		return job.Job{}, webhook.ErrNotFound // no job has such an id, and no store need look for it
	}
	list, err := c.Store.JobsByID(ctx, id)
	for _, j := range list {
		if j.Kind == kind && err == nil {
			return j, nil
		}
	}
	return job.Job{}, cmp.Or(err, webhook.ErrNotFound)
}

// eachPage reads a list from its beginning, as many pages of it at most.
func eachPage[T any](pages int, page func(after string) ([]T, string, error), take func(T) error) error {
	after := ""
	for range pages {
		list, next, err := page(after)
		if err != nil {
			return err
		}
		for _, item := range list {
			if err := take(item); err != nil {
				return err
			}
		}
		if next == "" {
			return nil
		}
		after = next
	}
	return nil
}

// recordsPage is how many events are read at once with their snapshots, which
// may have 256 KiB each.
const recordsPage = 32

// recordsOf reads the job's events of a type, with their snapshots.
func (c *routes) recordsOf(ctx context.Context, j job.Job, t webhook.EventType, take func(webhook.Event) error) error {
	f := webhook.EventFilter{Account: j.Account, Kind: j.Kind, JobID: j.ID, Type: t, Records: true, Limit: recordsPage}
	return eachPage(maxPages, func(after string) ([]webhook.Event, string, error) {
		f.After = after
		return c.Store.Events(ctx, f)
	}, take)
}

// newestPages bounds how many pages of one job's events are read for the newest
// of them: clients poll. All of a job's events have its creation time in their
// ids and are otherwise in no order, so that of a job with more of them, the
// newest may not be among those that are read.
const newestPages = 10

// newestEvent returns the job's last event of a type with its snapshot, as far
// as they are read, or webhook.ErrNotFound.
func (c *routes) newestEvent(ctx context.Context, j job.Job, t webhook.EventType) (webhook.Event, error) {
	f := webhook.EventFilter{Account: j.Account, Kind: j.Kind, JobID: j.ID, Type: t, Limit: webhook.MaxPage}
	var newest webhook.Event
	err := eachPage(newestPages, func(after string) ([]webhook.Event, string, error) {
		f.After = after
		return c.Store.Events(ctx, f)
	}, func(e webhook.Event) error {
		if newest.ID == "" || compareSequences(e.Sequence, newest.Sequence) > 0 {
			newest = e
		}
		return nil
	})
	if err != nil {
		return webhook.Event{}, err
	}
	if newest.ID == "" {
		return webhook.Event{}, webhook.ErrNotFound
	}
	return c.Store.Event(ctx, j.Account, newest.ID)
}

// compareSequences compares the places of two changes in their feed: decimal
// digits, by value.
func compareSequences(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

// runEvent returns the event of a type that a run has once. Its id follows from
// the run, but for a job whose runs nobody counts.
func (c *routes) runEvent(ctx context.Context, j job.Job, t webhook.EventType) (webhook.Event, error) {
	if j.Run == 0 {
		return c.newestEvent(ctx, j, t)
	}
	return c.Store.Event(ctx, j.Account, webhook.EventID(j, t, ""))
}

// deliveriesOf reads deliveries of the filter.
func (c *routes) deliveriesOf(ctx context.Context, f webhook.Filter, take func(webhook.Delivery)) error {
	f.Limit = webhook.MaxPage
	return eachPage(maxPages, func(after string) ([]webhook.Delivery, string, error) {
		f.After = after
		return c.Store.Deliveries(ctx, f)
	}, func(d webhook.Delivery) error {
		take(d)
		return nil
	})
}
