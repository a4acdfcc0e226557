package sqlite

import (
	"testing"

	"github.com/jobhook/jobhook/shared/webhook"
)

func TestAnEndpointThatCannotBeReadHoldsUpNoOthers(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	for _, account := range []string{"acme", "broken"} {
		id := "ep_" + account
		check(t, s.PutEndpoint(t.Context(), webhook.Endpoint{ID: id, Account: account, Status: webhook.EndpointEnabled}))
		_, err := s.Put(t.Context(), []webhook.Planned{{
			Event:      webhook.Event{ID: "evt_" + account, Account: account},
			Deliveries: []webhook.Delivery{{ID: "dlv_" + account, Account: account, Target: webhook.Target{Endpoint: id}, State: webhook.StateHeld}},
		}})
		check(t, err)
	}
	check(t, s.write(t.Context(), func(t *tx) error {
		t.afterCommit(func() { s.endpoints.forget("broken") })
		return prepare(t.Conn, `UPDATE endpoints SET secrets = x'00' WHERE account = 'broken'`).exec()
	}))
	list, err := s.Holders(t.Context())
	check(t, err)
	if len(list) != 1 || list[0].Endpoint.ID != "ep_acme" {
		t.Errorf("got %+v, want the endpoint of acme", list)
	}
}
