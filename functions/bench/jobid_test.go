package main

import (
	"testing"
)

func TestIDSaysWhichChangeItBelongsTo(t *testing.T) {
	seen := map[string]bool{}
	for _, i := range []int{0, 1, 2, 99, 10_000, 1 << 20, storedIDs, storedIDs + 999_999} {
		var id [idLength]byte
		putID(id[:], i)
		got, ok := parseID(id[:])
		if !ok || got != i {
			t.Errorf("id %s: got %d, %t, want %d", id, got, ok, i)
		}
		if seen[string(id[:])] {
			t.Errorf("id %s: it is there twice", id)
		}
		seen[string(id[:])] = true
	}
}

func TestOtherIDsBelongToNoChange(t *testing.T) {
	var id [idLength]byte
	putID(id[:], 7)
	changed := id
	changed[idLength-1] ^= 1 // still a digit of base 16
	for _, other := range []string{"", "7", string(changed[:]), string(id[:35]), "123e4567-e89b-12d3-a456-426614174000", "ZZZZ4567-e89b-12d3-a456-426614174000"} {
		if i, ok := parseID([]byte(other)); ok {
			t.Errorf("id %q: got %d, want none", other, i)
		}
	}
}

func TestChangeIsFoundInItsWebhook(t *testing.T) {
	body, err := sampleBody()
	if err != nil {
		t.Fatal(err)
	}
	if i, ok := changeOf(body); !ok || i != 0 {
		t.Errorf("got %d, %t, want 0 of %s", i, ok, body)
	}
	for _, other := range []string{"", "{}", `{"job_id":"7"}`, `{"data":{"job_id":`} {
		if i, ok := changeOf([]byte(other)); ok {
			t.Errorf("%s: got %d, want none", other, i)
		}
	}
}

func TestBodyHasOneKibibyte(t *testing.T) {
	body, err := sampleBody()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(body), 1024; got != want {
		t.Errorf("got %d bytes, want %d", got, want)
	}
}
