package main

import (
	"strings"
	"testing"
	"time"

	"github.com/jobhook/jobhook/shared/setting"
)

func TestEndpointsAreDisabledAfterFiveDaysUnlessToldOtherwise(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want time.Duration
	}{
		{nil, 120 * time.Hour},
		{[]string{"--disable-after", "36h"}, 36 * time.Hour},
		{[]string{"--disable-after", "0"}, -1},
		{[]string{"--disable-after", "0s"}, -1},
		{[]string{"--disable-after", "never"}, -1},
	} {
		o, err := parseOptions(tt.args)
		if got := o.disableAfter(); err != nil || got != tt.want {
			t.Errorf("%v: got %s, %v; want %s", tt.args, got, err, tt.want)
		}
	}
	for _, value := range []string{"59m", "-1h", "soon"} {
		_, err := parseOptions([]string{"--disable-after=" + value, "--rate=-1"})
		if err == nil || !strings.Contains(err.Error(), `--disable-after is "`+value+`"`) || !strings.Contains(err.Error(), "--rate") {
			t.Errorf("%s: got %v, want all that is wrong", value, err)
		}
	}
	t.Setenv(setting.DisableIn, setting.Never) // as on AWS
	if o, err := parseOptions(nil); err != nil || o.disableAfter() != -1 {
		t.Errorf("by the environment: got %s, %v; want never", o.disableAfter(), err)
	}
}
