package main

import (
	"context"
	"net/http"
	"os"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/jobhook/jobhook/functions/internal/api"
	"github.com/jobhook/jobhook/functions/internal/compat"
	"github.com/jobhook/jobhook/functions/internal/lambdahost"
	"github.com/jobhook/jobhook/functions/internal/logline"
	"github.com/jobhook/jobhook/functions/internal/site"
	"github.com/jobhook/jobhook/shared/awsenv"
	"github.com/jobhook/jobhook/shared/dynamo"
	"github.com/jobhook/jobhook/shared/httpsend"
	"github.com/jobhook/jobhook/shared/kmsseal"
	"github.com/jobhook/jobhook/shared/s3files"
	"github.com/jobhook/jobhook/shared/setting"
	"github.com/jobhook/jobhook/shared/sqsqueue"
	"github.com/jobhook/jobhook/shared/webhook"
)

// maxUpload bounds a part that comes through the API: an event has at most 6 MB,
// and the part stands in it as base64. Larger parts go to the bucket by a link.
const maxUpload = 4 << 20

// maxSockets to receivers: a Lambda serves one request at a time, which sends
// one webhook at most.
const maxSockets = 20

// slashedIDs are the routes whose parameters may hold slashes, since they are
// the platform's own: accounts and jobs. The most specific come first.
func slashedIDs() []string {
	return []string{
		"/v1/accounts/{account}/keys/{key}:rotate",
		"/v1/accounts/{account}/keys/{key}",
		"/v1/accounts/{account}/keys",
		"/v1/accounts/{account}/portal-links",
		"/v1/accounts/{account}",
		"/v1/jobs/{id}/runs/{run}/records",
		"/v1/jobs/{id}/runs/{run}/record-links",
		"/v1/jobs/{id}/runs/{run}/result-set:revoke",
		"/v1/jobs/{id}/runs/{run}/result-set",
		"/v1/jobs/{id}/runs/{run}/downloads",
		"/v1/jobs/{id}/runs",
		"/v1/jobs/{id}/result-sets",
		"/v1/jobs/{id}/inputs",
		"/v1/jobs/{id}/input-links",
		"/v1/jobs/{id}",
	}
}

// patterns are all routes whose parameters may hold slashes: ours, and those of
// the four systems.
func patterns() []string { return append(slashedIDs(), compat.Patterns()...) }

// httpOf is a handler for the events of the HTTP API.
func httpOf(site http.Handler) func(context.Context, events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
	return lambdahost.HTTP(site, patterns()...)
}

// wire makes the function.
func wire(getenv func(string) string) (lambdahost.Function, error) {
	r := setting.NewReader(getenv)
	tables := dynamo.Options{Deliveries: r.Need(setting.Deliveries), Jobs: r.Text(setting.Jobs)}
	first, retry, export := queueOf(r, setting.FirstQueue, setting.FirstDead), queueOf(r, setting.RetryQueue, setting.RetryDead), queueOf(r, setting.ExportQueue, setting.ExportDead)
	key, publicURL := r.Need(setting.SecretsKey), r.URL(setting.PublicURL)
	rate, origins := r.Count(setting.Rate), r.Origins(setting.CORSOrigins)
	bucket, level := r.Text(setting.Results), r.LogLevel()
	rules := webhook.HealthRules{DisableAfter: r.DisableAfter()}
	if err := r.Err(); err != nil {
		return lambdahost.Function{}, err
	}
	log := logline.New(os.Stdout, level)
	calls := awsenv.NewHTTP()
	config := awsenv.Config(getenv, calls)
	tables.Log = log
	tables.Client = dynamodb.NewFromConfig(config)
	tables.Sealer = kmsseal.New(kms.NewFromConfig(config), key)
	messages := sqs.NewFromConfig(config)
	client := httpsend.New(httpsend.Options{MaxSockets: maxSockets, AllowPrivate: getenv(setting.Private) == "true"})
	c := api.Config{
		Retry:  retry.on(messages),
		Queues: api.Queues{First: first.on(messages), Retry: retry.on(messages), Export: export.on(messages)},
		Sender: client, MaxUpload: maxUpload, Rules: rules,
		Rate: rate, CORSOrigins: origins, PublicURL: publicURL, Version: api.Version, Log: log,
	}
	if getenv(setting.Private) != "true" {
		c.RefusedHost = httpsend.RefusedHost
	}
	store := dynamo.New(tables)
	handler := httpOf(site.New(store, filesIn(config, bucket), c))
	return lambdahost.Function{Handler: lambdahost.Guard(handler, calls.CloseIdle, client.CloseIdle), Flush: store.Flush}, nil
}

// queue is one on SQS, and the queue of its dead letters, by their URLs.
type queue struct{ url, dead string }

func queueOf(r *setting.Reader, name, dead string) queue { return queue{r.URL(name), r.URL(dead)} }

func (q queue) on(client *sqs.Client) *sqsqueue.Queue {
	return sqsqueue.New(client, q.url).WithDeadLetters(q.dead)
}

// filesIn are the files of a bucket; nil without: a platform that keeps its own
// table of jobs uploads none.
func filesIn(config aws.Config, bucket string) site.Files {
	if bucket == "" {
		return nil
	}
	client := s3files.Client(config)
	return struct {
		*s3files.Files
		*s3files.Uploads
	}{s3files.New(client, bucket), s3files.NewUploads(client, bucket)}
}
