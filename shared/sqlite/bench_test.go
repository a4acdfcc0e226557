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
	if left := q.hot.size(); left != 0 {
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
	if err := recordOne(ctx, s, bell.Ref()); err != nil {
		return err
	}
	return q.Delete(ctx, []string{m.Receipt})
}

func recordOne(ctx context.Context, s *Store, ref webhook.Ref) error {
	works, err := s.Load(ctx, []webhook.Ref{ref})
	if err != nil {
		return err
	}
	read, now := works[0].Delivery, time.Now()
	done := read
	done.State, done.Attempts, done.LastStatus, done.DeliveredAt, done.UpdatedAt = webhook.StateDelivered, 1, 200, now, now
	return s.Record(ctx, read, done, &webhook.Attempt{
		Account: read.Account, Delivery: read.ID, Generation: 1, At: now, URL: works[0].URL(), State: webhook.StateDelivered,
		Result: webhook.Result{Status: 200, Body: []byte("ok")}, Timing: webhook.Timing{Total: 3 * time.Millisecond},
	})
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

// BenchmarkParked finds among a million deliveries that wait for their time,
// and a million more that 1,000 endpoints hold, what there is to be done.
func BenchmarkParked(b *testing.B) {
	const parked, holders, due = 1_000_000, 1_000, 100
	s := open(b, b.TempDir(), Options{})
	now := time.Now()
	for i := range holders {
		check(b, s.PutEndpoint(b.Context(), webhook.Endpoint{ID: fmt.Sprintf("ep_%d", i), Account: fmt.Sprintf("acct-%d", i), Status: webhook.EndpointPaused}))
	}
	park(b, s, parked, holders, webhook.StateHeld, func(int) time.Time { return time.Time{} })
	park(b, s, parked, holders, webhook.StateWaiting, func(i int) time.Time {
		if i%(parked/due) == 0 {
			return now.Add(-time.Minute)
		}
		return now.Add(time.Hour + time.Duration(i)*time.Millisecond)
	})
	for _, row := range []struct {
		name string
		want int
		find func() (int, error)
	}{
		{"due", due, func() (int, error) {
			list, err := s.Due(b.Context(), now, 1000)
			return len(list), err
		}},
		{"holders", holders, func() (int, error) {
			list, err := s.Holders(b.Context())
			return len(list), err
		}},
		{"held", 1000, func() (int, error) {
			list, err := s.Held(b.Context(), "acct-7", "ep_7", 1000)
			return len(list), err
		}},
	} {
		b.Run(row.name, func(b *testing.B) {
			cpu, slowest := cpuTime(b), time.Duration(0)
			for b.Loop() {
				started := time.Now()
				n, err := row.find()
				check(b, err)
				if slowest = max(slowest, time.Since(started)); n != row.want {
					b.Fatalf("found %d, want %d", n, row.want)
				}
			}
			b.ReportMetric(float64((cpuTime(b)-cpu).Microseconds())/float64(b.N), "cpu-µs/op") // which a busy machine does not change
			b.ReportMetric(float64(slowest.Microseconds()), "slowest-µs")
		})
	}
}

// park puts deliveries of many accounts, one endpoint each.
func park(b *testing.B, s *Store, n, accounts int, state webhook.State, dueAt func(i int) time.Time) {
	b.Helper()
	const portion = 10_000
	at := time.Now()
	for from := 0; from < n; from += portion {
		check(b, s.write(b.Context(), func(t *tx) error {
			for i := from; i < from+portion; i++ {
				d := webhook.Delivery{
					ID: fmt.Sprintf("dlv_%s%018d", state, i), Account: fmt.Sprintf("acct-%d", i%accounts),
					EventID: fmt.Sprintf("evt_%018d", i), EventType: webhook.JobFinished, Kind: job.KindAsync, JobID: fmt.Sprintf("job-%d", i), Run: 1,
					Target: webhook.Target{Endpoint: fmt.Sprintf("ep_%d", i%accounts), URL: "https://example.com/hook", Format: "standard"},
					State:  state, Reason: "paused: by its owner", Generation: 1, DueAt: dueAt(i), NextAt: dueAt(i), CreatedAt: at, UpdatedAt: at, ExpiresAt: at.Add(720 * time.Hour),
				}
				if _, err := putDelivery(t.Conn, 1, d); err != nil {
					return err
				}
			}
			return nil
		}))
	}
}

// BenchmarkHeld compares what a delivery costs that was held and is released
// with one that is sent at once: what brings it to its attempt, and with it.
func BenchmarkHeld(b *testing.B) {
	const n = 100_000
	for _, row := range []struct {
		name    string
		prepare func(b *testing.B, s *Store)
		bring   func(b *testing.B, s *Store) []webhook.Doorbell
	}{
		{"first attempts", func(*testing.B, *Store) {}, func(b *testing.B, s *Store) []webhook.Doorbell { return putMany(b, s, n) }},
		{"released", func(b *testing.B, s *Store) { putMany(b, s, n); holdAll(b, s) }, releaseAll},
	} {
		b.Run(row.name, func(b *testing.B) {
			var brought, attempted time.Duration
			for range b.N {
				b.StopTimer()
				s := open(b, b.TempDir(), Options{})
				row.prepare(b, s)
				b.StartTimer()
				started := cpuTime(b)
				bells := row.bring(b, s)
				brought += cpuTime(b) - started
				if len(bells) != n {
					b.Fatalf("%d deliveries are to be attempted, want %d", len(bells), n)
				}
				attemptAll(b, s, bells)
				attempted += cpuTime(b) - started
			}
			b.ReportMetric(float64(brought.Nanoseconds())/1000/float64(n*b.N), "cpu-µs/brought")
			b.ReportMetric(float64(attempted.Nanoseconds())/1000/float64(n*b.N), "cpu-µs/attempted")
		})
	}
}

func putMany(b *testing.B, s *Store, n int) (bells []webhook.Doorbell) {
	const batch = 100
	for from := 0; from < n; from += batch {
		var planned []webhook.Planned
		for i := from; i < from+batch; i++ {
			j, err := benchJob(i)
			check(b, err)
			planned = append(planned, planOf(j))
		}
		some, err := s.Put(b.Context(), planned)
		check(b, err)
		bells = append(bells, some...)
	}
	return bells
}

// holdAll gives each account's deliveries to an endpoint that holds them.
func holdAll(b *testing.B, s *Store) {
	check(b, s.write(b.Context(), func(t *tx) error {
		return prepare(t.Conn, `UPDATE deliveries SET endpoint = 'ep_' || account, state = 'held', reason = 'paused: by its owner', due_at = 0`).exec()
	}))
}

func releaseAll(b *testing.B, s *Store) (bells []webhook.Doorbell) {
	for {
		holders, err := s.Holders(b.Context())
		check(b, err)
		if len(holders) == 0 {
			return bells
		}
		for _, h := range holders {
			list, err := s.Held(b.Context(), h.Account, h.Endpoint.ID, 1000)
			check(b, err)
			some, err := s.Release(b.Context(), list, time.Now(), time.Now().Add(time.Minute))
			check(b, err)
			bells = append(bells, some...)
		}
	}
}

func attemptAll(b *testing.B, s *Store, bells []webhook.Doorbell) {
	var next atomic.Int64
	var workers sync.WaitGroup
	for range 64 {
		workers.Go(func() {
			for n := next.Add(1); n <= int64(len(bells)); n = next.Add(1) {
				if err := recordOne(b.Context(), s, bells[n-1].Ref()); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	workers.Wait()
}
