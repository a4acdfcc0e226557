package jobhook

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// Data is what must not be lost: tables, queues, buckets, keys.
type Data struct {
	constructs.Construct
	Jobs       awsdynamodb.Table // nil when the platform has a table of its own
	Deliveries awsdynamodb.Table
	First      Queue
	Retry      Queue
	Export     Queue        // of runs whose records become files, and of requests to erase
	Results    awss3.Bucket // uploaded records and inputs, result files
	Failures   awss3.Bucket // what dispatch could not take from the stream in time
	SecretsKey awskms.Key   // seals the secrets of endpoints
	Alarms     awssns.Topic // told of alarms
	Notices    awssns.Topic // told of endpoints that fail, are disabled or recover

	stream    *string // ARN of the stream of jobs
	streamKey *string // ARN of the customer's key of that stream; nil without
	topicsKey awskms.Key
}

// NewData makes the data of a Jobhook. It panics with all that is wrong with
// the props, see Props.Check.
func NewData(scope constructs.Construct, id *string, props *Props) *Data {
	p := mustCheck(props)
	d := &Data{Construct: constructs.NewConstruct(scope, id)}
	d.jobs(p)
	d.deliveries(p)
	d.First = d.queue("First", p, doorbells())
	d.Retry = d.queue("Retry", p, doorbells())
	d.Export = d.queue("Export", p, exports())
	d.Results = d.results(p)
	d.Failures = d.bucket("Failures", p, expire("", failureDays))
	d.SecretsKey = awskms.NewKey(d.Construct, jsii.String("SecretsKey"), &awskms.KeyProps{
		Description:       jsii.String("Seals the secrets of Jobhook's endpoints"),
		EnableKeyRotation: jsii.Bool(true),
		RemovalPolicy:     p.removal(),
	})
	d.topics(p)
	return d
}

// hasUploads tells whether records can be uploaded: the run that they belong to
// is written to the row of its job, and a platform's own table is not written to.
func (d *Data) hasUploads() bool { return d.Jobs != nil }

// removal of what holds data.
func (p Props) removal() awscdk.RemovalPolicy {
	if p.Removal == Destroy {
		return awscdk.RemovalPolicy_DESTROY
	}
	return awscdk.RemovalPolicy_RETAIN
}

func days(n int) awscdk.Duration { return awscdk.Duration_Days(jsii.Number(float64(n))) }

func seconds(n int) awscdk.Duration { return awscdk.Duration_Seconds(jsii.Number(float64(n))) }
