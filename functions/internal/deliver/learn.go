package deliver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jobhook/jobhook/functions/internal/metrics"
	"github.com/jobhook/jobhook/shared/webhook"
)

// claimProbes claims the probes of half-open circuits for the attempt. It holds
// the delivery when somebody else has claimed one, or when a circuit opened
// while the attempt waited for its turn. A claim ends by itself some time after
// the attempt must have ended.
func (h *Handler) claimProbes(b *batch, t *task) (held bool, err error) {
	now := h.now()
	t.w.Health = h.Health.newest(t.w, now)
	if r, closed := gated(t.w, now); closed {
		return true, h.follow(b, t, r)
	}
	until := now.Add(t.policy.Timeout + leaseSlack)
	if t.w.HasEndpoint && t.w.Health.Gate(now).Pass == webhook.PassProbe {
		next := t.w.Health
		next.Endpoint, next.ProbeUntil, next.Version = t.w.Endpoint.ID, until, next.Version+1
		err = h.Store.SetHealth(b.ctx, t.w.Delivery.Account, t.w.Health, next)
		if t.probes, held, err = claimed(err); held || err != nil {
			return held, h.lostClaim(b, t, ruling{do: doHold, why: next.Gate(now).Why}, err)
		}
		t.w.Health = next
		h.Health.note(next, t.w, now)
		b.line.Count(metrics.Probes, 1)
	}
	if t.w.Host.Gate(now).Pass == webhook.PassProbe {
		next := t.w.Host
		next.ProbeUntil, next.Version = until, next.Version+1
		err = h.Store.SetHost(b.ctx, t.w.Host, next)
		if t.probesHost, held, err = claimed(err); held || err != nil {
			return held, h.lostClaim(b, t, holdForHost(t.w, until, next.Gate(now).Why), err)
		}
		t.w.Host = next
		b.line.Count(metrics.Probes, 1)
	}
	return false, nil
}

// claimed reads the answer to a claim: somebody else had it first if the row
// has changed, or is gone.
func claimed(err error) (ours, others bool, _ error) {
	switch {
	case err == nil:
		return true, false, nil
	case errors.Is(err, webhook.ErrStale), errors.Is(err, webhook.ErrNotFound):
		return false, true, nil
	}
	return false, false, err
}

func (h *Handler) lostClaim(b *batch, t *task, r ruling, err error) error {
	if err != nil {
		return fmt.Errorf("delivery %s: claim the probe: %w", t.w.Delivery.ID, err)
	}
	return h.follow(b, t, r)
}

// learn draws from an attempt what there is to know of the host and of the
// endpoint. An attempt that never left us says nothing, nor does one that was
// lost in a network of ours which loses most: the claim of a probe then ends by itself.
func (h *Handler) learn(b *batch, t *task, a answer, o webhook.Outcome) {
	if h.Health == nil || a.result.Failure == webhook.FailureUnsendable {
		return
	}
	if host := webhook.HostOf(t.w.URL()); host != "" && a.result.Failure != webhook.FailureRefusedAddress {
		if h.suspects(b, host, a) {
			return
		}
		h.learnHost(b, t, host, a.result)
	}
	if !t.w.HasEndpoint {
		return
	}
	seen := h.Health.observe(t.w, a.result, o, a.ended)
	seen.Probe = t.probes
	seen.Tries, seen.TriedSince = t.w.Delivery.Attempts+1, t.policy.Begun(t.w.Delivery)
	if o.Disable {
		return // it is disabled, and there is nothing to come of this
	}
	if err := h.learnEndpoint(b, t, seen, a.ended); err != nil {
		h.log().WarnContext(b.record, "health.lost", "endpoint", t.w.Endpoint.ID, "error", err)
	}
}

// suspects tells whether an attempt at a host was lost in a network that is
// probably ours.
func (h *Handler) suspects(b *batch, host string, a answer) bool {
	suspected, warn := h.Health.called(host, !a.result.Unreachable(), a.ended)
	if warn {
		h.log().ErrorContext(b.record, "network.suspected", "detail", "more than half of the hosts called within a minute cannot be reached; no circuit is opened for it")
	}
	return suspected
}

// healthTries is how often a change of health is tried: once to find that it must
// be read from no memory, and three times against others that are quicker.
const healthTries = 4

