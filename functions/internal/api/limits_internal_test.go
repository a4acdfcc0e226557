package api

import (
	"fmt"
	"testing"
	"time"
)

func TestCallersOfTheLastMinuteAloneAreRemembered(t *testing.T) {
	var l limits
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for i := range 1000 {
		l.take(fmt.Sprint("key ", i), 10, now)
	}
	l.take("key 7", 10, now.Add(30*time.Second))
	l.take("key x", 10, now.Add(time.Minute))
	if len(l.of) != 2 || l.of["key 7"] == nil {
		t.Errorf("%d callers are remembered, want those two that called within the minute", len(l.of))
	}
}
