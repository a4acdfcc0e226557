package main

import (
	"math"
	"testing"
	"time"
)

func TestPercentilesAreThoseOfWhatWasCounted(t *testing.T) {
	h := newHistogram()
	if got := h.ms(99); got != 0 {
		t.Errorf("nothing counted: got %v, want 0", got)
	}
	for i := 1; i <= 1000; i++ {
		h.add(int64(i) * int64(time.Millisecond))
	}
	for percentile, want := range map[float64]float64{50: 500, 99: 990, 100: 1000} {
		if got := h.ms(percentile); math.Abs(got-want) > want/1000 {
			t.Errorf("p%v: got %v ms, want %v", percentile, got, want)
		}
	}
}

func TestHistogramTakesWhatIsOutOfRange(t *testing.T) {
	h := newHistogram()
	h.add(-1)
	if got := h.ms(100); got != 0 {
		t.Errorf("negative: got %v ms, want 0", got)
	}
	h.add(int64(24 * time.Hour))
	if got, want := h.ms(100), longest.Seconds()*1000; math.Abs(got-want) > want/1000 {
		t.Errorf("too long: got %v ms, want %v", got, want)
	}
}

func TestMedian(t *testing.T) {
	tests := []struct {
		values []float64
		want   float64
	}{
		{nil, 0},
		{[]float64{3}, 3},
		{[]float64{9, 1, 5}, 5},
		{[]float64{4, 1, 3, 2}, 2},
	}
	for _, tt := range tests {
		if got := median(tt.values); got != tt.want {
			t.Errorf("%v: got %v, want %v", tt.values, got, tt.want)
		}
	}
}
