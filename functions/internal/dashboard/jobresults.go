package dashboard

import (
	"fmt"
	"net/url"
	"path"
	"strconv"
	"strings"

	g "maragu.dev/gomponents"
	"maragu.dev/gomponents/html"

	"github.com/jobhook/jobhook/shared/job"
)

// resultSet is what a run left.
type resultSet struct {
	Run            int                  `json:"run"`
	State          string               `json:"state"`
	Reason         string               `json:"reason"`
	Pages          int                  `json:"pages"`
	Records        int                  `json:"records"`
	Bytes          int64                `json:"bytes"`
	Files          map[string]fileLinks `json:"files"`
	ExpiresAt      string               `json:"expires_at"`
	RevokedAt      string               `json:"revoked_at"`
	Downloads      int                  `json:"downloads"`
	LastDownloadAt string               `json:"last_download_at"`
}

type fileLinks struct {
	AllPages string   `json:"all_pages"`
	Pages    []string `json:"pages"`
}

// resultSets shows what the runs of a job left.
func resultSets(v *visit, r jobRecord, sets []resultSet) g.Node {
	if len(sets) == 0 {
		return html.Div(html.Class("empty card"), g.Text("No files. They are made when the platform has uploaded the records of a run before that run ends; files that a platform names itself stand in the job's record."))
	}
	return g.Map(sets, func(s resultSet) g.Node {
		return html.Div(html.Class("card"), html.H3(g.Textf("Run %d", s.Run)), resultFacts(v, r, s), linksEnd(v, r, s))
	})
}

func resultFacts(v *visit, r jobRecord, s resultSet) g.Node {
	list := []fact{
		{"State", badge(s.State)},
		{"Reason", text(s.Reason)},
		{"Records", text(fmt.Sprintf("%s, in pages of up to %s", number(s.Records), number(job.PageRecords)))},
		{"Size", text(sizeOf(s.Bytes) + " in all files together")},
		{"Files", downloads(v, r, s)},
		{"Downloads", text(number(s.Downloads))},
		{"Last download", optionalTime(s.LastDownloadAt)},
		{"Links end", optionalTime(s.ExpiresAt)},
		{"Links ended by hand", optionalTime(s.RevokedAt)},
	}
	return facts(list...)
}

// downloads links to the files of a set; it says why where there are none.
func downloads(v *visit, r jobRecord, s resultSet) g.Node {
	switch {
	case len(s.Files) > 0:
	case s.RevokedAt != "":
		return g.Text("None any more: their links were ended.")
	case s.State == "ready":
		return g.Text("None any more: their links have expired.")
	default:
		return nil
	}
	var links g.Group
	for _, format := range job.FileFormats() {
		if f, ok := s.Files[format]; ok {
			links = append(links, html.Div(v.d.fileLink(f.AllPages, "All records as "+formatName(format))))
		}
	}
	if s.Pages > 1 {
		links = append(links, html.Div(link(v.link("/job/files", "id", string(r.ID), "kind", string(r.Kind), "run", strconv.Itoa(s.Run)), fmt.Sprintf("Each of the %s pages", number(s.Pages)))))
	}
	return html.Div(links)
}

// linksEnd asks once more before the links of a set are ended.
func linksEnd(v *visit, r jobRecord, s resultSet) g.Node {
	if len(s.Files) == 0 {
		return nil
	}
	return html.Details(html.ID(fmt.Sprintf("end-links-%d", s.Run)), html.Summary(g.Text("End these links")),
		html.P(g.Text("Whoever has one of these links, from a webhook or from here, gets no file by it any more. This cannot be undone.")),
		v.act(fmt.Sprintf("End the links of run %d", s.Run), "danger", "/job/revoke", "id", string(r.ID), "kind", string(r.Kind), "run", strconv.Itoa(s.Run)))
}

// endLinks revokes the links of a run's files.
func endLinks(v *visit) (page, error) {
	id, kind := v.param("id"), v.param("kind")
	err := v.post(jobPath(id)+"/runs/"+seg(v.param("run"))+"/result-set:revoke", v.query("kind", kind), nil, nil)
	if p := refusalOf(err); p != nil {
		return showJob(v, p)
	}
	if err != nil {
		return page{}, err
	}
	return page{next: v.link("/job", "id", id, "kind", kind, "said", "links-ended")}, nil
}

// jobFilesPage lists the files of a run page by page.
func jobFilesPage(v *visit) (page, error) {
	id, kind := v.param("id"), v.param("kind")
	var s resultSet
	if err := v.get(jobPath(id)+"/runs/"+seg(v.param("run"))+"/result-set", v.query("kind", kind), &s); err != nil {
		return page{}, err
	}
	heads, formats := []string{"Page"}, []string{}
	for _, format := range job.FileFormats() {
		if _, ok := s.Files[format]; ok {
			heads, formats = append(heads, formatName(format)), append(formats, format)
		}
	}
	rows := make([]g.Node, 0, s.Pages)
	for i := range s.Pages {
		cells := []g.Node{g.Text(number(i + 1))}
		for _, format := range formats {
			if pages := s.Files[format].Pages; i < len(pages) {
				cells = append(cells, v.d.fileLink(pages[i], fmt.Sprintf("%s, page %d", formatName(format), i+1)))
			}
		}
		if len(formats) > 0 {
			rows = append(rows, row(cells...))
		}
	}
	return page{title: fmt.Sprintf("Files of run %d", s.Run), in: "/jobs", body: g.Group{
		html.P(g.Textf("Each page has up to %s records. ", number(job.PageRecords)), link(v.link("/job", "id", id, "kind", kind), "Back to the job")),
		table("Files by page", heads, rows, g.Text("There are no files, or their links have ended.")),
	}}, nil
}

// fileLink leads to a file of ours; any other address is only shown.
func (d *Dashboard) fileLink(address, label string) g.Node {
	if path, ok := d.filePath(address); ok {
		return link(path, label)
	}
	return g.Group{g.Text(label + ": "), code(address)}
}

// filePath is the path on this server of a link to one of its files; false for
// a link to anywhere else.
func (d *Dashboard) filePath(address string) (string, bool) {
	local := strings.TrimPrefix(address, strings.TrimRight(d.PublicURL, "/"))
	u, err := url.Parse(local)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(local, "/d/") || path.Clean(u.Path) != u.Path {
		return "", false
	}
	return u.EscapedPath(), true
}

func formatName(format string) string {
	switch format {
	case job.FilesJSON:
		return "JSON"
	case job.FilesJSONLines:
		return "JSON Lines"
	case job.FilesCSV:
		return "CSV"
	}
	return format
}

// sizeOf says bytes as people do.
func sizeOf(n int64) string {
	f, unit := float64(n), "B"
	for _, next := range []string{"KB", "MB", "GB", "TB"} {
		if f < 1000 {
			break
		}
		f, unit = f/1000, next
	}
	if unit == "B" || f >= 100 {
		return strconv.FormatFloat(f, 'f', 0, 64) + " " + unit
	}
	return strconv.FormatFloat(f, 'f', 1, 64) + " " + unit
}
