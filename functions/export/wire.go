package main

import (
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/jobhook/jobhook/functions/internal/dispatch"
	"github.com/jobhook/jobhook/functions/internal/erase"
	"github.com/jobhook/jobhook/functions/internal/export"
	"github.com/jobhook/jobhook/functions/internal/lambdahost"
	"github.com/jobhook/jobhook/functions/internal/logline"
	"github.com/jobhook/jobhook/functions/internal/metrics"
	"github.com/jobhook/jobhook/shared/awsenv"
	"github.com/jobhook/jobhook/shared/dynamo"
	"github.com/jobhook/jobhook/shared/s3files"
	"github.com/jobhook/jobhook/shared/setting"
	"github.com/jobhook/jobhook/shared/sqsqueue"
)

// eraseFor is how long one run goes on with erasures. Sweep asks for another
// each minute, and exports wait meanwhile for one invocation of many.
const eraseFor = 50 * time.Second

// bucket is a bucket's files and the uploads to it.
type bucket struct {
	*s3files.Files
	*s3files.Uploads
}

// wire makes the function. Links need no public URL here: a job's row keeps the
// token that they are made of.
func wire(getenv func(string) string) (lambdahost.Function, error) {
	r := setting.NewReader(getenv)
	tables := dynamo.Options{Deliveries: r.Need(setting.Deliveries), Jobs: r.Text(setting.Jobs)}
	results, first, stage := r.Need(setting.Results), r.URL(setting.FirstQueue), r.Need(setting.Stage)
	queue, retention, links, level := r.URL(setting.Queue), r.Retention(), r.Lasts(setting.ResultsFor, export.DefaultRetention), r.LogLevel()
	attributes := setting.Parse(r, setting.Attributes, dispatch.ParseAttributes)
	if err := r.Err(); err != nil {
		return lambdahost.Function{}, err
	}
	log := logline.New(os.Stdout, level)
	calls := awsenv.NewHTTP()
	config := awsenv.Config(getenv, calls)
	tables.Log = log
	tables.Client = dynamodb.NewFromConfig(config)
	store, client, messages := dynamo.New(tables), s3files.Client(config), sqs.NewFromConfig(config)
	files := s3files.New(client, results)
	handler := &export.Handler{
		Files:    bucket{files, s3files.NewUploads(client, results)},
		Erasures: &erase.Eraser{Store: store, Files: files, Budget: eraseFor, Log: log},
		Queue:    sqsqueue.New(messages, queue), Retention: links,
		Store: store, Metrics: metrics.New(os.Stdout, stage, "export"), Log: log,
		// Without metrics of its own: its line tells of batches of the stream.
		Dispatch: &dispatch.Handler{Store: store, Queue: sqsqueue.New(messages, first), Attributes: attributes, Retention: retention, Log: log},
	}
	if tables.Jobs != "" {
		handler.Jobs = store
	}
	return lambdahost.Function{Handler: lambdahost.Guard(handler.Handle, calls.CloseIdle)}, nil
}
