package compat_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jobhook/jobhook/functions/internal/compat"
	"github.com/jobhook/jobhook/functions/internal/deliver"
	"github.com/jobhook/jobhook/functions/internal/resend"
	"github.com/jobhook/jobhook/shared/disk"
	"github.com/jobhook/jobhook/shared/files"
	"github.com/jobhook/jobhook/shared/format"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/sqlite"
	"github.com/jobhook/jobhook/shared/webhook"
)

const publicURL = "https://jobhook.example"

// Keys of the site: account keys are the accounts' names.
const (
	acme     = "acme"
	other    = "other"
	platform = "platform"
	operator = "operator"
)

// plain keeps secrets as they are.
type plain struct{}

func (plain) Seal(b []byte, _ string) ([]byte, error) { return b, nil }
func (plain) Open(b []byte, _ string) ([]byte, error) { return b, nil }

// now is when all requests are made.
func now() time.Time { return time.Date(2020, 1, 2, 0, 0, 0, 0, time.UTC) }

// receiver stands for all receivers: it answers as it is told to.
type receiver struct {
	lock   sync.Mutex
	result webhook.Result
	asked  []webhook.Request
}

func (r *receiver) Post(_ context.Context, req webhook.Request) (webhook.Result, webhook.Timing) {
	r.lock.Lock()
	defer r.lock.Unlock()
	r.asked = append(r.asked, req)
	return r.result, webhook.Timing{}
}

// silent is a queue that nobody listens to.
type silent struct{}

func (silent) Ring(context.Context, []webhook.Doorbell) error { return nil }

// site is the handler over a store and a folder of files.
type site struct {
	http.Handler
	t        testing.TB
	config   compat.Config
	store    *sqlite.Store
	files    *disk.Files
	receiver *receiver
	log      *bytes.Buffer
}

// newSite returns a site with what fill puts into it.
func newSite(t testing.TB) *site {
	t.Helper()
	store, err := sqlite.Open(t.Context(), t.TempDir(), sqlite.Options{Sealer: plain{}, Durability: sqlite.DurableProcess})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	s := &site{t: t, store: store, files: disk.New(t.TempDir()), receiver: &receiver{result: webhook.Result{Status: 200}}, log: &bytes.Buffer{}}
	log := slog.New(slog.NewTextHandler(s.log, nil))
	sender := &resend.Sender{Store: store, Queue: silent{}, PublicURL: publicURL, Now: now, Log: log, Deliver: &deliver.Handler{
		Store: store, Queue: resend.Hidden{Queue: silent{}}, Sender: s.receiver, PublicURL: publicURL, Now: now, Log: log,
		Pause: func(time.Duration) {},
	}}
	s.config = compat.Config{
		Store: store, Files: s.files, Resend: sender, Authenticate: authenticate, PublicURL: publicURL, Now: now, Log: log,
	}
	s.with(func(*compat.Config) {})
	s.fill()
	return s
}

func authenticate(_ context.Context, full string) (webhook.Key, error) {
	switch full {
	case acme, other:
		return webhook.Key{Scope: webhook.ScopeAccount, Account: full}, nil
	case platform:
		return webhook.Key{Scope: webhook.ScopePlatform}, nil
	case operator:
		return webhook.Key{Scope: webhook.ScopeOperator}, nil
	}
	return webhook.Key{}, webhook.ErrNotFound
}

// with serves with a changed configuration from now on.
func (s *site) with(change func(*compat.Config)) {
	change(&s.config)
	s.Handler = compat.New(s.config)
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// get asks with a key, as the system that the target belongs to wants it.
func (s *site) get(key, target string) answer { return s.do(key, http.MethodGet, target) }

func (s *site) do(key, method, target string) answer {
	s.t.Helper()
	name := map[bool]string{strings.HasPrefix(target, "/serpwow"): "api_key", strings.HasPrefix(target, "/webscraper"): "api_token"}[true]
	if key != "" && name != "" {
		mark := "?"
		if strings.Contains(target, "?") {
			mark = "&"
		}
		target += mark + name + "=" + key
	}
	r := httptest.NewRequest(method, target, nil)
	if key != "" && name == "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return answer{w.Code, w.Header(), w.Body.String()}
}

// write writes a job and returns it.
func (s *site) write(record string) job.Job {
	s.t.Helper()
	j, err := job.Decode([]byte(record))
	if err != nil {
		s.t.Fatalf("%v in %s", err, record)
	}
	if _, _, err := s.store.WriteJob(s.t.Context(), j.ID, j.Kind, func(*job.Job) (job.Job, error) { return j, nil }); err != nil {
		s.t.Fatal(err)
	}
	return j
}

// example writes a job of the formats' examples.
func (s *site) example(name string) job.Job {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join("../../../shared/format/testdata", name+".record.json"))
	if err != nil {
		s.t.Fatal(err)
	}
	return s.write(string(b))
}

// told is an event of a job as it is now, and where it went.
type told struct {
	job      job.Job
	typ      webhook.EventType
	at       time.Time
	level    job.Level
	sequence string
	targets  []webhook.Target
}

