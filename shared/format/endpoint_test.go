package format_test

import (
	"strings"
	"testing"
	"time"

	"github.com/jobhook/jobhook/shared/format"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// notices are what is told of an endpoint, by the names of their golden files.
func notices() map[string]webhook.Notice {
	since := time.Date(2026, 3, 1, 10, 0, 0, 250e6, time.UTC)
	n := webhook.Notice{
		Type: webhook.EndpointFailingEvent, Account: "acme", Endpoint: "ep_1", URL: "https://acme.example/hook?a=1&b=<2>",
		At: since.Add(time.Minute), Since: since, Reason: "the receiver answered 500", DisabledAt: since.Add(webhook.DefaultDisableAfter),
	}
	never, disabled, recovered := n, n, n
	never.DisabledAt = time.Time{}
	disabled.Type, disabled.At, disabled.DisabledAt = webhook.EndpointDisabledEvent, n.DisabledAt, time.Time{}
	recovered.Type, recovered.At, recovered.DisabledAt, recovered.Reason = webhook.EndpointRecoveredEvent, since.Add(time.Hour), time.Time{}, ""
	return map[string]webhook.Notice{
		"standard_endpoint_failing": n, "standard_endpoint_failing_never_disabled": never,
		"standard_endpoint_disabled": disabled, "standard_endpoint_recovered": recovered,
	}
}

func TestWhatIsToldOfEndpointsIsThatOfTheGoldenFiles(t *testing.T) {
	for name, n := range notices() {
		t.Run(name, func(t *testing.T) {
			isGolden(t, name, encode(t, format.Standard, n.Event("acme")))
		})
	}
}

func TestEndpointsAreToldOfInTheStandardFormatAlone(t *testing.T) {
	for _, n := range notices() {
		e := n.Event("acme")
		for _, f := range format.All() {
			_, err := f.Encode(e, publicURL)
			declined := f.Declines(e, job.Job{})
			if sends := f.Name == format.Standard; (err == nil) != sends || (declined == "") != sends {
				t.Errorf("%s in the %s format: encoding: %v, declined: %q", e.Type, f.Name, err, declined)
			}
			if declined != "" && !strings.Contains(declined, f.Name) {
				t.Errorf("%s in the %s format is declined as %q, which does not name the format", e.Type, f.Name, declined)
			}
		}
		if got := format.ForKind(e.Kind).Name; got != format.Standard {
			t.Errorf("auto sends %s in the %s format, want standard", e.Type, got)
		}
	}
}
