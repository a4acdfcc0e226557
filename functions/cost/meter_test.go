package main

import (
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/jobhook/jobhook/shared/awstest"
	"github.com/jobhook/jobhook/shared/dynamo"
)

func TestMain(m *testing.M) { os.Exit(awstest.Main(m)) }

// TestUnitsAreThoseOfThePublishedRules holds the figures to what AWS says:
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
func TestUnitsAreThoseOfThePublishedRules(t *testing.T) {
	server := awstest.DynamoDB(t).Config()
	table := awstest.Name("units")
	if err := dynamo.CreateTables(t.Context(), dynamodb.NewFromConfig(server), table, ""); err != nil {
		t.Fatal(err)
	}
	m := newMeter()
	client := m.client(server)
	put := func(i map[string]types.AttributeValue) error {
		_, err := client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &table, Item: i})
		return err
	}
	get := func(consistent bool, sks ...string) error {
		var keys []map[string]types.AttributeValue
		for _, sk := range sks {
			keys = append(keys, itemOf(sk, 0))
		}
		_, err := client.BatchGetItem(t.Context(), &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{
			table: {Keys: keys, ConsistentRead: &consistent},
		}})
		return err
	}
	query := func(index, name, value string, consistent bool) error {
		in := &dynamodb.QueryInput{
			TableName: &table, KeyConditionExpression: aws.String(name + " = :v"), ConsistentRead: &consistent,
			ExpressionAttributeValues: map[string]types.AttributeValue{":v": textValue(value)},
		}
		if index != "" {
			in.IndexName, in.ConsistentRead = &index, nil
		}
		_, err := client.Query(t.Context(), in)
		return err
	}
	parked := func(at string) map[string]types.AttributeValue {
		i := itemOf("parked", 900)
		i["due_shard"], i["due_at"] = textValue("0"), textValue(at)
		return i
	}
	for _, tt := range []struct {
		name  string
		do    func() error
		table units
		index units
	}{
		{"an item of 900 bytes", func() error { return put(itemOf("small", 900)) }, units{Write: 1}, units{}},
		{"an item of 1,024 bytes", func() error { return put(itemOf("exact", 1024)) }, units{Write: 1}, units{}},
		{"an item of 1,025 bytes", func() error { return put(itemOf("over", 1025)) }, units{Write: 2}, units{}},
		{"a small item over a large one", func() error { return put(itemOf("over", 100)) }, units{Write: 2}, units{}},
		{"an item that enters the index", func() error { return put(parked("1")) }, units{Write: 1}, units{Write: 1}},
		{"an item that stays where it is in the index", func() error { return put(parked("1")) }, units{Write: 1}, units{}},
		{"an item that moves in the index", func() error { return put(parked("2")) }, units{Write: 1}, units{Write: 2}},
		{"an item that leaves the index", func() error { return put(itemOf("parked", 900)) }, units{Write: 1}, units{Write: 1}},
		{"a part of an item", func() error {
			_, err := client.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
				TableName: &table, Key: itemOf("exact", 0), UpdateExpression: aws.String("SET a = :a"),
				ExpressionAttributeValues: map[string]types.AttributeValue{":a": textValue("1")},
			})
			return err
		}, units{Write: 2}, units{}},
		{"a condition that does not hold", func() error {
			_, err := client.PutItem(t.Context(), &dynamodb.PutItemInput{
				TableName: &table, Item: itemOf("exact", 100), ConditionExpression: aws.String("attribute_not_exists(pk)"),
				ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
			})
			if err == nil {
				t.Error("the condition held")
			}
			return nil
		}, units{Write: 2}, units{}},
		{"two items in a transaction", func() error {
			var writes []types.TransactWriteItem
			for _, sk := range []string{"one", "two"} {
				writes = append(writes, types.TransactWriteItem{Put: &types.Put{TableName: &table, Item: itemOf(sk, 900)}})
			}
			_, err := client.TransactWriteItems(t.Context(), &dynamodb.TransactWriteItemsInput{TransactItems: writes})
			return err
		}, units{Write: 4}, units{}},
		{"two items in a transaction that is canceled", func() error {
			put := &types.Put{TableName: &table, Item: itemOf("one", 900), ConditionExpression: aws.String("attribute_not_exists(pk)")}
			other := &types.Put{TableName: &table, Item: itemOf("other", 900)}
			_, err := client.TransactWriteItems(t.Context(), &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{{Put: put}, {Put: other}}})
			if err == nil {
				t.Error("the condition held")
			}
			return nil
		}, units{Write: 4}, units{}},
		{"two items", func() error { return get(true, "small", "exact") }, units{Read: 2}, units{}},
		{"two items, eventually consistent", func() error { return get(false, "small", "exact") }, units{Read: 1}, units{}},
		{"an item of 4,097 bytes", func() error {
			if err := put(itemOf("large", 4097)); err != nil {
				return err
			}
			m.reset()
			return get(true, "large")
		}, units{Read: 2}, units{}},
		{"items that do not exist", func() error { return get(true, "small", "none", "neither") }, units{Read: 3}, units{}},
		{"items that do not exist, eventually consistent", func() error { return get(false, "small", "none", "neither") }, units{Read: 1.5}, units{}},
		{"one item that does not exist", func() error {
			_, err := client.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: &table, Key: itemOf("none", 0), ConsistentRead: aws.Bool(true)})
			return err
		}, units{Read: 1}, units{}},
		{"a partition, as much as its items together", func() error { return query("", "pk", "p", true) }, units{Read: 3}, units{}},
		{"a partition without items", func() error { return query("", "pk", "none", true) }, units{Read: 1}, units{}},
		{"a partition without items, eventually consistent", func() error { return query("", "pk", "none", false) }, units{Read: 0.5}, units{}},
		{"a part of the index without items", func() error { return query("due", "due_shard", "none", false) }, units{}, units{Read: 0.5}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m.reset()
			if err := tt.do(); err != nil {
				t.Fatal(err)
			}
			_, consumed, err := m.result()
			if err != nil && !strings.Contains(err.Error(), "HTTP requests") {
				t.Fatal(err)
			}
			got := map[string]units{"table": consumed[table], "index": consumed[table+"/due"]}
			got["table"] = units{Write: got["table"].Write + consumed["refused"].Write, Read: got["table"].Read}
			if diff := cmp.Diff(got, map[string]units{"table": tt.table, "index": tt.index}); diff != "" {
				t.Errorf("units (-got +want):\n%s", diff)
			}
		})
	}
}

// itemOf is an item of so many bytes, or with 0 its key alone.
func itemOf(sk string, size int) map[string]types.AttributeValue {
	i := map[string]types.AttributeValue{"pk": textValue("p"), "sk": textValue(sk)}
	if size > 0 {
		i["fill"] = textValue(strings.Repeat("x", size-itemBytes(i)-len("fill")))
	}
	return i
}

func textValue(v string) types.AttributeValue { return &types.AttributeValueMemberS{Value: v} }

func TestAnInsertIsReadAsTheItemThatItWrites(t *testing.T) {
	table, row := insertedItem(types.BatchStatementRequest{
		Statement:  aws.String(`INSERT INTO "deliveries" VALUE {'pk':?,'sk':?,'n':?}`),
		Parameters: []types.AttributeValue{textValue("a"), textValue("b"), textValue("c")},
	})
	if diff := cmp.Diff(row, map[string]types.AttributeValue{"pk": textValue("a"), "sk": textValue("b"), "n": textValue("c")}, cmpopts.IgnoreUnexported(types.AttributeValueMemberS{})); diff != "" || table != "deliveries" {
		t.Errorf("table %q, item (-got +want):\n%s", table, diff)
	}
}
