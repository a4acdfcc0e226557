//go:build !race

package main

import (
	"strings"
	"testing"
)

// fault is something that somebody might do to the stack by mistake.
type fault struct {
	what string
	do   func(d deployment) bool // tells whether there was something to spoil
}

// faults each must make a check complain: they show that the checks look.
func faults() []fault {
	return []fault{
		{"a grant is removed", dropAction("ServiceDispatchRole", "sqs:SendMessage")},
		{"a grant on an index is removed", dropStatement("ServiceSweepRole", "/index/due")},
		{"a verb too many", addAction("ServiceDeliverFirstRole", "sqs:ReceiveMessage", "sqs:PurgeQueue")},
		{"a verb with a wildcard", addAction("ServiceApiRole", "kms:Decrypt", "kms:*")},
		{"a resource that is everything", replaceResource("ServiceApiRole", "kms:Decrypt", "*")},
		{"another function's key", replaceResource("ServiceSweepRole", "s3:ListBucket", "${DataResults.Arn}")},
		{"a managed policy", set("ServiceSweepRole", "ManagedPolicyArns", []any{"arn:aws:iam::aws:policy/AmazonSQSFullAccess"})},
		{"a policy beside the role", add("ServiceExtraPolicy", "AWS::IAM::Policy")},
		{"export may write records", replaceResource("ServiceExportRole", "s3:PutObject", resultsARN+"/records/*")},
		{"sweep may read results", addResource("ServiceSweepRole", "s3:GetObject", resultsARN+"/results/*")},
		{"erasures that leave files", dropStatement("ServiceExportRole", "/inputs/*")},
		{"erasures that find no jobs", dropStatement("ServiceExportRole", "/index/account")},
		{"erasures that leave rows", dropAction("ServiceExportRole", "dynamodb:DeleteItem")},
		{"erasures that nobody goes on with", dropResource("ServiceSweepRole", exportARN)},
		{"sweep may delete jobs", addAction("ServiceSweepRole", `"${DataJobs.Arn}"`, "dynamodb:DeleteItem")},
		{"a ledger that sees no jobs", dropStatement("ServiceSweepRole", "/index/account")},
		{"sweep may change the topic", addAction("ServiceSweepRole", "sns:Publish", "sns:SetTopicAttributes")},
		{"sweep may publish to all topics", replaceResource("ServiceSweepRole", "sns:Publish", "*")},
		{"sweep may set off alarms", replaceResource("ServiceSweepRole", "sns:Publish", "${DataAlarms}")},
		{"notices that the key keeps back", dropAction("ServiceSweepRole", "kms:GenerateDataKey")},
		{"deliver may publish", addAction("ServiceDeliverFirstRole", "sqs:ReceiveMessage", "sns:Publish")},
		{"dead letters that nobody can send back", dropAction("ServiceApiRole", "sqs:DeleteMessage")},
		{"dead letters that stay hidden from the next who looks", dropAction("ServiceApiRole", "sqs:ChangeMessageVisibility")},
		{"queues that nobody can count", dropAction("ServiceApiRole", "sqs:GetQueueAttributes")},
		{"dead letters of exports that have no way back", dropResource("ServiceApiRole", exportARN)},
		{"api may take first attempts", addResource("ServiceApiRole", "sqs:ReceiveMessage", firstARN)},
		{"api may purge", addAction("ServiceApiRole", "sqs:ReceiveMessage", "sqs:PurgeQueue")},
		{"anybody may start sweep", set("ServiceSweepEveryMinute", "SourceArn", nil)},

		{"a short visibility", set("DataRetry", "VisibilityTimeout", 120.0)},
		{"a longer function", set("ServiceDeliverFirst", "Timeout", 90.0)},
		{"a function that ends before its request", set("ServiceDeliverRetry", "Timeout", 30.0)},
		{"a missing mapping", drop("ServiceRetryToDeliver")},
		{"a mapping to the wrong queue", set("ServiceRetryToDeliver", "EventSourceArn", firstARN)},
		{"a mapping to the wrong function", set("ServiceFirstToDeliver", "FunctionName", "${ServiceDeliverRetry}")},
		{"an export that is not fed", drop("ServiceExportToExport")},
		{"exports fed to deliver", set("ServiceExportToExport", "FunctionName", "${ServiceDeliverFirst}")},
		{"two runs for one export", set("ServiceExportToExport", "BatchSize", 2.0)},
		{"an export that comes again while it runs", set("DataExport", "VisibilityTimeout", 900.0)},
		{"whole batches fail", set("ServiceFirstToDeliver", "FunctionResponseTypes", nil)},
		{"whole batches of the stream fail", set("ServiceJobsToDispatch", "FunctionResponseTypes", nil)},
		{"a large batch without a window", set("ServiceFirstToDeliver", "BatchSize", 100.0)},
		{"a mapping that is off", set("ServiceFirstToDeliver", "Enabled", false)},
		{"the stream from its end", set("ServiceJobsToDispatch", "StartingPosition", "LATEST")},
		{"three tries for a batch", set("ServiceJobsToDispatch", "MaximumRetryAttempts", 3.0)},
		{"batches are lost", set("ServiceJobsToDispatch", "DestinationConfig", nil)},
		{"no filter", set("ServiceJobsToDispatch", "FilterCriteria", nil)},
		{"deletions are dispatched", set("ServiceJobsToDispatch", "FilterCriteria.Filters.0.Pattern", `{"eventName":["INSERT","MODIFY","REMOVE"]}`)},

		{"no dead letters", set("DataFirst", "RedrivePolicy", nil)},
		{"few receives", set("DataRetry", "RedrivePolicy.maxReceiveCount", 5.0)},
		{"exports for ever", set("DataExport", "RedrivePolicy.maxReceiveCount", 1000.0)},
		{"the dead letters of the other queue", set("DataFirst", "RedrivePolicy.deadLetterTargetArn", "${DataRetryDeadLetters.Arn}")},
		{"dead letters for a day", set("DataFirstDeadLetters", "MessageRetentionPeriod", 86_400.0)},
		{"dead letters of anybody", set("DataFirstDeadLetters", "RedriveAllowPolicy", nil)},
		{"a plain queue", set("DataFirst", "SqsManagedSseEnabled", nil)},
		{"a queue without TLS", drop("DataFirstPolicy")},
		{"sweep each hour", set("ServiceEveryMinute", "ScheduleExpression", "rate(1 hour)")},
		{"sweep never", set("ServiceEveryMinute", "State", "DISABLED")},

		{"retries to the first queue", set("ServiceDeliverFirst", "Environment.Variables.JOBHOOK_RETRY_QUEUE_URL", "${DataFirst}")},
		{"the queue of the other lane", set("ServiceDeliverRetry", "Environment.Variables.JOBHOOK_QUEUE_URL", "${DataFirst}")},
		{"the wrong lane", set("ServiceDeliverRetry", "Environment.Variables.JOBHOOK_LANE", "first")},
		{"exports to the first queue", set("ServiceDispatch", "Environment.Variables.JOBHOOK_EXPORT_QUEUE_URL", "${DataFirst}")},
		{"the dead letters of another queue", set("ServiceApi", "Environment.Variables.JOBHOOK_RETRY_DEAD_LETTERS_URL", "${DataFirstDeadLetters}")},
		{"a variable is missing", set("ServiceApi", "Environment.Variables.JOBHOOK_PUBLIC_URL", nil)},
		{"the wrong bucket", set("ServiceSweep", "Environment.Variables.JOBHOOK_FAILURES_BUCKET", "${DataResults}")},
		{"notices to the topic of alarms", set("ServiceSweep", "Environment.Variables.JOBHOOK_NOTICES_TOPIC", "${DataAlarms}")},
		{"failing endpoints for ever", set("ServiceDeliverFirst", "Environment.Variables.JOBHOOK_DISABLE_AFTER", nil)},
		{"logs as text", set("ServiceSweep", "LoggingConfig.LogFormat", "Text")},
		{"logs for ever", set("ServiceDispatchLogs", "RetentionInDays", nil)},
		{"no traces", set("ServiceApi", "TracingConfig.Mode", "PassThrough")},
		{"the wrong processor", set("ServiceApi", "Architectures", []any{"x86_64"})},

		{"new images only", set("DataJobs", "StreamSpecification.StreamViewType", "NEW_IMAGE")},
		{"a stream of deliveries", set("DataDeliveries", "StreamSpecification", map[string]any{"StreamViewType": "KEYS_ONLY"})},
		{"rows for ever", set("DataDeliveries", "TimeToLiveSpecification", nil)},
		{"no recovery", set("DataJobs", "PointInTimeRecoverySpecification", nil)},
		{"an index of whole rows", set("DataDeliveries", "GlobalSecondaryIndexes.0.Projection.ProjectionType", "ALL")},
		{"a public bucket", set("DataResults", "PublicAccessBlockConfiguration.BlockPublicPolicy", false)},
		{"a bucket without TLS", drop("DataFailuresPolicy")},
		{"objects for ever", set("DataResults", "LifecycleConfiguration", nil)},
		{"records for ever", set("DataResults", "LifecycleConfiguration.Rules.1.Prefix", "other/")},
		{"broken uploads for ever", set("DataFailures", "LifecycleConfiguration.Rules.1.Status", "Disabled")},
		{"a plain bucket", set("DataFailures", "BucketEncryption", nil)},
		{"a key for ever", set("DataSecretsKey", "EnableKeyRotation", false)},
		{"a key that alarms cannot use", set("DataAlarmsKey", "KeyPolicy.Statement.1", nil)},
		{"a topic that alarms cannot publish to", set("DataAlarmsPolicy", "PolicyDocument.Statement.1", nil)},
		{"a plain topic", set("DataAlarms", "KmsMasterKeyId", nil)},
		{"a plain topic of notices", set("DataNotices", "KmsMasterKeyId", nil)},
		{"a topic without TLS", drop("DataNoticesPolicy")},
		{"a topic of notices that alarms publish to", set("DataNoticesPolicy", "PolicyDocument.Statement.0", map[string]any{
			"Effect": "Allow", "Principal": map[string]any{"Service": "cloudwatch.amazonaws.com"}, "Action": "sns:Publish", "Resource": "${DataNotices}",
		})},
		{"a topic too many", add("DataOther", "AWS::SNS::Topic")},

		{"paths in the access log", set("ServiceHttpStage", "AccessLogSettings.Format", `{"routeKey":"$context.routeKey","status":"$context.status","path":"$context.path"}`)},
		{"no access log", set("ServiceHttpStage", "AccessLogSettings", nil)},
		{"no throttling", set("ServiceHttpStage", "DefaultRouteSettings", nil)},
		{"an alarm is missing", drop("ServiceRetryDeadLettersAlarm")},
		{"failed exports that nobody hears of", drop("ServiceExportsFailedAlarm")},
		{"webhooks that are missing by the ledger and nobody hears of", drop("ServiceLedgerDifferenceAlarm")},
		{"messages that are lost and nobody hears of", drop("ServiceLedgerStuckAlarm")},
		{"an alarm that nobody hears", set("ServiceIteratorAgeAlarm", "AlarmActions", nil)},
		{"an alarm without advice", set("ServiceIteratorAgeAlarm", "AlarmDescription", "Too old")},
		{"an alarm of the other queue", set("ServiceFirstInFlightAlarm", "Dimensions.0.Value", "${DataRetry.QueueName}")},
		{"a sweep that stands still is well", set("ServiceDueBacklogAgeAlarm", "TreatMissingData", "notBreaching")},
		{"an output is missing", func(d deployment) bool {
			_, there := d.Outputs["RetryDeadLettersUrl"]
			delete(d.Outputs, "RetryDeadLettersUrl")
			return there
		}},
		{"a graph is missing", replaceText("ServiceDashboard", "DashboardBody", "ApproximateAgeOfOldestMessage", "NumberOfMessagesSent")},
	}
}

