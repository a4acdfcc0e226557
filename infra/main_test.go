//go:build !race

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/aws/jsii-runtime-go"
)

// The CDK speaks to one Node process over a pipe: tests of this package run one
// after the other, and the process ends with them.
func TestMain(m *testing.M) {
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	folder, err := os.MkdirTemp("", "infra")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(folder) }()
	if err := writeAssets(folder); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := os.Setenv("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "20"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	built = &syntheses{folder: folder, done: map[string]error{}}
	defer jsii.Close()
	return m.Run()
}

// built is what TestMain makes and all tests share: a synthesis takes seconds.
var built *syntheses

// syntheses are the folders with what was written, each made when first asked for.
type syntheses struct {
	folder string
	done   map[string]error
}

// writeAssets stands in for `make build`: the templates do not depend on what
// the files hold.
func writeAssets(folder string) error {
	for _, name := range []string{"dispatch", "deliver", "sweep", "export", "api"} {
		if err := os.MkdirAll(filepath.Join(folder, "assets", name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, "assets", name, "bootstrap"), []byte(name), 0o755); err != nil {
			return err
		}
	}
	return nil
}

// synthesis returns the folder of a synthesis with cdk.json's context and
// what is given besides. The name tells one from another.
func synthesis(t *testing.T, name string, given map[string]any) string {
	t.Helper()
	needNode(t)
	out := filepath.Join(built.folder, name)
	err, done := built.done[name]
	if !done {
		err = synth(out, contextWith(t, given))
		built.done[name] = err
	}
	if err != nil {
		t.Fatalf("synthesis of %s: %v", name, err)
	}
	return out
}

// contextWith is the context of cdk.json with the assets of the tests, and
// more or other values of the stage and of the context.
func contextWith(t *testing.T, given map[string]any) map[string]any {
	t.Helper()
	context, err := contextOfFile("../cdk.json")
	if err != nil {
		t.Fatal(err)
	}
	context["assets"] = filepath.Join(built.folder, "assets")
	for name, value := range given {
		context[name] = value
	}
	return context
}

// full is a stage in which everything optional is there.
func full(t *testing.T) map[string]any {
	stages := contextWith(t, nil)["stages"].(map[string]any)
	stage := stages["prod"].(map[string]any)
	stage["alarmEmail"] = "ops@example.com"
	stage["operatorAccount"], stage["disableAfterDays"] = "operator", -1
	stage["corsOrigins"] = []any{"https://app.example.com", "https://example.com"}
	stage["throttle"].(map[string]any)["perKey"] = 50
	stage["domain"] = map[string]any{
		"name": "hooks.example.com", "certificateArn": "arn:aws:acm:eu-central-1:111122223333:certificate/0a1b2c3d-0000-4000-8000-000000000000",
	}
	stage["warmThroughput"] = map[string]any{"read": 20_000, "write": 10_000}
	stage["first"] = map[string]any{"batchSize": 100, "windowSeconds": 1, "maxConcurrency": 500}
	return map[string]any{"stage": "prod", "stages": stages}
}

// attached is a stage on a table of the platform's.
func attached() map[string]any {
	return map[string]any{"jobsTable": `{
		"streamArn": "arn:aws:dynamodb:eu-central-1:111122223333:table/scrapes/stream/2026-01-01T00:00:00.000",
		"keyArn": "arn:aws:kms:eu-central-1:111122223333:key/0a1b2c3d-0000-4000-8000-000000000000",
		"attributes": {"status": "state", "id": "jobId", "account": "customer"},
		"constants": {"kind": "scraping"}}`}
}

// needNode names what the CDK needs and skips; it fails where nothing may be skipped.
func needNode(t *testing.T) {
	t.Helper()
	need(t, "node", "Node.js 20 or newer, which runs the CDK")
}

func need(t *testing.T, program, what string) {
	t.Helper()
	if _, err := exec.LookPath(program); err == nil {
		return
	}
	if os.Getenv("JOBHOOK_REQUIRE_ALL") != "" {
		t.Fatalf("%s is missing: install %s", program, what)
	}
	t.Skipf("%s is missing: install %s", program, what)
}
