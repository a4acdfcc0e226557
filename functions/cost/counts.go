package main

// counts are what is charged for, per million webhooks that were delivered.
type counts struct {
	WriteUnits    float64 `json:"write_units"`
	ReadUnits     float64 `json:"read_units"`
	QueueRequests float64 `json:"sqs_requests"`
	Invocations   float64 `json:"lambda_invocations"`
	GBSeconds     float64 `json:"lambda_gb_seconds"`
	LogBytes      float64 `json:"log_bytes"`
	EgressBytes   float64 `json:"egress_bytes"`
}

// perMillion scales what was counted.
func (o outcome) perMillion() counts {
	var c counts
	for _, u := range o.Consumed {
		c.WriteUnits += u.Write
		c.ReadUnits += u.Read
	}
	for _, n := range o.SQS {
		c.QueueRequests += float64(n)
	}
	invocations, gbSeconds := o.Lambda.total()
	c.Invocations, c.GBSeconds = float64(invocations), gbSeconds
	c.LogBytes, c.EgressBytes = float64(o.LogBytes), float64(o.EgressBytes)
	scale := 1e6 / float64(o.Delivered)
	for _, n := range []*float64{&c.WriteUnits, &c.ReadUnits, &c.QueueRequests, &c.Invocations, &c.GBSeconds, &c.LogBytes, &c.EgressBytes} {
		*n *= scale
	}
	return c
}

// storedBytes is what the deliveries table holds of one delivery, without
// statistics. The service adds 100 bytes to each item for its index.
func (o outcome) storedBytes() float64 {
	total, events := 0.0, 0
	for sort, s := range o.Items {
		switch sort {
		case "event":
			events = s.Items
			fallthrough
		case "delivery", "attempt":
			total += float64(s.Items) * (s.Mean + 100)
		}
	}
	return total / float64(max(events, 1))
}
