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
		setting.Deliveries: "jobhook-dev-deliveries", setting.Lane: setting.LaneFirst, setting.Stage: "dev",
		setting.Queue: "https://sqs.example.com/1/first", setting.RetryQueue: "https://sqs.example.com/1/retry",
		setting.SecretsKey: "arn:aws:kms:us-east-1:123456789012:key/1", setting.PublicURL: "https://hooks.example.com",
	}
}

func TestWhatIsMissingIsNamedAllAtOnce(t *testing.T) {
	wiretest.NamesAllThatIsMissing(t, wire, whole())
}

func TestWithItsEnvironmentItStartsWithoutACall(t *testing.T) {
	wiretest.StartsWithoutACall(t, wire, whole())
}

func TestTheRetryLaneNeedsNoRetryQueue(t *testing.T) {
	env := whole()
	env[setting.Lane] = setting.LaneRetry
	delete(env, setting.RetryQueue)
	if _, err := wire(func(name string) string { return env[name] }); err != nil {
		t.Error(err)
	}
}

func TestAnUnknownLaneIsRefused(t *testing.T) {
	env := whole()
	env[setting.Lane] = "second"
	if _, err := wire(func(name string) string { return env[name] }); err == nil || !strings.Contains(err.Error(), `use one of ["first" "retry"]`) {
		t.Errorf("got %v", err)
	}
}

func TestATimeUntilEndpointsAreDisabledThatIsNoneIsRefused(t *testing.T) {
	for value, good := range map[string]bool{"": true, "36h": true, setting.Never: true, "soon": false} {
		env := whole()
		env[setting.DisableIn] = value
		if _, err := wire(func(name string) string { return env[name] }); (err == nil) != good {
			t.Errorf("%q: got %v", value, err)
		}
	}
}
