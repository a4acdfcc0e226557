package jobhook

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/jsii-runtime-go"

	"github.com/jobhook/jobhook/shared/setting"
)

const (
	dispatchSeconds = 60 // a batch of 100 records takes less than 2 s; a throttled table may take all of it
	sweepSeconds    = 55 // the next run begins after a minute; two at once do no harm
	apiSeconds      = 29 // API Gateway gives up after 30 s
)

// functions makes the six, of five binaries. Where no records can be uploaded,
// export only erases.
func (s *Service) functions() {
	s.Dispatch = s.dispatch()
	s.DeliverFirst = s.deliverFirst()
	s.DeliverRetry = s.deliverRetry()
	s.Sweep = s.sweep()
	s.Export = s.export()
	s.API = s.api()
}

func (s *Service) dispatch() awslambda.Function {
	d := s.data
	env := map[string]*string{
		setting.FirstQueue: d.First.Queue.QueueUrl(),
		setting.Retention:  s.retention(),
	}
	s.attributes(env)
	if d.hasUploads() {
		env[setting.ExportQueue] = d.Export.Queue.QueueUrl()
	}
	return s.function(spec{
		id: "Dispatch", asset: assetDispatch, about: "Turns changes of jobs into deliveries",
		memoryMB: s.props.MemoryMB.Dispatch, seconds: dispatchSeconds, env: env, may: s.dispatchMay(),
	})
}

func (s *Service) deliverFirst() awslambda.Function {
	env := s.deliverEnv(setting.LaneFirst, s.data.First)
	env[setting.RetryQueue] = s.data.Retry.Queue.QueueUrl()
	return s.function(spec{
		id: "DeliverFirst", asset: assetDeliver, about: "Makes the first attempts",
		memoryMB: s.props.MemoryMB.Deliver, seconds: deliverSeconds, env: env,
		may: append(s.deliverMay(s.data.First, "dynamodb:PartiQLInsert"), maySend(s.data.Retry)), // first outcomes are inserted together
	})
}

func (s *Service) deliverRetry() awslambda.Function {
	return s.function(spec{
		id: "DeliverRetry", asset: assetDeliver, about: "Makes all further attempts",
		memoryMB: s.props.MemoryMB.Deliver, seconds: deliverSeconds,
		env: s.deliverEnv(setting.LaneRetry, s.data.Retry), may: s.deliverMay(s.data.Retry),
	})
}

func (s *Service) deliverEnv(lane string, from Queue) map[string]*string {
	return map[string]*string{
		setting.Lane:       jsii.String(lane),
		setting.Queue:      from.Queue.QueueUrl(),
		setting.SecretsKey: s.data.SecretsKey.KeyArn(),
		setting.PublicURL:  s.URL,
		setting.DisableIn:  s.disableAfter(),
	}
}

func (s *Service) sweep() awslambda.Function {
	d := s.data
	env := map[string]*string{
		setting.FirstQueue:  d.First.Queue.QueueUrl(),
		setting.RetryQueue:  d.Retry.Queue.QueueUrl(),
		setting.ExportQueue: d.Export.Queue.QueueUrl(),
		setting.Failures:    d.Failures.BucketName(),
		setting.Retention:   s.retention(),
		setting.NoticesTo:   d.Notices.TopicArn(),
	}
	if s.props.OperatorAccount != "" {
		env[setting.Operator] = jsii.String(s.props.OperatorAccount)
	}
	s.attributes(env)
	s.jobsTable(env)
	return s.function(spec{
		id: "Sweep", asset: assetSweep, about: "Does each minute what is due: parked retries, releases, notices, shelving, expiry, replays",
		memoryMB: s.props.MemoryMB.Sweep, seconds: sweepSeconds, env: env, may: s.sweepMay(),
	})
}

func (s *Service) export() awslambda.Function {
	d := s.data
	env := map[string]*string{
		setting.Queue:      d.Export.Queue.QueueUrl(),
		setting.FirstQueue: d.First.Queue.QueueUrl(),
		setting.Retention:  s.retention(),
		setting.Results:    d.Results.BucketName(),
		setting.ResultsFor: hours(s.props.Days.Results),
	}
	s.attributes(env)
	s.jobsTable(env)
	return s.function(spec{
		id: "Export", asset: assetExport, about: "Makes files of the records of a run, and erases accounts and subjects",
		memoryMB: s.props.MemoryMB.Export, seconds: exportSeconds, env: env, may: s.exportMay(),
	})
}

func (s *Service) api() awslambda.Function {
	d := s.data
	env := map[string]*string{
		setting.FirstQueue:  d.First.Queue.QueueUrl(),
		setting.FirstDead:   d.First.DeadLetters.QueueUrl(),
		setting.RetryQueue:  d.Retry.Queue.QueueUrl(),
		setting.RetryDead:   d.Retry.DeadLetters.QueueUrl(),
		setting.ExportQueue: d.Export.Queue.QueueUrl(),
		setting.ExportDead:  d.Export.DeadLetters.QueueUrl(),
		setting.SecretsKey:  d.SecretsKey.KeyArn(),
		setting.PublicURL:   s.URL,
		setting.DisableIn:   s.disableAfter(),
	}
	if s.props.Throttle.PerKey > 0 {
		env[setting.Rate] = jsii.String(strconv.Itoa(s.props.Throttle.PerKey))
	}
	if len(s.props.CORSOrigins) > 0 {
		env[setting.CORSOrigins] = jsii.String(strings.Join(s.props.CORSOrigins, ","))
	}
	s.jobsTable(env)
	if d.hasUploads() {
		env[setting.Results] = d.Results.BucketName()
	}
	return s.function(spec{
		id: "Api", asset: assetAPI, about: "The HTTP API",
		memoryMB: s.props.MemoryMB.API, seconds: apiSeconds, env: env, may: s.apiMay(),
	})
}

// jobsTable is left out where the platform keeps its jobs itself.
func (s *Service) jobsTable(env map[string]*string) {
	if s.data.Jobs != nil {
		env[setting.Jobs] = s.data.Jobs.TableName()
	}
}

// attributes says how the platform's table calls what Jobhook needs.
func (s *Service) attributes(env map[string]*string) {
	if t := s.props.JobsTable; t != nil && t.Mapping() != "" {
		env[setting.Attributes] = jsii.String(t.Mapping())
	}
}

func (s *Service) retention() *string {
	return hours(s.props.Days.Deliveries)
}

// disableAfter is when an endpoint that only fails is disabled.
func (s *Service) disableAfter() *string {
	if s.props.DisableAfterDays < 0 {
		return jsii.String(setting.Never)
	}
	return hours(s.props.DisableAfterDays)
}

func hours(days int) *string { return jsii.String(fmt.Sprintf("%dh", 24*days)) }