// tell stores an event and returns its deliveries.
func (s *site) tell(e told) []webhook.Delivery {
	s.t.Helper()
	p := webhook.Planned{Event: webhook.Event{
		ID: webhook.EventID(e.job, e.typ, e.sequence), Type: e.typ, Account: e.job.Account, Kind: e.job.Kind, JobID: e.job.ID,
		Run: e.job.Run, At: e.at, Level: e.level, Sequence: e.sequence, Record: e.job.Record,
	}}
	for _, target := range e.targets {
		d := webhook.Delivery{
			ID: webhook.DeliveryID(p.Event.ID, target), Account: e.job.Account, EventID: p.Event.ID, EventType: e.typ,
			Kind: e.job.Kind, JobID: e.job.ID, Run: e.job.Run, Sequence: e.sequence, Target: target,
			State: webhook.StateQueued, Generation: 1, CreatedAt: e.at, UpdatedAt: e.at,
			ExpiresAt: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC), Deadline: e.at.Add(24 * time.Hour),
		}
		if target == (webhook.Target{}) {
			d.State, d.Reason = webhook.StateDeclined, "no target: the account has no endpoint and the job names no URL"
		}
		p.Deliveries = append(p.Deliveries, d)
	}
	if _, err := s.store.Put(s.t.Context(), []webhook.Planned{p}); err != nil {
		s.t.Fatal(err)
	}
	return p.Deliveries
}

// attempt records an attempt of a delivery, which it returns as it is then.
func (s *site) attempt(d webhook.Delivery, at time.Time, state webhook.State, r webhook.Result) webhook.Delivery {
	s.t.Helper()
	next := d
	next.State, next.Attempts, next.UpdatedAt = state, d.Attempts+1, at
	next.LastStatus, next.LastFailure, next.Reason = r.Status, string(r.Failure), r.Summary()
	if state == webhook.StateDelivered {
		next.DeliveredAt = at
	}
	a := webhook.Attempt{Account: d.Account, Delivery: d.ID, Generation: d.Generation, At: at, URL: d.Target.URL, Result: r, State: state}
	if err := s.store.Record(s.t.Context(), d, next, &a); err != nil {
		s.t.Fatal(err)
	}
	return next
}

// put keeps a file.
func (s *site) put(key, body string) {
	s.t.Helper()
	if err := s.files.Put(s.t.Context(), key, strings.NewReader(body), files.Meta{}); err != nil {
		s.t.Fatal(err)
	}
}

func toURL(url, format string) webhook.Target { return webhook.Target{URL: url, Format: format} }

// clockAt is a time on 1 January 2020, just after midnight.
func clockAt(seconds int) time.Time {
	return time.Date(2020, 1, 1, 0, 0, seconds, 0, time.UTC)
}

// mustUnmarshal reads an answer's body.
func (a answer) mustUnmarshal(t testing.TB) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
	return v
}

// fill puts in what the golden files show.
func (s *site) fill() {
	s.t.Helper()
	s.fillBatches()
	s.fillScraping()
	s.fillPipelines()
	s.example("socialdata")
	s.example("socialdata_error")
	s.write(`{"account":"acme","kind":"async","id":44,"status":"processing","run":1}`)
	s.write(`{"account":"other","kind":"async","id":45,"status":"pending"}`)
}

// fillBatches writes the batch of SerpWow's page, with a run before that
// Jobhook exported, one with searches, and one that no webhook was set for.
func (s *site) fillBatches() {
	before := s.write(`{"account":"acme","kind":"batch","id":"9E867FAA","status":"idle","run":3,"name":"My Second Batch",
		"created_at":"2019-12-31T23:00:00Z","started_at":"2019-12-31T23:30:00.000Z","ended_at":"2019-12-31T23:30:20.000Z",
		"searches_total":1002,"searches_completed":1000,"searches_failed":2,
		"result_set":{"id":3,"token":"0123456789012345678901234567890123456789-3-abcdefghijklmnopqrstuvwxyz","pages":2,"records":1000,
			"csv_hash":"246f6e2e561c90958384aa76e455e2bc95ad3a01","expires_at":"2020-01-14T23:30:21Z"}}`)
	hook := toURL("https://example.com/hook", format.SerpWow)
	d := s.tell(told{before, webhook.ResultSetReady, clockAt(-1779), job.LevelInfo, "1", []webhook.Target{hook}})[0]
	s.attempt(d, clockAt(-1778), webhook.StateExhausted, webhook.Result{Failure: webhook.FailureTimeout, Code: "ETIMEDOUT", Detail: "no answer within 5s"})

	page := s.example("serpwow")
	d = s.tell(told{page, webhook.ResultSetReady, clockAt(11), job.LevelInfo, "2", []webhook.Target{hook}})[0]
	d = s.attempt(d, clockAt(12), webhook.StateWaiting, webhook.Result{Status: 500})
	s.attempt(d, clockAt(42), webhook.StateDelivered, webhook.Result{Status: 200})

	inputs := s.write(`{"account":"acme","kind":"batch","id":"searches/1","status":"queued","run":1,"name":"A batch & more",
		"created_at":"2020-01-01T00:00:00Z","schedule_type":"daily","schedule_hours":[9,17],"enabled":false,"credits_required":"none"}`)
	folder := files.InputsFolder(inputs.Account, inputs.Kind, inputs.ID)
	s.put(folder+files.Part(1), `{"q":"mcdonalds","location":"United States","id":"A"}`+"\n"+`{"q":"a < b & c","id":"B"}`+"\n")
	s.put(folder+files.Part(2), "\n"+`{ "q" : "last" , "id" : 1.50 }`)

	quiet := s.write(`{"account":"acme","kind":"batch","id":"QUIET","status":"idle","run":1,"created_at":"2020-01-01T00:00:00Z"}`)
	s.tell(told{quiet, webhook.ResultSetReady, clockAt(20), job.LevelInfo, "3", []webhook.Target{{}}})
	s.write(`{"account":"other","kind":"batch","id":"THEIRS","status":"idle"}`)
}

