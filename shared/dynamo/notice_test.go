package dynamo_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/jobhook/jobhook/shared/webhook"
)

func TestANoticeThatCannotBeReadHoldsUpNoOthers(t *testing.T) {
	s, _, o := openWired(t, nil)
	putEndpoint(t, s, "ep_1")
	n := webhook.Notice{Type: webhook.EndpointFailingEvent, Account: "acme", Endpoint: "ep_1", At: moment()}
	read, err := s.HealthOf(t.Context(), "acme", "ep_1")
	check(t, err)
	next := read
	next.Slow, next.Version = 1, read.Version+1
	check(t, s.SetHealth(t.Context(), "acme", read, next, n))
	_, err = o.Client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &o.Deliveries, Item: map[string]types.AttributeValue{
		"pk": &types.AttributeValueMemberS{Value: "notices"}, "sk": &types.AttributeValueMemberS{Value: "ntc_"},
		"data": &types.AttributeValueMemberS{Value: "no JSON"},
	}})
	check(t, err)
	list, err := s.Notices(t.Context(), 1)
	check(t, err)
	same(t, "notices", list, []webhook.Notice{n})
}
