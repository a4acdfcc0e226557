package faults

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/jobhook/jobhook/shared/awstest"
	"github.com/jobhook/jobhook/shared/webhook"
)

// maxAttempts of the endpoints' policy.
const maxAttempts = 5

func TestMain(m *testing.M) { os.Exit(awstest.Main(m)) }

// TestNothingIsLostOrStuckWhateverFails does to the product whatever may happen
// to it, in any order, then heals the world and wants every delivery ended.
func TestNothingIsLostOrStuckWhateverFails(t *testing.T) {
	dir, n := t.TempDir(), 0
	walk(t, 20, 80, func() backend {
		n++
		return &onSQLite{dir: filepath.Join(dir, fmt.Sprint(n))}
	})
}

// TestNothingIsLostOrStuckOnDynamoDBWhateverFails walks less far, as each
// request goes to a server.
func TestNothingIsLostOrStuckOnDynamoDBWhateverFails(t *testing.T) {
	client := dynamodb.NewFromConfig(awstest.DynamoDB(t).Config())
	walk(t, 5, 40, func() backend { return &onDynamoDB{client: client} })
}

// walk makes so many walks of about so many steps, unless the flags of rapid
// say otherwise.
func walk(t *testing.T, walks, steps int, fresh func() backend) {
	t.Helper()
	for name, value := range map[string]int{"-rapid.checks": walks, "-rapid.steps": steps} {
		if slices.ContainsFunc(os.Args, func(arg string) bool { return strings.HasPrefix(arg, name) }) {
			continue
		}
		if err := flag.Set(name[1:], strconv.Itoa(value)); err != nil {
			t.Fatal(err)
		}
	}
	duplicates, faults := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		w, err := newWorld(fresh())
		if err != nil {
			rt.Fatal(err)
		}
		defer w.close(t)
		m := &model{world: w}
		rt.Repeat(m.actions())
		m.heal(rt)
		duplicates, faults = duplicates+m.check(rt), faults+w.faults
	})
	t.Logf("%d duplicates after %d faults", duplicates, faults)
}

// model drives a world.
type model struct {
	*world
	jobs []string
}

func must(t *rapid.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// answers are what receivers may say.
func answers() []webhook.Result {
	return []webhook.Result{
		{Status: 200}, {Status: 200}, {Status: 500}, {Status: 429, RetryAfter: 10 * time.Minute}, {Status: 400}, {Status: 502},
		{Failure: webhook.FailureTimeout}, {Failure: webhook.FailureConnect}, {Failure: webhook.FailureOurs},
	}
}

func (m *model) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"write": func(t *rapid.T) {
			id := fmt.Sprintf("job-%d", len(m.jobs))
			m.jobs = append(m.jobs, id)
			must(t, m.write(id, "started"))
			if rapid.Bool().Draw(t, "ends in another write") {
				must(t, m.write(id, "finished"))
			}
		},
		"end": func(t *rapid.T) {
			if len(m.jobs) > 0 {
				must(t, m.write(rapid.SampledFrom(m.jobs).Draw(t, "job"), "finished"))
			}
		},
		"dispatch": func(t *rapid.T) { must(t, m.runDispatch(drawPlan(t), m.dispatched)) },
		"replay":   func(t *rapid.T) { must(t, m.runDispatch(drawPlan(t), 0)) },
		"first":    func(t *rapid.T) { m.receive(t, m.first) },
		"retry":    func(t *rapid.T) { m.receive(t, m.retry) },
		"sweep":    func(t *rapid.T) { must(t, m.runSweep(drawPlan(t))) },
		"wait": func(t *rapid.T) {
			m.now = m.now.Add(time.Duration(rapid.SampledFrom([]int{1, 5, 30, 60, 600, 3600}).Draw(t, "seconds")) * time.Second)
		},
		"the clock goes back": func(t *rapid.T) {
			m.now = m.now.Add(-time.Duration(rapid.IntRange(1, 90).Draw(t, "seconds")) * time.Second)
		},
		"pause or resume": func(t *rapid.T) {
			status := rapid.SampledFrom([]webhook.EndpointStatus{webhook.EndpointEnabled, webhook.EndpointPaused}).Draw(t, "status")
			m.setStatus(t, rapid.SampledFrom([]string{"ep_a", "ep_b"}).Draw(t, "endpoint"), status)
		},
		"resend":            func(t *rapid.T) { m.resend(t) },
		"a queue is purged": func(t *rapid.T) { rapid.SampledFrom([]*line{m.first, m.retry}).Draw(t, "queue").purge() },
		"restart":           func(t *rapid.T) { must(t, m.restart()) },
	}
}

func (m *model) receive(t *rapid.T, q *line) {
	visible := q.visible()
	if len(visible) == 0 {
		return
	}
	m.answer = rapid.SampledFrom(answers()).Draw(t, "answer")
	first := rapid.IntRange(0, len(visible)-1).Draw(t, "first message")
	batch := visible[first:min(len(visible), first+rapid.IntRange(1, 5).Draw(t, "messages"))]
	must(t, m.runLane(drawPlan(t), q, batch, rapid.IntRange(0, 9).Draw(t, "come again") == 0))
}

