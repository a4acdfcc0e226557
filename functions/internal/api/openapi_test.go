package api_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/functions/internal/api"
	"github.com/jobhook/jobhook/shared/awstest"
)

var update = flag.Bool("update", false, "write openapi.json anew")

// openAPIFile is the document as it is committed.
const openAPIFile = "openapi.json"

func TestTheCommittedOpenAPIDocumentIsThatOfTheCode(t *testing.T) {
	var b bytes.Buffer
	if err := json.Indent(&b, api.New(api.Config{Version: api.Version}).OpenAPI(), "", "  "); err != nil {
		t.Fatal(err)
	}
	b.WriteByte('\n')
	if *update {
		if err := os.WriteFile(openAPIFile, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	committed, err := os.ReadFile(openAPIFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(committed), b.String()); diff != "" {
		t.Errorf("run go test -run OpenAPI -update ./functions/internal/api (-committed +code):\n%s", diff)
	}
}

func TestAPublicValidatorAcceptsTheOpenAPIDocument(t *testing.T) {
	out, err := awstest.OpenAPIValidator(t, openAPIFile).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	bad := t.TempDir() + "/bad.json"
	if err := os.WriteFile(bad, []byte(`{"openapi":"3.1.0","info":{"title":"x"},"paths":{}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := awstest.OpenAPIValidator(t, bad).CombinedOutput(); err == nil {
		t.Errorf("it accepts a document without a version:\n%s", out)
	}
}
