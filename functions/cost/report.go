package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// report is cost.json.
type report struct {
	Assumptions []string          `json:"assumptions"`
	Peers       []peer            `json:"peers"`
	Scenarios   map[string]priced `json:"scenarios"`
	IdleSweep   float64           `json:"idle_sweep_usd_per_month"`
	order       []string
}

// priced is a scenario with its price per million delivered webhooks.
type priced struct {
	Counts     outcome `json:"counts"`          // of the run
	PerMillion counts  `json:"per_million"`     // of those delivered
	USD        float64 `json:"usd_per_million"` // without egress
	WithEgress float64 `json:"usd_per_million_with_egress"`
	ByPart     dollars `json:"usd_by_part"`
}

func newReport(rate int) *report {
	return &report{Peers: peers(), Scenarios: map[string]priced{}, Assumptions: []string{
		fmt.Sprintf("Jobs change at a steady %d a second, in %d accounts with one endpoint each; the body of a webhook has %d bytes and is answered in %s. "+
			"Units are counted from %s after the start on, when caches are filled.", rate, accounts, bodyBytes, answerTime, warmUp),
		fmt.Sprintf("Lambda: arm64, %d MB; %s for each request to DynamoDB or SQS that follows another, %s of a whole processor for each record and message, "+
			"and the answer. As many environments as that keeps busy, each with caches and statistics of its own.", memoryMB, roundTrip, recordCPU),
		"Logs: lines and metrics of the functions, none of Lambda's own: their system log level is WARN. X-Ray keeps 5 % of the invocations.",
		fmt.Sprintf("limited: every endpoint may have %d attempts a second, which it does not reach: each batch leases those of each of its endpoints. "+
			"tripped: 1 %% of the deliveries go to an endpoint whose circuit is open; they are held, one of them tries it %s after the last, and the others follow.", limitedRate, openFor),
		"Retries of different receivers share no request to SQS, though some would.",
		"Not in it, as it does not grow with the webhooks: idle polls of the queues, idle runs of sweep, KMS (one call in 5 minutes per account and environment), metrics, alarms. " +
			"Not in it either: the platform's own write of the job, the API, storage, and TLS and TCP around the bytes that are sent.",
	}}
}

func (r *report) add(o outcome) {
	c := o.perMillion()
	d := price(c)
	r.order = append(r.order, o.Scenario)
	r.Scenarios[o.Scenario] = priced{
		Counts: o, PerMillion: c, ByPart: d, USD: d.withoutEgress(), WithEgress: d.withoutEgress() + d.Egress,
	}
}

// addIdle prices the runs of sweep that find nothing, a month of them.
func (r *report) addIdle(ctx context.Context, server aws.Config) error {
	w, err := newWorld(ctx, scenarios()[0], server, 1)
	if err != nil {
		return err
	}
	defer w.close()
	if err := w.runSweep(ctx); err != nil {
		return err
	}
	_, consumed, err := w.meter.result()
	if err != nil {
		return err
	}
	const runs = 30 * 24 * 60
	o := outcome{Delivered: 1e6, Consumed: consumed, SQS: w.queues.snapshot(), Lambda: *w.lambda, LogBytes: w.logs.bytes}
	r.IdleSweep = runs * price(o.perMillion()).withoutEgress()
	return nil
}

// header names the columns of the table.
func header() []string {
	return []string{"scenario", "write units", "read units", "SQS requests", "invocations", "GB-s", "log MB", "egress MB",
		"$ DynamoDB", "$ SQS", "$ Lambda", "$ logs, traces", "$ without egress", "$ with egress"}
}

// rows are the table's. Units, requests and invocations are millions, which is
// to say for each webhook.
func (r *report) rows() [][]string {
	rows := make([][]string, 0, len(r.order))
	for _, name := range r.order {
		p := r.Scenarios[name]
		c, d := p.PerMillion, p.ByPart
		row := []string{name}
		for _, n := range []float64{c.WriteUnits, c.ReadUnits, c.QueueRequests, c.Invocations} {
			row = append(row, fmt.Sprintf("%.3f", n/1e6))
		}
		for _, n := range []float64{c.GBSeconds, c.LogBytes / 1e6, c.EgressBytes / 1e6} {
			row = append(row, fmt.Sprintf("%.0f", n))
		}
		for _, n := range []float64{d.Writes + d.Reads, d.Queues, d.Invocations + d.Duration, d.Logs + d.Traces, p.USD, p.WithEgress} {
			row = append(row, fmt.Sprintf("%.2f", n))
		}
		rows = append(rows, row)
	}
	return rows
}

// print writes the table and what stands beside it.
func (r *report) print(w io.Writer, markdown bool) {
	if markdown {
		r.markdown(w)
		return
	}
	fmt.Fprintln(w, "Per million webhooks that were delivered; units, requests and invocations in millions.")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, strings.Join(header(), "\t")+"\t")
	for _, row := range r.rows() {
		fmt.Fprintln(t, strings.Join(row, "\t")+"\t")
	}
	t.Flush()
	fmt.Fprintln(w)
	for _, p := range r.Peers {
		fmt.Fprintf(w, "%s: $%.2f (%s)\n", p.Name, p.USD, p.Note)
	}
	fmt.Fprintln(w)
	for _, a := range r.Assumptions {
		fmt.Fprintln(w, "-", a)
	}
	fmt.Fprintf(w, "- Idle runs of sweep: $%.2f a month.\n", r.IdleSweep)
	if len(r.order) > 0 {
		fmt.Fprintln(w, "-", r.storage())
	}
}

func (r *report) markdown(w io.Writer) {
	line := func(cells []string) { fmt.Fprintln(w, "| "+strings.Join(cells, " | ")+" |") }
	line(header())
	fmt.Fprintln(w, "|---|"+strings.Repeat("---:|", len(header())-1))
	for _, row := range r.rows() {
		line(row)
	}
	for _, p := range r.Peers {
		cells := make([]string, len(header()))
		cells[0], cells[len(cells)-2] = p.Name, fmt.Sprintf("%.2f", p.USD)
		line(cells)
	}
}

// storage is what keeping deliveries adds.
func (r *report) storage() string {
	o := r.Scenarios[r.order[0]].Counts
	n := o.storedBytes()
	return fmt.Sprintf("Storage: %.0f bytes for each delivery of %s, $%.2f per million kept for a month, and $%.2f with point-in-time recovery.",
		n, r.order[0], n*1e6*storagePrice, n*1e6*(storagePrice+backupPrice))
}

// printItems tells where the bytes of the items are, attribute by attribute.
func printItems(w io.Writer, o outcome) {
	for _, sort := range slices.Sorted(maps.Keys(o.Items)) {
		s := o.Items[sort]
		fmt.Fprintf(w, "%s: %d of %s, %.0f bytes on average, %d at most:", o.Scenario, s.Items, sort, s.Mean, s.Max)
		names := slices.SortedFunc(maps.Keys(s.Attributes), func(a, b string) int {
			return int(1000 * (s.Attributes[b] - s.Attributes[a]))
		})
		for _, name := range names {
			fmt.Fprintf(w, " %s %.0f", name, s.Attributes[name])
		}
		fmt.Fprintln(w)
	}
}

func (r *report) save(path string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}
