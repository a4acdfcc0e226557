//go:build !race

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jobhook/jobhook/infra/jobhook"
)

// of reads a stage from values as the CDK would give them.
func of(context map[string]any) (*jobhook.Props, error) {
	return stage(func(key string) any { return context[key] })
}

func TestTheStageIsDevUnlessItIsNamed(t *testing.T) {
	for given, want := range map[any]string{nil: "dev", "dev": "dev", "prod": "prod"} {
		p, err := of(contextWith(t, map[string]any{"stage": given}))
		if err != nil || p.Stage != want {
			t.Errorf("stage %v: got %+v, %v", given, p, err)
		}
	}
}

func TestEveryStageOfTheRepositoryIsGood(t *testing.T) {
	for _, name := range []string{"dev", "prod"} {
		p, err := of(contextWith(t, map[string]any{"stage": name}))
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnUnknownStageIsRefusedWithThoseThereAre(t *testing.T) {
	_, err := of(contextWith(t, map[string]any{"stage": "staging"}))
	if err == nil || !strings.Contains(err.Error(), `"staging"`) || !strings.Contains(err.Error(), `["dev" "prod"]`) {
		t.Errorf("got %v", err)
	}
}

func TestWhatAStageDoesNotKnowIsRefused(t *testing.T) {
	stages := map[string]any{"dev": map[string]any{"logLevl": "info"}}
	if _, err := of(map[string]any{"stages": stages}); err == nil || !strings.Contains(err.Error(), "logLevl") {
		t.Errorf("got %v", err)
	}
	stages = map[string]any{"dev": map[string]any{}}
	if _, err := of(map[string]any{"stages": stages, "jobsTable": `{"arn": "x"}`}); err == nil || !strings.Contains(err.Error(), "jobsTable") {
		t.Errorf("got %v", err)
	}
}

func TestATableIsAttachedAsAnObjectOrAsText(t *testing.T) {
	text := `{"streamArn": "s", "attributes": {"status": "state", "id": "jobId"}, "constants": {"kind": "scraping"}}`
	object := map[string]any{
		"streamArn": "s", "attributes": map[string]any{"status": "state", "id": "jobId"}, "constants": map[string]any{"kind": "scraping"},
	}
	for _, table := range []any{text, object} {
		p, err := of(contextWith(t, map[string]any{"jobsTable": table}))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := p.JobsTable.Mapping(), "id=jobId,status=state,kind:=scraping"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// good are props that nothing is wrong with.
func good() jobhook.Props {
	return jobhook.Props{Stage: "dev", Assets: filepath.Join(built.folder, "assets")}
}

func TestPropsThatLeaveEverythingOutAreGood(t *testing.T) {
	if err := good().Check(); err != nil {
		t.Error(err)
	}
}

func TestBadPropsAreNamed(t *testing.T) {
	for want, spoil := range map[string]func(*jobhook.Props){
		"stage is":           func(p *jobhook.Props) { p.Stage = "Prod!" },
		"logLevel is":        func(p *jobhook.Props) { p.LogLevel = "loud" },
		"removal is":         func(p *jobhook.Props) { p.Removal = "maybe" },
		"days.deliveries is": func(p *jobhook.Props) { p.Days.Deliveries = -1 },
		"days.logs is 31":    func(p *jobhook.Props) { p.Days.Logs = 31 },
		"days.results is":    func(p *jobhook.Props) { p.Days.Results = -1 },
		"alarmEmail is":      func(p *jobhook.Props) { p.AlarmEmail = "ops" },
		"domain.name is": func(p *jobhook.Props) {
			p.Domain.CertificateARN = "arn:aws:acm:eu-central-1:111122223333:certificate/1"
		},
		"domain.certificateArn is":  func(p *jobhook.Props) { p.Domain.Name = "hooks.example.com" },
		"publicUrl is":              func(p *jobhook.Props) { p.PublicURL = "hooks.example.com" },
		"publicUrl is \"https":      func(p *jobhook.Props) { p.PublicURL = "https://hooks.example.com/" },
		"first.batchSize is 11":     func(p *jobhook.Props) { p.First.BatchSize = 11 },
		"retry.windowSeconds is":    func(p *jobhook.Props) { p.Retry.WindowSeconds = 301 },
		"retry.maxConcurrency is 1": func(p *jobhook.Props) { p.Retry.MaxConcurrency = 1 },
		"streamParallelization is":  func(p *jobhook.Props) { p.StreamParallelization = 11 },
		"warmThroughput.write is":   func(p *jobhook.Props) { p.Warm.Read = 20_000 },
		"throttle.rate is":          func(p *jobhook.Props) { p.Throttle.Rate = -1 },
		"throttle.burst is":         func(p *jobhook.Props) { p.Throttle.Burst = 6000 },
		"throttle.perKey is":        func(p *jobhook.Props) { p.Throttle.PerKey = -1 },
		"disableAfterDays is":       func(p *jobhook.Props) { p.DisableAfterDays = 366 },
		"corsOrigins has":           func(p *jobhook.Props) { p.CORSOrigins = []string{"https://app.example.com/"} },
		"exports.maxConcurrency is": func(p *jobhook.Props) { p.Exports.MaxConcurrency = 1 },
		"memoryMB.export is":        func(p *jobhook.Props) { p.MemoryMB.Export = 10_241 },
		"memoryMB.deliver is":       func(p *jobhook.Props) { p.MemoryMB.Deliver = 64 },
		"jobsTable.streamArn is": func(p *jobhook.Props) {
			p.JobsTable = &jobhook.JobsTable{StreamARN: "arn:aws:dynamodb:eu-central-1:1:table/a"}
		},
		"jobsTable.keyArn is": func(p *jobhook.Props) {
			p.JobsTable = &jobhook.JobsTable{StreamARN: attachedStream, KeyARN: "alias/mine"}
		},
		"jobsTable names \"id=\"": func(p *jobhook.Props) {
			p.JobsTable = &jobhook.JobsTable{StreamARN: attachedStream, Attributes: map[string]string{"id": ""}}
		},
		"jobsTable.constants has": func(p *jobhook.Props) {
			p.JobsTable = &jobhook.JobsTable{StreamARN: attachedStream, Constants: map[string]string{"id": "1"}}
		},
		"run `make build` first": func(p *jobhook.Props) { p.Assets = "nowhere" },
	} {
		p := good()
		spoil(&p)
		if err := p.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func TestAllThatIsWrongIsToldAtOnce(t *testing.T) {
	p := good()
	p.LogLevel, p.Days.Logs, p.First.BatchSize = "loud", 31, 11
	err := p.Check()
	for _, want := range []string{"logLevel", "days.logs", "first.batchSize"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not in %v", want, err)
		}
	}
}

func TestTheContextIsTheFilesAndTheArguments(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cdk.json")
	if err := os.WriteFile(file, []byte(`{"app": "x", "context": {"stage": "dev", "a": true}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	none := func(string) string { return "" }
	got, err := contextOf([]string{"-c", "stage=prod", "-c", "assets=x=y"}, none, file)
	if err != nil || got["stage"] != "prod" || got["a"] != true || got["assets"] != "x=y" {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := contextOf([]string{"-c", "stage"}, none, file); err == nil {
		t.Error("-c stage is taken")
	}
	if _, err := contextOf(nil, none, file+"x"); err == nil {
		t.Error("a missing file is taken")
	}
	underCDK := func(string) string { return "{}" }
	if got, err := contextOf(nil, underCDK, file); err != nil || len(got) != 0 {
		t.Errorf("under the CDK's command line: got %v, %v", got, err)
	}
}
