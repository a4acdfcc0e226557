package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	store "github.com/jobhook/jobhook/shared/sqlite"
)

// Bounds of what the process may hold at any moment. They say that nothing
// grows without end, not how good the figures are.
const (
	maxMiB        = 400
	maxGoroutines = 10_000
	maxFiles      = 5_000
	idleRoutines  = 1_500 // two crews keep up to 512 each for the next task
)

// crashWindow is how long after its webhook was accepted a delivery may still
// be lost with its process, and so be sent again.
const crashWindow = 5 * time.Second

// promise is a row of the table.
type promise struct {
	Promise string `json:"promise"`
	Seen    string `json:"seen"`
	Kept    bool   `json:"kept"`
}

// report stops the process, looks at everything, prints the table and saves it.
// It returns an error when a promise was broken.
func (s *soak) report() error {
	s.mu.Lock()
	process := s.process
	s.process = nil
	s.mu.Unlock()
	process.Stop()
	rows, err := countRows(filepath.Join(s.data, store.FileName))
	if err != nil {
		return err
	}
	table := []promise{s.nothingLost(), nothingStuck(rows), s.duplicates(), s.asPromised(), emptyQueue(rows), s.rows(rows)}
	table = append(table, s.bounds()...)
	table = append(table, s.books.balance())
	figures := s.figures()
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "promise\tseen\tkept")
	var broken []error
	for _, p := range table {
		kept := "yes"
		if !p.Kept {
			kept = "NO"
			broken = append(broken, fmt.Errorf("%s: %s", p.Promise, p.Seen))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", p.Promise, p.Seen, kept)
	}
	fmt.Fprintln(w, "\nfigure\tseen")
	for _, f := range figures {
		fmt.Fprintf(w, "%s\t%s\n", f[0], f[1])
	}
	if err := errors.Join(w.Flush(), s.save(table, figures)); err != nil {
		return err
	}
	return errors.Join(broken...)
}

