package dashboard

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	g "maragu.dev/gomponents"
	"maragu.dev/gomponents/html"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// run is a run of a job.
type run struct {
	Run     int         `json:"run"`
	Phase   job.Phase   `json:"phase"`
	Outcome job.Outcome `json:"outcome"`
	EndedAt string      `json:"ended_at"`
	Event   string      `json:"event"`
}

type runs struct {
	Items    []run `json:"items"`
	Complete bool  `json:"complete"`
}

// jobPath is where the API has a job.
func jobPath(id string) string { return "/v1/jobs/" + seg(id) }

// jobPage shows a job, whose id may hold anything and so is a parameter.
func jobPage(v *visit) (page, error) { return showJob(v, nil) }

// showJob shows a job, under what was refused, if anything was.
func showJob(v *visit, refused *problem) (page, error) {
	id, kind := v.param("id"), v.param("kind")
	if id == "" {
		return page{next: v.link("/jobs")}, nil
	}
	var record json.RawMessage
	err := v.get(jobPath(id), v.query("kind", kind), &record)
	var p *problem
	switch {
	case errors.As(err, &p) && p.Status == http.StatusConflict:
		return whichKind(v, id)
	case errors.As(err, &p) && p.Status == http.StatusNotFound && v.account() != "":
		return unrecordedJob(v, id, kind, p)
	case err != nil:
		return page{}, err
	}
	var r jobRecord
	if err := json.Unmarshal(record, &r); err != nil {
		return page{}, fmt.Errorf("job %s: record: %w", id, err)
	}
	if v.account() == "" { // a platform that looks for a job has found its account
		return page{next: v.link("/job", "account", r.Account, "id", id, "kind", string(r.Kind))}, nil
	}
	return recordedJob(v, r, record, refused)
}

func recordedJob(v *visit, r jobRecord, record json.RawMessage, refused *problem) (page, error) {
	id, kind := string(r.ID), string(r.Kind)
	var runs runs
	if err := v.get(jobPath(id)+"/runs", v.query("kind", kind), &runs); err != nil {
		return page{}, err
	}
	var sets list[resultSet]
	if err := v.get(jobPath(id)+"/result-sets", v.query("kind", kind), &sets); err != nil {
		return page{}, err
	}
	t, err := timelineOf(v, id, kind)
	if err != nil {
		return page{}, err
	}
	changes := r.Phase != job.PhaseEnded || t.pending() || r.isYetToBeTold(v.d.Now(), t, sets.Items)
	p := page{title: "Job " + visible(id), in: "/jobs", live: changes && refused == nil, body: g.Group{
		problemBox(refused),
		live("job", jobFacts(r), wholeRecord("record", "The whole record, as JSON", record)),
		live("runs", section("Runs", runTable(v, runs.Items, r), g.If(!runs.Complete, html.P(html.Class("soft"), g.Text("This job has so many events that not all of them were looked at: earlier runs may be missing."))))),
		live("results", section("Results", resultSets(v, r, sets.Items))),
		live("timeline", t.section(v, id, kind)),
	}}
	if refused != nil {
		p.status = refused.Status
	}
	return p, nil
}

// tellingTakes is how long after a job's last change its page waits at most for
// the event of it.
const tellingTakes = 15 * time.Minute

// isYetToBeTold tells whether an event must come that is not there yet: of the
// end of the run, or of its files.
func (r jobRecord) isYetToBeTold(now time.Time, t timeline, sets []resultSet) bool {
	updated, err := time.Parse(stampLayout, stampOf(r.UpdatedAt))
	fresh := err == nil && now.Sub(updated) < tellingTakes
	for _, s := range sets {
		switch webhook.ResultSetState(s.State) {
		case webhook.ResultSetExporting:
			return true
		case webhook.ResultSetExported:
			if fresh && !t.tells(s.Run, webhook.ResultSetReady) {
				return true
			}
		}
	}
	return fresh && !t.tells(r.Run, webhook.JobFinished, webhook.JobFailed, webhook.JobStopped)
}

