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
	if err := r.Err(); err != nil {
		return lambdahost.Function{}, err
	}
	log := logline.New(os.Stdout, level)
	calls := awsenv.NewHTTP()
	config := awsenv.Config(getenv, calls)
	handler := &dispatch.Handler{
		Store: dynamo.New(dynamo.Options{
			Client:     dynamodb.NewFromConfig(config),
			Deliveries: table, Eventually: true, Log: log,
		}),
		Queue:      sqsqueue.New(sqs.NewFromConfig(config), queue),
		Attributes: attributes, Retention: retention, Metrics: metrics.New(os.Stdout, stage, "dispatch"), Log: log,
	}
	return lambdahost.Function{Handler: lambdahost.Guard(handler.Handle, calls.CloseIdle)}, nil
}
