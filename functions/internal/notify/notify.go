// Package notify tells of endpoints that fail, are disabled or recover: the
// account by a webhook to its other endpoints, the operator by webhooks too, and
// by a topic.
package notify

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jobhook/jobhook/functions/internal/dispatch"
	"github.com/jobhook/jobhook/shared/format"
	"github.com/jobhook/jobhook/shared/webhook"
)

// Store keeps events and their deliveries.
type Store interface {
	// Endpoints returns all endpoints of an account, none for an unknown one.
	Endpoints(ctx context.Context, account string) ([]webhook.Endpoint, error)
	// Put stores events with their deliveries, of which it leaves as they are
	// those that are there. It returns the doorbells of what is queued.
	Put(ctx context.Context, planned []webhook.Planned) ([]webhook.Doorbell, error)
	// Quotas are what an account may use, zero for an unknown one.
	Quotas(ctx context.Context, account string) (webhook.Quotas, error)
}

// Queue takes the doorbells of first attempts.
type Queue interface {
	// Ring sends the doorbells. After an error some may have been sent.
	Ring(ctx context.Context, bells []webhook.Doorbell) error
}

// Topic takes notices for whoever subscribed to it.
type Topic interface {
	// Publish sends a notice to all subscribers.
	Publish(ctx context.Context, n webhook.Notice) error
}

// publishTime is how long a topic has for a notice: others are waiting.
const publishTime = 3 * time.Second

// Teller tells of notices.
type Teller struct {
	Store     Store
	Queue     Queue            // of first attempts
	Topic     Topic            // nil: there is none
	Operator  string           // account whose endpoints hear of those of all; empty: there is none
	Retention time.Duration    // how long deliveries are kept; 0 is dispatch.DefaultRetention
	Now       func() time.Time // nil is time.Now
}

// Tell tells all that subscribed to the notice's type by name. After an error
// some may have heard of it: tell it again. As ids are deterministic, nobody
// gets a second webhook, but subscribers of the topic may get a second message.
func (t *Teller) Tell(ctx context.Context, n webhook.Notice) error {
	planned, err := t.plan(ctx, n)
	if err != nil {
		return err
	}
	if err := t.commit(ctx, planned); err != nil {
		return err
	}
	if t.Topic == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, publishTime)
	defer cancel()
	return t.Topic.Publish(ctx, n)
}

// plan makes an event for the account, and one for the operator's, where
// somebody subscribed to it.
func (t *Teller) plan(ctx context.Context, n webhook.Notice) (planned []webhook.Planned, err error) {
	accounts := []string{n.Account}
	if t.Operator != "" && t.Operator != n.Account {
		accounts = append(accounts, t.Operator)
	}
	for _, account := range accounts {
		p, err := t.planFor(ctx, n, account)
		if err != nil {
			return nil, fmt.Errorf("account %s: %w", account, err)
		}
		if len(p.Deliveries) > 0 {
			planned = append(planned, p)
		}
	}
	return planned, nil
}

func (t *Teller) planFor(ctx context.Context, n webhook.Notice, account string) (p webhook.Planned, err error) {
	endpoints, err := t.Store.Endpoints(ctx, account)
	if err != nil {
		return p, fmt.Errorf("endpoints: %w", err)
	}
	endpoints = listeners(n, endpoints)
	if len(endpoints) == 0 {
		return p, nil
	}
	quotas, err := t.Store.Quotas(ctx, account)
	if err != nil {
		return p, fmt.Errorf("quotas: %w", err)
	}
	p.Event = n.Event(account)
	for _, e := range endpoints {
		p.Deliveries = append(p.Deliveries, t.delivery(p.Event, e, quotas))
	}
	return p, nil
}

// listeners are the endpoints that subscribe to the notice's type. One that does
// not work is not told so itself.
func listeners(n webhook.Notice, endpoints []webhook.Endpoint) []webhook.Endpoint {
	return slices.DeleteFunc(slices.Clone(endpoints), func(e webhook.Endpoint) bool {
		itself := e.Account == n.Account && e.ID == n.Endpoint
		return !e.Subscribes(n.Type) || itself && n.Type != webhook.EndpointRecoveredEvent
	})
}

// delivery is in the standard format, whatever the endpoint's is: the others
// know jobs only.
func (t *Teller) delivery(e webhook.Event, to webhook.Endpoint, q webhook.Quotas) webhook.Delivery {
	now := t.now()
	f, _ := format.Lookup(format.Standard)
	target := webhook.Target{Endpoint: to.ID, URL: to.URL, Format: f.Name}
	d := webhook.Delivery{
		ID: webhook.DeliveryID(e.ID, target), Account: e.Account, EventID: e.ID, EventType: e.Type, Target: target,
		State: webhook.StateQueued, Generation: 1, Deadline: f.Policy.With(to.Policy).Deadline(now),
		CreatedAt: now, UpdatedAt: now, ExpiresAt: now.Add(t.retention(q)),
	}
	if to.Status == webhook.EndpointDisabled {
		d.State, d.Reason = webhook.StateDeclined, "the endpoint is disabled: "+to.StatusReason
	}
	return d
}

func (t *Teller) commit(ctx context.Context, planned []webhook.Planned) error {
	if len(planned) == 0 {
		return nil
	}
	bells, err := t.Store.Put(ctx, planned)
	if err != nil {
		return fmt.Errorf("put %d events: %w", len(planned), err)
	}
	if len(bells) == 0 {
		return nil
	}
	if err := t.Queue.Ring(ctx, bells); err != nil {
		return fmt.Errorf("ring for %d deliveries: %w", len(bells), err)
	}
	return nil
}

func (t *Teller) retention(q webhook.Quotas) time.Duration {
	switch {
	case q.RetentionDays > 0:
		return time.Duration(q.RetentionDays) * 24 * time.Hour
	case t.Retention > 0:
		return t.Retention
	}
	return dispatch.DefaultRetention
}

func (t *Teller) now() time.Time {
	if t.Now == nil {
		return time.Now()
	}
	return t.Now()
}
