package main

import (
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// histogram counts durations of 1 us to 10 min, each to 0.1 %.
type histogram struct{ h *hdrhistogram.Histogram }

const longest = 10 * time.Minute

func newHistogram() *histogram {
	return &histogram{hdrhistogram.New(1, longest.Microseconds(), 3)}
}

// add counts nanoseconds. What is negative counts as 0, what is longer than the
// longest as that.
func (h *histogram) add(ns int64) {
	us := min(max(ns/1000, 0), longest.Microseconds())
	_ = h.h.RecordValue(us) // in range
}

// count is how many were counted.
func (h *histogram) count() int64 { return h.h.TotalCount() }

// ms returns a percentile in milliseconds; 0 when nothing was counted.
func (h *histogram) ms(percentile float64) float64 {
	return float64(h.h.ValueAtPercentile(percentile)) / 1000
}

// median returns the lower middle of the values, 0 when there are none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[(len(sorted)-1)/2]
}
