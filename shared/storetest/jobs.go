package storetest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// oddJSON has what a careless store changes: order and spelling of members,
// white space, escapes, large and precise numbers, characters outside the BMP.
const oddJSON = `"zz":1,  "aa":{"n":12345678901234567890.123456789,"e":1E+400,"neg":-0,"dup":[ ]},
	"text":"<b>&\u00e9 \u2028 é 🚚 \"\\\/ \u0000 'x'","empty":""`

func jobPromises() []promise {
	return []promise{
		{"a job record keeps all it says, each number and text", func(s store) {
			j := s.makeJob("acme", "j1", job.KindAsync, "pending", storableJSON)
			written, created, err := s.WriteJob(s.ctx(), "j1", job.KindAsync, func(old *job.Job) (job.Job, error) {
				if old != nil {
					return j, errors.New("a new job has a past")
				}
				return j, nil
			})
			s.ok(err)
			if !created {
				s.Error("a new job was not reported as created")
			}
			same(s, "job as written", written, j)
			list, err := s.JobsByID(s.ctx(), "j1")
			s.ok(err)
			same(s, "jobs", len(list), 1)
			same(s, "record", meaning(s.T, list[0].Record), meaning(s.T, j.Record))
			list[0].Record, j.Record = nil, nil
			same(s, "job as read", list[0], j)
		}},
		{"a failing f writes nothing and its error is returned", func(s store) {
			refused := errors.New("refused")
			for _, id := range []string{"new", "old"} {
				if id == "old" {
					s.write(s.makeJob("acme", "old", job.KindAsync, "pending", ""))
				}
				_, _, err := s.WriteJob(s.ctx(), id, job.KindAsync, func(*job.Job) (job.Job, error) {
					return s.makeJob("acme", id, job.KindAsync, "success", ""), refused
				})
				s.want(err, refused)
			}
			list, err := s.JobsByID(s.ctx(), "new")
			s.ok(err)
			same(s, "job that was refused", list, nil)
			list, err = s.JobsByID(s.ctx(), "old")
			s.ok(err)
			same(s, "status after a refused change", list[0].Status, job.Status("pending"))
		}},
		{"concurrent writes of one job follow each other: none is lost", func(s store) {
			const n = 20
			for _, err := range together(n, func(int) error { return s.increment("j1") }) {
				s.ok(err)
			}
			list, err := s.JobsByID(s.ctx(), "j1")
			s.ok(err)
			same(s, "counter", counterOf(list[0]), n)
		}},
		{"jobs of one id are told apart by their kind", func(s store) {
			s.write(s.makeJob("acme", "7", job.KindAsync, "pending", ""))
			s.write(s.makeJob("other", "7", job.KindPipeline, "active", ""))
			list, err := s.JobsByID(s.ctx(), "7")
			s.ok(err)
			same(s, "jobs", len(list), 2)
			none, err := s.JobsByID(s.ctx(), "8")
			s.ok(err)
			same(s, "jobs of an unknown id", none, nil)
		}},
		{"jobs are listed newest first, by account, kind and status, and paging is stable while more arrive", func(s store) {
			var want []string
			for i := range 12 {
				s.write(s.createdAt(i, "acme", fmt.Sprintf("j%02d", i)))
				s.write(s.createdAt(i, "other", fmt.Sprintf("o%02d", i)))
				want = append([]string{fmt.Sprintf("j%02d", i)}, want...)
			}
			for limit := 1; limit <= 13; limit += 4 {
				same(s, fmt.Sprintf("pages of %d", limit), s.pageJobs(webhook.JobFilter{Account: "acme", Limit: limit}), want)
				late := s.createdAt(100+limit, "acme", "late"+strconv.Itoa(limit))
				s.write(late)
				want = append([]string{late.ID}, want...)
			}
			s.write(s.makeJob("acme", "p1", job.KindPipeline, "active", ""))
			ended := s.createdAt(3, "acme", "j03")
			ended.Record = bytes.Replace(ended.Record, []byte("pending"), []byte("success"), 1)
			ended, err := job.Decode(ended.Record)
			s.ok(err)
			s.write(ended)
			same(s, "pipelines", s.pageJobs(webhook.JobFilter{Account: "acme", Kind: job.KindPipeline, Limit: 2}), []string{"p1"})
			same(s, "successes", s.pageJobs(webhook.JobFilter{Account: "acme", Status: "success", Limit: 2}), []string{"j03"})
			_, _, err = s.Jobs(s.ctx(), webhook.JobFilter{Account: "acme", After: "no cursor", Limit: 1})
			s.want(err, webhook.ErrCursor)
		}},
		{"stopped scraping jobs are shelved, once, and nothing else of them changes", func(s store) {
			stopped := s.makeJob("acme", "s1", job.KindScraping, "stopped", `"note":"a<b","big":12345678901234567890`)
			s.write(stopped)
			s.write(s.makeJob("acme", "s2", job.KindScraping, "finished", ""))
			s.write(s.makeJob("acme", "p1", job.KindPipeline, "stopped", ""))
			s.shelves(time.Now().Add(-time.Hour), 0)
			s.shelves(time.Now().Add(time.Hour), 1)
			s.shelves(time.Now().Add(time.Hour), 0)
			list, err := s.JobsByID(s.ctx(), "s1")
			s.ok(err)
			same(s, "status", list[0].Status, job.Status("shelved"))
			if !strings.Contains(string(list[0].Record), "12345678901234567890") {
				s.Errorf("a number was changed: %s", list[0].Record)
			}
		}},
		{"a job that was continued and stopped again waits anew to be shelved", func(s store) {
			s.write(s.makeJob("acme", "s1", job.KindScraping, "stopped", ""))
			s.clock.Advance(10 * time.Millisecond)
			between := time.Now()
			s.clock.Advance(10 * time.Millisecond)
			s.write(s.makeJob("acme", "s1", job.KindScraping, "started", ""))
			s.write(s.makeJob("acme", "s1", job.KindScraping, "stopped", ""))
			s.shelves(between, 0)
			s.shelves(time.Now().Add(time.Hour), 1)
		}},
	}
}

