package deliver_test

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/jobhook/jobhook/functions/internal/deliver"
	"github.com/jobhook/jobhook/functions/internal/host"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// The load of the promise: 100 endpoints of 100 accounts, of which the first
// hang until their timeout, and 500 webhooks a second between them.
const (
	endpoints   = 100
	hanging     = 30
	perSecond   = 500
	loadFor     = 15 * time.Second
	hostBatches = 150 // of ten: what hangs, without a slow lane, takes 2,250 places in 15 s
)

func TestHangingEndpointsDoNotDelayHealthyOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, retry := newLine(), newLine()
		world := &loadedWorld{health: map[string]webhook.Health{}, sentAt: map[string]time.Time{}, begun: map[string]time.Time{}}
		watch, traffic := &deliver.HealthLog{}, &deliver.Traffic{Share: hostBatches * host.MaxMessages / 4}
		lane := func(name string, q *line, next deliver.RetryQueue) host.Lane {
			return host.Lane{Name: name, Queue: q, Handler: &deliver.Handler{
				Store: world, Queue: q, Retry: next, Sender: world, Health: watch, Traffic: traffic, Log: slog.New(slog.DiscardHandler),
			}}
		}
		h := &host.Host{
			Feed: idleFeed{}, Sweep: idleSweep{}, MaxBatches: hostBatches, Grace: time.Minute, Log: slog.New(slog.DiscardHandler),
			Lanes: []host.Lane{lane("first", first, retry), lane("retry", retry, nil)},
		}
		ctx, stop := context.WithCancel(t.Context())
		var wait sync.WaitGroup
		wait.Go(func() { h.Run(ctx) })
		total := perSecond * int(loadFor/time.Second)
		for i := range total {
			id := fmt.Sprintf("dlv_%06d", i)
			world.begin(id)
			first.Ring(ctx, []webhook.Doorbell{{Account: account(i), Delivery: id, Generation: 1}})
			time.Sleep(time.Second / perSecond)
		}
		stop()
		wait.Wait()
		late, sent := world.late(total)
		if want := total * (endpoints - hanging) / endpoints; sent != want || late != 0 {
			t.Errorf("%d of %d webhooks to healthy endpoints were sent, %d of them late; want all at once", sent, want, late)
		}
		if most := world.mostHanging; most > hanging*webhook.DefaultMaxInFlight {
			t.Errorf("%d attempts hung at once, want at most %d for each endpoint", most, webhook.DefaultMaxInFlight)
		}
	})
}

// An account with 64 endpoints that answer after 29 s: each of their attempts
// comes in a batch with nine of others.
const (
	slowEndpoints = 64
	slowAnswers   = 29 * time.Second
	slowBatches   = 256 // with one slow attempt in each, all of them are taken after 6 s
	tensPerSecond = 40
	slowLoadFor   = 20 * time.Second
)

func TestManySlowEndpointsOfOneAccountDoNotDelayTheRetriesOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		retry := newLine()
		world := &slowWorld{loadedWorld{health: map[string]webhook.Health{}, sentAt: map[string]time.Time{}, begun: map[string]time.Time{}}}
		h := &host.Host{
			Feed: idleFeed{}, Sweep: idleSweep{}, MaxBatches: slowBatches, Grace: time.Minute, Log: slog.New(slog.DiscardHandler),
			Lanes: []host.Lane{{Name: "retry", Queue: retry, Handler: &deliver.Handler{
				Store: world, Queue: retry, Sender: world, Health: &deliver.HealthLog{},
				Traffic: &deliver.Traffic{Share: slowBatches * host.MaxMessages / 4}, Log: slog.New(slog.DiscardHandler),
			}}},
		}
		ctx, stop := context.WithCancel(t.Context())
		var wait sync.WaitGroup
		wait.Go(func() { h.Run(ctx) })
		tens := tensPerSecond * int(slowLoadFor/time.Second)
		for i := range tens {
			ten := []webhook.Doorbell{{Account: "slow", Delivery: fmt.Sprintf("slow_%06d", i), Generation: 1}}
			for j := range host.MaxMessages - 1 {
				n := i*endpoints + hanging + j // one of those that are healthy
				id := fmt.Sprintf("dlv_%06d", n)
				world.begin(id)
				ten = append(ten, webhook.Doorbell{Account: account(n), Delivery: id, Generation: 1})
			}
			retry.Ring(ctx, ten)
			time.Sleep(time.Second / tensPerSecond)
		}
		stop()
		wait.Wait()
		late, sent := world.late(tens * endpoints)
		if want := tens * (host.MaxMessages - 1); sent != want || late != 0 {
			t.Errorf("%d of %d retries of others were made, %d of them late; want all at once", sent, want, late)
		}
		if world.slow < slowBatches {
			t.Errorf("%d slow attempts were made, want more than there are batches", world.slow)
		}
	})
}

// slowWorld is a loadedWorld with an account of slow endpoints.
type slowWorld struct{ loadedWorld }

func (w *slowWorld) Load(ctx context.Context, refs []webhook.Ref) ([]webhook.Work, error) {
	works, err := w.loadedWorld.Load(ctx, refs)
	for i, r := range refs {
		if r.Account == "slow" {
			n, _ := strconv.Atoi(strings.TrimPrefix(r.ID, "slow_"))
			id := fmt.Sprint("ep_slow_", n%slowEndpoints)
			works[i].Endpoint.ID, works[i].Delivery.Target.Endpoint = id, id
		}
	}
	return works, err
}

