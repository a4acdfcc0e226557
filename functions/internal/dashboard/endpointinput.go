package dashboard

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

// endpointForm is what is typed into the form of an endpoint.
type endpointForm struct {
	url, format, signing    string
	types                   []webhook.EventType
	timeout, retries        string // empty: as the format has them
	rate, parallel          string
	headers                 string // a line each
	replaceHeaders, keeping bool   // for an endpoint that has some: whether those are replaced
}

func endpointFormOf(v *visit) endpointForm {
	f := endpointForm{
		url: v.form("url"), format: v.form("format"), signing: v.form("signing"), timeout: v.form("timeout"), retries: v.form("retries"),
		rate: v.form("rate"), parallel: v.form("parallel"), headers: v.form("headers"), replaceHeaders: v.form("replace") != "",
	}
	for _, t := range v.r.PostForm["types"] {
		f.types = append(f.types, webhook.EventType(t))
	}
	return f
}

// endpointFormFrom is the form that leaves an endpoint as it is.
func endpointFormFrom(e endpoint) endpointForm {
	f := endpointForm{url: e.URL, format: e.Format, signing: e.Signing, types: e.Types, keeping: len(e.Headers) > 0,
		timeout: digits(e.Policy.TimeoutSeconds), rate: digits(e.Policy.Rate), parallel: digits(e.Policy.MaxInFlight)}
	if waits := e.Policy.RetrySeconds; waits != nil {
		f.retries = writeWaits(*waits)
	}
	return f
}

func digits(n *int) string {
	if n == nil {
		return ""
	}
	return strconv.Itoa(*n)
}

// body is what the API is asked for, and what is wrong already, by the names
// that the API has for the fields. What cannot be read is in the body all the
// same, as no JSON that the API takes: it says then what is wrong with the rest.
func (f endpointForm) body(policy endpointPolicy) (body map[string]any, wrong []fieldProblem) {
	rules := map[string]any{}
	refuse := func(field string, err error) bool {
		if err != nil {
			what, cure, _ := strings.Cut(err.Error(), "; ")
			wrong = append(wrong, fieldProblem{field, what, cure})
		}
		return err != nil
	}
	numbers := []struct {
		name, typed string
		into        **int
	}{{"timeout_seconds", f.timeout, &policy.TimeoutSeconds}, {"rate", f.rate, &policy.Rate}, {"max_in_flight", f.parallel, &policy.MaxInFlight}}
	for _, n := range numbers {
		var err error
		if *n.into, err = readNumber(n.typed); refuse("policy."+n.name, err) {
			rules[n.name] = n.typed
		}
	}
	var err error
	if policy.RetrySeconds, err = readWaits(f.retries); refuse("policy.retry_seconds", err) {
		rules["retry_seconds"] = f.retries
	}
	policy.addTo(rules)
	body = map[string]any{"url": f.url, "format": f.format, "signing": f.signing, "types": append([]webhook.EventType{}, f.types...), "policy": rules}
	switch {
	case !f.keeping || f.replaceHeaders:
		headers, err := readHeaders(f.headers)
		if body["headers"] = headers; refuse("headers", err) {
			body["headers"] = unreadable
		}
	case f.headers != "":
		refuse("headers", errors.New("headers were written, and the box above them is not ticked; "))
		body["headers"] = unreadable
	}
	return body, wrong
}

// unreadable stands in a body for headers that cannot be read, which may be
// credentials.
const unreadable = "unreadable"

// addTo adds the rules by the names that the API has for them.
func (p endpointPolicy) addTo(rules map[string]any) {
	written, _ := json.Marshal(p) // numbers and words always marshal
	_ = json.Unmarshal(written, &rules)
}

// readNumber reads a whole number, nil for none.
func readNumber(s string) (*int, error) {
	if s == "" {
		return nil, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return nil, errors.New("it is no whole number; write digits alone, or leave it empty for what the format has")
	}
	return &n, nil
}

// noWaits is how a schedule without retries is written.
const noWaits = "none"

// readWaits reads a schedule as people write it: "5 s, 5 min, 2 h". Numbers
// alone are seconds.
func readWaits(s string) (*[]int, error) {
	if s == "" {
		return nil, nil
	}
	waits := []int{}
	if strings.EqualFold(s, noWaits) {
		return &waits, nil
	}
	for part := range strings.SplitSeq(s, ",") {
		part = strings.TrimSpace(part)
		number := part[:len(part)-len(strings.TrimLeft(part, "0123456789"))]
		n, err := strconv.Atoi(number)
		unit, known := waitUnits()[strings.ToLower(strings.TrimSpace(part[len(number):]))]
		if err != nil || !known || n > int(webhook.MaxWait/time.Second) {
			return nil, fmt.Errorf("%q is no wait; write some such as 5 s, 10 min, 2 h with commas between, or none for no retries", part)
		}
		waits = append(waits, n*unit)
	}
	return &waits, nil
}

// waitUnits are the units of waits, in seconds.
func waitUnits() map[string]int {
	return map[string]int{"": 1, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
}

func writeWaits(seconds []int) string {
	if len(seconds) == 0 {
		return noWaits
	}
	list := make([]string, len(seconds))
	for i, s := range seconds {
		list[i] = spell(time.Duration(s) * time.Second)
	}
	return strings.Join(list, ", ")
}

// readHeaders reads lines such as "Authorization: Bearer abc". No error repeats
// a line, which may be a credential.
func readHeaders(s string) (map[string]string, error) {
	headers := map[string]string{}
	for i, line := range strings.Split(s, "\n") {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		name, value, found := strings.Cut(line, ":")
		name = strings.TrimSpace(name)
		if !found || name == "" {
			return nil, fmt.Errorf("line %d has no name and value; write a line such as Authorization: Bearer abc", i+1)
		}
		if _, twice := headers[name]; twice {
			return nil, fmt.Errorf("line %d names a header that is there already; write each once", i+1)
		}
		headers[name] = strings.TrimSpace(value)
	}
	return headers, nil
}
