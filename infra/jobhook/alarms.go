package jobhook

import (
	"fmt"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatchactions"
	"github.com/aws/jsii-runtime-go"
)

const (
	// iteratorAgeMillis: five minutes behind, a platform's customers notice.
	iteratorAgeMillis = 5 * 60 * 1000
	// inFlight is half of what SQS takes: beyond about 120,000 Lambda gets no
	// message at all and nobody is told.
	inFlight = 60_000
	// lagMillis of the first attempt is a hundred times what it should be.
	lagMillis = 30_000
	// backlogSeconds: sweep runs each minute, so five are five runs that did not do it.
	backlogSeconds = 300
	// ledgerMinutes lie between two checks of the ledger: what one found is on until the next.
	ledgerMinutes = 60
	// apiErrors a minute, of those that a caller may simply try again.
	apiErrors = 5
)

// watch is an alarm: what is looked at, and what its mail says.
type watch struct {
	id     string
	metric awscloudwatch.IMetric
	above  int // the alarm is on while the metric is above
	points int // for so many minutes
	of     int // out of so many; 0 for all
	// missing says what a minute without data means. Most metrics have none
	// when nothing happens.
	missing awscloudwatch.TreatMissingData
	means   string
	do      string
}

// alarms tell of what a person should look at.
func (s *Service) alarms() {
	s.watchStream()
	s.watchQueue("First", "first attempts", s.data.First)
	s.watchQueue("Retry", "retries", s.data.Retry)
	for _, f := range s.all() {
		s.watchFunction(f)
	}
	s.watchOutcomes()
	s.watchSweep()
	s.watchExport()
}

func (s *Service) watchStream() {
	s.watch(watch{
		id: "IteratorAge", metric: ofFunction(s.Dispatch, "IteratorAge", maximum), above: iteratorAgeMillis, points: 3,
		means: "Changes of jobs wait more than 5 minutes for dispatch; webhooks are late, none is lost yet.",
		do: "Look at the errors, throttles and duration of dispatch and at throttled writes of the deliveries table. A load that dispatch cannot keep up with " +
			"needs a higher streamParallelization. After 20 hours batches go to the failures bucket.",
	})
	s.watch(watch{
		id: "StreamBatchesLost", metric: ofFunction(s.Dispatch, "DestinationDeliveryFailures", sum), above: 0, points: 1,
		means: "Lambda could not put a stream batch that dispatch failed on for 20 hours into the failures bucket: those changes have no webhook.",
		do:    "See that dispatch's role may write to the bucket. Write the jobs of that time again in a way that changes them, so that they come by the stream once more.",
	})
}

func (s *Service) watchQueue(id, what string, q Queue) {
	s.watch(watch{
		id: id + "DeadLetters", metric: ofQueue(q.DeadLetters, "ApproximateNumberOfMessagesVisible"), above: 0, points: 1,
		means: fmt.Sprintf("A message of the queue of %s came 1,000 times and was never finished. That is a fault of Jobhook, never of a receiver.", what),
		do: fmt.Sprintf("GET /v1/queues/%[1]s/dead-letters names the deliveries; search the logs of deliver for them, mend the cause, "+
			"then send the messages back: POST /v1/queues/%[1]s:redrive.", strings.ToLower(id)),
	})
	s.watch(watch{
		id: id + "InFlight", metric: ofQueue(q.Queue, "ApproximateNumberOfMessagesNotVisible"), above: inFlight, points: 5,
		means: fmt.Sprintf("More than 60,000 messages of the queue of %s are in flight. At about 120,000 SQS hands out no more, and every webhook waits.", what),
		do:    "Find who causes it: GET /v1/deliveries?state=waiting by account. Pause the endpoints whose receivers are down; their messages leave the queue. Ask AWS for a higher quota if the load is honest.",
	})
}

func (s *Service) watchFunction(f named) {
	s.watch(watch{
		id: f.id + "Errors", metric: ofFunction(f.function, "Errors", sum), above: 0, points: 3, of: 10,
		means: fmt.Sprintf("Invocations of %s crash, time out or do not start. Failed webhooks are no errors, and neither are messages given back to their queue.", f.name),
		do:    "Read its log group around that time: a wrong variable is named at the start, a panic with its stack. Roll back if it began with a deployment.",
	})
	s.watch(watch{
		id: f.id + "Throttles", metric: ofFunction(f.function, "Throttles", sum), above: 0, points: 5, of: 10,
		means: fmt.Sprintf("AWS refuses to run %s as often as asked; its work waits.", f.name),
		do:    "Compare ConcurrentExecutions with the account's limit. Ask AWS for a higher one, or lower maxConcurrency of the lanes so that they leave room.",
	})
}

