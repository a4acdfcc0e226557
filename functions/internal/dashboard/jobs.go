package dashboard

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	g "maragu.dev/gomponents"
	"maragu.dev/gomponents/html"

	"github.com/jobhook/jobhook/shared/job"
)

func (d *Dashboard) addJobs() {
	d.show("/jobs", ofAnAccount(jobsPage))
	d.show("/job", jobPage)
	d.show("/job/files", ofAnAccount(jobFilesPage))
	d.do("/job/revoke", endLinks)
}

// jobRecord is what the pages read of a job. What a platform may write in its
// own way stays raw until it is shown: no record keeps its page from opening.
type jobRecord struct {
	Account string      `json:"account"`
	Kind    job.Kind    `json:"kind"`
	ID      job.Text    `json:"id"`
	Status  job.Status  `json:"status"`
	Phase   job.Phase   `json:"phase"`
	Outcome job.Outcome `json:"outcome"`
	Run     int         `json:"run"`

	CreatedAt   json.RawMessage `json:"created_at"`
	UpdatedAt   json.RawMessage `json:"updated_at"`
	Name        json.RawMessage `json:"name"`
	SitemapName json.RawMessage `json:"sitemap_name"`
	Message     json.RawMessage `json:"message"`
	Error       json.RawMessage `json:"error"`
	Reason      json.RawMessage `json:"reason"`
	Details     json.RawMessage `json:"details"`

	Progress          json.RawMessage `json:"progress"`
	SearchesTotal     json.RawMessage `json:"searches_total"`
	SearchesCompleted json.RawMessage `json:"searches_completed"`
	SearchesFailed    json.RawMessage `json:"searches_failed"`
	JobsScheduled     json.RawMessage `json:"jobs_scheduled"`
	JobsExecuted      json.RawMessage `json:"jobs_executed"`
	JobsFailed        json.RawMessage `json:"jobs_failed"`
	JobsEmpty         json.RawMessage `json:"jobs_empty"`
}

// jobsPage lists jobs, and finds one by its id.
func jobsPage(v *visit) (page, error) {
	var found list[jobRecord]
	err := v.get("/v1/jobs", v.query("kind", v.param("kind"), "status", v.param("status"), "limit", pageSize, "after", v.param("after")), &found)
	refused := refusalOf(err)
	if err != nil && refused == nil {
		return page{}, err
	}
	p := page{title: "Jobs", in: "/jobs", live: refused == nil, body: g.Group{
		problemBox(refused),
		html.Form(html.Method("get"), html.Action("/job"), html.Class("bar"), html.Role("search"), accountField(v),
			field("Job id", input("id", "", html.Required(), html.MaxLength(strconv.Itoa(job.MaxIDBytes))), ""), submit("Open this job")),
		v.filters("/jobs", field("Kind", choice("kind", v.param("kind"), kindOptions()), ""), field("Status", choice("status", v.param("status"), statusOptions()), "")),
		live("list", jobTable(v, found.Items, noJobs(v, found.Next)), v.pager(found.Next)),
	}}
	if refused != nil {
		p.status = refused.Status
	}
	return p, nil
}

func jobTable(v *visit, list []jobRecord, empty g.Node) g.Node {
	return table("Jobs", []string{"Status", "Job", "Updated", "Progress", "Kind", "Run", "Created"}, g.Map(list, func(r jobRecord) g.Node {
		return row(r.state(), idCell(string(r.ID), jobLink(v, string(r.Kind), string(r.ID))), when(stampOf(r.UpdatedAt)), text(r.progress().words),
			text(string(r.Kind)), g.Text(runNumber(r.Run)), when(stampOf(r.CreatedAt)))
	}), empty)
}

// shortID is up to how many bytes an id stays in one line.
const shortID = 24

// idCell shows an id, mostly as a link: a short one in one line.
func idCell(id string, shown g.Node) g.Node {
	if len(id) > shortID {
		return shown
	}
	return html.Span(html.Class("id"), shown)
}

// noJobs says what to do where there are no jobs to show.
func noJobs(v *visit, next string) g.Node {
	if next != "" {
		return g.Text("Nothing on this page passes the filter; there may be more on the next one.")
	}
	if v.param("kind")+v.param("status")+v.param("after") != "" {
		return g.Group{g.Text("No job passes the filter. "), link(v.link("/jobs"), "Show all jobs")}
	}
	return g.Group{
		html.P(g.Text("No jobs yet. The platform writes one as soon as it begins, here with a key of the platform, and once more when its status changes. What happens to a job becomes an event, and its webhooks go out.")),
		copyable("first-job", "How a platform writes a job", firstJob(v)),
	}
}

