package job

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Member is an attribute of a record as it is written. Whoever copies a Value
// keeps every digit of a number, which decoding and encoding again would not.
type Member struct {
	Name  []byte // without quotes and escapes
	Value []byte
}

// CheckDepth refuses, with a *FieldError, JSON that is nested deeper than
// MaxDepth.
func CheckDepth(text []byte) error {
	s, depth := scanner{text: text}, 0
	for s.at < len(text) {
		switch text[s.at] {
		case '"':
			s.skipString()
			continue
		case '{', '[':
			if depth++; depth > MaxDepth {
				return &FieldError{Problem: fmt.Sprintf("it is nested deeper than %d levels", MaxDepth),
					Cure: "flatten it, or keep such data out of the job record"}
			}
		case '}', ']':
			depth--
		}
		s.at++
	}
	return nil
}

// Members returns the members of a JSON object in their order. It finds where
// values end without judging them: whoever takes them for JSON asks json.Valid
// first. It reports false when the text is no object, or nested deeper than
// MaxDepth.
func Members(object []byte) (list []Member, ok bool) {
	return appendMembers(make([]Member, 0, usualMembers), object)
}

// usualMembers is how many attributes most records have at most.
const usualMembers = 24

// appendMembers is Members, with the list behind another, which may have its
// place on the stack.
func appendMembers(list []Member, object []byte) ([]Member, bool) {
	s := scanner{text: object}
	if !s.take('{') {
		return nil, false
	}
	for first := true; !s.take('}'); first = false {
		if !first && !s.take(',') {
			return nil, false
		}
		m, ok := s.member()
		if !ok {
			return nil, false
		}
		list = append(list, m)
	}
	s.space()
	return list, s.at == len(object)
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

func (s *scanner) member() (m Member, ok bool) {
	s.space()
	begin := s.at
	if s.at == len(s.text) || s.text[s.at] != '"' || !s.skipString() {
		return m, false
	}
	m.Name = s.text[begin+1 : s.at-1]
	if bytes.IndexByte(m.Name, '\\') >= 0 {
		var name string
		if json.Unmarshal(s.text[begin:s.at], &name) != nil {
			return m, false
		}
		m.Name = []byte(name)
	}
	if !s.take(':') {
		return m, false
	}
	s.space()
	begin = s.at
	ok = s.skipValue()
	m.Value = s.text[begin:s.at]
	return m, ok
}

// skipString steps over a string.
func (s *scanner) skipString() bool {
	for s.at++; s.at < len(s.text); {
		end := bytes.IndexByte(s.text[s.at:], '"')
		if end < 0 {
			break
		}
		escape := bytes.IndexByte(s.text[s.at:s.at+end], '\\')
		if escape < 0 {
			s.at += end + 1
			return true
		}
		s.at += escape + 2 // the character after the backslash may be a quote
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
			if depth++; depth >= MaxDepth {
				return false
			}
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
