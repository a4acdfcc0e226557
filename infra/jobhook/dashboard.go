package jobhook

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/interfaces/interfacesawscloudwatch"
	"github.com/aws/jsii-runtime-go"
)

const wholeRow = 24 // columns of a dashboard

// dashboard answers first whether it is well, then where it is not, along the
// way of a webhook: stream, queues, deliver, receivers, sweep, tables, API.
func (s *Service) dashboard() {
	s.Dashboard = awscloudwatch.NewDashboard(s.Construct, jsii.String("Dashboard"), &awscloudwatch.DashboardProps{
		DefaultInterval: minutes(3 * 60),
		PeriodOverride:  awscloudwatch.PeriodOverride_AUTO,
	})
	s.row(s.alarmStatus())
	s.row(s.outcomes(), s.lag(), s.latency())
	s.row(s.streamAge(), s.streamTrouble(), s.backlog(), s.circuits())
	s.row(s.queue("First attempts: messages", s.data.First), s.queue("Retries: messages", s.data.Retry), s.oldest(), s.deadLetters())
	s.row(s.exportMessages(), s.exportAge(), s.exportOutcomes())
	s.row(s.perFunction("Errors", "Errors", sum), s.perFunction("Throttles", "Throttles", sum),
		s.perFunction("Duration p99, ms", "Duration", "p99"), s.perFunction("Running at once", "ConcurrentExecutions", maximum))
	s.row(s.consumed(), s.throttledTables(), s.apiAnswers(), s.apiLatency())
}

// row shares its width among the widgets.
func (s *Service) row(widgets ...awscloudwatch.IWidget) { s.Dashboard.AddWidgets(widgets...) }

// graph is one of n in its row.
func graph(title string, n int, left ...awscloudwatch.IMetric) *awscloudwatch.GraphWidgetProps {
	return &awscloudwatch.GraphWidgetProps{
		Title: jsii.String(title), Left: &left, Width: jsii.Number(wholeRow / n), Height: jsii.Number(6),
		LeftYAxis: &awscloudwatch.YAxisProps{Min: jsii.Number(0), ShowUnits: jsii.Bool(false)},
	}
}

// limit draws the line above which an alarm is on.
func limit(g *awscloudwatch.GraphWidgetProps, at int) *awscloudwatch.GraphWidgetProps {
	g.LeftAnnotations = &[]*awscloudwatch.HorizontalAnnotation{{Value: jsii.Number(at), Label: jsii.String("alarm"), Color: jsii.String("#d13212")}}
	return g
}

func widget(g *awscloudwatch.GraphWidgetProps) awscloudwatch.IWidget {
	return awscloudwatch.NewGraphWidget(g)
}

func (s *Service) alarmStatus() awscloudwatch.IWidget {
	var alarms []interfacesawscloudwatch.IAlarmRef
	for _, a := range s.watched {
		alarms = append(alarms, a)
	}
	return awscloudwatch.NewAlarmStatusWidget(&awscloudwatch.AlarmStatusWidgetProps{
		Title: jsii.String("Is it well?"), Alarms: &alarms, Width: jsii.Number(wholeRow), Height: jsii.Number(4),
	})
}

func (s *Service) outcomes() awscloudwatch.IWidget {
	g := graph("Attempts a minute", 3,
		label(s.own(delivered, sum), "delivered"), label(s.own(retried, sum), "failed, to be retried"),
		label(s.own(failed, sum), "failed for good"), label(s.own(held, sum), "held"))
	return widget(g)
}

func (s *Service) lag() awscloudwatch.IWidget {
	g := graph("From the change to the first attempt, ms", 3,
		label(s.own(firstAttemptLag, "p50"), "p50"), label(s.own(firstAttemptLag, "p99"), "p99"))
	return widget(limit(g, lagMillis))
}

func (s *Service) latency() awscloudwatch.IWidget {
	return widget(graph("Answers of the receivers, ms", 3,
		label(s.own(endpointLatency, "p50"), "p50"), label(s.own(endpointLatency, "p90"), "p90"), label(s.own(endpointLatency, "p99"), "p99")))
}

func (s *Service) streamAge() awscloudwatch.IWidget {
	g := graph("Stream of jobs: age, ms", 4,
		label(ofFunction(s.Dispatch, "IteratorAge", maximum), "oldest record read"), label(s.own(dispatchLag, "p99"), "p99 when dispatched"))
	return widget(limit(g, iteratorAgeMillis))
}

func (s *Service) streamTrouble() awscloudwatch.IWidget {
	return widget(graph("Not taken at the first go", 4,
		label(s.own(recordsFailed, sum), "records that come again"), label(s.own(messagesFailed, sum), "messages that come again"),
		label(s.own(declined, sum), "records declined"), label(s.own(replayed, sum), "batches replayed"), label(s.own(replaysFailed, sum), "replays failed"),
		label(s.own(ledgerDiffers, sum), "missing by the ledger"), label(s.own(ledgerStuck, sum), "stuck, rung for again")))
}

