package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"sync"

	g "maragu.dev/gomponents"
	"maragu.dev/gomponents/html"
)

// style is the one style sheet of all pages.
const style = `body{font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}
h1,h2,h3{line-height:1.2}h2{margin-top:2.5rem;border-bottom:1px solid #d0d7de}
code,pre{font:14px/1.4 ui-monospace,monospace;background:#f3f5f7}code{padding:.1em .3em}pre{padding:.8rem;overflow:auto}
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid #d0d7de}
.method{font-weight:700}section{margin-bottom:2rem}a{color:#0550ae}
@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}code,pre{background:#1c2330}a{color:#79c0ff}}`

// htmlPage puts a title and a head round what a page shows. Every text is escaped.
func htmlPage(title string, body ...g.Node) []byte {
	var b bytes.Buffer
	_ = html.Doctype(html.HTML(html.Lang("en"), html.Head(
		html.Meta(html.Charset("utf-8")), html.Meta(html.Name("viewport"), html.Content("width=device-width,initial-scale=1")), html.TitleEl(g.Text(title)), html.StyleEl(g.Raw(style)),
	), html.Body(html.H1(g.Text(title)), g.Group(body)))).Render(&b) // a buffer takes everything
	return b.Bytes()
}

// problemsPage shows entries of the catalogue.
func problemsPage(title string, kinds []problemKind) []byte {
	return htmlPage(title,
		html.P(g.Text("Every refusal is a problem (RFC 9457) whose "), html.Code(g.Text("type")), g.Text(" is one of these. Compare the type, rather than the texts.")),
		g.Map(kinds, func(k problemKind) g.Node {
			return html.Section(html.ID(k.Code),
				html.H2(html.A(html.Href("/problems/"+k.Code), html.Code(g.Text("/problems/"+k.Code)))),
				html.P(g.Textf("Status %d. %s", k.Status, k.Means)), html.P(html.Strong(g.Text("What to do: ")), g.Text(k.Do)))
		}))
}

// addPages adds what people read. The pages need no script and nothing of
// another host.
func (a *API) addPages() {
	all := sync.OnceValue(func() []byte {
		return problemsPage("Problems of the Jobhook API", catalogue())
	})
	docs := sync.OnceValue(func() []byte { return docsPage(chapters(a.huma.OpenAPI())) })
	a.mux.HandleFunc("GET /problems", func(w http.ResponseWriter, _ *http.Request) { writePage(w, all()) })
	a.mux.HandleFunc("GET /docs", func(w http.ResponseWriter, _ *http.Request) { writePage(w, docs()) })
	a.mux.HandleFunc("GET /problems/{code}", func(w http.ResponseWriter, r *http.Request) {
		for _, k := range catalogue() {
			if k.Code == r.PathValue("code") {
				writePage(w, problemsPage(k.Code+": a problem of the Jobhook API", []problemKind{k}))
				return
			}
		}
		notFound().write(w)
	})
}

func writePage(w http.ResponseWriter, page []byte) {
	sum := sha256.Sum256([]byte(style))
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "public, max-age=300")
	w.Write(page) // the client is gone if this fails
}
