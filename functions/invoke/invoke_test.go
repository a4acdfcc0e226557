package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/jobhook/jobhook/functions/internal/world"
)

const fixtures = "../../events"

func TestEveryFixtureCanBeInvoked(t *testing.T) {
	names := world.Names(fixtures, "")
	if len(names) < 10 {
		t.Fatalf("%d fixtures: the list is not whole", len(names))
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			fn, _, _ := strings.Cut(name, "-")
			if err := invoke(t.Context(), fixtures, fn, name, &out); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(out.String(), fn+" answered ") {
				t.Errorf("output %q, want the handler's answer", out.String())
			}
		})
	}
}

func TestADeliveryIsPrintedAsItWouldBeSent(t *testing.T) {
	var out bytes.Buffer
	if err := invoke(t.Context(), fixtures, "deliver", "deliver-one", &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"POST https://receiver.example/account", "Webhook-Id: evt_",
		`{"event":"job_finished","data":{"job_id":42,`, "delivered",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("output lacks %q:\n%s", want, out.String())
		}
	}
}

func TestAnExportShowsItsFiles(t *testing.T) {
	var out bytes.Buffer
	if err := invoke(t.Context(), fixtures, "export", "export-one", &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`{"batchItemFailures":null}`, "bytes results/", "_All_Pages.zip"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("output lacks %q:\n%s", want, out.String())
		}
	}
}

func TestAWrongNameIsAnsweredWithTheRightOnes(t *testing.T) {
	var out bytes.Buffer
	if err := invoke(t.Context(), fixtures, "exports", "deliver-one", &out); err == nil || !strings.Contains(err.Error(), "dispatch, deliver, sweep or export") {
		t.Errorf("unknown handler: %v", err)
	}
	if err := invoke(t.Context(), fixtures, "deliver", "nothing", &out); err == nil || !strings.Contains(err.Error(), "deliver-one") {
		t.Errorf("unknown fixture: %v", err)
	}
}
