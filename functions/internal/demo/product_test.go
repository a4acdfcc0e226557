package demo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jobhook/jobhook/shared/format"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// product stands in for the API and all behind it: it posts what a write
// leads to before it answers, and retries once, at once.
type product struct {
	url      string
	t        *testing.T
	forge    bool   // sign with another secret
	renumber bool   // give a retry a new webhook-id
	refuse   string // a path that is refused

	lock      sync.Mutex
	records   bool
	jobs      map[string]map[string]any
	urls      map[string]string // accounts' default URLs
	endpoints map[string]string // URLs by id
	secret    webhook.Secret
}

func newProduct(t *testing.T) *product {
	p := &product{t: t, jobs: map[string]map[string]any{}, urls: map[string]string{}, endpoints: map[string]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /v1/accounts/{id}", p.putAccount)
	mux.HandleFunc("POST /v1/accounts/{id}/keys", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"key":"jh_live_a_b"}`)
	})
	mux.HandleFunc("POST /v1/accounts/{id}/portal-links", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"url":"http://localhost:8080/portal?token=pl_1"}`)
	})
	mux.HandleFunc("GET /v1/endpoints", p.listEndpoints)
	mux.HandleFunc("POST /v1/endpoints", p.createEndpoint)
	mux.HandleFunc("DELETE /v1/endpoints/{id}", p.deleteEndpoint)
	mux.HandleFunc("PUT /v1/jobs/{id}", p.writeJob)
	mux.HandleFunc("PATCH /v1/jobs/{id}", p.writeJob)
	mux.HandleFunc("POST /v1/jobs/{id}/runs/{n}/records", p.takeRecords)
	mux.HandleFunc("/v1/deliveries", p.deliveries)
	mux.HandleFunc("/v1/deliveries/{id}", p.deliveries)
	all := http.NewServeMux()
	all.Handle("/", p.guard(mux))
	all.HandleFunc("GET "+pathDownloads, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "a file") })
	server := httptest.NewServer(all)
	t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

func (p *product) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.lock.Lock()
		defer p.lock.Unlock()
		switch {
		case r.Header.Get("Authorization") != "Bearer jh_live_a_b":
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == p.refuse:
			w.WriteHeader(http.StatusUnprocessableEntity)
			fmt.Fprint(w, `{"detail":"No.","errors":[{"field":"name","problem":"it is odd","cure":"write another"}]}`)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func (p *product) putAccount(_ http.ResponseWriter, r *http.Request) {
	if url, ok := p.read(r)["webhook_url"].(string); ok {
		p.urls[r.PathValue("id")] = url
	}
}

func (p *product) listEndpoints(w http.ResponseWriter, _ *http.Request) {
	items := []map[string]string{}
	for id := range p.endpoints {
		items = append(items, map[string]string{"id": id})
	}
	json.NewEncoder(w).Encode(map[string]any{"items": items})
}

func (p *product) createEndpoint(w http.ResponseWriter, r *http.Request) {
	p.secret = webhook.NewSecret()
	p.endpoints[fmt.Sprintf("ep_%d", len(p.endpoints))] = p.read(r)["url"].(string)
	fmt.Fprintf(w, `{"secret":%q}`, string(p.secret))
}

func (p *product) deleteEndpoint(w http.ResponseWriter, r *http.Request) {
	delete(p.endpoints, r.PathValue("id"))
	w.WriteHeader(http.StatusNoContent)
}

func (p *product) deliveries(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprint(w, `{"items":[{"id":"dlv_1","state":"delivered"}]}`)
}

func (p *product) read(r *http.Request) map[string]any {
	var body map[string]any
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		p.t.Errorf("%s %s: %v", r.Method, r.URL, err)
	}
	return body
}

