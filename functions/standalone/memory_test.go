package main

import "testing"

func TestTheMemoryLimitLeavesTheCollectorRoom(t *testing.T) {
	for _, test := range []struct {
		needed uint64
		want   int64
	}{
		{0, 104 << 20},
		{60 << 20, 104 << 20},
		{200 << 20, 300 << 20},
	} {
		if got := memoryLimit(test.needed); got != test.want {
			t.Errorf("memoryLimit(%d MiB) = %d MiB, want %d", test.needed>>20, got>>20, test.want>>20)
		}
	}
}

func TestWhatIsInUseIsMeasured(t *testing.T) {
	if inUse() == 0 {
		t.Error("nothing is in use: the metrics have other names")
	}
}
