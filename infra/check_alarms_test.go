//go:build !race

package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// alarm is what an alarm looks at: metric, threshold, what no data means.
type alarm struct {
	metric    string // namespace, name, dimension
	statistic string
	above     float64
	missing   string
}

// alarms are all there must be.
func alarms() map[string]alarm {
	const quiet = "notBreaching"
	all := map[string]alarm{
		"IteratorAge":       {"AWS/Lambda IteratorAge FunctionName=${ServiceDispatch}", "Maximum", 300_000, quiet},
		"StreamBatchesLost": {"AWS/Lambda DestinationDeliveryFailures FunctionName=${ServiceDispatch}", "Sum", 0, quiet},
		"FirstAttemptLag":   {"Jobhook FirstAttemptLag stage=*", "p99", 30_000, quiet},
		"DueBacklogAge":     {"Jobhook DueBacklogAge stage=*", "Maximum", 300, "breaching"},
		"ReplaysFailed":     {"Jobhook ReplaysFailed stage=*", "Sum", 0, quiet},
		"LedgerDifference":  {"Jobhook LedgerDifference stage=*", "Sum", 0, quiet},
		"LedgerStuck":       {"Jobhook LedgerStuck stage=*", "Sum", 0, quiet},
		"ApiServerErrors":   {"AWS/ApiGateway 5xx ApiId=${ServiceHttpApi}", "Sum", 5, quiet},
		"ExportDeadLetters": {"AWS/SQS ApproximateNumberOfMessagesVisible QueueName=${DataExportDeadLetters.QueueName}", "Maximum", 0, quiet},
		"ExportsFailed":     {"Jobhook ExportsFailed stage=*", "Sum", 0, quiet},
	}
	for _, q := range []string{"First", "Retry"} {
		all[q+"DeadLetters"] = alarm{"AWS/SQS ApproximateNumberOfMessagesVisible QueueName=${Data" + q + "DeadLetters.QueueName}", "Maximum", 0, quiet}
		all[q+"InFlight"] = alarm{"AWS/SQS ApproximateNumberOfMessagesNotVisible QueueName=${Data" + q + ".QueueName}", "Maximum", 60_000, quiet}
	}
	for _, f := range functionNames() {
		id := strings.TrimPrefix(f, "Service")
		all[id+"Errors"] = alarm{"AWS/Lambda Errors FunctionName=${" + f + "}", "Sum", 0, quiet}
		all[id+"Throttles"] = alarm{"AWS/Lambda Throttles FunctionName=${" + f + "}", "Sum", 0, quiet}
	}
	return all
}

// checkAlarms holds to alarms that somebody hears and understands.
func checkAlarms(d deployment, c *complaints) {
	want := alarms()
	for _, name := range d.of("AWS::CloudWatch::Alarm") {
		id := strings.TrimSuffix(strings.TrimPrefix(name, "Service"), "Alarm")
		w, ok := want[id]
		if !ok {
			c.add("nobody expects the alarm %s", name)
			continue
		}
		delete(want, id)
		c.alarm(d, name, w)
	}
	for _, id := range slices.Sorted(maps.Keys(want)) {
		c.add("there is no alarm %s", id)
	}
}

func (c *complaints) alarm(d deployment, name string, w alarm) {
	c.same(name+" looks at", metricOf(d, name), w.metric)
	statistic := d.at(name, "Statistic")
	if statistic == nil {
		statistic = d.at(name, "ExtendedStatistic")
	}
	c.same(name+" statistic", statistic, w.statistic)
	c.props(d, name, map[string]any{
		"ComparisonOperator": "GreaterThanThreshold", "Threshold": w.above, "TreatMissingData": w.missing, "Period": 60,
		"AlarmActions": []string{"${DataAlarms}"}, "OKActions": []string{"${DataAlarms}"}, "ActionsEnabled": nil,
	})
	if points, of := d.number(name, "DatapointsToAlarm"), d.number(name, "EvaluationPeriods"); points < 1 || points > of || of > 60 {
		c.add("%s wants %v of %v minutes", name, points, of)
	}
	description, _ := d.at(name, "AlarmDescription").(string)
	if len(strings.Split(description, ". ")) < 2 || len(description) > 1024 {
		c.add("%s does not say what it means and what to do: %q", name, description)
	}
}

