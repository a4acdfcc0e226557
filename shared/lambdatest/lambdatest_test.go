package lambdatest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/jobhook/jobhook/shared/lambdatest"
)

// play is the variable that turns this test's own binary into a function.
const play = "LAMBDATEST_PLAY"

func TestMain(m *testing.M) {
	switch os.Getenv(play) {
	case "":
		os.Exit(m.Run())
	case "echo":
		ended := make(chan os.Signal, 1)
		signal.Notify(ended, syscall.SIGTERM)
		go lambda.StartWithOptions(echo, lambda.WithEnableSIGTERM())
		<-ended
		fmt.Println("flushed")
	case "deaf":
		lambda.Start(echo)
	case "broken":
		fmt.Fprintln(os.Stderr, "variables are missing")
		os.Exit(3)
	}
}

// order is what the function is told to do.
type order struct {
	Say, Fail, Panic string
	Large            int
	Hang             bool
}

// told is what it answers.
type told struct {
	Said, RequestID, Function, ARN, Trace string
	Left                                  time.Duration
	Large                                 string
}

func echo(ctx context.Context, o order) (told, error) {
	switch {
	case o.Fail != "":
		return told{}, errors.New(o.Fail)
	case o.Panic != "":
		panic(o.Panic)
	case o.Hang:
		<-ctx.Done()
		select {} // it ignores its deadline
	}
	fmt.Println("said", o.Say)
	lc, _ := lambdacontext.FromContext(ctx)
	deadline, _ := ctx.Deadline()
	return told{Said: o.Say, RequestID: lc.AwsRequestID, Function: lambdacontext.FunctionName, ARN: lc.InvokedFunctionArn,
		Trace: os.Getenv("_X_AMZN_TRACE_ID"), Left: time.Until(deadline), Large: strings.Repeat("x", o.Large)}, nil
}

func start(t *testing.T, role string, o lambdatest.Options) *lambdatest.Function {
	t.Helper()
	o.Binary, o.Name = os.Args[0], "parrot"
	o.Env = map[string]string{play: role}
	f, err := lambdatest.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Kill)
	return f
}

func invoke(t *testing.T, f *lambdatest.Function, o order) (told, error) {
	t.Helper()
	payload, _ := json.Marshal(o)
	var got told
	answer, err := f.Invoke(t.Context(), payload)
	if err == nil {
		err = json.Unmarshal(answer, &got)
	}
	return got, err
}

func TestAnEventComesWithWhatLambdaTells(t *testing.T) {
	f := start(t, "echo", lambdatest.Options{})
	got, err := invoke(t, f, order{Say: "hello"})
	if err != nil {
		t.Fatal(err)
	}
	if got.Said != "hello" || got.Function != "parrot" || len(got.RequestID) != 36 || !strings.HasSuffix(got.ARN, ":function:parrot") {
		t.Errorf("got %+v", got)
	}
	if !strings.HasPrefix(got.Trace, "Root=1-") || got.Left <= 0 || got.Left > lambdatest.DefaultTimeout {
		t.Errorf("trace %q, time left %s", got.Trace, got.Left)
	}
	if f.StartToReady() <= 0 || f.StartToFirstAnswer() < f.StartToReady() {
		t.Errorf("ready after %s, answered after %s", f.StartToReady(), f.StartToFirstAnswer())
	}
	if again, _ := invoke(t, f, order{Say: "again"}); again.RequestID == got.RequestID {
		t.Error("two invocations have one request id")
	}
}

func TestAFailureIsReturnedAsTheFunctionToldIt(t *testing.T) {
	f := start(t, "echo", lambdatest.Options{})
	_, err := invoke(t, f, order{Fail: "no luck"})
	var failure *lambdatest.FunctionError
	if !errors.As(err, &failure) || failure.Message != "no luck" || failure.Type != "errorString" || !bytes.Contains(failure.Payload, []byte("no luck")) {
		t.Fatalf("got %v", err)
	}
	if got, err := invoke(t, f, order{Say: "on"}); err != nil || got.Said != "on" {
		t.Errorf("after a failure: %v, %v; the process should go on", got, err)
	}
}

