package dynamo

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// item is an item of a table. Attributes with a zero value are left out.
type item map[string]types.AttributeValue

func (i item) text(name, v string) item {
	if v != "" {
		i[name] = text(v)
	}
	return i
}

func (i item) int(name string, v int) item {
	if v != 0 {
		i[name] = number(v)
	}
	return i
}

// time keeps microseconds since 1970.
func (i item) time(name string, t time.Time) item { return i.int(name, micros(t)) }

func (i item) bytes(name string, v []byte) item {
	if len(v) > 0 {
		i[name] = &types.AttributeValueMemberB{Value: v}
	}
	return i
}

func (i item) bool(name string, v bool) item {
	if v {
		i[name] = &types.AttributeValueMemberBOOL{Value: true}
	}
	return i
}

// inOrder returns a list in order. It sorts pointers: they share one sort in the
// binary, where each type of its own adds another, and long ones stay in place.
func inOrder[T any](list []T, compare func(a, b *T) int) []T {
	order := make([]*T, len(list))
	for n := range list {
		order[n] = &list[n]
	}
	slices.SortFunc(order, compare)
	sorted := make([]T, len(order))
	for n, p := range order {
		sorted[n] = *p
	}
	return sorted
}

// byText compares items by an attribute's text.
func byText(name string) func(a, b *item) int {
	return func(a, b *item) int { return cmp.Compare(a.getText(name), b.getText(name)) }
}

func (i item) getText(name string) string {
	v, _ := i[name].(*types.AttributeValueMemberS)
	if v == nil {
		return ""
	}
	return v.Value
}

func (i item) getInt(name string) int {
	v, _ := i[name].(*types.AttributeValueMemberN)
	if v == nil {
		return 0
	}
	n, _ := strconv.Atoi(v.Value) // we wrote it
	return n
}

func (i item) getTime(name string) time.Time { return fromMicros(i.getInt(name)) }

func (i item) getBytes(name string) []byte {
	v, _ := i[name].(*types.AttributeValueMemberB)
	if v == nil {
		return nil
	}
	return v.Value
}

func (i item) getBool(name string) bool {
	v, _ := i[name].(*types.AttributeValueMemberBOOL)
	return v != nil && v.Value
}

func text(v string) types.AttributeValue { return &types.AttributeValueMemberS{Value: v} }

func number(v int) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.Itoa(v)}
}

// micros is 0 for the zero time.
func micros(t time.Time) int {
	if t.IsZero() {
		return 0
	}
	return int(t.UnixMicro())
}

func fromMicros(n int) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(int64(n)).UTC()
}

// Attributes of every item of the deliveries table.
const (
	attrPK  = "pk"
	attrSK  = "sk"
	attrTTL = "ttl" // seconds since 1970, when DynamoDB may remove the item
)

// key names an item of the deliveries table.
type key struct{ pk, sk string }

// maxPK and maxSK are how many bytes DynamoDB takes for the keys.
const (
	maxPK = 2048
	maxSK = 1024
)

// fits tells whether there can be such an item: callers' ids may be anything.
func (k key) fits() bool { return len(k.pk) <= maxPK && len(k.sk) <= maxSK }

func (k key) item() item { return k.itemFor(2) }

// itemFor has room for so many attributes, the key's two included.
func (k key) itemFor(attributes int) item {
	i := make(item, attributes)
	i[attrPK], i[attrSK] = text(k.pk), text(k.sk)
	return i
}

func (i item) key() key { return key{i.getText(attrPK), i.getText(attrSK)} }

// gone tells whether DynamoDB may have removed the item, or may at any moment.
func (i item) gone(now time.Time) bool {
	_, ok := i[attrTTL]
	return ok && i.getInt(attrTTL) < int(now.Unix())
}

// ttl lets DynamoDB remove the item some time after t.
func (i item) ttl(t time.Time) item {
	if !t.IsZero() {
		i[attrTTL] = number(int(t.Unix()) + 1)
	}
	return i
}
