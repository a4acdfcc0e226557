package demo

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/jobhook/jobhook/shared/format"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// The accounts, one for each job, so that none hears of another's.
const (
	accountSerpWow    = "demo-serpwow"
	accountWebScraper = "demo-webscraper"
	accountHKube      = "demo-hkube"
	accountSocialData = "demo-socialdata"
	accountStandard   = "demo-standard"
)

// settling is how long a job's next write waits for the webhooks of the one
// before. It is for people: they read them in order, which nobody promises.
const settling = 3 * time.Second

// cast holds the ids of the jobs. They are new at every start, since a job
// that has ended cannot be played again.
type cast struct {
	batch, scraping, pipeline, async, signed string
}

func newCast(now time.Time) cast {
	var b [16]byte
	rand.Read(b[:]) // never fails, see crypto/rand
	ms := now.UnixMilli()
	return cast{
		batch:    fmt.Sprintf("%X", b[:4]),
		scraping: strconv.FormatInt(ms, 10),
		pipeline: fmt.Sprintf("demo-pipeline:%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]),
		async:    strconv.FormatInt(ms+1, 10),
		signed:   strconv.FormatInt(ms+2, 10),
	}
}

// scene is one job to play.
type scene struct {
	format string
	about  string
	run    func(context.Context) error
}

func (s *show) plays() []scene {
	return []scene{
		{format.SerpWow, "a batch of searches ends; its records become files, and their links are told", s.playBatch},
		{format.WebScraper, "a scraping job finishes; a form goes to the account's URL", s.playScraping},
		{format.HKube, "a pipeline tells of its progress, and of its result", s.playPipeline},
		{format.SocialData, "an async job succeeds; its data file is named", s.playAsync},
		{format.Standard, "a signed webhook, refused at first: watch the retry", s.playSigned},
	}
}

// fields are attributes of a record.
type fields map[string]any

// move is one write to a job's record, and how many webhooks its format has
// in all when it has had its effect.
type move struct {
	write    fields
	webhooks int
}

// writeJob writes a job: the whole record first, then what changes.
func (s *show) writeJob(ctx context.Context, format, id string, moves ...move) error {
	if err := s.move(ctx, http.MethodPut, format, id, moves[0]); err != nil {
		return err
	}
	return s.patchJob(ctx, format, id, moves[1:]...)
}

// patchJob writes what changes of a job.
func (s *show) patchJob(ctx context.Context, format, id string, moves ...move) error {
	for _, m := range moves {
		if err := s.move(ctx, http.MethodPatch, format, id, m); err != nil {
			return err
		}
	}
	return nil
}

func (s *show) move(ctx context.Context, method, format, id string, m move) error {
	path := "/v1/jobs/" + url.PathEscape(id)
	s.out.write(method, path, m.write)
	if err := s.api.call(ctx, method, path, m.write, nil); err != nil {
		return err
	}
	s.settle(ctx, format, m.webhooks)
	return nil
}

func (s *show) settle(ctx context.Context, format string, webhooks int) {
	ctx, cancel := context.WithTimeout(ctx, settling)
	defer cancel()
	s.receiver.waitFor(ctx, format, webhooks)
}

func (s *show) writeAccount(ctx context.Context, id string, account fields) error {
	s.out.write(http.MethodPut, "/v1/accounts/"+id, account)
	return s.api.call(ctx, http.MethodPut, "/v1/accounts/"+id, account, nil)
}

// hears is an account whose webhooks go to one URL, in the format of each
// job's kind.
func (s *show) hears(name, path string) fields {
	return fields{"name": name, "webhook_url": s.receiver.url + path, "signing": "none"}
}

func (s *show) playBatch(ctx context.Context) error {
	if err := s.writeAccount(ctx, accountSerpWow, fields{"name": "Demo: batches"}); err != nil {
		return err
	}
	s.receiver.expect(expectation{format: format.SerpWow, jobID: s.ids.batch, webhooks: 1})
	if err := s.writeJob(ctx, format.SerpWow, s.ids.batch,
		move{fields{
			"account": accountSerpWow, "kind": job.KindBatch, "status": "idle", "name": "My Second Batch", "searches_total": 3,
			"notification_webhook": s.receiver.url + pathSerpWow, "notification_as_json": true, "notification_as_csv": true,
			"notification_csv_fields": csvFields,
		}, 0}); err != nil {
		return err
	}
	began := time.Now().UTC().Truncate(time.Millisecond)
	if err := s.patchJob(ctx, format.SerpWow, s.ids.batch,
		move{fields{"status": "queued", "run": 1}, 0},
		move{fields{"status": "running", "started_at": began}, 0}); err != nil {
		return err
	}
	if err := s.uploadRecords(ctx, "/v1/jobs/"+s.ids.batch+"/runs/1/records"); err != nil {
		return err
	}
	return s.patchJob(ctx, format.SerpWow, s.ids.batch,
		move{fields{"status": "idle", "ended_at": time.Now().UTC().Truncate(time.Millisecond), "searches_completed": 3, "searches_failed": 0}, 1})
}

// uploadRecords sends what the batch found; files of it are Jobhook's work.
func (s *show) uploadRecords(ctx context.Context, path string) error {
	lines, err := jsonLines(searches())
	if err != nil {
		return err
	}
	s.out.upload(path, lines)
	return s.api.upload(ctx, path, "application/x-ndjson", lines)
}

func (s *show) playScraping(ctx context.Context) error {
	if err := s.writeAccount(ctx, accountWebScraper, s.hears("Demo: scraping", pathWebScraper)); err != nil {
		return err
	}
	s.receiver.expect(expectation{format: format.WebScraper, jobID: s.ids.scraping, webhooks: 1})
	return s.writeJob(ctx, format.WebScraper, s.ids.scraping, scrapingMoves(accountWebScraper)...)
}

// scrapingMoves take a scraping job from its start to its good end.
func scrapingMoves(account string) []move {
	return []move{
		{fields{"account": account, "kind": job.KindScraping, "status": "waiting-to-be-scheduled",
			"sitemap_id": 12, "sitemap_name": "my-sitemap", "time_created": time.Now().Unix()}, 0},
		{fields{"status": "started", "jobs_scheduled": 10}, 0},
		{fields{"status": "finished", "jobs_executed": 10, "jobs_failed": 0, "jobs_empty": 0, "stored_record_count": 250}, 1},
	}
}

func (s *show) playPipeline(ctx context.Context) error {
	if err := s.writeAccount(ctx, accountHKube, fields{"name": "Demo: pipelines"}); err != nil {
		return err
	}
	s.receiver.expect(expectation{format: format.HKube, jobID: s.ids.pipeline, webhooks: 5})
	node := fields{"nodeName": "green", "algorithmName": "green-alg"}
	return s.writeJob(ctx, format.HKube, s.ids.pipeline,
		move{fields{
			"account": accountHKube, "kind": job.KindPipeline, "status": "pending", "name": "demo-pipeline", "nodes": []fields{node},
			"webhooks": fields{"progress": s.receiver.url + pathProgress, "result": s.receiver.url + pathResult},
			"options":  fields{"progressVerbosityLevel": job.LevelDebug},
		}, 1},
		move{fields{"status": "active", "progress": 0}, 2},
		move{fields{
			"progress": 33.33, "details": "33.33% completed, 1 succeed, 2 active",
			"activeNodes": []fields{{"nodeName": "green", "algorithmName": "green-alg", "batch": fields{"active": 2, "total": 3}}},
		}, 3},
		move{fields{
			"status": "completed", "progress": 100, "details": "100.00% completed, 3 succeed", "activeNodes": nil,
			"result": pipelineResults(),
		}, 5})
}

func pipelineResults() []job.NodeResult {
	var list []job.NodeResult
	for i := 1; i <= 3; i++ {
		list = append(list, job.NodeResult{
			NodeName: "green", AlgorithmName: "green-alg",
			BatchID: fmt.Sprintf("green#%d", i), Result: json.RawMessage(strconv.Itoa(10 * i)),
		})
	}
	return list
}

func (s *show) playAsync(ctx context.Context) error {
	if err := s.writeAccount(ctx, accountSocialData, s.hears("Demo: async jobs", pathSocialData)); err != nil {
		return err
	}
	s.receiver.expect(expectation{format: format.SocialData, jobID: s.ids.async, webhooks: 1})
	return s.writeJob(ctx, format.SocialData, s.ids.async,
		move{fields{"account": accountSocialData, "kind": job.KindAsync, "status": "pending"}, 0},
		move{fields{
			"status": "success",
			"result": fields{"datafile_url": s.receiver.url + pathFiles + dataFile(s.ids.async)},
		}, 1})
}

func (s *show) playSigned(ctx context.Context) error {
	if err := s.writeAccount(ctx, accountStandard, fields{"name": "Demo: signed webhooks"}); err != nil {
		return err
	}
	secret, err := s.newEndpoint(ctx)
	if err != nil {
		return err
	}
	s.receiver.expect(expectation{format: format.Standard, jobID: s.ids.signed, webhooks: 1, refusals: 1, keys: []string{secret}})
	return s.writeJob(ctx, format.Standard, s.ids.signed, scrapingMoves(accountStandard)...)
}

// newEndpoint makes the signed endpoint and returns its secret. One of an
// earlier start is deleted: its secret was shown then, and never again.
func (s *show) newEndpoint(ctx context.Context) (secret string, err error) {
	path := "/v1/endpoints?account=" + accountStandard
	var old struct {
		Items []struct {
			ID string `json:"id"`
		} `json:"items"`
	}
	if err := s.api.call(ctx, http.MethodGet, path, nil, &old); err != nil {
		return "", err
	}
	for _, e := range old.Items {
		if err := s.api.call(ctx, http.MethodDelete, "/v1/endpoints/"+url.PathEscape(e.ID)+"?account="+accountStandard, nil, nil); err != nil {
			return "", err
		}
	}
	in := fields{"url": s.receiver.url + pathStandard, "format": format.Standard, "types": []webhook.EventType{webhook.JobFinished}, "signing": "hmac"}
	s.out.write(http.MethodPost, path, in)
	var made struct {
		Secret string `json:"secret"`
	}
	err = s.api.call(ctx, http.MethodPost, path, in, &made)
	return made.Secret, err
}

// findDelivery waits until the API shows the signed webhook as delivered,
// which it was a moment ago, and keeps the delivery's id.
func (s *show) findDelivery(ctx context.Context) error {
	path := "/v1/deliveries?account=" + accountStandard + "&job=" + s.ids.signed
	state := "missing"
	for {
		var list struct {
			Items []struct {
				ID    string `json:"id"`
				State string `json:"state"`
			} `json:"items"`
		}
		if err := s.api.call(ctx, http.MethodGet, path, nil, &list); err != nil {
			return err
		}
		if len(list.Items) > 0 {
			s.delivery, state = list.Items[0].ID, list.Items[0].State
		}
		if state == string(webhook.StateDelivered) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: its delivery is shown as %s, not delivered; %w", format.Standard, state, context.Cause(ctx))
		case <-time.After(100 * time.Millisecond):
		}
	}
}
