package dashboard

import (
	"cmp"
	"slices"
	"strings"
	"time"

	g "maragu.dev/gomponents"
	"maragu.dev/gomponents/html"

	"github.com/jobhook/jobhook/shared/webhook"
)

// selection is what the filters of deliveries are set to, by their names, which
// are the same in addresses, in forms and in the API. Those not set are absent.
type selection map[string]string

// filterNames are the filters in the order of forms.
func filterNames() []string {
	return []string{"state", "endpoint", "type", "status_class", "job", "event", "since", "until"}
}

// selectionOf reads filters, of an address or of a form.
func selectionOf(get func(name string) string) selection {
	s := selection{}
	for _, name := range filterNames() {
		value := strings.TrimSpace(get(name))
		if name == "since" || name == "until" {
			value = utc(value)
		}
		if value != "" {
			s[name] = value
		}
	}
	return s
}

// pairs are names and values, as visit.link and visit.query take them, and more.
func (s selection) pairs(more ...string) []string {
	var list []string
	for _, name := range filterNames() {
		if s[name] != "" {
			list = append(list, name, s[name])
		}
	}
	return append(list, more...)
}

// with is the selection with one filter changed.
func (s selection) with(name, value string) selection {
	next := selection{name: value}
	for n, old := range s {
		next[n] = cmp.Or(next[n], old)
	}
	return next
}

// untilNow is the selection without what comes later, so that what is counted
// is what is sent.
func (s selection) untilNow(now time.Time) selection {
	if until, err := time.Parse(time.RFC3339, s["until"]); err == nil && until.Before(now) {
		return s
	}
	return s.with("until", now.UTC().Format(time.RFC3339Nano))
}

// fields are the controls of a form for the selection.
func (s selection) fields(states []webhook.State, endpoints []option) g.Node {
	orAny := func(list []option) []option { return append([]option{{"", "Any"}}, list...) }
	controls := map[string]g.Node{
		"state":        choice("state", s["state"], orAny(stateOptions(states))),
		"endpoint":     choice("endpoint", s["endpoint"], orAny(endpoints)),
		"type":         choice("type", s["type"], orAny(typeOptions())),
		"status_class": choice("status_class", s["status_class"], orAny(classOptions())),
		"job":          input("job", s["job"], html.MaxLength("256")),
		"event":        input("event", s["event"], html.MaxLength("256")),
		"since":        timeInput("since", s["since"]),
		"until":        timeInput("until", s["until"]),
	}
	return g.Map(filterNames(), func(name string) g.Node { return field(filterLabels()[name], controls[name], "") })
}

// filterLabels are what forms call the filters.
func filterLabels() map[string]string {
	return map[string]string{
		"state": "State", "endpoint": "Endpoint", "type": "Type", "status_class": "Last answer",
		"job": "Job id", "event": "Event id", "since": "Since (UTC)", "until": "Before (UTC)",
	}
}

// hidden carries the selection through a form that does not show it.
func (s selection) hidden() g.Node {
	return g.Map(slices.Collect(slices.Chunk(s.pairs(), 2)), func(pair []string) g.Node { return hiddenField(pair[0], pair[1]) })
}

// words say what is selected; endpoints name theirs.
func (s selection) words(endpoints []option) g.Node {
	if len(s) == 0 {
		return g.Text("everything")
	}
	labels := map[string]string{"job": "of job ", "event": "of event ", "since": "since ", "until": "before ", "endpoint": "to ", "status_class": "last answer: "}
	var list g.Group
	for i, pair := range slices.Collect(slices.Chunk(s.pairs(), 2)) {
		name, value := pair[0], pair[1]
		list = append(list, g.If(i > 0, g.Text(", ")), g.Text(labels[name]))
		switch name {
		case "since", "until":
			list = append(list, when(value))
		case "endpoint":
			list = append(list, code(labelOf(endpoints, value)))
		case "status_class":
			list = append(list, g.Text(labelOf(classOptions(), value)))
		default:
			list = append(list, text(value))
		}
	}
	return list
}

func stateOptions(states []webhook.State) []option {
	list := make([]option, len(states))
	for i, s := range states {
		list[i] = option{string(s), string(s)}
	}
	return list
}

// typeOptions lists the types of events.
func typeOptions() []option {
	var list []option
	for _, t := range append(webhook.Subscribable(), webhook.WebhookTest, webhook.JobUnreadable) {
		list = append(list, option{string(t), string(t)})
	}
	return list
}

func classOptions() []option {
	return []option{
		{string(webhook.Class2xx), "2xx: taken"}, {string(webhook.Class3xx), "3xx: redirected"}, {string(webhook.Class4xx), "4xx: refused"},
		{string(webhook.Class5xx), "5xx: broken"}, {string(webhook.ClassNoAnswer), "No answer"}, {string(webhook.ClassNoAttempt), "No attempt yet"},
	}
}

// endpointOptions lists the account's endpoints by their URLs. One that is
// chosen and no longer there is among them.
func endpointOptions(v *visit, chosen string) ([]option, error) {
	var found list[endpoint]
	if err := v.get("/v1/endpoints", v.query(), &found); err != nil {
		return nil, err
	}
	var options []option
	labels := endpointLabels(found.Items)
	for _, e := range found.Items {
		options = append(options, option{e.ID, labels[e.ID]})
	}
	if chosen != "" && labelOf(options, chosen) == chosen {
		options = append(options, option{chosen, chosen + " (deleted)"})
	}
	return options, nil
}

// endpointLabels are what endpoints are called, by their ids: their URLs, and
// where several have one URL the ids besides.
func endpointLabels(list []endpoint) map[string]string {
	same, labels := map[string]int{}, map[string]string{}
	for _, e := range list {
		same[e.URL]++
	}
	for _, e := range list {
		if labels[e.ID] = e.URL; same[e.URL] > 1 {
			labels[e.ID] += " (" + e.ID + ")"
		}
	}
	return labels
}

// labelOf is how an option is shown; the value itself where it is none.
func labelOf(options []option, value string) string {
	for _, o := range options {
		if o.value == value {
			return o.label
		}
	}
	return value
}

// timeInput is a control for a time in UTC.
func timeInput(name, stamp string) g.Node {
	value := stamp
	if t, err := time.Parse(stampLayout, stamp); err == nil {
		value = t.UTC().Format("2006-01-02T15:04:05.999")
	}
	return html.Input(html.ID(name), html.Name(name), html.Type("datetime-local"), html.Step("any"), html.Value(value))
}

// accountField carries the account that is looked at through a form whose fields
// become the address.
func accountField(v *visit) g.Node {
	if v.isPlatform() && v.account() != "" {
		return hiddenField("account", v.account())
	}
	return nil
}

func hiddenField(name, value string) g.Node {
	return html.Input(html.Type("hidden"), html.Name(name), html.Value(value))
}

// utc reads a time as browsers write it in forms, for the API. What is no time
// goes to the API as it is, which says what is wrong with it.
func utc(local string) string {
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05"} {
		if t, err := time.Parse(layout, local); err == nil {
			return t.Format(time.RFC3339Nano)
		}
	}
	return local
}