// metricOf tells what an alarm looks at; a stage is any.
func metricOf(d deployment, name string) string {
	metric := fmt.Sprint(d.at(name, "Namespace"), " ", d.at(name, "MetricName"))
	for _, dim := range objects(d.at(name, "Dimensions")) {
		value := dim["Value"]
		if dim["Name"] == "stage" {
			value = "*"
		}
		metric += fmt.Sprintf(" %v=%v", dim["Name"], value)
	}
	return metric
}

// checkDashboard holds to a dashboard on which all is seen, and nothing by
// endpoint or account.
func checkDashboard(d deployment, c *complaints) {
	body, _ := d.at("ServiceDashboard", "DashboardBody").(string)
	var dashboard struct {
		Widgets []struct {
			Type       string
			Properties struct {
				Metrics [][]any
				Alarms  []string
			}
		}
	}
	if err := json.Unmarshal([]byte(body), &dashboard); err != nil {
		c.add("the dashboard is no JSON: %v", err)
	}
	var lines strings.Builder
	for _, w := range dashboard.Widgets {
		if w.Type == "alarm" {
			c.same("alarms on the dashboard", len(w.Properties.Alarms), len(alarms()))
		}
		for _, m := range w.Properties.Metrics {
			for _, part := range m {
				fmt.Fprintf(&lines, "%v ", part)
			}
			lines.WriteByte('\n')
		}
	}
	for _, what := range shown() {
		if !strings.Contains(lines.String(), what) {
			c.add("the dashboard does not show %q", what)
		}
	}
	c.dimensions(lines.String())
}

// shown is what an operator looks for.
func shown() []string {
	all := []string{
		"Jobhook Delivered stage", "Jobhook Failed stage", "Jobhook Retried stage", "Jobhook Held stage", "Jobhook FirstAttemptLag stage",
		"Jobhook EndpointLatency stage", "Jobhook DueBacklogAge stage", "Jobhook ReplaysFailed stage", "Jobhook LedgerDifference stage", "Jobhook LedgerStuck stage", "AWS/Lambda IteratorAge FunctionName ${ServiceDispatch}",
		"ApproximateNumberOfMessagesVisible QueueName ${DataFirst.QueueName}", "ApproximateNumberOfMessagesNotVisible QueueName ${DataFirst.QueueName}",
		"ApproximateNumberOfMessagesVisible QueueName ${DataRetry.QueueName}", "ApproximateNumberOfMessagesNotVisible QueueName ${DataRetry.QueueName}",
		"ApproximateAgeOfOldestMessage QueueName ${DataFirst.QueueName}", "ApproximateAgeOfOldestMessage QueueName ${DataRetry.QueueName}",
		"QueueName ${DataFirstDeadLetters.QueueName}", "QueueName ${DataRetryDeadLetters.QueueName}",
		"ConsumedWriteCapacityUnits TableName ${DataDeliveries}", "WriteThrottleEvents TableName ${DataDeliveries}",
		"4xx ApiId", "5xx ApiId", "Latency ApiId", "Jobhook Tripped stage", "Jobhook HostsTripped stage",
		"Jobhook Exported stage", "Jobhook ExportsFailed stage", "QueueName ${DataExportDeadLetters.QueueName}",
		"ApproximateNumberOfMessagesVisible QueueName ${DataExport.QueueName}", "ApproximateNumberOfMessagesNotVisible QueueName ${DataExport.QueueName}",
		"ApproximateAgeOfOldestMessage QueueName ${DataExport.QueueName}",
	}
	for _, f := range functionNames() {
		for _, metric := range []string{"Errors", "Throttles", "Duration", "ConcurrentExecutions"} {
			all = append(all, "AWS/Lambda "+metric+" FunctionName ${"+f+"}")
		}
	}
	return all
}

func (c *complaints) dimensions(lines string) {
	for _, word := range []string{"endpoint ", "account ", "endpoint_id", "account_id"} {
		if strings.Contains(lines, " "+word) {
			c.add("a metric has the dimension %s", word)
		}
	}
}
