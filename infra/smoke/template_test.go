package smoke

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// template is a CloudFormation template with the sections that ours have.
type template struct {
	Parameters map[string]json.RawMessage `json:",omitempty"`
	Resources  map[string]resource
	Outputs    map[string]map[string]any `json:",omitempty"`

	// What a reduced template goes without.
	Description string `json:",omitempty"`
	Rules       any    `json:",omitempty"` // of the version of `cdk bootstrap`
}

type resource struct {
	Type       string
	Properties map[string]any `json:",omitempty"`

	// What a reduced template goes without.
	DependsOn                           any    `json:",omitempty"` // moto follows references
	DeletionPolicy, UpdateReplacePolicy string `json:",omitempty"`
	Metadata                            any    `json:",omitempty"`
}

// created are the types that moto's CloudFormation creates well enough.
func created() []string {
	return []string{
		"AWS::DynamoDB::Table", // for names and ARNs: the data is in DynamoDB Local, which has streams
		"AWS::IAM::Role", "AWS::KMS::Key", "AWS::Lambda::Function", "AWS::Lambda::Permission", "AWS::Logs::LogGroup",
		"AWS::S3::Bucket", "AWS::SNS::Topic", "AWS::SQS::Queue",
	}
}

// absent is a type that is not created.
type absent struct {
	why string
	// carried: an SSM parameter with its resolved properties takes its place.
	carried bool
	// named: others may refer to it; its logical id stands for its name.
	named bool
	// attributes are what others may get of it, with what stands for each.
	attributes map[string]string
}

// notCreated are the types that are left out, and why that may be.
func notCreated() map[string]absent {
	return map[string]absent{
		mappingType: {why: "moto would poll itself, for functions in containers, and lose the records", carried: true},
		ruleType: {
			why: "moto keeps no schedule", carried: true,
			attributes: map[string]string{"Arn": "arn:aws:events:us-east-1:123456789012:rule/smoke"},
		},
		routeType:                    {why: "moto's CloudFormation has no HTTP API", carried: true},
		integrationType:              {why: "moto's CloudFormation has no HTTP API", carried: true, named: true},
		"AWS::ApiGatewayV2::Api":     {why: "moto's CloudFormation has no HTTP API", named: true},
		"AWS::ApiGatewayV2::Stage":   {why: "moto's CloudFormation has no HTTP API", named: true},
		"AWS::CloudWatch::Alarm":     {why: "moto's CloudFormation has no alarms, and nothing here would set one off"},
		"AWS::CloudWatch::Dashboard": {why: "nobody looks at it here", named: true},
		"AWS::S3::BucketPolicy":      {why: "moto's CloudFormation has none, and refuses nobody"},
		"AWS::SNS::TopicPolicy":      {why: "moto's CloudFormation has none, and refuses nobody"},
		"AWS::SQS::QueuePolicy":      {why: "moto's CloudFormation has none, and refuses nobody"},
	}
}

// carriedIn begins the names of the parameters that carry properties.
const carriedIn = "/smoke/"

// reduce returns the template without what moto cannot create. It is an error
// that names each type that is not known here, and each reference to a thing
// left out that nothing stands for.
func reduce(t template) (template, error) {
	r := reducer{types: map[string]string{}}
	for id, res := range t.Resources {
		r.types[id] = res.Type
	}
	small := template{Parameters: t.Parameters, Resources: map[string]resource{}, Outputs: map[string]map[string]any{}}
	for _, id := range slices.Sorted(maps.Keys(t.Resources)) {
		if res, ok := r.resource(id, t.Resources[id]); ok {
			small.Resources[id] = res
		}
	}
	for _, id := range slices.Sorted(maps.Keys(t.Outputs)) {
		small.Outputs[id] = r.value("output "+id, t.Outputs[id]).(map[string]any)
	}
	return small, errors.Join(r.errs...)
}

type reducer struct {
	types map[string]string // by logical id
	errs  []error
}

func (r *reducer) wrong(format string, args ...any) {
	r.errs = append(r.errs, fmt.Errorf(format, args...))
}

// resource returns what is created of one, if anything is.
func (r *reducer) resource(id string, res resource) (resource, bool) {
	gone, isGone := notCreated()[res.Type]
	switch {
	case slices.Contains(created(), res.Type):
		properties, _ := r.value(id, res.Properties).(map[string]any)
		return resource{Type: res.Type, Properties: properties}, true
	case !isGone:
		r.wrong("%s is of type %s, of which nobody has decided here whether moto creates it", id, res.Type)
		return resource{}, false
	case !gone.carried:
		return resource{}, false
	}
	return resource{Type: "AWS::SSM::Parameter", Properties: map[string]any{
		"Name": carriedIn + id, "Type": "String",
		"Value": map[string]any{"Fn::ToJsonString": r.value(id, res.Properties)},
	}}, true
}

