package main

import (
	"strings"
	"testing"

	"github.com/jobhook/jobhook/shared/setting"
)

// whole is an environment in which nothing is missing.
func whole() map[string]string {
	return map[string]string{
		setting.Deliveries: "jobhook-dev-deliveries", setting.FirstQueue: "https://sqs.example.com/1/first", setting.Stage: "dev",
	}
}

func TestWhatIsMissingIsNamedAllAtOnce(t *testing.T) {
	_, err := wire(func(string) string { return "" })
	if err == nil {
		t.Fatal("it started without an environment")
	}
	for name := range whole() {
		if !strings.Contains(err.Error(), `"`+name+`"`) {
			t.Errorf("%s is not named in: %v", name, err)
		}
	}
}

func TestWithItsEnvironmentItStartsWithoutACall(t *testing.T) {
	env := whole()
	env["AWS_ENDPOINT_URL"] = "http://127.0.0.1:1" // nobody listens
	f, err := wire(func(name string) string { return env[name] })
	if err != nil || f.Handler == nil {
		t.Fatalf("got %+v, %v", f, err)
	}
}

func TestAWrongMappingOfAttributesIsReportedWithTheRest(t *testing.T) {
	env := map[string]string{setting.Attributes: "id", setting.Retention: "a month"}
	_, err := wire(func(name string) string { return env[name] })
	for _, want := range []string{setting.Deliveries, setting.Attributes + ": ", setting.Retention + " is "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
}
