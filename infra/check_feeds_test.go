//go:build !race

package main

import (
	"strings"
	"time"

	"github.com/jobhook/jobhook/shared/setting"
	"github.com/jobhook/jobhook/shared/webhook"
)

// recordingSeconds is what deliver keeps back to write down what became of its
// requests.
const recordingSeconds = 15

// lanes are the ways of a doorbell: mapping, queue, function.
func lanes() [][3]string {
	return [][3]string{
		{"ServiceFirstToDeliver", "DataFirst", "ServiceDeliverFirst"},
		{"ServiceRetryToDeliver", "DataRetry", "ServiceDeliverRetry"},
	}
}

// exportLane is the way of an export, and of a request to erase.
func exportLane() [3]string {
	return [3]string{"ServiceExportToExport", "DataExport", "ServiceExport"}
}

// checkStream holds to how dispatch is fed.
func checkStream(d deployment, c *complaints) {
	c.same("mappings", len(d.of("AWS::Lambda::EventSourceMapping")), 1+len(lanes())+1)
	c.props(d, "ServiceJobsToDispatch", map[string]any{
		"EventSourceArn": stream(d), "FunctionName": "${ServiceDispatch}",
		"StartingPosition": "TRIM_HORIZON", "BatchSize": 100, "BisectBatchOnFunctionError": true,
		"MaximumRetryAttempts": -1, "MaximumRecordAgeInSeconds": 20 * 3600,
		"FunctionResponseTypes":                   []string{"ReportBatchItemFailures"},
		"FilterCriteria.Filters":                  []map[string]string{{"Pattern": `{"eventName":["INSERT","MODIFY"]}`}},
		"DestinationConfig.OnFailure.Destination": failuresARN,
		"Enabled": nil,
	})
	if n := d.number("ServiceJobsToDispatch", "ParallelizationFactor"); n < 1 || n > 10 {
		c.add("ParallelizationFactor is %v", n)
	}
}

// checkLanes holds to how deliver is fed: its function outlives each request.
func checkLanes(d deployment, c *complaints) {
	for _, l := range lanes() {
		c.lane(d, l)
		timeout := d.number(l[2], "Timeout")
		if least := webhook.MaxTimeout.Seconds() + recordingSeconds; timeout < least {
			c.add("%s has %v s; a request and recording it may take %v", l[2], timeout, least)
		}
	}
}

// checkExport holds to how export is fed: one run at a time, as long as Lambda
// lets it run.
func checkExport(d deployment, c *complaints) {
	l := exportLane()
	c.lane(d, l)
	c.props(d, l[0], map[string]any{"BatchSize": 1, "MaximumBatchingWindowInSeconds": 0})
	c.props(d, l[2], map[string]any{"Timeout": 15 * 60})
}

// lane holds to one queue, its mapping and its function, and to the times that
// depend on each other: function < a sixth of the visibility.
func (c *complaints) lane(d deployment, l [3]string) {
	mapping, queue, function := l[0], l[1], l[2]
	c.props(d, mapping, map[string]any{
		"EventSourceArn": "${" + queue + ".Arn}", "FunctionName": "${" + function + "}",
		"FunctionResponseTypes": []string{"ReportBatchItemFailures"}, "Enabled": nil, "FilterCriteria": nil,
	})
	if d.number(mapping, "BatchSize") > 10 && d.number(mapping, "MaximumBatchingWindowInSeconds") < 1 {
		c.add("%s has batches of %v without a window", mapping, d.number(mapping, "BatchSize"))
	}
	if n := d.number(mapping, "ScalingConfig.MaximumConcurrency"); n < 2 {
		c.add("%s has a MaximumConcurrency of %v", mapping, n)
	}
	timeout := d.number(function, "Timeout")
	if v := d.number(queue, "VisibilityTimeout"); v < 6*timeout || v > (12*time.Hour).Seconds() {
		c.add("%s hides messages for %v s; six times the %v s of %s are needed", queue, v, timeout, function)
	}
	c.same(function+" is fed from", d.at(function, "Environment.Variables."+setting.Queue), "${"+queue+"}")
}

// checkQueues holds to queues that lose nothing.
func checkQueues(d deployment, c *complaints) {
	want := []string{"DataExport", "DataExportDeadLetters", "DataFirst", "DataFirstDeadLetters", "DataRetry", "DataRetryDeadLetters"}
	c.same("queues", d.of("AWS::SQS::Queue"), want)
	for _, q := range d.of("AWS::SQS::Queue") {
		c.props(d, q, map[string]any{"MessageRetentionPeriod": 14 * 24 * 3600, "SqsManagedSseEnabled": true, "FifoQueue": nil})
		c.tlsOnly(d, "AWS::SQS::QueuePolicy", "Queues", q)
		if !strings.HasSuffix(q, "DeadLetters") {
			c.deadLetters(d, q)
		}
	}
}

// deadLetters looks at both ends: the queue names its dead letters, and they let it in by name.
func (c *complaints) deadLetters(d deployment, q string) {
	receives := 1000
	if q == "DataExport" {
		receives = 5
	}
	c.props(d, q, map[string]any{
		"RedrivePolicy.deadLetterTargetArn": "${" + q + "DeadLetters.Arn}", "RedrivePolicy.maxReceiveCount": receives,
	})
	name, _ := d.at(q, "QueueName").(string)
	if name == "" {
		c.add("%s has no name, by which its dead letters know it", q)
	}
	c.same(q+"DeadLetters RedriveAllowPolicy", d.at(q+"DeadLetters", "RedriveAllowPolicy"), map[string]any{
		"redrivePermission": "byQueue",
		"sourceQueueArns":   []string{"arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:" + name},
	})
}

// checkSchedule holds to sweep's minute.
func checkSchedule(d deployment, c *complaints) {
	c.same("rules", d.of("AWS::Events::Rule"), []string{"ServiceEveryMinute"})
	c.props(d, "ServiceEveryMinute", map[string]any{
		"ScheduleExpression": "rate(1 minute)", "State": nil,
		"Targets": []map[string]string{{"Arn": "${ServiceSweep.Arn}", "Id": "sweep"}},
	})
	if t := d.number("ServiceSweep", "Timeout"); t < 30 || t > 60 {
		c.add("sweep has %v s; it starts every 60", t)
	}
}

// tlsOnly complains unless a policy of a resource refuses all that comes
// without TLS.
func (c *complaints) tlsOnly(d deployment, kind, target, name string) {
	for _, policy := range d.of(kind) {
		for _, owner := range list(d.at(policy, target)) {
			if owner == "${"+name+"}" && refusesPlain(d.at(policy, "PolicyDocument.Statement")) {
				return
			}
		}
	}
	c.add("%s can be reached without TLS", name)
}

func refusesPlain(statements any) bool {
	for _, s := range objects(statements) {
		if s["Effect"] == "Deny" && asJSON(s["Condition"]) == `{"Bool":{"aws:SecureTransport":"false"}}` &&
			(asJSON(s["Principal"]) == `"*"` || asJSON(s["Principal"]) == `{"AWS":"*"}`) {
			return true
		}
	}
	return false
}
