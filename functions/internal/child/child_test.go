package child

import (
	"slices"
	"testing"
)

func TestChildIsToldNothingByTheEnvironmentOfItsParent(t *testing.T) {
	got := withoutSettings([]string{"HOME=/root", "JOBHOOK_DEMO=1", "PATH=/bin:JOBHOOK_", "JOBHOOK_OPERATOR_KEY=jh_live_x"})
	if want := []string{"HOME=/root", "PATH=/bin:JOBHOOK_"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
