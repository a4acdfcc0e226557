package dashboard

import (
	"encoding/xml"
	"errors"
	"io"
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
	got := rendered(sparkline([]int{0, 2, 4}, "four <now>"))
	want := `<svg viewBox="0 0 30 240" preserveAspectRatio="none" role="img" aria-label="four &lt;now&gt;" class="spark" width="96" height="24">` +
		`<path class="axis" vector-effect="non-scaling-stroke" d="M0 240H30"></path>` +
		`<path class="c1" d="M11 240V120h8V240zM21 240V0h8V240z"></path></svg>`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestStackedBarsStandOnEachOther(t *testing.T) {
	got := rendered(stackedBars("x", "what came of them", []string{"2026-03-01T11:00:00Z", "2026-03-01T12:00:00Z"},
		[]series{{"good", "c1", []int{0, 2}}, {"bad", "c3", []int{0, 2}}}))
	for _, want := range []string{
		`<path class="c1" d="M11 240V120h8V240z"></path><path class="c3" d="M11 120V0h8V120z"></path>`, // the half of an axis to 4, and the rest
		`<span>4</span><span>2</span><span>0</span>`,
		`<title>2026-03-01 12:00:00 UTC; good 2; bad 2</title>`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	if n := strings.Count(got, "<title>"); n != 1 {
		t.Errorf("%d hours say something to who points there, want 1: nothing happened in the other", n)
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
	for name, chart := range map[string]g.Node{
		"bars":              stackedBars("x", "the name", hours, []series{{"good", "c1", []int{1, 2}}}),
		"bars of nothing":   stackedBars("x", "the name", hours, []series{{"good", "c1", []int{0, 0}}}),
		"bars of no hour":   stackedBars("x", "the name", nil, []series{{"good", "c1", nil}}),
		"lines":             latencyLines("x", "the name", hours, []*latencies{{1, 2, 3}, nil}),
		"lines of nothing":  latencyLines("x", "the name", hours, []*latencies{nil, nil}),
		"sparkline":         sparkline([]int{1}, "the name"),
		"sparkline of none": sparkline(nil, "the name"),
	} {
		got := rendered(chart)
		if strings.Contains(got, "style=") || strings.Contains(got, "NaN") || strings.Contains(got, "Inf") {
			t.Errorf("%s: %s", name, got)
		}
		if !strings.HasPrefix(name, "bars of no") && !strings.Contains(got, `role="img" aria-label="the name"`) {
			t.Errorf("%s has no name: %s", name, got)
		}
		if isSpark := strings.HasPrefix(name, "spark"); !isSpark && !strings.Contains(got, `<details id="x"><summary>`) {
			t.Errorf("%s has no table: %s", name, got)
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
