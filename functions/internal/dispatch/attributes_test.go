package dispatch

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/shared/job"
)

type image = map[string]events.DynamoDBAttributeValue

func TestAttributesAreTakenFromWhereTheTableHasThem(t *testing.T) {
	text, number := events.NewStringAttribute, events.NewNumberAttribute
	tests := []struct {
		name, mapping string
		image         image
		want          string // the record
	}{
		{"nothing is mapped", "", image{"id": text("1"), "n": number("2")}, `{"id":"1","n":2}`},
		{"bookkeeping stays out", "", image{"id": text("1"), "jobhook_rev": number("2")}, `{"id":"1"}`},
		{"renamed", "id=jobId", image{"jobId": text("1"), "n": number("2")}, `{"id":"1","n":2}`},
		{"their attribute of our name goes", "status=state", image{"state": text("done"), "status": number("2")}, `{"status":"done"}`},
		{"also when the mapped one is absent", "status=state", image{"id": text("1"), "status": number("2")}, `{"id":"1"}`},
		{"swapped", "id=name, name=id", image{"id": text("a"), "name": text("b")}, `{"id":"b","name":"a"}`},
		{"one for two", "id=pk,name=pk", image{"pk": text("a")}, `{"id":"a","name":"a"}`},
		{"constant text", "kind:=scraping", image{"kind": text("x")}, `{"kind":"scraping"}`},
		{"constant number", "run:=1", image{"id": text("a")}, `{"id":"a","run":1}`},
		{"constant truth", "notification_as_csv:=true", image{"id": text("a")}, `{"id":"a","notification_as_csv":true}`},
		{"no image stays none", "kind:=scraping", nil, `{}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a, err := ParseAttributes(test.mapping)
			if err != nil {
				t.Fatal(err)
			}
			before := maps.Clone(test.image)
			record, err := appendImage(nil, a.apply(test.image))
			if err != nil || string(record) != test.want {
				t.Errorf("record %s, %v; want %s", record, err, test.want)
			}
			if !reflect.DeepEqual(before, test.image) {
				t.Error("the image itself was changed")
			}
		})
	}
}

func TestEveryMistakeOfAMappingIsNamed(t *testing.T) {
	tests := []struct{ mapping, want string }{
		{"id", "write ours=theirs"},
		{"jobId=id", `no webhook uses an attribute "jobId"; use one of account, `},
		{"=x", `no webhook uses an attribute ""`},
		{"id=", "nothing after the equals sign"},
		{"kind:=", "nothing after the equals sign"},
		{"id=a,id=b", "id is named twice"},
		{"kind=a,kind:=batch", "kind is named twice"},
		{"kind:=zebra", `"zebra" is no kind of job`},
		{"id:=1", "id cannot be the same for every job"},
		{"status:=finished", "status cannot be the same for every job"},
		{"account:=unknown", `"unknown" is no id of an account`},
		{"account:=a b", `"a b" is no id of an account`},
		{"run:=first", `run is a whole number, not "first"`},
		{"run:=-1", `run is a whole number, not "-1"`},
		{"notification_as_csv:=perhaps", `notification_as_csv is true or false, not "perhaps"`},
		{"result:=x", "result is a list or an object"},
		{"id=jobhook_rev", "Jobhook's own"},
		{"id=jobId,", "write ours=theirs"},
	}
	for _, test := range tests {
		if _, err := ParseAttributes(test.mapping); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.mapping, err, test.want)
		}
	}
	_, err := ParseAttributes("id=jobId, jobs=x, kind:=zebra, run:=x")
	for _, want := range []string{`"jobs"`, `"zebra"`, `"x"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
}

// TestEveryAttributeOfAKindCanBeMapped keeps the list in step with the types
// that records are read with.
func TestEveryAttributeOfAKindCanBeMapped(t *testing.T) {
	want := map[string]bool{"traceparent": true, "tracestate": true}
	for _, kind := range []any{job.Batch{}, job.Scraping{}, job.Pipeline{}, job.Async{}} {
		for _, field := range reflect.VisibleFields(reflect.TypeOf(kind)) {
			if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name != "" {
				want[name] = true
			}
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(attributeTypes())), slices.Sorted(maps.Keys(want))); diff != "" {
		t.Errorf("attributes (-got +want):\n%s", diff)
	}
}

func TestAFullMappingIsUnderstood(t *testing.T) {
	a, err := ParseAttributes(" id = jobId , account=customer.., status=state, kind := scraping ")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(a.from, map[string]string{"id": "jobId", "account": "customer..", "status": "state"}); diff != "" {
		t.Errorf("names (-got +want):\n%s", diff)
	}
	if got := a.constant["kind"]; got.String() != "scraping" {
		t.Errorf("kind %v, want scraping", got)
	}
}
