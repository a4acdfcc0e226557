// Package dynamo keeps accounts, endpoints, job records, events, deliveries
// and attempts in two DynamoDB tables, how endpoints and hosts have been
// answering, and what the API needs besides: result sets, bulk resends, and
// requests that are to be done once.
//
// The deliveries table is written as little as can be, since a write unit is
// the dearest part of a webhook. Dispatch writes one item for an event: its
// snapshot, deflated, and the plan, which names the deliveries that it leads
// to. A delivery that was not attempted yet has no item of its own: it is what
// the plan says. Its row is written with its first outcome, and holds the
// attempt if that succeeded. So a webhook that is delivered at once costs two
// writes. Failed attempts are items of their own.
//
// Items expire by the table's TTL. As TTL is late by days at worst, readers
// look at the expiry time too.
package dynamo

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/jobhook/jobhook/shared/webhook"
)

// Options are what a store needs.
type Options struct {
	Client     *dynamodb.Client
	Deliveries string           // name of the deliveries table
	Jobs       string           // name of the jobs table; empty when the platform keeps its jobs elsewhere
	Sealer     Sealer           // seals secrets; nil: secrets are neither read nor written
	Eventually bool             // Load and Endpoints read eventually consistent, at half the price: right for dispatch and first attempts
	Now        func() time.Time // nil is time.Now
	Log        *slog.Logger     // nil is slog.Default
}

// Store keeps everything. It is safe for concurrent use.
type Store struct {
	db         *dynamodb.Client
	deliveries string
	jobs       string
	seal       Sealer
	eventually bool
	now        func() time.Time
	log        *slog.Logger
	endpoints  recent[[]knownEndpoint]
	quotas     recent[webhook.Quotas]
	planned    plannedSet
	spent      spentWindows
	inserts    inserts
	stats      pendingStats
	noted      notedAccounts
}

// New returns a store on existing tables.
func New(o Options) *Store {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return &Store{
		db: o.Client, deliveries: o.Deliveries, jobs: o.Jobs, seal: o.Sealer,
		eventually: o.Eventually, now: o.Now, log: o.Log,
	}
}

// maxParallel bounds the requests that one call makes at once.
const maxParallel = 32

// plannedSet remembers deliveries of which an event's plan was read and no row,
// so that Record need not look for the event again. It is only a saving; what is
// recorded is forgotten, as its row tells from then on.
type plannedSet struct {
	mu  sync.Mutex
	all map[webhook.Ref]struct{}
}

// maxPlanned bounds the set; when it is full it starts anew.
const maxPlanned = 50_000

func (p *plannedSet) add(r webhook.Ref) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all == nil || len(p.all) >= maxPlanned {
		p.all = map[webhook.Ref]struct{}{}
	}
	p.all[r] = struct{}{}
}

func (p *plannedSet) remove(r webhook.Ref) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.all, r)
}

// has tells whether the delivery was read before.
func (p *plannedSet) has(r webhook.Ref) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.all[r]
	return ok
}

// wrap says what was being done when an error occurred.
func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}