// storableJSON has numbers at the limits of what every store can hold, and what
// a careless store changes.
const storableJSON = `"zz":1,  "aa":{"n":12345678901234567890.123456789,"e":9.9E+125,"small":1e-130,"neg":-5,"dup":[ ],"null":null,"yes":true},
	"text":"<b>&\u00e9 \u2028 é 🚚 \"\\\/ \u0000 'x'","empty":"","list":[1,"1",[2.50,{"a":{}}]]`

// meaning is a record in a form that is equal for records that say the same.
func meaning(t testing.TB, record []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(record))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return numbersByValue(v)
}

func numbersByValue(v any) any {
	switch v := v.(type) {
	case json.Number:
		n, _ := new(big.Rat).SetString(v.String()) // JSON's numbers are Go's
		return n.RatString()
	case []any:
		for i := range v {
			v[i] = numbersByValue(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = numbersByValue(v[k])
		}
	}
	return v
}

// createdAt is a pending job that was created n milliseconds into a day.
func (s store) createdAt(n int, account, id string) job.Job {
	s.Helper()
	j, err := job.Decode(fmt.Appendf(nil, `{"id":%q,"account":%q,"kind":"async","status":"pending","run":1,"created_at":"2026-03-02T00:00:00.%03dZ"}`, id, account, n))
	s.ok(err)
	return j
}

func (s store) shelves(before time.Time, want int) {
	s.Helper()
	n, err := s.Shelve(s.ctx(), before, 10)
	s.ok(err)
	same(s, "jobs shelved", n, want)
}

// increment raises the counter in a job's record by one.
func (s store) increment(id string) error {
	_, _, err := s.WriteJob(s.ctx(), id, job.KindAsync, func(old *job.Job) (job.Job, error) {
		n := 1
		if old != nil {
			n = counterOf(*old) + 1
		}
		return job.Decode(fmt.Appendf(nil, `{"id":%q,"account":"acme","kind":"async","status":"processing","counter":"<%d>"}`, id, n))
	})
	return err
}

func counterOf(j job.Job) int {
	_, rest, _ := strings.Cut(string(j.Record), "<")
	number, _, _ := strings.Cut(rest, ">")
	n, _ := strconv.Atoi(number)
	return n
}

// pageJobs follows the cursors from page to page.
func (s store) pageJobs(f webhook.JobFilter) (ids []string) {
	s.Helper()
	for range 100 {
		page, next, err := s.Jobs(s.ctx(), f)
		s.ok(err)
		if len(page) > f.Limit {
			s.Fatalf("a page of %d has %d jobs", f.Limit, len(page))
		}
		for _, j := range page {
			ids = append(ids, j.ID)
		}
		if next == "" {
			return ids
		}
		f.After = next
	}
	s.Fatal("the pages do not end")
	return nil
}
