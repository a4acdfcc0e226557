package api

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	g "maragu.dev/gomponents"
	"maragu.dev/gomponents/html"
)

// docsPage shows the OpenAPI document to people.
func docsPage(b book) []byte {
	return htmlPage("The Jobhook API",
		g.Map(b.About, func(text string) g.Node { return html.P(g.Text(text)) }),
		html.P(g.Text("As a document for programs: "), html.A(html.Href("/openapi.json"), g.Text("/openapi.json")), g.Text(", OpenAPI 3.1. What is refused is a problem of "),
			html.A(html.Href("/problems"), g.Text("these types")), g.Text(". Every request under "), html.Code(g.Text("/v1")), g.Text(" that says so carries "),
			html.Code(g.Text("Authorization: Bearer jh_live_...")), g.Text(".")),
		html.Nav(html.Ul(g.Map(b.Tags, chapter.listed), html.Li(html.A(html.Href("#schemas"), g.Text("Schemas"))))),
		g.Map(b.Tags, chapter.shown),
		html.H2(html.ID("schemas"), g.Text("Schemas")),
		g.Map(b.Schemas, func(s schemaNote) g.Node {
			return html.Section(html.ID("schema-"+s.Name), html.H3(g.Text(s.Name)), html.Pre(g.Text(s.JSON)))
		}))
}

func (c chapter) listed() g.Node {
	links := g.Group{}
	for i, o := range c.Operations {
		links = append(links, g.If(i > 0, g.Text(", ")), html.A(html.Href("#"+o.ID), g.Text(o.Summary)))
	}
	return html.Li(html.A(html.Href("#"+c.Name), g.Text(c.Name)), g.Text(": "), links)
}

func (c chapter) shown() g.Node {
	return g.Group{html.H2(html.ID(c.Name), g.Text(c.Name)), g.Map(c.Operations, operationNote.shown)}
}

func (o operationNote) shown() g.Node {
	return html.Section(html.ID(o.ID), html.H3(g.Text(o.Summary)),
		html.P(html.Span(html.Class("method"), g.Text(o.Method)), g.Text(" "), html.Code(g.Text(o.Path)), g.If(o.Open, g.Text(" (without a key)"))),
		g.If(o.Details != "", html.P(g.Text(o.Details))),
		g.If(len(o.Parameters) > 0, html.Table(html.Tr(html.Th(g.Text("Parameter")), html.Th(g.Text("In")), html.Th(g.Text("What it may be"))), g.Map(o.Parameters, parameterNote.shown))),
		g.Iff(o.Body != nil, func() g.Node { return html.P(g.Text("Body: "), o.Body.shown()) }),
		html.Table(html.Tr(html.Th(g.Text("Answer")), html.Th()), g.Map(o.Answers, answerNote.shown)))
}

func (p parameterNote) shown() g.Node {
	return html.Tr(html.Td(html.Code(g.Text(p.Name)), g.If(p.Required, g.Text(" (required)"))), html.Td(g.Text(p.In)), html.Td(g.Text(p.Text)))
}

func (a answerNote) shown() g.Node {
	return html.Tr(html.Td(g.Text(a.Status)), html.Td(g.Text(a.Text), g.Iff(a.Schema != nil, func() g.Node { return g.Group{g.Text(": "), a.Schema.shown()} })))
}

func (s schemaNote) shown() g.Node {
	if s.Name != "" {
		return html.A(html.Href("#schema-"+s.Name), g.Text(s.Name))
	}
	return html.Code(g.Text(s.JSON))
}

// book is the document as the page shows it.
type book struct {
	About   []string // paragraphs
	Tags    []chapter
	Schemas []schemaNote
}

type chapter struct {
	Name       string
	Operations []operationNote
}

type operationNote struct {
	ID, Method, Path, Summary, Details string
	Open                               bool // needs no key
	Parameters                         []parameterNote
	Body                               *schemaNote
	Answers                            []answerNote
}

type parameterNote struct {
	Name, In, Text string
	Required       bool
}

type answerNote struct {
	Status, Text string
	Schema       *schemaNote
}

// schemaNote is a schema: by name when it is among the components.
type schemaNote struct{ Name, JSON string }

func chapters(o *huma.OpenAPI) book {
	byTag := map[string][]operationNote{}
	for _, path := range slices.Sorted(maps.Keys(o.Paths)) {
		for _, op := range operationsOf(o.Paths[path]) {
			tag := strings.Join(op.Tags, ", ")
			byTag[tag] = append(byTag[tag], noteOperation(op))
		}
	}
	b := book{About: strings.Split(o.Info.Description, "\n\n")}
	for _, tag := range slices.Sorted(maps.Keys(byTag)) {
		b.Tags = append(b.Tags, chapter{Name: tag, Operations: byTag[tag]})
	}
	all := o.Components.Schemas.Map()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		b.Schemas = append(b.Schemas, schemaNote{Name: name, JSON: indented(all[name])})
	}
	return b
}

func operationsOf(p *huma.PathItem) []*huma.Operation {
	all := []*huma.Operation{p.Get, p.Head, p.Post, p.Put, p.Patch, p.Delete}
	return slices.DeleteFunc(all, func(o *huma.Operation) bool { return o == nil })
}

func noteOperation(o *huma.Operation) operationNote {
	n := operationNote{ID: o.OperationID, Method: o.Method, Path: o.Path, Summary: o.Summary, Details: o.Description, Open: len(o.Security) == 0}
	for _, p := range o.Parameters {
		n.Parameters = append(n.Parameters, parameterNote{Name: p.Name, In: p.In, Required: p.Required, Text: parameterText(p)})
	}
	if o.RequestBody != nil {
		n.Body = noteContent(o.RequestBody.Content)
	}
	for _, status := range slices.Sorted(maps.Keys(o.Responses)) {
		r := o.Responses[status]
		if status == "default" {
			status = "otherwise"
		}
		n.Answers = append(n.Answers, answerNote{Status: status, Text: r.Description, Schema: noteContent(r.Content)})
	}
	return n
}

// parameterText says what a parameter may be: its description, then the bounds
// of its schema.
func parameterText(p *huma.Param) string {
	text := cmp.Or(p.Description, p.Schema.Description)
	s := *p.Schema
	s.Description = ""
	b, err := json.Marshal(&s)
	if err != nil || string(b) == `{"type":"string"}` {
		return text
	}
	return strings.TrimSpace(text + " " + string(b))
}

func noteContent(all map[string]*huma.MediaType) *schemaNote {
	names := slices.Sorted(maps.Keys(all))
	if len(names) == 0 {
		return nil
	}
	s := all[names[0]].Schema
	if s == nil {
		return &schemaNote{JSON: names[0]}
	}
	if short, ok := strings.CutPrefix(s.Ref, "#/components/schemas/"); ok {
		return &schemaNote{Name: short}
	}
	return &schemaNote{JSON: indented(s)}
}

func indented(s *huma.Schema) string {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		panic(err) // as document
	}
	return string(b)
}