// learnEndpoint writes the health of an endpoint if the attempt changed it. When
// it was forgotten since it was loaded, the answer is of another URL, or of what
// somebody says is mended: it says nothing of the endpoint.
func (h *Handler) learnEndpoint(b *batch, t *task, seen webhook.Observation, now time.Time) error {
	ctx, read := b.record, h.Health.newest(t.w, now)
	fresh := false // read from no memory
	for range healthTries {
		next, told := read.After(seen, now, h.Rules, h.jitter())
		if next == read {
			return nil
		}
		err := webhook.ErrStale
		switch disables := slices.Contains(told, webhook.EndpointDisabledEvent); {
		case !fresh && (disables || condemns(read, next)):
		case disables:
			h.disable(ctx, t.w, read, fmt.Sprintf("all attempts since %s have failed: %s", read.Since.UTC().Format(time.RFC3339), seen.Outcome.Reason))
			return nil
		default:
			next.Endpoint, next.Version = t.w.Endpoint.ID, read.Version+1
			err = h.Store.SetHealth(ctx, t.w.Delivery.Account, read, next, h.notices(t.w, read, next, told)...)
		}
		switch {
		case err == nil:
			h.Health.note(next, t.w, h.now())
			if next.Opens > read.Opens {
				b.line.Count(metrics.Tripped, 1)
			}
			return nil
		case !errors.Is(err, webhook.ErrStale):
			return err
		}
		last := read
		if read, err = h.Store.HealthOf(ctx, t.w.Delivery.Account, t.w.Endpoint.ID); err != nil {
			return err
		}
		if fresh = true; read.Unknown() && read.Version > last.Version {
			h.Health.forget(t.w, read)
			return nil
		}
	}
	return nil // whoever was quicker saw what we see, and so will the next attempt
}

// condemns tells whether an endpoint that was called as ever no longer is, or is
// failing: neither is concluded from a memory.
func condemns(read, next webhook.Health) bool {
	return read.Opens == 0 && next.Opens > 0 || read.State != webhook.Failing && next.State == webhook.Failing
}

// notices are what is to be told of a change of health.
func (h *Handler) notices(w *webhook.Work, read, next webhook.Health, told []webhook.EventType) []webhook.Notice {
	list := make([]webhook.Notice, len(told))
	for i, what := range told {
		list[i] = webhook.Notice{
			Type: what, Account: w.Delivery.Account, Endpoint: w.Endpoint.ID, URL: webhook.SiteOf(w.URL()), At: h.now(),
			Since: next.Since, Reason: next.Reason, DisabledAt: next.DisabledAt(h.Rules),
		}
		if what == webhook.EndpointRecoveredEvent {
			list[i].Since, list[i].Reason = read.Since, read.Reason // of the failures that are over
		}
	}
	return list
}

// disable disables the endpoint, and keeps that it is to be told. If it fails,
// the next attempt will come to the same.
func (h *Handler) disable(ctx context.Context, w *webhook.Work, read webhook.Health, reason string) {
	n := webhook.Notice{
		Type: webhook.EndpointDisabledEvent, Account: w.Delivery.Account, Endpoint: w.Endpoint.ID, URL: webhook.SiteOf(w.URL()),
		At: h.now(), Since: h.now(), Reason: reason,
	}
	if read.State == webhook.Failing {
		n.Since = read.Since
	}
	if err := h.Store.Disable(ctx, n.Account, n.Endpoint, w.URL(), reason, n); err != nil {
		h.log().ErrorContext(ctx, "disable.lost", "endpoint", n.Endpoint, "error", err)
	}
}

// learnHost opens the circuit of a host that several accounts cannot reach, and
// ends a probe of it. An answer of any kind, and even a broken connection, shows
// that the host lives; so does a timeout, or a tenant whose application hangs
// could silence the host that it shares.
func (h *Handler) learnHost(b *batch, t *task, host string, r webhook.Result) {
	read, now, trips, closes := t.w.Host, h.now(), false, t.probesHost
	switch {
	case r.Failure == "" && h.Health.answered(host) && read.Opens == 0:
		read = h.hostNow(b, t) // its circuit may have opened during the attempt
		closes = read.Opens > 0
	case r.Unreachable() && read.Opens == 0:
		trips = h.Health.unreachable(host, t.w.Delivery.Account, h.Rules.Defaults().HostAccounts, now)
	case r.Unreachable():
		trips = t.probesHost
	}
	next := read
	switch {
	case trips:
		next.Circuit = next.Open(now, h.Rules.Defaults(), h.jitter())
	case closes:
		next.Circuit = webhook.Circuit{}
	default:
		return
	}
	next.Host, next.Version = host, read.Version+1
	err := h.Store.SetHost(b.record, read, next)
	switch {
	case errors.Is(err, webhook.ErrStale): // another process was quicker
	case err != nil:
		h.log().WarnContext(b.record, "host.lost", "host", host, "error", err)
	case trips:
		b.line.Count(metrics.HostsTripped, 1)
		h.log().WarnContext(b.record, "host.tripped", "host", host, "until", next.OpenUntil)
	}
}

// hostNow reads once more what is known of the host of a task's URL. It is asked
// for when a host answers of which this process has seen failures.
func (h *Handler) hostNow(b *batch, t *task) webhook.HostHealth {
	works, err := h.Store.Load(b.record, []webhook.Ref{t.w.Delivery.Ref()})
	if err != nil || len(works) == 0 {
		h.log().WarnContext(b.record, "host.unknown", "delivery", t.w.Delivery.ID, "error", err)
		return t.w.Host
	}
	return works[0].Host
}
