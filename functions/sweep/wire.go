package main

import (
	"context"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/jobhook/jobhook/functions/internal/dispatch"
	"github.com/jobhook/jobhook/functions/internal/lambdahost"
	"github.com/jobhook/jobhook/functions/internal/logline"
	"github.com/jobhook/jobhook/functions/internal/metrics"
	"github.com/jobhook/jobhook/functions/internal/resend"
	"github.com/jobhook/jobhook/functions/internal/sweep"
	"github.com/jobhook/jobhook/shared/awsenv"
	"github.com/jobhook/jobhook/shared/dynamo"
	"github.com/jobhook/jobhook/shared/s3files"
	"github.com/jobhook/jobhook/shared/setting"
	"github.com/jobhook/jobhook/shared/sqsqueue"
)

// horizon is the minute between two runs, and some more: a run may begin late.
const horizon = 75 * time.Second

// What Lambda writes of a stream batch that was given up: where in the bucket,
// and how large it can be. An event has at most 6 MB, and stands in a string.
const (
	failuresPrefix = "aws/lambda/"
	maxFailure     = 16 << 20
)

// wire makes the function.
func wire(getenv func(string) string) (lambdahost.Function, error) {
	r := setting.NewReader(getenv)
	tables := dynamo.Options{Deliveries: r.Need(setting.Deliveries), Jobs: r.Text(setting.Jobs)}
	first, retry, stage := r.URL(setting.FirstQueue), r.URL(setting.RetryQueue), r.Need(setting.Stage)
	bucket, retention, level, exports := r.Need(setting.Failures), r.Retention(), r.LogLevel(), r.Text(setting.ExportQueue)
	attributes := setting.Parse(r, setting.Attributes, dispatch.ParseAttributes)
	if err := r.Err(); err != nil {
		return lambdahost.Function{}, err
	}
	log := logline.New(os.Stdout, level)
	calls := awsenv.NewHTTP()
	config := awsenv.Config(getenv, calls)
	tables.Log = log
	tables.Client = dynamodb.NewFromConfig(config)
	store := dynamo.New(tables)
	messages := sqs.NewFromConfig(config)
	counts := metrics.New(os.Stdout, stage, "sweep")
	replay := &dispatch.Handler{Store: store, Queue: sqsqueue.New(messages, first), Attributes: attributes, Retention: retention, Log: log}
	if exports != "" {
		replay.Exports = sqsqueue.New(messages, exports)
	}
	rings := sqsqueue.New(messages, retry)
	handler := &sweep.Handler{
		Store: store, Queue: rings, Horizon: horizon, Metrics: counts, Log: log,
		Resends: store, Resender: &resend.Sender{Store: store, Queue: rings, Log: log},
		Failures: s3files.New(s3files.Client(config), bucket).Folder(failuresPrefix, maxFailure),
		// Without metrics of its own: what is replayed is hours old, and would be taken for the lag of today.
		Dispatch: replay,
	}
	return lambdahost.Function{Handler: lambdahost.Guard(answering(handler), calls.CloseIdle)}, nil
}

// answering gives the handler an answer, as Guard expects one: nobody reads it.
func answering(h *sweep.Handler) func(context.Context, events.EventBridgeEvent) (struct{}, error) {
	return func(ctx context.Context, e events.EventBridgeEvent) (struct{}, error) {
		return struct{}{}, h.Handle(ctx, e)
	}
}