func (s *site) fillScraping() {
	j := s.example("webscraper")
	s.write(`{"account":"acme","kind":"scraping","id":1235,"status":"stopped","run":2,"sitemap_id":"sm-7","sitemap_name":"by name",
		"custom_id":99,"time_created":1577836800,"jobs_scheduled":10,"jobs_executed":4,"jobs_failed":1,"jobs_empty":2,"stored_record_count":3,
		"result_set":{"id":2,"files":{"jsonlines":{"pages":[],"all_pages":"https://files.example/1235.jsonl?a=1&b=2"}}}}`)
	s.write(`{"account":"acme","kind":"scraping","id":1236,"status":"finished","run":1,"records_run":1}`)
	s.write(`{"account":"other","kind":"scraping","id":77,"status":"started","run":1}`)

	set := webhook.ResultSet{Account: j.Account, Kind: j.Kind, JobID: j.ID, Run: 1, Token: webhook.NewResultSetToken(j.Account, j.Kind, j.ID, 1),
		State: webhook.ResultSetExported, Pages: 1, Records: 2, CSVHash: "246f6e2e561c90958384aa76e455e2bc95ad3a01",
		CreatedAt: clockAt(0), UpdatedAt: clockAt(0), ExpiresAt: now().Add(time.Hour)}
	if _, err := s.store.BeginResultSet(s.t.Context(), set); err != nil {
		s.t.Fatal(err)
	}
	folder := files.ResultsFolder(j.Account, j.Kind, j.ID, 1)
	named := job.ResultSet{ID: 1, CSVHash: set.CSVHash}
	s.put(folder+named.FileName(j.Kind, j.ID, job.FilesJSONLines, 0), `{"title":"a"}`+"\n"+`{"title":"b"}`+"\n")
	s.put(folder+named.FileName(j.Kind, j.ID, job.FilesCSV, 0), "\xef\xbb\xbftitle\r\na\r\nb\r\n")
}

// fillPipelines writes the pipelines of HKube's page and what was told of them.
func (s *site) fillPipelines() {
	progress, result := toURL("https://example.com/progress", format.HKube), toURL("https://example.com/result", format.HKube)
	at := func(text string) time.Time {
		parsed, err := time.Parse(time.RFC3339, text)
		if err != nil {
			s.t.Fatal(err)
		}
		return parsed
	}
	active := s.example("hkube_progress_active")
	s.tell(told{active, webhook.JobProgress, at("2018-01-16T14:27:16.056Z"), job.LevelDebug, "9", []webhook.Target{progress}})

	completed := s.example("hkube_progress_completed")
	s.tell(told{completed, webhook.JobFinished, at("2018-01-16T14:47:04.142Z"), job.LevelInfo, "11", []webhook.Target{result}})

	j := s.example("hkube_result_completed")
	end := at("2018-01-16T15:15:00.369Z")
	d := s.tell(told{j, webhook.JobFinished, end, job.LevelInfo, "12", []webhook.Target{result}})[0]
	s.attempt(d, end.Add(time.Second), webhook.StateDelivered, webhook.Result{Status: 302})
	d = s.tell(told{j, webhook.JobProgress, end, job.LevelInfo, "12", []webhook.Target{progress}})[0]
	d = s.attempt(d, end.Add(time.Second), webhook.StateWaiting, webhook.Result{Status: 503})
	s.attempt(d, end.Add(6*time.Second), webhook.StateExhausted, webhook.Result{Failure: webhook.FailureConnect, Code: "ECONNREFUSED", Detail: "the host refused the connection"})

	failed := s.example("hkube_result_failed")
	s.tell(told{failed, webhook.JobFailed, end, job.LevelError, "13", []webhook.Target{{}}})
	s.write(`{"account":"acme","kind":"pipeline","id":"untold:1","name":"untold","status":"pending"}`)
	s.write(`{"account":"other","kind":"pipeline","id":"theirs:1","name":"theirs","status":"stopped","run":1}`)
}

// broken is a store that panics or fails where it is told to.
type broken struct{ compat.Store }

func (broken) JobsByID(_ context.Context, id string) ([]job.Job, error) {
	if id == "panic" {
		panic("the roof is on fire")
	}
	return nil, fmt.Errorf("disk full at /secret/path: %w", io.ErrShortWrite)
}
