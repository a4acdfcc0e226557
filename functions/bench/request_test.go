package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"testing"
)

func TestRequestIsAPutOfAnEndedJob(t *testing.T) {
	r := newRequest("127.0.0.1:8080", "jh_live_a_b")
	for i, account := range []int{0, 7, 42, 999} {
		req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(r.of(i, account))))
		if err != nil {
			t.Fatal(err)
		}
		id, _ := bytes.CutPrefix([]byte(req.URL.Path), []byte("/v1/jobs/"))
		if got, ok := parseID(id); req.Method != "PUT" || !ok || got != i {
			t.Errorf("got %s of change %d, %t, want PUT of %d", req.Method, got, ok, i)
		}
		if got := req.Header.Get("Authorization"); got != "Bearer jh_live_a_b" {
			t.Errorf("got %q as authorization", got)
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Fatal(err)
		}
		var record struct{ Account, Kind, Status string }
		if err := json.Unmarshal(body, &record); err != nil {
			t.Fatal(err)
		}
		if record.Account != accountName(account) || record.Kind != "async" || record.Status != "success" {
			t.Errorf("got record %+v, want one of %s", record, accountName(account))
		}
	}
}
