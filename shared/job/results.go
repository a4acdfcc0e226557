package job

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
)

// PageRecords is how many records a page of a result set has.
const PageRecords = 1000

// The formats of result files, as ResultSet.Files names them.
const (
	FilesJSON      = "json"
	FilesJSONLines = "jsonlines"
	FilesCSV       = "csv"
)

// FileFormats returns the formats of result files.
func FileFormats() []string { return []string{FilesJSON, FilesJSONLines, FilesCSV} }

// maxNameID is how much of a job's id stands in the names of its files.
const maxNameID = 100

// FileName is the name of a result file, as SerpWow names those of a batch: of
// a page, counted from 1, or of all pages (0). Those of JSON, and of a batch's
// JSON Lines, come in one zip; others in one file.
func (r ResultSet) FileName(k Kind, id, format string, page int) string {
	name := fmt.Sprintf("%s_%s_%d_", fileFamily(k), plainName(id), r.ID)
	which := "All_Pages"
	if page > 0 {
		which = fmt.Sprintf("Page_%d", page)
	}
	switch {
	case format == FilesCSV:
		return name + which + "_" + r.CSVHash + ".csv"
	case format == FilesJSON && page > 0:
		return name + which + ".json"
	case format == FilesJSON:
		return name + which + ".zip"
	case page > 0:
		return name + which + ".jsonl"
	case k == KindBatch:
		return name + which + "_jsonlines.zip"
	}
	return name + which + ".jsonl"
}

func fileFamily(k Kind) string {
	if k == KindBatch {
		return "Batch_Results"
	}
	return "Results"
}

// plainName keeps what file names and URLs may hold anywhere.
func plainName(id string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r == '-' || r == '_' {
			return r
		}
		return '_'
	}, id[:min(len(id), maxNameID)])
}

// Links are the links of the set in one format, below the public URL of the
// API; false when the set has none. Those that the platform named come first.
func (r ResultSet) Links(k Kind, id, format, publicURL string) (ResultFiles, bool) {
	if f, ok := r.Files[format]; ok {
		return f, true
	}
	if r.Token == "" {
		return ResultFiles{}, false
	}
	link := func(page int) string {
		return strings.TrimRight(publicURL, "/") + "/d/" + url.PathEscape(r.Token) + "/" + r.FileName(k, id, format, page)
	}
	f := ResultFiles{Pages: make([]string, r.Pages), AllPages: link(0)}
	for i := range f.Pages {
		f.Pages[i] = link(i + 1)
	}
	return f, true
}

// recordsAttribute names the run that records were uploaded for.
const recordsAttribute = "records_run"

// RecordsRun is the last run that records were uploaded for; 0 when there is none.
func (j Job) RecordsRun() int {
	if !bytes.Contains(j.Record, []byte(`"`+recordsAttribute+`"`)) {
		return 0
	}
	var a struct {
		Run int `json:"records_run"`
	}
	if json.Unmarshal(j.Record, &a) != nil {
		return 0
	}
	return a.Run
}

// CarryRecords keeps in the new record for which run records were uploaded, when
// a platform that writes whole records has left it out.
func (c Change) CarryRecords() Change {
	if c.Old == nil || c.Old.Run != c.New.Run || !c.Old.HasRecords() || c.New.RecordsRun() != 0 {
		return c
	}
	end := bytes.LastIndexByte(c.New.Record, '}')
	record := fmt.Appendf(bytes.Clone(c.New.Record[:end]), `,"%s":%d}`, recordsAttribute, c.New.Run)
	if j, err := Decode(record); err == nil {
		c.New = j
	}
	return c
}

// HasRecords tells whether records were uploaded for the current run.
func (j Job) HasRecords() bool { return j.Run > 0 && j.RecordsRun() == j.Run }
