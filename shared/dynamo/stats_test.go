package dynamo_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

func TestStatisticsAreReadAtHalfThePrice(t *testing.T) {
	s, w, _ := openWired(t, nil)
	hour := time.Now().UTC().Truncate(time.Hour)
	one := webhook.Stats{Account: "acme", Endpoint: "ep_1", Hour: hour, Delivered: 1}
	check(t, s.AddStats(t.Context(), []webhook.Stats{one}))
	consistent := 0
	w.set(func(operation string, _ int, body []byte, _ func([]byte) (*http.Response, error)) (*http.Response, error) {
		if operation == "Query" && strings.Contains(string(body), `"ConsistentRead":true`) {
			consistent++
		}
		return nil, nil
	})
	list, err := s.Stats(t.Context(), "acme", "ep_1", hour, hour.Add(time.Hour))
	check(t, err)
	same(t, "statistics", list, []webhook.Stats{one})
	same(t, "consistent reads", consistent, 0)
	same(t, "queries", w.count("Query"), 1)
}
