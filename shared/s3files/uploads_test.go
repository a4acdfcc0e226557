package s3files

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestAnUploadIsGivenUpSoonAfterItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, end := context.WithCancel(t.Context())
		longer, cancel := outlive(ctx, abortTime)
		defer cancel()
		time.Sleep(time.Hour)
		end()
		ended := time.Now()
		time.Sleep(abortTime - 1)
		if err := longer.Err(); err != nil {
			t.Errorf("%v after the end: got %v, want a context that goes on", time.Since(ended), err)
		}
		<-longer.Done()
		if got := time.Since(ended); got != abortTime {
			t.Errorf("ended after %v, want %v", got, abortTime)
		}
	})
}

func TestAnUploadThatIsDoneLeavesNoTimerBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which fails when a goroutine stays
		ctx, end := context.WithCancel(t.Context())
		_, cancel := outlive(ctx, abortTime)
		end()
		cancel()
	})
}
