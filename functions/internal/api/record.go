package api

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jobhook/jobhook/shared/job"
)

// member is an attribute as it is written.
type member = job.Member

// manyMembers is from where on doubles are looked for with a map.
const manyMembers = 64

func noObject() error { return malformed("it is no JSON object") }

// split returns the members of a JSON object in their order, without judging
// their values; whoever decodes the record does that. A key that is there
// twice is refused, since readers differ in which one they take.
func split(object []byte) ([]member, error) {
	if !utf8.Valid(object) {
		return nil, malformed("it is not UTF-8")
	}
	if err := job.CheckDepth(object); err != nil {
		return nil, err
	}
	list, ok := job.Members(object)
	if !ok {
		return nil, noObject()
	}
	return list, checkDoubles(list)
}

func checkDoubles(list []member) error {
	var seen map[string]bool
	if len(list) >= manyMembers {
		seen = make(map[string]bool, len(list))
	}
	for i, m := range list {
		double := seen[string(m.Name)]
		if seen != nil {
			seen[string(m.Name)] = true
		} else {
			double = slices.ContainsFunc(list[:i], func(before member) bool { return bytes.Equal(before.Name, m.Name) })
		}
		if double {
			return invalid(string(m.Name), "it is written twice", "write each attribute once")
		}
	}
	return nil
}

// attributes are the members of a job record: those that the API looks after,
// and the rest. What is absent or null is nil.
type attributes struct {
	account, kind, id, status, run, createdAt []byte
	ours                                      []byte // updated_at, phase, outcome: whatever is written, we know better
	recordsRun, exported                      []byte // what only Jobhook writes, see kept.go
	ownSet                                    bool   // rest has a result set that the platform named
	rest                                      []member
	size                                      int // of rest, written
}

// statusDerived marks a status that followed from page counts, so that it
// follows from the next ones again.
const statusDerived = "status_derived"

// reserved are the names of the attributes that the API looks after.
func reserved() [12]string {
	return [...]string{"account", "kind", "id", "status", "run", "created_at", "updated_at", "phase", "outcome", statusDerived,
		recordsRun, resultSet}
}

func (a *attributes) slot(name string) *[]byte {
	switch name {
	case "account":
		return &a.account
	case "kind":
		return &a.kind
	case "id":
		return &a.id
	case "status":
		return &a.status
	case "run":
		return &a.run
	case "created_at":
		return &a.createdAt
	case "updated_at", "phase", "outcome", statusDerived:
		return &a.ours
	case recordsRun:
		return &a.recordsRun
	case resultSet:
		return &a.exported
	}
	return nil
}

// attributesOf tells the attributes apart. Decoders of JSON may ignore the case of
// keys, so a reserved name in another case would be read as that name. The list
// is used up.
func attributesOf(list []member) (attributes, error) {
	a := attributes{rest: list[:0]}
	names := reserved()
	for _, m := range list {
		if slot := a.slot(string(m.Name)); slot != nil {
			if *slot = m.Value; isNull(m.Value) {
				*slot = nil
			}
			if slot == &a.ours && !json.Valid(m.Value) { // nobody else looks at it
				return a, malformed("it is no JSON")
			}
			if slot != &a.exported || a.exported == nil || isExported(m.Value) {
				continue
			}
			a.exported, a.ownSet = nil, true // the platform's own files
			a.rest, a.size = append(a.rest, m), a.size+len(m.Name)+len(m.Value)+len(`,"":`)
			continue
		}
		for _, name := range names {
			if strings.EqualFold(string(m.Name), name) {
				return a, invalid(string(m.Name), "it can be taken for "+name, "write "+name)
			}
		}
		a.rest = append(a.rest, m)
		a.size += len(m.Name) + len(m.Value) + len(`,"":`)
	}
	return a, nil
}

func isNull(value []byte) bool { return string(value) == "null" }

func appendMember(b []byte, name string, value []byte) []byte {
	if value == nil {
		return b
	}
	b = append(append(append(b, `,"`...), name...), `":`...)
	return append(b, value...)
}

// appendRest writes the attributes that are the platform's own.
func (a attributes) appendRest(b []byte) []byte {
	for _, m := range a.rest {
		b = append(b, ',')
		b = appendKey(b, m.Name)
		b = append(append(b, ':'), m.Value...)
	}
	return b
}

// appendKey writes a key. Keys with quotes, backslashes or control characters
// are rare; encoding/json writes those.
func appendKey(b, key []byte) []byte {
	for _, c := range key {
		if c < ' ' || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(string(key)) // a string always marshals
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), key...), '"')
}

// merge applies a merge patch (RFC 7386) to a value, either as it is written.
func merge(target, patch []byte) ([]byte, error) {
	if len(patch) == 0 || patch[0] != '{' {
		return patch, nil
	}
	changes, err := split(patch)
	if err != nil {
		return nil, err
	}
	var list []member
	if len(target) > 0 && target[0] == '{' {
		if list, err = split(target); err != nil {
			return nil, err
		}
	}
	if list, err = mergeMembers(list, changes); err != nil {
		return nil, err
	}
	b := attributes{rest: list}.appendRest(nil)
	if len(b) == 0 {
		return []byte("{}"), nil
	}
	b[0] = '{'
	return append(b, '}'), nil
}

func mergeMembers(list, changes []member) ([]member, error) {
	at := make(map[string]int, len(list))
	for i, m := range list {
		at[string(m.Name)] = i
	}
	for _, c := range changes {
		i, found := at[string(c.Name)]
		if !found {
			i = len(list)
			list = append(list, member{Name: c.Name})
			at[string(c.Name)] = i
		}
		if isNull(c.Value) {
			list[i].Value = nil
			continue
		}
		merged, err := merge(list[i].Value, c.Value)
		if err != nil {
			return nil, err
		}
		list[i].Value = merged
	}
	kept := list[:0]
	for _, m := range list {
		if m.Value != nil {
			kept = append(kept, m)
		}
	}
	return kept, nil
}
