package main

import (
	"errors"
	"fmt"
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
	attributes, err := dispatch.ParseAttributes(r.Text(setting.Attributes))
	if err != nil {
		err = fmt.Errorf("%s: %w", setting.Attributes, err)
	}
	if err := errors.Join(r.Err(), err); err != nil {
		return lambdahost.Function{}, err
	}
	log := logline.New(os.Stdout, level)
	calls := awsenv.NewHTTP()
	config := awsenv.Config(getenv, calls)
	handler := &dispatch.Handler{
		Store: dynamo.New(dynamo.Options{
			Client:     dynamodb.NewFromConfig(config, func(o *dynamodb.Options) { o.BaseEndpoint = awsenv.Endpoint(getenv, "DYNAMODB") }),
			Deliveries: table, Eventually: true, Log: log,
		}),
		Queue:      sqsqueue.New(sqs.NewFromConfig(config, func(o *sqs.Options) { o.BaseEndpoint = awsenv.Endpoint(getenv, "SQS") }), queue),
		Attributes: attributes, Retention: retention, Metrics: metrics.New(os.Stdout, stage, "dispatch"), Log: log,
	}
	return lambdahost.Function{Handler: lambdahost.Guard(handler.Handle, calls.CloseIdle)}, nil
}
