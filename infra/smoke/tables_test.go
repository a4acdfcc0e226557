package smoke

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

const tableType = "AWS::DynamoDB::Table"

// tableProperties are the properties of a table. Those that DynamoDB Local has
// no use for are known and not looked at.
type tableProperties struct {
	AttributeDefinitions    []types.AttributeDefinition
	BillingMode             types.BillingMode
	GlobalSecondaryIndexes  []types.GlobalSecondaryIndex
	KeySchema               []types.KeySchemaElement
	StreamSpecification     *struct{ StreamViewType types.StreamViewType }
	TimeToLiveSpecification *struct {
		AttributeName string
		Enabled       bool
	}
	DeletionProtectionEnabled        bool
	PointInTimeRecoverySpecification any
}

// createTables creates the tables of the template under the names that
// CloudFormation gave them.
func createTables(t *testing.T, d *deployment, client *dynamodb.Client) {
	t.Helper()
	for id, r := range d.full["data"].Resources {
		if r.Type == tableType {
			createTable(t, client, d.ids[id], readTable(t, id, r))
		}
	}
}

func readTable(t *testing.T, id string, r resource) (p tableProperties) {
	t.Helper()
	raw, err := json.Marshal(r.Properties)
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&p); err != nil {
		t.Fatalf("table %s: %v", id, err)
	}
	return p
}

func createTable(t *testing.T, client *dynamodb.Client, name string, p tableProperties) {
	t.Helper()
	in := &dynamodb.CreateTableInput{
		TableName: &name, AttributeDefinitions: p.AttributeDefinitions, BillingMode: p.BillingMode,
		GlobalSecondaryIndexes: p.GlobalSecondaryIndexes, KeySchema: p.KeySchema,
	}
	if p.StreamSpecification != nil {
		in.StreamSpecification = &types.StreamSpecification{StreamEnabled: aws.Bool(true), StreamViewType: p.StreamSpecification.StreamViewType}
	}
	if _, err := client.CreateTable(t.Context(), in); err != nil {
		t.Fatalf("create table %s: %v", name, err)
	}
	ttl := p.TimeToLiveSpecification
	if ttl == nil {
		return
	}
	if _, err := client.UpdateTimeToLive(t.Context(), &dynamodb.UpdateTimeToLiveInput{
		TableName: &name, TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: &ttl.AttributeName, Enabled: &ttl.Enabled},
	}); err != nil {
		t.Fatalf("time to live of table %s: %v", name, err)
	}
}
