// Package jobhook holds Jobhook as constructs of the AWS CDK: Jobhook is all of
// it, Data what must not be lost, Service what can be made anew at any time.
//
//	jobhook.NewJobhook(stack, jsii.String("Jobhook"), &jobhook.Props{
//		Stage: "prod",
//		JobsTable: &jobhook.JobsTable{
//			StreamARN:  *jobs.TableStreamArn(),
//			Attributes: map[string]string{"id": "jobId", "account": "customer"},
//			Constants:  map[string]string{"kind": "scraping"},
//		},
//		Assets: "path/to/jobhook/build/lambda",
//	})
package jobhook

import (
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// Jobhook is the whole product in the stack of its scope.
type Jobhook struct {
	constructs.Construct
	Data    *Data
	Service *Service
}

// NewJobhook puts tables, queues, buckets, keys and the functions with their
// alarms into one scope. It panics with all that is wrong with the props, see
// Props.Check.
func NewJobhook(scope constructs.Construct, id *string, props *Props) *Jobhook {
	c := constructs.NewConstruct(scope, id)
	data := NewData(c, jsii.String("Data"), props)
	return &Jobhook{Construct: c, Data: data, Service: NewService(c, jsii.String("Service"), data, props)}
}

// mustCheck returns the props with their defaults, or panics, as constructs do.
func mustCheck(props *Props) Props {
	if props == nil {
		props = &Props{}
	}
	if err := props.Check(); err != nil {
		panic(err)
	}
	return props.withDefaults()
}
