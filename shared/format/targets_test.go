package format_test

import (
	"testing"

	"github.com/jobhook/jobhook/shared/format"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

func TestJobNamesItsOwnURLs(t *testing.T) {
	const (
		batch     = `{"account":"a","kind":"batch","id":"1","status":"idle","run":1,"notification_webhook":"https://b.example/"}`
		bareBatch = `{"account":"a","kind":"batch","id":"1","status":"idle","run":1}`
		pipeline  = `{"account":"a","kind":"pipeline","id":"1","status":"active","webhooks":{"progress":"https://p.example/","result":"https://r.example/"}}`
		half      = `{"account":"a","kind":"pipeline","id":"1","status":"active","webhooks":{"result":"https://r.example/"}}`
		scraping  = `{"account":"a","kind":"scraping","id":"1","status":"finished","notification_webhook":"https://b.example/"}`
		async     = `{"account":"a","kind":"async","id":"1","status":"success","webhooks":{"result":"https://r.example/"}}`
	)
	type named struct {
		url, attribute string
		ok             bool
	}
	none := named{}
	tests := []struct {
		name   string
		record string
		event  webhook.EventType
		want   named
	}{
		{"batch, result set", batch, webhook.ResultSetReady, named{"https://b.example/", "notification_webhook", true}},
		{"batch, end", batch, webhook.JobFinished, none},
		{"batch, progress", batch, webhook.JobProgress, none},
		{"batch without URL", bareBatch, webhook.ResultSetReady, none},
		{"pipeline, progress", pipeline, webhook.JobProgress, named{"https://p.example/", "webhooks.progress", true}},
		{"pipeline, finished", pipeline, webhook.JobFinished, named{"https://r.example/", "webhooks.result", true}},
		{"pipeline, failed", pipeline, webhook.JobFailed, named{"https://r.example/", "webhooks.result", true}},
		{"pipeline, stopped", pipeline, webhook.JobStopped, named{"https://r.example/", "webhooks.result", true}},
		{"pipeline, result set", pipeline, webhook.ResultSetReady, none},
		{"pipeline, test", pipeline, webhook.WebhookTest, none},
		{"pipeline without progress URL, progress", half, webhook.JobProgress, none},
		{"pipeline without progress URL, finished", half, webhook.JobFinished, named{"https://r.example/", "webhooks.result", true}},
		{"scraping job", scraping, webhook.ResultSetReady, none},
		{"async job", async, webhook.JobFinished, none},
	}
	for _, tt := range tests {
		var got named
		got.url, got.attribute, got.ok = format.JobURL(decode(t, tt.record), tt.event)
		if got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
	if _, _, ok := format.JobURL(job.Job{}, webhook.JobFinished); ok {
		t.Error("no job: got a URL, want none")
	}
}
