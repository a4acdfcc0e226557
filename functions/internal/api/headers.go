package api

import (
	"maps"
	"slices"
	"strings"

	"github.com/jobhook/jobhook/shared/webhook"
)

// mask stands for what is hidden of a header's value.
const mask = "****"

// A masked value ends with its last shownChars characters, by which its owner
// knows it, if it has so many, without its first word where it has more, that
// they tell little of the rest.
const (
	shownChars  = 4
	maskedWhole = 16
)

// masked shows headers without their values.
func masked(list []webhook.Header) map[string]string {
	shown := make(map[string]string, len(list))
	for _, h := range list {
		shown[h.Name] = mask + shownOf(h.Value)
	}
	return shown
}

// shownOf is the end of a value that is shown. Of Basic credentials it would be
// the end of the password (RFC 7617).
func shownOf(value string) string {
	secret := value
	if at := strings.IndexAny(value, " \t"); at >= 0 { // Bearer, or another scheme
		if strings.EqualFold(value[:at], "Basic") {
			return ""
		}
		secret = strings.TrimLeft(value[at:], " \t")
	}
	if len(secret) < maskedWhole {
		return ""
	}
	return secret[len(secret)-shownChars:]
}

// checkHeaders reads the headers of a request, in the order of their names.
func checkHeaders(given map[string]string) ([]webhook.Header, error) {
	list := make([]webhook.Header, 0, len(given))
	for _, name := range slices.Sorted(maps.Keys(given)) {
		h := webhook.Header{Name: name, Value: given[name]}
		if err := checkWritten(h); err != nil {
			return nil, err
		}
		list = append(list, h)
	}
	checked, at, err := webhook.CheckHeaders(list)
	if err == nil {
		return checked, nil
	}
	what, cure, _ := strings.Cut(err.Error(), "; ")
	if at >= webhook.MaxHeaders {
		return nil, invalid("headers", what, cure)
	}
	return nil, invalid("headers."+list[at].Name, what, cure)
}

// checkWritten refuses what was written by mistake: a whole header for its name,
// which no problem repeats as it has the value in it, and the mask of an answer
// for a value, which would take the value's place.
func checkWritten(h webhook.Header) error {
	if strings.ContainsAny(h.Name, ":= \t") {
		return invalid("headers", "the name of one holds a colon, a space or an equals sign", "write its name and its value apart")
	}
	if strings.HasPrefix(h.Value, mask) {
		return invalid("headers."+h.Name, "it is the mask that answers show", "write the whole value, or leave out headers to keep them all")
	}
	return nil
}
