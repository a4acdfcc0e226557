package api

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

func TestKeysThatNobodyUsesAreForgotten(t *testing.T) {
	var c keyCache
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for i := range 100 {
		if _, err := c.get(t.Context(), someKeys{}, fmt.Sprint(i), now); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.get(t.Context(), someKeys{}, "x", now.Add(time.Minute)); err != nil || len(c.entries) != 1 {
		t.Errorf("%d keys are kept (%v), want one", len(c.entries), err)
	}
}

// someKeys has a key of every id.
type someKeys struct{ KeyStore }

func (someKeys) Key(_ context.Context, id string) (webhook.Key, error) {
	return webhook.Key{ID: id}, nil
}

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
