package sqlite

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// BenchmarkDelivery takes deliveries all their way through the store and the
// queue: the job's change, the event, its doorbell, the attempt, the end. 64
// goroutines share the commits, each with one delivery at a time.
func BenchmarkDelivery(b *testing.B) {
	ctx := context.Background()
	s, err := Open(ctx, b.TempDir(), Options{Sealer: prefixSealer{}})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	q, err := s.OpenQueue(ctx, "first", QueueOptions{Visibility: time.Minute, MaxReceives: 50})
	if err != nil {
		b.Fatal(err)
	}
	defer q.Close()

	b.ReportAllocs()
	b.ResetTimer()
	var next atomic.Int64
	var workers sync.WaitGroup
	for range 64 {
		workers.Go(func() {
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				if err := deliverOne(ctx, s, q, int(n)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	workers.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "deliveries/s")
	if left := q.Depth(); left != 0 {
		b.Errorf("%d messages were left in the queue", left)
	}
}

func deliverOne(ctx context.Context, s *Store, q *Queue, n int) error {
	j, err := benchJob(n)
	if err != nil {
		return err
	}
	if _, _, err = s.WriteJob(ctx, j.ID, j.Kind, func(*job.Job) (job.Job, error) { return j, nil }); err != nil {
		return err
	}
	bells, err := s.Put(ctx, []webhook.Planned{planOf(j)})
	if err != nil {
		return err
	}
	if err := q.Ring(ctx, bells); err != nil {
		return err
	}
	for _, m := range q.Receive(ctx, 1, time.Minute) {
		if err := attemptOne(ctx, s, q, m); err != nil {
			return err
		}
	}
	return nil
}

func attemptOne(ctx context.Context, s *Store, q *Queue, m webhook.Message) error {
	bell, err := webhook.ParseDoorbell(m.Body)
	if err != nil {
		return err
	}
	works, err := s.Load(ctx, []webhook.Ref{bell.Ref()})
	if err != nil {
		return err
	}
	read, now := works[0].Delivery, time.Now()
	done := read
	done.State, done.Attempts, done.LastStatus, done.DeliveredAt, done.UpdatedAt = webhook.StateDelivered, 1, 200, now, now
	err = s.Record(ctx, read, done, &webhook.Attempt{
		Account: read.Account, Delivery: read.ID, Generation: 1, At: now, URL: works[0].URL(), State: webhook.StateDelivered,
		Result: webhook.Result{Status: 200, Body: []byte("ok")}, Timing: webhook.Timing{Total: 3 * time.Millisecond},
	})
	if err != nil {
		return err
	}
	return q.Delete(ctx, []string{m.Receipt})
}

// benchJob has a record of about 1 KB.
func benchJob(n int) (job.Job, error) {
	record := fmt.Sprintf(`{"id":"job-%d","account":"acct-%d","kind":"async","status":"success","created_at":%q,"filler":%q}`,
		n, n%100, time.Now().UTC().Format(time.RFC3339Nano), strings.Repeat("x", 850))
	return job.Decode([]byte(record))
}

func planOf(j job.Job) webhook.Planned {
	now := time.Now()
	e := webhook.Event{
		ID: webhook.EventID(j, webhook.JobFinished, "1"), Type: webhook.JobFinished, Account: j.Account, Kind: j.Kind,
		JobID: j.ID, Run: j.Run, At: now, Level: job.LevelInfo, Sequence: "1", Record: j.Record,
	}
	t := webhook.Target{URL: "https://example.com/hook", Format: "socialdata"}
	return webhook.Planned{Event: e, Deliveries: []webhook.Delivery{{
		ID: webhook.DeliveryID(e.ID, t), Account: e.Account, EventID: e.ID, EventType: e.Type, Kind: e.Kind, JobID: e.JobID,
		Run: e.Run, Sequence: e.Sequence, Target: t, State: webhook.StateQueued, Generation: 1,
		Deadline: now.Add(24 * time.Hour), CreatedAt: now, UpdatedAt: now, ExpiresAt: now.Add(30 * 24 * time.Hour),
	}}}
}
