// Package metrics writes what the functions count as log lines in CloudWatch's
// embedded metric format, which CloudWatch turns into metrics: no request of
// ours, and one line for a whole batch.
//
// The format: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
package metrics

import (
	"context"
	"encoding/json"
	"io"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/jobhook/jobhook/functions/internal/logline"
)

// Namespace holds all metrics.
const Namespace = "Jobhook"

// MaxValues is how many values of one metric a line may hold. Of more, a line
// holds a sample, and its member "sampled" says of how many.
const MaxValues = 100

// The metrics of deliver. Delivered, Failed and Retried together are the
// attempts that were made.
const (
	Messages        = "Messages"        // of the batch
	MessagesFailed  = "MessagesFailed"  // that return to the queue, or end as dead letters, because of an error
	Delivered       = "Delivered"       // attempts that succeeded
	Failed          = "Failed"          // attempts that failed and are the last of their delivery
	Retried         = "Retried"         // attempts that failed and are followed by another
	Held            = "Held"            // deliveries put off as their target is not called now, see webhook.Hold
	Diverted        = "Diverted"        // first attempts left to the retry queue's workers, as their target is slow
	Tripped         = "Tripped"         // circuits of endpoints that opened
	HostsTripped    = "HostsTripped"    // circuits of hosts that opened
	Probes          = "Probes"          // attempts that try whether a circuit may close
	FirstAttemptLag = "FirstAttemptLag" // from the job's change, which a stream dates to the second, to the first attempt, unless it was held between
	EndpointLatency = "EndpointLatency" // of each attempt, from DNS to the last byte read
)

// The metrics of dispatch.
const (
	Records       = "Records"       // of the batch
	RecordsFailed = "RecordsFailed" // that come again
	Events        = "Events"        // that were stored
	Declined      = "Declined"      // records that cannot be understood, or tell of an impossible change
	DispatchLag   = "DispatchLag"   // age of each record when its doorbells were rung
)

// The metrics of sweep.
const (
	Rung             = "Rung"             // doorbells of parked deliveries
	Released         = "Released"         // held deliveries that go on
	Expired          = "Expired"          // rows removed
	Replayed         = "Replayed"         // failed stream batches dispatched after all
	ReplaysFailed    = "ReplaysFailed"    // failed stream batches that stay for the next run
	LedgerDifference = "LedgerDifference" // deliveries that must be there and were not; those with a name were sent again
	LedgerStuck      = "LedgerStuck"      // deliveries past their time by half an hour, rung for again
	DueBacklogAge    = "DueBacklogAge"    // how overdue the most overdue parked delivery was at the start; 0 when none was
	DueBacklog       = "DueBacklog"       // parked deliveries that were overdue at the start, as far as the run came
)

// The metrics of export.
const (
	Exported        = "Exported"        // result sets whose files are there
	ExportsFailed   = "ExportsFailed"   // result sets that there will be none of
	ExportedRecords = "ExportedRecords" // of the sets exported
	ExportTime      = "ExportTime"      // of each set exported
)

// Emitter writes lines. It is safe for concurrent use; a nil one writes none.
type Emitter struct {
	mu              sync.Mutex
	out             io.Writer
	stage, function string // quoted
}

// New returns an emitter for one function of a stage. The stage is the only
// dimension: each further one makes every metric another to pay for.
func New(w io.Writer, stage, function string) *Emitter {
	return &Emitter{out: w, stage: quote(stage), function: quote(function)}
}

// Line begins the line of a batch. That of a nil emitter is nil, and costs
// nothing.
func (e *Emitter) Line() *Line {
	if e == nil {
		return nil
	}
	return &Line{emitter: e}
}

// Line gathers what happened to one batch. It is safe for concurrent use.
type Line struct {
	emitter *Emitter
	mu      sync.Mutex
	metrics []metric
}

type metric struct {
	name, unit string
	list       bool // its values are told one by one
	values     []int64
}

