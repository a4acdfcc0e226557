//go:build !race

package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/jsii-runtime-go"

	"github.com/jobhook/jobhook/infra/jobhook"
)

// check adds what is wrong with a deployment.
type check struct {
	name string
	look func(deployment, *complaints)
}

func checks() []check {
	return []check{
		{"policies", checkPolicies}, {"wildcards", checkWildcards}, {"invokers", checkInvokers},
		{"functions", checkFunctions}, {"environments", checkEnvironments}, {"logs", checkLogs},
		{"stream", checkStream}, {"lanes", checkLanes}, {"export", checkExport}, {"queues", checkQueues}, {"schedule", checkSchedule},
		{"tables", checkTables}, {"buckets", checkBuckets}, {"keys", checkKeys}, {"topics", checkTopics}, {"removal", checkRemoval},
		{"api", checkAPI}, {"access log", checkAccessLog}, {"outputs", checkOutputs},
		{"alarms", checkAlarms}, {"dashboard", checkDashboard},
	}
}

// complain returns all that is wrong with a deployment.
func complain(d deployment) []string {
	var c complaints
	for _, one := range checks() {
		one.look(d, &c)
	}
	return c
}

func TestEveryStageKeepsThePromisesOfTheStack(t *testing.T) {
	for _, stage := range []struct {
		name     string
		context  map[string]any
		attached bool
	}{
		{"dev", nil, false},
		{"prod", full(t), false},
		{"attached", attached(), true},
	} {
		t.Run(stage.name, func(t *testing.T) {
			d := deployed(t, synthesis(t, stage.name, stage.context))
			d.Attached = stage.attached
			for _, complaint := range complain(d) {
				t.Error(complaint)
			}
		})
	}
}

func TestAPlatformsOwnTableIsNeitherMadeNorTouched(t *testing.T) {
	folder := synthesis(t, "attached", attached())
	d := deployed(t, folder)
	if got := d.of("AWS::DynamoDB::Table"); !slices.Equal(got, []string{"DataDeliveries"}) {
		t.Errorf("tables: %q", got)
	}
	for _, file := range templateFiles(t, folder) {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, mustNot := range []string{"JOBHOOK_JOBS_TABLE", `table/scrapes"`, "table/scrapes/index", `"JobsTable"`} {
			if bytes.Contains(b, []byte(mustNot)) {
				t.Errorf("%s holds %s", filepath.Base(file), mustNot)
			}
		}
	}
}

func TestAStageCanSayEverything(t *testing.T) {
	d := deployed(t, synthesis(t, "prod", full(t)))
	var c complaints
	c.same("ApiUrl", d.Outputs["ApiUrl"], "https://hooks.example.com")
	c.same("DomainTarget", d.Outputs["DomainTarget"], "${ServiceDomain.RegionalDomainName}")
	c.props(d, "ServiceDomain", map[string]any{
		"DomainName": "hooks.example.com", "DomainNameConfigurations.0.SecurityPolicy": "TLS_1_2",
		"DomainNameConfigurations.0.CertificateArn": "arn:aws:acm:eu-central-1:111122223333:certificate/0a1b2c3d-0000-4000-8000-000000000000",
	})
	c.props(d, "ServiceDomainToApi", map[string]any{"ApiId": "${ServiceHttpApi}", "DomainName": "${ServiceDomain}", "Stage": "$default"})
	c.props(d, "DataAlarmEmail", map[string]any{"Protocol": "email", "Endpoint": "ops@example.com", "TopicArn": "${DataAlarms}"})
	warm := map[string]any{"ReadUnitsPerSecond": 20_000, "WriteUnitsPerSecond": 10_000}
	for _, table := range []string{"DataJobs", "DataDeliveries"} {
		c.props(d, table, map[string]any{"WarmThroughput": warm, "GlobalSecondaryIndexes.0.WarmThroughput": warm, "DeletionProtectionEnabled": true})
	}
	c.props(d, "ServiceFirstToDeliver", map[string]any{
		"BatchSize": 100, "MaximumBatchingWindowInSeconds": 1, "ScalingConfig": map[string]any{"MaximumConcurrency": 500},
	})
	c.props(d, "ServiceHttpStage", map[string]any{"DefaultRouteSettings": map[string]any{"ThrottlingRateLimit": 1000, "ThrottlingBurstLimit": 2000}})
	c.props(d, "ServiceSweepLogs", map[string]any{"RetentionInDays": 90})
	c.props(d, "DataResults", map[string]any{"LifecycleConfiguration.Rules.0.ExpirationInDays": 14, "LifecycleConfiguration.Rules.2.ExpirationInDays": 30})
	c.props(d, "ServiceExportToExport", map[string]any{"ScalingConfig": map[string]any{"MaximumConcurrency": 10}})
	c.props(d, "ServiceSweep", map[string]any{
		"Environment.Variables.JOBHOOK_RETENTION": "720h", "Environment.Variables.JOBHOOK_STAGE": "prod",
		"Environment.Variables.JOBHOOK_OPERATOR_ACCOUNT": "operator",
	})
	c.props(d, "ServiceApi", map[string]any{
		"Environment.Variables.JOBHOOK_RATE": "50", "Environment.Variables.JOBHOOK_CORS_ORIGINS": "https://app.example.com,https://example.com",
	})
	for _, f := range []string{"ServiceDeliverFirst", "ServiceDeliverRetry", "ServiceApi"} {
		c.props(d, f, map[string]any{"Environment.Variables.JOBHOOK_DISABLE_AFTER": "never"})
	}
	c.same("DeletionPolicy of deliveries", d.Resources["DataDeliveries"].DeletionPolicy, "Retain")
	for _, complaint := range c {
		t.Error(complaint)
	}
}

