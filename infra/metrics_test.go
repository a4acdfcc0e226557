//go:build !race

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// TestEveryMetricIsWrittenBySomebody holds the names in the stacks to those of
// the functions, which a stack may not import: an alarm on a metric that
// nobody writes would be silent for ever.
func TestEveryMetricIsWrittenBySomebody(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "functions", "internal", "metrics", "metrics.go"))
	if err != nil {
		t.Fatal(err)
	}
	written := quoted(string(b))
	d := deployed(t, synthesis(t, "dev", nil))
	body, _ := d.at("ServiceDashboard", "DashboardBody").(string)
	used := regexp.MustCompile(`\["(Jobhook)","([A-Za-z]+)","(stage)"`).FindAllStringSubmatch(body, -1)
	for _, name := range d.of("AWS::CloudWatch::Alarm") {
		if d.at(name, "Namespace") == "Jobhook" {
			used = append(used, []string{"", "Jobhook", d.at(name, "MetricName").(string), "stage"})
		}
	}
	if len(used) < 10 {
		t.Errorf("found only %d metrics of our own", len(used))
	}
	for _, u := range used {
		if !slices.Contains(written, u[1]) || !slices.Contains(written, u[2]) {
			t.Errorf("nobody writes %s of %s", u[2], u[1])
		}
	}
}

func quoted(source string) (words []string) {
	for _, m := range regexp.MustCompile(`"([A-Za-z]+)"`).FindAllStringSubmatch(source, -1) {
		words = append(words, m[1])
	}
	return words
}
