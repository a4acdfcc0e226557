package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
)

// report is bench.json.
type report struct {
	Date       string             `json:"date"`
	Machine    machine            `json:"machine"`
	FsyncP99ms float64            `json:"fsync_p99_ms"` // the median of the scenarios'
	Bare       *bareFigures       `json:"bare,omitempty"`
	Reads      *readFigures       `json:"reads,omitempty"`
	Export     *exportFigures     `json:"export,omitempty"`
	Scenarios  map[string]figures `json:"scenarios"`
	Order      []string           `json:"-"`
}

type machine struct {
	CPUs  int    `json:"cpus"`
	Model string `json:"model"`
	Go    string `json:"go"`
	OS    string `json:"os"`
}

// cpuModel is the processor's name, "unknown" where Linux does not tell.
func cpuModel() string {
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range bytes.Lines(info) {
		if name, value, found := strings.Cut(string(line), ":"); found && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// header names the columns of the table.
func (report) header() []string {
	return []string{"scenario", "deliveries/s", "CPU-s per 1,000", "p50 ms", "p99 ms", "peak MiB", "fsync p99 ms", "notes"}
}

// rows are the table's.
func (r *report) rows() [][]string {
	var rows [][]string
	if b := r.Bare; b != nil {
		rows = append(rows, []string{bareName, fmt.Sprintf("%.0f", b.PostsPerS), fmt.Sprintf("%.3f", b.CPUsPer1000), "", "", "", "",
			fmt.Sprintf("net/http client alone, body of %d bytes", b.BodyBytes)})
	}
	for _, name := range r.Order {
		f := r.Scenarios[name]
		rows = append(rows, []string{name, fmt.Sprintf("%.0f", f.DeliveriesPerS), fmt.Sprintf("%.3f", f.CPUsPer1000),
			fmt.Sprintf("%.1f", f.P50ms), fmt.Sprintf("%.1f", f.P99ms), fmt.Sprintf("%.0f", f.RSSMiB),
			fmt.Sprintf("%.1f", f.FsyncP99ms), f.notes()})
	}
	if f := r.Reads; f != nil {
		rows = append(rows, []string{readsName, "", "", fmt.Sprintf("%.1f", f.P50ms), fmt.Sprintf("%.1f", f.P99ms), "", "",
			fmt.Sprintf("%d reads/s of %d deliveries of one account; slowest %s", readRate, f.Stored, f.slowest())})
		if p := f.Pages; p != nil {
			rows = append(rows, []string{"pages-1m", "", "", fmt.Sprintf("%.1f", p.P50ms), fmt.Sprintf("%.1f", p.P99ms), "", "",
				fmt.Sprintf("%d pages/s of the dashboard; slowest %s; the first page has %.1f KB", pageRate, p.slowest(), float64(p.FirstBytes)/1000)})
		}
	}
	if f := r.Export; f != nil {
		rows = append(rows, []string{exportName, "", "", "", "", fmt.Sprintf("%.0f", f.PeakMiB), "",
			fmt.Sprintf("%d records, %.0f MiB: taken in at %.0f MB and exported in all formats at %.0f MB for each second of a processor, in %.0f s; idle %.0f MiB",
				f.Records, f.MiB, f.UploadMBs, f.ExportMBs, f.Seconds, f.IdleMiB)})
	}
	return rows
}

// disturbed is how many processors others may use before the figures are not
// to be trusted.
const disturbed = 0.3

// notes are what only some scenarios have to tell.
func (f figures) notes() string {
	var notes []string
	add := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	if f.Backlog > 0 {
		add("backlog %d at %.0f acknowledged/s", f.Backlog, f.AckedPerS)
	}
	if f.Refused > 0 {
		add("%d answers of 500, attempts %.3f x the least, retries p99 %.0f ms late, all in %.0f s", f.Refused, f.AttemptsRatio, f.RetryLateP99, f.Seconds)
	}
	if f.CPURatio > 0 {
		add("%d stored: CPU %.2f x an empty store's %.3f", f.Stored, f.CPURatio, f.EmptyCPUs)
	}
	if f.Calm != "" {
		add("healthy ones beside %s: p99 %.2f x%s, speed %.2f x", f.Calm, f.P99Ratio, f.quietRatio(), f.SpeedRatio)
	}
	if f.OtherCPUs > disturbed {
		add("disturbed: others used %.1f processors", f.OtherCPUs)
	}
	for _, bad := range []struct {
		count int
		what  string
	}{{f.Lost, "lost"}, {f.Duplicates, "duplicates"}, {f.Errors, "errors"}, {f.LogLines, "lines logged"}} {
		if bad.count > 0 {
			add("%d %s", bad.count, bad.what)
		}
	}
	return strings.Join(notes, "; ")
}

// quietRatio is what the ratio is without the moments in which the host took
// processors, where there were any and enough of the changes remain.
func (f figures) quietRatio() string {
	if least := min(f.QuietShare, f.CalmShare); least < quietEnough || least == 1 {
		return ""
	}
	return fmt.Sprintf(", %.2f x where the host took no processor (%.0f and %.0f %% of the changes)", f.QuietRatio, 100*f.QuietShare, 100*f.CalmShare)
}

// slowest names the route with the longest p99.
func (f latencies) slowest() string {
	worst := ""
	for name, r := range f.Routes {
		if w := f.Routes[worst]; worst == "" || r.P99ms > w.P99ms || r.P99ms == w.P99ms && name < worst {
			worst = name
		}
	}
	return fmt.Sprintf("%s, p99 %.1f ms", worst, f.Routes[worst].P99ms)
}

// print writes the table.
func (r *report) print(w io.Writer, markdown bool) {
	r.summarize()
	if markdown {
		r.markdown(w)
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, strings.Join(r.header(), "\t"))
	for _, row := range r.rows() {
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	t.Flush()
	fmt.Fprintln(w, r.where())
}

func (r *report) markdown(w io.Writer) {
	line := func(cells []string) { fmt.Fprintln(w, "| "+strings.Join(cells, " | ")+" |") }
	line(r.header())
	fmt.Fprintln(w, "|---|"+strings.Repeat("---:|", len(r.header())-2)+"---|")
	for _, row := range r.rows() {
		line(row)
	}
	fmt.Fprintf(w, "\n%s\n", r.where())
}

// where says on what the figures were taken.
func (r *report) where() string {
	return fmt.Sprintf("%s, %d x %s, %s, %s; fsync p99 %.1f ms. The load and the receivers share these processors.",
		r.Date[:len("2006-01-02")], r.Machine.CPUs, r.Machine.Model, r.Machine.OS, r.Machine.Go, r.FsyncP99ms)
}

// summarize takes the median of the disk's figures.
func (r *report) summarize() {
	var all []float64
	for _, f := range r.Scenarios {
		all = append(all, f.FsyncP99ms)
	}
	r.FsyncP99ms = median(all)
}

func (r *report) save(path string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}
