package demo

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jobhook/jobhook/shared/format"
	"github.com/jobhook/jobhook/shared/webhook"
)

const finished = `{"type":"job.finished","timestamp":"2026-03-01T10:00:00.000Z","data":{"job_id":"7","outcome":"succeeded"}}`

// signed is a webhook in the standard format.
func signed(t *testing.T, id string, secret webhook.Secret, body string) webhookRequest {
	t.Helper()
	h := http.Header{"Content-Type": {"application/json"}}
	if err := webhook.Sign(h, []webhook.Secret{secret}, id, time.Now(), []byte(body)); err != nil {
		t.Fatal(err)
	}
	return webhookRequest{path: pathStandard, header: h, body: []byte(body)}
}

func expecting(e expectation) *receiver {
	r := &receiver{url: "http://demo", files: files{"a.json": nil}, changed: make(chan struct{})}
	r.expect(e)
	return r
}

func TestReceiverJudgesASignedWebhook(t *testing.T) {
	secret := webhook.NewSecret()
	tampered := signed(t, "evt_1", secret, finished)
	tampered.body = bytes.Replace(tampered.body, []byte("10:00"), []byte("11:00"), 1)
	asForm := signed(t, "evt_1", secret, finished)
	asForm.header.Set("Content-Type", "application/x-www-form-urlencoded")
	elsewhere := signed(t, "evt_1", secret, finished)
	elsewhere.path = "/hooks"
	rows := []struct {
		name   string
		q      webhookRequest
		status int
		checks string
	}{
		{"good", signed(t, "evt_1", secret, finished), 200, "the HMAC signature matches"},
		{"other secret", signed(t, "evt_1", webhook.NewSecret(), finished), 422, "the signature does not match"},
		{"tampered", tampered, 422, "the signature does not match"},
		{"no JSON", signed(t, "evt_1", secret, "hello"), 422, "invalid character"},
		{"other type", signed(t, "evt_1", secret, strings.Replace(finished, "job.finished", "job.failed", 1)), 422, "type is not job.finished"},
		{"wrong content type", asForm, 422, "content-type"},
		{"job of an earlier start", signed(t, "evt_1", webhook.NewSecret(), strings.Replace(finished, `"7"`, `"6"`, 1)), 200, "not checked"},
		{"a test sent by hand", signed(t, "evt_1", secret, `{"type":"webhook.test","timestamp":"2026-03-01T10:00:00.000Z","data":{}}`), 200, "a test"},
		{"unknown path", elsewhere, 200, "not checked"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			r := expecting(expectation{format: format.Standard, jobID: "7", webhooks: 1, keys: []string{string(secret)}})
			v := r.judge(row.q)
			if v.status != row.status || !strings.Contains(v.checks, row.checks) {
				t.Errorf("judge = %d, %q; want %d, %q", v.status, v.checks, row.status, row.checks)
			}
			if wrong := r.expects[0].wrong != ""; wrong != (row.status == 422) {
				t.Errorf("wrong is %q at status %d", r.expects[0].wrong, v.status)
			}
		})
	}
}

