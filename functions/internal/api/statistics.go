package api

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/jobhook/jobhook/functions/internal/crew"
	"github.com/jobhook/jobhook/shared/webhook"
)

// StatsReader reads the hourly statistics.
type StatsReader interface {
	// Stats returns those of an endpoint, or with "" of the URLs on jobs, that
	// begin from one time to before another, the oldest hour first. Hours in
	// which nothing was counted are left out.
	Stats(ctx context.Context, account, endpoint string, from, to time.Time) ([]webhook.Stats, error)
}

// Bounds of the span of statistics.
const (
	defaultStatsSpan = 24 * time.Hour
	maxStatsSpan     = 31 * 24 * time.Hour
)

// maxEndpointHours bounds the hours of all endpoints in an answer, each of 110
// bytes at most, as Lambda lets no more than 6 MB through.
const maxEndpointHours = 45_000

// statsReads is how many endpoints are read at once.
const statsReads = 8

type statisticsInput struct {
	AccountQuery
	Endpoint string    `query:"endpoint" maxLength:"256" doc:"An endpoint's id, for it alone."`
	Since    time.Time `query:"since" doc:"From the beginning of the hour that this time is in (RFC 3339); 24 hours before until, if it is absent."`
	Until    time.Time `query:"until" doc:"Up to the end of the hour that this time is in, or ends; of the present hour, if it is absent or later."`
}

// CountsView shows what was counted. It is exported for huma to see it in
// hourView.
type CountsView struct {
	Delivered int          `json:"delivered" doc:"Attempts that were a success."`
	Failed    int          `json:"failed" doc:"Attempts that failed, retried or not."`
	GivenUp   int          `json:"given_up" doc:"Of these, the last ones of their deliveries."`
	AnswerMS  *percentiles `json:"answer_ms,omitempty" doc:"From the request to the whole answer, of all attempts. Absent where there was none."`
	LagMS     *percentiles `json:"event_to_delivery_ms,omitempty" doc:"From the event to the answer, of what was delivered without a resend. Absent where nothing was."`
}

// percentiles are upper bounds of the buckets that durations are counted in,
// each 1.6 times the one before.
type percentiles struct {
	P50 float64 `json:"p50" doc:"Half took at most so long. All three are rounded up, by at most 60 %; the greatest there is, about 49,500, stands for more than 31 s."`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
}

type hourView struct {
	Hour string `json:"hour" format:"date-time" doc:"Its beginning."`
	CountsView
}

type endpointHourView struct {
	Hour      string `json:"hour" format:"date-time"`
	Delivered int    `json:"delivered"`
	Failed    int    `json:"failed"`
	GivenUp   int    `json:"given_up"`
}

type endpointCountsView struct {
	Endpoint string             `json:"endpoint" doc:"Its id; empty for the URLs that jobs themselves name."`
	Total    CountsView         `json:"total"`
	Hours    []endpointHourView `json:"hours" nullable:"false" doc:"Those of the span in which something was counted, the oldest first."`
	LeftOut  bool               `json:"hours_left_out,omitempty" doc:"Its hours are left out, as there would be more than 45,000 in the answer; ask for this endpoint alone."`
}

type statisticsView struct {
	Since     string               `json:"since" format:"date-time"`
	Until     string               `json:"until" format:"date-time"`
	Total     CountsView           `json:"total"`
	Hours     []hourView           `json:"hours" nullable:"false" doc:"Every hour of the span, also those in which nothing happened."`
	Endpoints []endpointCountsView `json:"endpoints" nullable:"false" doc:"In the order of their ids, at last the URLs on jobs if there were any. Deleted ones are in no sum."`
}

func (a *API) addStatistics() {
	register(a, operation{id: "get-statistics", method: "GET", path: "/v1/statistics", tag: "Statistics", status: 200,
		summary: "Count attempts and how long they took, by hour and endpoint",
		details: "Whole hours, at most 31 days of them. The last minute may be missing. The hours of the whole are complete, those of endpoints are without the ones in which nothing was counted."},
		scopes(webhook.ScopePlatform, webhook.ScopeAccount), a.getStatistics)
}

func (a *API) getStatistics(ctx context.Context, in *statisticsInput) (*result[statisticsView], error) {
	account, err := accountFor(ctx, in.Account)
	if err != nil {
		return nil, err
	}
	span, err := in.span(a.Now())
	if err != nil {
		return nil, err
	}
	endpoints, err := a.counted(ctx, account, in.Endpoint)
	if err != nil {
		return nil, err
	}
	stats, err := a.readStats(ctx, account, endpoints, span)
	if err != nil {
		return nil, err
	}
	return &result[statisticsView]{Body: viewStatistics(span, endpoints, stats)}, nil
}