func TestAPanicIsToldAndEndsTheProcess(t *testing.T) {
	f := start(t, "echo", lambdatest.Options{})
	if _, err := invoke(t, f, order{Panic: "ouch"}); err == nil || !strings.Contains(err.Error(), "ouch") {
		t.Errorf("got %v, want the panic", err)
	}
	_, err := invoke(t, f, order{})
	if exit, ok := lambdatest.Exited(err); !ok || exit.Status != "exit status 1" {
		t.Errorf("got %v, want the end of the process", err)
	}
	if err := f.Stop(); err == nil {
		t.Error("nothing was wrong when it was stopped")
	}
}

func TestAProcessThatOverrunsItsTimeoutIsKilled(t *testing.T) {
	f := start(t, "echo", lambdatest.Options{Timeout: 50 * time.Millisecond})
	_, err := invoke(t, f, order{Hang: true})
	if exit, ok := lambdatest.Exited(err); !ok || exit.Status != "signal: killed" || !strings.Contains(err.Error(), "timed out after 50ms") {
		t.Errorf("got %v", err)
	}
}

func TestAnAnswerOfMoreThanSixMegabytesIsRefused(t *testing.T) {
	f := start(t, "echo", lambdatest.Options{})
	_, err := invoke(t, f, order{Large: 6<<20 + 100})
	var failure *lambdatest.FunctionError
	if !errors.As(err, &failure) || failure.Type != "Function.ResponseSizeTooLarge" {
		t.Errorf("got %v", err)
	}
}

func TestStopSendsSIGTERMToWhoRegisteredForIt(t *testing.T) {
	f := start(t, "echo", lambdatest.Options{})
	if _, err := invoke(t, f, order{Say: "bye"}); err != nil {
		t.Fatal(err)
	}
	if !f.SIGTERMEnabled() {
		t.Error("nothing was registered")
	}
	if err := f.Stop(); err != nil {
		t.Error(err)
	}
	lines := f.Lines()
	if len(lines) != 2 || lines[0] != "said bye" || lines[1] != "flushed" {
		t.Errorf("lines %q", lines)
	}
	if f.CPU() <= 0 {
		t.Errorf("the process used %s of CPU", f.CPU())
	}
	if err := f.Stop(); err != nil {
		t.Errorf("stopped twice: %v", err)
	}
}

func TestStopKillsWhoDidNotRegister(t *testing.T) {
	f := start(t, "deaf", lambdatest.Options{})
	if f.SIGTERMEnabled() {
		t.Error("something was registered")
	}
	if err := f.Stop(); err != nil {
		t.Error(err)
	}
	_, err := invoke(t, f, order{})
	if exit, ok := lambdatest.Exited(err); !ok || exit.Status != "signal: killed" {
		t.Errorf("got %v", err)
	}
}

func TestAProcessThatCannotStartTellsWhy(t *testing.T) {
	_, err := lambdatest.Start(t.Context(), lambdatest.Options{Binary: os.Args[0], Env: map[string]string{play: "broken"}})
	exit, ok := lambdatest.Exited(err)
	if !ok || exit.Status != "exit status 3" || exit.Output != "variables are missing\n" {
		t.Errorf("got %v", err)
	}
	_, err = lambdatest.Start(t.Context(), lambdatest.Options{Binary: "/nowhere/bootstrap"})
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want that there is no such file", err)
	}
}

func TestAPoolHandlesAsManyEventsAtOnceAsItHasEnvironments(t *testing.T) {
	p, err := lambdatest.StartPool(t.Context(), lambdatest.Options{Binary: os.Args[0], Env: map[string]string{play: "echo"}}, 2)
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	for i := range 6 {
		wait.Go(func() {
			payload, _ := json.Marshal(order{Say: fmt.Sprint(i)})
			if _, err := p.Invoke(t.Context(), payload); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
	if n := strings.Count(strings.Join(p.Lines(), "\n"), "said "); n != 6 {
		t.Errorf("%d of 6 events were handled", n)
	}
}