func TestEveryFaultIsFound(t *testing.T) {
	folder := synthesis(t, "dev", nil)
	if complaints := complain(deployed(t, folder)); len(complaints) > 0 {
		t.Fatalf("it is not well to begin with: %q", complaints)
	}
	for _, f := range faults() {
		t.Run(f.what, func(t *testing.T) {
			d := deployed(t, folder)
			if !f.do(d) {
				t.Fatal("there is nothing to spoil: the fault has grown old")
			}
			found := complain(d)
			if len(found) == 0 {
				t.Error("nobody complains")
			}
			t.Logf("%s", strings.Join(found, "; "))
		})
	}
}

// TestNoCheckIsIdle: each check is the one that finds some fault.
func TestNoCheckIsIdle(t *testing.T) {
	folder := synthesis(t, "dev", nil)
	idle := map[string]bool{}
	for _, c := range checks() {
		idle[c.name] = true
	}
	idle["removal"] = false // see TestDataThatStaysAloneIsFound
	for _, f := range faults() {
		d := deployed(t, folder)
		f.do(d)
		for _, one := range checks() {
			var c complaints
			one.look(d, &c)
			if len(c) > 0 {
				idle[one.name] = false
			}
		}
	}
	for name, is := range idle {
		if is {
			t.Errorf("no fault is found by the check of %s", name)
		}
	}
}

