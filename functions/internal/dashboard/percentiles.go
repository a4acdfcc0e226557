package dashboard

import (
	"math"

	g "maragu.dev/gomponents"
	"maragu.dev/gomponents/html"
)

// The latencies that are drawn: each mark is ten times the one below.
const (
	lowestMS  = 1.0
	decadesMS = 5
)

// latencyMarks are the marks of its axis, the highest first.
func latencyMarks() []string { return []string{"100 s", "10 s", "1 s", "100 ms", "10 ms", "1 ms"} }

// latencies are the percentiles of an hour, in milliseconds; nil where nothing
// was measured.
type latencies struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
}

// percentile is one of the lines of a chart of latencies. They differ by their
// dashes, as colours alone would not tell them apart.
type percentile struct {
	name string
	dash string
	of   func(latencies) float64
}

func percentileLines() []percentile {
	return []percentile{
		{"p50", "", func(l latencies) float64 { return l.P50 }},
		{"p95", "6 3", func(l latencies) float64 { return l.P95 }},
		{"p99", "2 3", func(l latencies) float64 { return l.P99 }},
	}
}

// latencyLines shows the percentiles of every hour on a scale of powers of ten.
// The id is its table's.
func latencyLines(id, label string, hours []string, values []*latencies) g.Node {
	size, lines := wide(len(hours)), percentileLines()
	return html.Figure(html.Class("chart"),
		html.FigCaption(html.Class("key"), g.Map(lines, func(p percentile) g.Node {
			return html.Span(lineKey(p.dash), g.Text(p.name))
		})),
		plot(latencyMarks(), hours, svg(size, label, grid(size, decadesMS), g.Map(lines, func(p percentile) g.Node {
			return line(p.dash, steps(values, p.of))
		}))),
		latencyTable(id, label, hours, values),
	)
}

// lineKey is a piece of a line for the key of a chart.
func lineKey(dash string) g.Node {
	return html.SVG(g.Attr("viewBox", "0 0 24 8"), html.Width("24"), html.Height("8"), html.Aria("hidden", "true"), line(dash, "M0 4H24"))
}

func line(dash, d string) g.Node {
	if d == "" {
		return nil
	}
	return g.El("path", html.Class("line"), g.Attr("vector-effect", "non-scaling-stroke"), g.If(dash != "", g.Attr("stroke-dasharray", dash)), g.Attr("d", d))
}

// steps draws each hour as a level line, and joins those of neighbours.
func steps(values []*latencies, of func(latencies) float64) string {
	var d course
	joined := false
	for i, v := range values {
		if v == nil {
			joined = false
			continue
		}
		y := height(of(*v))
		if joined {
			d = d.to("V", y)
		} else {
			d = d.to("M", i*hourWidth).to(" ", y)
		}
		d = d.to("H", (i+1)*hourWidth)
		joined = true
	}
	return string(d)
}

// height is how far from the top a latency is drawn.
func height(ms float64) int {
	part := math.Log10(max(lowestMS, ms)/lowestMS) / decadesMS
	return barHeight - int(math.Round(barHeight*min(1, part)))
}

func latencyTable(id, label string, hours []string, values []*latencies) g.Node {
	heads := []string{"Hour from"}
	for _, p := range percentileLines() {
		heads = append(heads, p.name)
	}
	var rows []g.Node
	for i := len(hours) - 1; i >= 0; i-- {
		cells := []g.Node{when(hours[i])}
		for _, p := range percentileLines() {
			cells = append(cells, g.Text(atMost(values[i], p.of)))
		}
		rows = append(rows, row(cells...))
	}
	return tableBehind(id, label, heads, rows)
}

// overMS is what the API's greatest percentile stands for: more than 31 s.
const overMS = 45_000

// atMost says a percentile; "-" where nothing was measured.
func atMost(l *latencies, of func(latencies) float64) string {
	switch {
	case l == nil:
		return "-"
	case of(*l) > overMS:
		return "over 31 s"
	}
	return ms(of(*l))
}
