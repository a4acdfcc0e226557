package demo

import (
	"archive/zip"
	"bytes"
	"crypto/sha1"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/jobhook/jobhook/shared/job"
)

// csvFields are the columns that the batch asks for, as dotted paths.
const csvFields = "search.id,search.q,result.search_information.total_results"

// search is one record of the batch's result set.
type search struct {
	Search struct {
		ID string `json:"id"`
		Q  string `json:"q"`
	} `json:"search"`
	Result struct {
		Information struct {
			TotalResults int `json:"total_results"`
		} `json:"search_information"`
	} `json:"result"`
}

func searches() []search {
	list := make([]search, 3)
	for i, q := range []string{"pizza", "pasta, fresh", "gelato"} {
		list[i].Search.ID = fmt.Sprintf("S%d", i+1)
		list[i].Search.Q = q
		list[i].Result.Information.TotalResults = 1000 * (i + 1)
	}
	return list
}

// files are what the demo's platform offers for download, by name.
type files map[string][]byte

// newFiles makes the files of a batch's first run and of an async job.
func newFiles(ids cast) (files, error) {
	page, err := json.MarshalIndent(searches(), "", "  ")
	if err != nil {
		return nil, err
	}
	f := files{}
	names := batchNames(ids.batch)
	f[names["json"].Pages[0]] = page
	if f[names["json"].AllPages], err = archive(names["json"].Pages[0], page); err != nil {
		return nil, err
	}
	table, err := table(searches())
	if err != nil {
		return nil, err
	}
	f[names["csv"].Pages[0]], f[names["csv"].AllPages] = table, table // one page holds all
	f[dataFile(ids.async)] = page
	return f, nil
}

// batchNames are the file names of a batch's first run, as SerpWow gives them:
// those of CSV end with a hash of the columns.
func batchNames(batch string) map[string]job.ResultFiles {
	base := "Batch_Results_" + batch + "_1_"
	columns := fmt.Sprintf("%x", sha1.Sum([]byte(csvFields))) // a name, not a secret
	return map[string]job.ResultFiles{
		"json": {Pages: []string{base + "Page_1.json"}, AllPages: base + "All_Pages.zip"},
		"csv":  {Pages: []string{base + "Page_1_" + columns + ".csv"}, AllPages: base + "All_Pages_" + columns + ".csv"},
	}
}

// resultSet is the result set of a batch's first run, with links below root.
func resultSet(root, batch string) job.ResultSet {
	linked := map[string]job.ResultFiles{}
	for format, names := range batchNames(batch) {
		linked[format] = job.ResultFiles{Pages: []string{root + names.Pages[0]}, AllPages: root + names.AllPages}
	}
	return job.ResultSet{ID: 1, Files: linked}
}

func dataFile(async string) string { return "Data_" + async + ".json" }

func archive(name string, content []byte) ([]byte, error) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create(name)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(content); err != nil {
		return nil, err
	}
	err = z.Close()
	return b.Bytes(), err
}

func table(list []search) ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	rows := [][]string{strings.Split(csvFields, ",")}
	for _, s := range list {
		rows = append(rows, []string{s.Search.ID, s.Search.Q, strconv.Itoa(s.Result.Information.TotalResults)})
	}
	err := w.WriteAll(rows)
	return b.Bytes(), err
}

// ServeHTTP answers a download.
func (f files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := path.Base(r.URL.Path)
	content, ok := f[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	if path.Ext(name) == ".csv" {
		w.Header().Set("Content-Type", "text/csv; charset=utf-8") // not every system knows
	}
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(content))
}