func TestDataThatStaysAloneIsFound(t *testing.T) {
	for _, name := range []string{"DataJobs", "DataResults", "DataSecretsKey", "DataFirstDeadLetters", "DataExportDeadLetters", "ServiceApiLogs"} {
		d := deployed(t, synthesis(t, "dev", nil))
		d.Resources[name].DeletionPolicy = "Retain"
		var c complaints
		checkRemoval(d, &c)
		if len(c) == 0 {
			t.Errorf("%s stays and nobody complains", name)
		}
	}
}

// set puts a value to a path of a resource's properties; nil takes away what
// is there.
func set(name, path string, value any) func(deployment) bool {
	return func(d deployment) bool {
		if d.Resources[name] == nil || value == nil && d.at(name, path) == nil {
			return false
		}
		keys := strings.Split(path, ".")
		var at any = d.Resources[name].Properties
		for _, key := range keys[:len(keys)-1] {
			at = child(at, key)
		}
		return put(at, keys[len(keys)-1], value)
	}
}

func put(at any, key string, value any) bool {
	switch at := at.(type) {
	case map[string]any:
		at[key] = value
		if value == nil {
			delete(at, key)
		}
		return true
	case []any:
		if child(at, key) != nil {
			at[int(key[0]-'0')] = value
			return true
		}
	}
	return false
}