func (p *product) writeJob(_ http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	old, next := p.jobs[id], map[string]any{"id": id, "run": 1, "created_at": time.Now()}
	if old != nil {
		next = maps.Clone(old)
	}
	body := p.read(r)
	if body["kind"] == "batch" {
		next["run"] = 0
	}
	for name, value := range body {
		if next[name] = value; value == nil {
			delete(next, name)
		}
	}
	if p.records && next["status"] == "idle" && next["ended_at"] != nil {
		next["result_set"] = map[string]any{"id": 1, "token": "tok", "pages": 1, "records": 3, "csv_hash": "abc"}
	}
	p.jobs[id] = next
	c := job.Change{New: p.decode(next), At: time.Now(), Sequence: fmt.Sprint(time.Now().UnixNano())}
	if old != nil {
		before := p.decode(old)
		c.Old = &before
	}
	p.tell(c)
}

// takeRecords reads records, whose files it has when their run ends.
func (p *product) takeRecords(_ http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || bytes.Count(body, []byte("\n")) != len(searches()) {
		p.t.Errorf("records %q, %v", body, err)
	}
	p.records = true
}

func (p *product) decode(record map[string]any) job.Job {
	text, _ := json.Marshal(record)
	j, err := job.Decode(text)
	if err != nil {
		p.t.Errorf("the demo wrote %s: %v", text, err)
	}
	return j
}

// tell sends the webhooks of a change.
func (p *product) tell(c job.Change) {
	transition, err := c.Transition()
	if err != nil {
		p.t.Errorf("the demo wrote a change that cannot be: %v", err)
	}
	var types []webhook.EventType
	if transition.Ended {
		types = append(types, webhook.EndOf(c.New.Outcome()))
	}
	if transition.ResultSetReady {
		types = append(types, webhook.ResultSetReady)
	}
	if transition.Progress {
		types = append(types, webhook.JobProgress)
	}
	for _, typ := range types {
		e := webhook.Event{ID: webhook.EventID(c.New, typ, c.Sequence), Type: typ, Account: c.New.Account,
			Kind: c.New.Kind, JobID: c.New.ID, At: c.At, Level: transition.Level, Record: c.New.Record}
		p.send(e, c.New)
	}
}

func (p *product) send(e webhook.Event, j job.Job) {
	f, secrets := format.ForKind(j.Kind), []webhook.Secret(nil)
	url, _, ok := format.JobURL(j, e.Type)
	if !ok {
		url = p.urls[j.Account]
	}
	if j.Account == accountStandard {
		f, _ = format.Lookup(format.Standard)
		secrets = []webhook.Secret{p.secret}
		if p.forge {
			secrets = []webhook.Secret{webhook.NewSecret()}
		}
		for _, url = range p.endpoints {
		}
		if e.Type != webhook.JobFinished {
			return
		}
	}
	if url == "" || f.Declines(e, j) != "" {
		return
	}
	body, err := f.Encode(e, p.url)
	if err != nil {
		p.t.Errorf("encode: %v", err)
	}
	if p.post(url, e.ID, body, secrets) >= 500 {
		if p.renumber {
			e.ID += "x"
		}
		p.post(url, e.ID, body, secrets)
	}
}

func (p *product) post(url, id string, body format.Body, secrets []webhook.Secret) int {
	req, _ := http.NewRequest(http.MethodPost, url, bytes.NewReader(body.Bytes))
	req.Header.Set("Content-Type", body.ContentType)
	if err := webhook.Sign(req.Header, secrets, id, time.Now(), body.Bytes); err != nil {
		p.t.Errorf("sign: %v", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Errorf("post: %v", err)
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

// watched is an output that tells when a text was written to it.
type watched struct {
	lock sync.Mutex
	text strings.Builder
	want string
	then func()
}

func (w *watched) when(text string, then func()) { w.want, w.then = text, then }

func (w *watched) Write(b []byte) (int, error) {
	w.lock.Lock()
	defer w.lock.Unlock()
	w.text.Write(b)
	if strings.Contains(string(b), w.want) {
		w.then()
	}
	return len(b), nil
}

func (w *watched) String() string {
	w.lock.Lock()
	defer w.lock.Unlock()
	return w.text.String()
}