func (s *Service) backlog() awscloudwatch.IWidget {
	g := graph("Parked deliveries that are overdue", 4, label(s.own(dueBacklogAge, maximum), "the oldest, s"))
	g.Right = &[]awscloudwatch.IMetric{label(s.own(dueBacklog, maximum), "how many")}
	return widget(limit(g, backlogSeconds))
}

func (s *Service) circuits() awscloudwatch.IWidget {
	return widget(graph("Circuits that opened", 4, label(s.own(tripped, sum), "of endpoints"), label(s.own(hostsTripped, sum), "of hosts")))
}

func (s *Service) queue(title string, q Queue) awscloudwatch.IWidget {
	g := graph(title, 4,
		label(ofQueue(q.Queue, "ApproximateNumberOfMessagesVisible"), "visible"),
		label(ofQueue(q.Queue, "ApproximateNumberOfMessagesNotVisible"), "in flight or waiting"))
	return widget(limit(g, inFlight))
}

func (s *Service) oldest() awscloudwatch.IWidget {
	return widget(graph("Oldest message, s", 4,
		label(ofQueue(s.data.First.Queue, "ApproximateAgeOfOldestMessage"), "first attempts"),
		label(ofQueue(s.data.Retry.Queue, "ApproximateAgeOfOldestMessage"), "retries")))
}

func (s *Service) deadLetters() awscloudwatch.IWidget {
	return widget(graph("Dead letters", 4,
		label(ofQueue(s.data.First.DeadLetters, "ApproximateNumberOfMessagesVisible"), "first attempts"),
		label(ofQueue(s.data.Retry.DeadLetters, "ApproximateNumberOfMessagesVisible"), "retries")))
}

func (s *Service) exportMessages() awscloudwatch.IWidget {
	return widget(graph("Exports: messages", 3,
		label(ofQueue(s.data.Export.Queue, "ApproximateNumberOfMessagesVisible"), "visible"),
		label(ofQueue(s.data.Export.Queue, "ApproximateNumberOfMessagesNotVisible"), "in work or waiting for another try")))
}

func (s *Service) exportAge() awscloudwatch.IWidget {
	return widget(graph("Exports: oldest message, s", 3, label(ofQueue(s.data.Export.Queue, "ApproximateAgeOfOldestMessage"), "oldest")))
}

func (s *Service) exportOutcomes() awscloudwatch.IWidget {
	return widget(graph("Exports: outcomes", 3,
		label(s.own(exported, sum), "done"), label(s.own(exportsFailed, sum), "failed for good"),
		label(ofQueue(s.data.Export.DeadLetters, "ApproximateNumberOfMessagesVisible"), "dead letters")))
}

func (s *Service) perFunction(title, name, statistic string) awscloudwatch.IWidget {
	var lines []awscloudwatch.IMetric
	for _, f := range s.all() {
		lines = append(lines, label(ofFunction(f.function, name, statistic), f.name))
	}
	return widget(graph(title, 4, lines...))
}

func (s *Service) consumed() awscloudwatch.IWidget {
	return widget(graph("DynamoDB units consumed a minute", 4, s.perTable("ConsumedWriteCapacityUnits", "written", "ConsumedReadCapacityUnits", "read")...))
}

func (s *Service) throttledTables() awscloudwatch.IWidget {
	return widget(graph("DynamoDB requests throttled", 4, s.perTable("WriteThrottleEvents", "writes", "ReadThrottleEvents", "reads")...))
}

// perTable shows two metrics of each table that is Jobhook's.
func (s *Service) perTable(first, firstLabel, second, secondLabel string) (lines []awscloudwatch.IMetric) {
	add := func(t awsdynamodb.Table, name string) {
		lines = append(lines, label(ofTable(t, first), name+" "+firstLabel), label(ofTable(t, second), name+" "+secondLabel))
	}
	add(s.data.Deliveries, "deliveries")
	if s.data.Jobs != nil {
		add(s.data.Jobs, "jobs")
	}
	return lines
}

func (s *Service) apiAnswers() awscloudwatch.IWidget {
	return widget(graph("API: answers", 4,
		label(s.ofAPI("Count", sum), "all"), label(s.ofAPI("4xx", sum), "4xx"), label(s.ofAPI("5xx", sum), "5xx")))
}

func (s *Service) apiLatency() awscloudwatch.IWidget {
	return widget(graph("API: latency, ms", 4, label(s.ofAPI("Latency", "p50"), "p50"), label(s.ofAPI("Latency", "p99"), "p99")))
}
