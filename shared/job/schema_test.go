package job_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/jobhook/jobhook/shared/job"
)

// schema is what platforms are given to check their items with.
func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	raw, err := os.ReadFile("item.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("item.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("item.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestTheSchemaSaysWhatDecodeAccepts holds the two to each other, over records
// that tell every rule of the schema.
func TestTheSchemaSaysWhatDecodeAccepts(t *testing.T) {
	s := schema(t)
	const at = `"created_at":"2026-01-01T00:00:00.000Z"`
	for _, c := range []struct {
		record string
		valid  bool
	}{
		{`{"id":"1","account":"a","kind":"async","status":"success","run":1,` + at + `}`, true},
		{`{"id":"1","account":"a","kind":"async","status":"success"}`, true},
		{`{"id":"1","account":"a","kind":"async","status":"success","result":{"datafile_url":"https://x"},"own":[{"x":null}]}`, true},
		{`{"id":"1","account":"a","kind":"async","status":"running"}`, false},
		{`{"id":"1","account":"a","kind":"async"}`, false},
		{`{"id":"1","account":"a","kind":"async","status":"success","run":-1}`, false},
		{`{"id":"1","account":"a","kind":"async","status":"success","run":"1"}`, false},
		{`{"id":"1","account":"a","kind":"async","status":"success","created_at":"yesterday"}`, false},
		{`{"id":"1","account":"a","kind":"async","status":"success","message":7}`, false},
		{`{"id":"1","account":"a","kind":"async","status":"success","result":{"datafile_url":7}}`, false},
		{`{"id":"1","account":"a","kind":"none","status":"success"}`, false},
		{`{"id":"1","kind":"async","status":"success"}`, false},
		{`{"account":"a","kind":"async","status":"success"}`, false},
		{`{"id":"","account":"a","kind":"async","status":"success"}`, false},
		{`{"id":"a b","account":"a","kind":"async","status":"success"}`, false},
		{`{"id":"é","account":"a","kind":"async","status":"success"}`, false},
		{`{"id":"1","account":"unknown","kind":"async","status":"success"}`, false},
		{`{"id":"1","account":"a","kind":"scraping"}`, true},
		{`{"id":"1","account":"a","kind":"scraping","status":"shelved","sitemap_id":12,"custom_id":null,"jobs_failed":0}`, true},
		{`{"id":"1","account":"a","kind":"scraping","status":"finished","jobs_failed":"0"}`, false},
		{`{"id":"1","account":"a","kind":"batch","status":"idle","started_at":"2026-01-01T00:00:00Z","notification_as_csv":true}`, true},
		{`{"id":"1","account":"a","kind":"batch","status":"idle","notification_as_csv":"yes"}`, false},
		{`{"id":"1","account":"a","kind":"batch","status":"idle","result_set":{"id":1,"files":{"json":{"pages":["https://x"]}}}}`, true},
		{`{"id":"1","account":"a","kind":"batch","status":"idle","result_set":{"id":1,"files":{"json":{"pages":"https://x"}}}}`, false},
		{`{"id":"1","account":"a","kind":"pipeline","status":"active","webhooks":{"progress":"https://x"},"progress":12.5,"level":"warn"}`, true},
		{`{"id":"1","account":"a","kind":"pipeline","status":"active","webhooks":{"progres":"https://x"}}`, false},
		{`{"id":"1","account":"a","kind":"pipeline","status":"active","progress":101}`, false},
		{`{"id":"1","account":"a","kind":"pipeline","status":"active","level":"loud"}`, false},
		{`{"id":"1","account":"a","kind":"pipeline","status":"active","options":{"progressVerbosityLevel":"loud"}}`, false},
	} {
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(c.record)))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(value); (err == nil) != c.valid {
			t.Errorf("schema on %s: got %v, want valid %t", c.record, err, c.valid)
		}
		if _, err := job.Decode([]byte(c.record)); (err == nil) != c.valid {
			t.Errorf("Decode of %s: got %v, want valid %t", c.record, err, c.valid)
		}
	}
}

func TestTheSchemaKnowsTheStatusWordsOfEachKind(t *testing.T) {
	s := schema(t)
	for _, kind := range job.Kinds() {
		for _, of := range job.Kinds() {
			for _, status := range job.Statuses(of) {
				err := s.Validate(map[string]any{"id": "1", "account": "a", "kind": string(kind), "status": string(status)})
				_, err2 := job.Decode([]byte(`{"id":"1","account":"a","kind":"` + string(kind) + `","status":"` + string(status) + `"}`))
				if (err == nil) != (err2 == nil) {
					t.Errorf("%s, %s: the schema says %v, Decode %v", kind, status, err, err2)
				}
			}
		}
	}
}