func (w *slowWorld) Post(ctx context.Context, r webhook.Request) (webhook.Result, webhook.Timing) {
	if !strings.HasPrefix(r.URL, "http://slow.") {
		return w.loadedWorld.Post(ctx, r)
	}
	w.mu.Lock()
	w.slow++
	w.mu.Unlock()
	time.Sleep(slowAnswers)
	return ok, webhook.Timing{Total: slowAnswers}
}

func account(i int) string { return fmt.Sprintf("acc_%02d", i%endpoints) }

func hangs(account string) bool { return account < fmt.Sprintf("acc_%02d", hanging) }

// loadedWorld is store and receivers at once.
type loadedWorld struct {
	deliver.Store // what is not asked for

	mu          sync.Mutex
	health      map[string]webhook.Health
	begun       map[string]time.Time // by delivery
	sentAt      map[string]time.Time
	nowHanging  int
	mostHanging int
	slow        int // attempts of a slowWorld
}

func (w *loadedWorld) begin(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begun[id] = time.Now()
}

func (w *loadedWorld) Load(_ context.Context, refs []webhook.Ref) ([]webhook.Work, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	works := make([]webhook.Work, len(refs))
	for i, r := range refs {
		endpoint := "ep_" + r.Account
		works[i] = webhook.Work{
			Delivery: webhook.Delivery{ID: r.ID, Account: r.Account, State: webhook.StateQueued, Generation: 1,
				Target: webhook.Target{Endpoint: endpoint, Format: "standard"}},
			Event:       webhook.Event{ID: r.ID, Type: webhook.WebhookTest, Account: r.Account, At: time.Now()},
			HasEndpoint: true, Health: w.health[endpoint],
			Endpoint: webhook.Endpoint{ID: endpoint, Account: r.Account, Status: webhook.EndpointEnabled, URL: "http://" + r.Account + ".example/" + r.ID},
		}
	}
	return works, nil
}

func (w *loadedWorld) Record(context.Context, webhook.Delivery, webhook.Delivery, *webhook.Attempt) error {
	return nil
}

func (w *loadedWorld) AddStats(context.Context, []webhook.Stats) error { return nil }

func (w *loadedWorld) SetHealth(_ context.Context, _ string, read, next webhook.Health, _ ...webhook.Notice) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.health[next.Endpoint].Version != read.Version {
		return webhook.ErrStale
	}
	w.health[next.Endpoint] = next
	return nil
}

func (w *loadedWorld) HealthOf(_ context.Context, _, endpoint string) (webhook.Health, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.health[endpoint], nil
}

func (w *loadedWorld) Post(ctx context.Context, r webhook.Request) (webhook.Result, webhook.Timing) {
	id := r.Header.Get(webhook.HeaderID)
	w.mu.Lock()
	w.sentAt[id] = time.Now()
	slow := hangs(r.URL[len("http://"):])
	if slow {
		w.nowHanging++
		w.mostHanging = max(w.mostHanging, w.nowHanging)
	}
	w.mu.Unlock()
	if !slow {
		time.Sleep(20 * time.Millisecond)
		return ok, webhook.Timing{Total: 20 * time.Millisecond}
	}
	time.Sleep(r.Timeout)
	w.mu.Lock()
	w.nowHanging--
	w.mu.Unlock()
	return webhook.Result{Failure: webhook.FailureTimeout}, webhook.Timing{Total: r.Timeout}
}

// late counts the healthy deliveries that were sent, and those sent later than
// at once.
func (w *loadedWorld) late(total int) (late, sent int) {
	for i := range total {
		id := fmt.Sprintf("dlv_%06d", i)
		at, ok := w.sentAt[id]
		if hangs(account(i)) || !ok {
			continue
		}
		sent++
		if at.After(w.begun[id]) {
			late++
		}
	}
	return late, sent
}

// line is a queue without limits, whose messages wait for nobody.
type line struct {
	mu       sync.Mutex
	messages []webhook.Message
	rang     chan struct{}
	n        int
}

func newLine() *line { return &line{rang: make(chan struct{}, 1)} }

func (l *line) Ring(_ context.Context, bells []webhook.Doorbell) error {
	var now []webhook.Doorbell
	for _, b := range bells {
		if b.After > 0 {
			time.AfterFunc(b.After, func() { l.add(b) })
		} else {
			now = append(now, b)
		}
	}
	l.add(now...)
	return nil
}

func (l *line) add(bells ...webhook.Doorbell) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range bells {
		l.n++
		l.messages = append(l.messages, webhook.Message{ID: fmt.Sprint(l.n), Receipt: fmt.Sprint(l.n), Group: b.Account, Body: b.Message(), Receives: 1})
	}
	select {
	case l.rang <- struct{}{}:
	default:
	}
}

func (l *line) Receive(ctx context.Context, most int, wait time.Duration) []webhook.Message {
	for {
		l.mu.Lock()
		n := min(most, len(l.messages))
		got := l.messages[:n:n]
		l.messages = l.messages[n:]
		l.mu.Unlock()
		if n > 0 {
			return got
		}
		select {
		case <-l.rang:
		case <-time.After(wait):
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

func (l *line) Delete(context.Context, []string) error { return nil }

func (l *line) Hide(context.Context, string, time.Duration) error { return nil }

type idleFeed struct{}

func (idleFeed) Changes(context.Context, int, int) ([]job.Written, error) { return nil, nil }
func (idleFeed) ChangesReady() <-chan struct{}                            { return nil }
func (idleFeed) Dispatched(int)                                           {}

type idleSweep struct{}

func (idleSweep) Handle(context.Context, events.EventBridgeEvent) error { return nil }
