package files

import (
	"fmt"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxFileName is how many bytes a file's name may have: file systems take 255.
const maxFileName = 200

// nameless is the name of a file whose name has nothing that can be kept.
const nameless = "download"

// Disposition returns a Content-Disposition that has browsers save a file under
// a name; "" for no name. As RFC 6266 asks, names that are not plain ASCII come
// twice: as such for those who know RFC 8187, and with the rest replaced.
func Disposition(name string) string {
	if name == "" {
		return ""
	}
	name = safeName(name)
	plain := asciiName(name)
	if plain == name {
		return fmt.Sprintf(`attachment; filename="%s"`, plain)
	}
	return fmt.Sprintf(`attachment; filename="%s"; filename*=UTF-8''%s`, plain, extended(name))
}

// safeName returns a name that is one on every system: without folders, quotes,
// control and formatting characters (which could reverse what a reader sees),
// nor dots and spaces at its ends.
func safeName(name string) string {
	name = strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError, unicode.IsControl(r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r):
			return -1
		case strings.ContainsRune(`/\:*?"<>|`, r):
			return '_'
		}
		return r
	}, name)
	name = strings.Trim(shorten(name), ". ")
	if name == "" {
		return nameless
	}
	return name
}

// shorten keeps the beginning of a name, and its extension.
func shorten(name string) string {
	if len(name) <= maxFileName {
		return name
	}
	ext := path.Ext(name)
	if len(ext) > maxFileName/4 {
		ext = ""
	}
	keep := maxFileName - len(ext)
	for !utf8.RuneStart(name[keep]) {
		keep--
	}
	return name[:keep] + ext
}

// asciiName replaces what a quoted string may not hold or what browsers read
// differently in one: percent signs as well.
func asciiName(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= utf8.RuneSelf || r == '%' {
			return '_'
		}
		return r
	}, name)
}

// extended writes a value as RFC 8187 does: bytes of UTF-8, those that are not
// attr-char as %XX.
func extended(value string) string {
	const marks = "!#$&+-.^_`|~"
	var b strings.Builder
	for _, c := range []byte(value) {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(marks, c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// ContentType is what a file is served as by the end of its name, as the files
// of results are named; application/octet-stream for every other.
func ContentType(name string) string {
	switch path.Ext(name) {
	case ".json":
		return "application/json"
	case ".jsonl":
		return "application/jsonl"
	case ".csv":
		return "text/csv; charset=utf-8"
	case ".zip":
		return "application/zip"
	}
	return "application/octet-stream"
}