func TestTheSameStageGivesTheSameBytes(t *testing.T) {
	first, second := contents(t, synthesis(t, "dev", nil)), contents(t, synthesis(t, "dev-again", nil))
	if len(first) < 5 {
		t.Errorf("a synthesis of %d files", len(first))
	}
	names := slices.Sorted(maps.Keys(first))
	if other := slices.Sorted(maps.Keys(second)); !slices.Equal(names, other) {
		t.Fatalf("files %q, then %q", names, other)
	}
	for _, name := range names {
		if !bytes.Equal(first[name], second[name]) {
			t.Errorf("%s differs", name)
		}
	}
}

// TestTheTemplatesTellNothingOfTheMachine, so that they are the same on another.
func TestTheTemplatesTellNothingOfTheMachine(t *testing.T) {
	for name, b := range contents(t, synthesis(t, "dev", nil)) {
		if bytes.Contains(b, []byte(built.folder)) {
			t.Errorf("%s names the folder of the assets", name)
		}
	}
}

// contents reads all files of a folder.
func contents(t *testing.T, folder string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(folder, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		files[strings.TrimPrefix(path, folder)] = b
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestTheConstructStandsInAStackOfItsOwn is what another team's app does: one
// stack, with a table of theirs in it, under the eyes of cdk-nag.
func TestTheConstructStandsInAStackOfItsOwn(t *testing.T) {
	needNode(t)
	defer panicsFail(t)
	folder := filepath.Join(built.folder, "construct")
	app := newApp(folder, contextWith(t, nil))
	stack := awscdk.NewStack(app, jsii.String("platform"), nil)
	table := awsdynamodb.NewTable(stack, jsii.String("Scrapes"), &awsdynamodb.TableProps{
		PartitionKey: &awsdynamodb.Attribute{Name: jsii.String("jobId"), Type: awsdynamodb.AttributeType_STRING},
		Stream:       awsdynamodb.StreamViewType_NEW_AND_OLD_IMAGES,
		PointInTimeRecoverySpecification: &awsdynamodb.PointInTimeRecoverySpecification{
			PointInTimeRecoveryEnabled: jsii.Bool(true),
		},
	})
	whole := jobhook.NewJobhook(stack, jsii.String("Webhooks"), &jobhook.Props{
		Stage: "prod", Assets: filepath.Join(built.folder, "assets"),
		JobsTable: &jobhook.JobsTable{StreamARN: *table.TableStreamArn(), Attributes: map[string]string{"id": "jobId"}},
	})
	if whole.Data.Jobs != nil {
		t.Error("it made a table of jobs")
	}
	app.Synth(nil)
	d := deployed(t, folder)
	var c complaints
	c.props(d, "WebhooksServiceJobsToDispatch", map[string]any{"EventSourceArn": "${Scrapes.StreamArn}"})
	c.props(d, "WebhooksServiceDispatch", map[string]any{
		"Environment.Variables.JOBHOOK_JOB_ATTRIBUTES": "id=jobId", "Environment.Variables.JOBHOOK_RETENTION": "720h",
		"Environment.Variables.JOBHOOK_LOG_LEVEL": "info",
	})
	c.props(d, "WebhooksServiceDeliverFirst", map[string]any{"Environment.Variables.JOBHOOK_DISABLE_AFTER": "120h"})
	c.same("outputs", len(d.Outputs), 0)
	c.same("functions", len(d.of("AWS::Lambda::Function")), 6)
	for _, complaint := range c {
		t.Error(complaint)
	}
}

// TestWhatNagFindsFailsTheSynthesis: the rules are not only looked at.
func TestWhatNagFindsFailsTheSynthesis(t *testing.T) {
	needNode(t)
	folder := filepath.Join(built.folder, "nag")
	app := newApp(folder, contextWith(t, nil))
	awss3.NewBucket(awscdk.NewStack(app, jsii.String("careless"), nil), jsii.String("Open"), nil)
	defer func() {
		if r := recover(); r == nil || !strings.Contains(fmt.Sprint(r), "Validation failed") {
			t.Errorf("the synthesis ended with %v", r)
		}
		report, err := os.ReadFile(filepath.Join(folder, "validation-report.json"))
		if err != nil || !bytes.Contains(report, []byte("AwsSolutions-S10")) {
			t.Errorf("report %s, %v", report, err)
		}
	}()
	app.Synth(nil)
}

// panicsFail turns a panic, as the CDK's, into a failed test.
func panicsFail(t *testing.T) {
	if r := recover(); r != nil {
		t.Errorf("panic: %v", r)
	}
}

func TestAConstructOfBadPropsTellsAllThatIsWrong(t *testing.T) {
	needNode(t)
	defer func() {
		if err, ok := recover().(error); !ok || !strings.Contains(err.Error(), "stage is") || !strings.Contains(err.Error(), "days.logs is 8") {
			t.Errorf("panicked with %v", err)
		}
	}()
	jobhook.NewJobhook(awscdk.NewStack(nil, jsii.String("bad"), nil), jsii.String("Webhooks"), &jobhook.Props{Days: jobhook.Days{Logs: 8}})
	t.Error("it was made")
}
