package main

import (
	"strings"
	"testing"

	"github.com/jobhook/jobhook/functions/internal/wiretest"
	"github.com/jobhook/jobhook/shared/setting"
)

// whole is an environment in which nothing is missing.
func whole() map[string]string {
	return map[string]string{
		setting.Deliveries: "jobhook-dev-deliveries", setting.FirstQueue: "https://sqs.example.com/1/first", setting.Stage: "dev",
	}
}

func TestWhatIsMissingIsNamedAllAtOnce(t *testing.T) {
	wiretest.NamesAllThatIsMissing(t, wire, whole())
}

func TestWithItsEnvironmentItStartsWithoutACall(t *testing.T) {
	wiretest.StartsWithoutACall(t, wire, whole())
}

func TestItStartsWithAQueueOfExports(t *testing.T) {
	env := whole()
	env[setting.ExportQueue] = "https://sqs.example.com/1/export"
	wiretest.StartsWithoutACall(t, wire, env)
}

func TestAWrongMappingOfAttributesIsReportedWithTheRest(t *testing.T) {
	env := map[string]string{setting.Attributes: "id", setting.Retention: "a month", setting.ExportQueue: "jobhook-dev-export"}
	_, err := wire(func(name string) string { return env[name] })
	for _, want := range []string{setting.Deliveries, setting.Attributes + ": ", setting.Retention + " is ", setting.ExportQueue + " is "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
}
