package dashboard

import (
	"strconv"
	"strings"
	"time"

	g "maragu.dev/gomponents"
	"maragu.dev/gomponents/html"
)

// The parts that pages are made of. Whatever a stranger may have written goes
// through g.Text or an attribute, both of which escape it, and is never an
// address: links are made by visit.link alone.

// problemBox shows what went wrong and what to do; nothing for nil.
func problemBox(p *problem) g.Node {
	if p == nil {
		return nil
	}
	return html.Div(html.Class("problem"), html.Role("alert"),
		html.P(html.Strong(g.Text(p.Title)), g.If(p.Detail != "" && p.Detail != p.Title, g.Text(": "+p.Detail))),
		g.If(len(p.Errors) > 0, html.Ul(g.Map(p.Errors, func(e fieldProblem) g.Node {
			return html.Li(g.If(e.Field != "", html.Code(g.Text(e.Field))), g.If(e.Field != "", g.Text(": ")), g.Text(e.Problem+"; "+e.Cure+"."))
		}))),
		g.If(p.RetryAfter != "", html.P(g.Text("Try again in "+p.RetryAfter+" s."))),
		g.If(strings.HasPrefix(p.Type, "/problems/"), html.P(html.A(html.Href(p.Type), g.Text("What this refusal means")))),
		g.If(p.RequestID != "", html.P(g.Text("Its name in the log: "), html.Code(g.Text(p.RequestID)))))
}

// table shows rows under their heads, or, when there are none, what to do next.
// It scrolls by itself where the window is narrow.
func table(caption string, heads []string, rows []g.Node, empty g.Node) g.Node {
	if len(rows) == 0 {
		return html.Div(html.Class("empty card"), empty)
	}
	return html.Div(html.Class("scroll"), html.TabIndex("0"), html.Role("region"), html.Aria("label", caption),
		html.Table(html.Caption(html.Class("hidden"), g.Text(caption)),
			html.THead(html.Tr(g.Map(heads, func(h string) g.Node { return html.Th(html.Scope("col"), g.Text(h)) }))),
			html.TBody(g.Group(rows))))
}

// row is a row of a table.
func row(cells ...g.Node) g.Node {
	return html.Tr(g.Map(cells, func(c g.Node) g.Node { return html.Td(c) }))
}

// fact is one line of facts.
type fact struct {
	name  string
	value g.Node // nil leaves the line out
}

// facts shows names and their values.
func facts(list ...fact) g.Node {
	return html.Dl(html.Class("facts"), g.Map(list, func(f fact) g.Node {
		if f.value == nil {
			return nil
		}
		return html.Div(html.Dt(g.Text(f.name)), html.Dd(f.value))
	}))
}

// text is a fact's value, nil when there is none.
func text(s string) g.Node {
	if s == "" {
		return nil
	}
	return g.Text(visible(s))
}

// code is a fact's value in the letters of programs, nil when there is none.
func code(s string) g.Node {
	if s == "" {
		return nil
	}
	return html.Code(g.Text(visible(s)))
}

// long shows a text of many lines, such as a body: what is no text of lines is
// shown as it is, and it scrolls.
func long(label, s string) g.Node {
	return html.Pre(html.TabIndex("0"), html.Role("region"), html.Aria("label", label), html.Code(g.Text(s)))
}

// link is a link to another page of ours, whose address v.link has made.
func link(address, label string) g.Node { return html.A(html.Href(address), g.Text(visible(label))) }

// badge shows the state of something, and explains it to who points at it.
func badge(state string) g.Node {
	w, ok := words()[state]
	if !ok {
		return html.Span(html.Class("badge"), g.Text(strings.ReplaceAll(state, "_", " ")))
	}
	return html.A(html.Class("badge "+w.tone), html.Href("/help#"+state), html.Title(w.means), g.Text(strings.ReplaceAll(state, "_", " ")))
}

// layouts of times: as the API writes them, and as they are shown. The script
// shows them in the time of who looks, in as many letters.
const (
	stampLayout = time.RFC3339Nano
	timeLayout  = "2006-01-02 15:04:05"
)

