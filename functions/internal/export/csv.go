package export

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/jobhook/jobhook/shared/job"
)

const (
	byteOrderMark = "\ufeff"
	endOfRow      = "\r\n"
)

// layout returns the layout of CSV, RFC 4180, for the columns that are known by
// now. encoding/csv is not used: with the CRLF of the RFC it would change line
// breaks within cells too.
func (t *table) layout() layout {
	var head []byte
	for i, column := range t.columns {
		head = t.appendText(separate(head, i), column, len(t.columns) == 1)
	}
	if len(head) > 0 {
		head = append(head, endOfRow...)
	}
	if t.mark {
		head = append([]byte(byteOrderMark), head...)
	}
	t.cells = make([]gjson.Result, len(t.columns))
	return layout{format: job.FilesCSV, head: string(head), write: t.appendRow}
}

// appendRow writes one record. Without columns there are no rows.
func (t *table) appendRow(b, record []byte) []byte {
	if len(t.columns) == 0 {
		return b
	}
	clear(t.cells)
	t.walk(gjson.ParseBytes(record), t.fill)
	for i, cell := range t.cells {
		b = t.appendCell(separate(b, i), cell)
	}
	return append(b, endOfRow...)
}

func separate(b []byte, column int) []byte {
	if column == 0 {
		return b
	}
	return append(b, ',')
}

// appendCell writes a value: numbers digit for digit, null as nothing, and lists
// and objects as JSON.
func (t *table) appendCell(b []byte, v gjson.Result) []byte {
	alone := len(t.columns) == 1
	switch v.Type {
	case gjson.String:
		return t.appendText(b, v.Str, alone)
	case gjson.Null:
		return appendQuoted(b, "", alone)
	}
	return appendQuoted(b, v.Raw, alone)
}

// appendText writes a text, and has an apostrophe before it when a spreadsheet
// would run it otherwise.
func (t *table) appendText(b []byte, text string, alone bool) []byte {
	if t.safe && isFormula(text) {
		text = "'" + text
	}
	return appendQuoted(b, text, alone)
}

// isFormula tells whether spreadsheets take a cell for a formula, by
// https://owasp.org/www-community/attacks/CSV_Injection. Numbers are none.
func isFormula(text string) bool {
	if !strings.ContainsAny(firstRune(text), "=+-@\t\r\n＝＋－＠") {
		return false
	}
	return strings.Trim(text, "+-.0123456789eE") != "" || !isNumber(text)
}

func firstRune(text string) string {
	_, size := utf8.DecodeRuneInString(text)
	return text[:size]
}

func isNumber(text string) bool {
	_, err := strconv.ParseFloat(text, 64)
	return err == nil
}

// appendQuoted writes a cell. Quoted are those that need it, those that begin or
// end with a space, which some readers drop, and empty ones that are alone in
// their row, which would be a blank line.
func appendQuoted(b []byte, text string, alone bool) []byte {
	if text == "" {
		if alone {
			return append(b, `""`...)
		}
		return b
	}
	if !strings.ContainsAny(text, ",\"\r\n") && text[0] != ' ' && text[len(text)-1] != ' ' {
		return append(b, text...)
	}
	b = append(b, '"')
	for {
		quote := strings.IndexByte(text, '"')
		if quote < 0 {
			break
		}
		b = append(append(b, text[:quote+1]...), '"')
		text = text[quote+1:]
	}
	return append(append(b, text...), '"')
}

func appendIndex(b []byte, i int64) []byte { return strconv.AppendInt(b, i, 10) }
