package deliver

import (
	"sync"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

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

// count counts an attempt by what became of its delivery. One that was resent
// says nothing of how long its event took.
func (t *tally) count(w *webhook.Work, a answer, o webhook.Outcome, next webhook.Delivery) {
	t.mu.Lock()
	defer t.mu.Unlock()
	d := w.Delivery
	key := tallyKey{d.Account, d.Target.Endpoint, a.started.UTC().Truncate(time.Hour)}
	s := t.all[key]
	if s == nil {
		s = &webhook.Stats{Account: key.account, Endpoint: key.endpoint, Hour: key.hour}
		t.all[key] = s
	}
	switch {
	case o.Verdict != webhook.Done:
		s.Failed++
		if next.State == webhook.StateExhausted || next.State == webhook.StateDead {
			s.GivenUp++
		}
	default:
		s.Delivered++
		if d.Generation == 1 {
			s.Lag.Observe(a.ended.Sub(w.Event.At))
		}
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
