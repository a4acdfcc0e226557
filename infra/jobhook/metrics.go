package jobhook

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"
)

// Names of the metrics that the functions write themselves. A test holds them
// to those of functions/internal/metrics, which a stack may not import.
const (
	namespace       = "Jobhook"
	delivered       = "Delivered"
	failed          = "Failed"
	retried         = "Retried"
	held            = "Held"
	tripped         = "Tripped"
	hostsTripped    = "HostsTripped"
	firstAttemptLag = "FirstAttemptLag"
	endpointLatency = "EndpointLatency"
	messagesFailed  = "MessagesFailed"
	recordsFailed   = "RecordsFailed"
	declined        = "Declined"
	dispatchLag     = "DispatchLag"
	dueBacklogAge   = "DueBacklogAge"
	dueBacklog      = "DueBacklog"
	replayed        = "Replayed"
	replaysFailed   = "ReplaysFailed"
	ledgerDiffers   = "LedgerDifference"
	ledgerStuck     = "LedgerStuck"
	exported        = "Exported"
	exportsFailed   = "ExportsFailed"
)

// Statistics of metrics.
const (
	sum     = "Sum"
	maximum = "Maximum"
)

// own is a metric that the functions write, of all functions together. There
// is none of one endpoint or one account: each would be a metric to pay for.
func (s *Service) own(name, statistic string) awscloudwatch.Metric {
	return metric(namespace, name, statistic, map[string]*string{"stage": jsii.String(s.props.Stage)})
}

func ofFunction(f awslambda.Function, name, statistic string) awscloudwatch.Metric {
	return metric("AWS/Lambda", name, statistic, map[string]*string{"FunctionName": f.FunctionName()})
}

func ofQueue(q awssqs.Queue, name string) awscloudwatch.Metric {
	return metric("AWS/SQS", name, maximum, map[string]*string{"QueueName": q.QueueName()})
}

func ofTable(t awsdynamodb.Table, name string) awscloudwatch.Metric {
	return metric("AWS/DynamoDB", name, sum, map[string]*string{"TableName": t.TableName()})
}

func (s *Service) ofAPI(name, statistic string) awscloudwatch.Metric {
	return metric("AWS/ApiGateway", name, statistic, map[string]*string{"ApiId": s.httpAPI.Ref()})
}

// metric is one of which each minute is looked at.
func metric(space, name, statistic string, dimensions map[string]*string) awscloudwatch.Metric {
	return awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
		Namespace: jsii.String(space), MetricName: jsii.String(name), Statistic: jsii.String(statistic),
		DimensionsMap: &dimensions, Period: minutes(1),
	})
}

// label names a line in a graph.
func label(m awscloudwatch.Metric, text string) awscloudwatch.IMetric {
	return m.With(&awscloudwatch.MetricOptions{Label: jsii.String(text)})
}
