package format

import (
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// JobURL returns the URL that the job itself names for events of this type,
// and the path of the attribute that holds it, for messages about it. A batch
// names one for its result sets (notification_webhook), a pipeline one for
// progress and one for its end (webhooks.progress, webhooks.result). It
// reports false when the job names none. The URL is as the record has it,
// checked by nobody.
func JobURL(j job.Job, t webhook.EventType) (url, attribute string, ok bool) {
	switch j.Kind {
	case job.KindBatch:
		url, attribute = batchURL(j, t)
	case job.KindPipeline:
		url, attribute = pipelineURL(j, t)
	}
	if url == "" {
		return "", "", false
	}
	return url, attribute, true
}

func batchURL(j job.Job, t webhook.EventType) (url, attribute string) {
	b, err := j.Batch()
	if err != nil || t != webhook.ResultSetReady {
		return "", ""
	}
	return b.NotificationWebhook, "notification_webhook"
}

func pipelineURL(j job.Job, t webhook.EventType) (url, attribute string) {
	p, err := j.Pipeline()
	if err != nil {
		return "", ""
	}
	switch t {
	case webhook.JobProgress:
		return p.Webhooks.Progress, "webhooks.progress"
	case webhook.JobFinished, webhook.JobFailed, webhook.JobStopped:
		return p.Webhooks.Result, "webhooks.result"
	}
	return "", ""
}
