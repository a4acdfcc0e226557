package jobhook

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/jsii-runtime-go"
)

// Indexes of the tables.
const (
	accountIndex = "account"
	dueIndex     = "due"
)

// jobs makes the table whose stream dispatch reads, unless there is one.
func (d *Data) jobs(p Props) {
	if p.JobsTable != nil {
		d.stream = jsii.String(p.JobsTable.StreamARN)
		if p.JobsTable.KeyARN != "" {
			d.streamKey = jsii.String(p.JobsTable.KeyARN)
		}
		return
	}
	d.Jobs = d.table("Jobs", p, awsdynamodb.TableProps{
		PartitionKey: text("id"), SortKey: text("kind"),
		Stream: awsdynamodb.StreamViewType_NEW_AND_OLD_IMAGES,
	})
	d.Jobs.AddGlobalSecondaryIndex(index(p, accountIndex, "account", "created_at"))
	d.stream = d.Jobs.TableStreamArn()
}

// deliveries makes the table of everything else. It has no stream: nobody
// needs one, and each delivery writes to it several times.
func (d *Data) deliveries(p Props) {
	d.Deliveries = d.table("Deliveries", p, awsdynamodb.TableProps{
		PartitionKey: text("pk"), SortKey: text("sk"),
		TimeToLiveAttribute: jsii.String("ttl"),
	})
	d.Deliveries.AddGlobalSecondaryIndex(index(p, dueIndex, "due_shard", "due_at"))
}

// table completes what all tables have in common. They are encrypted with a key
// that DynamoDB owns, which is free; secrets are sealed with our own besides.
func (d *Data) table(id string, p Props, t awsdynamodb.TableProps) awsdynamodb.Table {
	t.BillingMode = awsdynamodb.BillingMode_PAY_PER_REQUEST
	t.PointInTimeRecoverySpecification = &awsdynamodb.PointInTimeRecoverySpecification{PointInTimeRecoveryEnabled: jsii.Bool(true)}
	t.DeletionProtection = jsii.Bool(p.removal() == awscdk.RemovalPolicy_RETAIN)
	t.RemovalPolicy = p.removal()
	t.WarmThroughput = p.warm()
	return awsdynamodb.NewTable(d.Construct, jsii.String(id), &t)
}

// index holds keys only: who lists reads the rows that it shows.
func index(p Props, name, partition, sort string) *awsdynamodb.GlobalSecondaryIndexProps {
	return &awsdynamodb.GlobalSecondaryIndexProps{
		IndexName: jsii.String(name), PartitionKey: text(partition), SortKey: text(sort),
		ProjectionType: awsdynamodb.ProjectionType_KEYS_ONLY,
		WarmThroughput: p.warm(), // an index that cannot keep up holds back its table
	}
}

// warm is nil when nothing is asked for.
func (p Props) warm() *awsdynamodb.WarmThroughput {
	if p.Warm == (Throughput{}) {
		return nil
	}
	return &awsdynamodb.WarmThroughput{
		ReadUnitsPerSecond: jsii.Number(p.Warm.Read), WriteUnitsPerSecond: jsii.Number(p.Warm.Write),
	}
}

func text(name string) *awsdynamodb.Attribute {
	return &awsdynamodb.Attribute{Name: jsii.String(name), Type: awsdynamodb.AttributeType_STRING}
}
