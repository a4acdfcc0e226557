package webhook_test

import (
	"testing"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

func TestTimesThatNoClockWhichIsRightCanHaveWrittenHoldNothing(t *testing.T) {
	const open, probe, pause = 15*time.Minute + 3*time.Minute + time.Minute, 2 * time.Minute, webhook.MaxRetryAfter + time.Minute
	for _, tt := range []struct {
		name  string
		h     webhook.Health
		pass  webhook.Pass
		later webhook.Pass // a nanosecond more
	}{
		{"an opening", webhook.Health{Circuit: webhook.Circuit{Opens: 1, OpenUntil: noon.Add(open)}}, webhook.PassNone, webhook.PassProbe},
		{"a claim", webhook.Health{Circuit: webhook.Circuit{Opens: 1, ProbeUntil: noon.Add(probe)}}, webhook.PassNone, webhook.PassProbe},
		{"a pause", webhook.Health{PausedUntil: noon.Add(pause)}, webhook.PassNone, webhook.PassAll},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.h.Gate(noon); got.Pass != tt.pass {
				t.Errorf("the longest there is: got %s, want %s", got.Pass, tt.pass)
			}
			if got := tt.h.Gate(noon.Add(-1)); got.Pass != tt.later {
				t.Errorf("longer: got %s, want %s", got.Pass, tt.later)
			}
		})
	}
	if got := (webhook.HostHealth{Circuit: webhook.Circuit{Opens: 1, OpenUntil: noon.Add(open + 1)}}).Gate(noon); got.Pass != webhook.PassProbe {
		t.Errorf("a host: got %s, want %s", got.Pass, webhook.PassProbe)
	}
}