func (m *model) setStatus(t *rapid.T, id string, status webhook.EndpointStatus) {
	_, err := m.store.UpdateEndpoint(context.Background(), account, id, func(e webhook.Endpoint) (webhook.Endpoint, error) {
		e.Status, e.UpdatedAt = status, m.now
		return e, nil
	})
	must(t, err)
}

// resend does what the API does: a new generation, then its doorbell, which may be lost.
func (m *model) resend(t *rapid.T) {
	all, err := m.deliveries()
	must(t, err)
	if len(all) == 0 {
		return
	}
	read := rapid.SampledFrom(all).Draw(t, "delivery")
	next, err := read.Resend(webhook.Policy{Schedule: webhook.Fixed(maxAttempts, time.Minute)}, m.now)
	if errors.Is(err, webhook.ErrInFlight) || read.State == webhook.StateDeclined {
		return
	}
	must(t, err)
	if err := m.store.Record(context.Background(), read, next, nil); errors.Is(err, webhook.ErrStale) {
		return
	} else {
		must(t, err)
	}
	if r := m.receipt(read); r != nil {
		r.accepted, r.excused = 0, 0
	}
	if rapid.Bool().Draw(t, "its doorbell is lost") {
		return
	}
	must(t, m.retry.Ring(context.Background(), []webhook.Doorbell{next.Doorbell()}))
}

// heal lets everything work again, and time pass until all is quiet.
func (m *model) heal(t *rapid.T) {
	m.answer = webhook.Result{Status: 200}
	for _, id := range []string{"ep_a", "ep_b"} {
		m.setStatus(t, id, webhook.EndpointEnabled)
	}
	for range 200 {
		must(t, m.runDispatch(plan{}, m.dispatched))
		for _, q := range []*line{m.first, m.retry} {
			for len(q.visible()) > 0 {
				must(t, m.runLane(plan{}, q, q.visible()[:1], false))
			}
		}
		must(t, m.runSweep(plan{}))
		if m.quiet(t) {
			return
		}
		m.now = m.now.Add(10 * time.Minute)
	}
	all, _ := m.deliveries()
	open := slices.DeleteFunc(all, func(d webhook.Delivery) bool { return d.State.Final() })
	t.Fatalf("not quiet after 33 hours: %d messages; %d deliveries have not ended, such as %+v",
		len(m.first.messages)+len(m.retry.messages), len(open), open[:min(len(open), 2)])
}

func (m *model) quiet(t *rapid.T) bool {
	all, err := m.deliveries()
	must(t, err)
	return len(m.first.messages)+len(m.retry.messages) == 0 && !slices.ContainsFunc(all, func(d webhook.Delivery) bool { return !d.State.Final() })
}

// check tells whether what was promised holds, and returns the duplicates.
func (m *model) check(t *rapid.T) (duplicates int) {
	all, err := m.deliveries()
	must(t, err)
	told, known := map[string]int{}, map[string]bool{} // deliveries of a job's end; what receivers may have had
	for _, d := range all {
		m.checkOne(t, d)
		known[d.EventID+" "+d.Target.URL] = true
		if d.EventType == webhook.JobFinished {
			told[d.JobID]++
		}
	}
	for _, r := range m.sent {
		switch {
		case !known[r.id+" "+r.url] || len(r.others) > 0:
			t.Fatalf("%s had an event under the ids %s, %v; known: %v", r.url, r.id, r.others, known)
		case r.accepted > 1+r.excused:
			t.Fatalf("%s accepted %s %d times, of which %d are excused", r.url, r.id, r.accepted, r.excused)
		case r.accepted > 1:
			duplicates += r.accepted - 1
		}
	}
	m.everybodyTold(t, told)
	return duplicates
}

func (m *model) checkOne(t *rapid.T, d webhook.Delivery) {
	r := m.receipt(d)
	switch {
	case d.State == webhook.StateDelivered && (r == nil || !r.ever):
		t.Fatalf("%s is said to be delivered, and nobody accepted it", d.ID)
	case d.State == webhook.StateExhausted && d.Attempts < maxAttempts && d.Postponed == 0:
		t.Fatalf("%s is exhausted after %d attempts", d.ID, d.Attempts)
	case d.State != webhook.StateDelivered && !d.DeliveredAt.IsZero():
		t.Fatalf("%s was delivered, and is %s now", d.ID, d.State)
	case d.Attempts > maxAttempts:
		t.Fatalf("%s: %d attempts of generation %d", d.ID, d.Attempts, d.Generation)
	}
}

// everybodyTold wants the end of every job to have a delivery for each endpoint.
func (m *model) everybodyTold(t *rapid.T, told map[string]int) {
	for _, id := range m.jobs {
		jobs, err := m.store.JobsByID(context.Background(), id)
		must(t, err)
		if jobs[0].Ended() && told[id] != 2 {
			t.Fatalf("%s has ended, and %d of 2 endpoints have a delivery", id, told[id])
		}
	}
}
