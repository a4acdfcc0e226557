package storetest

import (
	"errors"
	"time"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

func endpointPromises() []promise {
	return []promise{
		{"an endpoint is kept whole, secrets, headers and policy included", func(s store) {
			e := s.fullEndpoint("acme", "ep_1")
			s.ok(s.PutEndpoint(s.ctx(), e))
			got, err := s.Endpoint(s.ctx(), "acme", "ep_1")
			s.ok(err)
			same(s, "endpoint", got, e)
			same(s, "endpoint of an attempt", s.load(s.to("acme", "j1", "ep_1").Ref()).Endpoint, e)
			e.Policy, e.Types, e.Secrets, e.Headers, e.OldUntil, e.URL = webhook.PolicyPatch{}, nil, nil, nil, time.Time{}, "https://example.com/other"
			s.ok(s.PutEndpoint(s.ctx(), e))
			got, err = s.Endpoint(s.ctx(), "acme", "ep_1")
			s.ok(err)
			same(s, "endpoint put again", got, e)
		}},
		{"endpoints are listed by id, and a list is never older than the last write", func(s store) {
			for range 2 { // the second read may come from a cache
				s.listsEndpoints("acme")
			}
			s.endpoint("acme", "ep_2")
			s.listsEndpoints("acme", "ep_2")
			s.endpoint("acme", "ep_1")
			s.listsEndpoints("acme", "ep_1", "ep_2")
			s.ok(s.DeleteEndpoint(s.ctx(), "acme", "ep_2"))
			s.listsEndpoints("acme", "ep_1")
		}},
		{"another account cannot read, change or delete an endpoint, nor take its id", func(s store) {
			e := s.endpoint("acme", "ep_1")
			_, err := s.Endpoint(s.ctx(), "other", "ep_1")
			s.want(err, webhook.ErrNotFound)
			_, err = s.UpdateEndpoint(s.ctx(), "other", "ep_1", pause)
			s.want(err, webhook.ErrNotFound)
			s.want(s.Disable(s.ctx(), "other", "ep_1", "https://example.com/ep_1", "gone"), webhook.ErrNotFound)
			s.want(s.DeleteEndpoint(s.ctx(), "other", "ep_1"), webhook.ErrNotFound)
			stolen := e
			stolen.Account = "other"
			s.want(s.PutEndpoint(s.ctx(), stolen), webhook.ErrTaken)
			got, err := s.Endpoint(s.ctx(), "acme", "ep_1")
			s.ok(err)
			same(s, "endpoint that others reached for", got, e)
		}},
		{"an update sees the endpoint as it is, and an error of f writes nothing", func(s store) {
			e := s.endpoint("acme", "ep_1")
			refused := errors.New("refused")
			_, err := s.UpdateEndpoint(s.ctx(), "acme", "ep_1", func(old webhook.Endpoint) (webhook.Endpoint, error) {
				same(s, "endpoint to be updated", old, e)
				old.URL = "https://example.com/never"
				return old, refused
			})
			s.want(err, refused)
			_, err = s.UpdateEndpoint(s.ctx(), "acme", "none", pause)
			s.want(err, webhook.ErrNotFound)
			updated, err := s.UpdateEndpoint(s.ctx(), "acme", "ep_1", pause)
			s.ok(err)
			e.Status = webhook.EndpointPaused
			same(s, "updated endpoint", updated, e)
			got, err := s.Endpoint(s.ctx(), "acme", "ep_1")
			s.ok(err)
			same(s, "endpoint", got, e)
		}},
		{"concurrent updates of an endpoint follow each other: none is lost", func(s store) {
			s.endpoint("acme", "ep_1")
			for _, err := range together(10, func(int) error {
				_, err := s.UpdateEndpoint(s.ctx(), "acme", "ep_1", func(e webhook.Endpoint) (webhook.Endpoint, error) {
					e.StatusReason += "x"
					return e, nil
				})
				return err
			}) {
				s.ok(err)
			}
			got, err := s.Endpoint(s.ctx(), "acme", "ep_1")
			s.ok(err)
			same(s, "trace of the updates", got.StatusReason, "xxxxxxxxxx")
		}},
		{"an endpoint is disabled with the reason, and an attempt sees it at once", func(s store) {
			s.endpoint("acme", "ep_1")
			d := s.to("acme", "j1", "ep_1")
			s.ok(s.Disable(s.ctx(), "acme", "ep_1", "https://other.example/", "an answer of the URL before"))
			still, err := s.Endpoint(s.ctx(), "acme", "ep_1")
			s.ok(err)
			same(s, "status after an answer of the URL before", still.Status, webhook.EndpointEnabled)
			s.ok(s.Disable(s.ctx(), "acme", "ep_1", "https://example.com/ep_1", "gone"))
			e := s.load(d.Ref()).Endpoint
			same(s, "status", e.Status, webhook.EndpointDisabled)
			same(s, "reason", e.StatusReason, "gone")
		}},
		{"an endpoint that somebody paused is not disabled by an answer that was under way", func(s store) {
			s.endpoint("acme", "ep_1")
			_, err := s.UpdateEndpoint(s.ctx(), "acme", "ep_1", pause)
			s.ok(err)
			paused, err := s.Endpoint(s.ctx(), "acme", "ep_1")
			s.ok(err)
			n := s.notice("acme", "ep_1")
			n.Type = webhook.EndpointDisabledEvent
			s.ok(s.Disable(s.ctx(), "acme", "ep_1", paused.URL, "gone", n))
			got, err := s.Endpoint(s.ctx(), "acme", "ep_1")
			s.ok(err)
			same(s, "paused endpoint", got, paused)
			s.tells(10)
		}},
		{"a second default endpoint takes nothing from the first", func(s store) {
			first := s.fullEndpoint("acme", "ep_1")
			s.ok(s.PutEndpoint(s.ctx(), first))
			s.PutEndpoint(s.ctx(), s.fullEndpoint("acme", "ep_2")) // may be refused
			got, err := s.Endpoint(s.ctx(), "acme", "ep_1")
			s.ok(err)
			same(s, "first default endpoint", got, first)
		}},
		{"a silence is of one exact URL, for every account, and never shortened", func(s store) {
			const url = "https://example.com/hook"
			j := s.makeJob("acme", "j1", job.KindAsync, "success", "")
			p := s.plan(j, webhook.JobFinished, "1", toURL(url), toURL(url+"/"), toURL(url+"?a=1"))
			s.putOne(p)
			other := s.finished("other", "j2")
			until := now().Add(5 * time.Minute)
			s.ok(s.Silence(s.ctx(), url, until))
			s.ok(s.Silence(s.ctx(), url, until.Add(-time.Minute)))
			s.silentUntil(p.Deliveries[0], until)
			s.silentUntil(other, until)
			s.silentUntil(p.Deliveries[1], time.Time{})
			s.silentUntil(p.Deliveries[2], time.Time{})
			s.ok(s.Silence(s.ctx(), url, until.Add(time.Minute)))
			s.silentUntil(p.Deliveries[0], until.Add(time.Minute))
		}},
		{"a silence follows the URL that an endpoint has now", func(s store) {
			e := s.endpoint("acme", "ep_1")
			d := s.to("acme", "j1", "ep_1")
			until := now().Add(5 * time.Minute)
			s.ok(s.Silence(s.ctx(), e.URL, until))
			s.silentUntil(d, until)
			e.URL = "https://example.com/moved"
			s.ok(s.PutEndpoint(s.ctx(), e))
			s.silentUntil(d, time.Time{})
		}},
		{"statistics add up by account, endpoint and hour, the oldest first", func(s store) {
			hour := now().Truncate(time.Hour)
			for range 3 {
				s.ok(s.AddStats(s.ctx(), []webhook.Stats{
					stats("acme", "ep_1", hour, 2, 1), stats("acme", "ep_1", hour.Add(time.Hour), 5, 0),
					stats("acme", "", hour, 7, 0), stats("other", "", hour, 100, 100),
				}))
			}
			s.countsStats("acme", "ep_1", hour, hour.Add(2*time.Hour), stats("acme", "ep_1", hour, 6, 3), stats("acme", "ep_1", hour.Add(time.Hour), 15, 0))
			s.countsStats("acme", "ep_1", hour, hour.Add(time.Hour), stats("acme", "ep_1", hour, 6, 3))
			s.countsStats("acme", "", hour, hour.Add(2*time.Hour), stats("acme", "", hour, 21, 0))
			s.ok(s.AddStats(s.ctx(), []webhook.Stats{stats("acme", "", hour, 0, 1)}))
			s.countsStats("acme", "", hour, hour.Add(2*time.Hour), stats("acme", "", hour, 21, 1))
			s.countsStats("other", "ep_1", hour, hour.Add(2*time.Hour))
		}},
	}
}

func pause(e webhook.Endpoint) (webhook.Endpoint, error) {
	e.Status = webhook.EndpointPaused
	return e, nil
}

// fullEndpoint has a value in every field.
func (s store) fullEndpoint(account, id string) webhook.Endpoint {
	rule, gone, timeout, waits, rate, parallel := webhook.Success200, true, 7, []int{1, 60, 259200}, 20, 3
	return webhook.Endpoint{
		ID: id, Account: account, URL: "https://example.com/" + id + "?a='b'&c=%20", Format: "standard", Default: true,
		Types:   []webhook.EventType{webhook.JobFinished, webhook.JobProgress},
		Policy:  webhook.PolicyPatch{Success: &rule, GoneDisables: &gone, TimeoutSeconds: &timeout, RetrySeconds: &waits, Rate: &rate, MaxInFlight: &parallel},
		Headers: []webhook.Header{{Name: "Authorization", Value: "Bearer 'b'"}, {Name: "X-Key", Value: "k"}},
		Secrets: []webhook.Secret{"whsec_bmV3", "whsec_b2xk"}, OldUntil: now().Add(time.Hour),
		Status: webhook.EndpointPaused, StatusReason: "by its owner",
		CreatedAt: now(), UpdatedAt: now().Add(time.Microsecond),
	}
}

// to puts the end of a new job, to an endpoint, and returns its delivery.
func (s store) to(account, jobID, endpoint string) webhook.Delivery {
	s.Helper()
	return s.putOne(s.plan(s.makeJob(account, jobID, job.KindAsync, "success", ""), webhook.JobFinished, "1", toEndpoint(endpoint)))
}

func (s store) listsEndpoints(account string, want ...string) {
	s.Helper()
	list, err := s.Endpoints(s.ctx(), account)
	s.ok(err)
	var ids []string
	for _, e := range list {
		ids = append(ids, e.ID)
	}
	same(s, "endpoints", ids, want)
}

func (s store) silentUntil(d webhook.Delivery, want time.Time) {
	s.Helper()
	same(s, "silent until, "+d.Target.URL, s.load(d.Ref()).SilentUntil, want)
}

func stats(account, endpoint string, hour time.Time, delivered, failed int) webhook.Stats {
	const last = webhook.HistogramBuckets - 1
	st := webhook.Stats{Account: account, Endpoint: endpoint, Hour: hour, Delivered: delivered, Failed: failed, GivenUp: failed}
	st.Latency[0], st.Latency[last] = delivered, failed
	st.Lag[1], st.Lag[last] = delivered, 2*delivered
	return st
}

func (s store) countsStats(account, endpoint string, from, to time.Time, want ...webhook.Stats) {
	s.Helper()
	var got []webhook.Stats
	sum := func(list []webhook.Stats) (n int) {
		for _, st := range list {
			n += st.Delivered + st.Failed
		}
		return n
	}
	s.eventually("all statistics are counted", func() bool {
		var err error
		got, err = s.Stats(s.ctx(), account, endpoint, from, to)
		s.ok(err)
		return sum(got) >= sum(want)
	})
	same(s, "statistics", got, want)
}
