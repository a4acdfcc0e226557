package dispatch

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"

	"github.com/jobhook/jobhook/shared/job"
)

// decodeChange reads a stream record. An error is a defect of the record, not
// of the moment: trying again would not help.
func decodeChange(r events.DynamoDBEventRecord, a Attributes) (job.Change, error) {
	c := job.Change{Sequence: r.Change.SequenceNumber, At: r.Change.ApproximateCreationDateTime.UTC()}
	next, err := decodeImage(r.Change.NewImage, a)
	if err != nil {
		return c, fmt.Errorf("new image: %w", err)
	}
	c.New = next
	if len(r.Change.OldImage) == 0 {
		return c, nil
	}
	// An old image that cannot be read says nothing: the job counts as new, and
	// deterministic ids keep an event that was already told from being told again.
	if old, err := decodeImage(r.Change.OldImage, a); err == nil {
		c.Old = &old
	}
	return c, nil
}

func decodeImage(image map[string]events.DynamoDBAttributeValue, a Attributes) (job.Job, error) {
	record, err := appendImage(make([]byte, 0, 1024), a.apply(image))
	if err != nil {
		return job.Job{}, err
	}
	return job.DecodeValid(record)
}

// bookkeeping begins the names of the attributes that Jobhook keeps for itself
// in the jobs table. They are no part of the record.
const bookkeeping = "jobhook_"

// appendImage writes an item's record as JSON.
func appendImage(b []byte, m map[string]events.DynamoDBAttributeValue) ([]byte, error) {
	keys := make([]string, 0, len(m))
	for k := range m {
		if !strings.HasPrefix(k, bookkeeping) {
			keys = append(keys, k)
		}
	}
	return appendMembers(b, m, keys)
}

func appendMap(b []byte, m map[string]events.DynamoDBAttributeValue) ([]byte, error) {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	return appendMembers(b, m, keys)
}

// appendMembers sorts the keys, so that equal items give equal bytes.
func appendMembers(b []byte, m map[string]events.DynamoDBAttributeValue, keys []string) ([]byte, error) {
	slices.Sort(keys)
	b = append(b, '{')
	for i, k := range keys {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, k), ':')
		var err error
		if b, err = appendValue(b, m[k]); err != nil {
			return nil, fmt.Errorf("attribute %q: %w", k, err)
		}
	}
	return append(b, '}'), nil
}

func appendValue(b []byte, v events.DynamoDBAttributeValue) ([]byte, error) {
	switch v.DataType() {
	case events.DataTypeString:
		return appendString(b, v.String()), nil
	case events.DataTypeNumber:
		return appendNumber(b, v.Number())
	case events.DataTypeBoolean:
		return strconv.AppendBool(b, v.Boolean()), nil
	case events.DataTypeNull, events.DataTypeBinary, events.DataTypeBinarySet:
		return append(b, "null"...), nil // bytes have no place in JSON, and a table that has some must not do without webhooks
	case events.DataTypeMap:
		return appendMap(b, v.Map())
	case events.DataTypeList:
		return appendList(b, v.List(), appendValue)
	case events.DataTypeStringSet:
		return appendList(b, v.StringSet(), func(b []byte, s string) ([]byte, error) { return appendString(b, s), nil })
	case events.DataTypeNumberSet:
		return appendList(b, v.NumberSet(), appendNumber)
	}
	return nil, fmt.Errorf("the type %d of the attribute is unknown", v.DataType())
}

func appendList[T any](b []byte, list []T, appendItem func([]byte, T) ([]byte, error)) ([]byte, error) {
	b = append(b, '[')
	for i, item := range list {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = appendItem(b, item); err != nil {
			return nil, err
		}
	}
	return append(b, ']'), nil
}

func appendNumber(b []byte, n string) ([]byte, error) {
	if !json.Valid([]byte(n)) {
		return nil, fmt.Errorf("%.40q is no number", n)
	}
	return append(b, n...), nil
}

// appendString writes a JSON string and escapes no more than it must, so that
// a record does not grow on its way.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i, r := range s {
		if r >= ' ' && r != '"' && r != '\\' && r != utf8.RuneError {
			continue
		}
		b = append(b, s[start:i]...)
		b = appendEscaped(b, r)
		start = i + 1
		if r == utf8.RuneError && strings.HasPrefix(s[i:], "\ufffd") {
			start = i + len("\ufffd")
		}
	}
	return append(append(b, s[start:]...), '"')
}

// appendEscaped writes what cannot stand in a JSON string as it is. A byte that
// is no UTF-8 becomes the replacement character.
func appendEscaped(b []byte, r rune) []byte {
	switch r {
	case '"', '\\':
		return append(b, '\\', byte(r))
	case '\b':
		return append(b, `\b`...)
	case '\f':
		return append(b, `\f`...)
	case '\n':
		return append(b, `\n`...)
	case '\r':
		return append(b, `\r`...)
	case '\t':
		return append(b, `\t`...)
	case utf8.RuneError:
		return append(b, "\ufffd"...)
	}
	return fmt.Appendf(b, `\u%04x`, r)
}
