package jobhook

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"
)

const (
	// deliverSeconds is the timeout of deliver: a request lasts at most 30 s,
	// and recording what became of it at most 15 s more.
	deliverSeconds = 60
	// exportSeconds is as long as Lambda lets a function run.
	exportSeconds = 15 * 60
	// hidden is what AWS asks for: six times the timeout, so that a batch that
	// Lambda tries again while throttled stays hidden.
	hidden = 6
	// maxReceives is as many as SQS has. A message comes again for each wait of
	// its delivery's schedule; that it ever ends in the dead letters is a fault of ours.
	maxReceives = 1000
	// maxExports leaves room for a crash or two: at the third try export itself
	// gives up, and says so in the job.
	maxExports = 5
	queueDays  = 14 // as long as SQS keeps a message
)

// reading says how a queue is read: how long its function may run, and how
// often a message may come.
type reading struct{ seconds, receives int }

func doorbells() reading { return reading{deliverSeconds, maxReceives} }

func exports() reading { return reading{exportSeconds, maxExports} }

// Queue is a queue with its dead letters.
type Queue struct {
	Queue       awssqs.Queue
	DeadLetters awssqs.Queue
}

// queue makes a queue and its dead letters, each of which names the other. For
// that CloudFormation must know a name beforehand: the queue's is given here.
func (d *Data) queue(id string, p Props, r reading) Queue {
	name := awscdk.Names_UniqueResourceName(d.Construct, &awscdk.UniqueResourceNameOptions{
		MaxLength: jsii.Number(80 - len(id) - 1), Separator: jsii.String("-"), AllowedSpecialCharacters: jsii.String("-"),
	})
	*name += "-" + id
	arn := awscdk.Stack_Of(d.Construct).FormatArn(&awscdk.ArnComponents{Service: jsii.String("sqs"), Resource: name})
	dead := awssqs.NewQueue(d.Construct, jsii.String(id+"DeadLetters"), &awssqs.QueueProps{
		Encryption: awssqs.QueueEncryption_SQS_MANAGED, EnforceSSL: jsii.Bool(true),
		RetentionPeriod: days(queueDays),
		RemovalPolicy:   p.removal(),
		RedriveAllowPolicy: &awssqs.RedriveAllowPolicy{
			RedrivePermission: awssqs.RedrivePermission_BY_QUEUE,
			SourceQueues:      &[]awssqs.IQueue{awssqs.Queue_FromQueueArn(d.Construct, jsii.String(id+"ByName"), arn)},
		},
	})
	return Queue{DeadLetters: dead, Queue: awssqs.NewQueue(d.Construct, jsii.String(id), &awssqs.QueueProps{
		QueueName:  name,
		Encryption: awssqs.QueueEncryption_SQS_MANAGED, EnforceSSL: jsii.Bool(true),
		RetentionPeriod:   days(queueDays),
		RemovalPolicy:     awscdk.RemovalPolicy_DESTROY, // its name would be in the way of the next; sweep rings again for what is due
		VisibilityTimeout: seconds(hidden * r.seconds),
		DeadLetterQueue:   &awssqs.DeadLetterQueue{Queue: dead, MaxReceiveCount: jsii.Number(r.receives)},
	})}
}
