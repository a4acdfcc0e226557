package child

import (
	"testing"
	"time"
)

func TestCPUTimeOfAStat(t *testing.T) {
	const rest = " S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 9 0 100 1000"
	tests := []struct {
		name, stat string
		want       time.Duration
	}{
		{"plain", "42 (standalone)" + rest, 3 * time.Second},
		{"a name with blanks and parentheses", "42 (a) b (c)" + rest, 3 * time.Second},
		{"cut short", "42 (standalone) S 1 2", 0},
		{"empty", "", 0},
	}
	for _, tt := range tests {
		if got, err := parseStat(tt.stat); got != tt.want || (err != nil) != (tt.want == 0) {
			t.Errorf("%s: got %v, %v, want %v", tt.name, got, err, tt.want)
		}
	}
}

func TestPeakMemoryOfAStatus(t *testing.T) {
	tests := []struct {
		name, status string
		want         float64
	}{
		{"plain", "Name:\tstandalone\nVmPeak:\t  999 kB\nVmHWM:\t  51200 kB\nVmRSS:\t 1 kB\n", 50},
		{"absent", "Name:\tstandalone\n", 0},
		{"malformed", "VmHWM:\tmuch kB\n", 0},
	}
	for _, tt := range tests {
		if got, err := parseStatus([]byte(tt.status), "VmHWM:"); got != tt.want || (err != nil) != (tt.want == 0) {
			t.Errorf("%s: got %v, %v, want %v", tt.name, got, err, tt.want)
		}
	}
}

func TestCPUTimeOfTheMachineLeavesOutIdleness(t *testing.T) {
	tests := []struct {
		name, stat   string
		want, stolen time.Duration
	}{
		{"plain", "cpu  100 10 50 9999 8888 20 10 10 5 5\ncpu0 1 2 3", 2 * time.Second, 100 * time.Millisecond},
		{"cut short", "cpu 1 2 3", 0, 0},
		{"of one processor only", "cpu0 1 2 3 4 5 6 7 8 9 10", 0, 0},
	}
	for _, tt := range tests {
		got, stolen, err := parseMachineStat(tt.stat)
		if got != tt.want || stolen != tt.stolen || (err != nil) != (tt.want == 0) {
			t.Errorf("%s: got %v, stolen %v, %v, want %v and %v", tt.name, got, stolen, err, tt.want, tt.stolen)
		}
	}
}
