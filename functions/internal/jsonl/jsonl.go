// Package jsonl reads JSON Lines, https://jsonlines.org: one JSON object a line.
package jsonl

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// MaxLine is how many bytes a line may have, without its end.
const MaxLine = 4 << 20

// buffer is what is read at once, and where lines lie that fit.
const buffer = 256 << 10

// byteOrderMark may begin a file, as some programs write it.
const byteOrderMark = "\xef\xbb\xbf"

// LineError says what is wrong with a line, and what to do about it. It is safe
// to show to whoever wrote the line.
type LineError struct {
	Line    int // from 1, blank ones included
	Problem string
	Cure    string
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d: %s; %s", e.Line, e.Problem, e.Cure) }

// Reader reads records. It holds one of them at a time.
type Reader struct {
	source  *bufio.Reader
	long    []byte // a line that did not fit the buffer
	line    int
	checked bool // by somebody else
	err     error
}

// NewReader returns a reader that checks every line.
func NewReader(r io.Reader) *Reader { return &Reader{source: bufio.NewReaderSize(r, buffer)} }

// NewCheckedReader returns a reader of what a Reader has read to its end
// before: it looks at the ends of lines only.
func NewCheckedReader(r io.Reader) *Reader {
	reader := NewReader(r)
	reader.checked = true
	return reader
}

// Next returns the bytes of the next record, without white space around them;
// they are good until the next call. Blank lines are stepped over. At the end it
// is io.EOF. What is no JSON object in UTF-8, or longer than MaxLine, is a
// *LineError, and ends the reading as every other error does.
func (r *Reader) Next() ([]byte, error) {
	for r.err == nil {
		line, err := r.read()
		if err != nil && !errors.Is(err, io.EOF) {
			r.err = err
			break
		}
		r.err = err // of an unfinished last line: it counts all the same
		if r.line == 1 {
			line = bytes.TrimPrefix(line, []byte(byteOrderMark))
		}
		if line = bytes.Trim(line, " \t\r\n"); len(line) == 0 {
			continue
		}
		if problem := r.check(line); problem != nil {
			r.err = problem
			break
		}
		return line, nil
	}
	return nil, r.err
}

// Line is the number of the line that was read last.
func (r *Reader) Line() int { return r.line }

// read returns the next line with its end. At the end of the source it is
// io.EOF, with what stands behind the last end of a line.
func (r *Reader) read() ([]byte, error) {
	r.line++
	line, err := r.source.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return line, err
	}
	r.long = append(r.long[:0], line...)
	for errors.Is(err, bufio.ErrBufferFull) {
		line, err = r.source.ReadSlice('\n')
		if len(r.long)+len(line) > MaxLine+len(byteOrderMark)+len("\r\n") {
			return nil, r.tooLong()
		}
		r.long = append(r.long, line...)
	}
	return r.long, err
}

func (r *Reader) tooLong() error {
	return &LineError{r.line, fmt.Sprintf("it has more than %d MiB", MaxLine>>20), "write each record on a line of its own, and keep large contents elsewhere"}
}

func (r *Reader) check(line []byte) error {
	switch {
	case r.checked:
		return nil
	case len(line) > MaxLine:
		return r.tooLong()
	case !utf8.Valid(line):
		return &LineError{r.line, "it is not UTF-8", "write the file in UTF-8"}
	case line[0] != '{':
		return &LineError{r.line, "it is no JSON object", "write one JSON object a line, without a list around them and without commas between them"}
	case !json.Valid(line):
		return &LineError{r.line, "it is no valid JSON", "write one whole JSON object a line, with line breaks in it escaped as \\n"}
	}
	return nil
}
