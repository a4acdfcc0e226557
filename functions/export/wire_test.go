package main

import (
	"testing"

	"github.com/jobhook/jobhook/functions/internal/wiretest"
	"github.com/jobhook/jobhook/shared/setting"
)

// whole is an environment in which nothing is missing.
func whole() map[string]string {
	return map[string]string{
		setting.Deliveries: "jobhook-dev-deliveries", setting.Stage: "dev", setting.Results: "jobhook-dev-results",
		setting.FirstQueue: "https://sqs.example.com/1/first", setting.Queue: "https://sqs.example.com/1/export",
	}
}

func TestWhatIsMissingIsNamedAllAtOnce(t *testing.T) {
	wiretest.NamesAllThatIsMissing(t, wire, whole())
}

func TestWithItsEnvironmentItStartsWithoutACall(t *testing.T) {
	wiretest.StartsWithoutACall(t, wire, whole())
}
