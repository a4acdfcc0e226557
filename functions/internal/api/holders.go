package api

import (
	"cmp"
	"context"
	"net/http"
	"slices"

	"github.com/jobhook/jobhook/shared/webhook"
)

// HolderReader tells which endpoints hold deliveries.
type HolderReader interface {
	// FirstHolders returns endpoints with held deliveries that no due time brings
	// back, in any order, at most limit of them, and looks at no more.
	FirstHolders(ctx context.Context, limit int) ([]webhook.Holder, error)
}

// holderView shows an endpoint that holds deliveries.
type holderView struct {
	Account  string                 `json:"account"`
	Endpoint string                 `json:"endpoint" doc:"Its id; empty for URLs on jobs."`
	URL      string                 `json:"url,omitempty"`
	Status   webhook.EndpointStatus `json:"status,omitempty" enum:"enabled,paused,disabled"`
	Deleted  bool                   `json:"deleted,omitempty" doc:"It was deleted; what it holds is declined within minutes."`
	Reason   string                 `json:"reason,omitempty" doc:"Why it holds its oldest delivery; absent for a moment when that was just released."`
	Health   *healthView            `json:"health,omitempty"`
}

// holderList is a list without pages, as hostList is.
type holderList struct {
	Items     []holderView `json:"items" nullable:"false"`
	Truncated bool         `json:"truncated,omitempty" doc:"There are more than these."`
}

func (a *API) addHolders() {
	register(a, operation{id: "list-holders", method: http.MethodGet, path: "/v1/holders", tag: "Holders", status: http.StatusOK,
		summary: "List the endpoints that hold deliveries",
		details: "Those of all accounts whose deliveries wait for something to end, such as a pause or an open circuit, by account and id; at most 250, and truncated when there are more."},
		scopes(), a.listHolders)
}

func (a *API) listHolders(ctx context.Context, _ *struct{}) (*result[holderList], error) {
	list, err := a.Store.FirstHolders(ctx, webhook.MaxPage+1)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(list, func(a, b webhook.Holder) int {
		return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Endpoint.ID, b.Endpoint.ID))
	})
	answer := holderList{Items: []holderView{}, Truncated: len(list) > webhook.MaxPage}
	for _, h := range list[:min(len(list), webhook.MaxPage)] {
		answer.Items = append(answer.Items, a.viewHolder(h))
	}
	return &result[holderList]{Body: answer}, nil
}

func (a *API) viewHolder(h webhook.Holder) holderView {
	e := h.Endpoint
	v := holderView{Account: h.Account, Endpoint: e.ID, Deleted: !h.Exists && e.ID != "", Reason: h.Why}
	if h.Exists {
		health := a.viewHealth(e, []webhook.Health{h.Health})
		v.URL, v.Status, v.Health = e.URL, e.Status, &health
	}
	return v
}
