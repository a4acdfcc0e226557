package api

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strconv"

	"github.com/jobhook/jobhook/shared/job"
)

// The attributes that Jobhook writes into job records: recordsRun always,
// resultSet once a run's records have been exported. A platform may name files
// of its own in resultSet.
const (
	recordsRun = "records_run"
	resultSet  = "result_set"
)

// kept are the values of those attributes as they are written; nil for none.
// What a record has of the current run outlives the platform's writes.
type kept struct{ recordsRun, exported json.RawMessage }

// isExported tells a result set that Jobhook wrote from one whose files the
// platform names.
func isExported(value []byte) bool {
	var set job.ResultSet
	return json.Unmarshal(value, &set) == nil && (set.Token != "" || set.Error != "")
}

// keptIn finds what a stored record has.
func keptIn(record []byte) kept {
	if !bytes.Contains(record, []byte(`"`+recordsRun+`"`)) && !bytes.Contains(record, []byte(`"`+resultSet+`"`)) {
		return kept{}
	}
	var k kept
	list, _ := job.Members(record) // a stored record is an object
	for _, m := range list {
		switch string(m.Name) {
		case recordsRun:
			k.recordsRun = slices.Clone(m.Value)
		case resultSet:
			if isExported(m.Value) {
				k.exported = slices.Clone(m.Value)
			}
		}
	}
	return k
}

// ours is what the record that follows old keeps. A write may repeat what it
// read, but not say anything else.
func (d draft) ours(j job.Job, old *job.Job) (kept, error) {
	var stored kept
	if old != nil {
		stored = keptIn(old.Record)
	}
	if !repeats(d.written.recordsRun, stored.recordsRun) {
		return kept{}, invalid(recordsRun, "Jobhook writes it itself, when records are uploaded", "leave it out")
	}
	if !repeats(d.written.exported, stored.exported) {
		return kept{}, invalid(resultSet, "only Jobhook writes one with a token or an error, when it has exported the records of a run",
			"leave it out, or name files of your own")
	}
	k := stored.of(j.Run)
	if k.exported != nil && d.ownSet {
		return kept{}, invalid(resultSet, "Jobhook has exported the records of this run itself", "leave it out")
	}
	return k, nil
}

// of leaves what belongs to a run.
func (k kept) of(run int) kept {
	if string(k.recordsRun) != strconv.Itoa(run) {
		k.recordsRun = nil
	}
	var set job.ResultSet
	if k.exported != nil && (json.Unmarshal(k.exported, &set) != nil || set.ID != run) {
		k.exported = nil
	}
	return k
}

// repeats tells whether a write says nothing of an attribute, or what is stored.
func repeats(written, stored []byte) bool {
	if written == nil || bytes.Equal(written, stored) {
		return true
	}
	var a, b any
	return stored != nil && json.Unmarshal(written, &a) == nil && json.Unmarshal(stored, &b) == nil && reflect.DeepEqual(a, b)
}

func (k kept) none() bool { return k.recordsRun == nil && k.exported == nil }

func (k kept) appendTo(b []byte) []byte {
	b = appendMember(b, recordsRun, k.recordsRun)
	return appendMember(b, resultSet, k.exported)
}

// withRecords is the job once records were uploaded for its current run; the
// same job when that is known. All else stays, but the time of the change.
func (a *API) withRecords(j job.Job) (job.Job, error) {
	if j.RecordsRun() == j.Run {
		return j, nil
	}
	list, err := split(j.Record)
	if err != nil {
		return job.Job{}, err
	}
	list = slices.DeleteFunc(list, func(m member) bool {
		name := string(m.Name)
		return name == recordsRun || name == "updated_at"
	})
	b := attributes{rest: list}.appendRest(make([]byte, 0, len(j.Record)+64))
	b = appendMember(b, recordsRun, strconv.AppendInt(nil, int64(j.Run), 10))
	b = append(a.Now().UTC().AppendFormat(append(b, updatedAt...), stampLayout), `"}`...)
	b[0] = '{'
	if len(b) > job.MaxRecordBytes {
		return job.Job{}, tooLarge(len(b), job.MaxRecordBytes)
	}
	return job.Decode(b)
}
