package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// writeUnitBytes is how much of an item one write unit covers.
const writeUnitBytes = 1 << 10

// itemBytes is the size of an item by which DynamoDB charges, by the rules of
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
func itemBytes(item map[string]types.AttributeValue) int {
	n := 0
	for name, v := range item {
		n += len(name) + valueBytes(v)
	}
	return n
}

func valueBytes(v types.AttributeValue) int {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return len(v.Value)
	case *types.AttributeValueMemberN:
		return numberBytes(v.Value)
	case *types.AttributeValueMemberB:
		return len(v.Value)
	case *types.AttributeValueMemberM:
		n := 3
		for name, v := range v.Value {
			n += 1 + len(name) + valueBytes(v)
		}
		return n
	case *types.AttributeValueMemberL:
		n := 3
		for _, v := range v.Value {
			n += 1 + valueBytes(v)
		}
		return n
	}
	return 1 // null and true; sets are not used
}

// numberBytes: about one byte for two significant digits, and one more.
func numberBytes(n string) int {
	digits := strings.Trim(strings.Map(onlyDigits, n), "0")
	return (len(digits)+1)/2 + 1
}

func onlyDigits(r rune) rune {
	if r < '0' || r > '9' {
		return -1
	}
	return r
}

// sizes tell how large the items of one sort are.
type sizes struct {
	Items      int                `json:"items"`
	Mean       float64            `json:"mean_bytes"`
	Max        int                `json:"max_bytes"`
	Attributes map[string]float64 `json:"mean_bytes_by_attribute"` // names included
}

// measureItems reads a whole table and tells how large its items are, by sort.
func measureItems(ctx context.Context, client *dynamodb.Client, table string) (map[string]sizes, error) {
	all := map[string]sizes{}
	pages := dynamodb.NewScanPaginator(client, &dynamodb.ScanInput{TableName: &table})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("scan %s: %w", table, err)
		}
		for _, item := range page.Items {
			sort := sortOf(item)
			all[sort] = all[sort].with(item)
		}
	}
	for sort, s := range all {
		all[sort] = s.averaged()
	}
	return all, nil
}

func (s sizes) with(item map[string]types.AttributeValue) sizes {
	if s.Attributes == nil {
		s.Attributes = map[string]float64{}
	}
	n := itemBytes(item)
	s.Items, s.Mean, s.Max = s.Items+1, s.Mean+float64(n), max(s.Max, n)
	for name, v := range item {
		if strings.HasPrefix(name, "att_") {
			s.Attributes["att_*"] += float64(len(name) + valueBytes(v))
			continue
		}
		s.Attributes[name] += float64(len(name) + valueBytes(v))
	}
	return s
}

func (s sizes) averaged() sizes {
	s.Mean /= float64(s.Items)
	for name := range s.Attributes {
		s.Attributes[name] /= float64(s.Items)
	}
	return s
}

// sortOf tells by its key what an item of the deliveries table is.
func sortOf(item map[string]types.AttributeValue) string {
	pk, sk := textOf(item["pk"]), textOf(item["sk"])
	prefix, _, _ := strings.Cut(pk, "#")
	switch {
	case prefix == "d" && len(sk) == len("0123456789")+len("0123456789abcdef"):
		return "event"
	case prefix == "d":
		return "delivery"
	case prefix == "t":
		return "attempt"
	case prefix == "h":
		return "statistics"
	}
	return "other"
}

func textOf(v types.AttributeValue) string {
	s, _ := v.(*types.AttributeValueMemberS)
	if s == nil {
		return ""
	}
	return s.Value
}
