//go:build !race

package main

import (
	"os/exec"
	"testing"
)

// cfnLint is installed by the script of the test tools, pinned.
const cfnLint = "../build/tools/venv/bin/cfn-lint"

func TestCfnLintFindsNothing(t *testing.T) {
	need(t, cfnLint, "the test tools with .ci/tools")
	args := []string{"--regions", "eu-central-1", "us-east-1", "--"}
	args = append(args, templateFiles(t, synthesis(t, "dev", nil))...)
	args = append(args, templateFiles(t, synthesis(t, "prod", full(t)))...)
	args = append(args, templateFiles(t, synthesis(t, "attached", attached()))...)
	if out, err := exec.Command(cfnLint, args...).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
