package smoke

import (
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/jobhook/jobhook/shared/awstest"
	"github.com/jobhook/jobhook/shared/lambdatest"
	"github.com/jobhook/jobhook/shared/setting"
)

const functionType = "AWS::Lambda::Function"

// function is one that runs, with what CloudFormation says of it.
type function struct {
	*lambdatest.Function
	name, arn string
	binary    string // of shipped
}

// functions are those of a stage.
type functions []*function

// startFunctions starts every function of the service with the environment that
// CloudFormation resolved. What is added leads to the servers here, and to
// receivers on this machine.
func startFunctions(t *testing.T, d *deployment, database awstest.Server) functions {
	t.Helper()
	here := map[string]string{
		"AWS_ENDPOINT_URL_DYNAMODB": database.URL, "AWS_ENDPOINT_URL_SQS": d.moto.URL,
		"AWS_ENDPOINT_URL_KMS": d.moto.URL, "AWS_ENDPOINT_URL_S3": d.moto.URL, "AWS_ENDPOINT_URL_SNS": d.moto.URL,
		setting.Private: "true",
	}
	client := lambda.NewFromConfig(d.moto.Config())
	var list functions
	resources := d.full["service"].Resources
	for _, id := range slices.Sorted(maps.Keys(resources)) {
		if resources[id].Type != functionType {
			continue
		}
		got, err := client.GetFunctionConfiguration(t.Context(), &lambda.GetFunctionConfigurationInput{FunctionName: aws.String(d.ids[id])})
		if err != nil {
			t.Fatalf("configuration of %s: %v", id, err)
		}
		checkRuntime(t, id, got, resources[id])
		f := &function{name: *got.FunctionName, arn: *got.FunctionArn, binary: binaryOf(t, *got.CodeSha256)}
		f.Function = start(t, f, got, here)
		list = append(list, f)
	}
	return list
}

// checkRuntime fails for a function that could not run the binaries as they
// are shipped. The architecture is the template's: moto forgets it.
func checkRuntime(t *testing.T, id string, got *lambda.GetFunctionConfigurationOutput, r resource) {
	t.Helper()
	architectures, _ := r.Properties["Architectures"].([]any)
	if got.Runtime != "provided.al2023" || aws.ToString(got.Handler) != "bootstrap" || !slices.Equal(architectures, []any{lambdatest.ShippedArch}) {
		t.Errorf("%s runs on %s %v with handler %s", id, got.Runtime, architectures, aws.ToString(got.Handler))
	}
	if *got.Timeout == 0 || *got.MemorySize < 128 {
		t.Errorf("%s has %d s and %d MB", id, *got.Timeout, *got.MemorySize)
	}
}

// binaryOf tells which of the assets CloudFormation gave to a function.
func binaryOf(t *testing.T, codeHash string) string {
	t.Helper()
	for _, name := range shipped() {
		hash := sha256.Sum256([]byte(name))
		if base64.StdEncoding.EncodeToString(hash[:]) == codeHash {
			return name
		}
	}
	t.Fatalf("the code with hash %s is none of %v", codeHash, shipped())
	return ""
}

func start(t *testing.T, f *function, c *lambda.GetFunctionConfigurationOutput, here map[string]string) *lambdatest.Function {
	t.Helper()
	env := maps.Clone(here)
	for name, value := range c.Environment.Variables {
		if _, taken := env[name]; taken {
			t.Errorf("%s is deployed with the variable %s, which is for tests", f.name, name)
		}
		env[name] = value
	}
	running, err := lambdatest.Start(t.Context(), lambdatest.Options{
		Binary: lambdatest.Build(t, f.binary), Name: f.name, Env: env, Timeout: time.Duration(*c.Timeout) * time.Second,
	})
	if err != nil {
		t.Fatalf("%s: %v", f.name, err)
	}
	t.Cleanup(func() {
		running.Kill()
		if t.Failed() {
			t.Logf("%s printed:\n%s", f.name, running.Output())
		}
	})
	return running
}

// called returns the function that a name or an ARN means.
func (l functions) called(t testing.TB, nameOrARN string) *function {
	t.Helper()
	for _, f := range l {
		if f.name == nameOrARN || f.arn == nameOrARN {
			return f
		}
	}
	t.Fatalf("no function is called %q", nameOrARN)
	return nil
}

// stop ends all, as Lambda does.
func (l functions) stop(t *testing.T) {
	t.Helper()
	for _, f := range l {
		if err := f.Stop(); err != nil {
			t.Errorf("end of %s: %v", f.name, err)
		}
	}
}

// resourceOf returns the end of an ARN, the resource's own name.
func resourceOf(arn string) string { return arn[strings.LastIndexByte(arn, ':')+1:] }
