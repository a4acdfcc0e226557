// Package layers holds the rules of who may import whom. CONTRIBUTING.md says
// what each layer is for.
package layers

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/jobhook/jobhook/"

// domain packages know nothing but the standard library and each other.
func domain() []string {
	return []string{"shared/job", "shared/webhook", "shared/format", "shared/files"}
}

// adapters know the domain and the technology that they adapt.
func adapters() []string {
	return []string{
		"shared/sqlite", "shared/httpsend", "shared/keyfile", "shared/disk",
		"shared/awsenv", "shared/dynamo", "shared/kmsseal", "shared/s3files", "shared/snstopic", "shared/sqsqueue",
	}
}

// names are known to all: what settings are called and how they are read, and
// how a port is found.
func names() []string { return []string{"shared/setting", "shared/freeport"} }

// testSupport is imported by tests only.
func testSupport() []string {
	return []string{"shared/storetest", "shared/awstest", "shared/lambdatest", "functions/internal/worldtest", "functions/internal/wiretest"}
}

type pkg struct {
	ImportPath string
	Imports    []string
	Deps       []string // of all imports together
}

func TestImportsPointOneWay(t *testing.T) {
	for _, p := range packages(t) {
		for _, imported := range p.Imports {
			if why := forbidden(short(p.ImportPath), short(imported)); why != "" {
				t.Errorf("%s imports %s: %s", short(p.ImportPath), imported, why)
			}
		}
	}
}

// TestNothingComesInByTheBackDoor looks at what is imported in the end.
func TestNothingComesInByTheBackDoor(t *testing.T) {
	for _, p := range packages(t) {
		from := short(p.ImportPath)
		for _, dep := range p.Deps {
			if slices.Contains(domain(), from) && outside(short(dep)) {
				t.Errorf("%s depends on %s: the domain knows the standard library only", from, dep)
			}
			if strings.HasPrefix(from, "functions/") && isCDK(dep) {
				t.Errorf("%s depends on %s: a function does not carry the CDK", from, dep)
			}
		}
	}
}

func TestEverySharedPackageHasALayer(t *testing.T) {
	known := slices.Concat(domain(), adapters(), names(), testSupport())
	for _, p := range packages(t) {
		if name := short(p.ImportPath); strings.HasPrefix(name, "shared/") && !slices.Contains(known, name) {
			t.Errorf("%s belongs to no layer; add it to one in this file", name)
		}
	}
}

// TestTheRulesCatch tries the rules on imports that must not be.
func TestTheRulesCatch(t *testing.T) {
	for _, bad := range [][2]string{
		{"shared/job", "github.com/google/go-cmp/cmp"},
		{"shared/webhook", "shared/sqlite"},
		{"shared/webhook", "functions/internal/deliver"},
		{"shared/sqlite", "shared/httpsend"},
		{"functions/internal/deliver", "shared/sqlite"},
		{"functions/internal/deliver", "github.com/aws/aws-sdk-go-v2/service/sqs"},
		{"functions/standalone", "github.com/aws/aws-cdk-go/awscdk/v2"},
		{"infra", "shared/sqlite"},
		{"infra/jobhook", "shared/dynamo"},
		{"shared/dynamo", "shared/kmsseal"},
		{"shared/setting", "shared/job"},
		{"functions/internal/deliver", "shared/storetest"},
	} {
		if forbidden(bad[0], bad[1]) == "" {
			t.Errorf("%s may import %s", bad[0], bad[1])
		}
	}
}

// forbidden tells why a package may not import another; "" when it may.
func forbidden(from, to string) string {
	switch {
	case slices.Contains(testSupport(), to) && from != "functions/cost": // which measures on a test server
		return "it is for tests"
	case slices.Contains(testSupport(), from):
		return ""
	case slices.Contains(names(), from):
		if outside(to) || ours(to) {
			return "names stand alone"
		}
	case slices.Contains(domain(), from):
		if outside(to) || ours(to) && !slices.Contains(domain(), to) {
			return "the domain knows the standard library and itself only"
		}
	case slices.Contains(adapters(), from):
		if slices.Contains(adapters(), to) || strings.HasPrefix(to, "functions/") {
			return "adapters know the domain and what they adapt, not each other"
		}
	case strings.HasPrefix(from, "functions/internal/"):
		if slices.Contains(adapters(), to) || strings.HasPrefix(to, "github.com/aws/aws-sdk-go-v2") {
			return "handlers name what they need as interfaces; main brings the adapter"
		}
	}
	if strings.HasPrefix(from, "functions/") && isCDK(to) {
		return "a function does not carry the CDK"
	}
	if strings.HasPrefix(from, "infra") && slices.Contains(adapters(), to) {
		return "the stacks know names, not code"
	}
	return ""
}

// outside tells whether a package is neither ours nor the standard library's.
// What the standard library vendors is its own.
func outside(name string) bool {
	first, _, _ := strings.Cut(name, "/")
	return strings.Contains(first, ".")
}

func isCDK(name string) bool {
	return strings.HasPrefix(name, "github.com/aws/aws-cdk-go") || strings.HasPrefix(name, "github.com/aws/constructs-go")
}

func ours(name string) bool {
	return strings.HasPrefix(name, "shared/") || strings.HasPrefix(name, "functions/") || strings.HasPrefix(name, "infra")
}

func short(path string) string { return strings.TrimPrefix(path, module) }

func packages(t *testing.T) (list []pkg) {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,Deps", module+"...").Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %s", exit.Stderr)
		}
		t.Fatal(err)
	}
	d := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p pkg
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
	if len(list) < 10 {
		t.Fatalf("%d packages: the list is not whole", len(list))
	}
	return list
}
