package smoke

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

const (
	stageName = "dev"
	root      = "../.." // of the repository
)

// parts are the stacks of a stage, those first that others import from.
func parts() []string { return []string{"data", "service"} }

func stackOf(part string) string { return "jobhook-" + stageName + "-" + part }

// shipped are the binaries that the stacks deploy, by the name of their folder.
func shipped() []string { return []string{"dispatch", "deliver", "sweep", "export", "api"} }

// needNode names what the CDK needs and skips; it fails where nothing may be skipped.
func needNode(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("node"); err == nil {
		return
	}
	const missing = "node is missing: install Node.js 20 or newer, which runs the CDK"
	if os.Getenv("JOBHOOK_REQUIRE_ALL") != "" {
		t.Fatal(missing)
	}
	t.Skip(missing)
}

// assembly is a folder that the CDK has written.
type assembly string

// synthesise writes the templates of the stage, as `cdk deploy` would have them.
// In place of each function's code is the name of its binary.
func synthesise(ctx context.Context, folder string) (assembly, error) {
	assets, out, program := filepath.Join(folder, "assets"), filepath.Join(folder, "cdk.out"), filepath.Join(folder, "infra")
	for _, name := range shipped() {
		if err := os.MkdirAll(filepath.Join(assets, name), 0o755); err != nil {
			return "", fmt.Errorf("assets: %w", err)
		}
		if err := os.WriteFile(filepath.Join(assets, name, "bootstrap"), []byte(name), 0o755); err != nil {
			return "", fmt.Errorf("assets: %w", err)
		}
	}
	if err := run(ctx, nil, "go", "build", "-o", program, "./infra"); err != nil {
		return "", err
	}
	env := []string{"CDK_OUTDIR=" + out, "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION=20"}
	if err := run(ctx, env, program, "-c", "stage="+stageName, "-c", "assets="+assets); err != nil {
		return "", err
	}
	return assembly(out), nil
}

// run runs a program in the root of the repository.
func run(ctx context.Context, env []string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = root, append(os.Environ(), env...)
	cmd.WaitDelay = 10 * time.Second // for children of its own that hold its output
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(name), err, out)
	}
	return nil
}

// template reads the template of one part of the stage. A section that is not
// known here, such as Conditions, is an error.
func (a assembly) template(part string) (t template, err error) {
	return t, a.read(stackOf(part)+".template.json", &t, (*json.Decoder).DisallowUnknownFields)
}

func (a assembly) read(file string, into any, options ...func(*json.Decoder)) error {
	b, err := os.ReadFile(filepath.Join(string(a), file))
	if err != nil {
		return fmt.Errorf("read what was synthesised: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	for _, set := range options {
		set(d)
	}
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// stacks are the names of all stacks that were synthesised.
func (a assembly) stacks() ([]string, error) {
	const ending = ".template.json"
	files, err := filepath.Glob(filepath.Join(string(a), "*"+ending))
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = filepath.Base(f[:len(f)-len(ending)])
	}
	slices.Sort(names)
	return names, err
}

// asset is a file that is uploaded before a stack is created.
type asset struct {
	Source       struct{ Path, Packaging string }
	Destinations map[string]struct{ BucketName, ObjectKey string }
}

// assets are those of one part of the stage.
func (a assembly) assets(part string) ([]asset, error) {
	var manifest struct{ Files map[string]asset }
	if err := a.read(stackOf(part)+".assets.json", &manifest); err != nil {
		return nil, err
	}
	var list []asset
	for _, f := range manifest.Files {
		if f.Source.Packaging == "zip" { // the rest are the templates themselves
			list = append(list, f)
		}
	}
	return list, nil
}