func drop(name string) func(deployment) bool {
	return func(d deployment) bool {
		there := d.Resources[name] != nil
		delete(d.Resources, name)
		return there
	}
}

func add(name, kind string) func(deployment) bool {
	return func(d deployment) bool {
		d.Resources[name] = &resource{Type: kind, Properties: map[string]any{}}
		return true
	}
}

// onStatement changes the first statement of a role that speaks of a word.
func onStatement(role, word string, change func(statement map[string]any)) func(deployment) bool {
	return func(d deployment) bool {
		for _, s := range objects(d.at(role, "Policies.0.PolicyDocument.Statement")) {
			if strings.Contains(asJSON(s), word) {
				change(s)
				return true
			}
		}
		return false
	}
}

func dropAction(role, action string) func(deployment) bool {
	return onStatement(role, action, func(s map[string]any) { s["Action"] = without(s["Action"], action) })
}

func dropStatement(role, word string) func(deployment) bool {
	return onStatement(role, word, func(s map[string]any) { s["Action"] = []any{} })
}

func addAction(role, beside, action string) func(deployment) bool {
	return onStatement(role, beside, func(s map[string]any) { s["Action"] = append(anys(s["Action"]), action) })
}

func replaceResource(role, action, resource string) func(deployment) bool {
	return onStatement(role, action, func(s map[string]any) { s["Resource"] = resource })
}

func addResource(role, action, resource string) func(deployment) bool {
	return onStatement(role, action, func(s map[string]any) { s["Resource"] = append(anys(s["Resource"]), resource) })
}

func dropResource(role, resource string) func(deployment) bool {
	return onStatement(role, resource, func(s map[string]any) { s["Resource"] = without(s["Resource"], resource) })
}

func replaceText(name, path, old, new string) func(deployment) bool {
	return func(d deployment) bool {
		text, _ := d.at(name, path).(string)
		return strings.Contains(text, old) && set(name, path, strings.ReplaceAll(text, old, new))(d)
	}
}

func without(v any, text string) (rest []any) {
	for _, one := range anys(v) {
		if one != text {
			rest = append(rest, one)
		}
	}
	return rest
}

func anys(v any) (all []any) {
	for _, text := range list(v) {
		all = append(all, text)
	}
	return all
}
