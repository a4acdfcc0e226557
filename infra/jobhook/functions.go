package jobhook

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/jsii-runtime-go"

	"github.com/jobhook/jobhook/shared/setting"
)

const (
	dispatchSeconds = 60 // a batch of 100 records takes less than 2 s; a throttled table may take all of it
	sweepSeconds    = 55 // the next run begins after a minute; two at once do no harm
	apiSeconds      = 29 // API Gateway gives up after 30 s
)

// functions makes the six, of five binaries; export only where records can be uploaded.
func (s *Service) functions() {
	s.Dispatch = s.dispatch()
	s.DeliverFirst = s.deliverFirst()
	s.DeliverRetry = s.deliverRetry()
	s.Sweep = s.sweep()
	if s.data.hasExports() {
		s.Export = s.export()
	}
	s.API = s.api()
}

func (s *Service) dispatch() awslambda.Function {
	d := s.data
	env := map[string]*string{
		setting.FirstQueue: d.First.Queue.QueueUrl(),
		setting.Retention:  s.retention(),
	}
	s.attributes(env)
	s.exportQueue(env)
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
	}
}

func (s *Service) sweep() awslambda.Function {
	d := s.data
	env := map[string]*string{
		setting.FirstQueue: d.First.Queue.QueueUrl(),
		setting.RetryQueue: d.Retry.Queue.QueueUrl(),
		setting.Failures:   d.Failures.BucketName(),
		setting.Retention:  s.retention(),
	}
	s.attributes(env)
	s.exportQueue(env)
	s.jobsTable(env)
	return s.function(spec{
		id: "Sweep", asset: assetSweep, about: "Does each minute what is due: parked retries, releases, shelving, expiry, replays",
		memoryMB: s.props.MemoryMB.Sweep, seconds: sweepSeconds, env: env, may: s.sweepMay(),
	})
}

func (s *Service) export() awslambda.Function {
	d := s.data
	env := map[string]*string{
		setting.Queue:      d.Export.Queue.QueueUrl(),
		setting.FirstQueue: d.First.Queue.QueueUrl(),
		setting.Retention:  s.retention(),
		setting.ResultsFor: hours(s.props.Days.Results),
	}
	s.attributes(env)
	s.jobsTable(env)
	s.results(env)
	return s.function(spec{
		id: "Export", asset: assetExport, about: "Makes files of the records of a run",
		memoryMB: s.props.MemoryMB.Export, seconds: exportSeconds, env: env, may: s.exportMay(),
	})
}

func (s *Service) api() awslambda.Function {
	env := map[string]*string{
		setting.RetryQueue: s.data.Retry.Queue.QueueUrl(),
		setting.SecretsKey: s.data.SecretsKey.KeyArn(),
		setting.PublicURL:  s.URL,
	}
	s.jobsTable(env)
	s.results(env)
	return s.function(spec{
		id: "Api", asset: assetAPI, about: "The HTTP API",
		memoryMB: s.props.MemoryMB.API, seconds: apiSeconds, env: env, may: s.apiMay(),
	})
}

// results is left out where no records can be uploaded.
func (s *Service) results(env map[string]*string) {
	if s.data.hasExports() {
		env[setting.Results] = s.data.Results.BucketName()
	}
}

// jobsTable is left out where the platform keeps its jobs itself.
func (s *Service) jobsTable(env map[string]*string) {
	if s.data.Jobs != nil {
		env[setting.Jobs] = s.data.Jobs.TableName()
	}
}

// exportQueue is for those who dispatch: from the stream, or what it gave up.
func (s *Service) exportQueue(env map[string]*string) {
	if s.data.hasExports() {
		env[setting.ExportQueue] = s.data.Export.Queue.QueueUrl()
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

func hours(days int) *string { return jsii.String(fmt.Sprintf("%dh", 24*days)) }
