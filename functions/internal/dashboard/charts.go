package dashboard

import (
	"slices"
	"strconv"
	"time"

	g "maragu.dev/gomponents"
	"maragu.dev/gomponents/html"
)

// Charts are drawn here, in SVG that stretches to whatever holds it: words and
// numbers stand beside it as text, so that they keep their size in a narrow
// window. Behind each is a table with the same numbers.

// measure is how wide and how high a chart is in its own units: whole ones, as
// writing fractions took most of the time of a page with many charts.
type measure struct{ width, height int }

// The units of charts: an hour's bar leaves a gap at both sides.
const (
	hourWidth = 10
	hourGap   = 1
	barHeight = 240
)

// wide is the measure of a chart of so many hours.
func wide(hours int) measure { return measure{max(1, hours) * hourWidth, barHeight} }

// series is what one colour or one line of a chart shows, by hours.
type series struct {
	name   string
	class  string // c1, c2 or c3
	values []int
}

// sparkBars shows how many of each series there were in every hour, without
// numbers, the first at the bottom; the label says what for who does not see it.
func sparkBars(label string, list ...series) g.Node {
	size := wide(longest(list))
	return svg(size, label, html.Class("spark"), html.Width("96"), html.Height("24"), rule(size.width, size.height), barPaths(highest(list), list))
}

// stackedBars shows how many of each series there were in every hour, the first
// at the bottom, and over them as a line what is no part of them. The id is its
// table's.
func stackedBars(id, label string, hours []string, list []series, over series) g.Node {
	size, top := wide(len(hours)), niceTop(max(highest(list), highest([]series{over})))
	all := append(slices.Clone(list), over)
	return html.Figure(html.Class("chart"),
		html.FigCaption(html.Class("key"), g.Map(list, func(s series) g.Node {
			return html.Span(html.I(html.Class(s.class)), g.Text(s.name))
		}), html.Span(lineKey(""), g.Text(over.name))),
		plot([]string{number(top), number(top / 2), "0"}, hours, svg(size, label, grid(size, 2), barPaths(top, list), line("", stairs(top, over.values)), hovers(hours, all))),
		behind(id, label, hours, all),
	)
}

// stairs draws the hours in which there was something as level lines.
func stairs(top int, values []int) string {
	var d course
	for i, n := range values {
		if n > 0 {
			d = d.to("M", i*hourWidth).to(" ", level(top, n)).to("H", (i+1)*hourWidth)
		}
	}
	return string(d)
}

// svg is a drawing that is one picture for who does not see it.
func svg(size measure, label string, body ...g.Node) g.Node {
	return html.SVG(g.Attr("viewBox", "0 0 "+strconv.Itoa(size.width)+" "+strconv.Itoa(size.height)), g.Attr("preserveAspectRatio", "none"),
		html.Role("img"), html.Aria("label", label), g.Group(body))
}

// plot puts the marks of an axis, the highest first, and the ends of the time
// beside a drawing.
func plot(marks, hours []string, drawing g.Node) g.Node {
	if len(hours) == 0 {
		return nil
	}
	return html.Div(html.Class("plot"),
		html.Div(html.Class("marks"), html.Aria("hidden", "true"), g.Map(marks, func(m string) g.Node { return html.Span(g.Text(m)) })),
		drawing,
		html.Div(html.Class("ends"), when(hours[0]), when(hours[len(hours)-1])))
}

// behind is the table behind a chart, the newest hour first.
func behind(id, label string, hours []string, list []series) g.Node {
	heads := []string{"Hour from"}
	for _, s := range list {
		heads = append(heads, s.name)
	}
	var rows []g.Node
	for i := len(hours) - 1; i >= 0; i-- {
		cells := []g.Node{when(hours[i])}
		for _, s := range list {
			cells = append(cells, g.Text(number(s.values[i])))
		}
		rows = append(rows, row(cells...))
	}
	return tableBehind(id, label, heads, rows)
}

func tableBehind(id, label string, heads []string, rows []g.Node) g.Node {
	return html.Details(html.ID(id), html.Summary(g.Text("The numbers as a table")), table(label, heads, rows, nil))
}

// grid is a line at the top, one at the bottom, and some between.
func grid(size measure, parts int) g.Node {
	lines := make(g.Group, parts+1)
	for i := range lines {
		lines[i] = rule(size.width, size.height*i/parts)
	}
	return lines
}

// rule is a level line whose width does not stretch with the drawing.
func rule(width, y int) g.Node {
	return g.El("path", html.Class("axis"), g.Attr("vector-effect", "non-scaling-stroke"), g.Attr("d", "M0 "+strconv.Itoa(y)+"H"+strconv.Itoa(width)))
}

// barPaths draws one path for each series, which keeps a page of many charts
// small.
func barPaths(top int, list []series) g.Node {
	if top == 0 {
		return nil
	}
	below := make([]int, longest(list)) // what is drawn already, by hour
	return g.Map(list, func(s series) g.Node {
		var d course
		for i, n := range s.values {
			if n <= 0 {
				continue
			}
			y0, y1 := level(top, below[i]), level(top, below[i]+n)
			below[i] += n
			d = d.to("M", i*hourWidth+hourGap).to(" ", y0).to("V", y1).to("h", hourWidth-2*hourGap).to("V", y0).to("z")
		}
		if len(d) == 0 {
			return nil
		}
		return g.El("path", html.Class(s.class), g.Attr("d", string(d)))
	})
}

// course is the way of a line as SVG writes it.
type course []byte

// to adds a command and its numbers.
func (p course) to(command string, numbers ...int) course {
	p = append(p, command...)
	for _, n := range numbers {
		p = strconv.AppendInt(p, int64(n), 10)
	}
	return p
}

// level is how far from the top a number is drawn.
func level(top, n int) int { return barHeight - int(int64(barHeight)*int64(n)/int64(top)) }

// hovers are fields over the bars that say an hour's numbers to who points there.
func hovers(hours []string, list []series) g.Node {
	var fields g.Group
	for i, hour := range hours {
		said := ""
		for _, s := range list {
			if s.values[i] > 0 {
				said += "; " + s.name + " " + number(s.values[i])
			}
		}
		if said == "" {
			continue
		}
		fields = append(fields, g.El("rect", g.Attr("fill-opacity", "0"), g.Attr("x", strconv.Itoa(hourWidth*i)), g.Attr("y", "0"),
			html.Width(strconv.Itoa(hourWidth)), html.Height(strconv.Itoa(barHeight)), g.El("title", g.Text(utcWords(hour)+said))))
	}
	return fields
}

// utcWords writes a time of the API where the script does not make it local.
func utcWords(stamp string) string {
	t, err := time.Parse(stampLayout, stamp)
	if err != nil {
		return stamp
	}
	return t.UTC().Format(timeLayout) + " UTC"
}

// longest is the number of hours that the series have.
func longest(list []series) int {
	n := 0
	for _, s := range list {
		n = max(n, len(s.values))
	}
	return n
}

// highest is the greatest sum of the series in an hour.
func highest(list []series) int {
	sums, top := make([]int, longest(list)), 0
	for _, s := range list {
		for i, n := range s.values {
			sums[i] += n
			top = max(top, sums[i])
		}
	}
	return top
}

// niceTop is the end of an axis that reaches n: an even number that people can
// halve.
func niceTop(n int) int {
	for unit := 1; ; unit *= 10 {
		for _, top := range []int{2, 4, 6, 10} {
			if n <= top*unit {
				return top * unit
			}
		}
	}
}
