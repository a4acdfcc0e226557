package jobhook

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"

	"github.com/jobhook/jobhook/shared/files"
)

// Whatever a function may do stands in this file, action by action. The
// Grant methods of the CDK are not used: they let in every index of a table
// and more verbs than are needed. A transaction needs the verbs of its parts, a
// batch of messages those of one.

func (s *Service) dispatchMay() []awsiam.PolicyStatement {
	d := s.data
	may := []awsiam.PolicyStatement{
		allow([]*string{d.stream}, "dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"),
		allow([]*string{jsii.String("*")}, "dynamodb:ListStreams"),
		mayKeep(d.Deliveries),
		maySend(d.First),
		allow([]*string{d.Failures.BucketArn()}, "s3:ListBucket"),
		allow([]*string{d.Failures.ArnForObjects(jsii.String("*"))}, "s3:PutObject"),
	}
	if d.hasUploads() {
		may = append(may, maySend(d.Export))
	}
	if d.streamKey != nil {
		may = append(may, allow([]*string{d.streamKey}, "kms:Decrypt"))
	}
	return may
}

// deliverMay is what both lanes may do; more are verbs on the deliveries.
func (s *Service) deliverMay(from Queue, more ...string) []awsiam.PolicyStatement {
	return []awsiam.PolicyStatement{
		mayKeep(s.data.Deliveries, more...),
		mayReceive(from),
		allow([]*string{s.data.SecretsKey.KeyArn()}, "kms:Decrypt"),
	}
}

func (s *Service) sweepMay() []awsiam.PolicyStatement {
	d := s.data
	may := []awsiam.PolicyStatement{
		mayKeep(d.Deliveries, "dynamodb:DeleteItem"),
		mayQuery(d.Deliveries, dueIndex),
		maySend(d.First),
		maySend(d.Retry),
		maySend(d.Export),
		allow([]*string{d.Failures.BucketArn()}, "s3:ListBucket"),
		allow([]*string{d.Failures.ArnForObjects(jsii.String("*"))}, "s3:GetObject", "s3:DeleteObject"),
		allow([]*string{d.Notices.TopicArn()}, "sns:Publish"),
		allow([]*string{d.topicsKey.KeyArn()}, "kms:Decrypt", "kms:GenerateDataKey"), // SNS asks for both of who publishes
	}
	if d.Jobs != nil {
		may = append(may,
			// The ledger reads jobs, shelving writes them.
			allow([]*string{d.Jobs.TableArn()}, "dynamodb:BatchGetItem", "dynamodb:UpdateItem"),
			mayQuery(d.Jobs, accountIndex))
	}
	return may
}

// exportMay is about exports and erasures, which alone delete jobs and files.
func (s *Service) exportMay() []awsiam.PolicyStatement {
	d := s.data
	may := []awsiam.PolicyStatement{
		mayKeep(d.Deliveries, "dynamodb:DeleteItem"),
		mayReceive(d.Export),
		maySend(d.First),
		allow([]*string{d.Results.BucketArn()}, "s3:ListBucket"),
		allow(objects(d.Results, files.Records), "s3:GetObject"),
		allow(objects(d.Results, files.Results), "s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"),
		allow(objects(d.Results, files.Results, files.Records, files.Inputs), "s3:DeleteObject"),
	}
	if d.Jobs != nil {
		may = append(may, mayKeep(d.Jobs, "dynamodb:DeleteItem"), mayQuery(d.Jobs, accountIndex))
	}
	return may
}

func (s *Service) apiMay() []awsiam.PolicyStatement {
	d := s.data
	may := []awsiam.PolicyStatement{
		mayKeep(d.Deliveries, "dynamodb:DeleteItem"),
		// Resends go to the retry queue, dead letters to where they came from.
		allow(queueARNs(d.First.Queue, d.Retry.Queue, d.Export.Queue), "sqs:SendMessage", "sqs:GetQueueAttributes"),
		allow(queueARNs(d.First.DeadLetters, d.Retry.DeadLetters, d.Export.DeadLetters), receiving()...),
		allow([]*string{d.SecretsKey.KeyArn()}, "kms:Decrypt", "kms:GenerateDataKey"),
	}
	if d.Jobs != nil {
		may = append(may,
			mayKeep(d.Jobs), mayQuery(d.Jobs, accountIndex),
			allow([]*string{d.Results.BucketArn()}, "s3:ListBucket"),
			allow(objects(d.Results, files.Records), "s3:PutObject"), // its links are signed with this role
			allow(objects(d.Results, files.Inputs), "s3:GetObject", "s3:PutObject"),
			allow(objects(d.Results, files.Results), "s3:GetObject"))
	}
	return may
}

// objects are those of a bucket under some prefixes.
func objects(b awss3.Bucket, prefixes ...string) (arns []*string) {
	for _, prefix := range prefixes {
		arns = append(arns, b.ArnForObjects(jsii.String(prefix+"*")))
	}
	return arns
}

// mayKeep lets rows of a table be read and written, and more if it is named.
func mayKeep(t awsdynamodb.Table, more ...string) awsiam.PolicyStatement {
	verbs := []string{"dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:UpdateItem"}
	return allow([]*string{t.TableArn()}, append(verbs, more...)...)
}

// mayQuery lets one index of a table be read.
func mayQuery(t awsdynamodb.Table, index string) awsiam.PolicyStatement {
	arn := awscdk.Fn_Join(jsii.String(""), &[]*string{t.TableArn(), jsii.String("/index/" + index)})
	return allow([]*string{arn}, "dynamodb:Query")
}

// mayReceive lets a mapping read a queue, and its function hide messages.
func mayReceive(from Queue) awsiam.PolicyStatement {
	return allow([]*string{from.Queue.QueueArn()}, receiving()...)
}

// receiving are the verbs on a queue of whoever receives from it, and hides or
// deletes what he got.
func receiving() []string {
	return []string{"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ChangeMessageVisibility"}
}

func queueARNs(queues ...awssqs.Queue) (arns []*string) {
	for _, q := range queues {
		arns = append(arns, q.QueueArn())
	}
	return arns
}

func maySend(to Queue) awsiam.PolicyStatement {
	return allow([]*string{to.Queue.QueueArn()}, "sqs:SendMessage")
}
