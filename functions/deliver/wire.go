package main

import (
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/jobhook/jobhook/functions/internal/crew"
	"github.com/jobhook/jobhook/functions/internal/deliver"
	"github.com/jobhook/jobhook/functions/internal/lambdahost"
	"github.com/jobhook/jobhook/functions/internal/logline"
	"github.com/jobhook/jobhook/functions/internal/metrics"
	"github.com/jobhook/jobhook/shared/awsenv"
	"github.com/jobhook/jobhook/shared/dynamo"
	"github.com/jobhook/jobhook/shared/httpsend"
	"github.com/jobhook/jobhook/shared/kmsseal"
	"github.com/jobhook/jobhook/shared/setting"
	"github.com/jobhook/jobhook/shared/sqsqueue"
	"github.com/jobhook/jobhook/shared/webhook"
)

// Bounds of the client that calls the receivers. Lambda has 1,024 file
// descriptors; those to DynamoDB, SQS and KMS (shared/awsenv) are up to 180 more.
const (
	maxIdlePerHost = 100
	maxSockets     = 700
)

// gatherFor is how long the outcome of a first attempt waits for those of the
// same batch: a request for all of them takes a fraction of the time.
const gatherFor = 5 * time.Millisecond

// wire makes the function of one lane, first or retry.
func wire(getenv func(string) string) (lambdahost.Function, error) {
	r := setting.NewReader(getenv)
	lane := r.OneOf(setting.Lane, setting.LaneFirst, setting.LaneRetry)
	rules := webhook.HealthRules{DisableAfter: r.DisableAfter()}
	table, queue, stage := r.Need(setting.Deliveries), r.URL(setting.Queue), r.Need(setting.Stage)
	key, publicURL, level := r.Need(setting.SecretsKey), r.URL(setting.PublicURL), r.LogLevel()
	retry := ""
	if lane != setting.LaneRetry {
		retry = r.URL(setting.RetryQueue)
	}
	if err := r.Err(); err != nil {
		return lambdahost.Function{}, err
	}
	log := logline.New(os.Stdout, level)
	calls := awsenv.NewHTTP()
	config := awsenv.Config(getenv, calls)
	messages := sqs.NewFromConfig(config)
	store := dynamo.New(dynamo.Options{
		Client:     dynamodb.NewFromConfig(config),
		Deliveries: table, Sealer: kmsseal.New(kms.NewFromConfig(config), key), Eventually: lane == setting.LaneFirst, Log: log,
	})
	if lane == setting.LaneFirst {
		dynamo.Gather(store, gatherFor)
	}
	client := httpsend.New(httpsend.Options{
		MaxIdlePerHost: maxIdlePerHost, MaxSockets: maxSockets, AllowPrivate: getenv(setting.Private) == "true",
	})
	handler := &deliver.Handler{
		Store: store, Queue: sqsqueue.New(messages, queue), Sender: client, PublicURL: publicURL,
		Health: &deliver.HealthLog{}, Rules: rules, Traffic: &deliver.Traffic{}, Crew: crew.New(), Metrics: metrics.New(os.Stdout, stage, "deliver-"+lane), Log: log,
	}
	if retry != "" {
		handler.Retry = sqsqueue.New(messages, retry)
	}
	return lambdahost.Function{Handler: lambdahost.Queue(lambdahost.Guard(handler.Handle, calls.CloseIdle, client.CloseIdle)), Flush: store.Flush}, nil
}
