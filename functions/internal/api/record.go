package api

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"
)

// member is one attribute of a JSON object, as it is written. Values are never
// decoded and written again: that would lose digits.
type member struct {
	key   []byte
	value []byte
}

// manyMembers is from where on doubles are looked for with a map.
const manyMembers = 64

func noObject() error { return malformed("it is no JSON object") }

// split returns the members of a JSON object in their order. It finds where
// values end without judging them; whoever decodes the record does that. A key
// that is there twice is refused, since readers differ in which one they take.
func split(object []byte) ([]member, error) {
	if !utf8.Valid(object) {
		return nil, malformed("it is not UTF-8")
	}
	s := scanner{text: object}
	list := make([]member, 0, 24)
	if !s.take('{') {
		return nil, noObject()
	}
	for first := true; !s.take('}'); first = false {
		if !first && !s.take(',') {
			return nil, noObject()
		}
		m, ok := s.member()
		if !ok {
			return nil, noObject()
		}
		list = append(list, m)
	}
	if s.space(); s.at != len(object) {
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
		double := seen[string(m.key)]
		if seen != nil {
			seen[string(m.key)] = true
		} else {
			double = slices.ContainsFunc(list[:i], func(before member) bool { return bytes.Equal(before.key, m.key) })
		}
		if double {
			return invalid(string(m.key), "it is written twice", "write each attribute once")
		}
	}
	return nil
}

// scanner walks over JSON text.
type scanner struct {
	text []byte
	at   int
}

func (s *scanner) space() {
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return
		}
	}
}

// take steps over c, if it comes next.
func (s *scanner) take(c byte) bool {
	s.space()
	if s.at == len(s.text) || s.text[s.at] != c {
		return false
	}
	s.at++
	return true
}

func (s *scanner) member() (m member, ok bool) {
	s.space()
	begin := s.at
	if s.at == len(s.text) || s.text[s.at] != '"' || !s.skipString() {
		return m, false
	}
	m.key = s.text[begin+1 : s.at-1]
	if bytes.IndexByte(m.key, '\\') >= 0 {
		var key string
		if json.Unmarshal(s.text[begin:s.at], &key) != nil {
			return m, false
		}
		m.key = []byte(key)
	}
	if !s.take(':') {
		return m, false
	}
	s.space()
	begin = s.at
	ok = s.skipValue()
	m.value = s.text[begin:s.at]
	return m, ok
}

// skipString steps over a string.
func (s *scanner) skipString() bool {
	for s.at++; s.at < len(s.text); s.at++ {
		switch s.text[s.at] {
		case '\\':
			s.at++
		case '"':
			s.at++
			return true
		}
	}
	s.at = len(s.text)
	return false
}

// skipValue steps over a value: a string, a balanced list or object, or
// whatever goes on to the next delimiter.
func (s *scanner) skipValue() bool {
	begin, depth := s.at, 0
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case '"':
			if !s.skipString() {
				return false
			}
			if depth == 0 {
				return true
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return s.at > begin
			}
			if depth--; depth == 0 {
				s.at++
				return true
			}
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return s.at > begin
			}
		}
		s.at++
	}
	return false
}

// attributes are the members of a job record: those that the API looks after,
// and the rest. What is absent or null is nil.
type attributes struct {
	account, kind, id, status, run, createdAt []byte
	ours                                      []byte // updated_at, phase, outcome: whatever is written, we know better
	rest                                      []member
	size                                      int // of rest, written
}

// reserved are the names of the attributes that the API looks after.
func reserved() [9]string {
	return [...]string{"account", "kind", "id", "status", "run", "created_at", "updated_at", "phase", "outcome"}
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
	case "updated_at", "phase", "outcome":
		return &a.ours
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
		if slot := a.slot(string(m.key)); slot != nil {
			if *slot = m.value; isNull(m.value) {
				*slot = nil
			}
			continue
		}
		for _, name := range names {
			if strings.EqualFold(string(m.key), name) {
				return a, invalid(string(m.key), "it can be taken for "+name, "write "+name)
			}
		}
		a.rest = append(a.rest, m)
		a.size += len(m.key) + len(m.value) + len(`,"":`)
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
		b = appendKey(b, m.key)
		b = append(append(b, ':'), m.value...)
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
		at[string(m.key)] = i
	}
	for _, c := range changes {
		i, found := at[string(c.key)]
		if !found {
			i = len(list)
			list = append(list, member{key: c.key})
			at[string(c.key)] = i
		}
		if isNull(c.value) {
			list[i].value = nil
			continue
		}
		merged, err := merge(list[i].value, c.value)
		if err != nil {
			return nil, err
		}
		list[i].value = merged
	}
	kept := list[:0]
	for _, m := range list {
		if m.value != nil {
			kept = append(kept, m)
		}
	}
	return kept, nil
}