// firstJob is how a shell writes a job that begins, and one that ends.
func firstJob(v *visit) string {
	record, _ := json.Marshal(map[string]string{"account": v.account(), "kind": string(job.KindAsync), "status": string(job.Statuses(job.KindAsync)[0])}) // texts always marshal
	address := quoted(strings.TrimRight(cmp.Or(v.d.PublicURL, "http://"+v.r.Host), "/") + "/v1/jobs/my-first-job")
	send := func(method, body string) string {
		return "curl -X " + method + " " + address + " \\\n  -H \"Authorization: Bearer $PLATFORM_KEY\" -H 'Content-Type: application/json' \\\n  -d " + quoted(body)
	}
	return send(http.MethodPut, string(record)) + "\n" + send(http.MethodPatch, `{"status":"success"}`)
}

// state is the job's status in the words of its kind, and what that means.
func (r jobRecord) state() g.Node { return runState(string(r.Status), r.Phase, r.Outcome) }

// runState shows where a run stands: under its status word, if it is known.
func runState(status string, phase job.Phase, outcome job.Outcome) g.Node {
	tone, means := "wait", "waits to run"
	switch {
	case outcome == job.OutcomeSucceeded:
		tone, means = "good", "ended: succeeded"
	case outcome == job.OutcomeFailed:
		tone, means = "bad", "ended: failed"
	case outcome == job.OutcomeStopped:
		tone, means = "calm", "ended: stopped"
	case phase == job.PhaseRunning:
		means = "is running"
	}
	if status == "" {
		return html.Span(html.Class("badge "+tone), g.Text(means))
	}
	return g.Group{html.Span(html.Class("badge "+tone), g.Text(visible(status))), g.Text(" "), html.Small(g.Text(means))}
}

// progress is how far a run is; total is 0 where its record does not count.
type progress struct {
	done, total float64
	words       string
}

func (r jobRecord) progress() progress {
	switch r.Kind {
	case job.KindBatch:
		return counted("searches", r.SearchesCompleted, r.SearchesTotal, "failed", r.SearchesFailed)
	case job.KindScraping:
		return counted("pages", r.JobsExecuted, r.JobsScheduled, "failed", r.JobsFailed, "empty", r.JobsEmpty)
	}
	if percent, err := strconv.ParseFloat(plainly(r.Progress), 64); err == nil {
		return progress{done: percent, total: 100, words: strconv.FormatFloat(percent, 'g', 4, 64) + " %"}
	}
	return progress{}
}

// counted says how many of a record's things are done, and how many of them in
// another way: rest has words and counts in turn.
func counted(noun string, done, total json.RawMessage, rest ...any) progress {
	p := progress{done: float64(count(done)), total: float64(count(total))}
	if p.done == 0 && p.total == 0 {
		return progress{}
	}
	p.words = fmt.Sprintf("%s of %s %s", number(count(done)), number(count(total)), noun)
	for i := 0; i+1 < len(rest); i += 2 {
		if n := count(rest[i+1].(json.RawMessage)); n > 0 {
			p.words += fmt.Sprintf(", %s %s", number(n), rest[i])
		}
	}
	return p
}

// count reads a count; what is none is 0.
func count(raw json.RawMessage) int {
	n, err := strconv.Atoi(plainly(raw))
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// plainly reads a text or a number; "" for anything else.
func plainly(raw json.RawMessage) string {
	var text job.Text
	if raw == nil || json.Unmarshal(raw, &text) != nil {
		return ""
	}
	return string(text)
}

// stampOf reads a time as records hold it; "" for none.
func stampOf(raw json.RawMessage) string {
	var at job.Instant
	if raw == nil || json.Unmarshal(raw, &at) != nil || at.Time().IsZero() {
		return ""
	}
	return at.Time().UTC().Format("2006-01-02T15:04:05.000Z")
}

// runNumber is "-" for a job that has not run, or whose runs nobody counts.
func runNumber(run int) string {
	if run == 0 {
		return "-"
	}
	return strconv.Itoa(run)
}

func kindOptions() []option {
	list := []option{{"", "Any"}}
	for _, k := range job.Kinds() {
		list = append(list, option{string(k), string(k)})
	}
	return list
}

// statusOptions are the status words of all kinds, each with its kinds.
func statusOptions() []option {
	list, at := []option{{"", "Any"}}, map[job.Status]int{}
	for _, k := range job.Kinds() {
		for _, s := range job.Statuses(k) {
			if i, found := at[s]; found {
				list[i].label = strings.TrimSuffix(list[i].label, ")") + ", " + string(k) + ")"
				continue
			}
			at[s] = len(list)
			list = append(list, option{string(s), fmt.Sprintf("%s (%s)", s, k)})
		}
	}
	return list
}

// filters is the form over a list; what it holds goes into the page's address.
func (v *visit) filters(path string, controls ...g.Node) g.Node {
	return html.Form(html.Method("get"), html.Action(path), html.Class("bar"), accountField(v), g.Group(controls), submit("Filter"))
}
