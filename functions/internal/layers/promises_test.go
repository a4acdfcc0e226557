package layers

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// TestEveryPromiseNamesATestThatExists reads the table of promises in the
// README: each row names a test of this module, or a target of the Makefile.
func TestEveryPromiseNamesATestThatExists(t *testing.T) {
	readme, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(readme), "<!-- promises -->")
	table, _, closed := strings.Cut(rest, "<!-- /promises -->")
	if !found || !closed {
		t.Fatal("the README has no table of promises")
	}
	makefile, err := os.ReadFile("../../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	known := testNames(t)
	named := regexp.MustCompile("`(Test[A-Za-z0-9]+|make [a-z]+)`")
	rows := strings.Split(strings.TrimSpace(table), "\n")[2:]
	if len(rows) < 15 {
		t.Errorf("%d promises; the table was not read whole", len(rows))
	}
	for _, row := range rows {
		if strings.Contains(row, "@") {
			t.Errorf("a figure is missing: %s", row)
		}
		names := named.FindAllStringSubmatch(row, -1)
		if len(names) == 0 {
			t.Errorf("no test is named: %s", row)
		}
		for _, n := range names {
			target, isTarget := strings.CutPrefix(n[1], "make ")
			if isTarget && !strings.Contains("\n"+string(makefile), "\n"+target+":") || !isTarget && !known[n[1]] {
				t.Errorf("%s does not exist: %s", n[1], row)
			}
		}
	}
}

// testNames are those of all tests of this module.
func testNames(t *testing.T) map[string]bool {
	out, err := exec.Command("grep", "-rhoE", `^func Test[A-Za-z0-9]+\(t \*testing\.T\)`, "--include=*_test.go",
		"../../../functions", "../../../shared", "../../../infra").Output()
	if err != nil {
		t.Fatalf("grep for tests: %v", err)
	}
	names := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		name, _, _ := strings.Cut(strings.TrimPrefix(line, "func "), "(")
		names[name] = true
	}
	return names
}
