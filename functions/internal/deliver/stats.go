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