// value returns a value with all references to what is left out replaced.
func (r *reducer) value(where string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		if id, ok := v["Ref"].(string); ok && len(v) == 1 {
			return r.ref(where, id, v)
		}
		if path, ok := v["Fn::GetAtt"].([]any); ok && len(v) == 1 {
			return r.attribute(where, path, v)
		}
		if _, ok := v["Fn::Sub"]; ok {
			r.substitution(where, v["Fn::Sub"])
		}
		out := make(map[string]any, len(v))
		for k, member := range v {
			out[k] = r.value(where, member)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, member := range v {
			out[i] = r.value(where, member)
		}
		return out
	}
	return v
}

func (r *reducer) ref(where, id string, whole any) any {
	gone, isGone := notCreated()[r.types[id]]
	if !isGone {
		return whole
	}
	if !gone.named {
		r.wrong("%s refers to %s, which is left out: %s", where, id, gone.why)
	}
	return id
}

func (r *reducer) attribute(where string, path []any, whole any) any {
	id, _ := path[0].(string)
	gone, isGone := notCreated()[r.types[id]]
	if !isGone {
		return whole
	}
	name, _ := path[1].(string)
	stand, ok := gone.attributes[name]
	if !ok {
		r.wrong("%s gets %s of %s, which is left out: %s", where, name, id, gone.why)
	}
	return stand
}

// substitution looks for references in the text of an Fn::Sub.
func (r *reducer) substitution(where string, sub any) {
	text := fmt.Sprint(sub)
	for id, kind := range r.types {
		if _, isGone := notCreated()[kind]; isGone && (strings.Contains(text, "${"+id+"}") || strings.Contains(text, "${"+id+".")) {
			r.wrong("%s refers to %s in an Fn::Sub, which is not replaced here", where, id)
		}
	}
}

func TestReducingNamesWhatNobodyDecidedAbout(t *testing.T) {
	for name, tt := range map[string]struct{ resources, want string }{
		"an unknown type":                 {`{"T": {"Type": "AWS::DynamoDB::GlobalTable"}}`, "T is of type AWS::DynamoDB::GlobalTable"},
		"a reference to an alarm":         {`{"A": {"Type": "AWS::CloudWatch::Alarm"}, "Q": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": {"Ref": "A"}}}}`, "Q refers to A"},
		"an attribute of an API":          {`{"A": {"Type": "AWS::ApiGatewayV2::Api"}, "Q": {"Type": "AWS::SQS::Queue", "Properties": {"X": [{"Fn::GetAtt": ["A", "ApiEndpoint"]}]}}}`, "Q gets ApiEndpoint of A"},
		"a substitution of a left out id": {`{"A": {"Type": "AWS::ApiGatewayV2::Api"}, "Q": {"Type": "AWS::SQS::Queue", "Properties": {"X": {"Fn::Sub": "at ${A}"}}}}`, "Q refers to A in an Fn::Sub"},
	} {
		var full template
		if err := json.Unmarshal([]byte(`{"Resources":`+tt.resources+`}`), &full); err != nil {
			t.Fatal(err)
		}
		if _, err := reduce(full); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
}

func TestReducingKeepsWhatIsCreatedAndCarriesTheMappings(t *testing.T) {
	var full template
	err := json.Unmarshal([]byte(`{
		"Resources": {
			"Api": {"Type": "AWS::ApiGatewayV2::Api"},
			"Fn": {"Type": "AWS::Lambda::Function", "Properties": {"Url": {"Fn::Join": ["", ["https://", {"Ref": "Api"}, ".example"]]}, "Role": {"Fn::GetAtt": ["Role", "Arn"]}}},
			"Role": {"Type": "AWS::IAM::Role"},
			"Feed": {"Type": "AWS::Lambda::EventSourceMapping", "Properties": {"BatchSize": 10, "FunctionName": {"Ref": "Fn"}}}
		},
		"Outputs": {"Url": {"Value": {"Ref": "Api"}}}}`), &full)
	if err != nil {
		t.Fatal(err)
	}
	small, err := reduce(full)
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(small)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"Resources":{` +
		`"Feed":{"Type":"AWS::SSM::Parameter","Properties":{"Name":"/smoke/Feed","Type":"String","Value":{"Fn::ToJsonString":{"BatchSize":10,"FunctionName":{"Ref":"Fn"}}}}},` +
		`"Fn":{"Type":"AWS::Lambda::Function","Properties":{"Role":{"Fn::GetAtt":["Role","Arn"]},"Url":{"Fn::Join":["",["https://","Api",".example"]]}}},` +
		`"Role":{"Type":"AWS::IAM::Role"}},` +
		`"Outputs":{"Url":{"Value":"Api"}}}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
