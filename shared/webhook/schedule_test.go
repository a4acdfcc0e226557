package webhook_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/jobhook/jobhook/shared/webhook"
)

func TestScheduleNext(t *testing.T) {
	s := webhook.Schedule{Waits: []time.Duration{5 * time.Second, 5 * time.Minute}, Jitter: 0.2}
	for _, tt := range []struct {
		name    string
		attempt int
		jitter  float64
		want    time.Duration
		ok      bool
	}{
		{"after the first", 1, 0, 5 * time.Second, true},
		{"after the first, spread", 1, 0.5, 5500 * time.Millisecond, true},
		{"after the second", 2, 0, 5 * time.Minute, true},
		{"after the last", 3, 0, 0, false},
		{"attempts count from 1", 0, 0, 0, false},
		{"never below 1", -1, 0, 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := s.Next(tt.attempt, tt.jitter)
			if got != tt.want || ok != tt.ok {
				t.Errorf("got %v, %v, want %v, %v", got, ok, tt.want, tt.ok)
			}
		})
	}
}

func TestTheZeroScheduleNeverRetries(t *testing.T) {
	var s webhook.Schedule
	if _, ok := s.Next(1, 0); ok || s.MaxAttempts() != 1 || s.Total() != 0 {
		t.Errorf("got a retry %v, %d attempts, %v in all, want none, 1, 0", ok, s.MaxAttempts(), s.Total())
	}
}

func TestSchedulesOfEqualAndDoubledWaits(t *testing.T) {
	if diff := cmp.Diff(webhook.Fixed(3, time.Second), webhook.Schedule{Waits: []time.Duration{1e9, 1e9, 1e9}}); diff != "" {
		t.Errorf("fixed (-got +want):\n%s", diff)
	}
	if diff := cmp.Diff(webhook.Exponential(4, 30*time.Second), webhook.Schedule{Waits: []time.Duration{30e9, 60e9, 120e9, 240e9}}); diff != "" {
		t.Errorf("exponential (-got +want):\n%s", diff)
	}
	if got := webhook.Fixed(0, time.Second).MaxAttempts(); got != 1 {
		t.Errorf("no waits: got %d attempts, want 1", got)
	}
}

func TestWaitsStayBetweenTheBaseAndItsSpreadAndAddUpToTheTotal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := schedules.Draw(t, "schedule")
		var total time.Duration
		attempt := 1
		for ; ; attempt++ {
			got, ok := s.Next(attempt, jitters.Draw(t, "jitter"))
			if !ok {
				break
			}
			base := s.Waits[attempt-1]
			if most := base + time.Duration(float64(base)*s.Jitter); got < base || got > most {
				t.Fatalf("attempt %d: got a wait of %v, want %v to %v", attempt, got, base, most)
			}
			total += got
		}
		if attempt != s.MaxAttempts() {
			t.Fatalf("got %d attempts, want %d", attempt, s.MaxAttempts())
		}
		if total > s.Total() {
			t.Fatalf("waited %v in all, want at most %v", total, s.Total())
		}
	})
}