// Count adds n to a counter. One that stays 0 is left out of the line: with
// batches of a message or two, noughts would be most of what is logged. So
// alarms must take missing data for good.
func (l *Line) Count(name string, n int) {
	if n != 0 {
		l.add(name, "Count", false, int64(n))
	}
}

// Level tells how many there are of something, also when there are none.
func (l *Line) Level(name string, n int) { l.add(name, "Count", false, int64(n)) }

// Seconds tells a duration in whole seconds, also when it is none.
func (l *Line) Seconds(name string, d time.Duration) {
	l.add(name, "Seconds", false, int64(max(d, 0)/time.Second))
}

// Millis adds a duration, in whole milliseconds, to the list of a metric, so
// that percentiles can be asked for. One below zero, by clocks that differ, is 0.
func (l *Line) Millis(name string, d time.Duration) {
	l.add(name, "Milliseconds", true, max(d, 0).Round(time.Millisecond).Milliseconds())
}

func (l *Line) add(name, unit string, list bool, value int64) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.metrics, func(m metric) bool { return m.name == name })
	switch {
	case i < 0:
		l.metrics = append(l.metrics, metric{name, unit, list, []int64{value}})
	case list:
		l.metrics[i].values = append(l.metrics[i].values, value)
	default:
		l.metrics[i].values[0] += value
	}
}

// Write writes the line, with the request's id, unless nothing was told. It
// is the end of the line. What cannot be written is lost: it went to where the
// logs go, so nobody could be told.
func (l *Line) Write(ctx context.Context) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.metrics) == 0 {
		return
	}
	line := l.encode(time.Now(), logline.RequestID(ctx))
	l.emitter.mu.Lock()
	defer l.emitter.mu.Unlock()
	_, _ = l.emitter.out.Write(line)
}

// encode writes the JSON by hand: its form is fixed and the names are ours.
func (l *Line) encode(now time.Time, request string) []byte {
	b := make([]byte, 0, 1024)
	b = append(b, `{"_aws":{"Timestamp":`...)
	b = strconv.AppendInt(b, now.UnixMilli(), 10)
	b = append(b, `,"CloudWatchMetrics":[{"Namespace":"`+Namespace+`","Dimensions":[["stage"]],"Metrics":[`...)
	for i, m := range l.metrics {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"Name":"`+m.name+`","Unit":"`+m.unit+`"}`...)
	}
	b = append(b, `]}]},"stage":`+l.emitter.stage+`,"function":`+l.emitter.function...)
	if request != "" {
		b = append(b, `,"`+logline.RequestIDKey+`":`+quote(request)...)
	}
	b = l.appendSampled(b)
	for _, m := range l.metrics {
		b = append(b, `,"`+m.name+`":`...)
		b = m.appendValues(b)
	}
	return append(b, "}\n"...)
}

// appendSampled says how many values there were where not all are told.
func (l *Line) appendSampled(b []byte) []byte {
	opening := `,"sampled":{`
	for _, m := range l.metrics {
		if len(m.values) > MaxValues {
			b = append(b, opening+`"`+m.name+`":`...)
			b = strconv.AppendInt(b, int64(len(m.values)), 10)
			opening = ","
		}
	}
	if opening == "," {
		b = append(b, '}')
	}
	return b
}

func (m metric) appendValues(b []byte) []byte {
	if !m.list {
		return strconv.AppendInt(b, m.values[0], 10)
	}
	b = append(b, '[')
	for i, v := range sample(m.values) {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, v, 10)
	}
	return append(b, ']')
}

// sample returns at most MaxValues of the values: every one, or as many at even
// distances in their order, the smallest and the largest among them.
func sample(values []int64) []int64 {
	if len(values) <= MaxValues {
		return values
	}
	sorted := slices.Sorted(slices.Values(values))
	kept := make([]int64, MaxValues)
	for i := range kept {
		kept[i] = sorted[i*(len(sorted)-1)/(MaxValues-1)]
	}
	return kept
}

func quote(s string) string {
	b, _ := json.Marshal(s) // a string always marshals
	return string(b)
}
