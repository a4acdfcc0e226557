package main

import (
	"maps"
	"slices"
	"time"
)

// What the functions are given. The stacks say the same by default.
const (
	memoryMB     = 256
	vCPUMB       = 1769                   // of memory for each processor
	roundTrip    = 6 * time.Millisecond   // to DynamoDB or SQS, in the same region
	recordCPU    = 150 * time.Microsecond // of a whole processor, per record or message
	tracedOfMany = 0.05                   // invocations that X-Ray's default sampling keeps
)

// lambda is what Lambda charges for. Durations are modelled, so that they do
// not depend on the machine: the slowest answer, the requests to AWS that
// follow one another, and the processor time, which a small function has a
// small share of.
type lambda struct {
	Invocations map[string]int `json:"invocations"` // by function
	Ms          map[string]int `json:"ms"`
}

func newLambda() *lambda { return &lambda{Invocations: map[string]int{}, Ms: map[string]int{}} }

func (l *lambda) add(function string, d time.Duration) {
	l.Invocations[function]++
	l.Ms[function] += int((d + time.Millisecond - 1) / time.Millisecond) // charged by the millisecond
}

func (l *lambda) total() (invocations int, gbSeconds float64) {
	for function, n := range l.Invocations {
		invocations += n
		gbSeconds += float64(l.Ms[function]) / 1000 * memoryMB / 1024
	}
	return invocations, gbSeconds
}

// trips is the number of requests that follow one another in an invocation
// over so many records or messages.
type trips func(requests map[string]int, n int) int

// dispatchTrips: endpoints are read of 16 accounts at once; events are put by 32
// at once (shared/dynamo), and 8 batches are sent at once (shared/sqsqueue).
func dispatchTrips(requests map[string]int, _ int) int {
	return atOnce(requests["Query"], 16) + atOnce(requests["PutItem"], 32) + atOnce(requests["SendMessageBatch"], 8)
}

// deliverTrips: the rows and the silences are read by 100 keys one after
// another, the endpoints beside the rows; then each message goes its own way
// at the same time as the others.
func deliverTrips(requests map[string]int, n int) int {
	total := 0
	for operation, count := range requests {
		switch operation {
		case "BatchGetItem":
			total += count
		case "Query": // beside the rows
		default:
			total += atOnce(count, n)
		}
	}
	return total
}

// sweepTrips: 8 shards at once, and rows by 32.
func sweepTrips(requests map[string]int, _ int) int {
	return atOnce(requests["Query"], 8) + requests["BatchGetItem"] + atOnce(requests["UpdateItem"], 32) + atOnce(requests["SendMessageBatch"], 8)
}

func atOnce(n, width int) int { return (n + width - 1) / width }

// duration of an invocation.
func duration(answer time.Duration, trips, n int) time.Duration {
	return answer + time.Duration(trips)*roundTrip + time.Duration(n)*recordCPU*vCPUMB/memoryMB
}

// environments is how many a function has of itself at a steady rate of
// records a second: as many as are busy on average (Little's law).
func environments(rate, batch int, d time.Duration) int {
	busy := float64(rate) / float64(batch) * d.Seconds()
	return max(1, int(busy+0.999))
}

// difference returns what was counted since before.
func difference(after, before map[string]int) map[string]int {
	d := map[string]int{}
	for _, operation := range slices.Sorted(maps.Keys(after)) {
		if n := after[operation] - before[operation]; n > 0 {
			d[operation] = n
		}
	}
	return d
}