func (s *soak) save(table []promise, figures [][2]string) error {
	b, err := json.MarshalIndent(map[string]any{
		"date": time.Now().UTC().Format(time.RFC3339), "promises": table, "figures": figures,
	}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(s.out, append(b, '\n'), 0o600)
}

func (s *soak) nothingLost() promise {
	lost := map[nature]int{}
	for _, c := range s.sent {
		if c.endpoint.has(c.job).accepted == 0 {
			lost[c.endpoint.nature]++
		}
	}
	seen := fmt.Sprintf("%d accepted, all arrived", len(s.sent))
	if len(lost) > 0 {
		seen = fmt.Sprintf("%d accepted, missing: %v", len(s.sent), lost)
	}
	return promise{"what was accepted arrives, once the endpoint works", seen, len(lost) == 0}
}

// duplicates are allowed only where the process was killed before it could write
// down that a webhook was accepted. A stop waits for that.
func (s *soak) duplicates() promise {
	all, unexplained, kills := 0, 0, 0
	for _, e := range s.ended {
		if e.killed {
			kills++
		}
	}
	for _, c := range s.sent {
		if a := c.endpoint.has(c.job); a.accepted > 1 {
			all += a.accepted - 1
			if !slices.ContainsFunc(s.ended, func(e ending) bool {
				return e.killed && !e.at.Before(a.acceptedAt.Add(-time.Second)) && e.at.Before(a.acceptedAt.Add(crashWindow))
			}) {
				unexplained += a.accepted - 1
			}
		}
	}
	return promise{"a webhook comes twice only where the process was killed before it could note the first",
		fmt.Sprintf("%d duplicates after %d kills and %d stops, %d of them unexplained", all, kills, len(s.ended)-kills, unexplained), unexplained == 0}
}

func (s *soak) asPromised() promise {
	var wrong []string
	attempts := 0
	for _, e := range s.endpoints {
		e.mu.Lock()
		attempts += e.attempts
		wrong = append(wrong, e.wrong...)
		e.mu.Unlock()
	}
	seen := fmt.Sprintf("%d requests", attempts)
	if len(wrong) > 0 {
		seen = fmt.Sprintf("%d requests; %v", attempts, wrong[:min(3, len(wrong))])
	}
	return promise{"every request is signed, names its job, and keeps its webhook-id", seen, len(wrong) == 0}
}

// rowCounts are what the database holds in the end.
type rowCounts struct {
	states map[string]int
	tables map[string]int
}

// countRows looks into the database of a process that has ended.
func countRows(path string) (rows rowCounts, err error) {
	c, err := sqlite.OpenConn(path, sqlite.OpenReadWrite|sqlite.OpenWAL)
	if err != nil {
		return rows, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	rows = rowCounts{states: map[string]int{}, tables: map[string]int{}}
	err = sqlitex.ExecuteTransient(c, `SELECT state, count(*) FROM deliveries GROUP BY state`, &sqlitex.ExecOptions{ResultFunc: func(r *sqlite.Stmt) error {
		rows.states[r.ColumnText(0)] = r.ColumnInt(1)
		return nil
	}})
	for _, table := range []string{"deliveries", "attempts", "events", "jobs", "changes", "messages"} {
		err = errors.Join(err, sqlitex.ExecuteTransient(c, `SELECT count(*) FROM `+table, &sqlitex.ExecOptions{ResultFunc: func(r *sqlite.Stmt) error {
			rows.tables[table] = r.ColumnInt(0)
			return nil
		}}))
	}
	return rows, err
}

func nothingStuck(rows rowCounts) promise {
	open := rows.states["queued"] + rows.states["waiting"] + rows.states["held"]
	return promise{"nothing is stuck: every delivery has ended", fmt.Sprintf("%v", rows.states), open == 0}
}

func emptyQueue(rows rowCounts) promise {
	return promise{"no message and no change is left over", fmt.Sprintf("%d messages, %d changes", rows.tables["messages"], rows.tables["changes"]),
		rows.tables["messages"] == 0 && rows.tables["changes"] == 0}
}

// rows tells whether each job has one event and one delivery. A change that was
// stored but not acknowledged is asked for again, and is the same job.
func (s *soak) rows(rows rowCounts) promise {
	n := len(s.sent)
	return promise{"one job, one event, one delivery", fmt.Sprintf("%v", rows.tables),
		rows.tables["jobs"] == n && rows.tables["events"] == n && rows.tables["deliveries"] == n}
}

// bounds look at what the process held over time.
func (s *soak) bounds() []promise {
	if len(s.samples) == 0 {
		return []promise{{"memory, goroutines and descriptors stay bounded", "no sample could be taken", false}}
	}
	var peak sample
	for _, x := range s.samples {
		peak.MiB, peak.Goroutines, peak.Files = max(peak.MiB, x.MiB), max(peak.Goroutines, x.Goroutines), max(peak.Files, x.Files)
	}
	last := s.samples[len(s.samples)-1]
	return []promise{
		{fmt.Sprintf("memory stays below %d MiB", maxMiB), fmt.Sprintf("peak %.0f MiB, %.0f in the end", peak.MiB, last.MiB), peak.MiB < maxMiB},
		{fmt.Sprintf("goroutines stay below %d, and go back below %d", maxGoroutines, idleRoutines),
			fmt.Sprintf("peak %d, %d in the end", peak.Goroutines, last.Goroutines), peak.Goroutines < maxGoroutines && last.Goroutines < idleRoutines},
		{fmt.Sprintf("descriptors stay below %d", maxFiles), fmt.Sprintf("peak %d, %d in the end", peak.Files, last.Files), peak.Files < maxFiles},
	}
}

// figures are what is worth knowing, without a bound.
func (s *soak) figures() [][2]string {
	byNature := map[nature]*[3]int{} // endpoints, job changes, requests
	for _, e := range s.endpoints {
		if byNature[e.nature] == nil {
			byNature[e.nature] = &[3]int{}
		}
		byNature[e.nature][0]++
		byNature[e.nature][2] += e.attempts
	}
	var undisturbed []time.Duration
	for _, c := range s.sent {
		byNature[c.endpoint.nature][1]++
		if a := c.endpoint.has(c.job); c.endpoint.nature == healthy && !a.first.IsZero() && !s.nearRestart(c.acked) {
			undisturbed = append(undisturbed, max(a.first.Sub(c.acked), 0))
		}
	}
	slices.Sort(undisturbed)
	at := func(q float64) string {
		if len(undisturbed) == 0 {
			return "none"
		}
		return undisturbed[int(q*float64(len(undisturbed)-1))].Round(100 * time.Microsecond).String()
	}
	list := [][2]string{{"healthy endpoints, from the acknowledgement to the webhook, away from restarts",
		fmt.Sprintf("p50 %s, p99 %s, longest %s (%d webhooks)", at(0.5), at(0.99), at(1), len(undisturbed))}}
	for _, n := range []nature{healthy, dead, hanging, flapping, refusing, huge} {
		if f := byNature[n]; f != nil {
			list = append(list, [2]string{string(n), fmt.Sprintf("%d endpoints, %d job changes, %d requests reached them", f[0], f[1], f[2])})
		}
	}
	if n := len(s.samples); n > 0 {
		list = append(list, [2]string{"database", fmt.Sprintf("%.0f MiB in the end", s.samples[n-1].StoreMiB)})
	}
	return list
}

// nearRestart tells whether a process ended within seconds of t, or was not
// yet warm.
func (s *soak) nearRestart(t time.Time) bool {
	const near = 5 * time.Second
	return slices.ContainsFunc(s.ended, func(e ending) bool { return t.Sub(e.at).Abs() < near }) ||
		slices.ContainsFunc(s.ready, func(ready time.Time) bool { return t.Sub(ready).Abs() < near })
}
