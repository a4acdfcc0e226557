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
		setting.Deliveries: "jobhook-dev-deliveries",
		setting.FirstQueue: "https://sqs.example.com/1/first", setting.FirstDead: "https://sqs.example.com/1/first-dead",
		setting.RetryQueue: "https://sqs.example.com/1/retry", setting.RetryDead: "https://sqs.example.com/1/retry-dead",
		setting.ExportQueue: "https://sqs.example.com/1/export", setting.ExportDead: "https://sqs.example.com/1/export-dead",
		setting.SecretsKey: "arn:aws:kms:us-east-1:123456789012:key/1", setting.PublicURL: "https://hooks.example.com",
	}
}

func TestWhatIsMissingIsNamedAllAtOnce(t *testing.T) {
	wiretest.NamesAllThatIsMissing(t, wire, whole())
}

func TestItStartsWithABucketOfResults(t *testing.T) {
	env := whole()
	env[setting.Jobs], env[setting.Results] = "jobhook-dev-jobs", "jobhook-dev-results"
	wiretest.StartsWithoutACall(t, wire, env)
}

func TestWithItsEnvironmentItStartsWithoutACall(t *testing.T) {
	wiretest.StartsWithoutACall(t, wire, whole())
}

func TestItTakesARateAndOriginsAndRefusesWhatIsNone(t *testing.T) {
	env := whole()
	env[setting.Rate], env[setting.CORSOrigins] = "50", "https://app.example.com,http://localhost:3000"
	wiretest.StartsWithoutACall(t, wire, env)
	env[setting.Rate], env[setting.CORSOrigins] = "fast", "https://app.example.com/"
	_, err := wire(func(name string) string { return env[name] })
	if err == nil || !strings.Contains(err.Error(), setting.Rate) || !strings.Contains(err.Error(), setting.CORSOrigins) {
		t.Errorf("got %v, want both named", err)
	}
}

func TestItTakesTheTimeUntilAnEndpointIsDisabledAndRefusesWhatIsNone(t *testing.T) {
	env := whole()
	for _, valid := range []string{"48h", setting.Never} {
		env[setting.DisableIn] = valid
		wiretest.StartsWithoutACall(t, wire, env)
	}
	env[setting.DisableIn] = "soon"
	if _, err := wire(func(name string) string { return env[name] }); err == nil || !strings.Contains(err.Error(), setting.DisableIn) {
		t.Errorf("got %v, want %s named", err, setting.DisableIn)
	}
}
