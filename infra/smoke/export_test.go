package smoke

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// export writes a job, uploads its records by a link, ends it, and follows the
// link that the webhook about its files brings.
func (s *site) export(t *testing.T) {
	t.Helper()
	const job, records = "smoke-records", `{"title":"A"}` + "\n" + `{"title":"B"}` + "\n"
	e := s.example.of(job)
	s.put(t, e)
	var link struct {
		URL      string
		NeedsKey bool `json:"needs_key"`
	}
	s.front.call(t, http.MethodPost, "/v1/jobs/"+job+"/runs/1/record-links", map[string]int{"part": 1}, http.StatusOK, &link)
	if link.NeedsKey {
		t.Fatalf("link %+v, want one to the bucket", link)
	}
	fetch(t, http.MethodPut, link.URL, records)
	s.update(t, e)
	var ready told
	s.feeds.eventually(t, "a webhook tells of the files", func() bool {
		arrived := s.receiver.of(job)
		at := slices.IndexFunc(arrived, func(a arrival) bool { return a.told().Type == "result_set.ready" })
		if at >= 0 {
			arrived[at].verify(t, s.secret)
			ready = arrived[at].told()
		}
		return at >= 0
	})
	s.feeds.eventually(t, "both webhooks are delivered", func() bool {
		list := s.deliveries(t, job)
		return len(list) == 2 && list[0].State == "delivered" && list[1].State == "delivered"
	})
	path, ours := strings.CutPrefix(ready.Data.ResultSet.Files["jsonlines"].AllPages, s.output(t, "ApiUrl"))
	if !ours {
		t.Fatalf("webhook %+v, want a link to a file", ready)
	}
	answer := s.front.answer(t, http.MethodGet, path, nil, http.StatusFound)
	if got := fetch(t, http.MethodGet, answer.Headers["Location"], ""); got != records {
		t.Errorf("the file holds %q, want %q", got, records)
	}
}

// fetch asks a server that is not ours, as anybody would.
func fetch(t *testing.T, method, url, body string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	got, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %d %s, %v", method, url, answer.StatusCode, got, err)
	}
	return string(got)
}
