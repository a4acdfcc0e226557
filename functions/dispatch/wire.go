package main

import (
	"os"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/jobhook/jobhook/functions/internal/dispatch"
	"github.com/jobhook/jobhook/functions/internal/lambdahost"
	"github.com/jobhook/jobhook/functions/internal/logline"
	"github.com/jobhook/jobhook/functions/internal/metrics"
	"github.com/jobhook/jobhook/shared/awsenv"
	"github.com/jobhook/jobhook/shared/dynamo"
	"github.com/jobhook/jobhook/shared/setting"
	"github.com/jobhook/jobhook/shared/sqsqueue"
)

// wire makes the function.
func wire(getenv func(string) string) (lambdahost.Function, error) {
	r := setting.NewReader(getenv)
	table, queue, stage := r.Need(setting.Deliveries), r.URL(setting.FirstQueue), r.Need(setting.Stage)
	retention, level := r.Retention(), r.LogLevel()
	attributes := setting.Parse(r, setting.Attributes, dispatch.ParseAttributes)
	exports := ""
	if getenv(setting.ExportQueue) != "" { // a table of the platform's has no uploads, and so no exports
		exports = r.URL(setting.ExportQueue)
	}
	if err := r.Err(); err != nil {
		return lambdahost.Function{}, err
	}
	log := logline.New(os.Stdout, level)
	calls := awsenv.NewHTTP()
	config := awsenv.Config(getenv, calls)
	messages := sqs.NewFromConfig(config)
	handler := &dispatch.Handler{
		Store: dynamo.New(dynamo.Options{
			Client:     dynamodb.NewFromConfig(config),
			Deliveries: table, Eventually: true, Log: log,
		}),
		Queue: sqsqueue.New(messages, queue), Pace: &dispatch.Pace{},
		Attributes: attributes, Retention: retention, Metrics: metrics.New(os.Stdout, stage, "dispatch"), Log: log,
	}
	if exports != "" {
		handler.Exports = sqsqueue.New(messages, exports)
	}
	return lambdahost.Function{Handler: lambdahost.Guard(handler.Handle, calls.CloseIdle)}, nil
}
