package dynamo

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// CreateTables creates both tables and waits for them, on a server of one's
// own. On AWS the stacks in infra create them, of the same form.
func CreateTables(ctx context.Context, client *dynamodb.Client, deliveries, jobs string) error {
	for _, in := range []*dynamodb.CreateTableInput{deliveriesTable(deliveries), jobsTable(jobs)} {
		if *in.TableName == "" {
			continue
		}
		if _, err := client.CreateTable(ctx, in); err != nil {
			return wrap(err, "create table %s", *in.TableName)
		}
		err := dynamodb.NewTableExistsWaiter(client, func(o *dynamodb.TableExistsWaiterOptions) {
			o.MinDelay, o.MaxDelay = 50*time.Millisecond, time.Second
		}).Wait(ctx, &dynamodb.DescribeTableInput{TableName: in.TableName}, time.Minute)
		if err != nil {
			return wrap(err, "wait for table %s", *in.TableName)
		}
	}
	return nil
}

func deliveriesTable(name string) *dynamodb.CreateTableInput {
	return &dynamodb.CreateTableInput{
		TableName: &name, BillingMode: types.BillingModePayPerRequest, KeySchema: keySchema(attrPK, attrSK),
		AttributeDefinitions: texts(attrPK, attrSK, attrDueShard, attrDueAt),
		GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{{
			IndexName: aws.String(dueIndex), KeySchema: keySchema(attrDueShard, attrDueAt),
			Projection: &types.Projection{ProjectionType: types.ProjectionTypeKeysOnly},
		}},
	}
}

func jobsTable(name string) *dynamodb.CreateTableInput {
	return &dynamodb.CreateTableInput{
		TableName: &name, BillingMode: types.BillingModePayPerRequest, KeySchema: keySchema(jobID, jobKind),
		AttributeDefinitions: texts(jobID, jobKind, jobAccount, jobCreated),
		GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{{
			IndexName: aws.String(accountIndex), KeySchema: keySchema(jobAccount, jobCreated),
			Projection: &types.Projection{ProjectionType: types.ProjectionTypeKeysOnly},
		}},
		StreamSpecification: &types.StreamSpecification{StreamEnabled: aws.Bool(true), StreamViewType: types.StreamViewTypeNewAndOldImages},
	}
}

func keySchema(partition, sort string) []types.KeySchemaElement {
	return []types.KeySchemaElement{
		{AttributeName: &partition, KeyType: types.KeyTypeHash}, {AttributeName: &sort, KeyType: types.KeyTypeRange},
	}
}

func texts(names ...string) (list []types.AttributeDefinition) {
	for _, n := range names {
		list = append(list, types.AttributeDefinition{AttributeName: &n, AttributeType: types.ScalarAttributeTypeS})
	}
	return list
}