// when shows a time of the API; "-" for none.
func when(stamp string) g.Node { return clock(stamp, "") }

// countdown shows a time, and the script how long it is till then.
func countdown(stamp string) g.Node { return clock(stamp, "data-countdown") }

func clock(stamp, extra string) g.Node {
	t, err := time.Parse(stampLayout, stamp)
	if err != nil {
		return g.Text("-")
	}
	return html.Time(html.DateTime(stamp), g.If(extra != "", g.Attr(extra)), g.Text(t.UTC().Format(timeLayout)))
}

// ms shows milliseconds as people say them.
func ms(f float64) string {
	switch {
	case f >= 10_000:
		return strconv.FormatFloat(f/1000, 'f', 0, 64) + " s"
	case f >= 1000:
		return strconv.FormatFloat(f/1000, 'f', 1, 64) + " s"
	case f >= 10:
		return strconv.FormatFloat(f, 'f', 0, 64) + " ms"
	}
	return strconv.FormatFloat(f, 'f', 1, 64) + " ms"
}

// number writes 1234567 as 1,234,567.
func number(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// pager leads to the next page, and back to the first. The present filters,
// which are the parameters of the address, stay.
func (v *visit) pager(next string) g.Node {
	after := v.param("after")
	if next == "" && after == "" {
		return nil
	}
	to := func(after string) string {
		q := v.r.URL.Query()
		q.Del("said")
		q.Del("welcome")
		if q.Set("after", after); after == "" {
			q.Del("after")
		}
		return v.r.URL.Path + "?" + q.Encode()
	}
	return html.Nav(html.Class("pager"), html.Aria("label", "Pages"),
		g.If(after != "", link(to(""), "First page")), g.If(next != "", link(to(next), "Next page")))
}

// field is a labelled control of a form, whose id is the control's, with a hint.
func field(label string, control g.Node, hint string) g.Node {
	return html.Label(html.Class("field"), html.Span(g.Text(label)), control, g.If(hint != "", html.Small(g.Text(hint))))
}

// input is a line of text in a form. The id and the name are one.
func input(name, value string, more ...g.Node) g.Node {
	return html.Input(html.ID(name), html.Name(name), html.Type("text"), html.Value(value), g.Group(more))
}

// option is a choice of a form: what is sent, and what is shown.
type option struct{ value, label string }

// choice is a list to choose from.
func choice(name, chosen string, options []option) g.Node {
	return html.Select(html.ID(name), html.Name(name), g.Map(options, func(o option) g.Node {
		return html.Option(html.Value(o.value), g.If(o.value == chosen, html.Selected()), g.Text(o.label))
	}))
}

// submit is the button that sends a form.
func submit(label string) g.Node { return html.Button(html.Type("submit"), g.Text(label)) }

// act is a form that is a single button: it posts to a page of ours.
func (v *visit) act(label, class string, path string, pairs ...string) g.Node {
	return html.Form(html.Method("post"), html.Action(v.link(path, pairs...)), html.Class("act"),
		html.Button(html.Type("submit"), g.If(class != "", html.Class(class)), g.Text(label)))
}

// live marks a part of the page that the script keeps up to date, by its id. It
// leaves alone what somebody points at or writes in.
func live(id string, body ...g.Node) g.Node {
	return html.Div(html.ID(id), g.Attr("data-part"), g.Group(body))
}

// section is a part of a page under a heading.
func section(title string, body ...g.Node) g.Node {
	return html.Section(html.H2(g.Text(title)), g.Group(body))
}

// copyable is a text with a button that copies it, which the script brings out.
func copyable(id, label, s string) g.Node {
	return html.Div(html.Class("copy"), html.Pre(html.ID(id), html.TabIndex("0"), html.Role("region"), html.Aria("label", label), html.Code(g.Text(s))),
		html.Button(html.Type("button"), html.Class("quiet"), g.Attr("data-copy", id), g.Attr("hidden"), g.Text("Copy")))
}
