package dashboard

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// happened makes moments of a line of a tone, so many seconds after noon.
func happened(l lane, tone string, seconds ...int) []moment {
	var list []moment
	for _, s := range seconds {
		at := time.Date(2026, 3, 1, 12, 0, s, 0, time.UTC)
		list = append(list, moment{at: at, stamp: at.Format(stampLayout), lane: l, tone: tone, name: "Attempt"})
	}
	return list
}

func TestThePictureEndsWithTheLastThatHappened(t *testing.T) {
	made := happened(laneAttempt, "wait", 0, 10)
	ahead := happened(laneAttempt, "wait", 36_000, 72_000)
	for i := range ahead {
		ahead[i].ahead = true
	}
	got := rendered(timeline{moments: append(made, ahead...)}.picture())
	for _, want := range []string{
		`x="1.50%"`, `x="93.00%"`, // the first and the last that happened, ten hours before the next
		`x="98.00%"`,
		`<time datetime="2026-03-01T12:00:10Z">2026-03-01 12:00:10</time><span>next attempt <time datetime="2026-03-01T22:00:00Z" data-countdown>2026-03-01 22:00:00</time>, and 1 more to come</span>`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
}

func TestDotsThatWouldLieOnEachOtherAreCountedByTheirTone(t *testing.T) {
	moments := append(happened(laneTarget, "good", 0, 0, 0), happened(laneTarget, "bad", 0)...)
	moments = append(moments, happened(laneAttempt, "good", 0)...) // another line
	moments = append(moments, happened(laneTarget, "good", 50, 100)...)
	got := rendered(timeline{moments: moments}.picture())
	want := `<svg x="1.50%" y="82" overflow="visible"><g transform="translate(0 0)"><circle class="c1" r="5"></circle>` +
		`<title>Attempt, 2026-03-01 12:00:00 UTC` + "\n" + `Attempt, 2026-03-01 12:00:00 UTC` + "\n" + `Attempt, 2026-03-01 12:00:00 UTC</title><text y="-9" text-anchor="middle">3</text></g>` +
		`<g transform="translate(15 0)"><path class="c3" d="M-5-5H5V5H-5z"></path><title>Attempt, 2026-03-01 12:00:00 UTC</title></g></svg>`
	if !strings.Contains(got, want) {
		t.Errorf("no %s in\n%s", want, got)
	}
	if n := strings.Count(got, `overflow="visible"`); n != 4 {
		t.Errorf("%d places, want 4", n)
	}
	many := rendered(place{laneTarget, 99, append(happened(laneTarget, "good", make([]int, 100)...), happened(laneTarget, "bad", 0)...)}.dots())
	if !strings.Contains(many, "and 92 more</title>") || !strings.Contains(many, `translate(-15 0)`) {
		t.Errorf("it names too many, or leaves the picture: %s", many)
	}
}

// An error answers one page; a panic in a goroutine would end the process, with
// all that it delivers.
func TestAPanicWhereAttemptsAreReadIsAnError(t *testing.T) {
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1/events":
			w.Write([]byte(`{"items":[]}`))
		case "/v1/deliveries":
			w.Write([]byte(`{"items":[{"id":"dlv_1","attempt_count":1,"created_at":"2026-03-01T12:00:00Z"}]}`))
		default:
			panic("of the API")
		}
	})
	v := &visit{d: &Dashboard{Config: Config{API: api}}, r: httptest.NewRequest("GET", "/job?id=1", nil)}
	if _, err := timelineOf(v, "1", ""); err == nil || !strings.Contains(err.Error(), "of the API") {
		t.Errorf("got %v, want what the panic said", err)
	}
}
