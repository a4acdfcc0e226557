package dynamo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/valyala/fastjson"

	"github.com/jobhook/jobhook/shared/job"
)

// maxDigits is what a DynamoDB number can have.
const maxDigits = 38

// attributesOf turns a job record into an item of the jobs table. A number
// that DynamoDB cannot hold is a *job.FieldError.
func attributesOf(record []byte) (item, error) {
	v, err := fastjson.ParseBytes(record)
	if err != nil {
		return nil, err
	}
	object, err := v.Object()
	if err != nil {
		return nil, err
	}
	return objectAttributes(object, "")
}

func objectAttributes(object *fastjson.Object, path string) (all item, err error) {
	all = make(item, object.Len())
	object.Visit(func(name []byte, v *fastjson.Value) {
		if err == nil {
			all[string(name)], err = attribute(v, strings.TrimPrefix(path+"."+string(name), "."))
		}
	})
	return all, err
}

func attribute(v *fastjson.Value, path string) (types.AttributeValue, error) {
	switch v.Type() {
	case fastjson.TypeString:
		return text(string(v.GetStringBytes())), nil
	case fastjson.TypeNumber:
		n := v.String()
		if !holds(n) {
			return nil, &job.FieldError{Field: path, Problem: fmt.Sprintf("DynamoDB cannot hold the number %.60s", n),
				Cure: "write at most 38 digits and exponents from -130 to 125, or a string"}
		}
		return &types.AttributeValueMemberN{Value: n}, nil
	case fastjson.TypeTrue, fastjson.TypeFalse:
		return &types.AttributeValueMemberBOOL{Value: v.GetBool()}, nil
	case fastjson.TypeObject:
		m, err := objectAttributes(v.GetObject(), path)
		return &types.AttributeValueMemberM{Value: m}, err
	case fastjson.TypeArray:
		list := []types.AttributeValue{}
		for _, v := range v.GetArray() {
			a, err := attribute(v, path)
			if err != nil {
				return nil, err
			}
			list = append(list, a)
		}
		return &types.AttributeValueMemberL{Value: list}, nil
	}
	return &types.AttributeValueMemberNULL{Value: true}, nil
}

// holds tells whether DynamoDB can keep a JSON number as it is: 38 digits,
// 1E-130 to 9.99E+125.
func holds(n string) bool {
	mantissa, exponent, _ := strings.Cut(strings.ToLower(strings.TrimPrefix(n, "-")), "e")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	if digits == "" {
		return true
	}
	if len(strings.TrimRight(digits, "0")) > maxDigits || len(exponent) > 5 {
		return false
	}
	shift := 0
	if exponent != "" {
		fmt.Sscan(exponent, &shift)
	}
	magnitude := shift + len(digits) - len(fraction) - 1
	return magnitude >= -130 && magnitude <= 125
}

// recordOf is an item of the jobs table as a job record: a JSON object, its
// names sorted, without what is Jobhook's own.
func recordOf(i item) ([]byte, error) {
	m := make(map[string]any, len(i))
	for name, v := range i {
		if !strings.HasPrefix(name, ownPrefix) {
			m[name] = value(v)
		}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(m); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func value(v types.AttributeValue) any {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return v.Value
	case *types.AttributeValueMemberN:
		return json.Number(v.Value)
	case *types.AttributeValueMemberBOOL:
		return v.Value
	case *types.AttributeValueMemberM:
		m := make(map[string]any, len(v.Value))
		for name, v := range v.Value {
			m[name] = value(v)
		}
		return m
	case *types.AttributeValueMemberL:
		list := make([]any, len(v.Value))
		for i, v := range v.Value {
			list[i] = value(v)
		}
		return list
	case *types.AttributeValueMemberSS:
		return v.Value
	case *types.AttributeValueMemberNS:
		list := make([]json.Number, len(v.Value))
		for i, n := range v.Value {
			list[i] = json.Number(n)
		}
		return list
	}
	return nil // null, and bytes, which have no place in JSON
}

// sameMap tells whether two items, or two maps in them, say the same, numbers
// by their value.
func sameMap(a, b map[string]types.AttributeValue) bool {
	if len(a) != len(b) {
		return false
	}
	for name, v := range a {
		other, ok := b[name]
		if !ok || !sameValue(v, other) {
			return false
		}
	}
	return true
}

func sameValue(a, b types.AttributeValue) bool {
	switch a := a.(type) {
	case *types.AttributeValueMemberN:
		b, ok := b.(*types.AttributeValueMemberN)
		return ok && (a.Value == b.Value || sameNumber(a.Value, b.Value))
	case *types.AttributeValueMemberM:
		b, ok := b.(*types.AttributeValueMemberM)
		return ok && sameMap(a.Value, b.Value)
	case *types.AttributeValueMemberL:
		b, ok := b.(*types.AttributeValueMemberL)
		if !ok || len(a.Value) != len(b.Value) {
			return false
		}
		for i := range a.Value {
			if !sameValue(a.Value[i], b.Value[i]) {
				return false
			}
		}
		return true
	case *types.AttributeValueMemberS:
		b, ok := b.(*types.AttributeValueMemberS)
		return ok && a.Value == b.Value
	case *types.AttributeValueMemberBOOL:
		b, ok := b.(*types.AttributeValueMemberBOOL)
		return ok && a.Value == b.Value
	case *types.AttributeValueMemberNULL:
		_, ok := b.(*types.AttributeValueMemberNULL)
		return ok
	}
	return false // sets and bytes, which a record does not become
}

func sameNumber(a, b string) bool {
	x, ok := new(big.Rat).SetString(a)
	y, ok2 := new(big.Rat).SetString(b)
	return ok && ok2 && x.Cmp(y) == 0
}