func TestBodiesAreCheckedInTheirFormat(t *testing.T) {
	const links = `"download_links":{"json":{"pages":["http://demo/files/a.json"],"all_pages":"http://demo/files/a.json"},"csv":{"pages":["http://demo/files/a.json"],"all_pages":"http://demo/files/a.json"}}`
	const batch = `{"request_info":{"success":true,"type":"batch_resultset_completed"},"batch":{"id":"7"},"result_set":{"id":1,` + links + `}}`
	rows := []struct {
		format, path, body string
		wrong              string // "" for a good body
	}{
		{format.SerpWow, pathSerpWow, batch, ""},
		{format.SerpWow, pathSerpWow, strings.Replace(batch, "true", "false", 1), "request_info"},
		{format.SerpWow, pathSerpWow, strings.Replace(batch, `"id":1`, `"id":2`, 1), "result_set.id"},
		{format.SerpWow, pathSerpWow, strings.Replace(batch, "a.json", "b.json", 1), "leads to no file"},
		{format.SerpWow, pathSerpWow, strings.Replace(batch, `"csv"`, `"jsonlines"`, 1), "download_links"},
		{format.WebScraper, pathWebScraper, "scrapingjob_id=7&status=finished&sitemap_id=12&sitemap_name=a+b", ""},
		{format.WebScraper, pathWebScraper, "scrapingjob_id=7&status=failed&sitemap_id=12&sitemap_name=a+b", "status"},
		{format.WebScraper, pathWebScraper, "scrapingjob_id=7&status=finished", "sitemap"},
		{format.HKube, pathProgress, `{"jobId":"7","level":"debug","status":"active","data":{"progress":"33.33"}}`, ""},
		{format.HKube, pathProgress, `{"jobId":"7","level":"debug","status":"asleep","data":{}}`, "status"},
		{format.HKube, pathProgress, `{"jobId":"7","status":"active","data":{}}`, "level"},
		{format.HKube, pathResult, `{"jobId":"7","status":"completed","data":{"result":[{},{},{}]}}`, ""},
		{format.HKube, pathResult, `{"jobId":"7","status":"failed"}`, "result"},
		{format.SocialData, pathSocialData, `{"event":"job_finished","data":{"job_id":7,"status":"success","result":{"datafile_url":"http://demo/files/a.json"}}}`, ""},
		{format.SocialData, pathSocialData, `{"event":"job_finished","data":{"job_id":7,"status":"error"}}`, "status"},
		{format.SocialData, pathSocialData, `{"event":"job_finished","data":{"job_id":7,"status":"success"}}`, "datafile_url"},
	}
	linked := func(url string) bool { return url == "http://demo/files/a.json" }
	for _, row := range rows {
		contentType := "application/json"
		if row.format == format.WebScraper {
			contentType = "application/x-www-form-urlencoded"
		}
		q := webhookRequest{path: row.path, header: http.Header{"Content-Type": {contentType}}, body: []byte(row.body)}
		got, err := q.read(row.format, linked)
		if row.wrong == "" && err != nil || row.wrong != "" && (err == nil || !strings.Contains(err.Error(), row.wrong)) {
			t.Errorf("%s %s: %v, want %q", row.format, row.body, err, row.wrong)
		}
		if got.jobID != "7" {
			t.Errorf("%s: job %q is read, want 7", row.format, got.jobID)
		}
	}
}

func TestFirstRequestIsRefusedAndItsRetryRecognised(t *testing.T) {
	secret := webhook.NewSecret()
	e := expectation{format: format.Standard, jobID: "7", webhooks: 1, refusals: 1, keys: []string{string(secret)}}
	r := expecting(e)
	for i, want := range []int{503, 200, 200} {
		if v := r.judge(signed(t, "evt_1", secret, finished)); v.status != want {
			t.Errorf("request %d is answered %d, want %d", i+1, v.status, want)
		}
	}
	if got, want := r.totals()[0], (total{format.Standard, 1, 3}); got != want {
		t.Errorf("totals = %+v, want %+v", got, want)
	}
	r = expecting(e)
	r.judge(signed(t, "evt_1", secret, finished))
	if v := r.judge(signed(t, "evt_2", secret, finished)); v.status != 422 {
		t.Errorf("a retry with another webhook-id is answered %d, want 422", v.status)
	}
}

func TestWaitingEndsWithWhatIsMissing(t *testing.T) {
	r := expecting(expectation{format: format.HKube, jobID: "7", webhooks: 5})
	r.expect(expectation{format: format.Standard, jobID: "8", webhooks: 1, refusals: 1})
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("time is up"))
	got := strings.Join(r.await(ctx), "; ")
	if want := "hkube: 0 of 5 webhooks arrived; standard: no webhook arrived; time is up"; got != want {
		t.Errorf("await = %q, want %q", got, want)
	}
}
