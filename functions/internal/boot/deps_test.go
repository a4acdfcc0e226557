package boot_test

import (
	"os/exec"
	"strings"
	"testing"
)

// TestABinaryCarriesOnlyWhatItNeeds: what must not be linked costs size and
// time at every start.
func TestABinaryCarriesOnlyWhatItNeeds(t *testing.T) {
	for name := range shipped() {
		for _, dep := range dependencies(t, name) {
			for prefix, why := range map[string]string{
				"github.com/aws/aws-cdk-go":                     "the CDK is for the stacks",
				"github.com/aws/constructs-go":                  "the CDK is for the stacks",
				"github.com/aws/jsii-runtime-go":                "the CDK is for the stacks",
				"github.com/cdklabs":                            "the CDK is for the stacks",
				"zombiezen.com/go/sqlite":                       "SQLite is for the standalone host",
				"modernc.org":                                   "SQLite is for the standalone host",
				"github.com/aws/aws-sdk-go-v2/config":           "Lambda's environment says all there is to say",
				"github.com/aws/aws-sdk-go-v2/feature/ec2/imds": "Lambda has no metadata service",
				"github.com/jobhook/jobhook/shared/awstest":     "it is for tests",
				"github.com/jobhook/jobhook/shared/lambdatest":  "it is for tests",
				"github.com/awslabs/aws-lambda-go-api-proxy":    "lambdahost.HTTP takes its place",
				"testing":                    "it is for tests",
				"github.com/alecthomas/kong": "functions have no flags",
				"github.com/jobhook/jobhook/functions/internal/demo": "it is for the standalone host",
			} {
				if dep == prefix || strings.HasPrefix(dep, prefix+"/") {
					t.Errorf("%s carries %s: %s", name, dep, why)
				}
			}
		}
	}
}

func dependencies(t *testing.T, name string) []string {
	t.Helper()
	out, err := exec.Command("go", "list", "-deps", "-tags", "lambda.norpc", "github.com/jobhook/jobhook/functions/"+name).CombinedOutput()
	if err != nil {
		t.Fatalf("go list %s: %v\n%s", name, err, out)
	}
	list := strings.Fields(string(out))
	if len(list) < 50 {
		t.Fatalf("%s has %d dependencies: the list is not whole", name, len(list))
	}
	return list
}
