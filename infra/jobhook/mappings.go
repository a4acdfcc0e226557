package jobhook

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/jsii-runtime-go"
)

const (
	streamBatch = 100
	// streamAgeSeconds leaves 4 of the stream's 24 hours to put what failed into the bucket.
	streamAgeSeconds = 20 * 60 * 60
	untilTooOld      = -1 // retries without number
)

// mappings feed dispatch from the stream, deliver and export from the queues.
func (s *Service) mappings() {
	s.mapStream()
	s.mapQueue("FirstToDeliver", s.DeliverFirst, s.data.First, s.props.First)
	s.mapQueue("RetryToDeliver", s.DeliverRetry, s.data.Retry, s.props.Retry)
	s.mapQueue("ExportToExport", s.Export, s.data.Export, Lane{BatchSize: 1, MaxConcurrency: s.props.Exports.MaxConcurrency})
}

// mapStream begins with the oldest record, so that none is lost between the
// table and the mapping. A batch that fails is halved, so that one record does
// not hold back the others; what is too old goes whole to a bucket (a queue
// would get only its place in the stream), from where sweep replays it.
func (s *Service) mapStream() {
	awslambda.NewCfnEventSourceMapping(s.Construct, jsii.String("JobsToDispatch"), &awslambda.CfnEventSourceMappingProps{
		EventSourceArn:             s.data.stream,
		FunctionName:               s.Dispatch.FunctionName(),
		StartingPosition:           jsii.String("TRIM_HORIZON"),
		BatchSize:                  jsii.Number(streamBatch),
		ParallelizationFactor:      jsii.Number(s.props.StreamParallelization),
		BisectBatchOnFunctionError: jsii.Bool(true),
		MaximumRetryAttempts:       jsii.Number(untilTooOld),
		MaximumRecordAgeInSeconds:  jsii.Number(streamAgeSeconds),
		FunctionResponseTypes:      partial(),
		FilterCriteria: &awslambda.CfnEventSourceMapping_FilterCriteriaProperty{Filters: []any{
			&awslambda.CfnEventSourceMapping_FilterProperty{Pattern: jsii.String(`{"eventName":["INSERT","MODIFY"]}`)},
		}},
		DestinationConfig: &awslambda.CfnEventSourceMapping_DestinationConfigProperty{
			OnFailure: &awslambda.CfnEventSourceMapping_OnFailureProperty{Destination: s.data.Failures.BucketArn()},
		},
	})
}

func (s *Service) mapQueue(id string, to awslambda.Function, from Queue, l Lane) {
	props := &awslambda.CfnEventSourceMappingProps{
		EventSourceArn:                 from.Queue.QueueArn(),
		FunctionName:                   to.FunctionName(),
		BatchSize:                      jsii.Number(l.BatchSize),
		MaximumBatchingWindowInSeconds: jsii.Number(l.WindowSeconds),
		FunctionResponseTypes:          partial(),
	}
	if l.MaxConcurrency > 0 {
		props.ScalingConfig = &awslambda.CfnEventSourceMapping_ScalingConfigProperty{MaximumConcurrency: jsii.Number(l.MaxConcurrency)}
	}
	awslambda.NewCfnEventSourceMapping(s.Construct, jsii.String(id), props)
}

// partial lets a function say which messages of a batch failed.
func partial() *[]*string { return jsii.Strings("ReportBatchItemFailures") }
