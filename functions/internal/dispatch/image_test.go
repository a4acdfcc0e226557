package dispatch

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"pgregory.net/rapid"
)

func TestAStringIsWrittenAsItWasAndNoLongerThanItMust(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "text")
		written := appendString(nil, s)
		var read string
		if err := json.Unmarshal(written, &read); err != nil || read != strings.ToValidUTF8(s, "\ufffd") {
			t.Fatalf("%q was written as %s and read as %q, %v", s, written, read, err)
		}
	})
	if got, want := string(appendString(nil, "a\u2028<&>\xff\ufffdz\x01\n\"")), "\"a\u2028<&>\ufffd\ufffdz"+`\u0001\n\""`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestWhatJSONCannotSayIsRefused(t *testing.T) {
	for name, v := range map[string]events.DynamoDBAttributeValue{
		"broken number": events.NewNumberAttribute("1,5"),
	} {
		if b, err := appendValue(nil, v); err == nil {
			t.Errorf("%s was written as %s", name, b)
		}
	}
}

func TestBytesAreLeftOutOfARecord(t *testing.T) {
	got, err := appendMap(nil, map[string]events.DynamoDBAttributeValue{
		"a": events.NewBinaryAttribute([]byte{1}), "b": events.NewBinarySetAttribute([][]byte{{1}}), "c": events.NewNumberAttribute("1"),
	})
	if want := `{"a":null,"b":null,"c":1}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}
