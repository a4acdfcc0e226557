package dashboard

import (
	"testing"

	"github.com/jobhook/jobhook/shared/webhook"
)

func TestEveryFailureSaysWhatItMeansAndWhatToDo(t *testing.T) {
	for _, f := range []webhook.Failure{webhook.FailureDNS, webhook.FailureConnect, webhook.FailureTLS, webhook.FailureTimeout, webhook.FailureReset,
		webhook.FailureProtocol, webhook.FailureRefusedAddress, webhook.FailureUnsendable, webhook.FailureOurs} {
		if known := explainAnswer(0, string(f)); known.short == "" || known.means == "" || known.todo == "" {
			t.Errorf("%s: %+v", f, known)
		}
	}
}

func TestEveryStatusThatIsNoSuccessIsExplained(t *testing.T) {
	for status := 100; status < 600; status++ {
		known := explainAnswer(status, "")
		if explained := known.means != "" && known.todo != ""; explained != (status >= 300) {
			t.Errorf("%d: %+v", status, known)
		}
	}
}

func TestAnAnswerIsSaidInAWord(t *testing.T) {
	for _, tt := range []struct {
		status  int
		failure string
		want    string
	}{{200, "", "200"}, {503, "", "503"}, {0, "timeout", "timeout"}, {0, "connect", "no connection"}, {0, "of_tomorrow", "of_tomorrow"}, {0, "", "-"}} {
		if got := answered(tt.status, tt.failure); got != tt.want {
			t.Errorf("%d %s: got %q, want %q", tt.status, tt.failure, got, tt.want)
		}
	}
}

func TestTimesAreSaidRoundly(t *testing.T) {
	for seconds, want := range map[int]string{1: "1 s", 119: "119 s", 120: "2 min", 7199: "119 min", 7200: "2 h"} {
		if got := lasts(seconds); got != want {
			t.Errorf("%d: got %q, want %q", seconds, got, want)
		}
	}
}
