package dashboard

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	g "maragu.dev/gomponents"
	"maragu.dev/gomponents/html"
)

// The measures of a picture: its lines are so far apart, in pixels; what happened
// stands between two per cent of its width, and what is to come at its edge.
const (
	laneHeight = 44
	leftmost   = 1.5
	rightmost  = 93.0
	edge       = 98.0
	tooClose   = 3.0 // per cent in which dots would lie on each other
	besideDot  = 15  // pixels from a dot to another of its place
	namedDots  = 8   // moments that a dot names
)

// picture draws the moments on one axis of time, which ends with the last that
// has happened: an attempt in hours would leave no room for what took seconds.
// It is as wide as there is room, and its letters keep their size: whatever
// depends on time is placed in per cent.
func (t timeline) picture() g.Node {
	made, ahead := t.split()
	if len(t.moments) < 2 || len(made) == 0 {
		return nil
	}
	first, last := made[0], made[len(made)-1]
	counts := map[lane]int{}
	for _, m := range t.moments {
		counts[m.lane]++
	}
	label := fmt.Sprintf("Timeline from %s to %s (UTC). Changes: %d. Targets: %d. Attempts, made and to come: %d. The table below has them one by one.",
		first.at.UTC().Format(timeLayout), last.at.UTC().Format(timeLayout), counts[laneChange], counts[laneTarget], counts[laneAttempt])
	return html.Div(html.Class("card"),
		html.SVG(g.Attr("width", "100%"), g.Attr("height", strconv.Itoa(3*laneHeight+6)), html.Role("img"), html.Aria("label", label),
			g.Map([]string{"Changes", "Targets", "Attempts"}, laneLine()),
			g.Map(places(made, ahead, first.at, last.at), place.dots)),
		html.P(html.Class("edges"), when(first.stamp), when(last.stamp), nextOf(ahead)),
		html.P(html.Class("soft"), g.Text("\u25cf went well \u00a0 \u25b2 under way \u00a0 \u25a0 failed \u00a0 \u25cb neither; a number counts what happened at almost the same time")))
}

// split tells what has happened from what has yet to come, each in its order.
func (t timeline) split() (made, ahead []moment) {
	for _, m := range t.moments {
		if m.ahead {
			ahead = append(ahead, m)
		} else {
			made = append(made, m)
		}
	}
	return made, ahead
}

// nextOf counts down to the first of what is to come.
func nextOf(ahead []moment) g.Node {
	if len(ahead) == 0 {
		return nil
	}
	return html.Span(g.Text("next attempt "), countdown(ahead[0].stamp), g.If(len(ahead) > 1, g.Text(", and "+number(len(ahead)-1)+" more to come")))
}

// place is where dots are drawn: what happened on one line at almost one time.
type place struct {
	lane    lane
	x       float64 // per cent
	moments []moment
}

// places puts together what would be drawn on each other.
func places(made, ahead []moment, first, last time.Time) []place {
	var all []place
	latest := map[lane]int{} // the place of each line that was begun last
	for _, m := range made {
		x := position(m.at, first, last)
		if i, ok := latest[m.lane]; ok && x-all[i].x < tooClose {
			all[i].moments = append(all[i].moments, m)
			continue
		}
		latest[m.lane] = len(all)
		all = append(all, place{m.lane, x, []moment{m}})
	}
	if len(ahead) > 0 {
		all = append(all, place{laneAttempt, edge, ahead})
	}
	return all
}

// position is where a time stands between the first and the last.
func position(at, first, last time.Time) float64 {
	span := last.Sub(first)
	if span <= 0 {
		return leftmost
	}
	return leftmost + (rightmost-leftmost)*float64(at.Sub(first))/float64(span)
}

// dots draws one dot for each tone of a place, side by side: to the right in the
// left half, else to the left.
func (p place) dots() g.Node {
	step := besideDot
	if p.x > 50 {
		step = -step
	}
	var dots g.Group
	for i, list := range p.tones() {
		dots = append(dots, g.El("g", g.Attr("transform", "translate("+strconv.Itoa(i*step)+" 0)"),
			shape(list[0].tone), g.El("title", g.Text(titleOf(list))),
			g.If(len(list) > 1, g.El("text", g.Attr("y", "-9"), g.Attr("text-anchor", "middle"), g.Text(number(len(list)))))))
	}
	return html.SVG(g.Attr("x", decimal(p.x)+"%"), g.Attr("y", strconv.Itoa(int(p.lane+1)*laneHeight-6)), g.Attr("overflow", "visible"), dots)
}

// tones parts the moments of a place by their tones, each in its order.
func (p place) tones() [][]moment {
	var all [][]moment
	for _, m := range p.moments {
		i := slices.IndexFunc(all, func(list []moment) bool { return list[0].tone == m.tone })
		if i < 0 {
			all = append(all, []moment{m})
			continue
		}
		all[i] = append(all[i], m)
	}
	return all
}

// titleOf names the moments of a dot, in UTC as no script makes titles local.
func titleOf(list []moment) string {
	var lines []string
	for _, m := range list[:min(len(list), namedDots)] {
		lines = append(lines, m.name+", "+m.at.UTC().Format(timeLayout)+" UTC")
	}
	if more := len(list) - len(lines); more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(lines, "\n")
}

// laneLine draws the lines, each under its name.
func laneLine() func(string) g.Node {
	y := 0
	return func(name string) g.Node {
		y += laneHeight
		at := strconv.Itoa(y - 6)
		return g.Group{
			g.El("text", g.Attr("x", "0"), g.Attr("y", strconv.Itoa(y-28)), g.Text(name)),
			g.El("line", html.Class("axis"), g.Attr("x1", "0"), g.Attr("x2", "100%"), g.Attr("y1", at), g.Attr("y2", at)),
		}
	}
}

// shape says the same as its colour.
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
