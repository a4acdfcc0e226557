package lambdatest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// What the functions on AWS are built for.
const (
	ShippedSystem = "linux"
	ShippedArch   = "arm64"
)

// flags of the build of a function; those of `make build`.
func flags(name string) []string {
	tags := "lambda.norpc,nethttpomithttp2"
	if name == "deliver" || name == "api" { // they call receivers, in HTTP/2 where those speak it
		tags = "lambda.norpc"
	}
	return []string{"-trimpath", "-buildvcs=false", "-tags", tags, "-ldflags", "-s -w -buildid="}
}

// builds remembers what this process has built: nothing else outlives a test.
var builds struct {
	lock  sync.Mutex
	paths map[string]string
}

// Build builds a function, such as "deliver", as it is shipped but for this
// machine, once in a test process, and returns the binary's path.
func Build(t testing.TB, name string) string {
	t.Helper()
	builds.lock.Lock()
	defer builds.lock.Unlock()
	if path := builds.paths[name]; path != "" {
		return path
	}
	path, err := BuildFor(runtime.GOOS, runtime.GOARCH, name)
	if err != nil {
		t.Fatal(err)
	}
	if builds.paths == nil {
		builds.paths = map[string]string{}
	}
	builds.paths[name] = path
	return path
}

// BuildFor builds a function as it is shipped, for a system and architecture,
// into the folder build of the module.
func BuildFor(system, arch, name string) (path string, err error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	path = filepath.Join(root, "build", "boot", system+"-"+arch, name)
	args := append([]string{"build", "-o", path}, flags(name)...)
	cmd := exec.Command("go", append(args, "./functions/"+name)...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+system, "GOARCH="+arch)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s for %s: %w\n%s", name, arch, err, out)
	}
	return path, nil
}

// moduleRoot is the folder of go.mod.
func moduleRoot() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	mod := strings.TrimSpace(string(out))
	if mod == "" || mod == os.DevNull {
		return "", errors.New("there is no go.mod in or above the working directory")
	}
	return filepath.Dir(mod), nil
}
