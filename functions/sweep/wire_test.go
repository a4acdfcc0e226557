package main

import (
	"strings"
	"testing"

	"github.com/jobhook/jobhook/functions/internal/wiretest"
	"github.com/jobhook/jobhook/shared/setting"
	"github.com/jobhook/jobhook/shared/sqsqueue"
)

// whole is an environment in which nothing is missing.
func whole() map[string]string {
	return map[string]string{
		setting.Deliveries: "jobhook-dev-deliveries", setting.Stage: "dev", setting.Failures: "jobhook-dev-failures",
		setting.FirstQueue: "https://sqs.example.com/1/first", setting.RetryQueue: "https://sqs.example.com/1/retry",
		setting.ExportQueue: "https://sqs.example.com/1/export",
	}
}

func TestWhatIsMissingIsNamedAllAtOnce(t *testing.T) {
	wiretest.NamesAllThatIsMissing(t, wire, whole())
}

func TestATopicThatIsNoneIsNamed(t *testing.T) {
	env := whole()
	env[setting.NoticesTo] = "notices"
	_, err := wire(func(name string) string { return env[name] })
	if err == nil || !strings.Contains(err.Error(), setting.NoticesTo) {
		t.Errorf("got %v, want the variable", err)
	}
}

func TestReplaysAskForExportsOnlyOfJobsOfOurOwn(t *testing.T) {
	queue := &sqsqueue.Queue{}
	if got := exportsOf("", queue); got != nil {
		t.Errorf("a table of the platform's: got %v, want nobody who exports", got)
	}
	if got := exportsOf("jobhook-dev-jobs", queue); got != queue {
		t.Errorf("our own table: got %v, want the queue", got)
	}
}

func TestWithItsEnvironmentItStartsWithoutACall(t *testing.T) {
	wiretest.StartsWithoutACall(t, wire, whole())
}
