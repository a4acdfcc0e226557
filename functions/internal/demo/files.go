package demo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"time"
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

// jsonLines writes one record a line.
func jsonLines[T any](list []T) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	for _, one := range list {
		if err := enc.Encode(one); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

// files are what the demo's platform itself offers for download, by name.
type files map[string][]byte

// newFiles makes the data file of an async job.
func newFiles(ids cast) (files, error) {
	page, err := json.MarshalIndent(searches(), "", "  ")
	if err != nil {
		return nil, err
	}
	return files{dataFile(ids.async): page}, nil
}

func dataFile(async string) string { return "Data_" + async + ".json" }

// ServeHTTP answers a download.
func (f files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := path.Base(r.URL.Path)
	content, ok := f[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(content))
}
