package dashboard

import (
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	g "maragu.dev/gomponents"
)

func rendered(n g.Node) string {
	var b strings.Builder
	_ = n.Render(&b) // a builder takes everything
	return b.String()
}

func TestSparklinesDrawOneBarForEachHourInWhichThereWasSomething(t *testing.T) {
	got := rendered(sparkBars("four <now>", series{"", "c1", []int{0, 2, 4}}))
	want := `<svg viewBox="0 0 30 240" preserveAspectRatio="none" role="img" aria-label="four &lt;now&gt;" class="spark" width="96" height="24">` +
		`<path class="axis" vector-effect="non-scaling-stroke" d="M0 240H30"></path>` +
		`<path class="c1" d="M11 240V120h8V240zM21 240V0h8V240z"></path></svg>`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestStackedBarsStandOnEachOther(t *testing.T) {
	got := rendered(stackedBars("x", "what came of them", []string{"2026-03-01T11:00:00Z", "2026-03-01T12:00:00Z"},
		[]series{{"good", "c1", []int{0, 2}}, {"bad", "c3", []int{0, 2}}}, series{"again", "line", []int{1, 3}}))
	for _, want := range []string{
		`<path class="c1" d="M11 240V120h8V240z"></path><path class="c3" d="M11 120V0h8V120z"></path>`, // the half of an axis to 4, and the rest
		`<span>4</span><span>2</span><span>0</span>`,
		`<title>2026-03-01 12:00:00 UTC; good 2; bad 2; again 3</title>`,
		`<title>2026-03-01 11:00:00 UTC; again 1</title>`,
		`d="M0 180H10M10 60H20"`, // a line at 1 and 3 of 4, which is no part of the bars
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	quiet := rendered(stackedBars("x", "what came of them", []string{"2026-03-01T11:00:00Z"}, []series{{"good", "c1", []int{0}}}, series{"again", "line", []int{0}}))
	if strings.Contains(quiet, "<title>") {
		t.Errorf("an hour in which nothing happened says something to who points there: %s", quiet)
	}
}

func TestLatenciesAreDrawnOnPowersOfTen(t *testing.T) {
	got := steps([]*latencies{{P50: 1}, {P50: 10}, nil, {P50: 100_000}, {P50: 1e9}, {P50: 0.1}}, func(l latencies) float64 { return l.P50 })
	if want := "M0 240H10V192H20M30 0H40V0H50V240H60"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestAxesEndAtANumberThatCanBeHalved(t *testing.T) {
	for n, want := range map[int]int{0: 2, 1: 2, 3: 4, 5: 6, 7: 10, 11: 20, 999: 1000, 1001: 2000} {
		if got := niceTop(n); got != want {
			t.Errorf("up to %d: got %d, want %d", n, got, want)
		}
	}
}

// Every chart is a picture with a name, has a table behind it, carries no style
// of its own, and is whole where nothing was counted.
func TestChartsCanBeReadByWhoDoesNotSeeThem(t *testing.T) {
	hours := []string{"2026-03-01T11:00:00Z", "2026-03-01T12:00:00Z"}
	over := series{"again", "line", []int{0, 1}}
	for name, chart := range map[string]struct {
		drawn           g.Node
		picture, behind bool // whether it has a picture, and a table behind it
	}{
		"bars":              {stackedBars("x", "the name", hours, []series{{"good", "c1", []int{1, 2}}}, over), true, true},
		"bars of nothing":   {stackedBars("x", "the name", hours, []series{{"good", "c1", []int{0, 0}}}, series{"again", "line", []int{0, 0}}), true, true},
		"bars of no hour":   {stackedBars("x", "the name", nil, []series{{"good", "c1", nil}}, series{"again", "line", nil}), false, true},
		"lines":             {latencyLines("x", "the name", hours, []*latencies{{1, 2, 3}, nil}), true, true},
		"lines of nothing":  {latencyLines("x", "the name", hours, []*latencies{nil, nil}), true, true},
		"sparkline":         {sparkBars("the name", series{"", "c1", []int{1}}), true, false},
		"sparkline of none": {sparkBars("the name", series{"", "c1", nil}), true, false},
	} {
		got := rendered(chart.drawn)
		if strings.Contains(got, "style=") || strings.Contains(got, "NaN") || strings.Contains(got, "Inf") {
			t.Errorf("%s: %s", name, got)
		}
		if named := strings.Contains(got, `role="img" aria-label="the name"`); named != chart.picture {
			t.Errorf("%s: a picture with a name: %t, want %t: %s", name, named, chart.picture, got)
		}
		if table := strings.Contains(got, `<details id="x"><summary>`); table != chart.behind {
			t.Errorf("%s: a table behind it: %t, want %t: %s", name, table, chart.behind, got)
		}
		if err := wellFormed(got); err != nil {
			t.Errorf("%s: %v in %s", name, err, got)
		}
	}
}

// wellFormed reads XML to its end. Attributes without a value are HTML's own.
func wellFormed(s string) error {
	d := xml.NewDecoder(strings.NewReader(strings.ReplaceAll(s, " hidden>", ">")))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func TestTheSlowestPercentileIsSaidToBeOpen(t *testing.T) {
	p99 := func(l latencies) float64 { return l.P99 }
	for got, want := range map[string]string{
		atMost(nil, p99):                     "-",
		atMost(&latencies{P99: 49_517}, p99): "over 31 s",
		atMost(&latencies{P99: 30_948}, p99): "31 s",
		atMost(&latencies{P99: 2.56}, p99):   "2.6 ms",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestHoursThatAreLeftOutHaveNothing(t *testing.T) {
	hours := []string{"2026-03-01T10:00:00Z", "2026-03-01T11:00:00Z", "2026-03-01T12:00:00Z"}
	ended, retried := byHour(hours, []hourCounts{
		{hours[2], counts{Delivered: 1, Failed: 7, GivenUp: 2}},
		{hours[0], counts{Delivered: 4}},
		{"2026-02-28T12:00:00Z", counts{Delivered: 99}}, // of no hour of the span
	})
	for i, want := range [][]int{{4, 0, 1}, {0, 0, 2}} {
		if !slices.Equal(ended[i].values, want) {
			t.Errorf("%s: got %v, want %v", ended[i].name, ended[i].values, want)
		}
	}
	if want := []int{0, 0, 5}; !slices.Equal(retried.values, want) {
		t.Errorf("%s: got %v, want %v", retried.name, retried.values, want)
	}
}
