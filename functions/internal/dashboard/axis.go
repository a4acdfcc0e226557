package dashboard

import (
	"fmt"
	"strconv"
	"time"

	g "maragu.dev/gomponents"
	"maragu.dev/gomponents/html"
)

// laneHeight is how far the lines of a picture are apart, in pixels.
const laneHeight = 38

// picture draws the moments on one axis of time. It is as wide as there is
// room, and its letters keep their size: whatever depends on time is placed in
// per cent.
func (t timeline) picture() g.Node {
	if len(t.moments) < 2 {
		return nil
	}
	first, last := t.moments[0], t.moments[len(t.moments)-1]
	counts := map[lane]int{}
	for _, m := range t.moments {
		counts[m.lane]++
	}
	label := fmt.Sprintf("Timeline from %s to %s (UTC). Changes: %d. Targets: %d. Attempts, made and to come: %d. The table below has them one by one.",
		first.at.UTC().Format(timeLayout), last.at.UTC().Format(timeLayout), counts[laneChange], counts[laneTarget], counts[laneAttempt])
	return html.Div(html.Class("card"),
		html.SVG(g.Attr("width", "100%"), g.Attr("height", strconv.Itoa(3*laneHeight+6)), html.Role("img"), html.Aria("label", label),
			g.Map([]string{"Changes", "Targets", "Attempts"}, laneLine()),
			g.Map(t.moments, func(m moment) g.Node { return m.dot(first.at, last.at) })),
		html.P(html.Class("edges"), when(first.stamp), when(last.stamp)),
		html.P(html.Class("soft"), g.Text("\u25cf went well \u00a0 \u25b2 under way \u00a0 \u25a0 failed \u00a0 \u25cb neither")))
}

// laneLine draws the lines, each under its name.
func laneLine() func(string) g.Node {
	y := 0
	return func(name string) g.Node {
		y += laneHeight
		at := strconv.Itoa(y - 6)
		return g.Group{
			g.El("text", g.Attr("x", "0"), g.Attr("y", strconv.Itoa(y-22)), g.Text(name)),
			g.El("line", html.Class("axis"), g.Attr("x1", "0"), g.Attr("x2", "100%"), g.Attr("y1", at), g.Attr("y2", at)),
		}
	}
}

// dot places a moment. Its shape says the same as its colour.
func (m moment) dot(first, last time.Time) g.Node {
	x := 50.0
	if span := last.Sub(first); span > 0 {
		x = 1.5 + 97*float64(m.at.Sub(first))/float64(span)
	}
	return html.SVG(g.Attr("x", decimal(x)+"%"), g.Attr("y", strconv.Itoa(int(m.lane+1)*laneHeight-6)), g.Attr("overflow", "visible"),
		shape(m.tone), g.El("title", g.Text(m.name+", "+m.at.UTC().Format(timeLayout)+" UTC")))
}

func shape(tone string) g.Node {
	switch tone {
	case "good":
		return g.El("circle", html.Class("c1"), g.Attr("r", "5"))
	case "wait":
		return g.El("path", html.Class("c2"), g.Attr("d", "M0-6 6 5H-6z"))
	case "bad":
		return g.El("path", html.Class("c3"), g.Attr("d", "M-5-5H5V5H-5z"))
	}
	return g.El("circle", html.Class("line"), g.Attr("r", "4.5"))
}
