package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"

	"github.com/jobhook/jobhook/infra/jobhook"
)

// addStacks puts a stage into two stacks: one whose loss would be a loss, and
// one that can be deployed anew as often as one likes.
func addStacks(app awscdk.App, p *jobhook.Props) {
	dataStack := newStack(app, p, "data", "Jobhook: tables, queues, buckets and keys")
	serviceStack := newStack(app, p, "service", "Jobhook: functions, API, alarms and dashboard")
	data := jobhook.NewData(dataStack, jsii.String("Data"), p)
	service := jobhook.NewService(serviceStack, jsii.String("Service"), data, p)
	dataOutputs(dataStack, data)
	serviceOutputs(serviceStack, service)
}

func newStack(app awscdk.App, p *jobhook.Props, part, about string) awscdk.Stack {
	return awscdk.NewStack(app, jsii.String("jobhook-"+p.Stage+"-"+part), &awscdk.StackProps{
		Description:           jsii.String(about),
		TerminationProtection: jsii.Bool(part == "data" && p.Removal != jobhook.Destroy),
		Tags:                  &map[string]*string{"jobhook:stage": jsii.String(p.Stage)},
	})
}

func dataOutputs(stack awscdk.Stack, d *jobhook.Data) {
	if d.Jobs != nil {
		output(stack, "JobsTable", "The platform writes its jobs here", d.Jobs.TableName())
	}
	output(stack, "DeliveriesTable", "Deliveries, attempts, endpoints and accounts", d.Deliveries.TableName())
	queueOutputs(stack, "First", "first attempts", d.First)
	queueOutputs(stack, "Retry", "retries", d.Retry)
	queueOutputs(stack, "Export", "exports and erasures", d.Export)
	output(stack, "FailuresBucket", "Stream batches that dispatch could not take; sweep replays them", d.Failures.BucketName())
	output(stack, "ResultsBucket", "Uploaded records and result files", d.Results.BucketName())
	output(stack, "SecretsKeyArn", "Seals the secrets of endpoints", d.SecretsKey.KeyArn())
	output(stack, "AlarmTopicArn", "Subscribe to it to hear of alarms", d.Alarms.TopicArn())
	output(stack, "NoticesTopic", "Subscribe to it to hear of endpoints that fail, are disabled or recover", d.Notices.TopicArn())
}

func queueOutputs(stack awscdk.Stack, id, what string, q jobhook.Queue) {
	url := func(of awssqs.Queue) *string { return of.QueueUrl() }
	output(stack, id+"QueueUrl", "Queue of "+what, url(q.Queue))
	output(stack, id+"DeadLettersUrl", "Dead letters of "+what, url(q.DeadLetters))
	output(stack, id+"DeadLettersArn", "For aws sqs start-message-move-task", q.DeadLetters.QueueArn())
}

func serviceOutputs(stack awscdk.Stack, s *jobhook.Service) {
	output(stack, "ApiUrl", "The API; its paths begin with /v1", s.URL)
	output(stack, "DashboardUrl", "The operator's dashboard in CloudWatch", s.DashboardURL())
	if s.DomainTarget != nil {
		output(stack, "DomainTarget", "Where the DNS record of the domain points to", s.DomainTarget)
	}
}

func output(stack awscdk.Stack, name, about string, value *string) {
	awscdk.NewCfnOutput(stack, jsii.String(name), &awscdk.CfnOutputProps{Description: jsii.String(about), Value: value})
}
