package deliver

import (
	"context"
	"sync"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

// HealthLog counts failures in a row, per endpoint, in this process only: what
// is stored is that an endpoint became failing or healthy, not every attempt.
// Its zero value is ready.
type HealthLog struct {
	mu       sync.Mutex
	failures map[string]int
}

// count returns how many attempts in a row have failed, this one included.
func (l *HealthLog) count(endpoint string, failed bool) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !failed {
		delete(l.failures, endpoint)
		return 0
	}
	if l.failures == nil {
		l.failures = map[string]int{}
	}
	l.failures[endpoint]++
	return l.failures[endpoint]
}

// watch records an endpoint's health when the outcome changes it.
func (h *Handler) watch(ctx context.Context, w webhook.Work, o webhook.Outcome) {
	if h.Health == nil || !w.HasEndpoint {
		return
	}
	failures := h.Health.count(w.Endpoint.ID, o.Verdict != webhook.Done)
	health := webhook.Health{Endpoint: w.Endpoint.ID, Since: h.now(), State: webhook.Healthy}
	switch {
	case o.Verdict == webhook.Done && w.Failing:
	case o.Verdict != webhook.Done && !w.Failing && failures >= webhook.FailingAfter:
		health.State, health.Reason = webhook.Failing, o.Reason
	default:
		return
	}
	if err := h.Store.SetHealth(ctx, w.Delivery.Account, health); err != nil {
		h.log().WarnContext(ctx, "health.lost", "endpoint", w.Endpoint.ID, "error", err)
	}
}

// tally gathers the statistics of one batch, so that each endpoint and hour is
// written once.
type tally struct {
	mu  sync.Mutex
	all map[tallyKey]*webhook.Stats
}

type tallyKey struct {
	account, endpoint string
	hour              time.Time
}

func newTally() *tally { return &tally{all: map[tallyKey]*webhook.Stats{}} }

func (t *tally) count(d webhook.Delivery, a answer, o webhook.Outcome) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := tallyKey{d.Account, d.Target.Endpoint, a.started.UTC().Truncate(time.Hour)}
	s := t.all[key]
	if s == nil {
		s = &webhook.Stats{Account: key.account, Endpoint: key.endpoint, Hour: key.hour}
		t.all[key] = s
	}
	if o.Verdict == webhook.Done {
		s.Delivered++
	} else {
		s.Failed++
	}
	s.Latency.Observe(a.timing.Total)
}

func (t *tally) list() []webhook.Stats {
	list := make([]webhook.Stats, 0, len(t.all))
	for _, s := range t.all {
		list = append(list, *s)
	}
	return list
}