// hours are whole ones, from the beginning of the first to the end of the last.
type hours struct{ from, to time.Time }

func (h hours) count() int { return int(h.to.Sub(h.from) / time.Hour) }

// span is what the request asks for, in whole hours.
func (in *statisticsInput) span(now time.Time) (hours, error) {
	if err := checkSpan("until", in.Since, in.Until); err != nil {
		return hours{}, err
	}
	h := hours{to: hourAfter(now)}
	if asked := hourAfter(in.Until.Add(-1)); !in.Until.IsZero() && asked.Before(h.to) {
		h.to = asked
	}
	h.from = h.to.Add(-defaultStatsSpan)
	if !in.Since.IsZero() {
		h.from = in.Since.UTC().Truncate(time.Hour)
	}
	switch {
	case !h.from.Before(h.to):
		return h, invalid("since", "it is not before until, which is at most the end of the present hour", "write an earlier time")
	case h.to.Sub(h.from) > maxStatsSpan:
		return h, invalid("since", "it is more than 31 days before until", "ask for fewer days at once")
	case h.from.Unix() < 0:
		return h, invalid("since", "nothing was counted before 1970", "write a later time")
	}
	return h, nil
}

// hourAfter is the end of the hour that a time is in.
func hourAfter(t time.Time) time.Time { return t.UTC().Truncate(time.Hour).Add(time.Hour) }

// counted are the endpoints to count, in their order: the one that is asked
// for, else all of the account, and "" for the URLs on jobs.
func (a *API) counted(ctx context.Context, account, endpoint string) ([]string, error) {
	if endpoint != "" {
		_, err := a.Store.Endpoint(ctx, account, endpoint)
		return []string{endpoint}, err
	}
	list, err := a.Store.Endpoints(ctx, account)
	ids := make([]string, 0, len(list)+1)
	for _, e := range list {
		ids = append(ids, e.ID)
	}
	slices.Sort(ids)
	return append(ids, ""), err
}

// readStats reads the statistics of each endpoint.
func (a *API) readStats(ctx context.Context, account string, endpoints []string, h hours) ([][]webhook.Stats, error) {
	stats := make([][]webhook.Stats, len(endpoints))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(statsReads)
	for i, endpoint := range endpoints {
		g.Go(func() error {
			return crew.Guarded(func() (err error) {
				stats[i], err = a.Store.Stats(ctx, account, endpoint, h.from, h.to)
				return err
			})
		})
	}
	return stats, g.Wait()
}

// viewStatistics shows the statistics of each endpoint, and their sums.
func viewStatistics(h hours, endpoints []string, stats [][]webhook.Stats) statisticsView {
	v := statisticsView{Since: stamp(h.from), Until: stamp(h.to), Endpoints: []endpointCountsView{}}
	var total webhook.Stats
	room := maxEndpointHours
	sums, names := make([]webhook.Stats, h.count()), make([]string, h.count())
	for i := range names {
		names[i] = stamp(h.from.Add(time.Duration(i) * time.Hour))
	}
	for i, endpoint := range endpoints {
		if endpoint == "" && len(stats[i]) == 0 {
			continue
		}
		room -= len(stats[i])
		one, sum := endpointCountsView{Endpoint: endpoint, Hours: []endpointHourView{}, LeftOut: room < 0}, webhook.Stats{}
		for _, s := range stats[i] {
			at := int(s.Hour.Sub(h.from) / time.Hour)
			if !one.LeftOut {
				one.Hours = append(one.Hours, endpointHourView{names[at], s.Delivered, s.Failed, s.GivenUp})
			}
			sum.Add(s)
			sums[at].Add(s)
		}
		total.Add(sum)
		one.Total = viewCounts(&sum)
		v.Endpoints = append(v.Endpoints, one)
	}
	for at, name := range names {
		v.Hours = append(v.Hours, hourView{name, viewCounts(&sums[at])})
	}
	v.Total = viewCounts(&total)
	return v
}

func viewCounts(s *webhook.Stats) CountsView {
	return CountsView{Delivered: s.Delivered, Failed: s.Failed, GivenUp: s.GivenUp, AnswerMS: viewPercentiles(&s.Latency), LagMS: viewPercentiles(&s.Lag)}
}

// viewPercentiles is nil for a histogram of nothing.
func viewPercentiles(h *webhook.Histogram) *percentiles {
	if *h == (webhook.Histogram{}) {
		return nil
	}
	return &percentiles{P50: ms(h.Quantile(0.5)), P95: ms(h.Quantile(0.95)), P99: ms(h.Quantile(0.99))}
}
