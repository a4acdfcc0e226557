package api

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

// healthView shows what is known of an endpoint from its answers.
type healthView struct {
	State       webhook.HealthState `json:"state" enum:"healthy,failing"`
	Since       string              `json:"since,omitempty" format:"date-time"`
	Reason      string              `json:"reason,omitempty"`
	Circuit     CircuitView         `json:"circuit" doc:"Whether it is called at all."`
	PausedUntil string              `json:"paused_until,omitempty" format:"date-time" doc:"It asked by Retry-After not to be called before."`
	SlowedTo    int                 `json:"slowed_to,omitempty" doc:"Attempts a second, since it answered 429, 502 or 504; more again as it recovers."`
	DisabledAt  string              `json:"disabled_at,omitempty" format:"date-time" doc:"When it will be disabled if no attempt succeeds until then."`
}

// CircuitView shows a circuit breaker. It is exported for huma to see it in
// hostView.
type CircuitView struct {
	State string `json:"state" enum:"closed,open,half_open" doc:"closed: called as ever; open: not called; half_open: one attempt tries it."`
	Opens int    `json:"opens" doc:"How often it opened since it was last closed; each time it stays open for longer."`
	Until string `json:"until,omitempty" format:"date-time" doc:"When it is tried next."`
}

// hostView shows the circuit of a host, by which all accounts call or do not
// call it.
type hostView struct {
	Host string `json:"host" doc:"Name and port."`
	CircuitView
}

// hostList is a list of hosts without pages: that more are out of reach than it
// has is no state in which anybody reads on.
type hostList struct {
	Items     []hostView `json:"items" nullable:"false"`
	Truncated bool       `json:"truncated,omitempty" doc:"There are more than these."`
}

// The states of a circuit.
const (
	circuitClosed   = "closed"
	circuitOpen     = "open"
	circuitHalfOpen = "half_open"
)

// viewHealth shows the health of one endpoint among those of its account. One
// of which nothing is known is healthy.
func (a *API) viewHealth(e webhook.Endpoint, all []webhook.Health) healthView {
	now, h := a.Now(), webhook.Health{}
	if i := slices.IndexFunc(all, func(h webhook.Health) bool { return h.Endpoint == e.ID }); i >= 0 {
		h = all[i]
	}
	v := healthView{
		State: cmp.Or(h.State, webhook.Healthy), Since: stamp(h.Since), Reason: h.Reason,
		Circuit: viewCircuit(h.Circuit, now), SlowedTo: h.SlowRate(),
	}
	if h.PausedUntil.After(now) {
		v.PausedUntil = stamp(h.PausedUntil)
	}
	if e.Status == webhook.EndpointEnabled { // else nobody calls it
		v.DisabledAt = stamp(h.DisabledAt(a.Rules))
	}
	return v
}

func viewCircuit(c webhook.Circuit, now time.Time) CircuitView {
	switch {
	case c.Opens == 0:
		return CircuitView{State: circuitClosed}
	case c.OpenUntil.After(now):
		return CircuitView{State: circuitOpen, Opens: c.Opens, Until: stamp(c.OpenUntil)}
	case c.ProbeUntil.After(now):
		return CircuitView{State: circuitHalfOpen, Opens: c.Opens, Until: stamp(c.ProbeUntil)}
	}
	return CircuitView{State: circuitHalfOpen, Opens: c.Opens}
}

// forgetTries is how often health is read again that whoever delivers writes at
// the same moment.
const forgetTries = 5

// forgetHealth makes an endpoint one of which nothing is known.
func (a *API) forgetHealth(ctx context.Context, e webhook.Endpoint) error {
	for try := 1; ; try++ {
		read, err := a.Store.HealthOf(ctx, e.Account, e.ID)
		if err != nil || read == (webhook.Health{Endpoint: e.ID, Version: read.Version}) {
			return err
		}
		err = a.Store.SetHealth(ctx, e.Account, read, webhook.Health{Endpoint: e.ID, Version: read.Version + 1})
		if !errors.Is(err, webhook.ErrStale) || try == forgetTries {
			return err
		}
	}
}

func (a *API) addHosts() {
	register(a, operation{id: "list-hosts", method: http.MethodGet, path: "/v1/hosts", tag: "Hosts", status: http.StatusOK,
		summary: "List the hosts of receivers that cannot be reached, or could not",
		details: "Those whose circuit is open, or was within the hour, by name; at most 250, and truncated when there are more. A circuit opens when the attempts of several accounts found no address, no connection or no valid certificate."},
		scopes(), a.listHosts)
}

func (a *API) listHosts(ctx context.Context, _ *struct{}) (*result[hostList], error) {
	list, err := a.Store.Hosts(ctx, webhook.MaxPage+1)
	if err != nil {
		return nil, err
	}
	answer, now := hostList{Items: []hostView{}, Truncated: len(list) > webhook.MaxPage}, a.Now()
	for _, h := range list[:min(len(list), webhook.MaxPage)] {
		answer.Items = append(answer.Items, hostView{h.Host, viewCircuit(h.Circuit, now)})
	}
	slices.SortFunc(answer.Items, func(a, b hostView) int { return cmp.Compare(a.Host, b.Host) })
	return &result[hostList]{Body: answer}, nil
}