// unrecordedJob shows what was told of a job whose record is not here.
func unrecordedJob(v *visit, id, kind string, missing *problem) (page, error) {
	t, err := timelineOf(v, id, kind)
	if err != nil {
		return page{}, err
	}
	if len(t.moments) == 0 {
		return page{}, missing
	}
	return page{title: "Job " + visible(id), in: "/jobs", live: t.pending(), body: g.Group{
		html.P(g.Text("The record of this job is not here: it has expired, was deleted, or the platform keeps it in a table of its own. What was told of it is.")),
		live("timeline", t.section(v, id, kind)),
	}}, nil
}

// whichKind asks which of the jobs of one id is meant.
func whichKind(v *visit, id string) (page, error) {
	var links []g.Node
	for _, k := range job.Kinds() {
		var r jobRecord
		err := v.get(jobPath(id), v.query("kind", string(k)), &r)
		var p *problem
		if errors.As(err, &p) && p.Status == http.StatusNotFound {
			continue
		}
		if err != nil {
			return page{}, err
		}
		links = append(links, html.Li(link(v.link("/job", "id", id, "kind", string(k)), "The "+string(k)+" job"), g.Text(", status "+visible(string(r.Status)))))
	}
	return page{title: "Job " + visible(id), in: "/jobs", body: g.Group{
		html.P(g.Text("Jobs of several kinds have this id. Which one?")), html.Ul(g.Group(links)),
	}}, nil
}

func jobFacts(r jobRecord) g.Node {
	return html.Div(html.Class("card"), facts(
		fact{"Status", r.state()},
		fact{"Kind", text(string(r.Kind))},
		fact{"Name", text(cmp.Or(plainly(r.Name), plainly(r.SitemapName)))},
		fact{"Run", text(runNumber(r.Run))},
		fact{"Progress", progressBar(r.progress())},
		fact{"Message", text(plainly(r.Message))},
		fact{"Details", text(plainly(r.Details))},
		fact{"Error", text(plainly(r.Error))},
		fact{"Reason", text(plainly(r.Reason))},
		fact{"Created", when(stampOf(r.CreatedAt))},
		fact{"Updated", when(stampOf(r.UpdatedAt))},
	))
}

// progressBar shows how far a run is; nil where nobody counts.
func progressBar(p progress) g.Node {
	if p.words == "" {
		return nil
	}
	if p.total == 0 {
		return text(p.words)
	}
	float := func(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
	return g.Group{text(p.words), html.Progress(html.Aria("label", "Progress"), html.Value(float(p.done)), html.Max(float(p.total)))}
}

// wholeRecord shows a record as it is, behind a click.
func wholeRecord(id, label string, record json.RawMessage) g.Node {
	var b bytes.Buffer
	if json.Indent(&b, record, "", "  ") != nil {
		b.Reset()
		b.Write(record)
	}
	return html.Details(html.ID(id), html.Summary(g.Text(label)), long(label, visible(b.String())))
}

// runTable lists the runs; the present one is under the word of its record.
func runTable(v *visit, list []run, r jobRecord) g.Node {
	return table("Runs", []string{"Run", "State", "Ended", "Event of its end"}, g.Map(list, func(one run) g.Node {
		word := ""
		if one.Run == r.Run && one.Phase == r.Phase && one.Outcome == r.Outcome {
			word = string(r.Status)
		}
		end := g.Text("-")
		if one.Event != "" {
			end = link(v.link("/events/"+seg(one.Event)), fmt.Sprintf("Why run %d was told of, or not", one.Run))
		}
		return row(g.Text(runNumber(one.Run)), runState(word, one.Phase, one.Outcome), when(one.EndedAt), end)
	}), g.Text("It has not run yet. A run begins when the job's status says so, and webhooks tell of its end."))
}
