package smoke

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	streamtypes "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
)

// item is one of a table.
type item = map[string]types.AttributeValue

// example is what the README tells a platform to write.
type example struct {
	put    item
	update dynamodb.UpdateItemInput // without its table
}

// of is the same example about another job.
func (e example) of(id string) example {
	e.put, e.update.Key = maps.Clone(e.put), maps.Clone(e.update.Key)
	e.put["id"] = &types.AttributeValueMemberS{Value: id}
	e.update.Key["id"] = e.put["id"]
	return e
}

// readExample reads the put-item example of the README.
func readExample(t testing.TB) (e example) {
	t.Helper()
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(readme), "<!-- put-item -->")
	text, _, ok := strings.Cut(after, "<!-- /put-item -->")
	if !ok {
		t.Fatal("README.md has no example between the marks put-item and /put-item")
	}
	e.put = parseItem(t, argument(t, text, "item"))
	e.update.Key = parseItem(t, argument(t, text, "key"))
	e.update.UpdateExpression = aws.String(argument(t, text, "update-expression"))
	e.update.ExpressionAttributeValues = parseItem(t, argument(t, text, "expression-attribute-values"))
	if err := json.Unmarshal([]byte(argument(t, text, "expression-attribute-names")), &e.update.ExpressionAttributeNames); err != nil {
		t.Fatalf("names in the README's put-item example: %v", err)
	}
	return e
}

// argument is a quoted argument of a command.
func argument(t testing.TB, command, name string) string {
	t.Helper()
	found := regexp.MustCompile(`--` + name + ` '([^']*)'`).FindStringSubmatch(command)
	if found == nil {
		t.Fatalf("the README's put-item example has no --%s '...'", name)
	}
	return found[1]
}

// parseItem reads an item as the AWS command line takes it.
func parseItem(t testing.TB, text string) item {
	t.Helper()
	var values map[string]events.DynamoDBAttributeValue
	err := json.Unmarshal([]byte(text), &values)
	if err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	got, err := toItem(values)
	if err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return got
}

func toItem(values map[string]events.DynamoDBAttributeValue) (item, error) {
	got := item{}
	for name, v := range values {
		value, err := toSDK(v)
		if err != nil {
			return nil, fmt.Errorf("attribute %s: %w", name, err)
		}
		got[name] = value
	}
	return got, nil
}

func toSDK(v events.DynamoDBAttributeValue) (types.AttributeValue, error) {
	switch v.DataType() {
	case events.DataTypeString:
		return &types.AttributeValueMemberS{Value: v.String()}, nil
	case events.DataTypeNumber:
		return &types.AttributeValueMemberN{Value: v.Number()}, nil
	case events.DataTypeBoolean:
		return &types.AttributeValueMemberBOOL{Value: v.Boolean()}, nil
	case events.DataTypeNull:
		return &types.AttributeValueMemberNULL{Value: true}, nil
	case events.DataTypeMap:
		members, err := toItem(v.Map())
		return &types.AttributeValueMemberM{Value: members}, err
	case events.DataTypeList:
		list := &types.AttributeValueMemberL{}
		for _, member := range v.List() {
			one, err := toSDK(member)
			if err != nil {
				return nil, err
			}
			list.Value = append(list.Value, one)
		}
		return list, nil
	}
	return nil, fmt.Errorf("values of type %v are not in the examples", v.DataType())
}

// toImage is what Lambda makes of an image in a stream.
func toImage(values map[string]streamtypes.AttributeValue) (map[string]events.DynamoDBAttributeValue, error) {
	if values == nil {
		return nil, nil
	}
	image := map[string]events.DynamoDBAttributeValue{}
	for name, v := range values {
		value, err := toEvent(v)
		if err != nil {
			return nil, fmt.Errorf("attribute %s: %w", name, err)
		}
		image[name] = value
	}
	return image, nil
}

func toEvent(v streamtypes.AttributeValue) (none events.DynamoDBAttributeValue, err error) {
	switch v := v.(type) {
	case *streamtypes.AttributeValueMemberS:
		return events.NewStringAttribute(v.Value), nil
	case *streamtypes.AttributeValueMemberN:
		return events.NewNumberAttribute(v.Value), nil
	case *streamtypes.AttributeValueMemberB:
		return events.NewBinaryAttribute(v.Value), nil
	case *streamtypes.AttributeValueMemberBOOL:
		return events.NewBooleanAttribute(v.Value), nil
	case *streamtypes.AttributeValueMemberNULL:
		return events.NewNullAttribute(), nil
	case *streamtypes.AttributeValueMemberSS:
		return events.NewStringSetAttribute(v.Value), nil
	case *streamtypes.AttributeValueMemberNS:
		return events.NewNumberSetAttribute(v.Value), nil
	case *streamtypes.AttributeValueMemberM:
		members, err := toImage(v.Value)
		return events.NewMapAttribute(members), err
	case *streamtypes.AttributeValueMemberL:
		list := make([]events.DynamoDBAttributeValue, len(v.Value))
		for i, member := range v.Value {
			if list[i], err = toEvent(member); err != nil {
				return none, err
			}
		}
		return events.NewListAttribute(list), nil
	}
	return none, fmt.Errorf("values of type %T are not known", v)
}
