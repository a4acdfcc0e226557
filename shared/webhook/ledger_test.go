package webhook

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/jobhook/jobhook/shared/job"
)

func TestTheCreationThatAnIDBeginsWithCanBeRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		created := time.UnixMilli(rapid.Int64Range(0, 1<<48).Draw(t, "ms")).UTC()
		j := job.Job{Account: "acme", Kind: job.KindAsync, ID: "j1", CreatedAt: created}
		event := EventID(j, JobFinished, "1")
		for _, id := range []string{event, DeliveryID(event, Target{Endpoint: "ep_1"})} {
			if got, ok := CreatedOf(id); !ok || !got.Equal(created) {
				t.Fatalf("%s: got %v %t, want %v", id, got, ok, created)
			}
		}
	})
	for _, id := range []string{"", "evt", "evt_", "evt_012345678", "evt_01234567u8", "0123456789"} {
		if _, ok := CreatedOf(id); ok {
			t.Errorf("%q was read as an id", id)
		}
	}
}

func TestTheLedgerLooksAtBoundedHours(t *testing.T) {
	at := time.Date(2026, 3, 8, 10, 20, 0, 0, time.UTC)
	var got []string
	for _, hour := range LedgerHours(at) {
		got = append(got, hour.Format("02 15:04"))
	}
	want := []string{"08 10:00", "08 09:00", "08 08:00", "08 04:00", "07 10:00", "01 10:00"}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("hours (-got +want):\n%s", diff)
	}
}

func TestADeliveryIsStuckOnceNobodyCanBeAtIt(t *testing.T) {
	now := time.Date(2026, 3, 8, 10, 0, 0, 0, time.UTC)
	long, just := now.Add(-StuckAfter-time.Second), now.Add(-StuckAfter)
	row := func(s State, change func(*Delivery)) Delivery {
		d := Delivery{State: s, UpdatedAt: long, ExpiresAt: now.Add(time.Hour)}
		if change != nil {
			change(&d)
		}
		return d
	}
	for _, tt := range []struct {
		what string
		row  Delivery
		want bool
	}{
		{"queued for long", row(StateQueued, nil), true},
		{"queued just so long", row(StateQueued, func(d *Delivery) { d.UpdatedAt = just }), false},
		{"queued, due later", row(StateQueued, func(d *Delivery) { d.DueAt = now.Add(time.Hour) }), false},
		{"queued, its attempt under way", row(StateQueued, func(d *Delivery) { d.LeaseUntil = now.Add(time.Second) }), false},
		{"queued, expired", row(StateQueued, func(d *Delivery) { d.ExpiresAt = now }), false},
		{"waiting for its time", row(StateWaiting, func(d *Delivery) { d.NextAt = now.Add(time.Hour) }), false},
		{"waiting, its time past for long", row(StateWaiting, func(d *Delivery) { d.NextAt = long }), true},
		{"waiting, its time past just now", row(StateWaiting, func(d *Delivery) { d.NextAt = just }), false},
		{"held by its endpoint, which releases it", row(StateHeld, func(d *Delivery) { d.Target.Endpoint = "ep_1" }), false},
		{"held, and nothing releases it", row(StateHeld, nil), true},
		{"held, its due time past for long", row(StateHeld, func(d *Delivery) { d.Target.Endpoint, d.DueAt = "ep_1", long }), true},
		{"delivered", row(StateDelivered, nil), false},
		{"declined", row(StateDeclined, nil), false},
	} {
		if got := tt.row.Stuck(now); got != tt.want {
			t.Errorf("%s: stuck is %t, want %t", tt.what, got, tt.want)
		}
	}
}

func TestALedgerNamesABoundedNumber(t *testing.T) {
	var sum Ledger
	for range 3 {
		one := Ledger{Accepted: 2, Difference: 60, States: map[State]int{StateQueued: 1}}
		one.Name(make([]string, 60)...)
		sum.Add(one)
	}
	if len(sum.Missing) != MaxMissing || sum.Difference != 180 || sum.Accepted != 6 || sum.States[StateQueued] != 3 {
		t.Errorf("%d named, %+v; want %d of 180", len(sum.Missing), sum, MaxMissing)
	}
}
