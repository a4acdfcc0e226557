package dynamo

import (
	"context"
	"crypto/rand"

	"github.com/jobhook/jobhook/shared/webhook"
)

// Attributes of an endpoint's health. They stand on the endpoint's item: who
// reads the endpoints reads them too, they go with the endpoint, and the write
// that changes its URL forgets them. An item beside it would be smaller to
// write, but health is written when it changes only.
const (
	attrHealth        = "health"
	attrHealthSince   = "health_since"
	attrHealthReason  = "health_reason"
	attrWarned        = "warned"
	attrOpens         = "opens"
	attrOpenUntil     = "open_until"
	attrProbeUntil    = "probe_until"
	attrPausedUntil   = "paused_until"
	attrSlow          = "slow"
	attrSlowAt        = "slow_at"
	attrHealthVersion = "health_version" // never goes back, even when the rest is forgotten
	attrHealthBy      = "health_by"      // which write it was: random
)

// healthAttributes are those that are forgotten together.
func healthAttributes() []string {
	return []string{
		attrHealth, attrHealthSince, attrHealthReason, attrWarned, attrOpens, attrOpenUntil, attrProbeUntil,
		attrPausedUntil, attrSlow, attrSlowAt, attrHealthBy,
	}
}

func healthItem(h webhook.Health) item {
	return item{}.text(attrHealth, string(h.State)).time(attrHealthSince, h.Since).text(attrHealthReason, h.Reason).
		int(attrWarned, h.Warned).circuit(h.Circuit).time(attrPausedUntil, h.PausedUntil).
		int(attrSlow, h.Slow).time(attrSlowAt, h.SlowAt).int(attrHealthVersion, h.Version)
}

func decodeHealth(endpoint string, i item) webhook.Health {
	return webhook.Health{
		Endpoint: endpoint, State: webhook.HealthState(i.getText(attrHealth)), Since: i.getTime(attrHealthSince),
		Reason: i.getText(attrHealthReason), Warned: i.getInt(attrWarned), Circuit: i.getCircuit(),
		PausedUntil: i.getTime(attrPausedUntil), Slow: i.getInt(attrSlow), SlowAt: i.getTime(attrSlowAt),
		Version: i.getInt(attrHealthVersion),
	}
}

func (i item) circuit(c webhook.Circuit) item {
	return i.int(attrOpens, c.Opens).time(attrOpenUntil, c.OpenUntil).time(attrProbeUntil, c.ProbeUntil)
}

func (i item) getCircuit() webhook.Circuit {
	return webhook.Circuit{Opens: i.getInt(attrOpens), OpenUntil: i.getTime(attrOpenUntil), ProbeUntil: i.getTime(attrProbeUntil)}
}

// isKnown tells whether anything is known of an endpoint but how often that
// was written.
func isKnown(h webhook.Health) bool {
	return h != webhook.Health{Endpoint: h.Endpoint, Version: h.Version}
}

// forgetHealth leaves the version, one higher, so that who read what is
// forgotten cannot bring it back.
func (c *change) forgetHealth() {
	for _, name := range healthAttributes() {
		c.to(name, item{})
	}
	c.plus(attrHealthVersion, 1)
}

// forgetsHealth tells whether a change makes an endpoint another one to those
// who call it, or is somebody's word that it works again.
func forgetsHealth(old, next webhook.Endpoint) bool {
	return old.URL != next.URL || old.Status != webhook.EndpointEnabled && next.Status == webhook.EndpointEnabled
}

// Health returns what is known of the account's endpoints. One that is not
// listed has been healthy since it was created, got its URL or was enabled.
func (s *Store) Health(ctx context.Context, account string) (list []webhook.Health, err error) {
	known, err := s.knownEndpoints(ctx, account, true)
	for _, e := range known {
		if isKnown(e.health) {
			list = append(list, e.health)
		}
	}
	return list, err
}

// HealthOf returns what is known of one endpoint, read now, or
// webhook.ErrNotFound. Of a healthy one that is its id and version.
func (s *Store) HealthOf(ctx context.Context, account, endpoint string) (webhook.Health, error) {
	i, err := s.get(ctx, endpointKey(account, endpoint))
	if err != nil {
		return webhook.Health{}, wrap(err, "endpoint %s: health", endpoint)
	}
	return decodeHealth(endpoint, i), nil
}

// SetHealth replaces what is known of an endpoint by what follows it, and keeps
// the notices in the same write. It returns webhook.ErrStale when it has
// changed since it was read, webhook.ErrNotFound when there is no such endpoint.
func (s *Store) SetHealth(ctx context.Context, account string, read, next webhook.Health, told ...webhook.Notice) error {
	defer s.endpoints.forget(account)
	by := rand.Text()
	c, row := newChange(), healthItem(next).text(attrHealthBy, by)
	for _, name := range append(healthAttributes(), attrHealthVersion) {
		c.to(name, row)
	}
	update := s.update(endpointKey(account, next.Endpoint), c, "attribute_exists(pk) AND "+c.versionIs(attrHealthVersion, read.Version))
	err := again(ctx, func() error { return s.updateAndTell(ctx, update, told) })
	old, ok := refused(err)
	switch {
	case ok && len(old) == 0:
		err = webhook.ErrNotFound
	case ok && old.getText(attrHealthBy) == by: // an earlier request did it, and its answer was lost
		err = nil
	case ok:
		err = webhook.ErrStale
	}
	return wrap(err, "endpoint %s: health", next.Endpoint)
}

// versionIs is the condition that an attribute has a version; 0 is none.
func (c *change) versionIs(attribute string, version int) string {
	if version == 0 {
		return "attribute_not_exists(" + c.name(attribute) + ")"
	}
	return c.name(attribute) + " = " + c.value(number(version))
}
