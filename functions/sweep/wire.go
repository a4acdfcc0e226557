package main

import (
	"context"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/jobhook/jobhook/functions/internal/dispatch"
	"github.com/jobhook/jobhook/functions/internal/erase"
	"github.com/jobhook/jobhook/functions/internal/lambdahost"
	"github.com/jobhook/jobhook/functions/internal/logline"
	"github.com/jobhook/jobhook/functions/internal/metrics"
	"github.com/jobhook/jobhook/functions/internal/notify"
	"github.com/jobhook/jobhook/functions/internal/resend"
	"github.com/jobhook/jobhook/functions/internal/sweep"
	"github.com/jobhook/jobhook/shared/awsenv"
	"github.com/jobhook/jobhook/shared/dynamo"
	"github.com/jobhook/jobhook/shared/s3files"
	"github.com/jobhook/jobhook/shared/setting"
	"github.com/jobhook/jobhook/shared/snstopic"
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
	bucket, retention, level, export := r.Need(setting.Failures), r.Retention(), r.LogLevel(), r.URL(setting.ExportQueue)
	attributes := setting.Parse(r, setting.Attributes, dispatch.ParseAttributes)
	topic, operator := setting.Parse(r, setting.NoticesTo, snstopic.ParseARN), r.Text(setting.Operator)
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
	firsts, rings, exports := sqsqueue.New(messages, first), sqsqueue.New(messages, retry), sqsqueue.New(messages, export)
	replay := &dispatch.Handler{Store: store, Queue: firsts, Exports: exportsOf(tables.Jobs, exports), Attributes: attributes, Retention: retention, Log: log}
	teller := &notify.Teller{Store: store, Queue: firsts, Operator: operator, Retention: retention}
	if topic != "" {
		teller.Topic = snstopic.New(config, topic)
	}
	handler := &sweep.Handler{
		Store: store, Queue: rings, Horizon: horizon, Metrics: counts, Log: log,
		Resends: store, Resender: &resend.Sender{Store: store, Queue: rings, Log: log},
		Notices: store, Notifier: teller,
		Ledger:   &sweep.Ledger{Books: store, Ends: replay, Retention: retention},
		Erasures: &erase.Bell{Store: store, Queue: exports}, // export has the code for files
		Failures: s3files.New(s3files.Client(config), bucket).Folder(failuresPrefix, maxFailure),
		// Without metrics of its own: what is replayed is hours old, and would be taken for the lag of today.
		Dispatch: replay,
	}
	return lambdahost.Function{Handler: lambdahost.Guard(answering(handler), calls.CloseIdle)}, nil
}

// exportsOf is where replays ask for exports. Of jobs in a table of the platform's
// no records are uploaded: nothing is exported then, as dispatch sees it too.
func exportsOf(jobs string, queue dispatch.Exports) dispatch.Exports {
	if jobs == "" {
		return nil
	}
	return queue
}

// answering gives the handler an answer, as Guard expects one: nobody reads it.
func answering(h *sweep.Handler) func(context.Context, events.EventBridgeEvent) (struct{}, error) {
	return func(ctx context.Context, e events.EventBridgeEvent) (struct{}, error) {
		return struct{}{}, h.Handle(ctx, e)
	}
}
