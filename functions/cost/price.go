package main

// Prices in dollars, us-east-1. A GB is 1e9 bytes here.
const (
	writeUnitPrice  = 0.625e-6
	readUnitPrice   = 0.125e-6
	queuePrice      = 0.40e-6 + 0.10e-6 // a request to a queue with message groups
	invocationPrice = 0.20e-6
	gbSecondPrice   = 0.0000133334 // arm64
	logPrice        = 0.50e-9      // a byte
	tracePrice      = 5.00e-6      // a trace that X-Ray records
	egressPrice     = 0.09e-9      // a byte
	storagePrice    = 0.25e-9      // a byte of DynamoDB for a month
	backupPrice     = 0.20e-9      // a byte of DynamoDB for a month, for point-in-time recovery
)

// dollars by part.
type dollars struct {
	Writes      float64 `json:"dynamodb_writes"`
	Reads       float64 `json:"dynamodb_reads"`
	Queues      float64 `json:"sqs"`
	Invocations float64 `json:"lambda_invocations"`
	Duration    float64 `json:"lambda_duration"`
	Logs        float64 `json:"logs"`
	Traces      float64 `json:"traces"`
	Egress      float64 `json:"egress"`
}

// withoutEgress is what the stack costs; egress depends on the bodies alone.
func (d dollars) withoutEgress() float64 {
	return d.Writes + d.Reads + d.Queues + d.Invocations + d.Duration + d.Logs + d.Traces
}

// price prices counts.
func price(c counts) dollars {
	return dollars{
		Writes: c.WriteUnits * writeUnitPrice, Reads: c.ReadUnits * readUnitPrice, Queues: c.QueueRequests * queuePrice,
		Invocations: c.Invocations * invocationPrice, Duration: c.GBSeconds * gbSecondPrice, Logs: c.LogBytes * logPrice,
		Traces: c.Invocations * tracedOfMany * tracePrice, Egress: c.EgressBytes * egressPrice,
	}
}

// peer is another way to send a million webhooks.
type peer struct {
	Name string  `json:"name"`
	USD  float64 `json:"usd_per_million"`
	Note string  `json:"note"`
}

// peers with their list prices. None of them includes egress.
func peers() []peer {
	return []peer{
		{"EventBridge API destinations", 1.20, "custom events and invocations; without what makes events of job changes, a log of attempts, resends, signatures"},
		{"SNS to HTTP", 1.10, "publishes and HTTP deliveries; without the same"},
		{"Svix", 100, "messages beyond those that a plan includes; a service, with its log, resends and portal"},
	}
}