func (s *Service) watchOutcomes() {
	s.watch(watch{
		id: "FirstAttemptLag", metric: s.own(firstAttemptLag, "p99"), above: lagMillis, points: 5,
		means: "One webhook in a hundred takes more than 30 seconds from the job's change to its first attempt.",
		do:    "See where it waits: in the stream (IteratorAge), in the queue of first attempts (age of the oldest message), or in deliver (throttles, or a maxConcurrency that is too low for receivers so slow).",
	})
	s.watch(watch{
		id: "ApiServerErrors", metric: s.ofAPI("5xx", sum), above: apiErrors, points: 3, of: 5,
		means: "The API answers its callers with 5xx.",
		do:    "Read the log group of api; each such answer has a line with its cause. In the access log an integrationError means that the function itself failed.",
	})
}

func (s *Service) watchSweep() {
	s.watch(watch{
		id: "DueBacklogAge", metric: s.own(dueBacklogAge, maximum), above: backlogSeconds, points: 5,
		missing: awscloudwatch.TreatMissingData_BREACHING, // sweep writes it in every run, also when nothing is due
		means:   "Parked deliveries are more than 5 minutes overdue, or sweep has not run for 5 minutes: long retries and held webhooks stand still. It is on for the first minutes after the first deployment.",
		do:      "Look at the errors and the duration of sweep and whether its rule is enabled. It works the backlog off by itself once it runs.",
	})
	s.watch(watch{
		id: "ReplaysFailed", metric: s.own(replaysFailed, sum), above: 0, points: 10, of: 15,
		means: "Stream batches in the failures bucket could not be dispatched, again and again. After 30 days they are removed.",
		do:    "Read the log group of sweep: it names the object and the cause. Once that is mended, the next run replays it.",
	})
	s.watch(watch{
		id: "LedgerDifference", metric: s.own(ledgerDiffers, sum), above: 0, points: 1, of: ledgerMinutes,
		means: "Deliveries were lost. The log of sweep (ledger.missing, ledger.lost) and GET /v1/ledger name them; named ones were sent again. Progress is only counted.",
		do:    "Look for what lost them: stream records that nobody read, a table that was restored, rows that somebody deleted.",
	})
	s.watch(watch{
		id: "LedgerStuck", metric: s.own(ledgerStuck, sum), above: 0, points: 1, of: ledgerMinutes,
		means: "Messages were lost or the queue is half an hour behind; they were rung for again. None is missing.",
		do:    "Look at the age of the oldest message and at the throttles of deliver. If no queue is behind, ask who purged one. The log of sweep (ledger.stuck) names the deliveries.",
	})
}

func (s *Service) watchExport() {
	s.watch(watch{
		id: "ExportDeadLetters", metric: ofQueue(s.data.Export.DeadLetters, "ApproximateNumberOfMessagesVisible"), above: 0, points: 1,
		means: "An export, or a request to erase, came 5 times and was never finished, nor given up: its function crashed or ran out of time or memory each time. Nobody is told of that result set. Erasures are asked for again each minute.",
		do: "GET /v1/queues/export/dead-letters names the jobs; search the logs of export for them. If a set is too large for 15 minutes, raise memoryMB.export. " +
			"Then send the messages back: POST /v1/queues/export:redrive.",
	})
	s.watch(watch{
		id: "ExportsFailed", metric: s.own(exportsFailed, sum), above: 0, points: 1,
		means: "The files of a run could not be made; its notifications are declined with the reason.",
		do:    "Read the log group of export: it names the job and the cause. Records that are no JSON objects are the platform's to mend; whatever else is a fault of Jobhook or of its access to the bucket.",
	})
}

// watch makes the alarm. The topic is told when it begins and when it is over.
func (s *Service) watch(w watch) {
	of, missing := or(w.of, w.points), or(w.missing, awscloudwatch.TreatMissingData_NOT_BREACHING)
	alarm := awscloudwatch.NewAlarm(s.Construct, jsii.String(w.id+"Alarm"), &awscloudwatch.AlarmProps{
		AlarmDescription:   jsii.String(w.means + " " + w.do),
		Metric:             w.metric,
		ComparisonOperator: awscloudwatch.ComparisonOperator_GREATER_THAN_THRESHOLD,
		Threshold:          jsii.Number(w.above),
		EvaluationPeriods:  jsii.Number(of),
		DatapointsToAlarm:  jsii.Number(w.points),
		TreatMissingData:   missing,
	})
	topic := awscloudwatchactions.NewSnsAction(s.data.Alarms)
	alarm.AddAlarmAction(topic)
	alarm.AddOkAction(topic)
	s.watched = append(s.watched, alarm)
}
